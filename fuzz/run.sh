#!/usr/bin/env bash
# Fuzzes: fuzz/run.sh [SECONDS] [TARGET...]. Without arguments: 20 seconds each target.
#
# Stable Rust: coverage comes from LLVM's sanitizer-coverage pass, and the code has no `unsafe`
# that an address sanitizer would watch. New inputs go to fuzz/target/corpus/TARGET, findings to
# fuzz/target/findings; fuzz/corpus/TARGET holds the small set that every run begins with.
set -euo pipefail

readonly here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly all_targets=(frames values round_trip manifest)
readonly max_input_bytes=4096
# A log of two runs has some 9 KB.
readonly max_log_bytes=16384
readonly memory_limit_mib=1024

main() {
    local seconds=${1:-20} target
    shift || true
    local targets=("$@")
    ((${#targets[@]})) || targets=("${all_targets[@]}")
    build
    for target in "${targets[@]}"; do fuzz "$target" "$seconds"; done
}

build() {
    export RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module \
        -Cllvm-args=-sanitizer-coverage-level=4 \
        -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
        -Cllvm-args=-sanitizer-coverage-pc-table -Ccodegen-units=4"
    cargo build --quiet --release --locked --manifest-path "$here/Cargo.toml" --target "$(host)" \
        --target-dir "$here/target"
}

# With an explicit target, build scripts and macros are built without the flags.
host() { rustc -vV | sed -n 's/^host: //p'; }

fuzz() {
    local target=$1 seconds=$2
    local found=$here/target/corpus/$target findings=$here/target/findings
    local log=$here/target/$target.log
    local bytes=$max_input_bytes
    [[ $target == manifest ]] && bytes=$max_log_bytes
    mkdir -p "$found" "$findings" "$here/corpus/$target"
    echo "== fuzz $target for $seconds s"
    if ! "$here/target/$(host)/release/$target" "$found" "$here/corpus/$target" \
        -max_total_time="$seconds" -max_len="$bytes" -rss_limit_mb="$memory_limit_mib" \
        -timeout=10 -artifact_prefix="$findings/$target-" -print_final_stats=1 >"$log" 2>&1; then
        tail -n 40 "$log" >&2
        echo "fuzz/run.sh: $target found something; see $findings" >&2
        return 1
    fi
    grep 'stat::number_of_executed_units' "$log"
}

main "$@"
