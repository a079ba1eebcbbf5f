#!/usr/bin/env bash
# usage: benches/chunk_cost.sh DSN [ROWS] [CHUNKS]
# What each way of cutting a table costs its server: the pages that all chunks together ask for
# (EXPLAIN (ANALYZE, BUFFERS): shared hit + read) and those they spill to disk (temp), for a key in
# whose order the rows lie and for one in no order. Makes two tables in a schema of its own and
# drops it at the end. PGSLUICE names another program than the release build.
set -euo pipefail
dsn=${1:?DSN} rows=${2:-1000000} chunks=${3:-10}
here=$(cd "$(dirname "$0")/.." && pwd)
if [[ -z ${PGSLUICE:-} ]]; then
  cargo build --release --quiet --manifest-path "$here/Cargo.toml"
  PGSLUICE=${CARGO_TARGET_DIR:-$here/target}/release/pgsluice
fi
sql() { psql -qXAt -v ON_ERROR_STOP=1 -d "$dsn" "$@"; }
work=$(mktemp -d)
trap 'rm -rf "$work"; sql -c "SET client_min_messages TO error; DROP SCHEMA IF EXISTS chunk_cost CASCADE"' EXIT

# The multiplier is coprime to the modulus: each key comes once, in no order.
sql -v rows="$rows" <<'SQL'
SET client_min_messages TO error;
DROP SCHEMA IF EXISTS chunk_cost CASCADE;
CREATE SCHEMA chunk_cost;
CREATE TABLE chunk_cost.aligned AS SELECT i::int8 AS key, repeat(md5(i::text), 3) AS pad
  FROM generate_series(1, :rows) i;
CREATE TABLE chunk_cost.random AS SELECT i * 48271::int8 % (:rows + 3) AS key, repeat(md5(i::text), 3) AS pad
  FROM generate_series(1, :rows) i;
ALTER TABLE chunk_cost.aligned ADD PRIMARY KEY (key);
CREATE INDEX ON chunk_cost.random (key); ALTER TABLE chunk_cost.random ALTER key SET NOT NULL;
SQL
sql -c 'VACUUM ANALYZE chunk_cost.aligned' -c 'VACUUM ANALYZE chunk_cost.random'

cost() { # cost TABLE METHOD: chunks, pages of the table, pages asked for, pages spilled
  "$PGSLUICE" plan --from "$dsn" --table "chunk_cost.$1" --chunk-by "$2" \
    --chunk-rows $(((rows + chunks - 1) / chunks)) --output json >"$work/plan"
  sql -v plan="$(cat "$work/plan")" -v table="chunk_cost.$1" <<'SQL'
CREATE FUNCTION pg_temp.pages(plan json) RETURNS SETOF int8[] LANGUAGE plpgsql AS $$
DECLARE chunk json; told json;
BEGIN
  FOR chunk IN SELECT json_array_elements(plan #> '{tables,0,chunks}') LOOP
    EXECUTE 'EXPLAIN (ANALYZE, BUFFERS, TIMING off, FORMAT json) ' || (chunk ->> 'sql') INTO told;
    told := told #> '{0,Plan}';
    RETURN NEXT ARRAY[(told ->> 'Shared Hit Blocks')::int8 + (told ->> 'Shared Read Blocks')::int8,
      (told ->> 'Temp Read Blocks')::int8 + (told ->> 'Temp Written Blocks')::int8];
  END LOOP;
END $$;
SELECT count(*), pg_relation_size(:'table') / 8192, sum(p[1]), sum(p[2])
FROM pg_temp.pages(:'plan') AS p;
SQL
}

echo '| method | key | chunks | pages asked for | times the table | pages spilled |'
echo '|---|---|---:|---:|---:|---:|'
for table in aligned random; do
  for method in none key:key ctid offset; do
    cost "$table" "$method" | awk -F'|' -v t="$table" -v m="${method%:key}" '{
      printf "| `%s` | %s | %d | %d | %.2f | %d |\n", m, t, $1, $3, $3 / $2, $4 }'
  done
done
