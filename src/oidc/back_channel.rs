//! The logout token that a server posts to this program (OpenID Connect Back-Channel Logout).

use std::fmt;
use std::time::SystemTime;

use serde_json::Value;

use crate::call::RESPONSE_LIMIT;
use crate::client::Client;
use crate::error::Error;
use crate::jose::claims::{self, Date, malformed, required, wrong};
use crate::jose::{Jwt, Verification};
use crate::oidc::id_token::{check_algorithm, subject};
use crate::text::foreign::ForeignAddress;
use crate::text::form;

impl Client {
    /// Reads what the server posts to the back-channel logout address of this client: it signed a user out
    /// (OpenID Connect Back-Channel Logout §2.6).
    ///
    /// `body` is the form as it came. Answer 200 after you ended the sessions that the token names, and 400
    /// after an error; both with `Cache-Control: no-store` (§2.8). Remember
    /// [`token_id`](LogoutToken::token_id) until the token expires, and ignore a token that comes again: it
    /// could end a later session of the same user.
    ///
    /// # Errors
    ///
    /// - Misuse: the signature is left to TLS, although anybody can post here, or the issuer of the server is
    ///   not set.
    /// - Invalid: there is no logout token, or a part of it is missing or malformed.
    /// - Suspect: a part of it has a wrong value; or it is an ID token, which has a nonce and no event.
    ///
    /// [`Error::reason`] names the part.
    pub fn read_logout_token(
        &self,
        body: &str,
        verification: &Verification<'_>,
        now: SystemTime,
    ) -> Result<LogoutToken, Error> {
        verification.check_front_channel("a logout token")?;
        let jwt = Jwt::read(&logout_token(body)?, self, verification)?;
        check_algorithm(&jwt, self)?;
        if !matches!(jwt.typ().as_deref(), None | Some("jwt" | "logout+jwt")) {
            return Err(wrong("typ", "is that of another kind of token"));
        }
        let (members, _) = jwt.claims(NAMES)?;
        let [iss, sub, aud, exp, iat, nbf, jti, events, sid, nonce] = members;
        if claims::text("nonce", nonce)?.is_some() {
            return Err(wrong("nonce", "is there, which a logout token never has; it may be an ID token"));
        }
        let clock = verification.clock(now);
        let issuer = claims::issuer(iss, self)?;
        let audience = claims::audience(aud, self)?;
        let expires_at = clock.expiry(exp)?;
        let issued_at = required("iat", clock.past("iat", iat)?)?;
        clock.past("nbf", nbf)?;
        let token_id = required("jti", claims::text("jti", jti)?.filter(|jti| !jti.is_empty()))?;
        match events.into_value() {
            Some(Value::Object(events)) => match events.get(LOGOUT_EVENT) {
                Some(Value::Object(_)) => {}
                Some(_) => return Err(malformed("events", "has a logout that is no object")),
                None => return Err(wrong("events", "has no logout")),
            },
            _ => return Err(malformed("events", "is missing, or is no object")),
        }
        let subject = subject(claims::text("sub", sub)?)?;
        let session_id = claims::text("sid", sid)?;
        if subject.is_none() && session_id.is_none() {
            return Err(malformed("sub", "is missing, as is sid"));
        }
        Ok(LogoutToken { issuer, subject, session_id, audience, expires_at, issued_at, token_id })
    }
}

/// A checked logout token: the server signed a user out; made by [`Client::read_logout_token`].
///
/// End the session that it names by [`session_id`](Self::session_id); without one, end all sessions of its
/// [`subject`](Self::subject) (OpenID Connect Back-Channel Logout §2.7). Revoke their refresh tokens, too,
/// unless they are for access while the user is away (`offline_access`).
#[derive(Clone)]
pub struct LogoutToken {
    issuer: String,
    subject: Option<String>,
    session_id: Option<String>,
    audience: Vec<String>,
    expires_at: Date,
    issued_at: Date,
    token_id: String,
}

impl LogoutToken {
    /// Returns the server that signed the user out (`iss`).
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Returns the user's identifier at this server (`sub`); `None` only if there is a session.
    pub fn subject(&self) -> Option<&str> {
        self.subject.as_deref()
    }

    /// Returns the session that ends (`sid`), as the [ID token](crate::oidc::IdToken::session_id) named it;
    /// `None` if all sessions of the subject end.
    pub fn session_id(&self) -> Option<&str> {
        self.session_id.as_deref()
    }

    /// Returns the clients that the token is for (`aud`), among them this one.
    pub fn audience(&self) -> &[String] {
        &self.audience
    }

    /// Returns the end of the token (`exp`).
    pub fn expires_at(&self) -> SystemTime {
        self.expires_at.time()
    }

    /// Returns the time at which the token was issued (`iat`). Sessions that began later go on.
    pub fn issued_at(&self) -> SystemTime {
        self.issued_at.time()
    }

    /// Returns the identifier of the token (`jti`), by which you recognise one that comes again.
    pub fn token_id(&self) -> &str {
        &self.token_id
    }
}

/// Returns the one logout token of a form.
fn logout_token(body: &str) -> Result<String, Error> {
    let missing = || {
        Error::invalid("the form has no logout_token (Back-Channel Logout section 2.5)").about("logout_token")
    };
    if body.len() > RESPONSE_LIMIT {
        return Err(missing());
    }
    let mut tokens = form::parts(body.as_bytes())
        .filter(|(name, _)| name.as_deref() == Some("logout_token"))
        .map(|(_, value)| value);
    let token = tokens.next().flatten().filter(|token| !token.is_empty());
    if tokens.next().is_some() {
        return Err(Error::untrusted("the form has two logout tokens").about("logout_token"));
    }
    token.map(|token| token.into_owned()).ok_or_else(missing)
}

/// The event that makes a token a logout token (OpenID Connect Back-Channel Logout §2.4).
pub(super) const LOGOUT_EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

const NAMES: &[&str; 10] = &["iss", "sub", "aud", "exp", "iat", "nbf", "jti", "events", "sid", "nonce"];

impl fmt::Debug for LogoutToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogoutToken")
            .field("issuer", &format_args!("{}", ForeignAddress(&self.issuer)))
            .field("issued_at", &self.issued_at.0)
            .field("expires_at", &self.expires_at.0)
            .finish_non_exhaustive()
    }
}
