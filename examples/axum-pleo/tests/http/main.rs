//! Drives the application over HTTP: one test for each thing that can happen to a user.

mod account;
mod browser;
mod sign_in;
#[path = "../support/mod.rs"]
mod support;
