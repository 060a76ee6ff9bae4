#!/usr/bin/env bash
# Runs the demonstration and everything it needs: run.sh [SECONDS]
#
# The script starts a PostgreSQL in a temporary directory, without a TCP port, and stops it at the end.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
seconds=${1:-60}

main() {
    directory=$(mktemp -d)
    trap clean_up EXIT
    trap 'exit 130' INT TERM
    find_postgres || install_postgres
    "$root/tests/servers/install.sh" oidc-provider
    cargo build --manifest-path "$here/Cargo.toml" --target-dir "$root/target"
    start_postgres
    TMPDIR=$directory DATABASE_URL="host=$directory user=postgres dbname=postgres" \
        "$root/target/debug/postgres-sessions" --seconds "$seconds"
}

# Finds the programs of the newest PostgreSQL, which Debian keeps out of the search path.
find_postgres() {
    programs=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1)
    [ -n "$programs" ] || programs=$(dirname "$(command -v initdb)")
    [ -x "$programs/initdb" ]
}

install_postgres() {
    local as_root=()
    [ "$(id -u)" -eq 0 ] || as_root=(sudo)
    "${as_root[@]}" apt-get update -q
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends postgresql
    find_postgres
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
    started=1
    in_directory "$programs/psql" -q -h "$directory" -U postgres -v ON_ERROR_STOP=1 <"$root/examples/stores/postgres/schema.sql"
}

in_directory() {
    (cd "$directory" && "${as_postgres[@]}" "$@")
}

started=
clean_up() {
    local code=$?
    # `pg_ctl` finds the server by the process id in its data directory.
    [ -z "$started" ] || in_directory "$programs/pg_ctl" -D data -w -m immediate stop >/dev/null
    [ "$code" -eq 0 ] || [ ! -s "$directory/postgres.log" ] || tail -n 5 "$directory/postgres.log" >&2
    rm -rf "$directory"
    exit "$code"
}

main
