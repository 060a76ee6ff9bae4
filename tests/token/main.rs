//! The token endpoint: the request, how the client authenticates, the response, and a single refresh.

#[path = "../support/responses.rs"]
mod responses;
#[path = "../support/mod.rs"]
mod support;

mod attacks;
mod client_auth;
mod damage;
mod details;
mod echoes;
mod refresh;
mod request;
mod response;
