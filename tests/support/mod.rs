//! The values that every test program needs: a client, a fixed time, and an authorization up to its token
//! request.

use std::time::{Duration, SystemTime};

use oauth2_proto::{
    AuthorizationServer, Call, Client, ClientAuth, Entropy, PendingAuthorization, TokenResponse,
};

pub const REDIRECT_URI: &str = "https://app.example/callback";

/// A Tuesday in 2023; no test depends on which.
pub fn now() -> SystemTime {
    later(0)
}

/// Returns the time this many seconds after `now`.
pub fn later(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + seconds)
}

#[track_caller]
pub fn server() -> AuthorizationServer {
    AuthorizationServer::new("https://as.example/authorize", "https://as.example/token").unwrap()
}

#[track_caller]
pub fn client() -> Client {
    client_of(server())
}

#[track_caller]
pub fn client_of(server: AuthorizationServer) -> Client {
    Client::new(server, "fake-client", ClientAuth::basic("fake-secret")).unwrap()
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

/// An authorization that starts now: the URL for the user, and what waits for the callback.
#[track_caller]
pub fn start(client: &Client) -> (String, PendingAuthorization) {
    client
        .authorize(REDIRECT_URI)
        .scopes(["export:read", "export:write"])
        .start_with(entropy(), now())
        .unwrap()
}

/// The token request of an authorization whose callback brought a code.
#[track_caller]
pub fn token_call(client: &Client) -> Call<TokenResponse> {
    let (_, mut pending) = start(client);
    let callback = format!("code=fake-code&state={}", pending.state());
    pending.receive(client, callback.as_str(), now()).unwrap()
}
