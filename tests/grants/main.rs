//! The grants that need no browser: the request, the response, and what is refused before any request.

#[path = "../support/responses.rs"]
mod responses;
#[path = "../support/mod.rs"]
mod support;

mod bearer;
mod client_credentials;
mod device;
mod exchange;
mod extension;
mod identity_assertion;
mod pleo;
mod vectors;
