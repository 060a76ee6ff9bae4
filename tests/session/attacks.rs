//! One test for each known attack that a `Session` can meet, named after it, with its source.
//!
//! In all of them the attack changes nothing, or the session ends safely, and the real session continues.

use std::time::{Duration, SystemTime};

use oauth2_proto::{
    Advice, AuthorizationServer, Client, ClientAuth, Response, Secret, Session, Snapshot, Step,
    error::ErrorKind, session::Reason,
};
use serde_json::json;

use crate::responses;
use crate::steps::*;
use crate::store::Store;
use crate::support::{client, client_of, later, now, server};

/// A stored session with the tokens of this name, and its store.
#[track_caller]
fn session_of(name: &str) -> (Session, Store) {
    let mut store = Store::default();
    (signed_in_with(&mut store, &body(name), policy()), store)
}

/// RFC 9700 §4.4 at the refresh: a program with several servers takes the client of the wrong one, whose
/// owner would get a refresh token that is good elsewhere.
#[test]
fn mix_up_at_a_refresh() {
    let (mut session, mut store) = session_of("alice");
    save(&mut session, &mut store, later(DUE));
    let evil =
        AuthorizationServer::new("https://as.example/authorize", "https://evil.example/token").unwrap();
    let other = Client::new(server(), "other-client", ClientAuth::basic("fake-secret")).unwrap();
    for client in [client_of(evil), other] {
        let error = session.send(&client, later(DUE)).unwrap_err();
        assert_eq!((error.kind(), error.advice()), (ErrorKind::Misuse, Advice::FixConfiguration), "{error}");
    }
    let call = session.send(&client(), later(DUE)).unwrap().expect("the claim is still there to be sent");
    assert_eq!(call.request().url(), "https://as.example/token");
    assert_eq!(refresh_token(call.request()), "fake-refresh-alice");
}

/// A token cache with the wrong key, seen in a crate's source: one user gets the tokens of another.
#[test]
fn token_substitution_by_a_foreign_snapshot() {
    let (mut alice, _) = session_of("alice");
    let (mut mallory, mut mallorys_store) = session_of("mallory");
    refresh(&mut mallory, &mut mallorys_store, "mallory-2", later(DUE));
    let newer = mallorys_store.load();
    assert!(newer.revision() > alice.revision());
    let error = alice.adopt(newer, later(1)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Misuse, "{error}");
    // A save with the revision that comes next.
    let (mut eve, _) = session_of("eve");
    alice.saved(due_save(&mut eve, later(DUE)));
    assert_eq!(usable(&alice, later(1)), Some("fake-access-alice"));
    assert_eq!(alice.revision(), 1);
}

/// Two refreshes of two users are under way, and their answers are interchanged.
#[test]
fn token_substitution_by_a_foreign_answer() {
    let (mut alice, mut alices_store) = session_of("alice");
    let (mut mallory, mut mallorys_store) = session_of("mallory");
    let alices_call = claim_and_send(&mut alice, &mut alices_store, later(DUE));
    let mallorys_call = claim_and_send(&mut mallory, &mut mallorys_store, later(DUE));
    let theirs = body("mallory-2");
    let error = alice.received(mallorys_call, responses::json(&theirs), later(DUE)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Misuse);
    assert!(
        matches!(alice.poll(later(DUE)), Step::Wait { .. }),
        "her own answer is still awaited: {alice:?}"
    );
    alice.received(alices_call, responses::json(&body("alice-2")), later(DUE)).unwrap();
    save(&mut alice, &mut alices_store, later(DUE));
    assert_eq!(usable(&alice, later(DUE)), Some("fake-access-alice-2"));
}

/// The refresh of one user is answered after another user has signed in.
#[test]
fn token_substitution_by_an_answer_from_before_the_sign_in() {
    let (mut session, mut store) = session_of("alice");
    let call = claim_and_send(&mut session, &mut store, later(DUE));
    session.reauthorized(tokens(&body("bob")), later(DUE));
    save(&mut session, &mut store, later(DUE));
    session.received(call, responses::json(&body("alice-2")), later(DUE)).unwrap();
    assert!(matches!(session.poll(later(DUE)), Step::Idle(_)), "{session:?}");
    assert_eq!(usable(&session, later(DUE)), Some("fake-access-bob"));
}

/// A replica of the store that lags, or a backup: the old tokens are dead, and using them ends the new ones.
#[test]
fn stale_snapshot() {
    let (mut session, mut store) = session_of("alice");
    let first = store.load();
    let call = claim_and_send(&mut session, &mut store, later(DUE));
    let claim = store.load();
    session.received(call, responses::json(&body("alice-2")), later(DUE)).unwrap();
    save(&mut session, &mut store, later(DUE));
    for old in [first, claim, store.load()] {
        session.adopt(old, later(DUE)).unwrap();
        assert!(matches!(session.poll(later(DUE)), Step::Idle(_)), "{session:?}");
        assert_eq!(usable(&session, later(DUE)), Some("fake-access-alice-2"));
    }
}

/// coder#25508: two processes refresh at once, and the server takes the second one for a thief.
#[test]
fn refresh_race() {
    let (_, mut store) = session_of("alice");
    let [mut one, mut other] = [(); 2].map(|()| store.holder(now()));
    let (first, second) = (due_save(&mut one, later(DUE)), due_save(&mut other, later(DUE)));
    assert_eq!((first.expected_revision(), second.expected_revision()), (1, 1));
    assert!(store.compare_and_swap(&first) && !store.compare_and_swap(&second));
    one.saved(first);
    adopt(&mut other, &store, later(DUE));
    assert!(matches!(other.poll(later(DUE)), Step::Wait { .. }), "{other:?}");
    assert!(other.send(&client(), later(DUE)).unwrap().is_none());
    assert!(one.send(&client(), later(DUE)).unwrap().is_some());
    assert!(one.send(&client(), later(DUE)).unwrap().is_none(), "one claim is sent once");
}

/// RFC 9700 §4.14: the second use of a refresh token is what a thief does.
#[test]
fn replay_of_a_refresh_token() {
    let (mut session, mut store) = session_of("alice");
    let mut sleeper = store.holder(now());
    refresh(&mut session, &mut store, "alice-2", later(DUE));
    assert!(session.send(&client(), later(DUE)).unwrap().is_none());
    let refreshed = store.revision;
    for mut session in [session, store.holder(later(DUE))] {
        let call = claim_and_send(&mut session, &mut store.clone(), later(2 * DUE));
        assert_eq!(refresh_token(call.request()), "fake-refresh-alice-2");
    }
    // A holder that slept since the sign-in claims in vain: the store has another revision.
    assert_ne!(due_save(&mut sleeper, later(2 * DUE)).expected_revision(), refreshed);
}

/// An answer is held back on the way until a later one has come.
#[test]
fn replay_of_a_refresh_answer() {
    let (mut session, mut store) = session_of("alice");
    let after = later(AFTER_CLAIM);
    let held_back = claim_and_send(&mut session, &mut store, later(DUE));
    let call = claim_and_send(&mut session, &mut store, after);
    session.received(call, responses::json(&body("alice-3")), after).unwrap();
    save(&mut session, &mut store, after);
    session.received(held_back, responses::json(&body("alice-2")), after).unwrap();
    assert!(matches!(session.poll(after), Step::Idle(_)), "{session:?}");
    assert_eq!(usable(&session, after), Some("fake-access-alice-3"));
}

/// A refusal that was held back does not end what a later sign-in or refresh began.
#[test]
fn sign_out_by_a_late_refusal() {
    let (mut session, mut store) = session_of("alice");
    let after = later(AFTER_CLAIM);
    let held_back = claim_and_send(&mut session, &mut store, later(DUE));
    refresh(&mut session, &mut store, "alice-2", after);
    answer(&mut session, held_back, 400, INVALID_GRANT, after).unwrap_err();
    assert!(matches!(session.poll(after), Step::Idle(_)), "{session:?}");
}

/// rust-sdk#1232: a failing proxy says `invalid_grant`, and the user would be signed out for nothing.
#[test]
fn sign_out_by_a_failing_server_at_a_refresh() {
    for status in [429, 500, 502, 503, 504] {
        let (mut session, mut store) = session_of("alice");
        let call = claim_and_send(&mut session, &mut store, later(DUE));
        answer(&mut session, call, status, INVALID_GRANT, later(DUE)).unwrap_err();
        save(&mut session, &mut store, later(DUE));
        assert!(matches!(session.poll(later(DUE)), Step::Wait { .. }), "{status}: {session:?}");
        assert_eq!(usable(&session, later(DUE)), Some("fake-access-alice"), "{status}");
    }
}

/// An API answers 401 to a token that it was not shown, or to one that was replaced meanwhile.
#[test]
fn sign_out_by_a_rejection_of_another_token() {
    let (mut session, mut store) = session_of("alice");
    session.access_token_rejected(&Secret::new("fake-access-mallory"));
    assert_eq!(usable(&session, now()), Some("fake-access-alice"));
    refresh(&mut session, &mut store, "alice-2", later(DUE));
    session.access_token_rejected(&Secret::new("fake-access-alice"));
    assert_eq!(usable(&session, later(DUE)), Some("fake-access-alice-2"));
    assert!(matches!(session.poll(later(DUE)), Step::Idle(_)), "{session:?}");
}

/// A server's `Retry-After` that never ends.
#[test]
fn endless_retry_after() {
    for endless in ["99999999999999999999", "31536000000", "Fri, 31 Dec 9999 23:59:59 GMT"] {
        let (mut session, mut store) = session_of("alice");
        let call = claim_and_send(&mut session, &mut store, later(DUE));
        let busy = Response::new(503, [("retry-after", endless)], b"");
        session.received(call, busy, later(DUE)).unwrap_err();
        save(&mut session, &mut store, later(DUE));
        let until = end_of_wait(&mut session, later(DUE));
        assert!(until <= later(DUE + DAY + 1), "{endless}: {until:?}");
    }
}

/// A server whose tokens are dead on arrival makes a client ask without end, and be locked out.
#[test]
fn refresh_storm_by_dead_tokens() {
    let dead =
        r#"{"access_token":"fake-dead","refresh_token":"fake-refresh","token_type":"Bearer","expires_in":0}"#;
    let mut store = Store::default();
    let mut session = signed_in_with(&mut store, &body("alice"), policy().max_attempts(5));
    let (mut time, mut sent, mut steps) = (later(DUE), Vec::new(), 0);
    let reason = loop {
        steps += 1;
        assert!(steps < 100, "{session:?} never gives up");
        match session.poll(time) {
            Step::Save(_) => save(&mut session, &mut store, time),
            Step::Send { .. } => {
                let call = send(&mut session, time);
                sent.push(time);
                session.received(call, responses::json(dead), time).unwrap();
            }
            Step::Idle(Some(until)) | Step::Wait { until, .. } => time = until,
            Step::Idle(None) => panic!("{session:?}"),
            Step::Reauthorize(reason) => break reason,
        }
        assert!(usable(&session, time).is_none_or(|token| token != "fake-dead"));
    };
    assert_eq!((reason, sent.len()), (Reason::GaveUp, 5));
    assert!(sent.windows(2).all(|pair| pair[0] < pair[1]), "a pause after each: {sent:?}");
}

/// A clock that is set back, by a false time server for example, would revive an expired token.
#[test]
fn clock_set_back_to_revive_a_token() {
    let (mut session, _) = session_of("alice");
    let _ = session.poll(later(EXPIRY + 1));
    assert_eq!(usable(&session, now()), None, "it was seen to expire");
    let (fresh, store) = session_of("alice");
    let before = now() - Duration::from_secs(DAY);
    assert_eq!(usable(&fresh, before), None, "it is from the future");
    let mut other = store.holder(before);
    assert_eq!(usable(&other, before), None);
    assert!(matches!(other.poll(before), Step::Save(_)), "it is replaced: {other:?}");
}

/// A clock that is set back would end another holder's claim, or let our own be used again.
#[test]
fn clock_set_back_to_break_a_claim() {
    let (mut session, mut store) = session_of("alice");
    let mut other = store.holder(later(DUE));
    save(&mut session, &mut store, later(DUE));
    adopt(&mut other, &store, later(DUE));
    let back = later(DUE - 1000);
    assert!(session.send(&client(), back).unwrap().is_none(), "how old the claim is cannot be told");
    // Dating the claim anew does not make it this holder's claim.
    save(&mut other, &mut store, back);
    assert!(matches!(other.poll(back), Step::Wait { .. }), "{other:?}");
    assert!(other.send(&client(), back).unwrap().is_none());
}

/// A clock that jumps ahead causes one unnecessary refresh, and no token is lost.
#[test]
fn clock_set_ahead() {
    let (mut session, mut store) = session_of("alice");
    let far = later(100 * 365 * DAY);
    refresh(&mut session, &mut store, "alice-2", far);
    assert!(matches!(session.poll(far), Step::Idle(_)), "{session:?}");
    assert_eq!(usable(&session, far), Some("fake-access-alice-2"));
    for end_of_time in [SystemTime::UNIX_EPOCH + Duration::from_secs(u64::MAX / 4), far] {
        let _ = session.poll(end_of_time);
    }
}

/// slack-morphism RUSTSEC-2022-0086: a log of the store, or of an error, that holds the tokens.
#[test]
fn tokens_in_logs() {
    let (mut session, mut store) = session_of("alice");
    let mut shown = format!("{session:?} {:?}", store.load());
    let call = claim_and_send(&mut session, &mut store, later(DUE));
    shown += &format!("{call:?} {:?} {session:#?}", store.load());
    let echo = r#"{"error":"invalid_grant","error_description":"unknown: fake-refresh-alice"}"#;
    let error = answer(&mut session, call, 400, echo, later(DUE)).unwrap_err();
    shown += &format!("{error} {error:?} {session:?}");
    let step = session.poll(later(DUE));
    shown += &format!("{step:?}");
    assert!(matches!(step, Step::Save(_)), "{step:?}");
    assert!(!shown.contains("fake-access") && !shown.contains("fake-refresh"), "{shown}");
}

/// A store that others can write to, or a disk that fails: stored values are checked, and not quoted.
#[test]
fn tampered_snapshot() {
    let whole = session_of("alice").1.value();
    assert!(serde_json::from_value::<Snapshot>(whole.clone()).is_ok());
    for (member, value) in [
        ("version", json!(0)),
        ("version", json!(3)),
        ("authorization", json!("planted")),
        ("issued_to", json!("planted")),
        ("revision", json!(0)),
        ("access_token", json!("")),
        ("access_token", json!(["planted"])),
        ("refresh_token", json!("")),
        ("refresh_token", json!({"planted": 1})),
        ("issued_at", json!(u64::MAX)),
        ("expires_at", json!(null)),
        ("expires_at", json!(u64::MAX)),
        ("attempts", json!(-1)),
        ("state", json!("planted")),
        ("since", json!(1)),
        ("planted", json!("planted")),
    ] {
        let mut tampered = whole.clone();
        tampered[member] = value;
        let error = serde_json::from_str::<Snapshot>(&tampered.to_string()).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("planted"), "{member}: {error}");
    }
}
