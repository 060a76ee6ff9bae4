//! The modules `oidcc-client-test-…` for the code flow: OpenID Connect Core and Discovery. The client checks
//! each signature by the keys of the server.

use std::time::Duration;

use oauth2_proto::Callback;
use oauth2_proto::error::ErrorKind::{self, Invalid, Refused, Suspect};
use serde_json::{Value, json};

use crate::program::{Program, SignedIn, discover, entropy};
use crate::server::{Auth, ISSUER, Script, Server, Signature, USER};
use crate::support::REDIRECT_URI;
use crate::{is_refused, lengthen, refuses_sign_in, remove};

/// The calls of a sign-in up to the tokens.
const UP_TO_TOKENS: &[&str] = &["discovery", "keys", "authorize", "token"];

/// Those up to a look for new keys, because a signature is wrong.
const UP_TO_NEW_KEYS: &[&str] = &["discovery", "keys", "authorize", "token", "keys"];

/// Refuses an ID token with these claims.
#[track_caller]
fn refuses_id_token(id_token: fn(&mut Value), kind: ErrorKind, reason: &str) {
    let script = Script { id_token, ..Script::openid() };
    refuses_sign_in(&Server::new(script), kind, reason, UP_TO_TOKENS);
}

/// Accepts an ID token by this algorithm, and refuses it with another signature.
#[track_caller]
fn refuses_changed_signature(algorithm: &'static str) {
    accepts(&Server::new(Script { algorithm, ..Script::openid() }));
    let script = Script { algorithm, id_token_signature: Signature::Changed, ..Script::openid() };
    refuses_sign_in(&Server::new(script), Suspect, "signature", UP_TO_NEW_KEYS);
}

/// Signs in, and asks for claims about the user.
#[track_caller]
fn accepts(server: &Server) -> SignedIn {
    let mut program = Program::start(server).unwrap();
    let signed_in = program.sign_in().unwrap();
    assert_eq!(signed_in.id_token.subject(), USER);
    let user = program.userinfo(&signed_in).unwrap();
    assert_eq!(user.claim("name"), Some(&json!("Fake User")));
    assert_eq!(server.calls(), [UP_TO_TOKENS, &["userinfo"]].concat());
    signed_in
}

/// Refuses a refresh that brings an ID token with these claims.
#[track_caller]
fn refuses_refresh(refreshed_id_token: fn(&mut Value), kind: ErrorKind, reason: &str) {
    let server = Server::new(Script { refreshed_id_token, ..Script::openid() });
    let mut program = Program::start(&server).unwrap();
    let signed_in = program.sign_in().unwrap();
    is_refused(program.refresh(&signed_in).unwrap_err(), kind, reason);
    assert_eq!(server.calls(), [UP_TO_TOKENS, &["token"]].concat());
}

#[test]
fn oidcc_client_test() {
    accepts(&Server::new(Script::openid()));
}

#[test]
fn oidcc_client_test_client_secret_basic() {
    let server = Server::new(Script { auth: Auth::Basic, ..Script::openid() });
    accepts(&server);
}

#[test]
fn oidcc_client_test_nonce_invalid() {
    refuses_id_token(|claims| lengthen(&mut claims["nonce"]), Suspect, "nonce");
}

#[test]
fn oidcc_client_test_missing_sub() {
    refuses_id_token(|claims| remove(claims, "sub"), Invalid, "sub");
}

#[test]
fn oidcc_client_test_missing_iat() {
    refuses_id_token(|claims| remove(claims, "iat"), Invalid, "iat");
}

#[test]
fn oidcc_client_test_missing_aud() {
    refuses_id_token(|claims| remove(claims, "aud"), Invalid, "aud");
}

#[test]
fn oidcc_client_test_invalid_iss() {
    refuses_id_token(|claims| lengthen(&mut claims["iss"]), Suspect, "iss");
}

#[test]
fn oidcc_client_test_invalid_aud() {
    refuses_id_token(|claims| lengthen(&mut claims["aud"]), Suspect, "aud");
}

#[test]
fn oidcc_client_test_invalid_sig_rs256() {
    refuses_changed_signature("RS256");
}

#[test]
fn oidcc_client_test_invalid_sig_es256() {
    refuses_changed_signature("ES256");
}

#[test]
fn oidcc_client_test_invalid_sig_ps256() {
    refuses_changed_signature("PS256");
}

#[test]
fn oidcc_client_test_invalid_sig_hs256() {
    refuses_changed_signature("HS256");
}

#[test]
fn oidcc_client_test_idtoken_sig_rs256() {
    accepts(&Server::new(Script { algorithm: "RS256", ..Script::openid() }));
}

/// The module lets a client refuse an ID token without a signature.
#[test]
fn oidcc_client_test_idtoken_sig_none() {
    let metadata = |metadata: &mut Value| {
        metadata["id_token_signing_alg_values_supported"] = json!(["RS256", "none"]);
    };
    let script = Script { metadata, id_token_signature: Signature::Missing, ..Script::openid() };
    refuses_sign_in(&Server::new(script), Suspect, "alg", UP_TO_TOKENS);
}

/// Keys that fit are tried until one is right.
#[test]
fn oidcc_client_test_kid_absent_multiple_jwks() {
    let script = |key_set| Script {
        key_set,
        header: |header| drop(header.as_object_mut().unwrap().remove("kid")),
        ..Script::openid()
    };
    accepts(&Server::new(script(|set| {
        without_key_ids(set);
        among_others(set);
    })));
    // None of the keys that are left is the one.
    let server = Server::new(script(|set| {
        without_key_ids(set);
        among_others(set);
        set["keys"].as_array_mut().unwrap().retain(|key| key["e"] != "AQAB" || key["n"] == OTHER_MODULUS);
    }));
    refuses_sign_in(&server, Suspect, "signature", UP_TO_NEW_KEYS);
}

#[test]
fn oidcc_client_test_kid_absent_single_jwks() {
    accepts(&Server::new(Script {
        key_set: |set| {
            without_key_ids(set);
            set["keys"].as_array_mut().unwrap().retain(|key| key["kty"] == "RSA");
        },
        header: |header| drop(header.as_object_mut().unwrap().remove("kid")),
        ..Script::openid()
    }));
}

fn without_key_ids(set: &mut Value) {
    set["keys"].as_array_mut().unwrap().iter_mut().for_each(|key| remove(key, "kid"));
}

/// Puts keys of other kinds, and another RSA key, around the server's.
fn among_others(set: &mut Value) {
    let keys = set["keys"].as_array_mut().unwrap();
    let x = "l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs";
    keys.insert(0, json!({"kty": "RSA", "use": "sig", "n": OTHER_MODULUS, "e": "AQAB"}));
    keys.insert(0, json!({"kty": "EC", "use": "sig", "crv": "secp256k1", "x": x, "y": x}));
    keys.push(json!({"kty": "OKP", "use": "sig", "crv": "Ed25519", "x": x}));
    keys.push(json!({"kty": "RSA", "use": "enc", "n": OTHER_MODULUS, "e": "AQAB"}));
}

/// The modulus of RFC 7517 §A.1.
const OTHER_MODULUS: &str = concat!(
    "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3",
    "oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdA",
    "ZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-",
    "kEgU8awapJzKnqDKgw"
);

#[test]
fn oidcc_client_test_userinfo_invalid_sub() {
    let userinfo = |claims: &mut Value| claims["sub"] = json!(format!("{USER}invalid"));
    let server = Server::new(Script { userinfo, ..Script::openid() });
    let mut program = Program::start(&server).unwrap();
    let signed_in = program.sign_in().unwrap();
    is_refused(program.userinfo(&signed_in).unwrap_err(), Suspect, "sub");
}

/// The module's answer is accepted. One without a signature, by an algorithm that the server does not announce
/// or with a wrong signature is not.
#[test]
fn oidcc_client_test_userinfo_signed() {
    let script = |signature| Script { userinfo_signature: Some(signature), ..Script::openid() };
    accepts(&Server::new(script(Signature::Sound)));
    for (signature, reason) in
        [(Signature::Missing, "alg"), (Signature::Other("ES256"), "alg"), (Signature::Changed, "signature")]
    {
        let server = Server::new(script(signature));
        let mut program = Program::start(&server).unwrap();
        let signed_in = program.sign_in().unwrap();
        is_refused(program.userinfo(&signed_in).unwrap_err(), Suspect, reason);
    }
}

/// The server refuses a token in another place than the header.
#[test]
fn oidcc_client_test_userinfo_bearer_header() {
    accepts(&Server::new(Script::openid()));
}

#[test]
fn oidcc_client_test_refresh_token() {
    let server = Server::new(Script::openid());
    let mut program = Program::start(&server).unwrap();
    let signed_in = program.sign_in().unwrap();
    let refreshed = program.refresh(&signed_in).unwrap();
    assert_eq!(program.userinfo(&refreshed).unwrap().subject(), USER);
    assert_eq!(server.calls(), [UP_TO_TOKENS, &["token", "userinfo"]].concat());
}

#[test]
fn oidcc_client_test_refresh_token_invalid_issuer() {
    refuses_refresh(|claims| lengthen(&mut claims["iss"]), Suspect, "iss");
}

#[test]
fn oidcc_client_test_refresh_token_invalid_sub() {
    refuses_refresh(|claims| lengthen(&mut claims["sub"]), Suspect, "sub");
}

#[test]
fn oidcc_client_test_form_post_error() {
    let server = Server::new(Script::openid());
    let program = Program::start(&server).unwrap();
    let request = program.client.authorize(REDIRECT_URI).form_post().max_age(Duration::ZERO).prompt(["none"]);
    let (url, mut pending) = request.openid().start_with(entropy(1), program.now).unwrap();
    assert!(url.contains("&response_mode=form_post&max_age=0&prompt=none"), "{url}");
    let form = server.authorize(&url);
    let error = pending.receive(&program.client, Callback::form(&form), program.now).unwrap_err();
    assert_eq!((error.kind(), error.code()), (Refused, Some("login_required")));
    assert_eq!(server.calls(), ["discovery", "keys", "authorize"]);
}

#[test]
fn oidcc_client_test_mtls_endpoint_aliases() {
    accepts(&Server::new(Script { auth: Auth::Certificate, ..Script::openid() }));
}

#[test]
fn oidcc_client_test_discovery_openid_config() {
    let server = Server::new(Script::openid());
    assert_eq!(discover(&server).unwrap().metadata().token_endpoint(), format!("{ISSUER}/token"));
    assert_eq!(server.calls(), ["discovery"]);
}

#[test]
fn oidcc_client_test_discovery_issuer_mismatch() {
    let metadata = |metadata: &mut Value| metadata["issuer"] = json!(format!("{ISSUER}INVALID"));
    let server = Server::new(Script { metadata, ..Script::openid() });
    is_refused(discover(&server).unwrap_err(), Suspect, "issuer");
    assert_eq!(server.calls(), ["discovery"]);
}

#[test]
fn oidcc_client_test_discovery_jwks_uri_keys() {
    let metadata = |metadata: &mut Value| metadata["jwks_uri"] = json!(format!("{ISSUER}/keys/fake-random"));
    accepts(&Server::new(Script { metadata, ..Script::openid() }));
}

/// The server has another key at the second sign-in, and publishes no more the first one.
#[test]
fn oidcc_client_test_signing_key_rotation() {
    let (before, after) = (Server::new(before_rotation()), Server::new(after_rotation()));
    let mut program = Program::start(&before).unwrap();
    program.sign_in().unwrap();
    program.server = &after;
    program.sign_in().unwrap();
    assert_eq!(after.calls(), ["authorize", "token", "keys"]);
}

#[test]
fn oidcc_client_test_signing_key_rotation_just_before_signing() {
    let (before, after) = (Server::new(before_rotation()), Server::new(after_rotation()));
    let mut program = Program::start(&before).unwrap();
    program.server = &after;
    let signed_in = program.sign_in().unwrap();
    program.userinfo(&signed_in).unwrap();
    assert_eq!(after.calls(), ["authorize", "token", "keys", "userinfo"]);
}

fn before_rotation() -> Script {
    Script {
        metadata: |metadata| metadata["id_token_signing_alg_values_supported"] = json!(["RS256", "ES256"]),
        key_set: |set| set["keys"].as_array_mut().unwrap().retain(|key| key["kty"] == "RSA"),
        ..Script::openid()
    }
}

fn after_rotation() -> Script {
    Script {
        algorithm: "ES256",
        key_set: |set| set["keys"].as_array_mut().unwrap().retain(|key| key["kty"] == "EC"),
        ..Script::openid()
    }
}
