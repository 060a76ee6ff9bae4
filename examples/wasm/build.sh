#!/usr/bin/env bash
# Builds the module and prints where it is.
#
# It takes the Rust compiler at hand if that has the standard library for WebAssembly
# (`rustup target add wasm32-unknown-unknown`), or else Debian's, which comes with the library as source
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
    # Cargo builds a standard library only for a nightly compiler, or one that is told to behave like one.
    export RUSTC_BOOTSTRAP=1
    # Debian's may be a little older than the crate asks for, and have what the crate needs as unstable features.
    # The dependencies are chosen first, for the choice would ignore versions too.
    cargo fetch >&2
    features='-Zcrate-attr=feature(let_chains,slice_as_chunks)'
    arguments+=(-Z build-std=std,panic_abort -Z profile-rustflags --ignore-rust-version
        --config "profile.release.package.oauth2-proto.rustflags=['$features']")
fi

cargo build "${arguments[@]}" >&2
echo "$PWD/target/$target/release/oauth2_proto_wasm.wasm"
