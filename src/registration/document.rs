//! Client ID metadata documents (draft-ietf-oauth-client-id-metadata-document): a client whose `client_id` is
//! the address of its metadata.

use std::fmt;

use crate::client::Client;
use crate::client_auth::ClientAuth;
use crate::error::Error;
use crate::registration::metadata::{AUTH_METHOD, ClientMetadata, holds_private_key, uses_secret};
use crate::registration::to_json;
use crate::server::AuthorizationServer;
use crate::text::json::{self, Extras, Member};
use crate::text::uri::DocumentUrl;

/// The address of a client ID metadata document, which is the client's `client_id` at every server.
///
/// Servers compare it as text, so write it the same way everywhere, and keep it for as long as the client
/// lives.
#[derive(Clone)]
pub struct ClientIdUrl(DocumentUrl);

impl ClientIdUrl {
    /// Checks an address. It may have a port. The draft advises against a query.
    ///
    /// ```
    /// use oauth2_proto::registration::ClientIdUrl;
    ///
    /// assert!(ClientIdUrl::new("https://app.example/client.json").is_ok());
    /// assert!(ClientIdUrl::new("https://app.example/").is_err());
    /// ```
    ///
    /// # Errors
    ///
    /// Misuse, if it is not `https`, has no path beyond `/`, holds user information or a fragment, or has `.`
    /// or `..` as a part of its path, even if the dots are escaped.
    pub fn new(url: &str) -> Result<Self, Error> {
        DocumentUrl::parse(url).map(Self).map_err(|refused| {
            Error::misuse(format!("the address of the client ID metadata document {refused}"))
        })
    }

    /// Returns the address as it was given: the `client_id`.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Makes a client whose `client_id` is this address; `auth` is [`ClientAuth::none`] or uses a key of the
    /// client.
    ///
    /// A server that does not take such a `client_id` shows an error to the user, and no callback ever comes.
    /// So the server must say that it takes them: its metadata does, or
    /// [`client_id_metadata_document_supported`](AuthorizationServer::client_id_metadata_document_supported)
    /// states it. [`register`](super::register) the client at any other server.
    ///
    /// ```
    /// use oauth2_proto::{AuthorizationServer, ClientAuth, registration::ClientIdUrl};
    ///
    /// let server = AuthorizationServer::new(
    ///     "https://as.example/authorize",
    ///     "https://as.example/token",
    /// )?
    /// .client_id_metadata_document_supported(true);
    /// let client_id = ClientIdUrl::new("https://app.example/client.json")?;
    /// let client = client_id.client(server, ClientAuth::none())?;
    /// # Ok::<(), oauth2_proto::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// - Misuse: the server is not known to take such documents, or `auth` uses a client secret, which the
    ///   draft forbids.
    /// - The errors of [`Client::new`].
    pub fn client(&self, server: AuthorizationServer, auth: ClientAuth) -> Result<Client, Error> {
        match server.client_id_metadata_document_supported {
            Some(true) => {}
            Some(false) => {
                return Err(Error::misuse(format!(
                    "{} does not take client ID metadata documents; register the client",
                    server.name
                )));
            }
            None => {
                return Err(Error::misuse(format!(
                    "{} does not say that it takes client ID metadata documents; register the client or, if you \
                     know better, set AuthorizationServer::client_id_metadata_document_supported",
                    server.name
                )));
            }
        }
        if uses_secret(auth.method()) {
            return Err(Error::misuse(format!(
                "a client with a metadata document cannot have a client secret, as {} needs; use \
                 ClientAuth::none or ClientAuth::private_key_jwt",
                auth.method()
            )));
        }
        Client::new(server, self.as_str(), auth)
    }

    /// Checks a document that is not made by [`ClientMetadata::document`], such as the file or the answer of
    /// your web server in a test of it.
    ///
    /// # Errors
    ///
    /// Misuse, if the document is no JSON object, its `client_id` is not this address, or it holds a client
    /// secret, the expiry of one, an authentication method that needs one, a registration access token, or a
    /// private key.
    pub fn check(&self, document: &str) -> Result<(), Error> {
        let refuse = |why: &str| Err(Error::misuse(format!("the client ID metadata document {why}")));
        let mut members = [const { Member::Absent }; 6];
        if json::read(document.as_bytes(), NAMES, &mut members).is_none() {
            return refuse("is no JSON object, or is nested too deeply");
        }
        if let Some((name, _)) = NAMES.iter().zip(&members).find(|(_, it)| matches!(it, Member::Repeated)) {
            return refuse(&format!("holds {name} twice"));
        }
        let [client_id, method, jwks, secrets @ ..] = members;
        match client_id {
            Member::Text(text) if *text == *self.as_str() => {}
            _ => return refuse("does not have its own address as client_id, written in the same way"),
        }
        if secrets.iter().any(|secret| !matches!(secret, Member::Absent)) {
            return refuse("holds a secret, or the expiry of one, and everyone can read it; remove that");
        }
        match method {
            Member::Absent => {}
            Member::Text(method) if !uses_secret(&method) => {}
            _ => return refuse("has a token_endpoint_auth_method that needs a secret; use none, or a key"),
        }
        match jwks.into_value().is_some_and(|jwks| holds_private_key(&jwks)) {
            true => refuse("holds a private key in jwks, and everyone can read it; replace that key"),
            false => Ok(()),
        }
    }
}

impl ClientMetadata {
    /// Makes the client ID metadata document to host at this address: a JSON object.
    ///
    /// Without a `token_endpoint_auth_method` it says `none`. Serve it with status 200 as `application/json`,
    /// without a redirect; servers may read no more than 5 KB of it.
    ///
    /// ```
    /// use oauth2_proto::registration::{ClientMetadata, ClientIdUrl};
    ///
    /// let client_id = ClientIdUrl::new("https://app.example/client.json")?;
    /// let metadata = ClientMetadata::new()
    ///     .client_name("Fake App")
    ///     .redirect_uris(["https://app.example/callback"]);
    /// assert_eq!(
    ///     metadata.document(&client_id)?,
    ///     r#"{"application_type":"web","#.to_owned()
    ///         + r#""client_id":"https://app.example/client.json","client_name":"Fake App","#
    ///         + r#""redirect_uris":["https://app.example/callback"],"#
    ///         + r#""token_endpoint_auth_method":"none"}"#
    /// );
    /// # Ok::<(), oauth2_proto::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Misuse, if the metadata has one of the faults that [`ClientMetadata`] lists, or one that
    /// [`ClientIdUrl::check`] does.
    pub fn document(&self, client_id: &ClientIdUrl) -> Result<String, Error> {
        let mut members = self.over(Extras::default())?;
        members.insert("client_id".to_owned(), client_id.as_str().into());
        // The default of RFC 7591 needs a secret.
        if members.get(AUTH_METHOD).is_none() {
            members.insert(AUTH_METHOD.to_owned(), "none".into());
        }
        let document = to_json(&members)?;
        client_id.check(&document)?;
        Ok(document)
    }
}

impl fmt::Debug for ClientIdUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The members that [`ClientIdUrl::check`] reads; the last three are secrets, or say that there is one.
const NAMES: &[&str; 6] = &[
    "client_id",
    AUTH_METHOD,
    "jwks",
    "client_secret",
    "client_secret_expires_at",
    "registration_access_token",
];
