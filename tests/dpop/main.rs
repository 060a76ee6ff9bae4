//! Proof of possession (RFC 9449): the mirror of `src/dpop`, and timelines of clients, sessions and devices
//! whose tokens are bound to a key.

#[path = "../support/bound.rs"]
mod bound;
#[path = "../support/responses.rs"]
mod responses;
#[allow(dead_code, reason = "this program needs a part of it")]
#[path = "../support/store.rs"]
mod store;
#[allow(dead_code, reason = "this program needs a part of it")]
#[path = "../support/mod.rs"]
mod support;

mod api;
mod devices;
mod nonces;
mod proofs;
mod sessions;
mod tokens;

use oauth2_proto::dpop::DpopKey;
use oauth2_proto::{Call, Client, ClientAuth, Response, Secret, call::Reply};

use bound::{Proof, key};

/// A confidential client with a key.
#[track_caller]
fn client(key: &DpopKey) -> Client {
    support::client().dpop(key.clone())
}

/// A client with a key and without credentials.
#[track_caller]
fn public_client(key: &DpopKey) -> Client {
    Client::new(support::server(), "fake-client", ClientAuth::none()).unwrap().dpop(key.clone())
}

/// The proof in a call, which must have one.
#[track_caller]
fn proof<R: Reply>(call: &Call<R>) -> Proof {
    Proof::parse(call.request().header("DPoP").expect("a client with a key proves it"))
}

fn refresh_token() -> Secret {
    Secret::new("fake-refresh-token")
}

/// An answer that asks for a nonce.
fn asks_for(nonce: &str) -> Response<'static> {
    Response::new(400, [("DPoP-Nonce", nonce)], br#"{"error":"use_dpop_nonce"}"#)
}

/// An answer with tokens that are bound to a key.
fn bound_tokens() -> Response<'static> {
    responses::json(BOUND)
}

const BOUND: &str = r#"{"access_token":"fake-token","token_type":"DPoP","expires_in":3600,
    "refresh_token":"fake-refresh-1"}"#;

/// The key of most tests.
#[track_caller]
fn some_key() -> DpopKey {
    key(0)
}
