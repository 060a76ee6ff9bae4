//! A signed token of another party in compact form (RFC 7515 §7.1, RFC 7519).

use std::borrow::Cow;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use sha2::{Digest, Sha256, Sha384, Sha512};
use zeroize::Zeroizing;

use crate::call::RESPONSE_LIMIT;
use crate::client::Client;
use crate::error::Error;
use crate::jose::claims;
use crate::jose::verification::SignedBy;
use crate::jose::{Algorithm, HS256, Verification};
use crate::text::json::{self, Extras, Member};
use crate::text::uri::Issuer;
use crate::token::reader::read_object;

/// A token whose signature was checked, or left to TLS. Its claims are not checked yet.
pub(crate) struct Jwt {
    signed_by: SignedBy,
    typ: Option<String>,
    payload: Zeroizing<Vec<u8>>,
}

impl Jwt {
    /// Reads a token that the server of this client signed, and checks the signature. A key in its header is
    /// ignored, as is the address of one (`jwk`, `jku`, `x5u`).
    ///
    /// # Errors
    ///
    /// - Invalid `format`: it has not three parts in base64url without padding, of which two are JSON
    ///   objects; or its signature is empty. Invalid `alg`, `kid` or `typ`: it is of the wrong kind. Invalid
    ///   `crit`: the token has extensions that must be understood.
    /// - Suspect `alg`, `kid` or `signature`: the algorithm is not allowed, no key is the one, or the
    ///   signature is not the server's.
    /// - Misuse: the client secret is too short, or the keys are of another server.
    pub(crate) fn read(token: &str, client: &Client, verification: &Verification<'_>) -> Result<Self, Error> {
        verification.check_is_of(client.server.issuer.as_ref().map(Issuer::as_str))?;
        Self::read_signed(token, verification)
    }

    fn read_signed(token: &str, verification: &Verification<'_>) -> Result<Self, Error> {
        let (message, signature) = split(token)?;
        let (header, payload) = message.split_once('.').ok_or_else(no_token)?;
        let (header, payload) = (decode(header)?, decode(payload)?);
        let ([alg, typ, kid, crit, b64], _) = object(&header, &["alg", "typ", "kid", "crit", "b64"])?;
        let alg = text("alg", alg)?.ok_or_else(|| Error::invalid("the token has no alg").about("alg"))?;
        let (typ, kid) = (text("typ", typ)?, text("kid", kid)?);
        let signed_by = verification.algorithm(&alg)?;
        let is_encoded = matches!(b64, Member::Absent)
            || matches!(b64.into_value(), Some(Value::Bool(is_encoded)) if is_encoded);
        if !matches!(crit, Member::Absent) || !is_encoded {
            return Err(Error::invalid(
                "the token has extensions that must be understood, and this crate knows none (RFC 7515 section \
                 4.1.11)",
            )
            .about("crit"));
        }
        let signature = decode(signature)?;
        if signature.is_empty() {
            return Err(no_token());
        }
        verification.check(signed_by, kid.as_deref(), message.as_bytes(), &signature)?;
        Ok(Self { signed_by, typ, payload })
    }

    /// Returns the type of the token (RFC 7515 §4.1.9), in lower case and without `application/`.
    pub(crate) fn typ(&self) -> Option<String> {
        let typ = self.typ.as_ref()?.to_ascii_lowercase();
        Some(typ.strip_prefix("application/").unwrap_or(&typ).to_owned())
    }

    /// Refuses a type of another kind of token than these `own` ones (RFC 8725 §3.11). A type that no
    /// specification gives to another kind says nothing, as many servers send `JWT` or none.
    pub(crate) fn check_typ(&self, own: &[&str]) -> Result<(), Error> {
        let is_other = |typ: &str| KINDS.contains(&typ) && !own.contains(&typ);
        match self.typ().is_some_and(|typ| is_other(&typ)) {
            true => Err(claims::wrong("typ", "is that of another kind of token")),
            false => Ok(()),
        }
    }

    /// Returns the claims of these `names`, in the same order, and all others.
    ///
    /// # Errors
    ///
    /// Invalid `format`: one of the `names` is there twice.
    pub(crate) fn claims<const N: usize>(
        &self,
        names: &'static [&'static str; N],
    ) -> Result<([Member<'_>; N], Extras), Error> {
        object(&self.payload, names)
    }

    /// Returns whether the token has one of these algorithms; `None` allows all.
    pub(crate) fn is_signed_by_one_of(&self, names: Option<&[Cow<'static, str>]>) -> bool {
        names.is_none_or(|names| names.iter().any(|name| *name == self.algorithm_name()))
    }

    /// Returns the name of the token's algorithm.
    pub(crate) fn algorithm_name(&self) -> &'static str {
        match self.signed_by {
            SignedBy::Key(algorithm) => algorithm.name(),
            SignedBy::ClientSecret => HS256,
        }
    }

    /// Returns the left half of the digest of a text in base64url, by the hash of the token's algorithm
    /// (OpenID Connect Core §3.1.3.6). EdDSA names none; Ed25519 uses SHA-512 inside.
    pub(crate) fn left_half_of_digest(&self, text: &str) -> String {
        fn left_half(digest: &[u8]) -> String {
            URL_SAFE_NO_PAD.encode(digest.get(..digest.len() / 2).unwrap_or_default())
        }
        match self.signed_by {
            SignedBy::ClientSecret
            | SignedBy::Key(Algorithm::RS256 | Algorithm::PS256 | Algorithm::ES256) => {
                left_half(&Sha256::digest(text))
            }
            SignedBy::Key(Algorithm::RS384 | Algorithm::PS384 | Algorithm::ES384) => {
                left_half(&Sha384::digest(text))
            }
            SignedBy::Key(
                Algorithm::RS512
                | Algorithm::PS512
                | Algorithm::ES512
                | Algorithm::EdDSA
                | Algorithm::Ed25519,
            ) => left_half(&Sha512::digest(text)),
        }
    }
}

impl fmt::Debug for Jwt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jwt").field("signed_by", &self.signed_by).finish_non_exhaustive()
    }
}

/// Splits a token into what is signed and the signature.
fn split(token: &str) -> Result<(&str, &str), Error> {
    match token.rsplit_once('.') {
        Some((message, signature))
            if token.len() <= RESPONSE_LIMIT && message.bytes().filter(|byte| *byte == b'.').count() == 1 =>
        {
            Ok((message, signature))
        }
        _ => Err(no_token()),
    }
}

fn decode(part: &str) -> Result<Zeroizing<Vec<u8>>, Error> {
    URL_SAFE_NO_PAD.decode(part).map(Zeroizing::new).map_err(|_| no_token())
}

/// Reads a sound object, in which none of the `names` is there twice. What the reader of broken bodies would
/// mend or leave out is refused: a claim that nobody can read might be the one that matters.
fn object<'a, const N: usize>(
    body: &'a [u8],
    names: &'static [&'static str; N],
) -> Result<([Member<'a>; N], Extras), Error> {
    if !json::is_sound(body) {
        return Err(no_token());
    }
    match read_object(body, names) {
        (members, extras, None) => Ok((members, extras)),
        (_, _, Some(_)) => Err(no_token()),
    }
}

fn text(name: &'static str, member: Member<'_>) -> Result<Option<String>, Error> {
    match member {
        Member::Absent => Ok(None),
        Member::Text(text) => Ok(Some(text.to_owned())),
        _ => Err(Error::invalid(format!("{name} in the header of the token is no text")).about(name)),
    }
}

fn no_token() -> Error {
    Error::invalid(
        "the token is no JWT: it has not three parts in base64url without padding, one of the first two is no sound \
         JSON object, or a member of it is there twice, or the signature is empty (RFC 7515 section 7.1)",
    )
    .about("format")
}

/// The types that specifications and servers give to one kind of token (RFC 9068 §2.1, RFC 9101 §10.8, RFC
/// 9449 §4.2, RFC 8417 §2.3, RFC 9701 §5, OpenID Connect Back-Channel Logout §2.4).
const KINDS: &[&str] = &[
    "at+jwt",
    "client-authentication+jwt",
    "dpop+jwt",
    "id_token+jwt",
    "logout+jwt",
    "oauth-authz-req+jwt",
    "oauth-authz-resp+jwt",
    "secevent+jwt",
    "token-introspection+jwt",
];

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::jose::{KeySet, PublicKey, Verifier};
    use crate::text::secret::Secret;
    use serde_json::json;
    use std::cell::RefCell;
    use std::time::SystemTime;

    /// A library that finds one key right, and records which keys it was given.
    #[derive(Default)]
    pub(crate) struct Recorder {
        pub(crate) right: &'static str,
        pub(crate) asked: RefCell<Vec<String>>,
    }

    impl Verifier for Recorder {
        fn verifies(&self, algorithm: Algorithm, key: &PublicKey, _: &[u8], _: &[u8]) -> bool {
            let key_id = key.key_id().unwrap_or_default();
            self.asked.borrow_mut().push(format!("{algorithm} {key_id}"));
            key_id == self.right
        }
    }

    /// A token with this header and these claims, whose signature is "fake".
    pub(crate) fn token(header: &Value, claims: &Value) -> String {
        let part = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
        format!("{}.{}.ZmFrZQ", part(header), part(claims))
    }

    /// Two RSA keys and one of P-256.
    pub(crate) fn keys() -> KeySet {
        let n = URL_SAFE_NO_PAD.encode([0xff; 256]);
        let set = json!({"keys": [
            {"kty": "RSA", "kid": "rsa-1", "n": n, "e": "AQAB"},
            {"kty": "RSA", "kid": "rsa-2", "n": n, "e": "AQAB", "alg": "RS256"},
            {"kty": "EC", "kid": "ec", "crv": "P-256", "x": "l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs",
                "y": "9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA"},
        ]});
        KeySet::from_json(&set.to_string(), SystemTime::UNIX_EPOCH).unwrap()
    }

    /// Reads a token with this header; returns the reason of the error, or "", and the keys that were tried.
    fn read(header: &Value, right: &'static str) -> (&'static str, Vec<String>) {
        let (keys, library) = (keys(), Recorder { right, ..Recorder::default() });
        let read = Jwt::read_signed(&token(header, &json!({})), &Verification::by(&keys, &library));
        let reason = read.err().map_or("", |error| error.reason().unwrap());
        (reason, library.asked.into_inner())
    }

    #[test]
    fn rfc7515_section_4_1_4_the_header_names_the_key() {
        let tried = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>();
        for (header, right, reason, asked) in [
            (json!({"alg": "RS256", "kid": "rsa-2"}), "rsa-2", "", tried(&["RS256 rsa-2"])),
            (json!({"alg": "RS256", "kid": "rsa-1"}), "rsa-2", "signature", tried(&["RS256 rsa-1"])),
            (json!({"alg": "RS256", "kid": "rsa-3"}), "rsa-2", "kid", tried(&[])),
            // A key is for the algorithms of its kind, and for the one that it names.
            (json!({"alg": "RS256", "kid": "ec"}), "ec", "kid", tried(&[])),
            (json!({"alg": "ES256", "kid": "rsa-1"}), "rsa-1", "kid", tried(&[])),
            (json!({"alg": "RS512", "kid": "rsa-2"}), "rsa-2", "kid", tried(&[])),
            // Without a name, each key that fits is tried, until one is right.
            (json!({"alg": "RS256"}), "rsa-2", "", tried(&["RS256 rsa-1", "RS256 rsa-2"])),
            (json!({"alg": "RS256"}), "rsa-1", "", tried(&["RS256 rsa-1"])),
            (json!({"alg": "RS256"}), "other", "signature", tried(&["RS256 rsa-1", "RS256 rsa-2"])),
            (json!({"alg": "EdDSA"}), "ec", "kid", tried(&[])),
        ] {
            assert_eq!(read(&header, right), (reason, asked), "{header}");
        }
    }

    #[test]
    fn rfc8725_section_3_1_an_algorithm_that_is_not_allowed_meets_no_key() {
        for alg in ["none", "None", "NONE", "nOnE", "HS256", "HS512", "rs256", "RSA1_5", "", "dir"] {
            assert_eq!(read(&json!({"alg": alg}), ""), ("alg", vec![]), "{alg}");
        }
        for (header, reason) in [
            (json!({}), "alg"),
            (json!({"alg": null}), "alg"),
            (json!({"alg": ["RS256"]}), "alg"),
            (json!({"alg": "RS256", "kid": 1}), "kid"),
            (json!({"alg": "RS256", "typ": 1}), "typ"),
            (json!({"alg": "RS256", "crit": []}), "crit"),
            (json!({"alg": "RS256", "crit": ["exp"]}), "crit"),
            (json!({"alg": "RS256", "b64": false}), "crit"),
            (json!({"alg": "RS256", "b64": "true"}), "crit"),
            (json!({"alg": "RS256", "b64": 1}), "crit"),
        ] {
            assert_eq!(read(&header, ""), (reason, vec![]), "{header}");
        }
        assert_eq!(read(&json!({"alg": "RS256", "b64": true, "crit": null}), "rsa-1").0, "");
    }

    #[test]
    fn rfc8725_section_3_1_each_way_to_check_has_algorithms_of_its_own() {
        let (keys, library) = (keys(), Recorder::default());
        let secret = Secret::new("fake-secret-of-at-least-32-bytes");
        for alg in ["RS256", "ES256", "HS256", "HS384", "none"] {
            let token = token(&json!({"alg": alg}), &json!({}));
            let reason = |verification: &Verification<'_>| {
                Jwt::read_signed(&token, verification).err().map_or("", |error| error.reason().unwrap())
            };
            assert_eq!(reason(&Verification::by(&keys, &library).algorithms([])), "alg", "{alg}");
            let by_secret = if alg == "HS256" { "signature" } else { "alg" };
            assert_eq!(reason(&Verification::by_client_secret(&secret)), by_secret, "{alg}");
            let by_tls = if alg.ends_with("S256") && alg != "HS256" { "" } else { "alg" };
            assert_eq!(reason(&Verification::left_to_tls()), by_tls, "{alg}");
            let only = Verification::left_to_tls().algorithms([Algorithm::ES256]);
            assert_eq!(reason(&only), if alg == "ES256" { "" } else { "alg" }, "{alg}");
        }
        assert!(library.asked.into_inner().is_empty());
    }

    #[test]
    fn rfc7515_section_4_1_3_a_key_in_the_header_is_not_used() {
        let jwk = json!({"kty": "EC", "crv": "P-256", "kid": "theirs",
            "x": "l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs",
            "y": "9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA"});
        for name in ["jwk", "jku", "x5u", "x5c"] {
            let header = json!({"alg": "ES256", name: jwk});
            assert_eq!(read(&header, "theirs"), ("signature", vec!["ES256 ec".to_owned()]), "{name}");
        }
    }

    /// RFC 7515 §3.2 and RFC 7518 §3.2; the signature was made with another implementation of HMAC.
    #[test]
    fn rfc7518_section_3_2_a_client_secret_of_32_bytes_signs() {
        let message = "eyJhbGciOiJIUzI1NiJ9.e30";
        let secret = Secret::new("fake-secret-of-at-least-32-bytes");
        let read = |signature: &str, secret: &Secret| {
            Jwt::read_signed(&format!("{message}.{signature}"), &Verification::by_client_secret(secret))
        };
        assert!(read(HMAC, &secret).is_ok());
        let error = read("AAAA", &secret).unwrap_err();
        assert_eq!((error.kind(), error.reason()), (ErrorKind::Suspect, Some("signature")));
        let other = Secret::new("fake-secret-of-at-least-32-bytez");
        assert_eq!(read(HMAC, &other).unwrap_err().reason(), Some("signature"));
        let short = Secret::new("fake-secret-of-fewer-32-bytes..");
        assert_eq!(read(HMAC, &short).unwrap_err().kind(), ErrorKind::Misuse);
    }

    const HMAC: &str = "tmUykY5tWrALa4gFG_ztizx2bT8dXrwjFsZ_4YcYMQM";

    #[test]
    fn rfc7515_section_7_1_three_parts_are_sound() {
        let sound = token(&json!({"alg": "RS256"}), &json!({}));
        let [header, payload, signature] = [0, 1, 2].map(|index| sound.split('.').nth(index).unwrap());
        let tls = Verification::left_to_tls();
        let deep = |levels: usize| {
            let json = format!("{{\"deep\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
            format!("{header}.{}.{signature}", URL_SAFE_NO_PAD.encode(json))
        };
        let claims = |json: &[u8]| format!("{header}.{}.{signature}", URL_SAFE_NO_PAD.encode(json));
        let padded = |length: usize| format!("{{}}{}", " ".repeat(length)).into_bytes();
        for (token, is_sound) in [
            (sound.clone(), true),
            (claims(b"\xef\xbb\xbf {}\n"), true),
            (deep(100), true),
            (deep(1000), false),
            (String::new(), false),
            (format!("{header}.{payload}"), false),
            (format!("{header}.{payload}."), false),
            (format!("{sound}.{signature}"), false),
            (format!("{header}..{signature}"), false),
            (format!(".{payload}.{signature}"), false),
            (format!("{header}.{payload}.{signature}=="), false),
            (format!("{header}.{payload}.Zm+r"), false),
            (format!("{header}.{payload}.ZmFrZR"), false),
            (format!(" {sound}"), false),
            (format!("{sound}\n"), false),
            (claims(b"[]"), false),
            (claims(b"{}{}"), false),
            (claims(b"{\"a\":1,}"), false),
            (claims(b"{\"a\":tru}"), false),
            (claims(b"{\"a\":\"\xff\"}"), false),
            (claims(br#"{"a":"\ud800"}"#), false),
            (claims(br#"{"\udc00":1}"#), false),
            (claims(br#"{"a":{"b":"\ud800\u0041"}}"#), false),
            (claims(br#"{"iss":"a","iss":"a"}"#), false),
            (claims(br#"{"iss":"a","\u0069ss":null}"#), false),
            ("a".repeat(RESPONSE_LIMIT + 1), false),
            (claims(&padded(RESPONSE_LIMIT * 3 / 4 - 100)), true),
            (claims(&padded(RESPONSE_LIMIT * 3 / 4)), false),
        ] {
            let read = Jwt::read_signed(&token, &tls).and_then(|jwt| jwt.claims(&["iss"]).map(drop));
            let reason = read.err().map(|error| (error.kind(), error.reason()));
            let expected = (!is_sound).then_some((ErrorKind::Invalid, Some("format")));
            assert_eq!(reason, expected, "{:.200}", token);
        }
    }

    #[test]
    fn rfc7515_section_4_1_9_the_type_is_compared_without_its_case_and_prefix() {
        for (typ, read) in [
            (json!("JWT"), Some("jwt")),
            (json!("application/Logout+JWT"), Some("logout+jwt")),
            (Value::Null, None),
        ] {
            let token = token(&json!({"alg": "RS256", "typ": typ}), &json!({}));
            let jwt = Jwt::read_signed(&token, &Verification::left_to_tls()).unwrap();
            assert_eq!(jwt.typ().as_deref(), read);
        }
    }
}
