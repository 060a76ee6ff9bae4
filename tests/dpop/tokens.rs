//! The type of tokens: a client with a key takes those that are bound to it, and no others (RFC 9449 §5).

use oauth2_proto::error::ErrorKind;
use oauth2_proto::grants::token_type;
use oauth2_proto::server::Leniency;
use oauth2_proto::token::TokenType;
use oauth2_proto::{Error, Response, Secret, TokenResponse};
use serde_json::Value;

use crate::responses::json;
use crate::support::{self, client_of, now, server, token_call};
use crate::{client, refresh_token, some_key};

#[test]
fn rfc9449_section_5_public_cases_of_token_types() {
    let cases: Vec<Value> = serde_json::from_str(include_str!("../vectors/dpop_proof.json")).unwrap();
    let cases: Vec<_> = cases.iter().filter(|case| case["kind"] == "token-type").collect();
    for case in &cases {
        let client = match case["dpop_required"].as_bool().unwrap() {
            true => client(&some_key()),
            false => support::client(),
        };
        let response = Response::new(
            case["status"].as_u64().unwrap() as u16,
            [("content-type", "application/json")],
            case["body"].as_str().unwrap().as_bytes(),
        );
        match (client.client_credentials().start(now()).unwrap().read(response), &case["expect"]["ok"]) {
            (Err(error), Value::Null) => {
                let expected = &case["expect"]["error"];
                assert_eq!(format!("{:?}", error.kind()).to_lowercase(), expected["class"], "{}", case["id"]);
                assert_eq!(error.status().map(u64::from), expected["status"].as_u64());
            }
            (Ok(tokens), ok) => {
                assert_eq!(tokens.access_token().expose(), ok["access_token"], "{}", case["id"]);
                assert_eq!(tokens.token_type().to_string(), ok["token_type"].as_str().unwrap());
            }
            (result, expected) => panic!("{}: {expected} and {result:?}", case["id"]),
        }
    }
    assert_eq!(cases.len(), 3);
}

/// The attack: a server, or somebody between, that gives out tokens which work for whoever has them.
#[test]
fn rfc9449_section_5_a_downgrade_to_bearer_is_refused_at_every_grant() {
    // Not even a leniency takes another type.
    let server = server().tolerate(Leniency::MissingTokenType).tolerate(Leniency::AnyTokenType);
    let client = client_of(server).dpop(some_key());
    let token = refresh_token();
    for member in
        [r#""token_type":"Bearer""#, r#""token_type":"bearer""#, r#""x":1"#, r#""token_type":"mac""#]
    {
        let body = format!(
            r#"{{"access_token":"fake-downgraded","expires_in":60,{member},
                "issued_token_type":"urn:ietf:params:oauth:token-type:access_token"}}"#
        );
        let refuse = |error: Error| {
            assert_eq!((error.kind(), error.status()), (ErrorKind::Invalid, Some(200)), "{member}: {error}");
            assert!(error.to_string().contains("not DPoP"), "{error}");
        };
        refuse(token_call(&client).read(json(&body)).unwrap_err());
        refuse(client.refresh(&token).start(now()).unwrap().read(json(&body)).unwrap_err());
        refuse(client.client_credentials().start(now()).unwrap().read(json(&body)).unwrap_err());
        let assertion = Secret::new("fake.fake.fake");
        refuse(client.jwt_bearer(&assertion).start(now()).unwrap().read(json(&body)).unwrap_err());
        let exchange = client.token_exchange(&token, token_type::ACCESS_TOKEN).start(now()).unwrap();
        refuse(exchange.read(json(&body)).unwrap_err());
        refuse(TokenResponse::for_test(&client, &body).unwrap_err());
    }
}

#[test]
fn the_case_of_the_type_does_not_matter() {
    for name in ["DPoP", "dpop", "DPOP"] {
        let body = format!(r#"{{"access_token":"fake","token_type":"{name}"}}"#);
        let tokens = token_call(&client(&some_key())).read(json(&body)).unwrap();
        assert_eq!(tokens.token_type(), &TokenType::DPoP);
    }
}

/// RFC 8693 §2.2.1: a token that is no access token is bound to nothing.
#[test]
fn rfc8693_section_2_2_1_an_exchange_may_issue_what_is_no_access_token() {
    let client = client(&some_key());
    let token = refresh_token();
    let exchange = client.token_exchange(&token, token_type::ACCESS_TOKEN).start(now()).unwrap();
    let body = r#"{"access_token":"fake-jwt","token_type":"N_A",
        "issued_token_type":"urn:ietf:params:oauth:token-type:jwt"}"#;
    let exchanged = exchange.read(json(body)).unwrap();
    assert_eq!(exchanged.token_type(), &TokenType::NotApplicable);
    assert!(exchanged.access_tokens().is_none());
}
