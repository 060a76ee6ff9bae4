//! Cases with expected verdicts, collected from the specifications and from what servers really send.
//!
//! The PKCE and authorization URL cases are beside the code that they test, in `src`.

mod support;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use oauth2_proto::{
    Advice, Client, ClientAuth, Error, Response, Secret, TokenResponse, error::ErrorKind, server::Leniency,
};
use serde_json::Value;
use std::time::{Duration, SystemTime};
use support::{client_of, pending_with_state, server, token_call, vectors};

#[test]
fn rfc6749_section_2_3_1_basic_credentials() {
    let cases = vectors("basic_auth.json");
    for case in &cases {
        let auth = ClientAuth::basic(text(case, "client_secret"));
        let client = Client::new(server(), text(case, "client_id"), auth).unwrap();
        let call = client.refresh(&Secret::new("fake-refresh-token")).start().unwrap();
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
            Some(url) => oauth2_proto::Callback::url(url),
            None => oauth2_proto::Callback::query(text(case, "query")),
        };
        let result = pending.receive(&client, callback, support::now());
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
    assert_eq!(cases.len(), 91);
}

#[test]
fn rfc6749_section_5_1_token_responses() {
    let cases = vectors("token_responses.json");
    for case in &cases {
        let strictness = text(case, "strictness");
        let opted_in: Vec<Leniency> = match strictness.strip_prefix("opt-in:") {
            Some(names) => names.split('+').map(leniency).collect(),
            None => Vec::new(),
        };
        check_token_response(case, &case["expect"], read(case, &opted_in));
        if let Some(by_default) = case.get("without_opt_in") {
            check_token_response(case, by_default, read(case, &[]));
        }
    }
    assert_eq!(cases.len(), 162);
}

#[test]
fn rfc6749_section_5_2_error_responses() {
    let cases = vectors("error_responses.json");
    for case in &cases {
        let (id, expect) = (&case["id"], &case["expect"]);
        let error = read(case, &[]).unwrap_err();
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
            "never" => Advice::Stop,
            other => panic!("{id}: unknown advice {other}"),
        };
        assert_eq!(error.advice(), retry, "{id}");
        let received_at = Duration::from_secs(case["received_at"].as_u64().unwrap_or_default());
        let retry_after = error.retry_after(SystemTime::UNIX_EPOCH + received_at);
        check_number(id, &expect["retry_after"], retry_after.map(|delay| delay.as_secs()));
        check_display(case, &error);
    }
    assert_eq!(cases.len(), 64);
}

fn read(case: &Value, opted_in: &[Leniency]) -> Result<TokenResponse, Error> {
    let server = opted_in.iter().fold(server(), |server, leniency| server.tolerate(*leniency));
    let headers = case["headers"].as_array().unwrap().iter();
    let headers = headers.map(|pair| (pair[0].as_str().unwrap(), pair[1].as_str().unwrap()));
    let status = u16::try_from(case["status"].as_u64().unwrap()).unwrap();
    token_call(&client_of(server)).read(Response::new(status, headers, &body(case)))
}

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

fn check_token_response(case: &Value, expect: &Value, result: Result<TokenResponse, Error>) {
    let id = &case["id"];
    match (expect.get("ok"), result) {
        (Some(expected), Ok(tokens)) => {
            assert_eq!(tokens.access_token().expose(), text(expected, "access_token"), "{id}");
            let token_type = match tokens.token_type() {
                oauth2_proto::token::TokenType::Other(name) => name.clone(),
                known => known.to_string(),
            };
            assert_eq!(token_type, text(expected, "token_type"), "{id}");
            check_number(id, &expected["expires_in"], tokens.expires_in().map(|lifetime| lifetime.as_secs()));
            let refresh_token = tokens.refresh_token().map(Secret::expose);
            assert_eq!(refresh_token, expected["refresh_token"].as_str(), "{id}");
            let scope = tokens.scope().map(|scope| scope.map(Value::from).collect::<Value>());
            assert_eq!(scope.unwrap_or_default(), expected["scope"], "{id}");
            for (name, value) in expected["extras"].as_object().unwrap() {
                assert_eq!(tokens.extra(name), Some(value), "{id}: {name}");
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

fn check_class(id: &Value, class: &str, error: &Error) {
    let kind = match class {
        "refused" => ErrorKind::Refused,
        "invalid" => ErrorKind::Invalid,
        other => panic!("{id}: unknown class {other}"),
    };
    assert_eq!(error.kind(), kind, "{id}: {error}");
}

fn check_number(id: &Value, expected: &Value, number: Option<u64>) {
    match expected.get("at_least") {
        Some(least) => assert!(number >= least.as_u64(), "{id}: {number:?} is less than {least}"),
        None => assert_eq!(number, expected.as_u64(), "{id}"),
    }
}

fn check_display(case: &Value, error: &Error) {
    let forbidden = case["display_forbids"].as_array().cloned().unwrap_or_default();
    for text in forbidden.iter().filter_map(Value::as_str) {
        assert!(!error.to_string().contains(text), "{}: {error}", case["id"]);
    }
}

fn text<'a>(case: &'a Value, member: &str) -> &'a str {
    case[member].as_str().unwrap_or_else(|| panic!("no {member} in {case}"))
}
