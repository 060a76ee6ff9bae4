//! Client authentication with keys and certificates: the mirror of `src/client_auth`.

#[path = "../support/responses.rs"]
mod responses;
#[allow(dead_code, reason = "this program needs a part of it")]
#[path = "../support/mod.rs"]
mod support;

mod assertions;
mod attacks;
mod certificates;
mod keys;
mod operations;
mod signing;
