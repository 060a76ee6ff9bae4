//! What several test files need: a client, a fixed time, and authorizations with a known state.

#![allow(dead_code, reason = "each test file uses its own part")]

use std::time::{Duration, SystemTime};

use oauth2_proto::{
    AuthorizationServer, Call, Client, ClientAuth, Entropy, PendingAuthorization, Response, TokenResponse,
};
use serde_json::Value;

pub const REDIRECT_URI: &str = "https://app.example/callback";

/// A Tuesday in 2023; nothing depends on which.
pub fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000)
}

pub fn later(seconds: u64) -> SystemTime {
    now() + Duration::from_secs(seconds)
}

pub fn entropy() -> Entropy {
    entropy_of([9; 32], [7; 32])
}

/// Random bytes with these parts for `state` and the code verifier.
pub fn entropy_of(state: [u8; 32], verifier: [u8; 32]) -> Entropy {
    let mut block = [0; 128];
    block[..32].copy_from_slice(&state);
    block[32..64].copy_from_slice(&verifier);
    Entropy::from_bytes(block)
}

pub fn server() -> AuthorizationServer {
    AuthorizationServer::new("https://as.example/authorize", "https://as.example/token").unwrap()
}

pub fn client() -> Client {
    client_of(server())
}

pub fn client_of(server: AuthorizationServer) -> Client {
    Client::new(server, "fake-client", ClientAuth::basic("fake-secret")).unwrap()
}

pub fn start(client: &Client) -> (String, PendingAuthorization) {
    client
        .authorize(REDIRECT_URI)
        .scopes(["export:read", "export:write"])
        .start_with(entropy(), now())
        .unwrap()
}

/// An authorization that waits for `state`, as if it had been started with it.
pub fn pending_with_state(client: &Client, state: &str) -> PendingAuthorization {
    let mut stored = serde_json::to_value(start(client).1).unwrap();
    stored["state"] = state.into();
    serde_json::from_value(stored).unwrap()
}

/// The token request of a sign-in that went well so far.
pub fn token_call(client: &Client) -> Call<TokenResponse> {
    let (_, mut pending) = start(client);
    let callback = format!("code=fake-code&state={}", pending.state());
    pending.receive(client, callback.as_str(), now()).unwrap()
}

pub fn json(body: &str) -> Response<'_> {
    Response::new(200, [("content-type", "application/json")], body.as_bytes())
}

/// The cases of a file in `tests/vectors`.
pub fn vectors(file: &str) -> Vec<Value> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(file);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap()
}

/// The `state` that comes of `entropy()`.
pub fn entropy_state() -> String {
    start(&client()).1.state().to_owned()
}
