//! The grants that need no browser on this machine: each file holds one of them.

#[path = "../support/responses.rs"]
mod responses;
#[path = "../support/mod.rs"]
mod support;

mod device;
