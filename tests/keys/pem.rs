//! Keys in PEM blocks.

use oauth2_proto::jose::{Algorithm, LocalKey, LocalVerifier, Signer, Verifier};

use crate::{assert_misuse, sample};

const RSA: &str = include_str!("pem/rsa.pkcs8.pem");
const RSA_PSS: &str = include_str!("pem/rsa-pss.pkcs8.pem");
const RSA_PKCS1: &str = include_str!("pem/rsa.pkcs1.pem");
const P256: &str = include_str!("pem/p256.pkcs8.pem");
const P256_SEC1: &str = include_str!("pem/p256.sec1.pem");
const ED25519: &str = include_str!("pem/ed25519.pkcs8.pem");

#[test]
fn a_key_is_the_same_in_each_form() {
    for (pem, algorithm) in [
        (RSA, Algorithm::RS256),
        (RSA_PKCS1, Algorithm::RS256),
        (RSA_PSS, Algorithm::PS256),
        (P256, Algorithm::ES256),
        (P256_SEC1, Algorithm::ES256),
        // The parameters come first, as `openssl ecparam -genkey` writes them.
        (include_str!("pem/p256.ecparam.pem"), Algorithm::ES256),
        (ED25519, Algorithm::EdDSA),
        (ED25519, Algorithm::Ed25519),
    ] {
        // The key of RFC 7515 appendix A.3, which is not the first sample of ES256.
        let thumbprint = match algorithm {
            Algorithm::RS256 | Algorithm::PS256 => sample(Algorithm::RS256).public_key().thumbprint(),
            Algorithm::ES256 => "oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U".to_owned(),
            _ => sample(Algorithm::EdDSA).public_key().thumbprint(),
        };
        for text in [
            pem.to_owned(),
            pem.replace('\n', "\r\n"),
            pem.trim_end().to_owned(),
            // As environment variables and configuration files hold it.
            pem.replace('\n', " "),
            pem.replace('\n', "\n        "),
            format!("Bag Attributes\n    friendlyName: fake\n\n{pem}"),
            format!("{}\n{pem}", include_str!("pem/public.pem")),
            format!("{pem}\n{}", include_str!("pem/encrypted.pkcs8.pem")),
        ] {
            let key = LocalKey::from_pem(&text, algorithm).unwrap_or_else(|error| panic!("{error}: {text}"));
            assert_eq!(key.public_key().thumbprint(), thumbprint);
            assert_eq!((key.algorithm(), key.public_key().key_id()), (algorithm, None));
            let signature = key.sign(b"message").unwrap();
            assert!(LocalVerifier.verifies(algorithm, key.public_key(), b"message", &signature));
        }
    }
}

#[test]
fn a_key_gets_the_identifier_that_the_server_knows() {
    let key = LocalKey::from_pem(P256, Algorithm::ES256).unwrap().with_key_id("fake-key-1");
    assert_eq!(key.public_key().key_id(), Some("fake-key-1"));
    let key = key.with_key_id("fake-key-2");
    assert_eq!(key.public_key().key_id(), Some("fake-key-2"));
}

#[test]
fn what_is_no_usable_key_is_named_and_not_repeated() {
    let cut = |pem: &str, from: usize, to: usize| format!("{}{}", &pem[..from], &pem[pem.len() - to..]);
    let end = "-----END PRIVATE KEY-----\n".len();
    for (pem, algorithm, part) in [
        ("", Algorithm::ES256, "the text is no PEM"),
        ("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A", Algorithm::EdDSA, "the text is no PEM"),
        ("{\"kty\":\"EC\"}", Algorithm::ES256, "the text is no PEM"),
        ("-----BEGIN fake-secret-password-----\n", Algorithm::ES256, "a block of another kind"),
        ("-----BEGIN ", Algorithm::ES256, "a block of another kind"),
        (include_str!("pem/public.pem"), Algorithm::ES256, "holds a PUBLIC KEY"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", Algorithm::ES256, "a CERTIFICATE"),
        (include_str!("pem/openssh.pem"), Algorithm::ES256, "OpenSSH"),
        (include_str!("pem/encrypted.pkcs8.pem"), Algorithm::ES256, "is encrypted"),
        (include_str!("pem/encrypted.sec1.pem"), Algorithm::ES256, "is encrypted"),
        (include_str!("pem/p384.pkcs8.pem"), Algorithm::ES384, "another curve than P-256"),
        (include_str!("pem/p384.sec1.pem"), Algorithm::ES384, "no sound key of P-256"),
        (include_str!("pem/secp256k1.pkcs8.pem"), Algorithm::ES256, "another curve than P-256"),
        (include_str!("pem/x25519.pkcs8.pem"), Algorithm::EdDSA, "RSA, P-256 and Ed25519"),
        (include_str!("pem/ed448.pkcs8.pem"), Algorithm::EdDSA, "RSA, P-256 and Ed25519"),
        (include_str!("pem/rsa-1024.pkcs8.pem"), Algorithm::RS256, "2048 bits"),
        (RSA_PSS, Algorithm::RS256, "RSASSA-PSS only"),
        (RSA, Algorithm::ES256, "this RSA key"),
        (P256, Algorithm::RS256, "this EC key"),
        (P256, Algorithm::ES384, "this EC key"),
        (ED25519, Algorithm::ES256, "this OKP key"),
        (&P256[..P256.len() - 40], Algorithm::ES256, "cut off"),
        (&cut(P256, 60, end), Algorithm::ES256, "broken content"),
        (&cut(P256, 28 + 64 + 1, end), Algorithm::ES256, "broken content"),
        (&P256.replacen('M', "ä", 1), Algorithm::ES256, "broken content"),
        (&P256.replace('\n', "\\n"), Algorithm::ES256, "broken content"),
        (&P256.replace("BEGIN PRIVATE", "BEGIN RSA PRIVATE"), Algorithm::ES256, "cut off"),
        (&P256.replace("PRIVATE KEY", "RSA PRIVATE KEY"), Algorithm::RS256, "no sound RSA key"),
        (&P256.replace("PRIVATE KEY", "EC PRIVATE KEY"), Algorithm::ES256, "no sound key of P-256"),
        (&RSA_PKCS1.replace("RSA PRIVATE", "PRIVATE"), Algorithm::RS256, "not encoded as PKCS#8 says"),
    ] {
        assert_misuse(&LocalKey::from_pem(pem, algorithm).unwrap_err(), part, pem);
    }
}

/// RFC 8410 section 7: a second version of the block holds the public key too, which must belong to the private one.
#[test]
fn rfc5958_section_2_a_public_key_beside_the_private_one_belongs_to_it() {
    const BOTH: &str = "-----BEGIN PRIVATE KEY-----\n\
        MFECAQEwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n\
        gSEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n\
        -----END PRIVATE KEY-----\n";
    let key = LocalKey::from_pem(BOTH, Algorithm::EdDSA).unwrap();
    assert_eq!(key.public_key().thumbprint(), sample(Algorithm::EdDSA).public_key().thumbprint());
    let changed = BOTH.replace("gSEA11", "gSEA12");
    assert_misuse(&LocalKey::from_pem(&changed, Algorithm::EdDSA).unwrap_err(), "another key", &changed);
}

#[test]
fn a_key_is_read_from_what_it_writes() {
    for (pem, algorithm) in [(RSA, Algorithm::PS512), (P256, Algorithm::ES256), (ED25519, Algorithm::EdDSA)] {
        let key = LocalKey::from_pem(pem, algorithm).unwrap();
        let written = key.to_pem().unwrap();
        // Byte for byte what OpenSSL writes.
        assert_eq!(written.expose(), pem);
        let read = LocalKey::from_pem(written.expose(), algorithm).unwrap();
        assert_eq!(read.public_key(), key.public_key());
    }
}
