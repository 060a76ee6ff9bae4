//! One test for each known attack that a [`Session`] can meet, named after it, with where it was seen.
//!
//! In all of them the attack changes nothing, or ends in what is safe, and the real session goes on.

mod support;

use std::time::{Duration, SystemTime};

use oauth2_proto::{
    Advice, AuthorizationServer, Call, Client, ClientAuth, RefreshPolicy, Response, Secret, Session,
    Snapshot, Step, TokenResponse,
    error::ErrorKind,
    session::{Reason, SessionRefresh},
};
use serde_json::{Value, json};
use support::{client, client_of, later, now, server};

/// Refreshes in the middle of a lifetime, so that the tests know when.
fn policy() -> RefreshPolicy {
    RefreshPolicy::default().refresh_fraction(0.5, 0.5).max_attempts(5)
}

/// Seconds that an access token lives, and when it is refreshed.
const LIFETIME: u64 = 3600;
const DUE: u64 = LIFETIME / 2;

fn body(name: &str) -> String {
    format!(
        r#"{{"access_token":"fake-access-{name}","refresh_token":"fake-refresh-{name}","token_type":"Bearer","expires_in":{LIFETIME}}}"#
    )
}

fn tokens(name: &str) -> TokenResponse {
    support::token_call(&client()).read(support::json(&body(name))).unwrap()
}

/// A session that is stored.
fn signed_in(name: &str) -> (Session, Snapshot) {
    let mut session = Session::new(tokens(name), policy(), now());
    let snapshot = save(&mut session, now());
    (session, snapshot)
}

/// Another holder of what is stored.
fn holder(snapshot: &Snapshot, now: SystemTime) -> Session {
    Session::restore(snapshot.clone(), policy(), now)
}

/// Takes the step that must be a save, and gives what is stored afterwards.
fn save(session: &mut Session, now: SystemTime) -> Snapshot {
    let Step::Save(save) = session.poll(now) else { panic!("nothing to save: {session:?}") };
    let snapshot = save.snapshot().clone();
    session.saved(save);
    snapshot
}

/// Claims and sends; gives the request under way and what is stored.
fn send(session: &mut Session, now: SystemTime) -> (Call<SessionRefresh>, Snapshot) {
    let claim = save(session, now);
    (session.send(&client(), now).unwrap().expect("a claim is to be sent"), claim)
}

/// The whole refresh that brings the tokens of this name.
fn refresh(session: &mut Session, name: &str, now: SystemTime) -> Snapshot {
    let (call, _) = send(session, now);
    session.received(call, support::json(&body(name)), now).unwrap();
    save(session, now)
}

fn access_token(session: &Session, now: SystemTime) -> Option<&str> {
    session.access_token(now).map(Secret::expose)
}

fn refresh_token_of(call: &Call<SessionRefresh>) -> String {
    let form = call.request().form();
    form.into_iter().find(|(name, _)| name == "refresh_token").unwrap().1
}

fn stored(snapshot: &Snapshot) -> Value {
    serde_json::to_value(snapshot).unwrap()
}

/// RFC 9700 §4.4 at the refresh: a program with several servers takes the client of the wrong one, whose owner
/// would get a refresh token that is good elsewhere.
#[test]
fn mix_up_at_a_refresh() {
    let (mut session, _) = signed_in("alice");
    save(&mut session, later(DUE));
    let evil =
        AuthorizationServer::new("https://as.example/authorize", "https://evil.example/token").unwrap();
    let other = Client::new(server(), "other-client", ClientAuth::basic("fake-secret")).unwrap();
    for client in [client_of(evil), other] {
        let error = session.send(&client, later(DUE)).unwrap_err();
        assert_eq!((error.kind(), error.advice()), (ErrorKind::Misuse, Advice::FixConfiguration), "{error}");
    }
    let call = session.send(&client(), later(DUE)).unwrap().expect("the claim is still there to be sent");
    assert_eq!(call.request().url(), "https://as.example/token");
    assert_eq!(refresh_token_of(&call), "fake-refresh-alice");
}

/// A token cache with the wrong key, seen in a crate's source: one user gets the tokens of another.
#[test]
fn token_substitution_by_a_foreign_snapshot() {
    let (mut alice, _) = signed_in("alice");
    let (mut mallory, _) = signed_in("mallory");
    let newer = refresh(&mut mallory, "mallory-2", later(DUE));
    assert!(newer.revision() > alice.revision());
    let error = alice.adopt(newer, later(1)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Misuse, "{error}");
    // A save with the very revision that would come next.
    let (mut eve, _) = signed_in("eve");
    let Step::Save(claim) = eve.poll(later(DUE)) else { panic!("{eve:?}") };
    alice.saved(claim);
    assert_eq!(access_token(&alice, later(1)), Some("fake-access-alice"));
    assert_eq!(alice.revision(), 1);
}

/// Two refreshes of two users are under way, and their answers are interchanged.
#[test]
fn token_substitution_by_a_foreign_answer() {
    let (mut alice, _) = signed_in("alice");
    let (mut mallory, _) = signed_in("mallory");
    let (alices_call, _) = send(&mut alice, later(DUE));
    let (mallorys_call, _) = send(&mut mallory, later(DUE));
    let error = alice.received(mallorys_call, support::json(&body("mallory-2")), later(DUE)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Misuse);
    assert!(matches!(alice.poll(later(DUE)), Step::Wait(_)), "her own answer is still awaited: {alice:?}");
    alice.received(alices_call, support::json(&body("alice-2")), later(DUE)).unwrap();
    save(&mut alice, later(DUE));
    assert_eq!(access_token(&alice, later(DUE)), Some("fake-access-alice-2"));
}

/// The refresh of the user before is answered after another user has signed in.
#[test]
fn token_substitution_by_an_answer_from_before_the_sign_in() {
    let (mut session, _) = signed_in("alice");
    let (call, _) = send(&mut session, later(DUE));
    session.reauthorized(tokens("bob"), later(DUE));
    save(&mut session, later(DUE));
    session.received(call, support::json(&body("alice-2")), later(DUE)).unwrap();
    assert!(matches!(session.poll(later(DUE)), Step::Idle(_)), "{session:?}");
    assert_eq!(access_token(&session, later(DUE)), Some("fake-access-bob"));
}

/// A replica of the store that lags, or a backup: the tokens before are dead, and using them kills the others.
#[test]
fn stale_snapshot() {
    let (mut session, first) = signed_in("alice");
    let (call, claim) = send(&mut session, later(DUE));
    session.received(call, support::json(&body("alice-2")), later(DUE)).unwrap();
    let newest = save(&mut session, later(DUE));
    for old in [first, claim, newest] {
        session.adopt(old, later(DUE)).unwrap();
        assert!(matches!(session.poll(later(DUE)), Step::Idle(_)), "{session:?}");
        assert_eq!(access_token(&session, later(DUE)), Some("fake-access-alice-2"));
    }
}

/// coder#25508: two processes refresh at once, and the server takes the second one for a thief.
#[test]
fn refresh_race() {
    let (_, snapshot) = signed_in("alice");
    let [mut one, mut other] = [(); 2].map(|()| holder(&snapshot, now()));
    let (Step::Save(first), Step::Save(second)) = (one.poll(later(DUE)), other.poll(later(DUE))) else {
        panic!("both want to refresh");
    };
    // The store takes one of the two.
    assert_eq!((first.expected_revision(), second.expected_revision()), (1, 1));
    let claim = first.snapshot().clone();
    one.saved(first);
    other.adopt(claim, later(DUE)).unwrap();
    assert!(matches!(other.poll(later(DUE)), Step::Wait(_)), "{other:?}");
    assert!(other.send(&client(), later(DUE)).unwrap().is_none());
    assert!(one.send(&client(), later(DUE)).unwrap().is_some());
    assert!(one.send(&client(), later(DUE)).unwrap().is_none(), "one claim is sent once");
}

/// RFC 9700 §4.14: the second use of a refresh token is what a thief does.
#[test]
fn replay_of_a_refresh_token() {
    let (mut session, first) = signed_in("alice");
    let saved = refresh(&mut session, "alice-2", later(DUE));
    assert!(session.send(&client(), later(DUE)).unwrap().is_none());
    for mut session in [session, holder(&saved, later(DUE))] {
        let (call, _) = send(&mut session, later(2 * DUE));
        assert_eq!(refresh_token_of(&call), "fake-refresh-alice-2");
    }
    // A holder that slept since the sign-in claims in vain: the store has another revision.
    let mut sleeper = holder(&first, now());
    let Step::Save(claim) = sleeper.poll(later(2 * DUE)) else { panic!("{sleeper:?}") };
    assert_ne!(claim.expected_revision(), saved.revision());
}

/// Somebody on the way keeps an answer back until a later one has come.
#[test]
fn replay_of_a_refresh_answer() {
    let (mut session, _) = signed_in("alice");
    let (held_back, _) = send(&mut session, later(DUE));
    let (call, _) = send(&mut session, later(DUE + 100));
    session.received(call, support::json(&body("alice-3")), later(DUE + 100)).unwrap();
    save(&mut session, later(DUE + 100));
    session.received(held_back, support::json(&body("alice-2")), later(DUE + 100)).unwrap();
    assert!(matches!(session.poll(later(DUE + 100)), Step::Idle(_)), "{session:?}");
    assert_eq!(access_token(&session, later(DUE + 100)), Some("fake-access-alice-3"));
}

/// A refusal that was held back does not end what a later sign-in or refresh began.
#[test]
fn sign_out_by_a_late_refusal() {
    let (mut session, _) = signed_in("alice");
    let (held_back, _) = send(&mut session, later(DUE));
    refresh(&mut session, "alice-2", later(DUE + 100));
    let refusal = Response::new(400, [("a", "b")], br#"{"error":"invalid_grant"}"#);
    session.received(held_back, refusal, later(DUE + 100)).unwrap_err();
    assert!(matches!(session.poll(later(DUE + 100)), Step::Idle(_)), "{session:?}");
}

/// A failing proxy says `invalid_grant`, and the user would be signed out for nothing; rust-sdk#1232.
#[test]
fn sign_out_by_a_failing_server_at_a_refresh() {
    for status in [429, 500, 502, 503, 504] {
        let (mut session, _) = signed_in("alice");
        let (call, _) = send(&mut session, later(DUE));
        let response = Response::new(status, [("a", "b")], br#"{"error":"invalid_grant"}"#);
        session.received(call, response, later(DUE)).unwrap_err();
        save(&mut session, later(DUE));
        assert!(matches!(session.poll(later(DUE)), Step::Wait(_)), "{status}: {session:?}");
        assert_eq!(access_token(&session, later(DUE)), Some("fake-access-alice"), "{status}");
    }
}

/// An API that says 401 to a token that it was not shown, or to one that was replaced meanwhile.
#[test]
fn sign_out_by_a_rejection_of_another_token() {
    let (mut session, _) = signed_in("alice");
    session.access_token_rejected(&Secret::new("fake-access-mallory"));
    assert_eq!(access_token(&session, now()), Some("fake-access-alice"));
    refresh(&mut session, "alice-2", later(DUE));
    session.access_token_rejected(&Secret::new("fake-access-alice"));
    assert_eq!(access_token(&session, later(DUE)), Some("fake-access-alice-2"));
    assert!(matches!(session.poll(later(DUE)), Step::Idle(_)), "{session:?}");
}

/// `Retry-After` of a server that wants never to be asked again.
#[test]
fn endless_retry_after() {
    for endless in ["99999999999999999999", "31536000000", "Fri, 31 Dec 9999 23:59:59 GMT"] {
        let (mut session, _) = signed_in("alice");
        let (call, _) = send(&mut session, later(DUE));
        let busy = Response::new(503, [("retry-after", endless)], b"");
        session.received(call, busy, later(DUE)).unwrap_err();
        save(&mut session, later(DUE));
        let Step::Wait(until) = session.poll(later(DUE)) else { panic!("{session:?}") };
        let day = Duration::from_secs(24 * 3600);
        assert!(until <= later(DUE) + day + Duration::from_secs(1), "{endless}: {until:?}");
    }
}

/// A server whose tokens are dead on arrival makes a client ask without end, and be locked out.
#[test]
fn refresh_storm_by_dead_tokens() {
    let dead =
        r#"{"access_token":"fake-dead","refresh_token":"fake-refresh","token_type":"Bearer","expires_in":0}"#;
    let (mut session, _) = signed_in("alice");
    let (mut time, mut sent, mut steps) = (later(DUE), Vec::new(), 0);
    let reason = loop {
        steps += 1;
        assert!(steps < 100, "{session:?} never gives up");
        match session.poll(time) {
            Step::Save(save) => session.saved(save),
            Step::Send { .. } => {
                let call = session.send(&client(), time).unwrap().unwrap();
                sent.push(time);
                session.received(call, support::json(dead), time).unwrap();
            }
            Step::Idle(Some(until)) | Step::Wait(until) => time = until,
            Step::Idle(None) => panic!("{session:?}"),
            Step::Reauthorize(reason) => break reason,
        }
        assert!(session.access_token(time).is_none_or(|token| token.expose() != "fake-dead"));
    };
    assert_eq!((reason, sent.len()), (Reason::GaveUp, 5));
    assert!(sent.windows(2).all(|pair| pair[0] < pair[1]), "a pause after each: {sent:?}");
}

/// A clock that is set back (by a false time server, say) would bring an expired token back to life.
#[test]
fn clock_set_back_to_revive_a_token() {
    let (mut session, _) = signed_in("alice");
    let _ = session.poll(later(LIFETIME + 1));
    assert_eq!(access_token(&session, now()), None, "it was seen to expire");
    let (fresh, snapshot) = signed_in("alice");
    let before = now() - Duration::from_secs(86_400);
    assert_eq!(access_token(&fresh, before), None, "it is from the future");
    let mut other = holder(&snapshot, before);
    assert_eq!(access_token(&other, before), None);
    assert!(matches!(other.poll(before), Step::Save(_)), "it is replaced: {other:?}");
}

/// A clock that is set back would end another holder's claim, or let our own be used again.
#[test]
fn clock_set_back_to_break_a_claim() {
    let (mut session, snapshot) = signed_in("alice");
    let mut other = holder(&snapshot, later(DUE));
    let claim = save(&mut session, later(DUE));
    other.adopt(claim, later(DUE)).unwrap();
    let back = later(DUE - 1000);
    assert!(matches!(other.poll(back), Step::Wait(_)), "{other:?}");
    assert!(session.send(&client(), back).unwrap().is_none(), "how old the claim is cannot be told");
}

/// A clock that jumps ahead makes one refresh too many, and no more; no token is lost by it.
#[test]
fn clock_set_ahead() {
    let (mut session, _) = signed_in("alice");
    let far = later(100 * 365 * 86_400);
    refresh(&mut session, "alice-2", far);
    assert!(matches!(session.poll(far), Step::Idle(_)), "{session:?}");
    assert_eq!(access_token(&session, far), Some("fake-access-alice-2"));
    for end_of_time in [SystemTime::UNIX_EPOCH + Duration::from_secs(u64::MAX / 4), far] {
        let _ = session.poll(end_of_time);
    }
}

/// slack-morphism RUSTSEC-2022-0086: a log of the store, or of an error, that holds the tokens.
#[test]
fn tokens_in_logs() {
    let (mut session, snapshot) = signed_in("alice");
    let mut shown = format!("{session:?} {snapshot:?}");
    let (call, claim) = send(&mut session, later(DUE));
    shown += &format!("{call:?} {claim:?} {session:#?}");
    let echo = r#"{"error":"invalid_grant","error_description":"unknown: fake-refresh-alice"}"#;
    let response = Response::new(400, [("a", "b")], echo.as_bytes());
    let error = session.received(call, response, later(DUE)).unwrap_err();
    shown += &format!("{error} {error:?} {session:?}");
    let step = session.poll(later(DUE));
    shown += &format!("{step:?}");
    assert!(matches!(step, Step::Save(_)), "{step:?}");
    assert!(!shown.contains("fake-access") && !shown.contains("fake-refresh"), "{shown}");
}

/// A store that somebody else can write to, or a disk that fails: what comes back is checked, and not quoted.
#[test]
fn tampered_snapshot() {
    let whole = stored(&signed_in("alice").1);
    assert!(serde_json::from_value::<Snapshot>(whole.clone()).is_ok());
    for (member, value) in [
        ("version", json!(0)),
        ("version", json!(2)),
        ("authorization", json!("planted")),
        ("client", json!("planted")),
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
