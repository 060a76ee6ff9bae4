//! The authorization code grant up to the token request: the mirror of `src/authorization`.

#[path = "../../examples/support/server.rs"]
mod embedded;
#[path = "../support/mod.rs"]
mod support;

mod attacks;
mod callback;
mod configuration;
mod jarm;
mod options;
mod pending;
mod pushed;
mod request;
mod sign_in;
mod signed;
mod stored;
