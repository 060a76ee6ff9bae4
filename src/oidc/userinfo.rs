//! Claims about the user from the UserInfo endpoint (OpenID Connect Core §5.3).

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use serde_json::Value;

use crate::answer;
use crate::call::{Call, Readable, Reply, Request, Response, sealed};
use crate::client::Client;
use crate::client_auth::authorization_header;
use crate::error::Error;
use crate::jose::claims::{self, required, wrong};
use crate::jose::{Jwt, Verification};
use crate::oidc::id_token::PreviousIdToken;
use crate::text::foreign::ForeignAddress;
use crate::text::json::{Extras, Member};
use crate::text::secret::{Secret, same};
use crate::token::{check_token, reader};

impl Client {
    /// Asks for claims about the user who signed in (OpenID Connect Core §5.3.1), by the access token of that
    /// sign-in or of a later refresh. An answer about another user is refused.
    ///
    /// `id_token` says who signed in: a checked [`&IdToken`](crate::oidc::IdToken), or in a later request the
    /// [`&PreviousIdToken`](PreviousIdToken) that you stored.
    ///
    /// ```
    /// use oauth2_proto::oidc::{PreviousIdToken, UserInfo};
    /// use oauth2_proto::{Client, Error, Request, Response, Secret};
    /// use std::time::SystemTime;
    ///
    /// fn email(
    ///     client: &Client,
    ///     access_token: &Secret,
    ///     stored: &PreviousIdToken,
    ///     send: impl Fn(&Request) -> Response<'static>,
    ///     now: SystemTime,
    /// ) -> Result<Option<String>, Error> {
    ///     let call = client.userinfo(access_token, stored).start(now)?;
    ///     let user: UserInfo = call.read(send(call.request()))?;
    ///     Ok(user.claim("email").and_then(|email| email.as_str()).map(str::to_owned))
    /// }
    /// ```
    pub fn userinfo<'a>(
        &'a self,
        access_token: &'a Secret,
        id_token: impl Into<PreviousIdToken>,
    ) -> UserInfoRequest<'a> {
        UserInfoRequest { client: self, access_token, signed_in: id_token.into() }
    }
}

/// A request for claims about the user, about to be sent; made by [`Client::userinfo`].
#[must_use = "call `start` to make the request"]
pub struct UserInfoRequest<'a> {
    client: &'a Client,
    access_token: &'a Secret,
    signed_in: PreviousIdToken,
}

impl UserInfoRequest<'_> {
    /// Makes the request: a GET with the access token in its header, and a proof of the client's key, if it
    /// has one (RFC 9449 §7.1).
    ///
    /// # Errors
    ///
    /// Misuse: the ID token is of another server or client than this one, the server has no UserInfo
    /// endpoint, the access token is empty or holds control characters, or the client's key for proofs of
    /// possession signs elsewhere: then make the request by
    /// [`ProtectedApi::bound_request`](crate::challenge::ProtectedApi::bound_request).
    pub fn start(self, now: SystemTime) -> Result<Call<UserInfo>, Error> {
        let server = &self.client.server;
        let endpoint = self.client.endpoint(&server.userinfo_endpoint, "userinfo endpoint")?;
        check_token("access token", self.access_token.expose())?;
        self.check_is_of_client()?;
        let scheme = if self.client.dpop.is_some() { "DPoP" } else { "Bearer" };
        let authorization = Arc::new(authorization_header(scheme, self.access_token));
        let mut request = Request::without_body("GET", endpoint.to_shared(), Some(authorization));
        request.set_dpop(self.client.dpop.as_ref());
        self.client.prove(&mut request, now)?;
        let subject = Secret::new(self.signed_in.subject());
        Ok(Call::new(request, UserInfoContext { client: self.client.clone(), subject }))
    }
}

impl UserInfoRequest<'_> {
    /// Refuses an ID token of another client: its server must not get the access token, and a subject says
    /// who it is together with its issuer only (OpenID Connect Core §5.7).
    fn check_is_of_client(&self) -> Result<(), Error> {
        let issuer = claims::expected_issuer(self.client)?;
        let is_ours = self.signed_in.issuer() == issuer
            && self.signed_in.audience().iter().any(|name| name == self.client.client_id());
        match is_ours {
            true => Ok(()),
            false => Err(Error::misuse(format!(
                "the ID token is of the server {} or of another client, and this client is of {}; ask the client \
                 that the user signed in with",
                ForeignAddress(self.signed_in.issuer()),
                ForeignAddress(issuer)
            ))),
        }
    }
}

/// Claims about the user who signed in (OpenID Connect Core §5.3.2): the subject is that of the ID token.
///
/// They are as confidential as the user's data is; `Debug` shows their names only.
#[derive(Clone)]
pub struct UserInfo {
    subject: String,
    claims: Extras,
}

impl UserInfo {
    /// Returns the user's identifier (`sub`), that of the ID token.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// Returns another claim, such as `email`, as the server sent it (§5.1).
    pub fn claim(&self, name: &str) -> Option<&Value> {
        self.claims.get(name)
    }

    /// Returns all other claims.
    pub fn claims(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.claims.iter()
    }
}

impl Call<UserInfo> {
    /// Reads a signed response, for a client that is registered for one (`userinfo_signed_response_alg`,
    /// OpenID Connect Core §5.3.2). [`read`](Self::read) reads one that is not signed, and neither reads the
    /// other.
    ///
    /// # Errors
    ///
    /// - The errors of [`read`](Self::read).
    /// - Invalid, suspect: a part of the token is malformed, or has a wrong value; [`Error::reason`] names
    ///   it.
    pub fn read_signed(
        &self,
        response: Response<'_>,
        verification: &Verification<'_>,
        now: SystemTime,
    ) -> Result<UserInfo, Error> {
        self.read_by(response, |response| self.context.read_signed(&response, verification, now))
    }
}

/// The context that the reader of claims about the user needs.
pub struct UserInfoContext {
    client: Client,
    /// The subject of the ID token.
    subject: Secret,
}

impl UserInfoContext {
    fn read_signed(
        &self,
        response: &Response<'_>,
        verification: &Verification<'_>,
        now: SystemTime,
    ) -> Result<UserInfo, Error> {
        self.check_success(response)?;
        let token = std::str::from_utf8(response.body()).unwrap_or_default().trim_ascii();
        let jwt = Jwt::read(token, &self.client, verification)?;
        jwt.check_typ(&[])?;
        let (listed, algorithm) = ("userinfo_signing_alg_values_supported", jwt.algorithm_name());
        self.client.server.check_signed_by("algorithms of UserInfo answers", listed, algorithm)?;
        let (members, claims) = jwt.claims(&["sub", "iss", "aud", "exp", "iat", "nbf"])?;
        let [sub, iss, aud, exp, iat, nbf] = members;
        let clock = verification.clock(now);
        // The specification only recommends the first two.
        if !matches!(iss, Member::Absent) {
            claims::issuer(iss, &self.client)?;
        }
        if !matches!(aud, Member::Absent) {
            claims::audience(aud, &self.client)?;
        }
        if !matches!(exp, Member::Absent) {
            clock.expiry(exp)?;
        }
        clock.past("iat", iat)?;
        clock.past("nbf", nbf)?;
        self.of_subject(sub, claims)
    }

    /// Refuses an answer without claims.
    fn check_success(&self, response: &Response<'_>) -> Result<(), Error> {
        match reader::read_failure(response) {
            // The challenge that says so is not read, and another proof does no harm (RFC 9449 §9).
            Some(_)
                if self.client.dpop.is_some() && response.status == 401 && response.dpop_nonce.is_some() =>
            {
                Err(Error::nonce_wanted(response.dpop_nonce.clone()))
            }
            Some(failure) => Err(failure.without_grant()),
            None => Ok(()),
        }
    }

    /// Refuses claims of another user than the one who signed in (OpenID Connect Core §5.3.2).
    fn of_subject(&self, sub: Member<'_>, claims: Extras) -> Result<UserInfo, Error> {
        let subject = required("sub", claims::text("sub", sub)?)?;
        match same(subject.as_bytes(), self.subject.expose().as_bytes()) {
            true => Ok(UserInfo { subject, claims }),
            false => Err(wrong("sub", "is another user than the one of the ID token; use no claim of it")),
        }
    }
}

impl Reply for UserInfo {}

impl sealed::Reply for UserInfo {
    type Context = UserInfoContext;
}

impl Readable for UserInfo {
    type Output = Self;

    fn read(response: Response<'_>, context: &UserInfoContext) -> Result<Self, Error> {
        context.check_success(&response)?;
        match answer::read(&response, &["sub"]) {
            Ok(([sub], claims)) => context.of_subject(sub, claims),
            Err(_) if response.body().trim_ascii_start().starts_with(b"ey") => {
                Err(Error::invalid("the answer is a signed token; read it with read_signed, which checks it"))
            }
            Err(error) => Err(error),
        }
    }
}

impl fmt::Debug for UserInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserInfo").field("claims", &self.claims).finish_non_exhaustive()
    }
}

impl fmt::Debug for UserInfoRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserInfoRequest").finish_non_exhaustive()
    }
}
