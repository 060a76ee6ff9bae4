//! The scopes and resources that a request asks for.

use crate::client::Client;
use crate::error::Error;
use crate::text::scope::Scope;
use crate::text::uri::Resource;
use crate::token::reader::TokenContext;

/// The scopes and resources that a request under construction asks for.
#[derive(Default)]
pub(crate) struct Wanted<'a> {
    pub(crate) scope: Scope,
    pub(crate) resources: Vec<Resource<'a>>,
    /// The first scope, resource or other value that was refused; starting the request returns it.
    misuse: Option<Error>,
}

impl<'a> Wanted<'a> {
    /// Adds scopes, each one scope token (RFC 6749 §3.3).
    pub(crate) fn add_scopes(&mut self, scopes: impl IntoIterator<Item = impl AsRef<str>>) {
        if let Err(refused) = self.scope.extend(scopes) {
            self.misuse.get_or_insert_with(|| Error::misuse(format!("the scope {refused}")));
        }
    }

    /// Adds a resource that the access token is for (RFC 8707 §2).
    pub(crate) fn add_resource(&mut self, resource: &'a str) {
        match Resource::parse(resource) {
            Ok(resource) => self.resources.push(resource),
            Err(refused) => {
                self.misuse.get_or_insert_with(|| Error::misuse(format!("the resource {refused}")));
            }
        }
    }

    /// Records the misuse of another value.
    pub(crate) fn refuse(&mut self, why: impl FnOnce() -> String) {
        self.misuse.get_or_insert_with(|| Error::misuse(why()));
    }

    /// Returns the first misuse.
    pub(crate) fn check(&mut self) -> Result<(), Error> {
        self.misuse.take().map_or(Ok(()), Err)
    }

    /// Returns the resources as parameters of the request (RFC 8707 §2).
    pub(crate) fn resource_parameters(&self) -> impl Iterator<Item = (&str, &str)> + Clone {
        self.resources.iter().map(|resource| ("resource", resource.as_str()))
    }

    /// Returns the context of the reader, if the request asks for tokens.
    pub(crate) fn into_context(self, client: &Client) -> TokenContext {
        client.token_context(self.requested_scope(), self.into_resources())
    }

    /// Returns the requested scope, for the reader of the response; `None` if no scope is requested.
    pub(crate) fn requested_scope(&self) -> Option<Scope> {
        Some(&self.scope).filter(|scope| !scope.as_str().is_empty()).cloned()
    }

    /// Returns the resources, for the reader of the response.
    pub(crate) fn into_resources(self) -> Vec<Resource<'static>> {
        self.resources.into_iter().map(Resource::into_owned).collect()
    }
}
