//! `Session`, as timelines: each file holds one kind of event.

#[allow(dead_code, reason = "this program needs a part of it")]
#[path = "../support/bound.rs"]
mod bound;
#[path = "../support/responses.rs"]
mod responses;
#[path = "../support/steps.rs"]
mod steps;
#[path = "../support/store.rs"]
mod store;
#[path = "../support/mod.rs"]
mod support;

mod answers;
mod attacks;
mod client_credentials;
mod crashes;
mod crossing;
mod dead;
mod end;
mod holders;
mod policy;
mod refresh;
mod repeated;
mod sign_in;
mod stored;
mod stuck;
mod time;
