#!/usr/bin/env bash
# usage: benches/end_to_end.sh DSN TABLE [RUNS] [EXPORT FLAGS…]
# Wall time and peak memory of `pgsluice export` to a local folder, beside the bound that no
# exporter can pass: psql throwing the same COPY away. Runs are interleaved; medians are printed.
# A table to measure: psql DSN -v rows=6000000 -f benches/lineitem.sql
set -euo pipefail
dsn=${1:?DSN} table=${2:?TABLE} runs=${3:-5}
shift $(($# < 3 ? $# : 3))
here=$(cd "$(dirname "$0")/.." && pwd)
cargo build --release --quiet --manifest-path "$here/Cargo.toml"
bin=${CARGO_TARGET_DIR:-$here/target}/release/pgsluice
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export PGOPTIONS='-c synchronize_seqscans=off'

timed() { # name command… : appends "wall rss_kib" to $work/name
  local name=$1
  shift
  /usr/bin/time -f '%e %M' -a -o "$work/$name" "$@" >/dev/null
}
bound() { timed bound psql -qX -d "$dsn" -c "COPY (SELECT * FROM $table) TO STDOUT (FORMAT binary)"; }
ours() {
  rm -rf "$work/out"
  timed ours "$bin" export --from "$dsn" --table "$table" --to "$work/out" --quiet "$@"
}
median() { sort -n | awk '{v[NR] = $1} END {print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2}'; }

bound && ours "$@" && rm "$work/bound" "$work/ours" # warm caches
for _ in $(seq "$runs"); do bound && ours "$@"; done
b=$(cut -d' ' -f1 "$work/bound" | median)
o=$(cut -d' ' -f1 "$work/ours" | median)
r=$(cut -d' ' -f2 "$work/ours" | median)
bytes=$(du -sb "$work/out" | cut -f1)
awk -v t="$table" -v b="$b" -v o="$o" -v r="$r" -v s="$bytes" 'BEGIN {
  printf "%-12s psql %.2f s   pgsluice %.2f s   ratio %.2f   peak %.0f MiB   output %.1f MB\n", t, b, o, o/b, r/1024, s/1e6 }'
