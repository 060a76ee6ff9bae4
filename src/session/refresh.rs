//! The refresh of a [`Session`](crate::Session): a reply that only the session reads.

use crate::call::{Reply, sealed};
use crate::grants::refresh::RefreshContext;
use crate::session::record::Generation;

/// The [`Reply`] to a refresh of a [`Session`](crate::Session). Only
/// [`Session::received`](crate::Session::received) reads it, so that no token is used before it is saved.
#[derive(Debug)]
pub enum SessionRefresh {}

impl Reply for SessionRefresh {}

impl sealed::Reply for SessionRefresh {
    type Context = SessionContext;
}

/// The context that a session needs to read the answer to its refresh.
pub struct SessionContext {
    pub(crate) refresh: RefreshContext,
    pub(crate) attempt: Attempt,
}

/// Identifies one refresh of one session among the earlier and later ones.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attempt {
    pub(crate) authorization: [u8; 16],
    /// The revision of the snapshot that holds the claim.
    pub(crate) revision: u64,
    /// The generation of the tokens to replace.
    pub(crate) generation: Generation,
    /// Milliseconds of Unix time.
    pub(crate) sent_at: u64,
}
