//! OAuth 2.0 for clients as a pure protocol crate: it makes requests as plain data and reads the responses.
//! The program around it does the HTTP, in whatever style it already has.
//!
//! The crate has four main types:
//!
//! - [`Client`]: a registration at one [`AuthorizationServer`] ([`pleo`] has Pleo's), where every operation
//!   starts.
//! - [`PendingAuthorization`]: a sign-in whose user is away in the browser.
//! - [`Call`]: one [`Request`] and the only reader of its [`Response`], so that answers cannot be mixed up.
//! - [`Session`]: the tokens over time, kept alive by one refresh at a time among all who share them. A
//!   [`keeper`] drives sessions for you: one call returns a good access token.
//!
//! Time comes in as `now` and randomness as [`Entropy`]; the crate has no other input from its surroundings.
//! Every failure is an [`Error`] that says whose fault it is and what to do.
//!
//! # A whole sign-in
//!
//! This example fixes randomness and time, and writes out the server's answers, as a test does:
//!
//! ```
//! use oauth2_proto::{
//!     Advice, Client, ClientAuth, Entropy, RefreshPolicy, Response, Secret, Session, Step, pleo,
//!     session::Reason,
//! };
//! use std::time::{Duration, SystemTime};
//!
//! # fn main() -> Result<(), oauth2_proto::Error> {
//! let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
//! let auth = ClientAuth::basic("fake-secret");
//! let client = Client::new(pleo::staging(), "client-id", auth)?;
//!
//! // 1. Send the user to the authorization server. `start(now)` takes random bytes from
//! // the operating system.
//! let request = client.authorize("https://app.example/callback").scopes(["export:read"]);
//! let (url, mut pending) = request.start_with(Entropy::from_bytes([1; 128]), now)?;
//! assert_eq!(
//!     url,
//!     "https://auth.staging.pleo.io/oauth/authorize?response_type=code\
//!      &client_id=client-id&code_challenge_method=S256&redirect_uri=https%3A%2F%2Fapp.example%2Fcallback\
//!      &scope=export%3Aread&state=AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE\
//!      &code_challenge=VtX6czP210fbQsI5QH5dpMMvTHnzXQkrE0_TWkAtnFw"
//! );
//!
//! // 2. An attacker forges a callback. It is refused, and changes nothing.
//! let forged = pending.receive(&client, "code=stolen&state=guessed", now).unwrap_err();
//! assert_eq!(forged.advice(), Advice::KeepWaiting);
//!
//! // 3. The browser comes back. Only a checked callback makes a token request.
//! let callback = "code=fake-code&state=AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE";
//! let call = pending.receive(&client, callback, now)?;
//! assert_eq!(call.request().url(), "https://auth.staging.pleo.io/oauth/token");
//! let header = call.request().header("authorization");
//! assert_eq!(header, Some("Basic Y2xpZW50LWlkOmZha2Utc2VjcmV0"));
//! assert_eq!(
//!     call.request().body(),
//!     "grant_type=authorization_code&code=fake-code\
//!      &redirect_uri=https%3A%2F%2Fapp.example%2Fcallback\
//!      &code_verifier=AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE"
//! );
//!
//! // 4. The server is overloaded: the same call may be sent again.
//! let answer = Response::new(503, [("retry-after", "2")], b"<html>busy</html>");
//! let busy = call.read(answer).unwrap_err();
//! assert_eq!(busy.advice(), Advice::RetryLater);
//! assert_eq!(busy.retry_after(now), Some(Duration::from_secs(2)));
//!
//! // 5. The server answers.
//! let json = [("content-type", "application/json")];
//! let body = br#"{"access_token":"fake-1","token_type":"Bearer",
//!     "expires_in":3600,"refresh_token":"fake-2"}"#;
//! let tokens = call.read(Response::new(200, json, body))?;
//! assert_eq!(tokens.access_token().expose(), "fake-1");
//! assert_eq!(tokens.granted_scopes().collect::<Vec<_>>(), ["export:read"]);
//!
//! // 6. From here on a session keeps the tokens. They are usable once they are stored.
//! let mut session = Session::new(tokens, RefreshPolicy::default(), now);
//! assert_eq!(session.access_token(now), None);
//! let Step::Save(save) = session.poll(now) else { panic!() };
//! assert_eq!((save.expected_revision(), save.snapshot().revision()), (0, 1));
//! session.saved(save);
//! assert_eq!(session.access_token(now).map(Secret::expose), Some("fake-1"));
//!
//! // 7. When a refresh is due, the session claims it in the store, so that no other
//! // holder sends one.
//! let Step::Idle(Some(later)) = session.poll(now) else { panic!() };
//! let Step::Save(claim) = session.poll(later) else { panic!() };
//! session.saved(claim);
//! let Step::Send { .. } = session.poll(later) else { panic!() };
//! let call = session.send(&client, later)?.unwrap();
//! assert_eq!(call.request().body(), "grant_type=refresh_token&refresh_token=fake-2");
//!
//! // 8. In the end the server says that the refresh token is gone.
//! let body = br#"{"error":"invalid_grant"}"#;
//! let gone = session.received(call, Response::new(400, json, body), later).unwrap_err();
//! assert_eq!((gone.code(), gone.advice()), (Some("invalid_grant"), Advice::Reauthorize));
//! let Step::Save(end) = session.poll(later) else { panic!() };
//! session.saved(end);
//! let Step::Reauthorize(Reason::Refused) = session.poll(later) else { panic!() };
//! # Ok(())
//! # }
//! ```
//!
//! # With an HTTP client
//!
//! One function connects any HTTP client: copy [`Request::method`], [`url`](Request::url),
//! [`headers`](Request::headers) and [`body`](Request::body) into its request, and pass the status, headers
//! and body of its answer to [`Response::new`]. Switch off redirects and automatic retries, because codes and
//! refresh tokens work once. Treat the statuses 400 and 500 as answers, not as errors of the HTTP client. The
//! feature `http` converts to and from the types of the `http` crate.
//!
//! # Features
//!
//! - `os-random`, on by default: `AuthorizationRequest::start` and `Entropy::from_os`, which take random
//!   bytes from the operating system. Without it, if the compiler does not find `start`, call
//!   [`start_with`](authorization::AuthorizationRequest::start_with) and pass an [`Entropy`] of your own. The
//!   crate then builds for `wasm32-unknown-unknown`, too.
//! - `http`: conversions from a [`Request`] into an `http::Request`, and from an `http::Response` into a
//!   [`Response`].
//! - `keys`: `LocalKey` and `LocalVerifier` in [`jose`], which sign and verify with RSA, P-256 and Ed25519 on
//!   libraries in pure Rust. Without it, your program signs and verifies.
//!
//! None adds a part of the protocol; the rest of the crate is always there.
//!
//! # Modules
//!
//! The root exports the types that a program with one server needs. The modules hold the rest: the requests
//! about to be sent ([`authorization`], [`grants`]), the keeper of tokens ([`keeper`]), the accepted
//! deviations of a server ([`server`]), token types ([`token`]), the parts of a session ([`session`]), the
//! kinds of errors ([`error`]), and how calls are typed ([`call`]).
//!
//! A program for servers that it does not know in advance finds them by [`discovery`], and registers itself
//! by [`registration`]. [`challenge`] has the header for an API and reads what the API's answer asks for;
//! [`management`] revokes and looks up tokens.
//!
//! A client may have keys ([`jose`]): they replace its secret ([`client_auth`]), bind its tokens ([`dpop`]),
//! and sign its requests ([`authorization`]). [`oidc`] says who signed in (OpenID Connect), and signs users
//! out; [`fapi`] holds a client to the FAPI 2.0 Security Profile. The guide has [each
//! specification](guide::specifications) with its place in the crate.
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![deny(
    missing_docs,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::unreachable,
    clippy::todo,
    clippy::indexing_slicing,
    clippy::string_slice
)]

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod answer;
pub mod authorization;
pub mod call;
pub mod challenge;
mod client;
pub mod client_auth;
pub mod discovery;
pub mod dpop;
pub mod error;
pub mod fapi;
pub mod grants;
#[cfg(any(doc, doctest))]
pub mod guide;
pub mod jose;
pub mod keeper;
pub mod management;
pub mod oidc;
pub mod pleo;
pub mod registration;
pub mod server;
pub mod session;
mod text;
pub mod token;

pub use authorization::{Callback, Entropy, PendingAuthorization};
pub use call::{Call, Request, Response};
pub use client::Client;
pub use client_auth::ClientAuth;
pub use error::{Advice, Error};
pub use server::AuthorizationServer;
pub use session::{RefreshPolicy, Session, Snapshot, Step};
pub use text::secret::Secret;
pub use token::TokenResponse;
