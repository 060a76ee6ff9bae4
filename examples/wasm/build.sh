#!/usr/bin/env bash
# Builds the module and prints its path.
#
# The script uses the default Rust compiler if it has the standard library for WebAssembly
# (`rustup target add wasm32-unknown-unknown`), or else Debian's compiler with the library's source
# (`apt-get install rustc-web rust-web-src lld`).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

target=wasm32-unknown-unknown
arguments=(--release --target "$target" --target-dir target)

if [ ! -d "$(rustc --print target-libdir --target "$target")" ]; then
    [ -d /usr/lib/rustlib/src/rust/library ] && command -v wasm-ld >/dev/null || {
        echo "the compiler cannot build for $target; see the first lines of examples/wasm/build.sh" >&2
        exit 1
    }
    export RUSTC=/usr/bin/rustc CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=wasm-ld
    # `-Z build-std` needs a nightly compiler, or a stable one with `RUSTC_BOOTSTRAP`.
    export RUSTC_BOOTSTRAP=1
    # Debian's compiler may be older than the crate's minimum and offer the needed features as unstable ones.
    # Fetching first resolves the dependencies with the minimum version respected.
    cargo fetch >&2
    features='-Zcrate-attr=feature(let_chains,slice_as_chunks)'
    arguments+=(-Z build-std=std,panic_abort -Z profile-rustflags --ignore-rust-version
        --config "profile.release.package.oauth2-proto.rustflags=['$features']")
fi

cargo build "${arguments[@]}" >&2
echo "$PWD/target/$target/release/oauth2_proto_wasm.wasm"
