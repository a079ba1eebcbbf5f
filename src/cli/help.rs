//! The prose at the end of `--help`: examples, settings, exit codes.
//!
//! Owns words only. A test in `cli::mod` holds the defaults in the flags' help against the
//! library's.

pub(crate) const ABOUT: &str = "\
Move large PostgreSQL tables into Parquet on S3, GCS, Azure Blob or a local disk: in chunks, \
consistent, resumable and exact.

All tables of a run are read under one snapshot. Each table becomes a dataset: Parquet objects, \
a manifest that names every one of them, and a _SUCCESS marker written last. A run can be killed \
anywhere; the same command goes on where it stopped.";

pub(crate) const ROOT: &str = "\
Examples:
  # Two tables into a bucket; the password comes from ~/.pgpass
  pgsluice export --from postgresql://app@db.example.com/shop \\
      --table orders,order_items --to s3://lake/shop

  # What would it do?
  pgsluice plan --from postgresql://app@db.example.com/shop --table orders

  # What is there? Is it whole?
  pgsluice status s3://lake/shop
  pgsluice verify s3://lake/shop

  # What did runs leave behind that died?
  pgsluice gc s3://lake/shop

  # What does each PostgreSQL type become?
  pgsluice types

Settings:
  Each flag can also stand in the environment, as PGSLUICE_ and its name (--chunk-rows is
  PGSLUICE_CHUNK_ROWS), or in the TOML file of --config (chunk-rows = 1000000).
  A flag wins over the environment, and the environment over the file.

Exit codes:
    0  done
    1  internal error: a bug in pgsluice
    2  usage or configuration: change the command
    3  source: PostgreSQL refused, failed or went away
    4  storage: the object store or the disk failed
    5  conflict: the target belongs to another export, or another writer is alive
    6  fenced: a later writer took the dataset over
    7  unsupported: the server, table or store lacks what a correct export needs
    8  data: a value does not fit its Parquet type, the stream is malformed, or verify found
       something that does not hold
  130  stopped by Ctrl-C or SIGTERM; the same command goes on";

pub(crate) const EXPORT: &str = "\
Examples:
  # One table to a local folder, ./lake/public/orders/
  pgsluice export --from postgresql://localhost/shop --table public.orders --to ./lake

  # Several tables under one snapshot, with eight readers; run it again to resume
  pgsluice export --from postgresql://app@db/shop -t orders,items,'\"Sales\".\"Refund\"' \\
      --to s3://lake/shop --workers 8

  # Some columns and rows, cut by a key, at the URL itself
  pgsluice export --table events --columns id,at,kind --where \"at >= '2026-01-01'\" \\
      --chunk-by key:id --to gs://lake/events --layout ''

  # NULL where a column cannot hold a value, and the exact value under _exceptions/
  pgsluice export --table events --map amount=decimal(20,4) --on-unrepresentable exceptions \\
      --to ./lake

  # For a scheduler: settings in a file, a JSON report, JSON logs
  pgsluice export --config shop.toml --output json --log-format json

Exit codes:
  0 done, 1 internal, 2 usage or configuration, 3 source, 4 storage, 5 conflict, 6 fenced,
  7 unsupported, 8 data, 130 stopped by Ctrl-C or SIGTERM (the same command goes on).
  Ctrl-C once stops in order; twice stops at once. Both can be resumed.";

pub(crate) const PLAN: &str = "\
Examples:
  # How would this table be cut, why, and what memory would a run need?
  pgsluice plan --from postgresql://app@db/shop --table orders --workers 8

  # Every chunk's SQL, for a script
  pgsluice plan --table orders --output json

Exit codes:
  0 done, 1 internal, 2 usage or configuration, 3 source, 7 unsupported, 130 stopped.";

pub(crate) const STATUS: &str = "\
Examples:
  # One dataset, or all below a folder
  pgsluice status s3://lake/shop/public/orders
  pgsluice status ./lake

  # Is everything complete?
  pgsluice status ./lake --output json | jq '[.datasets[].state] | all(. == \"complete\")'

Exit codes:
  0 done, 1 internal, 2 usage or configuration, 4 storage, 130 stopped.
  A dataset that is not complete is not an error: see its state.";

pub(crate) const VERIFY: &str = "\
What is proven:
  Every entry of the manifest log is as it was written, follows the one before it, and makes up
  manifest.json and _SUCCESS byte for byte. Every object it names is there with its size and
  SHA-256, and no other. Rows, NULLs and keys are those of the entries, and the rows, encoded as
  PostgreSQL sends them, have the hash that was taken while they arrived.
  All that does not hold is reported, chunk by chunk; nothing is written. An export that is not
  complete does not hold, nor does a chunk whose rows cannot be proven.

Examples:
  # One dataset, or all below a folder
  pgsluice verify s3://lake/shop/public/orders
  pgsluice verify ./lake --workers 4

  # Seconds instead of a full read: manifest, listings, sizes, footers
  pgsluice verify s3://lake/shop --quick

  # Does the table still hold the same rows?
  pgsluice verify ./lake --against postgresql://reader@db.example.com/shop

  # What is wrong, for a script
  pgsluice verify ./lake --output json | jq '.datasets[].findings[] | {kind, chunk, object}'

Exit codes:
  0 all holds (warnings at most: rows that only --against could not compare), 2 usage or
  configuration, 3 source, 4 storage, 8 something does not hold, is not finished or could not be
  proven, 130 stopped.";

pub(crate) const GC: &str = "\
What is garbage:
  Objects, unfinished multipart uploads and staging files of runs that can commit nothing any more:
  a later run took over, or the run itself paused, failed or completed. Also, after an hour, files
  with which a store was tried, and, on a local disk, empty folders of such runs.
What is never touched:
  Whatever the manifest names; whatever belongs to a run that is at work (kept: in use), or that
  neither ended nor moves (kept: may still be committed): run the export again to its end, then
  collect. Whatever pgsluice did not write (kept: foreign).
  It may run beside exports. docs/gc.md says why nothing that is deleted can be missed.

Examples:
  # What is there? Nothing is changed
  pgsluice gc s3://lake/shop

  # Delete what was left more than a day ago
  pgsluice gc s3://lake/shop --older-than 24h --delete

  # What would go, for a script
  pgsluice gc ./lake --output json | jq '.places[].items[] | select(.verdict == \"garbage\").key'

Exit codes:
  0 done, also when garbage was found; 1 internal, 2 usage or configuration, 4 storage, 5 conflict
  (a manifest log that is lost or damaged: its dataset is left alone, the others are not), 130
  stopped.";

pub(crate) const TYPES: &str = "\
Examples:
  # What becomes of my types, and what does Spark see?
  pgsluice types
  pgsluice types --profile native | grep uuid

  # For a script: every type that some reader refuses under the native profile
  pgsluice types --profile native --format json |
      jq -r '.types[] | select([.profiles.native.readers[].opens] | any(. == false)) | .name'

Exit codes:
  0 done, 1 internal, 2 usage or configuration.";

pub(crate) const COMPLETIONS: &str = "\
Examples:
  pgsluice completions bash > ~/.local/share/bash-completion/completions/pgsluice
  pgsluice completions zsh > \"${fpath[1]}/_pgsluice\"
  pgsluice completions fish > ~/.config/fish/completions/pgsluice.fish";
