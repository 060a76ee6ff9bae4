#!/usr/bin/env bash
# Builds the module, starts the authorization server of the examples, and signs in from Node.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

module=$(./build.sh)
cargo build --manifest-path ../../Cargo.toml --example embedded_server

# The server ends when its standard input closes, even if this script is killed.
coproc server { exec cargo run -q --manifest-path ../../Cargo.toml --example embedded_server; }
read -r -t 30 base <&"${server[0]}" || { echo "the server does not start" >&2; exit 1; }
timeout 60 node run.mjs "$module" "$base"

exec {server[1]}>&-
wait "$server_PID"
