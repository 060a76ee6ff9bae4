//! The identity assertion grant: two steps at two servers.

use std::time::{Duration, SystemTime};

use oauth2_proto::error::ErrorKind;
use oauth2_proto::grants::{IdentityAssertion, token_type};
use oauth2_proto::{AuthorizationServer, Client, ClientAuth, Error, RefreshPolicy, Secret, Session, Step};

use crate::responses::json;
use crate::support::now;

const AUDIENCE: &str = "https://acme.chat.example/";

#[track_caller]
fn client_at(token_endpoint: &str) -> Client {
    with_issuer(token_endpoint, None)
}

#[track_caller]
fn with_issuer(token_endpoint: &str, issuer: Option<&str>) -> Client {
    let server = AuthorizationServer::without_authorization_endpoint(token_endpoint).unwrap();
    let server = match issuer {
        Some(issuer) => server.issuer(issuer).unwrap(),
        None => server,
    };
    Client::new(server, "fake-client", ClientAuth::basic("fake-secret")).unwrap()
}

/// The assertion that the draft's example issues.
#[track_caller]
fn issued(body: &str) -> Result<IdentityAssertion, Error> {
    let provider = client_at("https://acme.idp.example/oauth2/token");
    let id_token = Secret::new("eyJraWQiOiJzMTZ0cVNtODhwREo4VGZCXzdrSEtQ.fake.fake");
    let call = provider
        .identity_assertion(&id_token, AUDIENCE)
        .resource("https://api.chat.example/")
        .scopes(["chat.read", "chat.history"])
        .start(SystemTime::UNIX_EPOCH)
        .unwrap();
    assert_eq!(call.request().url(), "https://acme.idp.example/oauth2/token");
    let mut form = call.request().form();
    form.sort();
    let expected = [
        ("audience", AUDIENCE),
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("requested_token_type", "urn:ietf:params:oauth:token-type:id-jag"),
        ("resource", "https://api.chat.example/"),
        ("scope", "chat.read chat.history"),
        ("subject_token", "eyJraWQiOiJzMTZ0cVNtODhwREo4VGZCXzdrSEtQ.fake.fake"),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:id_token"),
    ];
    assert_eq!(form, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    call.read(json(body))
}

const ISSUED: &str = r#"{"issued_token_type":"urn:ietf:params:oauth:token-type:id-jag",
    "access_token":"eyJhbGciOiJIUzI1NiIsI.fake.fake","token_type":"N_A","scope":"chat.read","expires_in":300}"#;

#[test]
fn id_jag_section_4_the_example_in_two_steps() {
    let assertion = issued(ISSUED).unwrap();
    assert_eq!(assertion.audience(), AUDIENCE);
    assert_eq!(assertion.assertion().expose(), "eyJhbGciOiJIUzI1NiIsI.fake.fake");
    assert_eq!(assertion.expires_in(), Some(Duration::from_secs(300)));
    assert_eq!(assertion.scopes().collect::<Vec<_>>(), ["chat.read"]);
    let printed = format!("{assertion:?}");
    assert!(printed.contains(AUDIENCE) && !printed.contains("fake"), "{printed}");

    let client = with_issuer("https://acme.chat.example/oauth2/token", Some(AUDIENCE));
    let call = client.redeem(&assertion, SystemTime::UNIX_EPOCH).unwrap();
    assert_eq!(call.request().url(), "https://acme.chat.example/oauth2/token");
    assert_eq!(
        call.request().body(),
        "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer\
         &assertion=eyJhbGciOiJIUzI1NiIsI.fake.fake"
    );
    let body = r#"{"token_type":"Bearer","access_token":"2YotnFZFEjr1zCsicMWpAA","expires_in":86400,
        "scope":"chat.read chat.history"}"#;
    let tokens = call.read(json(body)).unwrap();
    assert_eq!(tokens.access_token().expose(), "2YotnFZFEjr1zCsicMWpAA");
    assert_eq!(tokens.extra_scopes().collect::<Vec<_>>(), ["chat.history"]);
    let mut session = Session::new(tokens, RefreshPolicy::default(), now());
    assert!(matches!(session.poll(now()), Step::Save(_)));
}

#[test]
fn id_jag_section_4_3_silence_about_scopes_means_those_requested() {
    let assertion = issued(&ISSUED.replace(r#""scope":"chat.read","#, "")).unwrap();
    assert_eq!(assertion.scopes().collect::<Vec<_>>(), ["chat.read", "chat.history"]);
}

/// The assertion is the audience's alone: any other server would get a grant that it could use.
#[test]
fn an_assertion_is_redeemed_at_the_server_it_is_for() {
    let assertion = issued(ISSUED).unwrap();
    for (issuer, taken) in [
        (Some(AUDIENCE), true),
        (None, false),
        (Some("https://acme.chat.example"), false),
        (Some("https://acme.idp.example/"), false),
        (Some("https://evil.example"), false),
    ] {
        let client = with_issuer("https://acme.chat.example/oauth2/token", issuer);
        match client.redeem(&assertion, SystemTime::UNIX_EPOCH) {
            Ok(_) => assert!(taken, "{issuer:?}"),
            Err(error) => {
                assert!(!taken, "{issuer:?}: {error}");
                assert_eq!(error.kind(), ErrorKind::Misuse);
                let message = error.to_string();
                assert!(
                    message.contains(AUDIENCE) && message.contains(issuer.unwrap_or("::issuer")),
                    "{message}"
                );
            }
        }
    }
}

#[test]
fn id_jag_section_4_3_the_answer_is_the_assertion_that_was_asked_for() {
    for (from, to) in [
        ("token-type:id-jag", "token-type:access_token"),
        ("token-type:id-jag", "token-type:jwt"),
        ("N_A", "Bearer"),
        ("N_A", "DPoP"),
        (r#""token_type":"N_A","#, ""),
        (r#""access_token":"eyJhbGciOiJIUzI1NiIsI.fake.fake","#, ""),
    ] {
        let error = issued(&ISSUED.replace(from, to)).unwrap_err();
        assert_eq!((error.kind(), error.status()), (ErrorKind::Invalid, Some(200)), "{to}: {error}");
    }
    let refused = issued(r#"{"error":"invalid_grant"}"#).unwrap_err();
    assert_eq!(refused.code(), Some("invalid_grant"));
}

#[test]
fn another_subject_is_named_by_its_type() {
    let provider = client_at("https://idp.example/token");
    let subject = Secret::new("fake-subject");
    let type_of = |subject_token_type: Option<&str>| {
        let request = provider.identity_assertion(&subject, AUDIENCE);
        let request = match subject_token_type {
            Some(subject_token_type) => request.subject_token_type(subject_token_type),
            None => request,
        };
        let call = request.start(SystemTime::UNIX_EPOCH).unwrap();
        call.request().form().into_iter().find(|(name, _)| name == "subject_token_type").unwrap().1
    };
    assert_eq!(type_of(None), token_type::ID_TOKEN);
    assert_eq!(type_of(Some(token_type::SAML2)), token_type::SAML2);
}

#[test]
fn misuse_makes_no_request() {
    let provider = client_at("https://idp.example/token");
    let (subject, none) = (Secret::new("fake"), Secret::new(""));
    for error in [
        provider.identity_assertion(&none, AUDIENCE).start(SystemTime::UNIX_EPOCH).unwrap_err(),
        provider.identity_assertion(&subject, "").start(SystemTime::UNIX_EPOCH).unwrap_err(),
        provider
            .identity_assertion(&subject, AUDIENCE)
            .subject_token_type("")
            .start(SystemTime::UNIX_EPOCH)
            .unwrap_err(),
        provider
            .identity_assertion(&subject, AUDIENCE)
            .resource("api")
            .start(SystemTime::UNIX_EPOCH)
            .unwrap_err(),
        provider
            .identity_assertion(&subject, AUDIENCE)
            .scopes(["a b"])
            .start(SystemTime::UNIX_EPOCH)
            .unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Misuse, "{error}");
    }
}
