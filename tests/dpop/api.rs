//! Requests to an API with a token that is bound to a key (RFC 9449 §7 and §9).

use oauth2_proto::challenge::{Challenges, ProtectedApi, Verdict};
use oauth2_proto::error::ErrorKind;
use oauth2_proto::token::TokenType;
use oauth2_proto::{Advice, Secret};

use crate::bound::{Proof, public_key, remote_key, signature};
use crate::some_key;
use crate::support::{later, now};

const URL: &str = "https://api.example/v1/items?page=2";

#[track_caller]
fn api() -> ProtectedApi {
    ProtectedApi::new(["https://api.example/v1"]).unwrap()
}

/// RFC 9449's access token.
fn token() -> Secret {
    Secret::new("Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU")
}

const ASKS: (&str, &str) = ("WWW-Authenticate", r#"DPoP error="use_dpop_nonce", error_description="nonce""#);

#[test]
fn rfc9449_section_7_1_both_headers() {
    let request = api().bound_request(&some_key(), &token(), "GET", URL).unwrap();
    let [(authorization, value), (dpop, proof)] = request.headers(now()).unwrap();
    assert_eq!((authorization, dpop), ("authorization", "dpop"));
    assert_eq!(value.expose(), format!("DPoP {}", token().expose()));
    let Proof { header, claims } = Proof::parse(proof.expose());
    assert_eq!(header["jwk"]["x"], "l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs");
    assert_eq!(claims["htm"], "GET");
    assert_eq!(claims["htu"], "https://api.example/v1/items");
    assert_eq!(claims["ath"], "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo");
    assert_eq!(claims.as_object().unwrap().len(), 5);
    // Each sending has a proof of its own, for its method and its URL.
    let [_, (_, again)] = request.headers(later(1)).unwrap();
    assert_ne!(Proof::parse(again.expose()).id(), claims["jti"]);
    let other = api().bound_request(&some_key(), &token(), "DELETE", "https://api.example/v1/x").unwrap();
    let [_, (_, other)] = other.headers(now()).unwrap();
    let Proof { claims, .. } = Proof::parse(other.expose());
    assert_eq!((&claims["htm"], &claims["htu"]), (&"DELETE".into(), &"https://api.example/v1/x".into()));
}

#[test]
fn a_key_that_signs_elsewhere_takes_two_steps() {
    let mut request = api().bound_request(&remote_key(0), &token(), "POST", URL).unwrap();
    let error = request.headers(now()).unwrap_err();
    assert!(error.to_string().contains("BoundRequest::unsigned"), "{error}");
    assert_eq!(request.signed(&[7; 64]).unwrap_err().kind(), ErrorKind::Misuse);

    let unsigned = request.unsigned(now()).unwrap();
    assert_eq!(unsigned.key().public_key().thumbprint(), public_key(0).thumbprint());
    let signature = signature(unsigned.message());
    // A signature of another form is refused, and the right one may still come.
    assert_eq!(request.signed(&signature[1..]).unwrap_err().kind(), ErrorKind::Misuse);
    let [(_, authorization), (_, proof)] = request.signed(&signature).unwrap();
    assert!(authorization.expose().starts_with("DPoP "));
    assert_eq!(Proof::parse(proof.expose()).claims["htm"], "POST");
    // One signature, one sending.
    assert_eq!(request.signed(&signature).unwrap_err().kind(), ErrorKind::Misuse);
}

#[test]
fn the_token_goes_to_its_api_only() {
    let key = some_key();
    for (method, url) in [
        ("GET", "https://api.example.evil.example/v1/items"),
        ("GET", "http://api.example/v1/items"),
        ("GET", "https://api.example/v2"),
        ("GET", "https://api.example/v1/../v2"),
        ("GET", "/v1/items"),
        ("GET", "https://api.example/v1?access_token=fake"),
        ("", URL),
        ("GET /", URL),
        ("G\nT", URL),
    ] {
        let error = api().bound_request(&key, &token(), method, url).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Misuse, "{method} {url}: {error}");
    }
    let error = api().bound_request(&key, &Secret::new("fake token"), "GET", URL).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Misuse);
}

/// The attack: a token that is bound to a key, sent as one that works for whoever has it.
#[test]
fn rfc9449_section_7_2_a_bound_token_is_never_sent_as_a_bearer_token() {
    let error = api().authorization(&TokenType::DPoP, &token(), URL).unwrap_err();
    assert!(error.to_string().contains("bound_request"), "{error}");
    for scheme in ["DPoP", "dpop", "DPOP"] {
        assert_eq!(api().authorization_as(scheme, &token(), URL).unwrap_err().kind(), ErrorKind::Misuse);
    }
}

#[test]
fn rfc9449_section_9_a_demand_for_a_nonce_is_met_once() {
    let key = some_key();
    let mut request = api().bound_request(&key, &token(), "GET", URL).unwrap();
    assert!(request.received(401, [ASKS, ("DPoP-Nonce", "fake-1")]).unwrap());
    let [_, (_, proof)] = request.headers(now()).unwrap();
    assert_eq!(Proof::parse(proof.expose()).nonce(), Some("fake-1"));
    for nonce in ["fake-2", "fake-3"] {
        let error = request.received(401, [ASKS, ("DPoP-Nonce", nonce)]).unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Refused, Some("use_dpop_nonce")));
        assert_eq!((error.advice(), error.status()), (Advice::Stop, Some(401)));
    }
    // The next request knows the newest nonce, and may be asked again.
    let mut next = api().bound_request(&key, &token(), "GET", URL).unwrap();
    let [_, (_, proof)] = next.headers(now()).unwrap();
    assert_eq!(Proof::parse(proof.expose()).nonce(), Some("fake-3"));
    assert!(next.received(401, [ASKS, ("DPoP-Nonce", "fake-4")]).unwrap());
}

#[test]
fn a_demand_without_a_nonce_cannot_be_met() {
    for nonce in [None, Some(("DPoP-Nonce", "")), Some(("DPoP-Nonce", "a\"b"))] {
        let mut request = api().bound_request(&some_key(), &token(), "GET", URL).unwrap();
        let error = request.received(401, [ASKS].into_iter().chain(nonce)).unwrap_err();
        assert_eq!((error.advice(), error.dpop_nonce()), (Advice::Stop, None), "{nonce:?}");
    }
}

#[test]
fn rfc9449_sections_7_1_and_9_verdicts_on_bound_tokens() {
    for (status, line, sends_again, verdict) in [
        (401, r#"DPoP error="use_dpop_nonce""#, true, Verdict::NewProof),
        (401, r#"dpop ERROR="use_dpop_nonce""#, true, Verdict::NewProof),
        (401, r#"Bearer, DPoP algs="ES256", error="use_dpop_nonce""#, true, Verdict::NewProof),
        (401, r#"DPOP error="invalid_token""#, false, Verdict::Rejected),
        (401, r#"DPoP error="invalid_dpop_proof""#, false, Verdict::FixRequest),
        (401, r#"DPoP algs="ES256""#, false, Verdict::Rejected),
        // Only a challenge of this scheme, with this status, asks for a nonce.
        (401, r#"Bearer error="use_dpop_nonce""#, false, Verdict::Rejected),
        (400, r#"DPoP error="use_dpop_nonce""#, false, Verdict::Unrelated),
        (200, r#"DPoP error="use_dpop_nonce""#, false, Verdict::Unrelated),
        (503, r#"DPoP error="use_dpop_nonce""#, false, Verdict::Unrelated),
    ] {
        let mut request = api().bound_request(&some_key(), &token(), "GET", URL).unwrap();
        let headers = [("WWW-Authenticate", line), ("DPoP-Nonce", "fake-1")];
        assert_eq!(request.received(status, headers).unwrap(), sends_again, "{status} {line}");
        assert_eq!(Challenges::from_headers(headers).verdict(status, true), verdict, "{status} {line}");
    }
}
