//! The nonces of servers (RFC 9449 §8 and §9): which one a proof holds, and how often a request is repeated.

use oauth2_proto::challenge::ProtectedApi;
use oauth2_proto::dpop::DpopKey;
use oauth2_proto::{Advice, AuthorizationServer, Client, ClientAuth, Error, Response, Secret};
use serde_json::Value;

use crate::bound::{Proof, key};
use crate::responses::json;
use crate::support::{later, now};
use crate::{asks_for, bound_tokens, client, proof, refresh_token, some_key};

/// The nonce in the next proof for a token endpoint.
#[track_caller]
fn next_nonce(client: &Client) -> Option<String> {
    let call = client.client_credentials().start(now()).unwrap();
    proof(&call).nonce().map(str::to_owned)
}

#[track_caller]
fn texts(headers: &Value) -> Vec<(&str, &str)> {
    let headers = headers.as_array().unwrap().iter();
    headers.map(|header| (header[0].as_str().unwrap(), header[1].as_str().unwrap())).collect()
}

/// What became of a step, in the words of the cases.
fn outcome(result: Result<bool, Error>) -> Value {
    match result {
        Ok(true) => "retry".into(),
        Ok(false) => "ok".into(),
        Err(error) => serde_json::json!({"error": {
            "class": format!("{:?}", error.kind()).to_lowercase(),
            "code": error.code(),
            "status": error.status(),
        }}),
    }
}

/// Plays the steps of a case: the nonce in each proof, and what became of the step.
fn play(steps: &[Value]) -> Vec<Value> {
    let key = some_key();
    let server = AuthorizationServer::without_authorization_endpoint("https://as.example.com/token").unwrap();
    let client = Client::new(server, "fake-client", ClientAuth::basic("fake-secret")).unwrap();
    let client = client.dpop(key.clone());
    let api = ProtectedApi::new(["https://rs.example.com", "https://rs.example.net"]).unwrap();
    let (mut call, mut request) = (None, None);
    let mut played = Vec::new();
    for step in steps {
        let answer = &step["answer"];
        let status = answer["status"].as_u64().unwrap() as u16;
        let headers = texts(&answer["headers"]);
        let (nonce, result) = if step["to"] == "token" {
            let mut sent = call.take().unwrap_or_else(|| client.client_credentials().start(now()).unwrap());
            let nonce = proof(&sent).nonce().map(str::to_owned);
            let response = Response::new(status, headers, answer["body"].as_str().unwrap().as_bytes());
            match sent.read(response) {
                Ok(_) => (nonce, Ok(false)),
                Err(error) if error.advice() == Advice::RetryLater => {
                    sent.renew(&client, later(1)).unwrap();
                    call = Some(sent);
                    (nonce, Ok(true))
                }
                Err(error) => (nonce, Err(error)),
            }
        } else {
            let (method, url) = (step["method"].as_str().unwrap(), step["url"].as_str().unwrap());
            let token = Secret::new("fake-token");
            let mut sent =
                request.take().unwrap_or_else(|| api.bound_request(&key, &token, method, url).unwrap());
            let [_, (_, proof)] = sent.headers(now()).unwrap();
            let nonce = Proof::parse(proof.expose()).nonce().map(str::to_owned);
            let result = sent.received(status, headers);
            request = matches!(result, Ok(true)).then_some(sent);
            (nonce, result)
        };
        played.push(serde_json::json!({"nonce": nonce, "outcome": outcome(result)}));
    }
    played
}

#[test]
fn rfc9449_sections_8_and_9_public_cases() {
    let cases: Vec<Value> = serde_json::from_str(include_str!("../vectors/dpop_proof.json")).unwrap();
    let cases: Vec<_> = cases.iter().filter(|case| case["kind"] == "nonce-sequence").collect();
    for case in &cases {
        let expected = case["expect"].as_array().unwrap();
        // A program that obeys sends nothing after an error that is no retry.
        let steps = case["steps"].as_array().unwrap();
        let played = play(&steps[..expected.len()]);
        assert_eq!(played, *expected, "{}", case["id"]);
    }
    assert_eq!(cases.len(), 8);
}

#[test]
fn rfc9449_section_8_2_every_answer_brings_the_next_nonce() {
    let client = client(&some_key());
    for (status, body) in [
        (200, r#"{"access_token":"fake","token_type":"DPoP"}"#),
        (200, "no tokens"),
        (302, ""),
        (400, r#"{"error":"invalid_grant"}"#),
        (401, r#"{"error":"invalid_client"}"#),
        (503, "<html>"),
    ] {
        let nonce = format!("fake-nonce-{status}-{}", body.len());
        let call = client.refresh(&refresh_token()).start(now()).unwrap();
        let _ = call.read(Response::new(status, [("dpop-nonce", nonce.as_str())], body.as_bytes()));
        assert_eq!(next_nonce(&client), Some(nonce), "{status} {body}");
    }
    // An answer without a nonce, or with an empty one, changes nothing.
    for headers in [None, Some(("DPoP-Nonce", ""))] {
        let call = client.refresh(&refresh_token()).start(now()).unwrap();
        call.read(Response::new(200, headers, br#"{"access_token":"fake","token_type":"DPoP"}"#)).unwrap();
        assert_eq!(next_nonce(&client).as_deref(), Some("fake-nonce-503-6"));
    }
}

/// Answers of the server's other endpoints count, too, although their requests have no proof.
#[test]
fn rfc9449_section_8_2_a_revocation_brings_a_nonce() {
    let server = crate::support::server().revocation_endpoint("https://as.example/revoke").unwrap();
    let client = crate::support::client_of(server).dpop(some_key());
    let call = client.revoke(&Secret::new("fake-token")).start(now()).unwrap();
    assert_eq!(call.request().header("dpop"), None);
    call.read(Response::new(200, [("DPoP-Nonce", "fake-nonce")], b"")).unwrap();
    assert_eq!(next_nonce(&client).as_deref(), Some("fake-nonce"));
}

#[test]
fn clones_of_a_key_share_its_nonces_and_other_keys_do_not() {
    let one = some_key();
    let same = client(&one.clone());
    let call = client(&one).refresh(&refresh_token()).start(now()).unwrap();
    call.read(asks_for("fake-nonce")).unwrap_err();
    assert_eq!(next_nonce(&same).as_deref(), Some("fake-nonce"));
    assert_eq!(next_nonce(&client(&some_key())), None);
}

/// The attack: a server, or an API, that asks for ever.
#[test]
fn rfc9449_section_8_a_server_that_asks_for_ever_is_asked_twice() {
    let client = client(&some_key());
    for (between, expected) in [
        // An outage between the demands does not count.
        (None, [Advice::RetryLater, Advice::Stop, Advice::Stop]),
        (Some(503), [Advice::RetryLater, Advice::Stop, Advice::Stop]),
    ] {
        let mut call = client.refresh(&refresh_token()).start(now()).unwrap();
        for (attempt, advice) in expected.into_iter().enumerate() {
            if let Some(status) = between {
                let error = call.read(Response::new(status, None::<(&str, &str)>, b"")).unwrap_err();
                assert_eq!(error.advice(), Advice::RetryLater);
                call.renew(&client, now()).unwrap();
            }
            let nonce = format!("fake-nonce-{attempt}");
            let error = call.read(asks_for(&nonce)).unwrap_err();
            assert_eq!(error.advice(), advice, "{between:?} {attempt}");
            assert_eq!((error.code(), error.dpop_nonce()), (Some("use_dpop_nonce"), Some(nonce.as_str())));
            call.renew(&client, now()).unwrap();
            assert_eq!(proof(&call).nonce(), Some(nonce.as_str()));
        }
    }
    // The next request may be asked again.
    let call = client.refresh(&refresh_token()).start(now()).unwrap();
    assert_eq!(call.read(asks_for("fake-nonce")).unwrap_err().advice(), Advice::RetryLater);
}

#[test]
fn an_overloaded_server_that_asks_for_a_nonce_is_overloaded() {
    let client = client(&some_key());
    let call = client.refresh(&refresh_token()).start(now()).unwrap();
    for _ in 0..3 {
        let body = br#"{"error":"use_dpop_nonce"}"#;
        let response = Response::new(503, [("DPoP-Nonce", "fake-nonce"), ("Retry-After", "7")], body);
        let error = call.read(response).unwrap_err();
        assert_eq!(error.advice(), Advice::RetryLater);
        assert_eq!(error.retry_after(now()).unwrap().as_secs(), 7);
    }
}

/// The attack: a nonce that would break the proof, or another server's parser.
#[test]
fn rfc9449_section_8_1_a_nonce_of_odd_characters_is_none() {
    let client = client(&some_key());
    for nonce in ["a\"b", "a\\b", "a b", "a\u{7f}", "ä", "\u{0}", &"a".repeat(5000)] {
        let call = client.refresh(&refresh_token()).start(now()).unwrap();
        let error = call.read(asks_for(nonce)).unwrap_err();
        assert_eq!((error.advice(), error.dpop_nonce()), (Advice::Stop, None), "{nonce:?}");
        assert_eq!(next_nonce(&client), None);
    }
    // Of two lines the first that can be a nonce counts, and bytes that are no text are none.
    let call = client.refresh(&refresh_token()).start(now()).unwrap();
    let lines = [("dpop-nonce", &b"\xff\xfe"[..]), ("DPOP-NONCE", b"fake-nonce"), ("dpop-nonce", b"other")];
    call.read(Response::new(503, lines, b"")).unwrap_err();
    assert_eq!(next_nonce(&client).as_deref(), Some("fake-nonce"));
}

/// The nonce that the API at this URL has sent, as the next proof for it shows.
#[track_caller]
fn nonce_at(key: &DpopKey, url: &str) -> Option<String> {
    let api = ProtectedApi::new([url]).unwrap();
    let request = api.bound_request(key, &Secret::new("fake-token"), "GET", url).unwrap();
    let [_, (_, proof)] = request.headers(now()).unwrap();
    Proof::parse(proof.expose()).nonce().map(str::to_owned)
}

#[track_caller]
fn bring(key: &DpopKey, url: &str, nonce: &str) {
    let api = ProtectedApi::new([url]).unwrap();
    let mut request = api.bound_request(key, &Secret::new("fake-token"), "GET", url).unwrap();
    assert!(!request.received(200, [("dpop-nonce", nonce)]).unwrap());
}

/// The attack: an API that plants its nonce in the proofs for another server (nonce fixation).
#[test]
fn rfc9449_section_9_a_nonce_goes_to_its_own_origin_only() {
    let key = key(0);
    bring(&key, "https://api.example/a", "fake-planted");
    assert_eq!(nonce_at(&key, "https://api.example/b").as_deref(), Some("fake-planted"));
    assert_eq!(nonce_at(&key, "https://API.example:443/c").as_deref(), Some("fake-planted"));
    for elsewhere in [
        "https://api.example:8443/a",
        "https://api.example.evil.example/a",
        "https://sub.api.example/a",
        "https://as.example/a",
        "http://127.0.0.1/a",
    ] {
        assert_eq!(nonce_at(&key, elsewhere), None, "{elsewhere}");
    }
    assert_eq!(next_nonce(&client(&key)), None);
    // Nor does the authorization server's go to an API.
    let call = client(&key).refresh(&refresh_token()).start(now()).unwrap();
    call.read(asks_for("fake-of-the-server")).unwrap_err();
    assert_eq!(nonce_at(&key, "https://api.example/b").as_deref(), Some("fake-planted"));
    assert_eq!(next_nonce(&client(&key)).as_deref(), Some("fake-of-the-server"));
}

/// The attack: very many addresses, to fill the memory.
#[test]
fn a_flood_of_origins_leaves_the_last_ones() {
    let key = key(0);
    for number in 0..1000 {
        bring(&key, &format!("https://api{number}.example/"), "fake-nonce");
    }
    let known = (0..1000).filter(|number| nonce_at(&key, &format!("https://api{number}.example/")).is_some());
    let known: Vec<_> = known.collect();
    assert!(known.len() <= 64 && known.last() == Some(&999), "{known:?}");
}

/// A client without a key has no proof that a nonce could go into.
#[test]
fn a_client_without_a_key_keeps_nothing() {
    let call = crate::support::client().refresh(&refresh_token()).start(now()).unwrap();
    for _ in 0..2 {
        assert_eq!(call.read(asks_for("fake-nonce")).unwrap_err().advice(), Advice::RetryLater);
    }
    assert!(call.read(bound_tokens()).is_ok());
    assert!(call.read(json(r#"{"access_token":"fake","token_type":"Bearer"}"#)).is_ok());
}
