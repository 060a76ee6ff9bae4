//! The grants that need no browser (RFC 6749 §6).

pub mod device;
pub(crate) mod refresh;

pub use refresh::{Refresh, RefreshRequest};
