//! A private key from a JSON Web Key (RFC 7517).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::{Private, RsaKey};
use crate::jose::PublicKey;
use crate::jose::key;
use crate::text::json::{self, Member};

/// Reads a private key with its public key, or says what is wrong with it and repeats no private member.
pub(super) fn read(jwk: &[u8]) -> Result<(PublicKey, Private), String> {
    let mut members = [const { Member::Absent }; NAMES.len()];
    let others = json::read(jwk, NAMES, &mut members).ok_or("is no JSON object")?;
    let [d, p, q, public @ ..] = members;
    let mut jwk = Map::new();
    for (name, member) in PUBLIC.iter().zip(public) {
        if let Some(text) = key::text(name, member)? {
            jwk.insert((*name).to_owned(), Value::String(text));
        }
    }
    if let Some(operations) = others.get("key_ops") {
        jwk.insert("key_ops".to_owned(), operations.clone());
    }
    let public_key = PublicKey::read(Value::Object(jwk).to_string().as_bytes())?;
    if others.get("oth").is_some() {
        return Err("has more than two primes (oth), which are not supported".into());
    }

    let d = number("d", d)?.ok_or("has no d, so it is a public key; pass the private one")?;
    let member = |name| public_key.member(name).unwrap_or_default();
    let private = match public_key.key_type() {
        "RSA" => {
            let [p, q] = [("p", p), ("q", q)].map(|(name, it)| {
                number(name, it)?.ok_or(format!("has no {name}; export it with its primes p and q"))
            });
            let key = RsaKey::from_numbers(&member("n"), &member("e"), &d, &p?, &q?);
            Private::Rsa(Box::new(key.ok_or(UNSOUND_RSA)?))
        }
        "OKP" => Private::Ed25519(ed25519_dalek::SigningKey::from_bytes(
            d.as_slice().try_into().map_err(|_| "has a member d that is not 32 bytes long")?,
        )),
        _ if member("x").len() != 32 => return Err(OTHER_CURVE.into()),
        _ => Private::P256(
            p256::ecdsa::SigningKey::from_slice(&d)
                .map_err(|_| "has a member d that is no private number of P-256 in 32 bytes")?,
        ),
    };
    match private.public_key()?.digest() == public_key.digest() {
        true => Ok((public_key, private)),
        false => Err("has public members that belong to another key".into()),
    }
}

/// Decodes a private member.
fn number(name: &str, member: Member<'_>) -> Result<Option<Zeroizing<Vec<u8>>>, String> {
    match member {
        Member::Absent => Ok(None),
        Member::Text(text) => match URL_SAFE_NO_PAD.decode(text.as_bytes()) {
            Ok(bytes) => Ok(Some(Zeroizing::new(bytes))),
            Err(_) => Err(format!("has a member {name} that is no base64url")),
        },
        _ => Err(format!("has a {name} that is no text")),
    }
}

/// The private members, and then the public ones.
const NAMES: &[&str; 12] = &["d", "p", "q", "kty", "crv", "x", "y", "n", "e", "kid", "alg", "use"];
const PUBLIC: &[&str] = &["kty", "crv", "x", "y", "n", "e", "kid", "alg", "use"];

pub(super) const UNSOUND_RSA: &str = "holds no sound RSA key of 2048 to 8192 bits with two primes";
pub(super) const OTHER_CURVE: &str =
    "is on another curve than P-256, which LocalKey does not sign with; implement Signer for it";
