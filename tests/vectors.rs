//! Cases with expected verdicts, collected from the specifications and from real servers.
//!
//! The cases for PKCE and for authorization URLs are used by unit tests in `src/authorization`.

mod support;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use oauth2_proto::{
    Advice, Callback, Client, ClientAuth, Error, PendingAuthorization, Response, Secret, TokenResponse,
    error::ErrorKind, server::Leniency, token::TokenType,
};
use serde_json::Value;
use std::time::{Duration, SystemTime};
use support::{client, client_of, now, server, start, token_call};

#[test]
fn rfc6749_section_2_3_1_basic_credentials() {
    let cases = vectors("basic_auth.json");
    for case in &cases {
        let auth = ClientAuth::basic(text(case, "client_secret"));
        let client = Client::new(server(), text(case, "client_id"), auth).unwrap();
        let call = client.refresh(&Secret::new("fake-refresh-token")).start(SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!(call.request().header("Authorization"), case["header"].as_str(), "{}", case["id"]);
    }
    assert_eq!(cases.len(), 25);
}

#[test]
fn rfc6749_section_4_1_2_and_rfc9207_callbacks() {
    let cases = vectors("callbacks.json");
    for case in &cases {
        let id = &case["id"];
        let mut server = server();
        if let Some(issuer) = case["issuer"].as_str() {
            server = server
                .issuer(issuer)
                .unwrap()
                .authorization_response_iss_parameter_supported(case["iss_advertised"] == true);
        }
        let client = client_of(server);
        let mut pending = pending_with_state(&client, text(case, "expected_state"));
        let callback = match case["url"].as_str() {
            Some(url) => Callback::url(url),
            None => Callback::query(text(case, "query")),
        };
        let result = pending.receive(&client, callback, now());
        match (text(case, "expect"), result) {
            ("code", Ok(call)) => {
                let form = call.request().form();
                let code = form.iter().find(|(name, _)| name == "code").unwrap();
                assert_eq!(code.1, text(case, "code"), "{id}");
            }
            ("refused", Err(error)) => {
                assert_eq!(error.kind(), ErrorKind::Refused, "{id}: {error}");
                for (member, value) in [
                    ("error", error.code()),
                    ("error_description", error.description()),
                    ("error_uri", error.uri()),
                ] {
                    assert_eq!(value, case[member].as_str(), "{id}: {member}");
                }
                check_display(case, &error);
            }
            ("suspect", Err(error)) => assert_eq!(error.kind(), ErrorKind::Suspect, "{id}: {error}"),
            ("invalid", Err(error)) => assert_eq!(error.kind(), ErrorKind::Invalid, "{id}: {error}"),
            (expected, result) => panic!("{id}: expected {expected}, got {result:?}"),
        }
    }
    assert_eq!(cases.len(), 92);
}

#[test]
fn rfc6749_section_5_1_token_responses() {
    let cases = vectors("token_responses.json");
    for case in &cases {
        let strictness = text(case, "strictness");
        let client = match strictness.strip_prefix("opt-in:") {
            Some(names) => tolerant_client(names.split('+').map(leniency)),
            None => client(),
        };
        check_token_response(case, &case["expect"], read(case, &client));
        if let Some(by_default) = case.get("without_opt_in") {
            check_token_response(case, by_default, read(case, &support::client()));
        }
    }
    assert_eq!(cases.len(), 164);
}

#[test]
fn rfc6749_section_5_2_error_responses() {
    let cases = vectors("error_responses.json");
    for case in &cases {
        let (id, expect) = (&case["id"], &case["expect"]);
        let error = read(case, &client()).unwrap_err();
        check_class(id, text(expect, "class"), &error);
        assert_eq!(error.status().map(u64::from), expect["status"].as_u64(), "{id}");
        assert_eq!(error.code(), expect["code"].as_str(), "{id}");
        assert_eq!(error.description(), expect["description"].as_str(), "{id}");
        assert_eq!(error.uri(), expect["uri"].as_str(), "{id}");
        assert_eq!(error.dpop_nonce(), expect["dpop_nonce"].as_str(), "{id}");
        assert_eq!(error.interval().map(|interval| interval.as_secs()), expect["interval"].as_u64(), "{id}");
        let retry = match text(expect, "retry") {
            "later" => Advice::RetryLater,
            "reauthorize" => Advice::Reauthorize,
            "fix-config" => Advice::FixConfiguration,
            "declined" => Advice::Declined,
            "never" => Advice::Stop,
            other => panic!("{id}: unknown advice {other}"),
        };
        assert_eq!(error.advice(), retry, "{id}");
        let received_at = Duration::from_secs(case["received_at"].as_u64().unwrap_or_default());
        let retry_after = error.retry_after(SystemTime::UNIX_EPOCH + received_at);
        check_number(id, &expect["retry_after"], retry_after.map(|delay| delay.as_secs()));
        check_display(case, &error);
    }
    assert_eq!(cases.len(), 67);
}

/// The cases of a file in `tests/vectors`.
#[track_caller]
fn vectors(file: &str) -> Vec<Value> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(file);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap()
}

/// An authorization that waits for `state`, as if it had been started with it.
#[track_caller]
fn pending_with_state(client: &Client, state: &str) -> PendingAuthorization {
    let mut stored = serde_json::to_value(start(client).1).unwrap();
    stored["state"] = state.into();
    serde_json::from_value(stored).unwrap()
}

/// A client that tolerates these deviations of its server.
#[track_caller]
fn tolerant_client(leniencies: impl Iterator<Item = Leniency>) -> Client {
    client_of(leniencies.fold(server(), |server, leniency| server.tolerate(leniency)))
}

/// Reads the response of a case with this client.
#[track_caller]
fn read(case: &Value, client: &Client) -> Result<TokenResponse, Error> {
    let headers = case["headers"].as_array().unwrap().iter();
    let headers = headers.map(|pair| (pair[0].as_str().unwrap(), pair[1].as_str().unwrap()));
    let status = u16::try_from(case["status"].as_u64().unwrap()).unwrap();
    token_call(client).read(Response::new(status, headers, &body(case)))
}

#[track_caller]
fn body(case: &Value) -> Vec<u8> {
    if let Some(encoded) = case["body_base64"].as_str() {
        return STANDARD.decode(encoded).unwrap();
    }
    if let Some(parts) = case["body_parts"].as_array() {
        let repeat = |part: &Value| part[0].as_str().unwrap().repeat(part[1].as_u64().unwrap() as usize);
        return parts.iter().map(repeat).collect::<String>().into_bytes();
    }
    text(case, "body").as_bytes().to_vec()
}

#[track_caller]
fn leniency(name: &str) -> Leniency {
    match name {
        "missing-token-type" => Leniency::MissingTokenType,
        "any-token-type" => Leniency::AnyTokenType,
        "scope-array" => Leniency::ScopeArray,
        "scope-comma" => Leniency::ScopeComma,
        "form-encoded" => Leniency::FormEncoded,
        other => panic!("unknown leniency {other}"),
    }
}

#[track_caller]
fn check_token_response(case: &Value, expect: &Value, result: Result<TokenResponse, Error>) {
    let id = &case["id"];
    match (expect.get("ok"), result) {
        (Some(expected), Ok(tokens)) => {
            assert_eq!(tokens.access_token().expose(), text(expected, "access_token"), "{id}");
            let token_type = match tokens.token_type() {
                TokenType::Other(name) => name.clone(),
                known => known.to_string(),
            };
            assert_eq!(token_type, text(expected, "token_type"), "{id}");
            check_number(id, &expected["expires_in"], tokens.expires_in().map(|lifetime| lifetime.as_secs()));
            let refresh_token = tokens.refresh_token().map(Secret::expose);
            assert_eq!(refresh_token, expected["refresh_token"].as_str(), "{id}");
            let scope = tokens.scope().map(|scope| scope.map(Value::from).collect::<Value>());
            assert_eq!(scope.unwrap_or_default(), expected["scope"], "{id}");
            for (name, value) in expected["extras"].as_object().unwrap() {
                match name.as_str() {
                    // It is handed out checked only.
                    "id_token" => {
                        assert!(tokens.extra(name).is_none() && tokens.id_token().is_some(), "{id}")
                    }
                    _ => assert_eq!(tokens.extra(name), Some(value), "{id}: {name}"),
                }
            }
        }
        (None, Err(error)) => {
            let expected = &expect["error"];
            check_class(id, text(expected, "class"), &error);
            assert_eq!(error.code(), expected["code"].as_str(), "{id}");
            assert_eq!(error.status().map(u64::from), expected["status"].as_u64(), "{id}");
        }
        (_, result) => panic!("{id}: expected {expect}, got {result:?}"),
    }
}

#[track_caller]
fn check_class(id: &Value, class: &str, error: &Error) {
    let kind = match class {
        "refused" => ErrorKind::Refused,
        "invalid" => ErrorKind::Invalid,
        other => panic!("{id}: unknown class {other}"),
    };
    assert_eq!(error.kind(), kind, "{id}: {error}");
}

#[track_caller]
fn check_number(id: &Value, expected: &Value, number: Option<u64>) {
    match expected.get("at_least") {
        Some(least) => assert!(number >= least.as_u64(), "{id}: {number:?} is less than {least}"),
        None => assert_eq!(number, expected.as_u64(), "{id}"),
    }
}

#[track_caller]
fn check_display(case: &Value, error: &Error) {
    let forbidden = case["display_forbids"].as_array().cloned().unwrap_or_default();
    for text in forbidden.iter().filter_map(Value::as_str) {
        assert!(!error.to_string().contains(text), "{}: {error}", case["id"]);
    }
}

#[track_caller]
fn text<'a>(case: &'a Value, member: &str) -> &'a str {
    case[member].as_str().unwrap_or_else(|| panic!("no {member} in {case}"))
}
