#!/usr/bin/env bash
# Compares what a program pays to compile oauth2-proto, and the crate oauth2 with and without its default features: cold
# builds, number of crates, and size of the stripped program. The programs do the same: they build a client, an
# authorization URL and a token request, and read a token response, all without HTTP.
#
# Run `benches/builds.sh` on a fresh clone. It fails if there are too many crates. Times depend on the machine, so their
# budgets are only shown; they count CPU time, because a wall clock also measures what else runs. `benches/builds.sh 3`
# takes the least of three times.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Every crate that a build on this platform compiles, oauth2-proto included and the program itself left out.
MAX_CRATES=59
ROUNDS=${1:-1}
# What `time` prints: wall clock, user and system time in seconds with three decimals.
TIMEFORMAT='%3R %3U %3S'

mkdir -p target
scratch=$(mktemp -d "$PWD/target/builds.XXXXXX")
trap 'rm -rf "$scratch"' EXIT

# A cold build uses no compiler cache and writes nothing for incremental compilation.
export CARGO_INCREMENTAL=0 CARGO_PROFILE_RELEASE_STRIP=true RUSTC_WRAPPER=

main() {
    package proto "oauth2-proto = { path = '$PWD' }" <<'RUST'
use oauth2_proto::{Callback, Client, ClientAuth, Response, pleo};
use std::{error::Error, time::SystemTime};

fn main() -> Result<(), Box<dyn Error>> {
    let now = SystemTime::now();
    let client = Client::new(pleo::staging(), "fake-client", ClientAuth::basic("fake-secret"))?;
    let (url, mut pending) = client.authorize("https://app.example/callback").scopes(["export:read"]).start(now)?;
    let state = url.split_once("&state=").map_or("", |(_, rest)| rest.split('&').next().unwrap_or(""));
    let callback = format!("https://app.example/callback?code=fake-code&state={state}");
    let call = pending.receive(&client, Callback::url(&callback), now)?;
    let body = br#"{"access_token":"fake-1","token_type":"Bearer"}"#;
    let tokens = call.read(Response::new(200, [("content-type", "application/json")], body))?;
    println!("{url} {}", tokens.access_token().expose());
    Ok(())
}
RUST
    oauth2 oauth2-default ""
    oauth2 oauth2-bare ", default-features = false"

    echo "least of $ROUNDS cold builds in seconds (CPU time, wall clock), crates compiled, bytes of the stripped program"
    printf '%-32s %16s %16s %8s %10s\n' "" "debug" "release" "crates" "bytes"
    measure proto "oauth2-proto"
    measure oauth2-default "oauth2 5"
    measure oauth2-bare "oauth2 5 without its defaults"

    budget "a debug build takes less CPU time than that of oauth2 without its defaults" \
        "${cpu[proto-debug]}" -lt "${cpu[oauth2-bare-debug]}" || true
    budget "a release build takes less CPU time than that of oauth2 without its defaults" \
        "${cpu[proto-release]}" -lt "${cpu[oauth2-bare-release]}" || true
    budget "at most $MAX_CRATES crates with default features" "${crates[proto]}" -le "$MAX_CRATES"
}

# oauth2 NAME FEATURES: makes the program that uses oauth2.
oauth2() {
    package "$1" "oauth2 = { version = '5'$2 }" <<'RUST'
use oauth2::{basic::BasicClient, http::header, *};
use std::{convert::Infallible, error::Error};

fn main() -> Result<(), Box<dyn Error>> {
    let client = BasicClient::new(ClientId::new("fake-client".into()))
        .set_client_secret(ClientSecret::new("fake-secret".into()))
        .set_auth_uri(AuthUrl::new("https://auth.staging.pleo.io/oauth/authorize".into())?)
        .set_token_uri(TokenUrl::new("https://auth.staging.pleo.io/oauth/token".into())?)
        .set_redirect_uri(RedirectUrl::new("https://app.example/callback".into())?);
    let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
    let scope = Scope::new("export:read".into());
    let url = client.authorize_url(CsrfToken::new_random).add_scope(scope).set_pkce_challenge(challenge).url().0;
    let answer = |_: HttpRequest| {
        let mut response = HttpResponse::new(br#"{"access_token":"fake-1","token_type":"bearer"}"#.to_vec());
        let json = header::HeaderValue::from_static("application/json");
        response.headers_mut().insert(header::CONTENT_TYPE, json);
        Ok::<_, Infallible>(response)
    };
    let code = AuthorizationCode::new("fake-code".into());
    let tokens = client.exchange_code(code).set_pkce_verifier(verifier).request(&answer)?;
    println!("{url} {}", tokens.access_token().secret());
    Ok(())
}
RUST
}

# package NAME DEPENDENCY: makes a package from a dependency and the program in standard input, and downloads what it needs.
package() {
    mkdir -p "$scratch/$1/src"
    printf '[package]\nname = "program"\nedition = "2024"\n[workspace]\n[dependencies]\n%s\n' "$2" >"$scratch/$1/Cargo.toml"
    cat >"$scratch/$1/src/main.rs"
    cargo fetch --quiet --manifest-path "$scratch/$1/Cargo.toml" --target "$(rustc -vV | sed -n 's/^host: //p')"
}

# measure NAME TITLE: builds a package and prints its row of the table.
declare -A cpu wall crates
measure() {
    local tree
    tree=$(cargo tree --offline --manifest-path "$scratch/$1/Cargo.toml" -e normal,build --prefix none -f '{p}')
    crates[$1]=$(sed 's/ (.*//' <<<"$tree" | sort -u | grep -vc '^program ')
    build "$1" debug
    build "$1" release --release
    "$scratch/$1/target/release/program" >/dev/null
    printf '%-32s %s %s %8s %10s\n' "$2" "$(times "$1-debug")" "$(times "$1-release")" "${crates[$1]}" \
        "$(wc -c <"$scratch/$1/target/release/program")"
}

# build NAME PROFILE [OPTION]: builds a package from nothing, and keeps the least times in milliseconds.
build() {
    local key=$1-$2 round real user system spent
    for round in $(seq "$ROUNDS"); do
        rm -rf "$scratch/$1/target"
        spent=$({ time cargo build --quiet --offline --manifest-path "$scratch/$1/Cargo.toml" \
            --target-dir "$scratch/$1/target" ${3:+"$3"} 2>&3; } 3>&2 2>&1)
        read -r real user system <<<"${spent//./}"
        real=$((10#$real)) user=$((10#$user + 10#$system))
        [ "$round" -gt 1 ] && [ "$user" -ge "${cpu[$key]}" ] || cpu[$key]=$user
        [ "$round" -gt 1 ] && [ "$real" -ge "${wall[$key]}" ] || wall[$key]=$real
    done
}

times() {
    printf '%5s.%s %6s.%s' $((cpu[$1] / 1000)) $((cpu[$1] % 1000 / 100)) $((wall[$1] / 1000)) $((wall[$1] % 1000 / 100))
}

# budget WHAT CONDITION...: prints whether the condition is met.
budget() {
    local what=$1
    shift
    if [ "$@" ]; then echo "met    $what"; else
        echo "MISSED $what"
        return 1
    fi
}

main
