//! The management of a registration: to read, update and delete it at the server (RFC 7592).

use crate::call::{Call, Readable, Reply, Request, Response, sealed};
use crate::error::Error;
use crate::registration::metadata::{AUTH_METHOD, ClientMetadata, ISSUED};
use crate::registration::reader::RegistrationContext;
use crate::registration::registered::{Management, Registered};
use crate::registration::{bearer, to_json};
use crate::text::json::Extras;
use crate::token::reader;

impl Registered {
    /// Starts to read the registration from the server (RFC 7592 §2.1).
    ///
    /// Credentials that the answer leaves out are kept: the client secret, its expiry, and the address and
    /// token that manage the registration. After a refusal or an unreadable answer, this value stays in
    /// force. After status 401 the registration is most likely gone: register again.
    ///
    /// # Errors
    ///
    /// Misuse, if the server does not offer to manage the registration.
    ///
    /// The answer is suspect if it is the registration of another client.
    pub fn read(&self) -> Result<Call<Self>, Error> {
        let Management { uri, token } = self.management()?;
        let request = Request::without_body("GET", uri.to_shared(), Some(bearer(token)));
        Ok(Call::new(request, self.context(None)))
    }

    /// Starts to update the registration (RFC 7592 §2.2).
    ///
    /// An update replaces all members, so it sends those that the server answered with the `metadata` in
    /// their place. To remove a member, set it to `null`. The rest is as for [`read`](Self::read).
    ///
    /// # Errors
    ///
    /// Misuse, if the server does not offer to manage the registration, or the metadata has one of the faults
    /// that [`ClientMetadata`] lists.
    pub fn update(&self, metadata: &ClientMetadata) -> Result<Call<Self>, Error> {
        let Management { uri, token } = self.management()?;
        let mut answered = Extras::default();
        let kept = self.metadata.iter().filter(|(name, value)| !ISSUED.contains(name) && !value.is_null());
        kept.for_each(|(name, value)| answered.insert(name.to_owned(), value.clone()));
        // An update without the method would ask for the default.
        if let Some(method) = &self.method {
            answered.insert(AUTH_METHOD.to_owned(), method.as_str().into());
        }
        let asked = metadata.over(answered)?;
        let mut sent = asked.clone();
        sent.insert("client_id".to_owned(), self.client_id.as_str().into());
        if let Some(secret) = &self.client_secret {
            sent.insert("client_secret".to_owned(), secret.expose().into());
        }
        let request = Request::json("PUT", uri.to_shared(), to_json(&sent)?, Some(bearer(token)));
        Ok(Call::new(request, self.context(Some(asked))))
    }

    /// Starts to delete the registration (RFC 7592 §2.3). The server then ends its tokens, too.
    ///
    /// # Errors
    ///
    /// Misuse, if the server does not offer to manage the registration.
    pub fn delete(&self) -> Result<Call<Deletion>, Error> {
        let Management { uri, token } = self.management()?;
        Ok(Call::new(Request::without_body("DELETE", uri.to_shared(), Some(bearer(token))), ()))
    }

    fn management(&self) -> Result<&Management, Error> {
        self.management.as_ref().ok_or_else(|| {
            Error::misuse(
                "the server gave no registration_client_uri with a registration_access_token, so it does not \
                 offer to manage the registration (RFC 7592 section 3)",
            )
        })
    }

    fn context(&self, asked: Option<Extras>) -> RegistrationContext {
        RegistrationContext { at: self.at.clone(), asked, previous: Some(Box::new(self.clone())) }
    }
}

/// The [`Reply`] to a deletion, which says nothing: any success means that the registration is gone (RFC 7592
/// §2.3).
#[derive(Debug)]
pub enum Deletion {}

impl Reply for Deletion {}

impl sealed::Reply for Deletion {
    type Context = ();
}

impl Readable for Deletion {
    type Output = ();

    fn read(response: Response<'_>, (): &()) -> Result<(), Error> {
        reader::read_failure(&response).map_or(Ok(()), |error| Err(error.without_grant()))
    }
}
