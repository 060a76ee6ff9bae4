#!/usr/bin/env bash
# Tests every store, and starts the servers that they need: run.sh [ARGUMENTS OF cargo test]
#
# PostgreSQL and Redis run in a temporary directory, without a TCP port, and are stopped at the end. Without this
# script, and with Rust alone: cargo test -p store-contract -p memory-store -p file-store -p sqlite-store
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)

main() {
    directory=$(mktemp -d)
    trap clean_up EXIT
    trap 'exit 130' INT TERM
    find_servers || install_servers
    cargo test --manifest-path "$here/Cargo.toml" --target-dir "$root/target" --workspace --no-run
    start_postgres
    start_redis
    DATABASE_URL="host=$directory user=postgres dbname=postgres" REDIS_URL="unix://$directory/redis.socket" \
        cargo test --manifest-path "$here/Cargo.toml" --target-dir "$root/target" --workspace "$@"
}

# Finds the programs of the newest PostgreSQL, which Debian keeps out of the search path, and Redis.
find_servers() {
    programs=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1)
    [ -n "$programs" ] || programs=$(dirname "$(command -v initdb)")
    [ -x "$programs/initdb" ] && command -v redis-server >/dev/null
}

install_servers() {
    local as_root=()
    [ "$(id -u)" -eq 0 ] || as_root=(sudo)
    "${as_root[@]}" apt-get update -q
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends \
        postgresql redis-server
    find_servers
}

start_postgres() {
    # PostgreSQL refuses to run as root.
    as_postgres=()
    if [ "$(id -u)" -eq 0 ]; then
        as_postgres=(runuser -u postgres --)
        chown postgres "$directory"
    fi
    # Trusts every connection: the directory's permissions protect the socket.
    in_directory "$programs/initdb" -D data -U postgres --auth=trust --no-sync >"$directory/initdb.log"
    in_directory "$programs/pg_ctl" -D data -w -l "$directory/postgres.log" \
        -o "-k '$directory' -c listen_addresses=" start >/dev/null
    has_postgres=1
    in_directory "$programs/psql" -q -h "$directory" -U postgres -v ON_ERROR_STOP=1 <"$here/postgres/schema.sql"
}

# Starts Redis with the settings that src/lib.rs of its store asks for.
start_redis() {
    redis-server --port 0 --unixsocket "$directory/redis.socket" --dir "$directory" --save "" \
        --appendonly yes --appendfsync always --maxmemory-policy noeviction >"$directory/redis.log" &
    redis=$!
    local try
    for try in {1..100}; do
        redis-cli -s "$directory/redis.socket" ping >/dev/null 2>&1 && return
        sleep 0.1
    done
    return 1
}

in_directory() {
    (cd "$directory" && "${as_postgres[@]}" "$@")
}

has_postgres=
redis=
clean_up() {
    local code=$? log
    # `pg_ctl` finds the server by the process id in its data directory.
    [ -z "$has_postgres" ] || in_directory "$programs/pg_ctl" -D data -w -m immediate stop >/dev/null
    [ -z "$redis" ] || { kill "$redis" 2>/dev/null && wait "$redis"; } || true
    if [ "$code" -ne 0 ]; then
        for log in "$directory"/*.log; do
            [ ! -s "$log" ] || tail -n 5 "$log" >&2
        done
    fi
    rm -rf "$directory"
    exit "$code"
}

main "$@"
