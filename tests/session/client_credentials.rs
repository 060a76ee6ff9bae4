//! The client's own tokens: where another session refreshes, this one asks for a new token.

use std::time::{Duration, SystemTime};

use oauth2_proto::error::ErrorKind;
use oauth2_proto::session::{Reason, TroubleKind};
use oauth2_proto::{Advice, Client, ClientAuth, Response, Session, Step, TokenResponse};

use crate::responses::json;
use crate::steps::*;
use crate::store::Store;
use crate::support::{client, client_of, later, now, server};

/// A token response for a client: the token `fake-own-NAME`.
fn own(name: impl std::fmt::Display) -> String {
    format!(r#"{{"access_token":"fake-own-{name}","token_type":"Bearer","expires_in":{EXPIRY}}}"#)
}

/// The first token, asked for without a session.
#[track_caller]
fn own_tokens(client: &Client, body: &str) -> TokenResponse {
    client
        .client_credentials()
        .scopes(["reports:read"])
        .start(SystemTime::UNIX_EPOCH)
        .unwrap()
        .read(json(body))
        .unwrap()
}

/// A session whose first token was asked for without it, and saved.
#[track_caller]
fn with_token(store: &mut Store) -> Session {
    let mut session = Session::new(own_tokens(&client(), &own(0)), policy(), now());
    save(&mut session, store, now());
    session
}

/// A session that begins without a token, saved.
#[track_caller]
fn begun(store: &mut Store) -> Session {
    let client = client();
    let request = client
        .client_credentials()
        .scopes(["reports:read", "reports:write"])
        .resource("https://api.example/")
        .parameter("audience", "https://api.example/v2");
    let mut session = Session::from_client_credentials(request, policy(), now()).unwrap();
    save(&mut session, store, now());
    session
}

const REQUEST: &str = "grant_type=client_credentials&scope=reports%3Aread+reports%3Awrite\
                       &resource=https%3A%2F%2Fapi.example%2F&audience=https%3A%2F%2Fapi.example%2Fv2";

/// A whole request that must be due, with the token of this name in its answer.
#[track_caller]
fn renew(session: &mut Session, store: &mut Store, name: impl std::fmt::Display, now: std::time::SystemTime) {
    let call = claim_and_send(session, store, now);
    answer(session, call, 200, &own(name), now).unwrap();
    save(session, store, now);
}

#[test]
fn the_first_token_is_asked_for_at_once_and_each_next_one_when_it_is_due() {
    let mut store = Store::default();
    let mut session = begun(&mut store);
    assert_eq!(usable(&session, now()), None);
    assert_eq!(store.value()["version"], 3);
    let mut time = 0;
    for number in 1..=3 {
        let call = claim_and_send(&mut session, &mut store, later(time));
        assert_eq!(call.request().body(), REQUEST);
        assert_eq!(call.request().header("authorization"), Some("Basic ZmFrZS1jbGllbnQ6ZmFrZS1zZWNyZXQ="));
        answer(&mut session, call, 200, &own(number), later(time)).unwrap();
        assert_eq!(usable(&session, later(time)), None);
        save(&mut session, &mut store, later(time));
        assert_eq!(usable(&session, later(time)), Some(&*format!("fake-own-{number}")));
        assert_eq!(session.granted_scopes().collect::<Vec<_>>(), ["reports:read", "reports:write"]);
        assert!(session.refresh_token().is_none());
        time += DUE;
        assert_eq!(step(&mut session, later(time - 1)), format!("idle {time}"));
    }
}

#[test]
fn a_token_that_is_there_already_is_replaced_in_the_same_way() {
    let mut store = Store::default();
    let mut session = with_token(&mut store);
    assert_eq!(usable(&session, now()), Some("fake-own-0"));
    let call = claim_and_send(&mut session, &mut store, later(DUE));
    assert_eq!(call.request().body(), "grant_type=client_credentials&scope=reports%3Aread");
    // The request ends no token.
    assert_eq!(usable(&session, later(DUE)), Some("fake-own-0"));
    answer(&mut session, call, 200, &own(1), later(DUE)).unwrap();
    save(&mut session, &mut store, later(DUE));
    assert_eq!(usable(&session, later(DUE)), Some("fake-own-1"));
}

#[test]
fn of_two_holders_one_asks_and_the_other_takes_its_token() {
    let mut store = Store::default();
    let mut one = begun(&mut store);
    let mut other = store.holder(now());
    let call = claim_and_send(&mut one, &mut store, now());
    assert!(!try_save(&mut other, &mut store, now()));
    adopt(&mut other, &store, now());
    assert_eq!(step(&mut other, now()), format!("wait {}", CLAIM + SKEW));
    answer(&mut one, call, 200, &own(1), now()).unwrap();
    save(&mut one, &mut store, now());
    adopt(&mut other, &store, now());
    assert_eq!(usable(&other, now()), Some("fake-own-1"));
    assert_eq!(step(&mut other, now()), step(&mut one, now()));
}

/// The session that is stored first counts, even for a process that asks for other scopes.
#[test]
fn two_processes_that_begin_at_once_share_one_session() {
    for scope in ["reports:read", "other"] {
        let mut store = Store::default();
        drop(begun(&mut store));
        let client = client();
        let request = client.client_credentials().scopes([scope]);
        let mut other = Session::from_client_credentials(request, policy(), now()).unwrap();
        assert!(!try_save(&mut other, &mut store, now()));
        assert!(other.adopt(store.load(), now()).unwrap());
        let call = claim_and_send(&mut other, &mut store, now());
        assert_eq!(call.request().body(), REQUEST);
    }
}

/// RFC 6749 §4.4.3: there should be none.
#[test]
fn rfc6749_section_4_4_3_a_refresh_token_is_neither_stored_nor_sent() {
    let with_refresh_token = |name: &str| {
        format!(
            r#"{{"access_token":"fake-own-{name}","token_type":"Bearer","expires_in":{EXPIRY},
                "refresh_token":"fake-refresh","refresh_token_expires_in":60}}"#
        )
    };
    let mut store = Store::default();
    let mut session = Session::new(own_tokens(&client(), &with_refresh_token("0")), policy(), now());
    save(&mut session, &mut store, now());
    // The end of that refresh token ends nothing either.
    assert_eq!(step(&mut session, now()), format!("idle {DUE}"));
    let call = claim_and_send(&mut session, &mut store, later(DUE));
    assert_eq!(call.request().body(), "grant_type=client_credentials&scope=reports%3Aread");
    answer(&mut session, call, 200, &with_refresh_token("1"), later(DUE)).unwrap();
    save(&mut session, &mut store, later(DUE));
    assert_eq!(usable(&session, later(DUE)), Some("fake-own-1"));
    assert!(session.refresh_token().is_none() && !store.text.contains("fake-refresh"));
    assert_eq!(store.value()["refresh_token_expires_at"], serde_json::Value::Null);
    // Nor is one rescued from a broken answer.
    let call = claim_and_send(&mut session, &mut store, later(2 * DUE));
    let broken = r#"{"refresh_token":"fake-refresh"}"#;
    answer(&mut session, call, 200, broken, later(2 * DUE)).unwrap_err();
    save(&mut session, &mut store, later(2 * DUE));
    assert!(!store.text.contains("fake-refresh"));
    assert_eq!(session.trouble().unwrap().kind(), TroubleKind::Unreadable);
    assert_eq!(usable(&session, later(2 * DUE)), Some("fake-own-1"));
}

/// Sends a request and saves its outcome, over and over, until the session says something else than to wait.
#[track_caller]
fn refused_until_it_gives_up(
    session: &mut Session,
    store: &mut Store,
    (status, body): (u16, &str),
    mut time: std::time::SystemTime,
) -> (u32, String, std::time::SystemTime) {
    for requests in 1..100 {
        let call = claim_and_send(session, store, time);
        answer(session, call, status, body, time).unwrap_err();
        save(session, store, time);
        match session.poll(time) {
            Step::Wait { until, .. } => time = until,
            _ => return (requests, step(session, time), time),
        }
        if !matches!(session.poll(time), Step::Save(_)) {
            return (requests, step(session, time), time);
        }
    }
    (100, step(session, time), time)
}

#[test]
fn no_refusal_asks_a_user_and_a_handful_ends_the_requests() {
    for refusal in [
        (400, INVALID_GRANT),
        (403, r#"{"error":"access_denied"}"#),
        (400, r#"{"error":"unauthorized_client"}"#),
        (400, r#"{"error":"invalid_scope"}"#),
        (400, r#"{"error":"login_required"}"#),
        (400, ""),
    ] {
        let mut store = Store::default();
        let mut session = begun(&mut store);
        let (requests, last, time) = refused_until_it_gives_up(&mut session, &mut store, refusal, now());
        assert_eq!((requests, last.as_str()), (6, "reauthorize GaveUp"), "{refusal:?}");
        assert!(time < later(900), "{refusal:?}");
        assert_eq!(session.trouble().unwrap().kind(), TroubleKind::UnclearRefusal);
        // Every holder knows, and nothing is erased.
        assert_eq!(step(&mut store.holder(time), time), "reauthorize GaveUp");
        // The operator has fixed it.
        session.resume(time);
        save(&mut session, &mut store, time);
        renew(&mut session, &mut store, 1, time);
        assert_eq!(usable(&session, time), Some("fake-own-1"));
        assert!(session.trouble().is_none());
    }
}

#[test]
fn what_a_session_logs_asks_no_user_either() {
    let mut store = Store::default();
    let mut session = begun(&mut store);
    let call = claim_and_send(&mut session, &mut store, now());
    let error = answer(&mut session, call, 400, INVALID_GRANT, now()).unwrap_err();
    assert_eq!((error.kind(), error.advice()), (ErrorKind::Refused, Advice::FixConfiguration));
}

#[test]
fn a_rejected_client_and_an_outage_are_waited_for() {
    for (refusal, kind, least) in [
        ((401, r#"{"error":"invalid_client"}"#), TroubleKind::ClientRejected, LONGEST_BACKOFF / 2),
        ((503, ""), TroubleKind::Unavailable, 0),
        ((404, "<html>"), TroubleKind::NotTheServer, 0),
    ] {
        let mut store = Store::default();
        let mut session = begun(&mut store);
        let call = claim_and_send(&mut session, &mut store, now());
        answer(&mut session, call, refusal.0, refusal.1, now()).unwrap_err();
        save(&mut session, &mut store, now());
        assert_eq!(session.trouble().unwrap().kind(), kind);
        assert!(end_of_wait(&mut session, now()) > later(least), "{kind:?}");
        let (requests, ..) =
            refused_until_it_gives_up(&mut session, &mut store, refusal, later(2 * LONGEST_BACKOFF));
        assert_eq!(requests, 100, "{kind:?}");
    }
}

#[test]
fn a_token_that_the_server_revoked_early_is_replaced() {
    let mut store = Store::default();
    let mut session = with_token(&mut store);
    let rejected = session.access_token(later(60)).unwrap().clone();
    session.access_token_rejected(&rejected);
    assert_eq!(usable(&session, later(60)), None);
    renew(&mut session, &mut store, 1, later(60));
    assert_eq!(usable(&session, later(60)), Some("fake-own-1"));
}

#[test]
fn a_token_without_a_lifetime_is_used_until_it_is_rejected() {
    let mut store = Store::default();
    let body = r#"{"access_token":"fake-own-0","token_type":"Bearer"}"#;
    let mut session = Session::new(own_tokens(&client(), body), policy(), now());
    save(&mut session, &mut store, now());
    assert_eq!(step(&mut session, later(DAY)), "idle");
    let rejected = session.access_token(later(DAY)).unwrap().clone();
    session.access_token_rejected(&rejected);
    renew(&mut session, &mut store, 1, later(DAY));
    assert_eq!(usable(&session, later(DAY)), Some("fake-own-1"));
}

/// At Pleo a refresh ends the access token. A request for another token does not, wherever it is.
#[test]
fn the_token_is_used_while_the_next_one_is_asked_for() {
    let client = client_of(server().access_tokens_end_with_refresh());
    let mut store = Store::default();
    let mut session = Session::new(own_tokens(&client, &own(0)), policy(), now());
    save(&mut session, &mut store, now());
    save(&mut session, &mut store, later(DUE));
    let call = session.send(&client, later(DUE)).unwrap().unwrap();
    assert_eq!(usable(&session, later(DUE)), Some("fake-own-0"));
    session.no_response(call, later(DUE + 1));
    assert_eq!(usable(&session, later(DUE + 1)), Some("fake-own-0"));
    let mut other = store.holder(later(DUE + 1));
    assert_eq!(usable(&other, later(DUE + 1)), Some("fake-own-0"));
    assert!(step(&mut other, later(DUE + 1)).starts_with("wait"));
}

/// A user who signs in must never continue as the client itself.
#[test]
fn a_user_who_signs_in_does_not_continue_with_the_clients_own_tokens() {
    let without =
        format!(r#"{{"access_token":"fake-access-1","token_type":"Bearer","expires_in":{EXPIRY}}}"#);
    let mut store = Store::default();
    let mut session = with_token(&mut store);
    session.reauthorized(tokens(&without), later(1));
    save(&mut session, &mut store, later(1));
    assert_eq!(store.value()["version"], 2);
    assert_eq!(step(&mut session, later(EXPIRY + 1)), "reauthorize NoRefreshToken");

    // Nor does our own claim concern them.
    let mut store = Store::default();
    let mut session = with_token(&mut store);
    save(&mut session, &mut store, later(DUE));
    session.reauthorized(tokens(&without), later(DUE));
    save(&mut session, &mut store, later(DUE));
    assert_eq!(step(&mut session, later(DUE)), format!("idle {}", DUE + EXPIRY));

    // The claim of a request that another holder makes meanwhile is not theirs either.
    let mut store = Store::default();
    let mut session = with_token(&mut store);
    let mut other = store.holder(later(DUE));
    let call = claim_and_send(&mut other, &mut store, later(DUE));
    session.reauthorized(tokens(&without), later(DUE));
    save_or_adopt(&mut session, &mut store, later(DUE));
    save(&mut session, &mut store, later(DUE));
    answer(&mut other, call, 200, &own(1), later(DUE)).unwrap();
    save_or_adopt(&mut other, &mut store, later(DUE));
    for holder in [&mut session, &mut other] {
        assert_eq!(usable(holder, later(DUE)), Some("fake-access-1"));
        assert_eq!(step(holder, later(DUE + EXPIRY)), "reauthorize NoRefreshToken");
    }
}

#[test]
fn tokens_of_the_clients_own_replace_a_users() {
    let mut store = Store::default();
    let mut session = signed_in(&mut store);
    session.reauthorized(own_tokens(&client(), &own(1)), later(1));
    save(&mut session, &mut store, later(1));
    assert!(session.refresh_token().is_none());
    assert_eq!(usable(&session, later(1)), Some("fake-own-1"));
    let call = claim_and_send(&mut session, &mut store, later(1 + DUE));
    assert_eq!(call.request().body(), "grant_type=client_credentials&scope=reports%3Aread");
}

#[test]
fn the_end_is_an_end() {
    let mut store = Store::default();
    let mut session = with_token(&mut store);
    session.end(later(1));
    save(&mut session, &mut store, later(1));
    assert_eq!((usable(&session, later(1)), session.refresh_token()), (None, None));
    assert!(matches!(session.poll(later(EXPIRY)), Step::Reauthorize(Reason::Ended)));
}

#[test]
fn a_client_without_credentials_or_a_server_without_the_grant_is_told_before_any_claim() {
    let mut store = Store::default();
    drop(with_token(&mut store));
    let public = Client::new(server(), "fake-client", ClientAuth::none()).unwrap();
    let other = client_of(server().grant_types_supported(["refresh_token"]));
    for client in [&public, &other] {
        let error = Session::restore(client, store.load(), policy(), now()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Misuse, "{error}");
        let request = client.client_credentials();
        let error = Session::from_client_credentials(request, policy(), now()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Misuse, "{error}");
    }
    let mut session = store.holder(later(DUE));
    save(&mut session, &mut store, later(DUE));
    let error = session.send(&public, later(DUE)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Misuse);
    // The right one may still send.
    assert!(session.send(&client(), later(DUE)).unwrap().is_some());
}

#[test]
fn a_late_answer_changes_nothing() {
    let mut store = Store::default();
    let mut session = with_token(&mut store);
    let late = claim_and_send(&mut session, &mut store, later(DUE));
    let mut other = store.holder(later(DUE + CLAIM + SKEW + 1));
    renew(&mut other, &mut store, 2, later(DUE + CLAIM + SKEW + 1));
    adopt(&mut session, &store, later(DUE + CLAIM + SKEW + 2));
    let answer = Response::new(200, [("", "")], own(1).into_bytes().leak());
    session.received(late, answer, later(DUE + CLAIM + SKEW + 2)).unwrap();
    assert_eq!(usable(&session, later(DUE + CLAIM + SKEW + 2)), Some("fake-own-2"));
    assert!(step(&mut session, later(DUE + CLAIM + SKEW + 2)).starts_with("idle"));
}

#[test]
fn a_token_that_is_dead_on_arrival_is_not_used() {
    let mut store = Store::default();
    let mut session = begun(&mut store);
    let call = claim_and_send(&mut session, &mut store, now());
    let body = r#"{"access_token":"fake-own-1","token_type":"Bearer","expires_in":0}"#;
    answer(&mut session, call, 200, body, now()).unwrap();
    save(&mut session, &mut store, now());
    assert_eq!(usable(&session, now()), None);
    let pause = end_of_wait(&mut session, now());
    assert!(pause > now() && pause < now() + Duration::from_secs(2));
}
