//! Signed authorization requests (RFC 9101): the request is a JSON Web Token, in the browser's URL, in a
//! pushed request, or at an address of your program.

use std::fmt;
use std::iter;
use std::time::{Duration, SystemTime};

use serde::ser::{Error as _, SerializeMap};
use serde::{Serialize, Serializer};

use crate::authorization::pending::PendingAuthorization;
use crate::authorization::pkce::Entropy;
use crate::authorization::pushed::{Endpoints, PushedAuthorization};
use crate::authorization::request::{AuthorizationRequest, Begun, Way, short_url};
use crate::call::Call;
use crate::client::Client;
use crate::error::Error;
use crate::jose::{SigningKey, Unsigned};
use crate::text::form;
use crate::text::json;
use crate::text::secret::Secret;
use crate::text::time::digits;
use crate::text::uri::{DocumentUrl, Issuer};

impl<'a> AuthorizationRequest<'a> {
    /// Signs the request with a key of this client (RFC 9101), so that nobody on the way can change it.
    ///
    /// [`start`](Self::start) puts the signed request into the URL, [`push`](Self::push) sends it to the
    /// server directly, and [`publish`](Self::publish) refers to an address of your program. It is valid for
    /// the [`lifetime`](Self::lifetime) of the authorization, an hour at most.
    ///
    /// A key that signs elsewhere, behind async code for example, needs [`prepare`](Self::prepare).
    ///
    /// ```
    /// use oauth2_proto::jose::SigningKey;
    /// use oauth2_proto::{AuthorizationServer, Client, ClientAuth, Entropy};
    /// use std::time::SystemTime;
    ///
    /// # struct Fake(oauth2_proto::jose::PublicKey);
    /// # impl oauth2_proto::jose::Signer for Fake {
    /// #     fn algorithm(&self) -> oauth2_proto::jose::Algorithm {
    /// #         oauth2_proto::jose::Algorithm::ES256
    /// #     }
    /// #     fn public_key(&self) -> &oauth2_proto::jose::PublicKey { &self.0 }
    /// #     fn sign(&self, _: &[u8]) -> Result<Vec<u8>, oauth2_proto::jose::SignerError> {
    /// #         Ok(vec![7; 64])
    /// #     }
    /// # }
    /// # fn main() -> Result<(), oauth2_proto::Error> {
    /// # let public_key = oauth2_proto::jose::PublicKey::from_jwk(
    /// #     r#"{"kty":"EC","crv":"P-256","x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs",
    /// #         "y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA"}"#,
    /// # )?;
    /// # let key = SigningKey::new_with(Fake(public_key), Entropy::from_bytes([2; 128]))?;
    /// # let entropy = Entropy::from_bytes([1; 128]);
    /// let server = AuthorizationServer::new(
    ///     "https://as.example/authorize",
    ///     "https://as.example/token",
    /// )?
    /// .issuer("https://as.example")?;
    /// let client = Client::new(server, "client-id", ClientAuth::none())?;
    /// let request = client.authorize("https://app.example/callback").signed(&key);
    /// let (url, pending) = request.start_with(entropy, SystemTime::now())?;
    /// assert!(url.starts_with("https://as.example/authorize?client_id=client-id&request=ey"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn signed(mut self, key: &'a SigningKey) -> Self {
        self.key = Some(key);
        self
    }

    /// Returns the URL for the user's browser, the signed request to publish at `request_uri`, and the
    /// pending authorization (RFC 9101 §5.2).
    ///
    /// Answer a GET of `request_uri`, an address of yours that nobody can guess, with the signed request and
    /// the content type `application/oauth-authz-req+jwt`, before you send the browser to the URL. Some
    /// servers ask you to register `request_uri` first.
    ///
    /// # Errors
    ///
    /// The errors of `start`. Misuse, too, if the request is not [`signed`](Self::signed), or `request_uri`
    /// is no `https` URL with a path, has a fragment, or is longer than 512 bytes.
    #[cfg(feature = "os-random")]
    pub fn publish(
        self,
        request_uri: &str,
        now: SystemTime,
    ) -> Result<(String, Secret, PendingAuthorization), Error> {
        self.publish_with(request_uri, Entropy::from_os()?, now)
    }

    /// Like `publish`, with your own random bytes.
    ///
    /// # Errors
    ///
    /// The errors of `publish`.
    pub fn publish_with(
        self,
        request_uri: &str,
        entropy: Entropy,
        now: SystemTime,
    ) -> Result<(String, Secret, PendingAuthorization), Error> {
        self.prepare_with(entropy, now)?.sign()?.publish(request_uri)
    }

    /// Returns the request as it is to be signed, for a key that signs elsewhere.
    ///
    /// ```
    /// use oauth2_proto::jose::SigningKey;
    /// use oauth2_proto::{Client, PendingAuthorization};
    /// use std::time::SystemTime;
    ///
    /// # async fn kms_signs(_: &[u8]) -> Result<Vec<u8>, oauth2_proto::Error> { Ok(vec![7; 64]) }
    /// # async fn example(
    /// #     client: &Client,
    /// #     key: &SigningKey,
    /// # ) -> Result<(String, PendingAuthorization), oauth2_proto::Error> {
    /// let request = client.authorize("https://app.example/callback").signed(key);
    /// let prepared = request.prepare(SystemTime::now())?;
    /// let signature = kms_signs(prepared.unsigned().message()).await?;
    /// let (url, pending) = prepared.signed(&signature)?.start()?;
    /// # Ok((url, pending))
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Misuse: the request has no key ([`signed`](Self::signed)), the server's issuer is not set, the server
    /// does not take signatures of this algorithm, an added parameter has the name of a claim of the token,
    /// `claims` or `authorization_details` is no JSON; and the errors of `start`, except those that depend on
    /// the way the request takes.
    #[cfg(feature = "os-random")]
    pub fn prepare(self, now: SystemTime) -> Result<UnsignedAuthorization<'a>, Error> {
        self.prepare_with(Entropy::from_os()?, now)
    }

    /// Like `prepare`, with your own random bytes.
    ///
    /// # Errors
    ///
    /// The errors of `prepare`.
    pub fn prepare_with(self, entropy: Entropy, now: SystemTime) -> Result<UnsignedAuthorization<'a>, Error> {
        let (client, key) = (self.client, self.key);
        let key = key.ok_or_else(|| Error::misuse("the request is not signed; call `signed` with a key"))?;
        let server = &client.server;
        let audience = server.issuer.as_ref().map(Issuer::as_str).ok_or_else(|| {
            Error::misuse(
                "a signed request is for the server's issuer, which is not set; set AuthorizationServer::issuer",
            )
        })?;
        server.check_listed(
            "algorithms of signed requests",
            "request_object_signing_alg_values_supported",
            key.algorithm().name(),
        )?;
        let begun = self.begin(&entropy, now)?;
        let lifetime = begun.request.lifetime.min(MAX_LIFETIME);
        let claims = Claims {
            begun: &begun,
            audience,
            id: key.next_id(now),
            expires_at: begun.started_at.saturating_add(lifetime.as_secs()),
        };
        let unsigned = key.unsigned("oauth-authz-req+jwt", &claims)?;
        let is_openid = begun.request.wanted.scope.tokens().any(|scope| scope == "openid");
        Ok(UnsignedAuthorization { client, unsigned, is_openid, pending: begun.into_pending() })
    }
}

/// A signed request that lacks its signature; made by [`AuthorizationRequest::prepare`].
#[must_use = "sign it, and hand the signature to `signed`"]
pub struct UnsignedAuthorization<'a> {
    client: &'a Client,
    unsigned: Unsigned,
    /// True if OpenID Connect has to be recognised outside the signed request, too.
    is_openid: bool,
    pending: PendingAuthorization,
}

impl<'a> UnsignedAuthorization<'a> {
    /// Returns what to sign.
    pub fn unsigned(&self) -> &Unsigned {
        &self.unsigned
    }

    /// Takes the signature, in the form of RFC 7518 §3: for ECDSA, `r` and `s` side by side.
    ///
    /// # Errors
    ///
    /// Misuse: the signature has another length than the algorithm's.
    pub fn signed(self, signature: &[u8]) -> Result<SignedAuthorization<'a>, Error> {
        let request_object = self.unsigned.signed(signature)?;
        Ok(self.with(request_object))
    }

    /// Signs in this process.
    pub(super) fn sign(self) -> Result<SignedAuthorization<'a>, Error> {
        if !self.unsigned.key().signs_here() {
            return Err(Error::misuse(
                "the key of the signed request signs elsewhere; call `prepare`, have its message signed, and go on \
                 with what `signed` returns",
            ));
        }
        let request_object = self.unsigned.sign()?;
        Ok(self.with(request_object))
    }

    fn with(self, request_object: Secret) -> SignedAuthorization<'a> {
        let Self { client, is_openid, pending, .. } = self;
        SignedAuthorization { client, request_object, is_openid, pending }
    }
}

/// A signed request that takes one of three ways to the server; made by [`UnsignedAuthorization::signed`].
#[must_use = "call `start`, `push` or `publish`"]
pub struct SignedAuthorization<'a> {
    client: &'a Client,
    request_object: Secret,
    is_openid: bool,
    pending: PendingAuthorization,
}

impl SignedAuthorization<'_> {
    /// Returns the URL for the user's browser, which holds the signed request (RFC 9101 §5.1), and the
    /// pending authorization.
    ///
    /// # Errors
    ///
    /// Misuse: the server takes pushed requests only, or no request in a URL.
    pub fn start(self) -> Result<(String, PendingAuthorization), Error> {
        let url = self.url("request", self.request_object.expose(), "request_parameter_supported")?;
        Ok((url, self.pending))
    }

    /// Pushes the signed request to the server (RFC 9126 §3).
    ///
    /// # Errors
    ///
    /// Misuse: the server has no pushed authorization request endpoint, or the client's own signatures are
    /// missing ([`Client::signing`]).
    pub fn push(self, now: SystemTime) -> Result<(Call<PushedAuthorization>, PendingAuthorization), Error> {
        self.client.server.check_request(Way { is_pushed: true, is_signed: true })?;
        let endpoints = Endpoints::of(self.client)?;
        let request = endpoints.request(iter::once(("request", self.request_object.expose())), now)?;
        Ok((endpoints.call(request), self.pending))
    }

    /// Returns the URL for the user's browser, the signed request to publish at `request_uri`, and the
    /// pending authorization (RFC 9101 §5.2), as [`AuthorizationRequest::publish`] does.
    ///
    /// # Errors
    ///
    /// Misuse: `request_uri` is no `https` URL with a path, has a fragment, or is longer than 512 bytes; or
    /// the server takes pushed requests only, or no request by reference.
    pub fn publish(self, request_uri: &str) -> Result<(String, Secret, PendingAuthorization), Error> {
        DocumentUrl::parse(request_uri)
            .map_err(|refused| Error::misuse(format!("the address of the signed request {refused}")))?;
        if request_uri.len() > MAX_REQUEST_URI {
            return Err(Error::misuse(
                "the address of the signed request is longer than 512 bytes, which servers need not take; use a \
                 shorter one (RFC 9101 section 5.2)",
            ));
        }
        let url = self.url("request_uri", request_uri, "request_uri_parameter_supported")?;
        Ok((url, self.request_object, self.pending))
    }

    /// Returns the URL with one parameter that brings the request, which the server must not deny to support.
    fn url(&self, name: &str, value: &str, supported: &str) -> Result<String, Error> {
        let server = &self.client.server;
        server.check_request(Way { is_pushed: false, is_signed: true })?;
        if server.says_of(supported) == Some(false) {
            return Err(Error::misuse(format!(
                "{} does not take the parameter {name}; send the signed request in another way, such as `push`",
                server.name
            )));
        }
        let endpoint = server.require(&server.authorization_endpoint, "authorization endpoint")?;
        let mut url = short_url(endpoint, self.client.client_id());
        url.reserve_exact(form::room_for(name, value));
        form::push_pair(&mut url, name, value);
        // OpenID Connect Core §6.1 and §6.2 want these outside, too; RFC 9101 §6.3 ignores them.
        if self.is_openid {
            form::push_pair(&mut url, "response_type", "code");
            form::push_pair(&mut url, "scope", "openid");
        }
        Ok(url)
    }
}

/// The claims of a signed request (RFC 9101 §4): those of the token, and each parameter.
struct Claims<'a> {
    begun: &'a Begun<'a>,
    audience: &'a str,
    id: String,
    /// Seconds of Unix time.
    expires_at: u64,
}

impl Serialize for Claims<'_> {
    fn serialize<S: Serializer>(&self, target: S) -> Result<S::Ok, S::Error> {
        let request = &self.begun.request;
        let mut claims = target.serialize_map(None)?;
        claims.serialize_entry("iss", request.client.client_id())?;
        claims.serialize_entry("aud", self.audience)?;
        claims.serialize_entry("jti", &self.id)?;
        claims.serialize_entry("iat", &self.begun.started_at)?;
        claims.serialize_entry("nbf", &self.begun.started_at)?;
        claims.serialize_entry("exp", &self.expires_at)?;
        // One resource is a text, and several are a list (RFC 8707 §2.1).
        let resources: Vec<&str> =
            request.wanted.resource_parameters().map(|(_, resource)| resource).collect();
        match resources.as_slice() {
            [] => {}
            [resource] => claims.serialize_entry("resource", resource)?,
            resources => claims.serialize_entry("resource", resources)?,
        }
        self.begun.with_parameters(|all| {
            all.filter(|(name, _)| *name != "resource").try_for_each(|(name, value)| match kind(name) {
                Kind::Text => claims.serialize_entry(name, value),
                Kind::Number => match digits(value) {
                    Some(number) => claims.serialize_entry(name, &number),
                    None => claims.serialize_entry(name, value),
                },
                Kind::Json => {
                    let value = json::read_value(value.as_bytes());
                    claims.serialize_entry(name, &value.ok_or_else(|| S::Error::custom(NO_JSON))?)
                }
            })
        })?;
        claims.end()
    }
}

/// The kind of a parameter in a signed request (RFC 9101 §4).
enum Kind {
    Text,
    Number,
    Json,
}

fn kind(name: &str) -> Kind {
    match name {
        "max_age" => Kind::Number,
        "claims" | "authorization_details" => Kind::Json,
        _ => Kind::Text,
    }
}

/// Returns why a parameter must not be in a signed request; `None` if it may be there.
pub(super) fn why_refused(name: &str, value: &str) -> Option<&'static str> {
    match kind(name) {
        _ if CLAIMS.contains(&name) => Some("has the name of a claim of the signed request; remove it"),
        Kind::Json if json::read_value(value.as_bytes()).is_none() => Some(NO_JSON),
        _ => None,
    }
}

impl fmt::Debug for UnsignedAuthorization<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnsignedAuthorization")
            .field("unsigned", &self.unsigned)
            .field("pending", &self.pending)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for SignedAuthorization<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedAuthorization").field("pending", &self.pending).finish_non_exhaustive()
    }
}

/// The claims of a JSON Web Token (RFC 7519 §4.1). With `sub`, the token could pass for a client assertion
/// (RFC 9101 §10.8).
const CLAIMS: &[&str] = &["iss", "sub", "aud", "exp", "nbf", "iat", "jti"];

const NO_JSON: &str = "is no JSON, or nested too deeply, and a signed request holds it as JSON; correct it";

/// The maximum lifetime of a signed request, which FAPI 2.0 Message Signing §5.3.1 lets a server demand.
const MAX_LIFETIME: Duration = Duration::from_secs(3600);

/// The maximum length of a `request_uri` (RFC 9101 §5.2).
const MAX_REQUEST_URI: usize = 512;
