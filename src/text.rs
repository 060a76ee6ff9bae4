//! Texts: how they are parsed, written, compared, wiped and shown. This module does not know OAuth's
//! messages, and its parsers return reasons instead of the crate's error.

pub(crate) mod foreign;
pub(crate) mod form;
pub(crate) mod json;
pub(crate) mod salvage;
pub(crate) mod scope;
pub(crate) mod secret;
pub(crate) mod time;
pub(crate) mod uri;
