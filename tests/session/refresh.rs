//! One holder and its refreshes: when one is due, how it is sent, and which token may be used meanwhile.

use std::time::SystemTime;

use oauth2_proto::{AuthorizationServer, Client, ClientAuth, Secret, Session, Step, error::ErrorKind};

use crate::steps::*;
use crate::store::Store;
use crate::support::{client, client_of, later, now, server};

#[test]
fn a_refresh_from_sign_in_to_use() {
    let mut store = Store::default();
    let mut session = Session::new(tokens(&body(0)), policy(), now());
    assert_eq!((session.revision(), step(&mut session, now())), (0, "save over 0".to_owned()));
    save(&mut session, &mut store, now());
    assert_eq!((session.revision(), step(&mut session, later(1))), (1, "idle 1800".to_owned()));
    assert_eq!(session.expires_at(), Some(later(EXPIRY)));
    assert_eq!(step(&mut session, later(DUE - 1)), "idle 1800");
    assert_eq!(step(&mut session, later(DUE)), "save over 1");
    save(&mut session, &mut store, later(DUE));
    assert_eq!(step(&mut session, later(DUE + 1)), "send by 1860");
    let call = send(&mut session, later(DUE + 1));
    assert_eq!(call.request().body(), "grant_type=refresh_token&refresh_token=fake-refresh-0");
    assert_eq!(step(&mut session, later(DUE + 2)), "wait 1860");
    answer(&mut session, call, 200, &body(1), later(DUE + 3)).unwrap();
    assert_eq!(step(&mut session, later(DUE + 3)), "save over 2");
    save(&mut session, &mut store, later(DUE + 4));
    // The lifetime counts from when the request was sent.
    assert_eq!((session.revision(), step(&mut session, later(DUE + 4))), (3, "idle 3601".to_owned()));
    assert_eq!(usable(&session, later(DUE + 4)), Some("fake-access-1"));
    assert_eq!(store.value()["refresh_token"], "fake-refresh-1");
}

#[test]
fn polling_twice_changes_nothing() {
    let mut store = Store::default();
    let mut session = Session::new(tokens(&body(0)), policy(), now());
    let twice = |session: &mut Session, time: SystemTime| {
        let [one, other] = [session.poll(time), session.poll(time)];
        assert_eq!(format!("{one:?}"), format!("{other:?}"));
        if let (Step::Save(one), Step::Save(other)) = (&one, &other) {
            let [one, other] = [one, other].map(|save| serde_json::to_string(save.snapshot()).unwrap());
            assert_eq!(one, other);
        }
        let (before, token) = (format!("{session:?}"), usable(session, time).map(str::to_owned));
        let _ = session.poll(time);
        assert_eq!((format!("{session:?}"), usable(session, time)), (before, token.as_deref()));
    };
    twice(&mut session, now());
    save(&mut session, &mut store, now());
    twice(&mut session, later(5));
    twice(&mut session, later(DUE));
    save(&mut session, &mut store, later(DUE));
    twice(&mut session, later(DUE));
    let call = send(&mut session, later(DUE));
    twice(&mut session, later(DUE + 1));
    answer(&mut session, call, 503, "", later(DUE + 1)).unwrap_err();
    twice(&mut session, later(DUE + 1));
    save(&mut session, &mut store, later(DUE + 1));
    twice(&mut session, later(DUE + 1));
    save(&mut session, &mut store, later(DUE + 3));
    twice(&mut session, later(DUE + 3 + CLAIM));
    twice(&mut session, later(EXPIRY));
}

#[test]
fn send_gives_a_call_once_for_each_claim_and_not_in_its_second_half() {
    let mut store = Store::default();
    let mut session = signed_in(&mut store);
    assert!(session.send(&client(), later(DUE)).unwrap().is_none(), "nothing is claimed");
    let claim = due_save(&mut session, later(DUE));
    assert!(session.send(&client(), later(DUE)).unwrap().is_none(), "the claim is not saved");
    assert!(store.compare_and_swap(&claim));
    session.saved(claim);
    let mut restored = store.holder(later(DUE));
    assert!(restored.send(&client(), later(DUE)).unwrap().is_none(), "it may have sent before it died");
    assert!(session.send(&client(), later(CLAIM_MIDDLE - 1)).unwrap().is_some());
    assert!(session.send(&client(), later(CLAIM_MIDDLE - 1)).unwrap().is_none(), "it was sent");
    assert_eq!(step(&mut session, later(CLAIM_END - 1)), "wait 1860");
    assert_eq!(step(&mut session, later(CLAIM_END)), "wait 1865");
    assert_eq!(step(&mut session, later(CLAIM_OVER)), "save over 2");

    let mut session = claimed(&mut Store::default());
    assert!(session.send(&client(), later(CLAIM_MIDDLE)).unwrap().is_none());
    assert_eq!(step(&mut session, later(CLAIM_MIDDLE)), "wait 1865");
}

#[test]
fn tokens_cannot_be_used_before_they_are_saved() {
    let mut store = Store::default();
    let mut session = Session::new(tokens(&body(0)), policy(), now());
    assert_eq!(usable(&session, now()), None);
    let unsaved = due_save(&mut session, now());
    assert!(store.compare_and_swap(&unsaved));
    // The tokens are in the store, and the session does not know that yet.
    assert_eq!(usable(&session, now()), None);
    session.saved(unsaved);
    assert_eq!(usable(&session, now()), Some("fake-access-0"));

    let call = claim_and_send(&mut session, &mut store, later(DUE));
    answer(&mut session, call, 200, &body(1), later(DUE)).unwrap();
    assert_eq!(usable(&session, later(DUE)), None);
    save(&mut session, &mut store, later(DUE));
    assert_eq!(usable(&session, later(DUE)), Some("fake-access-1"));
}

#[test]
fn the_old_token_stays_usable_during_a_refresh_and_not_after_the_answer() {
    let mut store = Store::default();
    let mut session = claimed(&mut store);
    let other = store.holder(later(DUE));
    assert_eq!(usable(&session, later(DUE)), Some("fake-access-0"));
    let call = send(&mut session, later(DUE));
    assert_eq!(usable(&session, later(DUE + 1)), Some("fake-access-0"));
    // Other holders cannot know that the token was replaced, and learn it from a 401.
    assert_eq!(usable(&other, later(DUE + 1)), Some("fake-access-0"));
    answer(&mut session, call, 200, &body(1), later(DUE + 1)).unwrap();
    assert_eq!(usable(&session, later(DUE + 1)), None);

    // A failure replaces nothing, so the old token lives until it expires.
    let mut store = Store::default();
    let mut session = claimed(&mut store);
    let call = send(&mut session, later(DUE));
    session.no_response(call, later(DUE + 1));
    assert_eq!(usable(&session, later(EXPIRY - 1)), Some("fake-access-0"));
    assert_eq!(usable(&session, later(EXPIRY)), None);
}

#[test]
fn a_rejected_token_is_replaced_before_its_time() {
    let mut store = Store::default();
    let mut session = signed_in(&mut store);
    session.access_token_rejected(&Secret::new("fake-access-9"));
    assert_eq!(step(&mut session, later(5)), "idle 1800", "it is not the current one");
    session.access_token_rejected(&Secret::new("fake-access-0"));
    assert_eq!(usable(&session, later(5)), None);
    refresh(&mut session, &mut store, 1, later(5));
    session.access_token_rejected(&Secret::new("fake-access-0"));
    assert_eq!(usable(&session, later(6)), Some("fake-access-1"), "the rejection names the old token");
    assert_eq!(step(&mut session, later(6)), "idle 1805");
}

#[test]
fn without_expires_in_the_token_is_used_until_the_api_rejects_it() {
    let endless =
        r#"{"access_token":"fake-access-0","token_type":"Bearer","refresh_token":"fake-refresh-0"}"#;
    let mut store = Store::default();
    let mut session = signed_in_with(&mut store, endless, policy());
    let years = later(400_000_000);
    assert_eq!((session.expires_at(), step(&mut session, years)), (None, "idle".to_owned()));
    assert_eq!(usable(&session, years), Some("fake-access-0"));
    session.access_token_rejected(&Secret::new("fake-access-0"));
    assert_eq!(usable(&session, years), None);
    refresh(&mut session, &mut store, 1, years);
    assert_eq!(usable(&session, years), Some("fake-access-1"));
}

#[test]
fn without_a_refresh_token_the_access_token_is_used_up() {
    let mut store = Store::default();
    let only = r#"{"access_token":"fake-access-0","token_type":"Bearer","expires_in":3600}"#;
    let mut session = signed_in_with(&mut store, only, policy());
    assert_eq!(step(&mut session, later(DUE)), "idle 3600");
    assert_eq!(usable(&session, later(EXPIRY - 1)), Some("fake-access-0"));
    assert_eq!(step(&mut session, later(EXPIRY)), "reauthorize NoRefreshToken");
    session.resume(later(EXPIRY));
    assert_eq!(step(&mut session, later(EXPIRY)), "reauthorize NoRefreshToken");

    // The API may reject the token earlier; without a lifetime, only the API ends it.
    for body in [only, r#"{"access_token":"fake-access-0","token_type":"Bearer"}"#] {
        let mut session = signed_in_with(&mut Store::default(), body, policy());
        session.access_token_rejected(&Secret::new("fake-access-0"));
        assert_eq!(step(&mut session, later(5)), "reauthorize NoRefreshToken");
        assert_eq!(usable(&session, later(5)), None);
    }
}

#[test]
fn a_client_of_another_token_endpoint_or_client_id_is_misuse_and_changes_nothing() {
    let endpoint = |url| AuthorizationServer::new("https://as.example/authorize", url).unwrap();
    let mut session = claimed(&mut Store::default());
    let before = format!("{session:?}");
    for other in [
        client_of(endpoint("https://evil.example/token")),
        Client::new(server(), "fake-other-client", ClientAuth::basic("fake-secret")).unwrap(),
    ] {
        let error = session.send(&other, later(DUE)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Misuse);
        assert_eq!(format!("{session:?}"), before);
    }
    // The secret and the server's metadata may change.
    let renewed = server().issuer("https://as.example").unwrap();
    let renewed = Client::new(renewed, "fake-client", ClientAuth::post("fake-new-secret")).unwrap();
    assert!(session.send(&renewed, later(DUE)).unwrap().is_some());
}

#[test]
fn a_server_without_the_refresh_grant_is_an_error_before_any_request() {
    let mut session = claimed(&mut Store::default());
    let server = server().grant_types_supported(["authorization_code"]);
    assert!(session.send(&client_of(server), later(DUE)).is_err());
    // The claim was not sent, so a client with other metadata can still send it.
    assert!(session.send(&client(), later(DUE)).unwrap().is_some());
}
