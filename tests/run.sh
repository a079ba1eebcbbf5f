#!/usr/bin/env bash
# Checks the whole project against real servers, on a Debian or Ubuntu machine that has nothing
# but Rust and apt.
#
#   tests/run.sh                 format, lints, licences, then every test
#   tests/run.sh -- ARGS         only `cargo test ARGS`, with the servers up
#   tests/run.sh --serve         only the servers, until Ctrl-C; says which file to source
#
# What is missing is installed: by apt for the machine (as root, or through sudo), and by npm,
# pip and cargo, at pinned versions, into a cache folder: target/testbed, or PGSLUICE_TESTBED.
# Servers listen on free ports of 127.0.0.1 and are ended by their process ids. Anything that
# cannot be installed or started ends the script with an error; nothing is skipped.
set -euo pipefail

repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
readonly repo
# shellcheck source=tests/rig/install.sh
source "$repo/tests/rig/install.sh"
# shellcheck source=tests/rig/servers.sh
source "$repo/tests/rig/servers.sh"
# shellcheck source=tests/rig/stores.sh
source "$repo/tests/rig/stores.sh"

say() { printf '\033[1m== %s\033[0m\n' "$*"; }
fail() { printf 'tests/run.sh: %s\n' "$*" >&2; exit 1; }

step() { # step TITLE COMMAND...: runs it and says how long it took
    local title=$1 from=$SECONDS
    shift
    say "$title"
    "$@"
    printf '   %s: %d s\n' "$title" "$((SECONDS - from))"
}

main() {
    local mode=all
    case ${1:-} in
        '') ;;
        --serve) mode=serve ;;
        --) mode=part; shift ;;
        *) fail "unknown argument: $1 (see the head of this file)" ;;
    esac
    cd "$repo"
    trap stop_servers EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM

    step 'install' install_testbed
    step 'start servers' start_servers
    case $mode in
        serve) serve ;;
        part) run_cargo test --locked --features failpoints "$@" ;;
        all) check_all ;;
    esac
}

check_all() {
    step 'format' run_cargo fmt --check
    step 'clippy' run_cargo clippy --locked --all-targets --features failpoints -- -D warnings
    # The library must build without what only the binary needs.
    step 'library alone' run_cargo check --locked --lib --no-default-features
    # The program that people get has no crash points.
    step 'program' run_cargo clippy --locked -- -D warnings
    # Not `advisories`: its database is fetched anew from the network, so that a finding would
    # break an unchanged commit. Run `cargo deny check advisories` before a release.
    step 'licences, bans, sources' run_cargo deny --locked check licenses bans sources
    step 'tests' run_cargo test --locked --features failpoints
    say "all passed in $((SECONDS / 60)) min $((SECONDS % 60)) s"
}

# Runs it as a child that is waited for, so that a signal to this script is handled at once. A
# shell starts such children deaf to SIGINT, and tests would inherit that.
run_cargo() {
    env --default-signal=INT,QUIT cargo "$@" &
    wait_for_child $!
}

wait_for_child() {
    child=$1
    local code=0
    wait "$child" || code=$?
    child=
    return "$code"
}

serve() {
    cp "$run/env" "$testbed/env"
    say "servers are up; in another shell:  source $testbed/env && cargo test --features failpoints"
    echo '   Ctrl-C ends them'
    sleep infinity &
    wait_for_child $!
}

main "$@"
