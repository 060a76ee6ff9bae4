//! The configurations that a client refuses, and its messages.

use oauth2_proto::{Advice, AuthorizationServer, Client, ClientAuth, Error, error::ErrorKind};

use crate::support::{REDIRECT_URI, client, entropy, now, server, start};

/// The first two lines of a log that someone else would like to write.
const FORGED: &str = "x\n2030-01-01 admin ok\r\u{202e}\u{1b}[2J";

#[test]
fn rfc6749_appendix_a_1_and_a_2_control_characters_are_told_where_they_come_from() {
    for character in ["\n", "\r\n", "\t", "\0", "\u{7f}", "\u{85}"] {
        let id = format!("fake-client{character}");
        let secret = format!("fake-secret{character}");
        for (id, auth, what) in [
            (id.as_str(), ClientAuth::none(), "client_id"),
            (id.as_str(), ClientAuth::basic("fake"), "client_id"),
            ("fake-client", ClientAuth::basic(secret.as_str()), "client secret"),
            ("fake-client", ClientAuth::basic_unencoded(secret.as_str()), "client secret"),
            ("fake-client", ClientAuth::post(secret.as_str()), "client secret"),
        ] {
            let error = Client::new(server(), id, auth).unwrap_err();
            assert_eq!((error.kind(), error.advice()), (ErrorKind::Misuse, Advice::FixConfiguration));
            let message = error.to_string();
            assert!(message.contains(what) && message.contains("line break"), "{message}");
            assert!(!message.contains("fake"), "{message}");
        }
    }
    for text in ["", " ", "a b", "größe", "+%&"] {
        assert!(Client::new(server(), "fake-client", ClientAuth::basic(text)).is_ok(), "{text:?}");
    }
}

#[test]
fn foreign_text_in_a_message_is_escaped_and_cut() {
    let long = format!("{FORGED}{}", "é".repeat(10_000));
    let many = || (0..10_000).map(|index| format!("{FORGED}{index}"));
    let client = client();
    let started = |request: oauth2_proto::authorization::AuthorizationRequest<'_>| {
        request.start_with(entropy(), now()).unwrap_err()
    };
    let server = || server().token_endpoint_auth_methods_supported([long.as_str()]);
    let errors: Vec<Error> = vec![
        Client::new(server(), "fake-client", ClientAuth::none()).unwrap_err(),
        Client::new(
            server().token_endpoint_auth_methods_supported(many()),
            "fake-client",
            ClientAuth::none(),
        )
        .unwrap_err(),
        started(
            Client::new(
                crate::support::server().grant_types_supported(many()),
                "fake-client",
                ClientAuth::none(),
            )
            .unwrap()
            .authorize(REDIRECT_URI),
        ),
        started(client.authorize(&long)),
        started(client.authorize(REDIRECT_URI).scopes([&long])),
        started(client.authorize(REDIRECT_URI).resource(&long)),
        started(client.authorize(REDIRECT_URI).parameter(&long, "a").parameter(&long, "b")),
        AuthorizationServer::new(&long, "https://as.example/token").unwrap_err(),
        AuthorizationServer::new("https://as.example/authorize", &long).unwrap_err(),
        crate::support::server().issuer(&long).unwrap_err(),
        oauth2_proto::pleo::at(&long).unwrap_err(),
        AuthorizationServer::new("https://as.example/a?client%5Fid=x&%0a=1", "https://as.example/token")
            .unwrap_err(),
    ];
    for error in errors {
        let message = error.to_string();
        assert_eq!(error.kind(), ErrorKind::Misuse, "{message}");
        assert!(!message.contains(['\n', '\r', '\u{202e}', '\u{1b}']), "{message}");
        assert!(message.len() < 5000, "{} bytes: {message}", message.len());
    }
}

/// A server may want a key in the query of an endpoint.
#[test]
fn debug_shows_no_query() {
    let server = AuthorizationServer::new(
        "https://as.example/authorize?key=planted",
        "https://as.example/token?key=planted",
    )
    .unwrap();
    let client = Client::new(server.clone(), "fake-client", ClientAuth::none()).unwrap();
    let redirect_uri = "https://app.example/cb?key=planted";
    let (_, pending) = client.authorize(redirect_uri).start_with(entropy(), now()).unwrap();
    let call = crate::support::token_call(&client);
    for shown in [
        format!("{call:?} {:?}", call.request()),
        format!("{server:?} {server:#?}"),
        format!("{client:?} {client:#?}"),
        format!("{:?}", client.authorize(redirect_uri)),
        format!("{pending:?}"),
    ] {
        assert!(!shown.contains("planted") && shown.contains(".example"), "{shown}");
    }
}

#[test]
fn an_endpoint_with_and_without_the_slash_of_its_root_is_one_address() {
    let client_of = |address: &str| {
        let server = AuthorizationServer::new(address, address).unwrap();
        Client::new(server, "fake-client", ClientAuth::none()).unwrap()
    };
    for (one, other) in [
        ("https://as.example", "https://as.example/"),
        ("https://as.example:443", "https://AS.example/"),
        ("https://as.example?a=b", "https://as.example/?a=b"),
    ] {
        let (_, mut pending) = start(&client_of(one));
        let callback = format!("code=x&state={}", pending.state());
        assert!(pending.receive(&client_of(other), callback.as_str(), now()).is_ok(), "{one}");
    }
}
