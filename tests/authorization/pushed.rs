//! Pushed authorization requests (RFC 9126).

use std::time::Duration;

use oauth2_proto::authorization::{CodeVerifier, PushedAuthorization};
use oauth2_proto::error::ErrorKind;
use oauth2_proto::jose::{Algorithm, PublicKey, SigningKey};
use oauth2_proto::{Advice, AuthorizationServer, Call, Client, ClientAuth, Error, Response};
use serde_json::Value;
use url::form_urlencoded;

use crate::support::{REDIRECT_URI, client_of, entropy, later, now, server, start};

#[track_caller]
fn pushing_server() -> AuthorizationServer {
    server().pushed_authorization_request_endpoint("https://as.example/par").unwrap()
}

#[track_caller]
fn push(client: &Client) -> Call<PushedAuthorization> {
    client.authorize(REDIRECT_URI).push_with(entropy(), now()).unwrap().0
}

#[track_caller]
fn read(body: &str) -> Result<PushedAuthorization, Error> {
    let none: [(&str, &str); 0] = [];
    push(&client_of(pushing_server())).read(Response::new(201, none, body.as_bytes()))
}

fn decoded(query: &str) -> Vec<(String, String)> {
    form_urlencoded::parse(query.as_bytes()).into_owned().collect()
}

/// The answer to a pushed request of a case, at its endpoint.
fn answer(case: &Value) -> Result<PushedAuthorization, Error> {
    let text = |name: &str| case[name].as_str().unwrap();
    let server = AuthorizationServer::new(text("authorization_endpoint"), "https://as.example.com/token")?
        .pushed_authorization_request_endpoint("https://as.example.com/par")?;
    let client = Client::new(server, text("client_id"), ClientAuth::none())?;
    let headers = case["headers"].as_array().unwrap().iter();
    let headers = headers.map(|pair| (pair[0].as_str().unwrap(), pair[1].as_str().unwrap()));
    let status = u16::try_from(case["status"].as_u64().unwrap()).unwrap();
    push(&client).read(Response::new(status, headers, text("body").as_bytes()))
}

#[test]
fn rfc9126_section_2_public_cases() {
    let cases: Vec<Value> =
        serde_json::from_str(include_str!("../vectors/pushed_authorization.json")).unwrap();
    for case in &cases {
        let (id, expect) = (&case["id"], &case["expect"]);
        match answer(case) {
            Ok(pushed) => {
                let expected = &expect["ok"];
                assert_eq!(expected["request_uri"], pushed.request_uri(), "{id}");
                assert_eq!(expected["expires_in"], pushed.expires_in().as_secs(), "{id}");
                let (prefix, query) = pushed.url().split_once('?').unwrap();
                assert_eq!(expected["authorization_url"]["prefix"], prefix, "{id}");
                let params: Vec<(String, String)> =
                    serde_json::from_value(expected["authorization_url"]["params"].clone()).unwrap();
                assert_eq!(decoded(query), params, "{id}");
            }
            Err(error) if expect == "misuse" => assert_eq!(error.kind(), ErrorKind::Misuse, "{id}"),
            Err(error) => {
                let expected = &expect["error"];
                let class = match error.kind() {
                    ErrorKind::Refused => "refused",
                    ErrorKind::Invalid => "invalid",
                    other => panic!("{id}: {other:?}"),
                };
                assert_eq!(expected["class"], class, "{id}");
                assert_eq!(expected["status"], error.status().unwrap(), "{id}");
                assert_eq!(expected["code"].as_str(), error.code(), "{id}");
                if let Some(description) = expected["description"].as_str() {
                    assert_eq!(error.description(), Some(description), "{id}");
                }
                let wait = error.retry_after(now()).map(|wait| wait.as_secs());
                assert_eq!(expected["retry_after"].as_u64(), wait, "{id}");
                match expected["retry"].as_str() {
                    Some("later") => assert_eq!(error.advice(), Advice::RetryLater, "{id}"),
                    Some("fix-config") => assert_eq!(error.advice(), Advice::FixConfiguration, "{id}"),
                    Some(_) => assert_eq!(error.advice(), Advice::Stop, "{id}"),
                    None => {}
                }
            }
        }
    }
    assert_eq!(cases.len(), 15);
}

#[test]
fn rfc9126_section_2_1_the_form_holds_the_request_and_the_client_authentication() {
    for (auth, authenticated, header) in [
        (
            ClientAuth::basic("fake-secret"),
            "client_id=fake-client",
            Some("Basic ZmFrZS1jbGllbnQ6ZmFrZS1zZWNyZXQ="),
        ),
        (ClientAuth::post("fake-secret"), "client_id=fake-client&client_secret=fake-secret", None),
        (ClientAuth::none(), "client_id=fake-client", None),
    ] {
        let client = Client::new(pushing_server(), "fake-client", auth).unwrap();
        let request = client
            .authorize(REDIRECT_URI)
            .scopes(["a", "b"])
            .resource("https://api.example/1")
            .resource("https://api.example/2")
            .login_hint("fake user")
            .parameter("na=me&client_id", "1")
            .parameter("empty", "");
        let (call, pending) = request.push_with(entropy(), now()).unwrap();
        assert_eq!((call.request().method(), call.request().url()), ("POST", "https://as.example/par"));
        assert_eq!(call.request().header("authorization"), header);
        let state = pending.state();
        let stored = serde_json::to_value(&pending).unwrap();
        let challenge = CodeVerifier::new(stored["code_verifier"].as_str().unwrap()).unwrap().challenge();
        assert_eq!(
            call.request().body(),
            format!(
                "{authenticated}&response_type=code&code_challenge_method=S256\
                 &redirect_uri=https%3A%2F%2Fapp.example%2Fcallback&scope=a+b&state={state}\
                 &code_challenge={challenge}&resource=https%3A%2F%2Fapi.example%2F1\
                 &resource=https%3A%2F%2Fapi.example%2F2&login_hint=fake+user&na%3Dme%26client_id=1"
            )
        );
    }
}

/// RFC 9126 §4: the callback is that of any other authorization.
#[test]
fn a_pushed_authorization_is_stored_and_received_like_any_other() {
    let client = client_of(pushing_server());
    let (call, pushed) = client
        .authorize(REDIRECT_URI)
        .scopes(["export:read", "export:write"])
        .push_with(entropy(), now())
        .unwrap();
    let (url, started) = start(&client);
    assert_eq!(serde_json::to_string(&pushed).unwrap(), serde_json::to_string(&started).unwrap());
    let mut sent = call.request().form();
    let mut shown = decoded(url.split_once('?').unwrap().1);
    sent.sort();
    shown.sort();
    assert_eq!(sent, shown, "the same parameters, whichever way they go");

    let mut pushed = pushed;
    let callback = format!("code=fake-code&state={}", pushed.state());
    assert!(pushed.receive(&client, callback.as_str(), now()).is_ok());
}

#[test]
fn rfc9126_section_5_a_server_that_requires_pushing_is_asked_in_no_other_way() {
    let server = pushing_server().require_pushed_authorization_requests(true);
    assert!(server.metadata().require_pushed_authorization_requests());
    let client = client_of(server);
    let error = client.authorize(REDIRECT_URI).start_with(entropy(), now()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "misuse: the server takes pushed authorization requests only (RFC 9126 section 5); call `push`"
    );
    push(&client);
}

#[test]
fn a_server_without_the_endpoint_is_named() {
    let error = client_of(server()).authorize(REDIRECT_URI).push_with(entropy(), now()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "misuse: the server has no pushed authorization request endpoint, as far as AuthorizationServer knows; \
         set it"
    );
    for endpoint in [
        "http://as.example/par",
        "https://as.example/par?request_uri=urn:x",
        "https://as.example/par?state=a",
    ] {
        let error = server().pushed_authorization_request_endpoint(endpoint).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Misuse, "{endpoint}");
    }
}

#[test]
fn what_start_refuses_push_refuses_too() {
    let client = client_of(pushing_server());
    let request = || client.authorize(REDIRECT_URI);
    for refused in [
        request().parameter("request_uri", "https://evil.example/request"),
        request().parameter("request", "fake"),
        request().parameter("client_id", "fake-other"),
        request().parameter("client_assertion", "fake"),
        request().parameter("client_secret", "fake"),
        request().parameter("response_mode", "fragment"),
        request().scopes(["a b"]),
        client.authorize("/relative"),
    ] {
        assert_eq!(refused.push_with(entropy(), now()).unwrap_err().kind(), ErrorKind::Misuse);
    }
}

/// RFC 9126 §2.2: `request_uri` is a URI, and wherever it points, the browser goes to the authorization
/// endpoint.
#[test]
fn a_reference_never_leads_the_browser_elsewhere() {
    for (request_uri, is_taken) in [
        ("javascript:alert(1)", true),
        ("https://evil.example/?a=b&state=c", true),
        ("urn:fake:a%20b", true),
        ("https://as.example/r#fake", true),
        ("//evil.example", false),
        ("/relative", false),
        ("fake", false),
        ("urn:", false),
        ("urn:fake:%zz", false),
        ("urn:fake:a%2", false),
        (" urn:fake:a", false),
        ("urn:fake:\u{e4}", false),
        ("urn:fake:a#b#c", false),
        ("1urn:fake", false),
    ] {
        let read = read(&serde_json::json!({"request_uri": request_uri, "expires_in": 60}).to_string());
        assert_eq!(read.is_ok(), is_taken, "{request_uri}");
        if let Ok(pushed) = read {
            let query = pushed.url().strip_prefix("https://as.example/authorize?").unwrap();
            let expected = [("client_id", "fake-client"), ("request_uri", request_uri)];
            assert_eq!(decoded(query), expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        }
    }
}

#[test]
fn an_answer_is_read_like_that_of_any_endpoint() {
    let uri = r#""request_uri":"urn:fake:a""#;
    for (body, is_taken) in [
        (format!("{{{uri},\"expires_in\":60,\"other\":[1]}}"), true),
        (format!("{{{uri},{uri},\"expires_in\":60}}"), false),
        (format!("{{{uri},\"expires_in\":60,\"expires_in\":60}}"), false),
        (format!("{{{uri},\"expires_in\":null}}"), false),
        (r#"{"request_uri":["urn:fake:a"],"expires_in":60}"#.to_owned(), false),
        (r#"{"request_uri":"","expires_in":60}"#.to_owned(), false),
        ("[]".to_owned(), false),
        (String::new(), false),
    ] {
        match read(&body) {
            Ok(pushed) => assert!(is_taken && pushed.expires_in() == Duration::from_secs(60), "{body}"),
            Err(error) => {
                assert!(!is_taken, "{body}: {error}");
                assert_eq!((error.kind(), error.advice()), (ErrorKind::Invalid, Advice::Stop), "{body}");
            }
        }
    }
}

/// No sign-in changes the answer to a push, so a program must not send the user back without end.
#[test]
fn a_refused_push_does_not_send_the_user_back() {
    for code in ["invalid_grant", "login_required"] {
        let error = read(&format!(r#"{{"error":"{code}"}}"#)).unwrap_err();
        assert_eq!((error.kind(), error.advice()), (ErrorKind::Refused, Advice::Stop), "{code}");
    }
}

/// The answer to a push gets lost, or the server is busy: the same call goes out again, signed anew.
#[test]
fn a_push_is_sent_again_and_the_pending_authorization_stays_good() {
    let public_key = PublicKey::from_jwk(
        r#"{"kty":"EC","crv":"P-256","x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs",
            "y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA"}"#,
    );
    let key = SigningKey::remote_with(Algorithm::ES256, public_key.unwrap(), entropy()).unwrap();
    let auth = ClientAuth::private_key_jwt(key);
    let server = pushing_server().issuer("https://as.example").unwrap();
    let client = Client::new(server, "fake-client", auth).unwrap();
    let signed = |at| {
        let mut signing = client.signing(at).unwrap();
        signing.signed(&[0; 64]).unwrap();
        signing.client().unwrap()
    };

    let error = client.authorize(REDIRECT_URI).push_with(entropy(), now()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Misuse, "the key signs elsewhere");
    let (mut call, mut pending) = signed(now()).authorize(REDIRECT_URI).push_with(entropy(), now()).unwrap();
    let first = call.request().form();
    let busy = call.read(Response::new(503, [("retry-after", "10")], b"")).unwrap_err();
    assert_eq!(busy.advice(), Advice::RetryLater);

    call.renew(&signed(later(10)), later(10)).unwrap();
    let second = call.request().form();
    let changed: Vec<_> = first.iter().zip(&second).filter(|(one, other)| one != other).collect();
    assert_eq!(first.len(), second.len());
    assert!(matches!(changed.as_slice(), [((name, _), _)] if name == "client_assertion"), "{changed:?}");
    let body = br#"{"request_uri":"urn:fake:second","expires_in":60}"#;
    let pushed = call.read(Response::new(201, [("content-type", "application/json")], body)).unwrap();
    assert!(pushed.url().ends_with("&request_uri=urn%3Afake%3Asecond"));

    let callback = format!("code=fake-code&state={}", pending.state());
    assert!(pending.receive(&signed(later(20)), callback.as_str(), later(20)).is_ok());
}
