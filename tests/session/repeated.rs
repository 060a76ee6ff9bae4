//! The parts of the authorization request that a refresh repeats, and the members of its answer other than
//! the tokens.

use oauth2_proto::{AuthorizationServer, Client, Session};

use crate::responses::json;
use crate::steps::*;
use crate::store::Store;
use crate::support::{REDIRECT_URI, client_of, entropy, later, now, server};

/// The body of the refresh of a session whose user signed in with a scope and a resource.
#[track_caller]
fn refresh_body(server: AuthorizationServer) -> String {
    let client: Client = client_of(server);
    let request = client.authorize(REDIRECT_URI).scopes(["a", "b"]).resource("https://api.example/");
    let (_, mut pending) = request.start_with(entropy(), now()).unwrap();
    let callback = format!("code=fake-code&state={}", pending.state());
    let call = pending.receive(&client, callback.as_str(), now()).unwrap();
    let tokens = call.read(json(&body(0))).unwrap();
    let mut store = Store::default();
    let mut session = Session::new(tokens, policy(), now());
    save(&mut session, &mut store, now());
    // Another process does it, from what is stored.
    let mut session = Session::restore(&client, store.load(), policy(), later(DUE)).unwrap();
    save(&mut session, &mut store, later(DUE));
    let call = session.send(&client, later(DUE)).unwrap().unwrap();
    call.request().body().to_owned()
}

#[test]
fn a_refresh_repeats_scope_and_resource_where_the_server_wants_them() {
    let plain = "grant_type=refresh_token&refresh_token=fake-refresh-0";
    let (scope, resource) = ("&scope=a+b", "&resource=https%3A%2F%2Fapi.example%2F");
    assert_eq!(refresh_body(server()), plain);
    assert_eq!(refresh_body(server().refresh_repeats_scope()), format!("{plain}{scope}"));
    assert_eq!(refresh_body(server().refresh_repeats_resources()), format!("{plain}{resource}"));
    let both = server().refresh_repeats_scope().refresh_repeats_resources();
    assert_eq!(refresh_body(both), format!("{plain}{scope}{resource}"));
}

#[test]
fn received_hands_back_what_came_beside_the_tokens_and_not_the_tokens() {
    let mut store = Store::default();
    let mut session = claimed(&mut store);
    let call = send(&mut session, later(DUE));
    let text = body(1).replace('}', r#","id_token":"fake-id","instance_url":"https://x.example"}"#);
    let extras = answer(&mut session, call, 200, &text, later(DUE)).unwrap();
    let names: Vec<_> = extras.iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["instance_url"]);
    assert_eq!(extras.get("instance_url").and_then(|it| it.as_str()), Some("https://x.example"));
    assert!(extras.get("id_token").is_none() && extras.id_token().is_some(), "it is to be checked first");
    assert!(!format!("{extras:?}").contains("fake-id"));
}
