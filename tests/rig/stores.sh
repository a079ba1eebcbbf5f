# Starts the object stores beside SeaweedFS, each with the bucket of the same name: a second S3, an
# S3 that ignores conditions, Azure Blob, and a double of Google Cloud Storage. Sourced by
# tests/run.sh; ports, processes and their end are of `servers.sh`.
# shellcheck shell=bash

# Azurite's own, which its documentation gives.
readonly azure_account=devstoreaccount1
readonly azure_key=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==
readonly gcs_token=test-token
readonly old_s3_key=S3RVER # its secret is the same
# Few keys a page, so that every listing has several.
readonly gcs_keys_a_page=7

# All at once; they come up while the databases are made.
start_further_stores() {
    local npm=$testbed/stores-npm/node_modules/.bin
    moto_port=$((base_port + 12))
    azure_port=$((base_port + 13))
    gcs_port=$((base_port + 14))
    old_s3_port=$((base_port + 15))
    mkdir "$run/azure" "$run/old-s3"
    spawn moto TERM -- "$testbed/stores-python/bin/moto_server" -H 127.0.0.1 -p "$moto_port"
    spawn azure TERM -- "$npm/azurite-blob" --silent --disableTelemetry --skipApiVersionCheck \
        --blobHost 127.0.0.1 --blobPort "$azure_port" --location "$run/azure"
    spawn gcs TERM -- python3 "$repo/tests/rig/gcs_double.py" \
        "$gcs_port" "$s3_bucket" "$gcs_token" "$gcs_keys_a_page"
    spawn old-s3 TERM -- "$npm/s3rver" --silent --address 127.0.0.1 --port "$old_s3_port" \
        --directory "$run/old-s3" --configure-bucket "$s3_bucket"
}

wait_for_further_stores() {
    until_it_works moto curl --silent --fail --max-time 5 --output /dev/null --request PUT \
        --aws-sigv4 aws:amz:us-east-1:s3 --user test:test "http://127.0.0.1:$moto_port/$s3_bucket"
    until_it_works azure python3 "$repo/tests/rig/make_container.py" \
        "http://127.0.0.1:$azure_port/$azure_account" "$azure_account" "$azure_key" "$s3_bucket"
    until_it_works gcs curl --silent --fail --max-time 5 --output /dev/null \
        --header "Authorization: Bearer $gcs_token" "http://127.0.0.1:$gcs_port/$s3_bucket"
    until_it_works old-s3 curl --silent --fail --max-time 5 --output /dev/null \
        "http://127.0.0.1:$old_s3_port/$s3_bucket"
}

until_it_works() { # until_it_works NAME COMMAND...: for a minute
    local name=$1 i
    shift
    for ((i = 0; i < 300; i++)); do
        "$@" 2>>"$run/$name-wait.log" && return
        sleep 0.2
    done
    fail "the store $name did not answer within a minute; see $run/$name.log"
}
