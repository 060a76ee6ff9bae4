//! From the authorization request to the checked response (RFC 6749 §4.1).

pub(crate) mod callback;
mod jarm;
mod options;
mod pending;
pub(crate) mod pkce;
mod pushed;
mod request;
mod signed;
mod stored;

pub use callback::Callback;
pub use pending::PendingAuthorization;
pub use pkce::{CodeVerifier, Entropy};
pub use pushed::PushedAuthorization;
pub use request::AuthorizationRequest;
pub use signed::{SignedAuthorization, UnsignedAuthorization};

pub(crate) use jarm::JARM_ALGORITHMS;
