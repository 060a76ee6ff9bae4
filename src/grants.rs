//! The grants that need no browser (RFC 6749 §6).

pub(crate) mod refresh;

pub use refresh::{Refresh, RefreshRequest};
