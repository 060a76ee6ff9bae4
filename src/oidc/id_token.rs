//! The ID token and its checks (OpenID Connect Core §2, §3.1.3.7 and §12.2).

use std::collections::BTreeSet;
use std::fmt;
use std::time::SystemTime;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::client::Client;
use crate::error::Error;
use crate::jose::claims::{self, Date, malformed, required, wrong};
use crate::jose::{Clock, Jwt, Verification};
use crate::oidc::back_channel::LOGOUT_EVENT;
use crate::text::foreign::ForeignAddress;
use crate::text::json::Extras;
use crate::text::secret::{Secret, ShortSecret, same};

/// A checked ID token: who signed in, where, when and how (OpenID Connect Core §2).
///
/// Identify a user by [`issuer`](Self::issuer) and [`subject`](Self::subject) together (§5.7): other claims,
/// such as an email address, may change and pass to another user. Apart from these two, the server chose the
/// texts; escape them before you show them.
///
/// `Debug` shows the issuer, the times and the names of other claims.
#[derive(Clone)]
pub struct IdToken {
    token: Secret,
    issuer: String,
    subject: String,
    audience: Vec<String>,
    expires_at: Date,
    issued_at: Date,
    nonce: Option<String>,
    authorized_party: Option<String>,
    authenticated_at: Option<Date>,
    context_class: Option<String>,
    methods: Vec<String>,
    access_token_hash: Option<String>,
    session_id: Option<String>,
    others: Extras,
}

impl IdToken {
    /// Returns the server that the user signed in at (`iss`).
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Returns the user's identifier at this server (`sub`), of 1 to 255 bytes. No other user ever gets it.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// Returns the clients that the ID token is for (`aud`), among them this one.
    pub fn audience(&self) -> &[String] {
        &self.audience
    }

    /// Returns the end of the ID token (`exp`). It says nothing about the user's session.
    pub fn expires_at(&self) -> SystemTime {
        self.expires_at.time()
    }

    /// Returns the time at which the ID token was issued (`iat`).
    pub fn issued_at(&self) -> SystemTime {
        self.issued_at.time()
    }

    /// Returns the nonce of the request.
    pub fn nonce(&self) -> Option<&str> {
        self.nonce.as_deref()
    }

    /// Returns the client that the ID token was issued to (`azp`), which is this one.
    pub fn authorized_party(&self) -> Option<&str> {
        self.authorized_party.as_deref()
    }

    /// Returns the time at which the user signed in (`auth_time`). It is there after a request with
    /// [`max_age`](crate::authorization::AuthorizationRequest::max_age).
    pub fn authenticated_at(&self) -> Option<SystemTime> {
        self.authenticated_at.map(Date::time)
    }

    /// Returns the level of the authentication (`acr`). A request may ask for one, and the server may choose
    /// another: compare it where the level matters.
    pub fn acr(&self) -> Option<&str> {
        self.context_class.as_deref()
    }

    /// Returns the methods of the authentication (`amr`), such as `pwd` and `otp` (RFC 8176).
    pub fn amr(&self) -> &[String] {
        &self.methods
    }

    /// Returns the hash of the access token that came with it (`at_hash`); it was compared.
    pub fn at_hash(&self) -> Option<&str> {
        self.access_token_hash.as_deref()
    }

    /// Returns the identifier of the user's session at the server (`sid`), which a
    /// [`LogoutToken`](crate::oidc::LogoutToken) names.
    pub fn session_id(&self) -> Option<&str> {
        self.session_id.as_deref()
    }

    /// Returns another claim, such as `email`.
    pub fn claim(&self, name: &str) -> Option<&Value> {
        self.others.get(name)
    }

    /// Returns all other claims.
    pub fn claims(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.others.iter()
    }

    /// Returns the ID token as it came, for the hint of a [logout](crate::Client::logout) or as the subject
    /// token of an [identity assertion](crate::Client::identity_assertion). It is no access token. Store it
    /// as a secret until the logout.
    pub fn as_secret(&self) -> &Secret {
        &self.token
    }

    /// Returns what the ID token of a refresh, and later claims about the user, are compared with, to be
    /// stored.
    pub fn to_previous(&self) -> PreviousIdToken {
        PreviousIdToken {
            issuer: self.issuer.clone(),
            subject: self.subject.clone(),
            audience: self.audience.clone(),
            authenticated_at: self.authenticated_at,
            nonce: self.nonce.clone(),
        }
    }

    /// Reads and checks an ID token.
    pub(super) fn read(
        token: &Secret,
        access_token: &Secret,
        against: &Against<'_>,
        client: &Client,
        verification: &Verification<'_>,
        now: SystemTime,
    ) -> Result<Self, Error> {
        let jwt = Jwt::read(token.expose(), client, verification)?;
        check_algorithm(&jwt, client)?;
        jwt.check_typ(&["id_token+jwt"])?;
        let (members, others) = jwt.claims(NAMES)?;
        let [iss, sub, aud, exp, iat, nbf, nonce, azp, auth_time, acr, amr, at_hash, sid] = members;
        let clock = verification.clock(now);
        let issuer = claims::issuer(iss, client)?;
        let subject = required("sub", subject(claims::text("sub", sub)?)?)?;
        let audience = claims::audience(aud, client)?;
        let expires_at = clock.expiry(exp)?;
        let issued_at = required("iat", clock.past("iat", iat)?)?;
        clock.past("nbf", nbf)?;
        let authorized_party = claims::text("azp", azp)?;
        check_authorized_party(authorized_party.as_deref(), &audience, client)?;
        let nonce = claims::text("nonce", nonce)?;
        against.nonce.check(nonce.as_deref())?;
        let authenticated_at = claims::date("auth_time", auth_time)?;
        if let Some(max_age) = against.max_age {
            check_age(authenticated_at, max_age, clock)?;
        }
        let access_token_hash = claims::text("at_hash", at_hash)?;
        if access_token_hash
            .as_ref()
            .is_some_and(|at_hash| *at_hash != jwt.left_half_of_digest(access_token.expose()))
        {
            return Err(wrong("at_hash", "is not of the access token that came with it"));
        }
        if others.get("events").is_some_and(|events| events.get(LOGOUT_EVENT).is_some()) {
            return Err(wrong("events", "makes it a logout token, which is no ID token"));
        }
        let id_token = Self {
            token: token.clone(),
            issuer,
            subject,
            audience,
            expires_at,
            issued_at,
            nonce,
            authorized_party,
            authenticated_at,
            context_class: claims::text("acr", acr)?,
            methods: claims::texts("amr", amr)?.unwrap_or_default(),
            access_token_hash,
            session_id: claims::text("sid", sid)?,
            others,
        };
        if let Some(previous) = against.previous {
            previous.check(&id_token)?;
        }
        Ok(id_token)
    }
}

/// Refuses a sign-in that is longer ago than `max_age` seconds, or whose time does not say how long ago it
/// is.
fn check_age(authenticated_at: Option<Date>, max_age: u64, clock: Clock) -> Result<(), Error> {
    let earliest = clock.now.saturating_sub(clock.skew).saturating_sub(max_age);
    let why = match authenticated_at {
        None => "is missing, and max_age was sent",
        Some(time) if time.0 < earliest => "is longer ago than max_age allows",
        // One in milliseconds would allow any age.
        Some(time) if time.0 > clock.now.saturating_add(clock.skew) => {
            "is in the future, so it does not tell how long ago it is"
        }
        Some(_) => return Ok(()),
    };
    Err(wrong("auth_time", why))
}

/// The values that an ID token is compared with, apart from those of the client.
pub(super) struct Against<'a> {
    pub(super) nonce: Nonce<'a>,
    /// The maximum age of the sign-in in seconds.
    pub(super) max_age: Option<u64>,
    pub(super) previous: Option<&'a PreviousIdToken>,
}

/// The nonce that an ID token must have.
pub(super) enum Nonce<'a> {
    /// It was sent, so it must be there.
    Sent(&'a ShortSecret),
    /// None was sent, so none must be there.
    NotSent,
    /// The one of the sign-in, which a refresh may leave out.
    MayBe(Option<&'a str>),
}

impl Nonce<'_> {
    fn check(&self, nonce: Option<&str>) -> Result<(), Error> {
        match (self, nonce) {
            (Self::Sent(sent), Some(nonce)) if same(nonce.as_bytes(), sent.as_bytes()) => Ok(()),
            (Self::Sent(_), None) => Err(wrong("nonce", "is missing, and one was sent")),
            (Self::NotSent | Self::MayBe(_), None) => Ok(()),
            (Self::MayBe(Some(sent)), Some(nonce)) if same(nonce.as_bytes(), sent.as_bytes()) => Ok(()),
            (Self::Sent(_) | Self::MayBe(Some(_)), Some(_)) => {
                Err(wrong("nonce", "is not the one that was sent; it is of another sign-in"))
            }
            (Self::NotSent | Self::MayBe(None), Some(_)) => {
                Err(wrong("nonce", "is there, and none was sent; it is of another sign-in"))
            }
        }
    }
}

/// What the ID token of a refresh, and later claims about the user, are compared with (OpenID Connect Core
/// §12.2 and §5.3.2); made by [`IdToken::to_previous`].
///
/// Store it with the session. It is serialisable with serde; the form is versioned and names the user.
#[derive(Clone)]
pub struct PreviousIdToken {
    issuer: String,
    subject: String,
    audience: Vec<String>,
    authenticated_at: Option<Date>,
    pub(super) nonce: Option<String>,
}

impl PreviousIdToken {
    /// Returns the server that the user signed in at (`iss`).
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Returns the user's identifier at this server (`sub`).
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// Returns the clients that the ID token was for (`aud`).
    pub(super) fn audience(&self) -> &[String] {
        &self.audience
    }

    fn check(&self, id_token: &IdToken) -> Result<(), Error> {
        let set = |audience: &[String]| audience.iter().cloned().collect::<BTreeSet<_>>();
        let is_other =
            |name| Err(wrong(name, "is not that of the sign-in (OpenID Connect Core section 12.2)"));
        if self.issuer != id_token.issuer {
            return is_other("iss");
        }
        if self.subject != id_token.subject {
            return is_other("sub");
        }
        if set(&self.audience) != set(&id_token.audience) {
            return is_other("aud");
        }
        match (self.authenticated_at, id_token.authenticated_at) {
            (Some(one), Some(other)) if one != other => is_other("auth_time"),
            _ => Ok(()),
        }
    }
}

impl From<&IdToken> for PreviousIdToken {
    fn from(id_token: &IdToken) -> Self {
        id_token.to_previous()
    }
}

impl From<&Self> for PreviousIdToken {
    fn from(stored: &Self) -> Self {
        stored.clone()
    }
}

impl Serialize for PreviousIdToken {
    fn serialize<S: Serializer>(&self, target: S) -> Result<S::Ok, S::Error> {
        Stored {
            version: VERSION,
            iss: self.issuer.clone(),
            sub: self.subject.clone(),
            aud: self.audience.clone(),
            auth_time: self.authenticated_at.map(|time| time.0),
            nonce: self.nonce.clone(),
        }
        .serialize(target)
    }
}

impl<'de> Deserialize<'de> for PreviousIdToken {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        // The format's own error may quote what it found, such as the subject.
        let stored = Stored::deserialize(source).ok().filter(|stored| stored.version == VERSION);
        let stored = stored.ok_or_else(|| {
            D::Error::custom(
                "not what is stored of an ID token, damaged, or of another version of the crate; let the user sign \
                 in again",
            )
        })?;
        Ok(Self {
            issuer: stored.iss,
            subject: stored.sub,
            audience: stored.aud,
            authenticated_at: stored.auth_time.map(Date),
            nonce: stored.nonce,
        })
    }
}

#[derive(Serialize, Deserialize)]
struct Stored {
    version: u32,
    iss: String,
    sub: String,
    aud: Vec<String>,
    auth_time: Option<u64>,
    nonce: Option<String>,
}

/// The version of the stored form.
const VERSION: u32 = 1;

/// Refuses an algorithm that the server is known not to use.
pub(super) fn check_algorithm(jwt: &Jwt, client: &Client) -> Result<(), Error> {
    match jwt.is_signed_by_one_of(client.server.id_token_signing_alg_values_supported.as_deref()) {
        true => Ok(()),
        false => Err(Error::untrusted(
            "the token has an algorithm that is not among the server's id_token_signing_alg_values_supported",
        )
        .about("alg")),
    }
}

/// Refuses a subject that is empty or too long.
pub(super) fn subject(subject: Option<String>) -> Result<Option<String>, Error> {
    match &subject {
        Some(text) if !matches!(text.len(), 1..=255) => {
            Err(malformed("sub", "is empty, or longer than 255 bytes"))
        }
        _ => Ok(subject),
    }
}

/// Checks `azp`: it is this client, and there if the token has several audiences.
fn check_authorized_party(azp: Option<&str>, audience: &[String], client: &Client) -> Result<(), Error> {
    match azp {
        Some(azp) if azp == client.client_id() => Ok(()),
        Some(_) => Err(wrong("azp", "is another client")),
        None if audience.len() > 1 => Err(wrong("azp", "is missing, and the token has several audiences")),
        None => Ok(()),
    }
}

const NAMES: &[&str; 13] =
    &["iss", "sub", "aud", "exp", "iat", "nbf", "nonce", "azp", "auth_time", "acr", "amr", "at_hash", "sid"];

impl fmt::Debug for IdToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdToken")
            .field("issuer", &format_args!("{}", ForeignAddress(&self.issuer)))
            .field("issued_at", &self.issued_at.0)
            .field("expires_at", &self.expires_at.0)
            .field("claims", &self.others)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for PreviousIdToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PreviousIdToken")
            .field("issuer", &format_args!("{}", ForeignAddress(&self.issuer)))
            .finish_non_exhaustive()
    }
}
