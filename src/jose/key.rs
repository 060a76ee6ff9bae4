//! A public key as a JSON Web Key (RFC 7517, RFC 7518 §6, RFC 8037 §2).

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Serialize, Serializer};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::error::Error;
use crate::jose::Algorithm;
use crate::text::foreign::Foreign;
use crate::text::json::{self, Member};

/// A public key of a kind that this crate knows: RSA, an elliptic curve (P-256, P-384, P-521), or Ed25519.
///
/// ```
/// use oauth2_proto::jose::PublicKey;
///
/// // The example of RFC 9449 §4.1.
/// let key = PublicKey::from_jwk(
///     r#"{"kty":"EC","crv":"P-256",
///         "x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs",
///         "y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA"}"#,
/// )?;
/// assert_eq!(key.thumbprint(), "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I");
/// # Ok::<(), oauth2_proto::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    material: Material,
    key_id: Option<String>,
    /// The only algorithm that the key is for, by its name; `None` means any that fits.
    algorithm: Option<String>,
    /// False if the key says that it is for something else than signatures.
    is_for_signatures: bool,
}

/// The members that make the key, each in base64url.
#[derive(Clone, PartialEq, Eq)]
enum Material {
    Ec { curve: Curve, x: String, y: String },
    Ed25519 { x: String },
    Rsa { e: String, n: String },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Curve {
    P256,
    P384,
    P521,
}

impl Curve {
    const ALL: [Self; 3] = [Self::P256, Self::P384, Self::P521];

    fn name(self) -> &'static str {
        match self {
            Self::P256 => "P-256",
            Self::P384 => "P-384",
            Self::P521 => "P-521",
        }
    }

    /// Returns the length of a coordinate in bytes (RFC 7518 §6.2.1.2).
    fn length(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
            Self::P521 => 66,
        }
    }
}

impl PublicKey {
    /// Reads a JSON Web Key.
    ///
    /// # Errors
    ///
    /// Misuse: it is no JSON object, it is of a kind that this crate does not know, a member is missing or
    /// has the wrong length, or it is a private or a symmetric key, which must not leave your program.
    pub fn from_jwk(jwk: &str) -> Result<Self, Error> {
        Self::read(jwk.as_bytes()).map_err(|why| Error::misuse(format!("the public key {why}")))
    }

    /// Reads a JSON Web Key, or says what is wrong with it.
    pub(crate) fn read(jwk: &[u8]) -> Result<Self, String> {
        let mut members = [const { Member::Absent }; NAMES.len()];
        let others = json::read(jwk, NAMES, &mut members).ok_or("is no JSON object")?;
        if PRIVATE.iter().any(|name| others.get(name).is_some()) {
            return Err("holds the private key too; pass only the public members (RFC 7518 section 6)".into());
        }
        let [kty, crv, x, y, n, e, kid, alg, r#use] = members;
        let kty = text("kty", kty)?.ok_or("has no kty (RFC 7517 section 4.1)")?;
        let required = |name, member| text(name, member)?.ok_or(format!("has no {name}"));
        let material = match kty.as_str() {
            "EC" => {
                let name = required("crv", crv)?;
                let curve = Curve::ALL.into_iter().find(|curve| curve.name() == name);
                let curve = curve.ok_or_else(|| unknown("curve", &name))?;
                let coordinate = |name, member| fixed(name, required(name, member)?, curve.length());
                Material::Ec { curve, x: coordinate("x", x)?, y: coordinate("y", y)? }
            }
            "OKP" => match required("crv", crv)?.as_str() {
                "Ed25519" => Material::Ed25519 { x: fixed("x", required("x", x)?, 32)? },
                other => return Err(unknown("curve", other)),
            },
            "RSA" => Material::Rsa { e: exponent(required("e", e)?)?, n: modulus(required("n", n)?)? },
            other => return Err(unknown("kind", other)),
        };
        let r#use = text("use", r#use)?;
        let verifies = match others.get("key_ops") {
            None | Some(Value::Null) => true,
            Some(Value::Array(all)) => all.iter().any(|it| matches!(it.as_str(), Some("verify" | "sign"))),
            Some(_) => return Err("has a key_ops that is no list (RFC 7517 section 4.3)".into()),
        };
        Ok(Self {
            material,
            key_id: text("kid", kid)?,
            algorithm: text("alg", alg)?,
            is_for_signatures: verifies && r#use.is_none_or(|it| it == "sig"),
        })
    }

    /// Returns the key with another identifier, which `kid` in a header then names (RFC 7515 §4.1.4).
    pub fn with_key_id(mut self, key_id: impl Into<String>) -> Self {
        self.key_id = Some(key_id.into());
        self
    }

    /// Returns the key's identifier, `kid` (RFC 7517 §4.5).
    pub fn key_id(&self) -> Option<&str> {
        self.key_id.as_deref()
    }

    /// Returns the key's kind, `kty`: `RSA`, `EC` or `OKP` (RFC 7517 §4.1).
    pub fn key_type(&self) -> &'static str {
        match &self.material {
            Material::Ec { .. } => "EC",
            Material::Ed25519 { .. } => "OKP",
            Material::Rsa { .. } => "RSA",
        }
    }

    /// Returns a member that makes the key, decoded, for a library that verifies signatures: `x` and `y` of a
    /// point, `n` and `e` of an RSA key, in big-endian bytes.
    pub fn member(&self, name: &str) -> Option<Vec<u8>> {
        let members = self.members();
        let (_, value) =
            members.iter().find(|(known, _)| *known == name && matches!(name, "x" | "y" | "n" | "e"))?;
        URL_SAFE_NO_PAD.decode(value).ok()
    }

    /// Returns the SHA-256 thumbprint in base64url (RFC 7638 §3).
    pub fn thumbprint(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.digest())
    }

    /// Returns the key as a member of a set of keys, with its identifier, its algorithm and its use (RFC 7517
    /// §4). Publish the set at the `jwks_uri` of your registration, for a client that signs.
    ///
    /// ```
    /// # let key = oauth2_proto::jose::PublicKey::from_jwk(
    /// #     r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#,
    /// # )?;
    /// let key = key.with_key_id("2026-11");
    /// let published = serde_json::json!({ "keys": [key.to_jwk()] });
    /// assert_eq!(published["keys"][0]["kid"], "2026-11");
    /// assert_eq!(published["keys"][0]["use"], "sig");
    /// # Ok::<(), oauth2_proto::Error>(())
    /// ```
    pub fn to_jwk(&self) -> Value {
        let members = self.named_members().into_iter().chain([("use", "sig")]);
        members.map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// Returns the bytes of the thumbprint.
    pub(crate) fn digest(&self) -> [u8; 32] {
        // The members are in the order that RFC 7638 §3.3 asks for, and need no escapes.
        let members: Vec<String> =
            self.members().iter().map(|(name, value)| format!("\"{name}\":\"{value}\"")).collect();
        Sha256::digest(format!("{{{}}}", members.join(","))).into()
    }

    /// Returns whether signatures of this algorithm are made with such a key.
    pub(crate) fn fits(&self, algorithm: Algorithm) -> bool {
        let is_of_kind = match &self.material {
            Material::Ec { curve: Curve::P256, .. } => algorithm == Algorithm::ES256,
            Material::Ec { curve: Curve::P384, .. } => algorithm == Algorithm::ES384,
            Material::Ec { curve: Curve::P521, .. } => algorithm == Algorithm::ES512,
            Material::Ed25519 { .. } => matches!(algorithm, Algorithm::EdDSA | Algorithm::Ed25519),
            Material::Rsa { .. } => matches!(algorithm.name().as_bytes(), [b'R' | b'P', b'S', ..]),
        };
        // One algorithm has two names.
        let is_named = |name: &str| match Algorithm::from_name(name) {
            Some(Algorithm::EdDSA | Algorithm::Ed25519) => {
                matches!(algorithm, Algorithm::EdDSA | Algorithm::Ed25519)
            }
            named => named == Some(algorithm),
        };
        is_of_kind && self.is_for_signatures && self.algorithm.as_deref().is_none_or(is_named)
    }

    /// Refuses an algorithm whose signatures are not made with such a key.
    pub(crate) fn must_fit(&self, algorithm: Algorithm) -> Result<(), Error> {
        match self.fits(algorithm) {
            true => Ok(()),
            false => Err(Error::misuse(format!(
                "a signature of {algorithm} is not made with this {} key, or the key is for something else; \
                 pass the algorithm that belongs to the key (RFC 7518 section 3.1)",
                self.key_type()
            ))),
        }
    }

    /// Returns whether signatures of any known algorithm are made with such a key.
    pub(crate) fn is_for_signatures(&self) -> bool {
        Algorithm::ALL.into_iter().any(|algorithm| self.fits(algorithm))
    }

    /// Returns the members that make the key, its identifier and its algorithm.
    pub(crate) fn named_members(&self) -> Vec<(&'static str, &str)> {
        let mut members = self.members();
        members.extend(self.key_id.as_deref().map(|key_id| ("kid", key_id)));
        members.extend(self.algorithm.as_deref().map(|algorithm| ("alg", algorithm)));
        members
    }

    /// Returns the length of a signature in bytes, which the key decides.
    pub(crate) fn signature_length(&self) -> usize {
        match &self.material {
            Material::Ec { curve, .. } => 2 * curve.length(),
            Material::Ed25519 { .. } => 64,
            Material::Rsa { n, .. } => n.len() * 3 / 4,
        }
    }

    /// Returns the members that make the key, in the order of their names.
    fn members(&self) -> Vec<(&'static str, &str)> {
        match &self.material {
            Material::Ec { curve, x, y } => {
                vec![("crv", curve.name()), ("kty", "EC"), ("x", x), ("y", y)]
            }
            Material::Ed25519 { x } => vec![("crv", "Ed25519"), ("kty", "OKP"), ("x", x)],
            Material::Rsa { e, n } => vec![("e", e), ("kty", "RSA"), ("n", n)],
        }
    }
}

/// Writes the members that make the key, and no others.
impl Serialize for PublicKey {
    fn serialize<S: Serializer>(&self, target: S) -> Result<S::Ok, S::Error> {
        target.collect_map(self.members())
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PublicKey")
            .field("kty", &self.key_type())
            .field("kid", &self.key_id.as_deref().map(|it| Foreign(it).to_string()))
            .finish_non_exhaustive()
    }
}

const NAMES: &[&str; 9] = &["kty", "crv", "x", "y", "n", "e", "kid", "alg", "use"];

/// The members of private and symmetric keys (RFC 7518 §6.2.2, §6.3.2 and §6.4.1).
const PRIVATE: &[&str] = &["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

pub(super) fn text(name: &str, member: Member<'_>) -> Result<Option<String>, String> {
    match member {
        Member::Absent => Ok(None),
        Member::Text(text) if !text.is_empty() => Ok(Some(text.to_owned())),
        _ => Err(format!("has a {name} that is no text")),
    }
}

fn unknown(what: &str, name: &str) -> String {
    format!("is of the {what} {}, which this crate does not know", Foreign(name))
}

/// Decodes base64url without padding, as RFC 7515 §2 asks for.
fn decode(name: &str, value: &str) -> Result<Vec<u8>, String> {
    URL_SAFE_NO_PAD.decode(value).map_err(|_| format!("has a member {name} that is no base64url"))
}

/// Checks a member that has a fixed length in bytes.
fn fixed(name: &str, value: String, length: usize) -> Result<String, String> {
    match decode(name, &value)?.len() == length {
        true => Ok(value),
        false => Err(format!("has a member {name} that is not {length} bytes long")),
    }
}

/// Decodes an unsigned number, which has no leading zeros (RFC 7518 §2). Those of an RSA key are odd: the
/// modulus has odd primes, and an even exponent has no inverse (RFC 8017 §3.1).
fn odd_number(name: &str, value: &str) -> Result<Vec<u8>, String> {
    let number = decode(name, value)?;
    match (number.first(), number.last()) {
        (None | Some(0), _) => Err(format!("has a member {name} that is no number without leading zeros")),
        (_, Some(last)) if last.is_multiple_of(2) => Err(format!("has an RSA {name} that is even")),
        _ => Ok(number),
    }
}

/// Checks the exponent of an RSA key: 3 to 2^64. With 1, everybody can sign, and a long one only takes time.
fn exponent(value: String) -> Result<String, String> {
    match odd_number("e", &value)?.as_slice() {
        [1] => Err("has the RSA exponent 1, with which everybody can sign".into()),
        number if number.len() > 8 => Err("has an RSA exponent that is longer than 64 bits".into()),
        _ => Ok(value),
    }
}

/// Checks the modulus of an RSA key: 2048 to 16384 bits (RFC 7518 §3.3 and §3.5).
fn modulus(value: String) -> Result<String, String> {
    let number = odd_number("n", &value)?;
    let unused = number.first().map_or(0, |first| first.leading_zeros() as usize);
    match number.len() * 8 - unused {
        2048..=16384 => Ok(value),
        _ => Err("has an RSA modulus that is shorter than 2048 bits, or longer than 16384".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use serde_json::json;

    const X: &str = "l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs";
    const Y: &str = "9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA";

    fn key(jwk: &Value) -> Result<PublicKey, Error> {
        PublicKey::from_jwk(&jwk.to_string())
    }

    fn changed(name: &str, value: Value) -> Value {
        let mut jwk = json!({"kty": "EC", "crv": "P-256", "x": X, "y": Y});
        jwk[name] = value;
        jwk
    }

    #[test]
    fn a_published_key_has_its_identifier_its_algorithm_and_its_use() {
        let mut jwk = json!({"kty": "EC", "crv": "P-256", "x": X, "y": Y, "kid": "1", "alg": "ES256"});
        let published = key(&jwk).unwrap().to_jwk();
        jwk["use"] = "sig".into();
        assert_eq!(published, jwk);
    }

    #[test]
    fn rfc7638_section_3_and_rfc8037_appendix_a_3_thumbprints() {
        let cases: Vec<Value> = serde_json::from_str(include_str!("../../tests/vectors/dpop.json")).unwrap();
        let cases: Vec<_> = cases.iter().filter(|case| case["kind"] == "thumbprint").collect();
        for case in &cases {
            assert_eq!(
                key(&case["jwk"]).unwrap().thumbprint(),
                case["jkt"].as_str().unwrap(),
                "{}",
                case["id"]
            );
        }
        assert_eq!(cases.len(), 8);
    }

    /// A modulus of 256 bytes that begins and ends with these.
    fn modulus_of(first: u8, last: u8) -> String {
        URL_SAFE_NO_PAD.encode([[first].as_slice(), &[0xff; 254], &[last]].concat())
    }

    #[test]
    fn rfc7518_section_6_a_key_has_its_members_in_their_lengths() {
        let n = URL_SAFE_NO_PAD.encode([0xff; 256]);
        for sound in [
            changed("kid", json!("fake")),
            json!({"kty": "RSA", "n": n, "e": "AQAB"}),
            json!({"kty": "RSA", "n": modulus_of(0x80, 1), "e": "Aw"}),
            json!({"kty": "RSA", "n": n, "e": "gAAAAAAAAAE"}),
            json!({"kty": "OKP", "crv": "Ed25519", "x": X}),
            changed("key_ops", Value::Null),
        ] {
            assert!(key(&sound).is_ok(), "{sound}");
        }
        for (unsound, why) in [
            (changed("x", Value::Null), "has no x"),
            (changed("x", json!("AA")), "is not 32 bytes long"),
            (changed("x", json!(7)), "is no text"),
            (changed("y", json!("=")), "no base64url"),
            (changed("y", json!(format!("{Y}="))), "no base64url"),
            (changed("crv", json!("P-192\n")), "the curve \"P-192\\n\""),
            (changed("kty", json!("oct")), "the kind \"oct\""),
            (changed("kty", Value::Null), "no kty"),
            (changed("d", json!(X)), "holds the private key"),
            (changed("k", json!(X)), "holds the private key"),
            (json!({"kty": "OKP", "crv": "X25519", "x": X}), "the curve \"X25519\""),
            (json!({"kty": "RSA", "n": URL_SAFE_NO_PAD.encode([0xff; 255]), "e": "AQAB"}), "2048 bits"),
            (json!({"kty": "RSA", "n": URL_SAFE_NO_PAD.encode([0xff; 2049]), "e": "AQAB"}), "16384"),
            (json!({"kty": "RSA", "n": modulus_of(0x7f, 0xff), "e": "AQAB"}), "2048 bits"),
            (json!({"kty": "RSA", "n": modulus_of(0xff, 0xfe), "e": "AQAB"}), "n that is even"),
            (json!({"kty": "RSA", "n": n, "e": "AAEB"}), "leading zeros"),
            (json!({"kty": "RSA", "n": n, "e": "AQ"}), "exponent 1"),
            (json!({"kty": "RSA", "n": n, "e": "AQAA"}), "e that is even"),
            (json!({"kty": "RSA", "n": n, "e": n}), "longer than 64 bits"),
            (json!({"kty": "RSA", "n": n, "e": "AQAAAAAAAAAB"}), "longer than 64 bits"),
            (changed("key_ops", json!("verify")), "key_ops"),
            (changed("key_ops", json!({"verify": 1})), "key_ops"),
            (json!({"kty": "RSA", "n": n, "e": ""}), "e that is no text"),
            (json!([]), "no JSON object"),
        ] {
            let error = key(&unsound).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Misuse);
            assert!(error.to_string().contains(why), "{error}");
        }
    }

    #[test]
    fn rfc7517_section_4_a_key_serves_the_algorithms_that_it_says() {
        let n = URL_SAFE_NO_PAD.encode([0xff; 256]);
        let rsa = key(&json!({"kty": "RSA", "n": n, "e": "AQAB"})).unwrap();
        let edwards = json!({"kty": "OKP", "crv": "Ed25519", "x": X});
        let served = |key: &PublicKey| -> Vec<&str> {
            Algorithm::ALL.into_iter().filter(|it| key.fits(*it)).map(Algorithm::name).collect()
        };
        assert_eq!(served(&rsa), ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"]);
        assert_eq!(served(&key(&edwards).unwrap()), ["EdDSA", "Ed25519"]);
        assert_eq!(served(&key(&changed("use", json!("sig"))).unwrap()), ["ES256"]);
        assert_eq!(served(&key(&changed("alg", json!("ES256"))).unwrap()), ["ES256"]);
        assert_eq!(served(&key(&changed("key_ops", json!(["verify"]))).unwrap()), ["ES256"]);
        for other in [
            changed("use", json!("enc")),
            changed("alg", json!("ES384")),
            changed("alg", json!("ECDH-ES")),
            changed("key_ops", json!(["deriveKey"])),
        ] {
            assert!(served(&key(&other).unwrap()).is_empty(), "{other}");
        }
        let mut named = edwards;
        named["alg"] = json!("Ed25519");
        assert_eq!(served(&key(&named).unwrap()), ["EdDSA", "Ed25519"]);
    }

    #[test]
    fn a_library_gets_the_bytes_of_each_member() {
        let key = key(&changed("alg", json!("ES256"))).unwrap();
        assert_eq!(key.member("x").unwrap(), URL_SAFE_NO_PAD.decode(X).unwrap());
        assert_eq!(key.member("y").unwrap(), URL_SAFE_NO_PAD.decode(Y).unwrap());
        assert_eq!((key.member("n"), key.member("kty"), key.key_type()), (None, None, "EC"));
        assert_eq!(key.signature_length(), 64);
        assert_eq!(serde_json::to_value(&key).unwrap(), json!({"kty": "EC", "crv": "P-256", "x": X, "y": Y}));
    }

    #[test]
    fn rfc7518_section_3_each_kind_of_key_has_its_algorithms_and_signatures_of_one_length() {
        let octets = |length: usize| URL_SAFE_NO_PAD.encode(vec![0xff; length]);
        let elliptic = |curve: &str, length: usize| json!({"kty": "EC", "crv": curve, "x": octets(length), "y": octets(length)});
        let rsa = |length: usize| json!({"kty": "RSA", "n": octets(length), "e": "AQAB"});
        let of_rsa = "RS256 RS384 RS512 PS256 PS384 PS512";
        for (jwk, algorithms, length) in [
            (elliptic("P-256", 32), "ES256", 64),
            (elliptic("P-384", 48), "ES384", 96),
            (elliptic("P-521", 66), "ES512", 132),
            (json!({"kty": "OKP", "crv": "Ed25519", "x": octets(32)}), "EdDSA Ed25519", 64),
            (rsa(256), of_rsa, 256),
            (rsa(384), of_rsa, 384),
            (rsa(512), of_rsa, 512),
        ] {
            let key = key(&jwk).unwrap();
            let fitting = Algorithm::ALL.into_iter().filter(|it| key.fits(*it));
            assert_eq!(fitting.map(Algorithm::name).collect::<Vec<_>>().join(" "), algorithms, "{jwk}");
            assert_eq!(key.signature_length(), length, "{jwk}");
        }
    }

    #[test]
    fn rfc7518_section_3_1_a_key_signs_by_the_algorithms_of_its_kind_only() {
        let key = key(&changed("alg", json!("ES256"))).unwrap();
        assert!(key.must_fit(Algorithm::ES256).is_ok());
        for other in Algorithm::ALL.into_iter().filter(|other| *other != Algorithm::ES256) {
            assert_eq!(key.must_fit(other).unwrap_err().kind(), ErrorKind::Misuse, "{other}");
        }
    }
}
