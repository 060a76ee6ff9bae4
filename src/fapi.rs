//! The FAPI 2.0 Security Profile for clients, by one constructor: [`Client::fapi2`].
//!
//! It switches on what the profile asks of a client, and refuses a server that cannot do it. What is then
//! left to your program is in the last column of this table (§5.3.3 of the final profile):
//!
//! | §5.3.3.1 | the client | held by | left to your program |
//! |---|---|---|---|
//! | 1 | has sender-constrained access tokens | [`SenderConstraint`] | the TLS certificate, if it is that |
//! | 2 | authenticates by a key or a certificate | `fapi2` refuses any other authentication | |
//! | 3 | sends access tokens in the header only | [`ProtectedApi`](crate::challenge::ProtectedApi) | use it |
//! | 4 | has no open redirector | | your own pages |
//! | 5 | names the issuer, as a text, as the audience of an assertion | `fapi2` | |
//! | 6 | rotates refresh tokens | [`Session`](crate::Session), [`keeper`](crate::keeper) | the store |
//! | 7 | uses the server's `mtls_endpoint_aliases` | every request | |
//! | 8 | takes the server's DPoP nonces | [`dpop`](crate::dpop) | |
//! | 9, 11 | takes the endpoints from metadata of the same issuer | [`discovery`](crate::discovery) | store what it returns, and change nothing |
//! | 10 | has the issuer from an authoritative source | | your configuration |
//! | 12 | starts with the user's consent, protected from CSRF | | your own page |
//! | 13 | asks for the least scopes that it needs | | the scopes |
//!
//! | §5.3.3.2 | the client | held by |
//! |---|---|---|
//! | 1 | uses the authorization code grant | there is no other one with a user's browser |
//! | 2, 6 | pushes the request, and sends only `client_id` and `request_uri` by the browser | `start` refuses; [`push`](crate::authorization::AuthorizationRequest::push) |
//! | 3, 4 | uses PKCE with `S256`, a new challenge each time, bound to the browser | always; keep the pending authorization in the browser's session |
//! | 5 | checks `iss` | a callback without it is refused |
//!
//! Signatures are of PS256, ES256 or EdDSA (§5.4), also those of ID tokens, of signed requests and responses,
//! of logout tokens and of claims about the user.
//!
//! ```
//! use oauth2_proto::fapi::SenderConstraint;
//! use oauth2_proto::jose::{Algorithm, PublicKey, SigningKey};
//! use oauth2_proto::{AuthorizationServer, Client, ClientAuth, Entropy};
//! use std::time::SystemTime;
//!
//! // By `discovery`, from the metadata of the server.
//! let server: AuthorizationServer = serde_json::from_str(
//!     r#"{"issuer":"https://as.example",
//!         "authorization_endpoint":"https://as.example/authorize",
//!         "token_endpoint":"https://as.example/token",
//!         "pushed_authorization_request_endpoint":"https://as.example/par",
//!         "token_endpoint_auth_methods_supported":["private_key_jwt"],
//!         "code_challenge_methods_supported":["S256"],
//!         "authorization_response_iss_parameter_supported":true,
//!         "tls_client_certificate_bound_access_tokens":true}"#,
//! )
//! .unwrap();
//! let public_key = PublicKey::from_jwk(
//!     r#"{"kty":"EC","crv":"P-256","kid":"fake-key-1",
//!         "x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs",
//!         "y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA"}"#,
//! )?;
//! let key = SigningKey::remote(Algorithm::ES256, public_key)?;
//! let auth = ClientAuth::private_key_jwt(key);
//! let client = Client::fapi2(server, "client-id", auth, SenderConstraint::Certificate)?;
//!
//! let request = client.authorize("https://app.example/callback").scopes(["accounts"]);
//! let refused = request.start_with(Entropy::from_bytes([1; 128]), SystemTime::now());
//! assert!(refused.unwrap_err().to_string().contains("push"));
//! # Ok::<(), oauth2_proto::Error>(())
//! ```

use std::sync::Arc;

use serde_json::Value;

use crate::client::Client;
use crate::client_auth::{Audience, ClientAuth};
use crate::dpop::DpopKey;
use crate::error::Error;
use crate::jose::Algorithm;
use crate::server::AuthorizationServer;

/// How access tokens are bound to their client (FAPI 2.0 Security Profile §5.3.3.1 clause 1).
#[derive(Clone, Debug)]
pub enum SenderConstraint {
    /// By proofs of a key (RFC 9449).
    Dpop(DpopKey),
    /// By the certificate that your HTTP client presents to the server and to the API (RFC 8705 §3).
    Certificate,
}

/// The algorithms of the profile (FAPI 2.0 Security Profile §5.4.1). `Ed25519` is another name of `EdDSA`
/// with this curve.
pub const ALGORITHMS: [Algorithm; 4] =
    [Algorithm::PS256, Algorithm::ES256, Algorithm::EdDSA, Algorithm::Ed25519];

impl Client {
    /// Makes a client that keeps to the FAPI 2.0 Security Profile; the module [`fapi`](crate::fapi) says what
    /// that means, and has an example.
    ///
    /// `server` is one that [`discovery`](crate::discovery) found: what its metadata does not announce, it
    /// cannot do.
    ///
    /// # Errors
    ///
    /// - The errors of [`new`](Self::new).
    /// - Misuse: the authentication is neither [`private_key_jwt`](ClientAuth::private_key_jwt) nor one by a
    ///   certificate, its assertions have another audience than the issuer, or a key has another algorithm
    ///   than [`ALGORITHMS`].
    /// - Unsupported: the server's metadata lacks something that the profile needs; the message names it.
    pub fn fapi2(
        server: AuthorizationServer,
        client_id: impl Into<String>,
        auth: ClientAuth,
        constraint: SenderConstraint,
    ) -> Result<Self, Error> {
        check_auth(&auth)?;
        check_server(&server)?;
        match &constraint {
            SenderConstraint::Dpop(key) => {
                check_algorithm("the key of the proofs", key.key().algorithm())?;
                let name = key.key().algorithm().name();
                if !server.lists("dpop_signing_alg_values_supported", name) {
                    return Err(lacks(format!("proofs with {name} in dpop_signing_alg_values_supported")));
                }
            }
            SenderConstraint::Certificate
                if server.says_of("tls_client_certificate_bound_access_tokens") != Some(true) =>
            {
                return Err(lacks("tls_client_certificate_bound_access_tokens"));
            }
            SenderConstraint::Certificate => {}
        }
        let client = Self::new(held_to_the_profile(server), client_id, auth)?;
        match constraint {
            SenderConstraint::Dpop(key) => Ok(client.dpop(key)),
            SenderConstraint::Certificate => client.presents_certificate(),
        }
    }
}

/// Refuses an authentication that is none of the profile's (§5.3.3.1 clauses 2 and 5).
fn check_auth(auth: &ClientAuth) -> Result<(), Error> {
    match auth.method() {
        "tls_client_auth" | "self_signed_tls_client_auth" => return Ok(()),
        "private_key_jwt" => {}
        other => {
            return Err(Error::misuse(format!(
                "the client authentication {other} is not one of FAPI 2.0; use ClientAuth::private_key_jwt or \
                 ClientAuth::tls_client_auth"
            )));
        }
    }
    if auth.audience() != Some(Audience::Issuer) {
        return Err(Error::misuse(
            "the assertions have another audience than the issuer, which FAPI 2.0 section 5.3.3.1 asks for; leave \
             out assertion_audience",
        ));
    }
    auth.signing_key().map_or(Ok(()), |key| check_algorithm("the key of the client", key.algorithm()))
}

fn check_algorithm(what: &str, algorithm: Algorithm) -> Result<(), Error> {
    match ALGORITHMS.contains(&algorithm) {
        true => Ok(()),
        false => Err(Error::misuse(format!(
            "{what} has the algorithm {algorithm}, and FAPI 2.0 section 5.4.1 allows PS256, ES256 and EdDSA"
        ))),
    }
}

/// Refuses a server whose metadata lacks what the profile needs.
fn check_server(server: &AuthorizationServer) -> Result<(), Error> {
    let methods = server.code_challenge_methods_supported.iter().flatten();
    if server.issuer.is_none() {
        return Err(lacks("an issuer"));
    }
    if server.pushed_authorization_request_endpoint.is_none() {
        return Err(lacks("pushed_authorization_request_endpoint"));
    }
    if !server.authorization_response_iss_parameter_supported {
        return Err(lacks("authorization_response_iss_parameter_supported"));
    }
    if !methods.into_iter().any(|method| method == "S256") {
        return Err(lacks("S256 in code_challenge_methods_supported"));
    }
    Ok(())
}

/// Returns the server with what it permits reduced to the profile.
fn held_to_the_profile(mut server: AuthorizationServer) -> AuthorizationServer {
    server.require_pushed_authorization_requests = true;
    let allowed = ALGORITHMS.map(Algorithm::name);
    match &mut server.id_token_signing_alg_values_supported {
        Some(listed) => listed.retain(|name| allowed.contains(&&**name)),
        unlisted => *unlisted = Some(allowed.map(Into::into).to_vec()),
    }
    let mut extras = server.extras.as_deref().cloned().unwrap_or_default();
    for name in OTHER_SIGNATURES {
        let listed = extras.get(name).and_then(Value::as_array);
        let is_listed = |name: &&str| listed.is_none_or(|listed| listed.iter().any(|it| it == name));
        let left: Value = allowed.into_iter().filter(is_listed).collect();
        extras.insert(name.to_owned(), left);
    }
    server.extras = Some(Arc::new(extras));
    server
}

/// The lists of algorithms that the server or this client signs with (§5.4.1), apart from those of ID tokens
/// and of assertions.
const OTHER_SIGNATURES: [&str; 4] = [
    "authorization_signing_alg_values_supported",
    "dpop_signing_alg_values_supported",
    "request_object_signing_alg_values_supported",
    "userinfo_signing_alg_values_supported",
];

fn lacks(what: impl AsRef<str>) -> Error {
    Error::unsupported(format!("{}, which FAPI 2.0 needs and its metadata does not announce", what.as_ref()))
}
