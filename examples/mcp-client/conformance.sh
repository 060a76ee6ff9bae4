#!/usr/bin/env bash
# Runs the scenarios of MCP's conformance suite that are about authorization, and prints how many this client
# passes.
#
# Installs the suite, and the version of Node.js that it needs, in node_modules here. A warning of the suite
# counts as a failure.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
root=$(cd ../.. && pwd)
node=node_modules/.bin/node
suite=node_modules/@modelcontextprotocol/conformance/dist/index.js
program=$root/target/debug/mcp-client
logs=$root/target/mcp-conformance

SCENARIOS=33

main() {
    install
    cargo build --quiet --manifest-path Cargo.toml --target-dir "$root/target"
    rm -rf "$logs"
    mkdir -p "$logs"
    local all
    all=$("$node" "$suite" list | grep -o 'auth/[a-z0-9-]*')
    [ "$(wc -l <<<"$all")" -eq $SCENARIOS ] || { echo "the suite has other scenarios than expected: $all" >&2; exit 1; }

    xargs -P 4 -I {} ./conformance.sh scenario {} <<<"$all" | tee "$logs/results"
    local passed
    passed=$(grep -c ': passed' "$logs/results" || true)
    echo "passed $passed of $SCENARIOS"
    [ "$passed" -eq $SCENARIOS ]
}

# A copy of the list that was installed tells a complete installation from an interrupted one.
install() {
    cmp -s package-lock.json node_modules/.installed && return
    npm ci --no-audit --no-fund --loglevel=error
    cp package-lock.json node_modules/.installed
}

# scenario NAME: runs one scenario, and prints its name and outcome.
scenario() {
    local log=$logs/${1//\//-}.log flags=()
    # The suite would run these at a version that has no such servers any more.
    [[ $1 != auth/2025-03-26-* ]] || flags=(--spec-version 2025-03-26)
    flags+=(--timeout 120000)
    if "$node" "$suite" client --command "./conformance.sh client" --scenario "$1" "${flags[@]}" >"$log" 2>&1; then
        echo "$1: passed"
    else
        echo "$1: FAILED, see $log"
    fi
}

# client URL: called by the suite; runs the program as a user would in this scenario.
client() {
    local flags=(--follow --call test-tool --protocol "$MCP_CONFORMANCE_PROTOCOL_VERSION")
    flags+=(--client-id-url https://conformance-test.local/client-metadata.json)
    case $MCP_CONFORMANCE_SCENARIO in
    auth/client-credentials-*) flags+=(--client-credentials) ;;
    auth/dpop*) flags+=(--dpop) ;;
    auth/wif-jwt-bearer)
        flags+=(--workload-identity)
        MCP_WORKLOAD_TOKEN=$(context valid_jwt)
        export MCP_WORKLOAD_TOKEN
        ;;
    auth/enterprise-managed-authorization)
        flags+=(--identity-provider "$(context idp_issuer)" --identity-provider-client-id "$(context idp_client_id)")
        MCP_ID_TOKEN=$(context idp_id_token)
        export MCP_ID_TOKEN
        ;;
    esac
    if [ -n "$(context client_id)" ]; then
        flags+=(--client-id "$(context client_id)")
        [ -z "$(context issuer)" ] || flags+=(--issuer "$(context issuer)")
        MCP_CLIENT_SECRET=$(context client_secret)
        export MCP_CLIENT_SECRET
        MCP_PRIVATE_KEY=$(context private_key_pem)
        export MCP_PRIVATE_KEY
    fi
    exec "$program" "${flags[@]}" "$@"
}

# context NAME: prints a value that the suite hands to the client; nothing if there is none.
context() {
    [ -z "${MCP_CONFORMANCE_CONTEXT:-}" ] ||
        "$node" -p 'JSON.parse(process.env.MCP_CONFORMANCE_CONTEXT)[process.argv[1]] ?? ""' "$1"
}

"${@:-main}"
