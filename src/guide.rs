//! Guides: longer texts about one task each.

#[doc = include_str!("guide/tokens_over_time.md")]
pub mod tokens_over_time {}
