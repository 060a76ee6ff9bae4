//! Guides: one longer text for each task.
//!
//! | if you want … | read |
//! |---|---|
//! | to sign a first user in | [`start_here`] |
//! | to integrate Pleo, from the registration to production | [`pleo`] |
//! | to keep tokens alive in threads, processes and machines | [`tokens_over_time`] |
//! | to sign users in to a web application | [`web_sign_ins`] |
//! | to replace the crate `oauth2` | [`from_oauth2`] |
//! | to handle errors | [`errors`] |
//! | to test your own code | [`testing`] |
//! | to know which specification is where, and which test shows it | [`specifications`] |
//! | to know why the crate is as it is | [`decisions`] |

#[doc = include_str!("guide/start_here.md")]
#[doc = include_str!("guide/ideas.svg")]
pub mod start_here {}

#[doc = include_str!("guide/pleo.md")]
pub mod pleo {}

#[doc = include_str!("guide/tokens_over_time.md")]
#[doc = include_str!("guide/refresh.svg")]
pub mod tokens_over_time {}

#[doc = include_str!("guide/web_sign_ins.md")]
pub mod web_sign_ins {}

#[doc = include_str!("guide/from_oauth2.md")]
pub mod from_oauth2 {}

#[doc = include_str!("guide/errors.md")]
pub mod errors {}

#[doc = include_str!("guide/testing.md")]
pub mod testing {}

#[doc = include_str!("guide/specifications.md")]
pub mod specifications {}

#[doc = include_str!("guide/decisions.md")]
pub mod decisions {}
