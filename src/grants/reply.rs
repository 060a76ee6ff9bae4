//! The reply to a grant.

use crate::call::{Readable, Reply, Response, sealed};
use crate::error::Error;
use crate::token::TokenResponse;
use crate::token::reader::{self, TokenContext};

/// The [`Reply`] to a JWT bearer or an extension grant, which is read as a [`TokenResponse`].
///
/// After a refusal such as `invalid_grant`, [`Reauthorize`](crate::Advice::Reauthorize) means that the grant
/// is used up or too old: obtain another one, such as a new assertion.
#[derive(Debug)]
pub enum Grant {}

impl Reply for Grant {}

impl sealed::Reply for Grant {
    type Context = TokenContext;
}

impl Readable for Grant {
    type Output = TokenResponse;

    fn read(response: Response<'_>, context: &TokenContext) -> Result<TokenResponse, Error> {
        reader::read(response, context).map_err(|unread| unread.error)
    }
}
