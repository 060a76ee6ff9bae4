//! A private key from a PEM block (RFC 7468), and back.

use p256::pkcs8::der::asn1::OctetStringRef;
use p256::pkcs8::der::pem::LineEnding;
use p256::pkcs8::spki::AlgorithmIdentifierRef;
use p256::pkcs8::{EncodePrivateKey, ObjectIdentifier, PrivateKeyInfoRef, SecretDocument};
use rsa::pkcs1::DecodeRsaPrivateKey;
use zeroize::Zeroizing;

use super::jwk::{OTHER_CURVE, UNSOUND_RSA};
use super::{Private, RsaKey};
use crate::jose::Algorithm;

/// Reads the first block that holds a private key, or says what there is and repeats nothing of it.
pub(super) fn read(pem: &str, algorithm: Algorithm) -> Result<Private, String> {
    let (label, content) = private_block(pem)?;
    if label == "ENCRYPTED PRIVATE KEY" || content.contains("Proc-Type:") {
        return Err("is encrypted; decrypt it first, with `openssl pkey` for example".into());
    }
    let (_, document) = SecretDocument::from_pem(&wrapped(label, content)).map_err(|_| {
        format!("is a PEM block {label:?} with broken content; check that all its lines came through")
    })?;
    let der = document.as_bytes();
    match label {
        "RSA PRIVATE KEY" => rsa_key(rsa::PrivateKey::from_pkcs1_der(der)),
        "EC PRIVATE KEY" => match p256::SecretKey::from_sec1_der(der) {
            Ok(key) => Ok(Private::P256(key.into())),
            Err(_) => Err("is an `EC PRIVATE KEY` that holds no sound key of P-256".into()),
        },
        _ => match document.decode_msg::<PrivateKeyInfoRef<'_>>() {
            Ok(info) => pkcs8(info, algorithm),
            Err(_) => Err("is a `PRIVATE KEY` that is not encoded as PKCS#8 says (RFC 5958)".into()),
        },
    }
}

/// Finds the first block with a private key: its label, and what is between its two lines.
fn private_block(pem: &str) -> Result<(&'static str, &str), String> {
    let blocks = || pem.match_indices(BEGIN).map(|(at, _)| pem.get(at..).unwrap_or_default());
    let labelled = |labels: &[&'static str]| {
        blocks().find_map(|block| {
            let (label, rest) = block.strip_prefix(BEGIN)?.split_once("-----")?;
            Some((*labels.iter().find(|known| **known == label)?, rest))
        })
    };
    if let Some((label, rest)) = labelled(PRIVATE) {
        return match rest.split_once(&format!("-----END {label}-----")) {
            Some((content, _)) => Ok((label, content)),
            None => Err(format!("is a PEM block {label:?} that is cut off")),
        };
    }
    Err(match labelled(OTHERS) {
        Some(("OPENSSH PRIVATE KEY", _)) => {
            "is in OpenSSH's own format; convert it with `ssh-keygen -p -m PKCS8`".into()
        }
        Some((label, _)) => format!("is missing: the PEM holds a {label}"),
        None if blocks().next().is_some() => "is missing: the PEM holds a block of another kind".into(),
        None => "is missing: the text is no PEM, which begins with `-----BEGIN PRIVATE KEY-----`".into(),
    })
}

/// Wraps a block anew, as the library asks for lines of 64 characters. Environment variables and
/// configuration files often join or indent them.
fn wrapped(label: &str, content: &str) -> Zeroizing<String> {
    let length = content.len() + content.len() / 64 + 2 * (label.len() + 20);
    let mut block = Zeroizing::new(String::with_capacity(length));
    for part in [BEGIN, label, "-----"] {
        block.push_str(part);
    }
    for (index, character) in content.chars().filter(|it| !it.is_ascii_whitespace()).enumerate() {
        if index.is_multiple_of(64) {
            block.push('\n');
        }
        block.push(character);
    }
    for part in ["\n-----END ", label, "-----"] {
        block.push_str(part);
    }
    block
}

/// Reads the key in a block of PKCS#8 (RFC 5958 §2).
fn pkcs8(info: PrivateKeyInfoRef<'_>, algorithm: Algorithm) -> Result<Private, String> {
    let parameter = info.algorithm.parameters.and_then(|it| it.decode_as::<ObjectIdentifier>().ok());
    match info.algorithm.oid {
        RSA => rsa_key(info.try_into()),
        RSA_PSS if matches!(algorithm, Algorithm::PS256 | Algorithm::PS384 | Algorithm::PS512) => {
            rsa_key(info.try_into())
        }
        RSA_PSS => Err("is for RSASSA-PSS only; pass PS256, PS384 or PS512".into()),
        EC if parameter != Some(P256) => Err(OTHER_CURVE.into()),
        EC => match p256::SecretKey::try_from(info) {
            Ok(key) => Ok(Private::P256(key.into())),
            Err(_) => Err("is no sound key of P-256".into()),
        },
        ED25519 => {
            // An octet string within the octet string (RFC 8410 §7).
            let seed = match info.private_key.as_bytes() {
                [0x04, 0x20, seed @ ..] => seed.try_into().ok(),
                _ => None,
            };
            let key = ed25519_dalek::SigningKey::from_bytes(seed.ok_or("is no sound key of Ed25519")?);
            match info.public_key.is_none_or(|it| it.as_bytes() == Some(key.verifying_key().as_bytes())) {
                true => Ok(Private::Ed25519(key)),
                false => Err("has a public part that belongs to another key".into()),
            }
        }
        _ => Err("is of a kind that LocalKey does not sign with: it takes RSA, P-256 and Ed25519".into()),
    }
}

fn rsa_key<E>(key: Result<rsa::PrivateKey, E>) -> Result<Private, String> {
    key.map(|key| Private::Rsa(Box::new(RsaKey::new(key)))).map_err(|_| UNSOUND_RSA.into())
}

/// Writes a block of PKCS#8.
pub(super) fn write(private: &Private) -> Result<Zeroizing<String>, String> {
    let pem = match private {
        Private::P256(key) => p256::SecretKey::from(key).to_pkcs8_pem(LineEnding::LF),
        Private::Rsa(key) => key.key().to_pkcs8_pem(LineEnding::LF),
        Private::Ed25519(key) => {
            let mut seed = Zeroizing::new([0; 34]);
            let tagged = [0x04, 0x20].iter().chain(key.as_bytes());
            seed.iter_mut().zip(tagged).for_each(|(to, from)| *to = *from);
            let algorithm = AlgorithmIdentifierRef { oid: ED25519, parameters: None };
            OctetStringRef::new(&*seed)
                .and_then(|seed| SecretDocument::encode_msg(&PrivateKeyInfoRef::new(algorithm, seed)))
                .and_then(|document| document.to_pem("PRIVATE KEY", LineEnding::LF))
                .map_err(Into::into)
        }
    };
    pem.map_err(|_| "cannot be written".into())
}

const BEGIN: &str = "-----BEGIN ";

/// The labels of blocks with a private key.
const PRIVATE: &[&str] = &["PRIVATE KEY", "EC PRIVATE KEY", "RSA PRIVATE KEY", "ENCRYPTED PRIVATE KEY"];

/// Other labels that are named if there is no private key.
const OTHERS: &[&str] = &[
    "OPENSSH PRIVATE KEY",
    "DSA PRIVATE KEY",
    "PUBLIC KEY",
    "RSA PUBLIC KEY",
    "CERTIFICATE",
    "CERTIFICATE REQUEST",
    "EC PARAMETERS",
];

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const RSA_PSS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10");
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
