#!/usr/bin/env bash
# From nothing to Parquet in one go: a private PostgreSQL with a million rows, an export of four
# tables to a local folder, and the proof that what can be read back is what PostgreSQL holds.
#
# Needs Rust, and apt (as root or through sudo) where PostgreSQL or python3-venv is missing.
# Everything it makes lies in target/quickstart; the PostgreSQL that it starts ends with it.
# Run it as often as you like. PGSLUICE_BIN names a built pgsluice to use instead of building one.
set -euo pipefail

repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
work=$repo/target/quickstart
lake=$work/lake
tables=(customers products orders order_items)
cluster= postgres_pid=

main() {
    trap stop_postgres EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    mkdir -p "$work"
    rm -rf "$lake"

    step 'programs' find_programs
    step 'PostgreSQL' start_postgres
    step 'a million rows' load
    step 'pgsluice' build
    # Small chunks, so that there is something to see; the default is 256 MiB.
    local table flags=(--chunk-bytes 8MiB)
    for table in "${tables[@]}"; do flags+=(--table "$table"); done

    show "$pgsluice" plan --from "$dsn" --chunk-bytes 8MiB --table order_items
    show "$pgsluice" export --from "$dsn" "${flags[@]}" --to "$lake"
    show "$pgsluice" status "$lake"
    echo
    step 'read back with DuckDB' compare
    printf '\nThe files are in %s\n' "$lake/public"
}

step() { # step TITLE COMMAND...
    local title=$1 from=$SECONDS
    shift
    printf '%-24s' "$title"
    "$@"
    printf '  %d s\n' "$((SECONDS - from))"
}

show() { # show COMMAND...: what a person would type, then what it says
    local word line='$ pgsluice'
    for word in "${@:2}"; do
        [[ $word =~ ^[A-Za-z0-9_./-]+$ ]] || word="'$word'"
        line+=" $word"
    done
    printf '\n\033[1m%s\033[0m\n' "$line"
    "$@"
}

fail() { printf '\nquickstart: %s\n' "$*" >&2; exit 1; }

find_programs() {
    local missing=()
    compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || missing+=(postgresql)
    python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3 python3-venv)
    if ((${#missing[@]})); then
        as_root apt-get update -qq >/dev/null
        as_root env DEBIAN_FRONTEND=noninteractive \
            apt-get install -qq -y --no-install-recommends "${missing[@]}" >/dev/null
    fi
    bin=$(compgen -G '/usr/lib/postgresql/*/bin/initdb' | sort -V | tail -n 1)
    bin=${bin%/initdb}
    if [[ ! -x $work/venv/bin/python ]] || ! "$work/venv/bin/python" -c 'import duckdb' 2>/dev/null; then
        python3 -m venv --clear "$work/venv"
        "$work/venv/bin/pip" install --quiet --disable-pip-version-check duckdb==1.5.5
    fi
}

as_root() {
    if ((EUID == 0)); then
        "$@"
    else
        command -v sudo >/dev/null || fail "needs root or sudo to run: $*"
        sudo "$@"
    fi
}

# A cluster of its own, on a Unix socket that nobody else can reach. PostgreSQL refuses to run as
# root; there it runs as the user that the distribution's package made.
start_postgres() {
    local user=()
    cluster=$(mktemp -d /tmp/pgsluice-quickstart.XXXXXX)
    if ((EUID == 0)); then
        user=(--reuid=postgres --regid=postgres --clear-groups)
        chown postgres "$cluster"
    fi
    setpriv "${user[@]}" -- env -i PATH=/usr/bin:/bin LC_ALL=C.UTF-8 \
        "$bin/initdb" -D "$cluster/data" -U postgres -A trust -E UTF8 --no-sync \
        >"$work/initdb.log" 2>&1 || fail "initdb failed; see $work/initdb.log"
    # It also ends when this script is killed and no trap can run.
    setpriv --pdeathsig QUIT "${user[@]}" -- env -i PATH=/usr/bin:/bin LC_ALL=C.UTF-8 \
        "$bin/postgres" -D "$cluster/data" -c listen_addresses= -c fsync=off \
        -c unix_socket_directories="$cluster" >"$work/postgres.log" 2>&1 </dev/null &
    postgres_pid=$!
    dsn="postgresql:///postgres?host=$cluster&user=postgres"
    local i
    for ((i = 0; i < 300; i++)); do
        "$bin/pg_isready" --quiet --dbname="$dsn" && return
        sleep 0.1
    done
    fail "PostgreSQL did not start within 30 s; see $work/postgres.log"
}

stop_postgres() {
    local code=$?
    trap - EXIT INT TERM
    if [[ -n $postgres_pid ]]; then
        kill -QUIT "$postgres_pid" 2>/dev/null || true
        wait "$postgres_pid" 2>/dev/null || true
    fi
    [[ -z $cluster ]] || rm -rf "$cluster"
    exit "$code"
}

psql() { "$bin/psql" --no-psqlrc --quiet -v ON_ERROR_STOP=1 "$@" "$dsn"; }

load() { psql --file="$repo/examples/quickstart.sql" >/dev/null; }

build() {
    pgsluice=${PGSLUICE_BIN:-}
    [[ -z $pgsluice ]] || return 0
    (cd "$repo" && cargo build --release --locked --quiet)
    pgsluice=${CARGO_TARGET_DIR:-$repo/target}/release/pgsluice
}

# The same questions to PostgreSQL and, through DuckDB, to the Parquet files.
questions() {
    local count='count(*)' text='varchar'
    [[ $1 == duckdb ]] || text='text'
    echo "customers|$count|sum(id)|count(born)|sum(length(email) + length(name))|count(*) FILTER (WHERE newsletter)"
    echo "products|$count|sum(price)|sum(CAST(weight_kg * 1000 AS integer))|min(CAST(sku AS $text))|count(thumbnail)"
    echo "orders|$count|sum(total)|count(note)|max(placed_at) AT TIME ZONE 'UTC'|count(*) FILTER (WHERE CAST(status AS $text) = 'paid')"
    echo "order_items|$count|sum(order_id)|sum(quantity * price)|sum(line)|max(product_id)"
}

compare() {
    answers postgres >"$work/postgres.txt"
    answers duckdb >"$work/duckdb.txt"
    echo
    diff "$work/postgres.txt" "$work/duckdb.txt" || fail 'the files differ from PostgreSQL'
    echo '  table, rows, and sums and counts of its columns:'
    column -t -s '|' "$work/duckdb.txt" | sed 's/^/  /'
    printf '%-24s' '  the same in both'
}

answers() { # answers postgres|duckdb: one line a table, parts separated by bars
    local table columns
    questions "$1" | while IFS='|' read -r table columns; do
        columns=${columns//|/, }
        printf '%s|' "$table"
        if [[ $1 == postgres ]]; then
            psql --tuples-only --no-align --field-separator='|' --command="SELECT $columns FROM $table"
        else
            "$work/venv/bin/python" - "$columns" "$lake/public/$table/*.parquet" <<'PYTHON'
import sys, duckdb

columns, files = sys.argv[1:]
row = duckdb.sql(f"SELECT {columns} FROM read_parquet('{files}')").fetchone()
print("|".join(str(value) for value in row))
PYTHON
        fi
    done
}

main "$@"
