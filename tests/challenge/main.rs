//! Access tokens in use: challenges, what they mean, step-up, and the header for an API.

#[path = "../support/mod.rs"]
mod support;

mod api;
mod attacks;
mod step_up;
mod verdict;
mod www_authenticate;
