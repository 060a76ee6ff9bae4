//! The public keys of a server (RFC 7517 §5).

use std::fmt;
use std::time::{Duration, SystemTime};

use serde::de::Error as _;
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::answer;
use crate::call::{Call, RESPONSE_LIMIT, Readable, Reply, Request, Response, sealed};
use crate::client::Client;
use crate::error::Error;
use crate::jose::{Algorithm, PublicKey};
use crate::text::foreign::ForeignAddress;
use crate::text::json::{self, Member};
use crate::text::time::{system_time, unix_seconds};

impl Client {
    /// Makes the call that fetches the server's public keys: a GET without credentials (RFC 7517 §5).
    ///
    /// Fetch them once and keep them; [`KeySet::fetch_again`] fetches them later.
    ///
    /// # Errors
    ///
    /// Misuse: the server has no `jwks_uri`.
    pub fn fetch_keys(&self, now: SystemTime) -> Result<Call<KeySet>, Error> {
        self.fetch_keys_as(Asked { at: unix_seconds(now), again: false })
    }

    fn fetch_keys_as(&self, asked: Asked) -> Result<Call<KeySet>, Error> {
        let jwks_uri = self.server.require(&self.server.jwks_uri, "jwks_uri")?;
        let request = Request::without_body("GET", jwks_uri.to_shared(), None);
        let issuer = self.server.issuer.as_ref().map(|issuer| issuer.as_str().to_owned());
        Ok(Call::new(request, KeySetContext { issuer, asked }))
    }
}

/// The public keys of a server, as data; made by [`Client::fetch_keys`].
///
/// Keys of an unknown kind, unsound ones, keys for other things than signatures, and private keys, which
/// nobody must publish, are left out. A set of more than [`MAX_KEYS`](Self::MAX_KEYS) keys is refused.
///
/// A fetched set belongs to its server: a client of another issuer refuses it as misuse, so that no server
/// speaks for another one.
///
/// To store a set, serialize it: its form is a JWK set (RFC 7517 §5) with the members `issuer`, `asked_at`
/// and `asked_again`.
///
/// # When to fetch the keys again
///
/// A server changes its keys, and signs with one that you do not know yet (OpenID Connect Core §10.1.1). The
/// check of its token then fails; fetch the keys and read the same answer again. Call
/// [`fetch_again`](Self::fetch_again) on the one set that all requests share: a copy does not know when the
/// server was asked.
///
/// ```
/// use oauth2_proto::jose::{KeySet, Verification, Verifier};
/// use oauth2_proto::oidc::Authentication;
/// use oauth2_proto::{Call, Client, Error, Request, Response};
/// use std::sync::Mutex;
/// use std::time::SystemTime;
///
/// /// Runs a check, and once more with new keys if it fails for want of them.
/// fn with_keys<T>(
///     client: &Client,
///     shared: &Mutex<KeySet>,
///     now: SystemTime,
///     send: impl Fn(&Request) -> Response<'static>,
///     mut check: impl FnMut(&KeySet) -> Result<T, Error>,
/// ) -> Result<T, Error> {
///     let keys = shared.lock().unwrap().clone();
///     let error = match check(&keys) {
///         Err(error) => error,
///         checked => return checked,
///     };
///     // Others whose check fails meanwhile wait here, and use the keys that this fetch brings.
///     let mut shared = shared.lock().unwrap();
///     if *shared == keys {
///         let Some(call) = shared.fetch_again(&error, client, now)? else { return Err(error) };
///         *shared = call.read(send(call.request()))?;
///     }
///     let keys = shared.clone();
///     drop(shared);
///     check(&keys)
/// }
///
/// /// Reads the answer to a sign-in.
/// fn authenticate(
///     client: &Client,
///     shared: &Mutex<KeySet>,
///     library: &dyn Verifier, // `&LocalVerifier`, with the feature `keys`
///     call: &Call<Authentication>,
///     send: impl Fn(&Request) -> Response<'static>,
///     now: SystemTime,
/// ) -> Result<Authentication, Error> {
///     let response = send(call.request());
///     with_keys(client, shared, now, send, |keys| {
///         call.authenticate(response.clone(), &Verification::by(keys, library), now)
///     })
/// }
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct KeySet {
    keys: Vec<PublicKey>,
    /// The server that published the keys, if that is known.
    issuer: Option<String>,
    asked: Asked,
}

/// The time at which a server was last asked for its keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Asked {
    /// Seconds of Unix time.
    at: u64,
    /// True if the request before this one was less than [`KeySet::MIN_INTERVAL`] earlier.
    again: bool,
}

impl KeySet {
    /// The maximum number of keys in a set.
    pub const MAX_KEYS: usize = 100;

    /// The time in which keys are fetched twice at most, however many tokens name unknown keys: 5 minutes.
    pub const MIN_INTERVAL: Duration = Duration::from_secs(300);

    /// Reads a JWK set that you have from elsewhere, such as a file (RFC 7517 §5). `asked_at` is the time at
    /// which it came from the server. Never join the keys of several servers.
    ///
    /// # Errors
    ///
    /// Misuse: the text is no JSON object with a list `keys`, is longer than 1 MiB, or has too many keys.
    pub fn from_json(json: &str, asked_at: SystemTime) -> Result<Self, Error> {
        let mut members = [Member::Absent];
        let keys = match json.len() {
            0..=RESPONSE_LIMIT => json::read(json.as_bytes(), &["keys"], &mut members).and_then(|_| {
                let [keys] = members;
                sound_keys(keys)
            }),
            _ => None,
        };
        let keys = keys.ok_or_else(|| Error::misuse(format!("the key set {NO_SET}")))?;
        Ok(Self { keys, issuer: None, asked: Asked { at: unix_seconds(asked_at), again: false } })
    }

    /// Refuses keys that another server published.
    pub(super) fn check_is_of(&self, issuer: Option<&str>) -> Result<(), Error> {
        match (&self.issuer, issuer) {
            (Some(theirs), Some(ours)) if theirs != ours => Err(Error::misuse(format!(
                "the keys are those of the server {}, and this client is of {}; pass the keys that this client \
                 fetched",
                ForeignAddress(theirs),
                ForeignAddress(ours)
            ))),
            _ => Ok(()),
        }
    }

    /// Returns the keys.
    pub fn keys(&self) -> impl Iterator<Item = &PublicKey> {
        self.keys.iter()
    }

    /// Returns the time at which the server was last asked for its keys.
    pub fn asked_at(&self) -> SystemTime {
        system_time(self.asked.at.saturating_mul(1000))
    }

    /// Returns the call that fetches the keys again after this error; `None` if new keys would not help or
    /// the server was asked too often.
    ///
    /// New keys may help if the token names an unknown key or its signature is wrong. A server may change its
    /// keys right after it was asked, so the first such error brings a call at once. The next one brings a
    /// call when [`MIN_INTERVAL`](Self::MIN_INTERVAL) is over. A fetch that fails counts, too.
    ///
    /// # Errors
    ///
    /// Misuse: the server has no `jwks_uri`.
    pub fn fetch_again(
        &mut self,
        error: &Error,
        client: &Client,
        now: SystemTime,
    ) -> Result<Option<Call<Self>>, Error> {
        let at = unix_seconds(now);
        // A clock that was ahead must not stop all fetches.
        let is_over = at.abs_diff(self.asked.at) >= Self::MIN_INTERVAL.as_secs();
        let is_due = is_over || !self.asked.again;
        if !is_due || !matches!(error.reason(), Some("kid" | "signature")) {
            return Ok(None);
        }
        self.asked = Asked { at, again: !is_over };
        client.fetch_keys_as(self.asked).map(Some)
    }

    /// Returns the keys that a signature of this algorithm may be made with. Without an identifier in its
    /// header, each key that fits may be the one.
    pub(super) fn fitting(
        &self,
        algorithm: Algorithm,
        key_id: Option<&str>,
    ) -> impl Iterator<Item = &PublicKey> {
        let is_named = move |key: &PublicKey| match (key_id, key.key_id()) {
            (Some(wanted), Some(key_id)) => wanted == key_id,
            _ => true,
        };
        self.keys.iter().filter(move |key| key.fits(algorithm) && is_named(key))
    }
}

/// The context that the reader of a key set needs.
pub struct KeySetContext {
    issuer: Option<String>,
    asked: Asked,
}

impl Reply for KeySet {}

impl sealed::Reply for KeySet {
    type Context = KeySetContext;
}

impl Readable for KeySet {
    type Output = Self;

    fn read(response: Response<'_>, context: &KeySetContext) -> Result<Self, Error> {
        let ([keys], _) = answer::read(&response, &["keys"]).map_err(Error::without_grant)?;
        let keys = sound_keys(keys).ok_or_else(|| Error::invalid(format!("the key set {NO_SET}")))?;
        Ok(Self { keys, issuer: context.issuer.clone(), asked: context.asked })
    }
}

impl Serialize for KeySet {
    fn serialize<S: Serializer>(&self, target: S) -> Result<S::Ok, S::Error> {
        let mut set = target.serialize_map(Some(3 + usize::from(self.issuer.is_some())))?;
        let keys: Vec<_> = self.keys.iter().map(Members).collect();
        set.serialize_entry("keys", &keys)?;
        if let Some(issuer) = &self.issuer {
            set.serialize_entry("issuer", issuer)?;
        }
        set.serialize_entry("asked_at", &self.asked.at)?;
        set.serialize_entry("asked_again", &self.asked.again)?;
        set.end()
    }
}

impl<'de> Deserialize<'de> for KeySet {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        let damaged = || D::Error::custom("not a stored key set, or a damaged one; fetch the keys again");
        let mut members = [const { Member::Absent }; 4];
        let names = &["keys", "issuer", "asked_at", "asked_again"];
        json::read_from(source, names, &mut members).map_err(|_| damaged())?;
        let [keys, issuer, asked_at, again] = members;
        let issuer = match issuer {
            Member::Absent => None,
            Member::Text(issuer) => Some(issuer.to_owned()),
            _ => return Err(damaged()),
        };
        match (sound_keys(keys), asked_at, again.into_value()) {
            (Some(keys), Member::Unsigned(at), Some(Value::Bool(again))) => {
                Ok(Self { keys, issuer, asked: Asked { at, again } })
            }
            _ => Err(damaged()),
        }
    }
}

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeySet")
            .field("issuer", &self.issuer.as_deref().map(|issuer| ForeignAddress(issuer).to_string()))
            .field("keys", &self.keys)
            .field("asked", &self.asked)
            .finish()
    }
}

/// Writes a key with its identifier and its algorithm.
struct Members<'a>(&'a PublicKey);

impl Serialize for Members<'_> {
    fn serialize<S: Serializer>(&self, target: S) -> Result<S::Ok, S::Error> {
        target.collect_map(self.0.named_members())
    }
}

/// Reads the keys that can verify signatures; `None` if they are no list, or too many.
fn sound_keys(keys: Member<'_>) -> Option<Vec<PublicKey>> {
    let Member::Array(keys) = keys else { return None };
    if keys.len() > KeySet::MAX_KEYS {
        return None;
    }
    let sound = |mut key: Value| {
        let sound = PublicKey::read(key.to_string().as_bytes()).ok();
        json::wipe(&mut key);
        sound.filter(PublicKey::is_for_signatures)
    };
    Some(keys.into_iter().filter_map(sound).collect())
}

const NO_SET: &str = "is no JSON object with a list `keys` of at most 100 keys (RFC 7517 section 5)";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jose::jwt::tests::keys;
    use crate::{AuthorizationServer, ClientAuth};
    use serde_json::json;

    const X: &str = "l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs";

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    /// A client whose server has a `jwks_uri`.
    #[track_caller]
    fn client() -> Client {
        client_of(server().jwks_uri("https://as.example/keys").unwrap())
    }

    #[track_caller]
    fn client_of(server: AuthorizationServer) -> Client {
        Client::new(server, "fake", ClientAuth::none()).unwrap()
    }

    #[track_caller]
    fn server() -> AuthorizationServer {
        AuthorizationServer::new("https://as.example/a", "https://as.example/t").unwrap()
    }

    #[track_caller]
    fn call() -> Call<KeySet> {
        client().fetch_keys(at(7)).unwrap()
    }

    fn read(body: &Value) -> Result<KeySet, Error> {
        let headers = [("content-type", "application/json")];
        call().read(Response::new(200, headers, body.to_string().as_bytes()))
    }

    #[test]
    fn rfc7517_section_5_keys_that_do_not_verify_are_left_out() {
        let sound = json!({"kty": "OKP", "crv": "Ed25519", "x": X, "kid": "sound", "alg": "EdDSA"});
        let with = |name: &str, value: Value| {
            let mut key = sound.clone();
            key[name] = value;
            key
        };
        let set = read(&json!({"other": 1, "keys": [
            with("d", json!("planted")),
            with("k", json!("planted")),
            with("kty", json!("oct")),
            with("kty", json!("other")),
            with("crv", json!("X25519")),
            with("use", json!("enc")),
            with("alg", json!("ECDH-ES")),
            with("key_ops", json!(["encrypt"])),
            with("x", json!("AA")),
            with("kid", json!(7)),
            sound, null, 7, [], "text",
        ]}))
        .unwrap();
        assert_eq!(set.keys().map(PublicKey::key_id).collect::<Vec<_>>(), [Some("sound")]);
        assert_eq!(set.asked_at(), at(7));
        assert_eq!(call().request().url(), "https://as.example/keys");
        assert_eq!(call().request().header("authorization"), None);
    }

    #[test]
    fn a_set_that_grows_without_end_is_refused() {
        let key = json!({"kty": "OKP", "crv": "Ed25519", "x": X});
        assert_eq!(read(&json!({"keys": vec![&key; 100]})).unwrap().keys().count(), 100);
        let long = format!("{{\"keys\":[],\"a\":\"{}\"}}", "a".repeat(RESPONSE_LIMIT));
        for broken in [json!({"keys": vec![&key; 101]}), json!({"keys": {}}), json!({}), json!([])] {
            assert!(read(&broken).is_err());
            assert!(KeySet::from_json(&broken.to_string(), at(7)).is_err());
        }
        assert!(KeySet::from_json(&long, at(7)).is_err());
        assert!(call().read(Response::new(200, [("a", "b")], long.as_bytes())).is_err());
    }

    #[test]
    fn rfc7517_section_5_a_set_is_stored_as_a_set() {
        let (stored, read) = (serde_json::to_value(keys()).unwrap(), keys());
        assert_eq!(serde_json::from_value::<KeySet>(stored.clone()).unwrap(), read);
        assert_eq!(KeySet::from_json(&stored.to_string(), at(0)).unwrap(), read);
        assert_eq!(stored["keys"][1]["kid"], "rsa-2");
        assert_eq!(stored["keys"][1]["alg"], "RS256");
        for damaged in [
            json!({"keys": []}),
            json!({"asked_at": 7, "asked_again": false}),
            json!({"keys": [], "asked_at": "7", "asked_again": false}),
            json!({"keys": [], "asked_at": 7}),
            json!({"keys": [], "asked_at": 7, "asked_again": "false"}),
            json!({"keys": [], "asked_at": 7, "asked_again": false, "issuer": ["https://as.example"]}),
        ] {
            assert!(serde_json::from_value::<KeySet>(damaged).is_err());
        }
    }

    #[test]
    fn openid_core_section_10_1_1_unknown_keys_are_fetched_twice_in_five_minutes_at_most() {
        let unknown = Error::untrusted("").about("kid");
        let wrong = Error::untrusted("").about("signature");
        let expired = Error::untrusted("").about("exp");
        let mut set = KeySet { asked: Asked { at: 1_000, again: false }, ..keys() };
        for (error, second, is_fetched) in [
            (&expired, 1_000, false),
            // The server changed its keys as soon as it was asked.
            (&unknown, 1_000, true),
            // Whether or not the fetch succeeds, it was one.
            (&unknown, 1_001, false),
            (&unknown, 1_299, false),
            (&expired, 1_300, false),
            (&wrong, 1_300, true),
            (&wrong, 1_300, true),
            (&unknown, 1_599, false),
            // The clock was ahead, and is set back.
            (&unknown, 1_001, false),
            (&unknown, 1_000, true),
        ] {
            let call = set.fetch_again(error, &client(), at(second)).unwrap();
            assert_eq!(call.is_some(), is_fetched, "{second}");
            // The set that comes knows of the fetches before it.
            if let Some(call) = call {
                let headers = [("content-type", "application/json")];
                let read = call.read(Response::new(200, headers, br#"{"keys":[]}"#)).unwrap();
                assert_eq!((read.asked, read.asked_at()), (set.asked, at(second)));
                assert_eq!(call.request().url(), "https://as.example/keys");
            }
        }
    }

    #[test]
    fn a_server_without_an_address_of_its_keys_is_misuse() {
        let client = client_of(server());
        let unknown = Error::untrusted("").about("kid");
        for error in [
            client.fetch_keys(at(7)).map(drop).unwrap_err(),
            keys().fetch_again(&unknown, &client, at(7)).map(drop).unwrap_err(),
        ] {
            assert!(error.to_string().contains("has no jwks_uri"), "{error}");
        }
    }
}
