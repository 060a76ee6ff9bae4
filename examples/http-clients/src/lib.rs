//! What the programs in `src/bin` share: everything but the transport.

#![allow(clippy::disallowed_methods, reason = "a program has a clock; the crate has none")]

mod demo;
mod hostile;
#[path = "../../support/http.rs"]
mod http;
pub mod rules;
#[path = "../../support/server.rs"]
mod server;

pub use demo::Demo;

/// The reason of a failure, in a sentence.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;
