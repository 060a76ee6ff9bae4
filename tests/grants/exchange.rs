//! Token exchange.

use std::time::{Duration, SystemTime};

use oauth2_proto::error::ErrorKind;
use oauth2_proto::grants::{ExchangedToken, token_type};
use oauth2_proto::server::Leniency;
use oauth2_proto::token::TokenType;
use oauth2_proto::{
    Advice, AuthorizationServer, Client, ClientAuth, Error, RefreshPolicy, Response, Secret, Session,
};

use crate::responses::json;
use crate::support::{client, client_of, now, server};

const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";

#[track_caller]
fn form(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// Reads an answer with the members of a good one, changed by a replacement.
#[track_caller]
fn read_with(client: &Client, from: &str, to: &str) -> Result<ExchangedToken, Error> {
    let good = r#"{"access_token":"fake","token_type":"Bearer","issued_token_type":"urn:x"}"#;
    assert!(good.contains(from));
    let body = good.replacen(from, to, 1);
    let subject = Secret::new("fake-subject");
    client
        .token_exchange(&subject, token_type::ACCESS_TOKEN)
        .start(SystemTime::UNIX_EPOCH)
        .unwrap()
        .read(json(&body))
}

#[test]
fn rfc8693_section_2_3_the_example() {
    let server =
        AuthorizationServer::without_authorization_endpoint("https://as.example.com/as/token.oauth2");
    let client =
        Client::new(server.unwrap(), "rs08", ClientAuth::basic("long-secure-random-secret")).unwrap();
    let subject = Secret::new("accVkjcJyb4BWCxGsndESCJQbdFMogUC5PbRDqceLTC");
    let call = client
        .token_exchange(&subject, token_type::ACCESS_TOKEN)
        .resource("https://backend.example.com/api")
        .start(SystemTime::UNIX_EPOCH)
        .unwrap();
    assert_eq!(
        call.request().header("authorization"),
        Some("Basic cnMwODpsb25nLXNlY3VyZS1yYW5kb20tc2VjcmV0")
    );
    assert_eq!(
        call.request().form(),
        form(&[
            ("grant_type", GRANT_TYPE),
            ("subject_token", "accVkjcJyb4BWCxGsndESCJQbdFMogUC5PbRDqceLTC"),
            ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token"),
            ("resource", "https://backend.example.com/api"),
        ])
    );
    let body = r#"{"access_token":"eyJhbGciOiJFUzI1NiIsImtpZCI6IjllciJ9.fake.fake",
        "issued_token_type":"urn:ietf:params:oauth:token-type:access_token","token_type":"Bearer","expires_in":60}"#;
    let exchanged = call.read(json(body)).unwrap();
    assert_eq!(exchanged.token().expose(), "eyJhbGciOiJFUzI1NiIsImtpZCI6IjllciJ9.fake.fake");
    assert_eq!(exchanged.issued_token_type(), token_type::ACCESS_TOKEN);
    assert_eq!(exchanged.token_type(), &TokenType::Bearer);
    assert_eq!(exchanged.expires_in(), Some(Duration::from_secs(60)));
}

#[test]
fn rfc8693_appendix_a_1_impersonation() {
    let client = client();
    let subject = Secret::new("eyJhbGciOiJFUzI1NiIsImtpZCI6IjE2In0.fake.fake");
    let call = client
        .token_exchange(&subject, token_type::JWT)
        .audience("urn:example:cooperation-context")
        .start(SystemTime::UNIX_EPOCH)
        .unwrap();
    assert_eq!(
        call.request().form(),
        form(&[
            ("grant_type", GRANT_TYPE),
            ("subject_token", "eyJhbGciOiJFUzI1NiIsImtpZCI6IjE2In0.fake.fake"),
            ("subject_token_type", "urn:ietf:params:oauth:token-type:jwt"),
            ("audience", "urn:example:cooperation-context"),
        ])
    );
    let body = r#"{"access_token":"eyJhbGciOiJFUzI1NiIsImtpZCI6IjcyIn0.fake.fake",
        "issued_token_type":"urn:ietf:params:oauth:token-type:jwt","token_type":"N_A","expires_in":3600}"#;
    let exchanged = call.read(json(body)).unwrap();
    assert_eq!(exchanged.issued_token_type(), token_type::JWT);
    assert_eq!(exchanged.token_type(), &TokenType::NotApplicable);
    assert_eq!(exchanged.token_type().to_string(), "N_A");
    assert!(exchanged.access_tokens().is_none());
}

#[test]
fn rfc8693_appendix_a_2_delegation() {
    let client = client();
    let (subject, actor) = (Secret::new("fake.subject.jwt"), Secret::new("fake.actor.jwt"));
    let call = client
        .token_exchange(&subject, token_type::JWT)
        .audience("urn:example:cooperation-context")
        .actor_token(&actor, token_type::JWT)
        .start(SystemTime::UNIX_EPOCH)
        .unwrap();
    assert_eq!(
        call.request().form(),
        form(&[
            ("grant_type", GRANT_TYPE),
            ("subject_token", "fake.subject.jwt"),
            ("subject_token_type", "urn:ietf:params:oauth:token-type:jwt"),
            ("actor_token", "fake.actor.jwt"),
            ("actor_token_type", "urn:ietf:params:oauth:token-type:jwt"),
            ("audience", "urn:example:cooperation-context"),
        ])
    );
}

#[test]
fn rfc8693_section_2_1_a_request_is_whole() {
    let client = client();
    let (token, none, file) = (Secret::new("fake"), Secret::new(""), Secret::new("fake\n"));
    let access = token_type::ACCESS_TOKEN;
    for (error, says) in [
        (client.token_exchange(&none, access).start(SystemTime::UNIX_EPOCH), "the subject token is empty"),
        (
            client.token_exchange(&file, access).start(SystemTime::UNIX_EPOCH),
            "the subject token is empty or holds control",
        ),
        (client.token_exchange(&token, "").start(SystemTime::UNIX_EPOCH), "type of the subject token"),
        (
            client.token_exchange(&token, access).actor_token(&token, "").start(SystemTime::UNIX_EPOCH),
            "type of the actor token",
        ),
        (
            client.token_exchange(&token, access).actor_token(&none, access).start(SystemTime::UNIX_EPOCH),
            "the actor token",
        ),
        (
            client.token_exchange(&token, access).requested_token_type("").start(SystemTime::UNIX_EPOCH),
            "requested token type",
        ),
        (
            client.token_exchange(&token, access).audience("a").audience("").start(SystemTime::UNIX_EPOCH),
            "the audience",
        ),
        (
            client.token_exchange(&token, access).resource("/api").start(SystemTime::UNIX_EPOCH),
            "the resource",
        ),
        (
            client
                .token_exchange(&token, access)
                .resource("https://a.example/#")
                .start(SystemTime::UNIX_EPOCH),
            "the resource",
        ),
        (client.token_exchange(&token, access).scopes(["a b"]).start(SystemTime::UNIX_EPOCH), "the scope"),
        (
            client
                .token_exchange(&token, access)
                .requested_token_type(token_type::ID_JAG)
                .start(SystemTime::UNIX_EPOCH),
            "Client::identity_assertion",
        ),
        (
            client_of(server().grant_types_supported(["refresh_token"]))
                .token_exchange(&token, access)
                .start(SystemTime::UNIX_EPOCH),
            "not urn:ietf:params:oauth:grant-type:token-exchange",
        ),
    ] {
        let error = error.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Misuse);
        assert!(error.to_string().contains(says), "{says}: {error}");
    }
}

#[test]
fn rfc8693_section_2_2_1_the_issued_type_is_there_once() {
    let client = client();
    assert!(read_with(&client, "fake", "fake").is_ok());
    for (from, to) in [
        (r#""issued_token_type":"urn:x""#, r#""x":1"#),
        (r#""issued_token_type":"urn:x""#, r#""issued_token_type":null"#),
        (r#""issued_token_type":"urn:x""#, r#""issued_token_type":"""#),
        (r#""issued_token_type":"urn:x""#, r#""issued_token_type":7"#),
        (r#""issued_token_type":"urn:x""#, r#""issued_token_type":"urn:x","issued_token_type":"urn:x""#),
        (r#""token_type":"Bearer""#, r#""token_type":"mac""#),
        (r#""token_type":"Bearer""#, r#""x":1"#),
        (r#""access_token":"fake""#, r#""access_token":"""#),
        (r#""access_token":"fake""#, r#""access_token":"fa\nke""#),
        (r#""access_token":"fake""#, r#""access_token":"fake","refresh_token":7"#),
        (r#""access_token":"fake""#, r#""access_token":"fake","expires_in":"soon""#),
        (r#""access_token":"fake""#, r#""access_token":"fake","scope":["a"]"#),
        ("}", ""),
    ] {
        let error = read_with(&client, from, to).unwrap_err();
        assert_eq!((error.kind(), error.status()), (ErrorKind::Invalid, Some(200)), "{to}: {error}");
    }
}

#[test]
fn the_servers_deviations_are_tolerated_here_too() {
    for (leniency, from, to) in [
        (Leniency::MissingTokenType, r#""token_type":"Bearer","#, ""),
        (Leniency::AnyTokenType, "Bearer", "mac"),
        (Leniency::ScopeArray, r#""token_type""#, r#""scope":["a"],"token_type""#),
        (Leniency::NegativeMeansNeverExpires, r#""token_type""#, r#""expires_in":-1,"token_type""#),
    ] {
        assert!(read_with(&client(), from, to).is_err(), "{leniency:?}");
        assert!(read_with(&client_of(server().tolerate(leniency)), from, to).is_ok(), "{leniency:?}");
    }
    // With any type, N_A still means that it is no access token.
    let client = client_of(server().tolerate(Leniency::AnyTokenType));
    let exchanged = read_with(&client, "Bearer", "n_a").unwrap();
    assert_eq!(exchanged.token_type(), &TokenType::NotApplicable);
}

#[test]
fn a_session_takes_an_access_token_and_no_other() {
    let with_types = |token_type: &str, issued: &str| {
        let types = format!(r#""token_type":"{token_type}","issued_token_type":"{issued}""#);
        read_with(&client(), r#""token_type":"Bearer","issued_token_type":"urn:x""#, &types).unwrap()
    };
    for (name, issued, is_access_token) in [
        ("Bearer", token_type::ACCESS_TOKEN, true),
        ("Bearer", token_type::JWT, true),
        ("DPoP", token_type::ACCESS_TOKEN, true),
        ("Bearer", "urn:example:ours", true),
        ("N_A", token_type::ACCESS_TOKEN, false),
        ("N_A", token_type::JWT, false),
        ("Bearer", token_type::ID_TOKEN, false),
        ("Bearer", token_type::REFRESH_TOKEN, false),
        ("Bearer", token_type::SAML1, false),
        ("Bearer", token_type::SAML2, false),
        ("Bearer", token_type::ID_JAG, false),
    ] {
        let exchanged = with_types(name, issued);
        assert_eq!(exchanged.access_tokens().is_some(), is_access_token, "{name} {issued}");
    }
    let exchanged = with_types("Bearer", token_type::ACCESS_TOKEN);
    let tokens = exchanged.access_tokens().unwrap().clone();
    let session = Session::new(tokens, RefreshPolicy::default(), now());
    assert!(session.refresh_token().is_none());
}

#[test]
fn the_rest_of_an_answer_is_shown() {
    let more = r#""token_type":"Bearer","scope":"a","refresh_token":"fake-refresh","tenant":7"#;
    let exchanged = read_with(&client(), r#""token_type":"Bearer""#, more).unwrap();
    assert_eq!(exchanged.scope().unwrap().collect::<Vec<_>>(), ["a"]);
    assert_eq!(exchanged.granted_scopes().collect::<Vec<_>>(), ["a"]);
    assert_eq!(exchanged.refresh_token().map(Secret::expose), Some("fake-refresh"));
    assert_eq!(exchanged.extra("tenant").unwrap(), 7);
    assert_eq!(exchanged.extras().map(|(name, _)| name).collect::<Vec<_>>(), ["tenant"]);

    let client = client();
    let call = client
        .token_exchange(&Secret::new("fake"), token_type::JWT)
        .scopes(["b"])
        .start(SystemTime::UNIX_EPOCH)
        .unwrap();
    let silent = call.read(json(r#"{"access_token":"x","token_type":"Bearer","issued_token_type":"y"}"#));
    let silent = silent.unwrap();
    assert!(silent.scope().is_none());
    assert_eq!(silent.granted_scopes().collect::<Vec<_>>(), ["b"]);
}

#[test]
fn what_is_printed_holds_no_token_and_no_type_that_may_repeat_one() {
    let printed = |issued| format!("{:?}", read_with(&client(), "urn:x", issued).unwrap());
    let known = printed(token_type::SAML2);
    assert!(known.contains(token_type::SAML2) && known.contains("Bearer"), "{known}");
    let other = printed("planted");
    assert!(other.contains("issued_token_type: \"another\"") && !other.contains("planted"), "{other}");

    let (client, subject) = (client(), Secret::new("planted"));
    let request = client.token_exchange(&subject, token_type::JWT).audience("api").scopes(["read"]);
    let request = format!("{request:?}");
    assert!(request.contains("\"api\"") && request.contains("\"read\""), "{request}");
    assert!(!request.contains("planted"), "{request}");
}

#[test]
fn rfc8693_section_2_2_2_the_error() {
    let client = client();
    let call =
        client.token_exchange(&Secret::new("fake"), token_type::JWT).start(SystemTime::UNIX_EPOCH).unwrap();
    let body = br#"{"error":"invalid_target"}"#;
    let error = call.read(Response::new(400, [("content-type", "application/json")], body)).unwrap_err();
    assert_eq!((error.code(), error.advice()), (Some("invalid_target"), Advice::FixConfiguration));
    let body = br#"{"error":"invalid_grant"}"#;
    let error = call.read(Response::new(400, [("content-type", "application/json")], body)).unwrap_err();
    assert_eq!(error.advice(), Advice::Reauthorize);
}
