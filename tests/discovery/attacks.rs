//! A resource that moves from one authorization server to another, and servers that speak for others.

use oauth2_proto::discovery::{ResourceDiscovery, ServerDiscovery};
use oauth2_proto::error::ErrorKind;
use oauth2_proto::{Advice, AuthorizationServer, Client, ClientAuth, RefreshPolicy, Response, Session, Step};
use serde_json::{Value, json};

use crate::support::{later, now, start, token_call};
use crate::{document, read, read_resource};

const MCP: &str = "https://api.example/mcp";
const HONEST: &str = "https://honest.example";
const EVIL: &str = "https://evil.example";

/// The server that a resource names today, as its own document describes it.
#[track_caller]
fn server_of(resource_document: &Value, server_document: &Value) -> AuthorizationServer {
    let resource = read_resource(&ResourceDiscovery::new(MCP).unwrap(), resource_document).unwrap();
    let issuer = resource.authorization_servers().next().unwrap();
    read(&ServerDiscovery::new(issuer).unwrap(), server_document).unwrap()
}

fn resource_at(issuer: &str) -> Value {
    json!({ "resource": MCP, "authorization_servers": [issuer] })
}

/// A client whose id both servers gave, as it happens with registrations and with the URLs of client
/// documents.
#[track_caller]
fn client(server: AuthorizationServer, secret: &str) -> Client {
    Client::new(server, "https://app.example/client.json", ClientAuth::basic(secret)).unwrap()
}

/// A session of a client whose refresh is due.
#[track_caller]
fn due_session(client: &Client) -> Session {
    let body =
        br#"{"access_token":"fake-1","token_type":"Bearer","expires_in":3600,"refresh_token":"fake-2"}"#;
    let tokens = token_call(client).read(Response::new(200, [("a", "b")], body)).unwrap();
    let mut session = Session::new(tokens, RefreshPolicy::default(), now());
    let Step::Save(save) = session.poll(now()) else { panic!() };
    session.saved(save);
    let Step::Save(claim) = session.poll(later(4000)) else { panic!() };
    session.saved(claim);
    let Step::Send { .. } = session.poll(later(4000)) else { panic!() };
    session
}

#[test]
fn what_one_server_issued_stays_with_it_when_the_resource_moves_to_another() {
    let before = client(server_of(&resource_at(HONEST), &document(HONEST)), "fake-secret-of-honest");
    let (_, mut pending) = start(&before);
    let mut session = due_session(&before);

    let after = client(server_of(&resource_at(EVIL), &document(EVIL)), "fake-secret-of-evil");
    // The code of the sign-in that is under way does not go there, and the sign-in goes on.
    let callback = format!("code=fake-code&state={}", pending.state());
    let error = pending.receive(&after, callback.as_str(), now()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Misuse, "{error}");
    let call = pending.receive(&before, callback.as_str(), now()).unwrap();
    assert_eq!(call.request().url(), "https://honest.example/token");
    // Neither does the refresh token.
    let error = session.send(&after, later(4000)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Misuse, "{error}");
    let call = session.send(&before, later(4000)).unwrap().unwrap();
    assert_eq!(call.request().url(), "https://honest.example/token");
}

#[test]
fn an_evil_server_that_names_the_honest_token_endpoint_gets_nothing() {
    let before = client(server_of(&resource_at(HONEST), &document(HONEST)), "fake-secret-of-honest");
    let (_, mut pending) = start(&before);
    let mut session = due_session(&before);

    let mut mixed = document(EVIL);
    mixed["token_endpoint"] = "https://honest.example/token".into();
    let after = client(server_of(&resource_at(EVIL), &mixed), "fake-secret-of-evil");
    // It is another server: the issuer and the authorization endpoint are evil's.
    let callback = format!("code=fake-code&state={}", pending.state());
    let error = pending.receive(&after, callback.as_str(), now()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Misuse, "{error}");
    // The refresh token goes where it is from, and nowhere else.
    let call = session.send(&after, later(4000)).unwrap().unwrap();
    assert_eq!(call.request().url(), "https://honest.example/token");

    // A sign-in at the evil server, which forwards the user to the honest one: the `iss` of that one is
    // refused.
    let (_, mut forwarded) = start(&after);
    let callback = format!("code=fake-code&state={}&iss=https%3A%2F%2Fhonest.example", forwarded.state());
    let error = forwarded.receive(&after, callback.as_str(), now()).unwrap_err();
    assert_eq!((error.kind(), error.advice()), (ErrorKind::Suspect, Advice::KeepWaiting), "{error}");
}

#[test]
fn an_evil_server_that_names_the_honest_authorization_endpoint_is_found_out_by_iss() {
    let mut mixed = document(EVIL);
    mixed["authorization_endpoint"] = "https://honest.example/authorize".into();
    let client = client(server_of(&resource_at(EVIL), &mixed), "fake-secret-of-evil");
    let (_, mut pending) = start(&client);
    let callback = format!("code=fake-code&state={}&iss=https%3A%2F%2Fhonest.example", pending.state());
    let error = pending.receive(&client, callback.as_str(), now()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Suspect, "{error}");
}

#[test]
fn rfc8414_section_6_2_a_server_cannot_speak_for_another() {
    let discovery = ServerDiscovery::new(EVIL).unwrap();
    assert_eq!(read(&discovery, &document(HONEST)).unwrap_err().kind(), ErrorKind::Suspect);
}

#[test]
fn rfc9728_section_7_3_a_resource_cannot_speak_for_another() {
    let discovery =
        ResourceDiscovery::from_challenge("https://evil.example/mcp", Some("https://evil.example/x"));
    let discovery = discovery.unwrap();
    assert_eq!(read_resource(&discovery, &resource_at(HONEST)).unwrap_err().kind(), ErrorKind::Suspect);
}

#[test]
fn a_refusal_of_a_document_shows_no_secret_of_an_address() {
    let discovery = ResourceDiscovery::new("https://api.example/mcp?key=planted").unwrap();
    let error = read_resource(&discovery, &json!({ "resource": "https://u:planted@evil.example/?planted" }));
    let error = error.unwrap_err();
    for shown in [error.to_string(), format!("{error:?} {discovery:?} {:?}", discovery.call())] {
        assert!(!shown.contains("planted"), "{shown}");
    }
}

/// A program on a developer's machine or a server reaches services there that nobody else can.
#[test]
fn a_document_from_elsewhere_leads_to_no_service_of_this_machine() {
    for home in ["http://127.0.0.1:9200", "http://localhost:3000", "http://[::1]", "https://127.0.0.1:8443"] {
        let challenged = ResourceDiscovery::from_challenge(MCP, Some(home));
        assert_eq!(challenged.unwrap_err().kind(), ErrorKind::Suspect, "{home}");
        let error = read_resource(&ResourceDiscovery::new(MCP).unwrap(), &resource_at(home)).unwrap_err();
        assert_eq!((error.kind(), error.advice()), (ErrorKind::Suspect, Advice::Stop), "{home}");
        let named = json!({ "resource": MCP, "authorization_servers": [HONEST, home] });
        let error = read_resource(&ResourceDiscovery::new(MCP).unwrap(), &named).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Suspect, "{home}");
        for endpoint in [
            "authorization_endpoint",
            "token_endpoint",
            "device_authorization_endpoint",
            "introspection_endpoint",
            "pushed_authorization_request_endpoint",
            "registration_endpoint",
            "revocation_endpoint",
            "jwks_uri",
            "userinfo_endpoint",
            "end_session_endpoint",
        ] {
            let mut hostile = document(EVIL);
            hostile[endpoint] = format!("{home}/admin").into();
            let differs = ServerDiscovery::new(EVIL).unwrap().issuer_differs(EVIL);
            for discovery in [ServerDiscovery::new(EVIL).unwrap(), differs] {
                let error = read(&discovery, &hostile).unwrap_err();
                assert_eq!((error.kind(), error.advice()), (ErrorKind::Suspect, Advice::Stop), "{endpoint}");
                assert!(error.to_string().contains(home), "{error}");
            }
        }
    }
    for alias in [
        "token_endpoint",
        "revocation_endpoint",
        "introspection_endpoint",
        "device_authorization_endpoint",
        "pushed_authorization_request_endpoint",
        "userinfo_endpoint",
    ] {
        let mut hostile = document(EVIL);
        hostile["mtls_endpoint_aliases"] = json!({ alias: "https://127.0.0.1:8443/admin" });
        let error = read(&ServerDiscovery::new(EVIL).unwrap(), &hostile).unwrap_err();
        assert_eq!((error.kind(), error.advice()), (ErrorKind::Suspect, Advice::Stop), "{alias}");
    }
    // A server on this machine may name other servers on it, as tests do.
    let (mcp, issuer) = ("http://127.0.0.1:3000/mcp", "http://localhost:9000");
    let resource = json!({ "resource": mcp, "authorization_servers": [issuer] });
    assert!(read_resource(&ResourceDiscovery::new(mcp).unwrap(), &resource).is_ok());
    assert!(ResourceDiscovery::from_challenge(mcp, Some("http://localhost:9001/meta")).is_ok());
    let mut local = document("https://localhost:9443");
    local["token_endpoint"] = "http://127.0.0.1:9001/token".into();
    assert!(read(&ServerDiscovery::new("https://localhost:9443").unwrap(), &local).is_ok());
}
