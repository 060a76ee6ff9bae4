#!/bin/sh
# Installs what the named servers need, or all servers, into folders that git ignores. Safe to run again.
set -u
here=$(cd "$(dirname "$0")" && pwd)
failed=0

# have COMMAND: says so when the command is missing.
have() {
    command -v "$1" >/dev/null 2>&1 || { echo "$server: $1 is missing" >&2; return 1; }
}

# A copy of the list that was installed tells a complete installation from an interrupted one.
install_node() {
    have node && have npm || return 1
    cmp -s package-lock.json node_modules/.installed && return
    npm ci --no-audit --no-fund --loglevel=error && cp package-lock.json node_modules/.installed
}

install_python() {
    cmp -s requirements.txt .venv/.installed && .venv/bin/python -c '' && return
    have python3 || return 1
    if ! python3 -m venv --clear .venv; then
        echo "$server: python3 cannot make a virtual environment (Debian: the package python3-venv)" >&2
        return 1
    fi
    .venv/bin/python -m pip install --quiet --requirement requirements.txt && cp requirements.txt .venv/.installed
}

[ $# -gt 0 ] || set -- oidc-provider authlib django-oauth-toolkit workers-oauth-provider
for server in "$@"; do
    if ! cd "$here/$server" 2>/dev/null; then
        echo "$server: there is no such server" >&2
        failed=1
        continue
    fi
    if [ -f package.json ]; then install_node; else install_python; fi
    if [ $? -eq 0 ]; then
        echo "$server: installed"
    else
        echo "$server: not installed" >&2
        failed=1
    fi
done
exit $failed
