//! OpenID Connect: the mirror of `src/oidc`.

#[allow(dead_code, reason = "this program needs a part of it")]
#[path = "../support/bound.rs"]
mod bound;
#[allow(dead_code, reason = "this program needs a part of it")]
#[path = "../support/mod.rs"]
mod support;

mod attacks;
mod logout;
mod refresh;
mod sign_in;
mod signatures;
mod stored;
mod userinfo;
mod vectors;

use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use oauth2_proto::jose::{Algorithm, PublicKey, Verification, Verifier};
use oauth2_proto::oidc::{Authentication, IdToken, PendingAuthentication};
use oauth2_proto::{AuthorizationServer, Call, Client, Error, Response};
use serde_json::{Value, json};

use support::{REDIRECT_URI, client_of, entropy, now};

const ISSUER: &str = "https://as.example";

/// The nonce of `entropy()`.
const NONCE: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

#[track_caller]
fn server() -> AuthorizationServer {
    let server = support::server().issuer(ISSUER).unwrap();
    let server = server.jwks_uri("https://as.example/keys").unwrap();
    let server = server.userinfo_endpoint("https://as.example/userinfo").unwrap();
    server.end_session_endpoint("https://as.example/logout").unwrap()
}

#[track_caller]
fn client() -> Client {
    client_of(server())
}

/// A sign-in that starts now.
#[track_caller]
fn start(client: &Client) -> (String, PendingAuthentication) {
    client.authorize(REDIRECT_URI).scopes(["email"]).openid().start_with(entropy(), now()).unwrap()
}

/// The token request of a sign-in whose callback brought a code.
#[track_caller]
fn call(client: &Client) -> Call<Authentication> {
    let (_, mut pending) = start(client);
    let callback = format!("code=fake-code&state={}", pending.state());
    pending.receive(client, callback.as_str(), now()).unwrap()
}

/// The claims of a sound ID token.
fn claims() -> Value {
    let now = now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    json!({"iss": ISSUER, "sub": "fake-user", "aud": "fake-client", "exp": now + 300, "iat": now, "nonce": NONCE})
}

/// Claims with another value of one of them; `null` removes it.
fn changed(mut claims: Value, name: &str, value: Value) -> Value {
    claims[name] = value;
    claims
}

/// A token with these claims, whose signature is "fake".
fn token(claims: &Value) -> String {
    token_of(&json!({"alg": "RS256", "kid": "fake-key"}), claims)
}

fn token_of(header: &Value, claims: &Value) -> String {
    let part = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
    format!("{}.{}.ZmFrZQ", part(header), part(claims))
}

/// The body of a token response with this ID token.
fn body(id_token: &str) -> String {
    json!({"access_token": "fake-access", "token_type": "Bearer", "expires_in": 60,
        "refresh_token": "fake-refresh", "id_token": id_token})
    .to_string()
}

/// An answer of the server.
fn answer(status: u16, body: &str) -> Response<'_> {
    Response::new(status, [("content-type", "application/json")], body.as_bytes())
}

/// Reads the ID token of a sign-in, whose signature is left to TLS.
fn authenticate(claims: &Value, at: SystemTime) -> Result<IdToken, Error> {
    let body = body(&token(claims));
    let read = call(&client()).authenticate(answer(200, &body), &Verification::left_to_tls(), at);
    read.map(|authentication| authentication.into_parts().1)
}

/// A checked ID token of a sign-in.
#[track_caller]
fn id_token() -> IdToken {
    authenticate(&claims(), now()).unwrap()
}

/// A library that finds each signature right, or each one wrong.
struct Always(bool);

impl Verifier for Always {
    fn verifies(&self, _: Algorithm, _: &PublicKey, _: &[u8], _: &[u8]) -> bool {
        self.0
    }
}
