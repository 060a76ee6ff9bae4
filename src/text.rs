//! Texts: how they are read, written, compared, wiped and shown. Nothing here knows OAuth's messages.

pub(crate) mod foreign;
pub(crate) mod form;
pub(crate) mod json;
pub(crate) mod scope;
pub(crate) mod secret;
pub(crate) mod time;
pub(crate) mod uri;
