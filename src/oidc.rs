//! OpenID Connect: who signed in, and the sign-out (OpenID Connect Core, RP-Initiated Logout, Back-Channel
//! Logout).
//!
//! [`AuthorizationRequest::openid`](crate::authorization::AuthorizationRequest::openid) makes an
//! authorization that also says who the user is. Its tokens come with a checked [`IdToken`], or not at all:
//!
//! ```
//! use oauth2_proto::jose::Verification;
//! use oauth2_proto::{AuthorizationServer, Client, ClientAuth, Entropy, Response};
//! use std::time::{Duration, SystemTime};
//!
//! # fn main() -> Result<(), oauth2_proto::Error> {
//! # let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
//! let server = AuthorizationServer::new(
//!     "https://as.example/authorize",
//!     "https://as.example/token",
//! )?
//! .issuer("https://as.example")?;
//! let client = Client::new(server, "client-id", ClientAuth::basic("fake-secret"))?;
//!
//! let request = client.authorize("https://app.example/callback").scopes(["email"]).openid();
//! let (url, mut pending) = request.start_with(Entropy::from_bytes([1; 128]), now)?;
//! assert!(url.contains("&scope=email+openid&"));
//! assert!(url.ends_with("&nonce=AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE"));
//!
//! let callback = "code=fake-code&state=AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE";
//! let call = pending.receive(&client, callback, now)?;
//!
//! // The server answers your program itself, so TLS may stand in for the signature.
//! let verification = Verification::left_to_tls();
//! # let body = concat!(
//! #     r#"{"access_token":"fake","token_type":"Bearer","id_token":"eyJhbGciOiJSUzI1NiJ9."#,
//! #     "eyJpc3MiOiJodHRwczovL2FzLmV4YW1wbGUiLCJzdWIiOiJmYWtlLXVzZXIiLCJhdWQiOiJjbGll",
//! #     "bnQtaWQiLCJleHAiOjE3MDAwMDAzMDAsImlhdCI6MTcwMDAwMDAwMCwibm9uY2UiOiJBUUVCQVFF",
//! #     "QkFRRUJBUUVCQVFFQkFRRUJBUUVCQVFFQkFRRUJBUUVCQVFFIn0.ZmFrZQ\"}",
//! # );
//! let response = Response::new(200, [("content-type", "application/json")], body.as_bytes());
//! let (tokens, id_token) = call.authenticate(response, &verification, now)?.into_parts();
//! assert_eq!(id_token.subject(), "fake-user");
//! assert_eq!(tokens.access_token().expose(), "fake");
//! # Ok(())
//! # }
//! ```
//!
//! To check signatures as well, fetch the keys of the server: [`jose`](crate::jose) has an example.
//!
//! # Other ID tokens
//!
//! A refresh, a device authorization and other grants may bring an ID token, too. It is an
//! [`UncheckedIdToken`], which gives nothing away before it is checked:
//! [`TokenResponse::id_token`](crate::TokenResponse::id_token) and
//! [`Extras::id_token`](crate::token::Extras::id_token) return it. Keep
//! [`IdToken::to_previous`] of the sign-in, because a refresh must bring the same user.
//!
//! # Afterwards
//!
//! [`Client::userinfo`](crate::Client::userinfo) asks for more about the user,
//! [`Client::logout`](crate::Client::logout) signs the user out at the server, and
//! [`Client::read_logout_token`](crate::Client::read_logout_token) reads that the server signed the user out.
//!
//! In the repository, `cargo run --example openid --features keys` shows all of this at an embedded server,
//! from the discovery to the return of the browser after the sign-out, with a key that the server changes
//! meanwhile.

mod authentication;
mod back_channel;
mod id_token;
mod logout;
mod pending;
mod request;
mod unchecked;
mod userinfo;

pub use self::authentication::Authentication;
pub use self::back_channel::LogoutToken;
pub use self::id_token::{IdToken, PreviousIdToken};
pub use self::logout::{LogoutRequest, PendingLogout};
pub use self::pending::{ExpectedIdToken, PendingAuthentication};
pub use self::request::AuthenticationRequest;
pub use self::unchecked::UncheckedIdToken;
pub use self::userinfo::{UserInfo, UserInfoRequest};
