//! The keeper, in a world whose clock, store and server the tests own.

mod blocking;
#[allow(dead_code, reason = "this program needs a part of it")]
#[path = "../support/bound.rs"]
mod bound;
mod calls;
mod client_credentials;
mod dpop;
mod driver;
mod dropped;
mod errands;
mod life;
mod remote_keys;
mod shared;
mod store_fails;
mod tasks;
mod world;
