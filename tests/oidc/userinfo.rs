//! Claims about the user (OpenID Connect Core §5.3).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use oauth2_proto::error::ErrorKind;
use oauth2_proto::jose::Verification;
use oauth2_proto::oidc::{PreviousIdToken, UserInfo};
use oauth2_proto::{Advice, Call, Response, Secret};
use serde_json::{Value, json};

use crate::bound;
use crate::support::{client_of, now};
use crate::{ISSUER, answer, changed, client, id_token, token, token_of};

#[track_caller]
fn call() -> Call<UserInfo> {
    client().userinfo(&Secret::new("fake-access"), &id_token()).start(now()).unwrap()
}

#[test]
fn openid_core_section_5_3_1_the_access_token_stands_in_the_header() {
    let call = call();
    let request = call.request();
    assert_eq!((request.method(), request.url()), ("GET", "https://as.example/userinfo"));
    assert_eq!(request.header("authorization"), Some("Bearer fake-access"));
    assert_eq!((request.header("accept"), request.body()), (Some("application/json"), ""));
    let client = client_of(crate::support::server());
    for (client, token) in [(&client, "fake"), (&crate::client(), ""), (&crate::client(), "fake\n")] {
        let error = client.userinfo(&Secret::new(token), &id_token()).start(now()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Misuse);
    }
}

#[test]
fn openid_core_section_5_3_2_the_subject_is_that_of_the_id_token() {
    let body = r#"{"sub":"fake-user","email":"fake@example.com"}"#;
    let user = call().read(answer(200, body)).unwrap();
    assert_eq!((user.subject(), user.claim("email").unwrap()), ("fake-user", &json!("fake@example.com")));
    assert!(user.claims().eq([("email", &json!("fake@example.com"))]));
    assert!(!format!("{user:?}").contains("fake@"));
    for (body, kind) in [
        (r#"{"sub":"planted-other"}"#, ErrorKind::Suspect),
        (r#"{"sub":"FAKE-USER"}"#, ErrorKind::Suspect),
        (r#"{"sub":""}"#, ErrorKind::Suspect),
        (r#"{"email":"planted"}"#, ErrorKind::Invalid),
        (r#"{"sub":["fake-user"]}"#, ErrorKind::Invalid),
    ] {
        let error = call().read(answer(200, body)).unwrap_err();
        assert_eq!((error.kind(), error.reason(), error.status()), (kind, Some("sub"), Some(200)), "{body}");
        assert!(!error.to_string().contains("planted"), "{error}");
    }
    let repeated = r#"{"sub":"planted-other","sub":"fake-user"}"#;
    assert_eq!(call().read(answer(200, repeated)).unwrap_err().kind(), ErrorKind::Invalid);
}

/// Days after the sign-in, a program has what it stored, and a token of a refresh.
#[test]
fn a_later_request_asks_by_what_was_stored_of_the_id_token() {
    let stored = serde_json::to_string(&id_token().to_previous()).unwrap();
    let restored: PreviousIdToken = serde_json::from_str(&stored).unwrap();
    let call = client().userinfo(&Secret::new("fake-access"), &restored).start(now()).unwrap();
    assert_eq!(call.read(answer(200, r#"{"sub":"fake-user"}"#)).unwrap().subject(), "fake-user");
    let error = call.read(answer(200, r#"{"sub":"fake-other"}"#)).unwrap_err();
    assert_eq!((error.kind(), error.reason()), (ErrorKind::Suspect, Some("sub")));
}

#[test]
fn openid_core_section_5_3_2_a_signed_answer_is_checked() {
    let tls = Verification::left_to_tls();
    let signed = |claims: &Value| call().read_signed(answer(200, &token(claims)), &tls, now());
    let claims = json!({"sub": "fake-user", "iss": ISSUER, "aud": "fake-client", "email": "fake"});
    assert_eq!(signed(&claims).unwrap().claim("email").unwrap(), "fake");
    assert!(signed(&json!({"sub": "fake-user"})).is_ok());
    for (name, value) in [
        ("sub", json!("other")),
        ("iss", json!("https://other.example")),
        ("aud", json!(["other"])),
        ("exp", json!(1_699_999_900)),
        ("iat", json!(1_700_000_100)),
        ("nbf", json!(1_700_000_100)),
    ] {
        let error = signed(&changed(claims.clone(), name, value)).unwrap_err();
        assert_eq!((error.kind(), error.reason()), (ErrorKind::Suspect, Some(name)));
    }
    let none = token_of(&json!({"alg": "none"}), &claims);
    let error = call().read_signed(answer(200, &none), &tls, now()).unwrap_err();
    assert_eq!((error.kind(), error.reason()), (ErrorKind::Suspect, Some("alg")));
}

/// Otherwise whoever can take the signature away takes the check away.
#[test]
fn neither_reader_reads_the_other_answer() {
    let claims = json!({"sub": "fake-user"});
    let error = call().read(answer(200, &token(&claims))).unwrap_err();
    assert!(error.to_string().contains("read_signed"), "{error}");
    let page = call().read(answer(200, "<html>")).unwrap_err();
    assert!(!page.to_string().contains("read_signed"), "{page}");
    let plain = claims.to_string();
    let error = call().read_signed(answer(200, &plain), &Verification::left_to_tls(), now()).unwrap_err();
    assert_eq!((error.kind(), error.reason()), (ErrorKind::Invalid, Some("format")));
}

#[test]
fn openid_core_section_5_3_3_an_error_is_an_error_of_both_readers() {
    for (status, body, kind, advice) in [
        (401, "", ErrorKind::Invalid, Advice::Stop),
        (401, r#"{"error":"invalid_token"}"#, ErrorKind::Refused, Advice::Stop),
        (503, "busy", ErrorKind::Invalid, Advice::RetryLater),
        (302, "", ErrorKind::Invalid, Advice::Stop),
    ] {
        let plain = call().read(answer(status, body)).unwrap_err();
        let signed =
            call().read_signed(answer(status, body), &Verification::left_to_tls(), now()).unwrap_err();
        for error in [plain, signed] {
            assert_eq!(
                (error.kind(), error.advice(), error.status()),
                (kind, advice, Some(status)),
                "{body}"
            );
        }
    }
}

#[test]
fn rfc9449_section_7_1_a_bound_token_comes_with_a_proof() {
    let client = client().dpop(bound::key(0));
    let mut call = client.userinfo(&Secret::new("fake-access"), &id_token()).start(now()).unwrap();
    let proof = |call: &Call<UserInfo>| -> Value {
        let part = call.request().header("dpop").unwrap().split('.').nth(1).unwrap();
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    };
    assert_eq!(call.request().header("authorization"), Some("DPoP fake-access"));
    let first = proof(&call);
    assert_eq!((&first["htm"], &first["htu"]), (&json!("GET"), &json!("https://as.example/userinfo")));
    let ath = URL_SAFE_NO_PAD.encode(ring::digest::digest(&ring::digest::SHA256, b"fake-access"));
    assert_eq!((&first["ath"], &first["nonce"]), (&json!(ath), &Value::Null));

    // The server wants a nonce of its own, once.
    let wants = || Response::new(401, [("DPoP-Nonce", "fake-nonce")], b"");
    assert_eq!(call.read(wants()).unwrap_err().advice(), Advice::RetryLater);
    call.renew(&client, now()).unwrap();
    let second = proof(&call);
    assert_eq!((&second["nonce"], &second["ath"]), (&json!("fake-nonce"), &first["ath"]));
    assert_ne!(second["jti"], first["jti"]);
    assert_eq!(call.read(wants()).unwrap_err().advice(), Advice::Stop);
    assert!(call.read(answer(200, r#"{"sub":"fake-user"}"#)).is_ok());
    // A nonce beside another status, a 401 without one, and a token that is not bound ask for none.
    let beside = Response::new(403, [("DPoP-Nonce", "fake-nonce")], b"");
    for error in [call.read(beside), call.read(answer(401, "")), self::call().read(wants())] {
        assert_eq!(error.unwrap_err().code(), None);
    }
}
