#!/usr/bin/env bash
# usage: benches/many_chunks.sh DSN [CHUNKS]
# What a plan of many chunks costs: wall time and peak memory of planning (100,000 chunks of real
# rows; a billion rows by statistics), of an export killed midway, and of resuming it; and the
# largest single write to the store, which must not grow with the number of chunks.
# DSN is a superuser's (it writes statistics); the tables live in the schema many_chunks, dropped
# at the end. PGSLUICE names another binary to measure than the release build.
set -euo pipefail
dsn=${1:?DSN} most=${2:-100000}
here=$(cd "$(dirname "$0")/.." && pwd)
bin=${PGSLUICE:-}
if [ -z "$bin" ]; then
  cargo build --release --quiet --manifest-path "$here/Cargo.toml"
  bin=${CARGO_TARGET_DIR:-$here/target}/release/pgsluice
fi
work=$(mktemp -d)
sql() { psql -qAtX -v ON_ERROR_STOP=1 -d "$dsn" -c "$1"; }
trap 'sql "DROP SCHEMA IF EXISTS many_chunks CASCADE"; rm -rf "$work"' EXIT

sql "DROP SCHEMA IF EXISTS many_chunks CASCADE; CREATE SCHEMA many_chunks"
for chunks in 1000 "$most"; do
  sql "CREATE TABLE many_chunks.t$chunks (id bigint PRIMARY KEY, note text)"
  sql "INSERT INTO many_chunks.t$chunks SELECT i, 'x' FROM generate_series(1, 2 * $chunks) AS i"
  sql "ANALYZE many_chunks.t$chunks"
done
# The planner scales the rows by the real number of pages: a page's worth of them stands for all.
sql "CREATE TABLE many_chunks.huge (id bigint PRIMARY KEY, note text)
  WITH (autovacuum_enabled = off);
  INSERT INTO many_chunks.huge SELECT 1000000 * i, 'x' FROM generate_series(0, 1000) AS i;
  ANALYZE many_chunks.huge;
  UPDATE pg_class SET reltuples = 1e9 WHERE oid = 'many_chunks.huge'::regclass"

# measure NAME COMMAND… : wall, peak memory and exit code
measure() {
  local name=$1 code=0
  shift
  /usr/bin/time -f '%e %M' -o "$work/time" "$@" >"$work/stdout" 2>"$work/stderr" || code=$?
  # A command that was killed has a line more, before the figures.
  tail -1 "$work/time" | awk -v n="$name" -v c="$code" \
    '{printf "%-34s %8.2f s   peak %4.0f MiB   exit %s\n", n, $1, $2 / 1024, c}'
}
flags=(--from "$dsn" --chunk-by key:id --chunk-rows 2 --lease-interval 200ms --output json)
# The largest object below a folder whose name fits.
largest() { find "$1" -type f "${@:2}" -printf '%s\n' | sort -n | tail -1; }

measure "plan of $most chunks" "$bin" plan --table "many_chunks.t$most" "${flags[@]:0:6}" --output json
measure "plan of 1e9 rows by statistics" "$bin" plan --table many_chunks.huge --from "$dsn" \
  --chunk-by key:id --chunk-rows $((1000000000 / most)) --output json

"$bin" export --table many_chunks.t1000 --to "$work/t1000" "${flags[@]}" >/dev/null
# Once all chunks of the plan are there and half of them are committed, it is killed.
"$bin" export --table "many_chunks.t$most" --to "$work/t$most" "${flags[@]}" >/dev/null 2>&1 &
pid=$!
while [ "$(find "$work/t$most" -name 'part-*' 2>/dev/null | wc -l)" -lt $((most / 2)) ]; do
  kill -0 $pid || { echo "it ended before it was killed" >&2; exit 1; }
  sleep 1
done
kill -KILL $pid
wait $pid 2>/dev/null || true
left=$((most - $(find "$work/t$most" -name 'part-*' | wc -l)))
entries=$(find "$work/t$most" -path '*/_pgsluice/log/*' | wc -l)

# Resuming up to the first new chunk: a run that stops after one.
measure "resume of $entries entries, one chunk" "$bin" export --table "many_chunks.t$most" \
  --to "$work/t$most" "${flags[@]}" --max-chunks 1 || true
measure "resume, $left chunks to the end" "$bin" export --table "many_chunks.t$most" \
  --to "$work/t$most" "${flags[@]}"
measure "the same command once more" "$bin" export --table "many_chunks.t$most" \
  --to "$work/t$most" "${flags[@]}"

for chunks in 1000 "$most"; do
  at=$work/t$chunks
  printf '%-9s chunks: largest log entry %s B, lease %s B, object %s B; manifest.json %s B in parts of 8 MiB\n' \
    "$chunks" "$(largest "$at" -path '*/_pgsluice/log/*')" "$(largest "$at" -name lease.json)" \
    "$(largest "$at" -name 'part-*')" "$(largest "$at" -name manifest.json)"
done
