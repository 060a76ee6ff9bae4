//! placeholder docs
#![forbid(unsafe_code)]
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

mod authorization;
mod call;
mod callback;
mod client;
mod error;
mod form;
mod json;
mod pkce;
pub mod pleo;
mod scope;
mod secret;
mod server;
mod token;

pub use authorization::{AuthorizationRequest, PendingAuthorization};
pub use call::{Call, Request, Response};
pub use callback::Callback;
pub use client::{Client, ClientAuth, RefreshRequest};
pub use error::{Error, ErrorKind, Retry};
pub use pkce::{CodeVerifier, Entropy};
pub use secret::Secret;
pub use server::{AuthorizationServer, Leniency};
pub use token::{TokenResponse, TokenType};
