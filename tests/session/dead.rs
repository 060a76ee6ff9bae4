//! Dead authorizations, outages and wrong clients: failures of a refresh, told apart by one question: would a
//! new sign-in help?

use std::time::{Duration, SystemTime};

use oauth2_proto::session::{Reason, TroubleKind, WaitReason};
use oauth2_proto::{Advice, RefreshPolicy, Response, Session, Step};

use crate::steps::*;
use crate::store::Store;
use crate::support::{client, client_of, later, server};

/// An answer that the server gives for ever: status, content type and body; `None` for no answer.
type Answer = Option<(u16, &'static str, &'static str)>;

const JSON: &str = "application/json";
const HTML: &str = "text/html";
const PAGE: &str = "<html><h1>Bad gateway</h1></html>";

/// The observations of two holders at a server that always answers alike.
struct Life {
    requests: usize,
    first_request: Option<SystemTime>,
    ended: Option<(SystemTime, Reason)>,
}

/// Two holders live from the time when the tokens are due until `end`, and look into the store whenever they
/// wait.
#[track_caller]
fn live(store: &mut Store, answer: Answer, end: SystemTime) -> Life {
    let policy = RefreshPolicy::default();
    let mut time = later(DUE);
    let mut holders = [0, 1].map(|_| Session::restore(&client(), store.load(), policy, time).unwrap());
    let mut life = Life { requests: 0, first_request: None, ended: None };
    while time < end {
        let mut next = end;
        for session in &mut holders {
            session.adopt(store.load(), time).unwrap();
            match session.poll(time) {
                Step::Save(_) => {
                    save_or_adopt(session, store, time);
                    next = time;
                }
                Step::Send { .. } => {
                    life.requests += 1;
                    life.first_request.get_or_insert(time);
                    let call = send(session, time);
                    match answer {
                        Some((status, label, body)) => {
                            let headers = [("content-type", label)];
                            let response = Response::new(status, headers, body.as_bytes());
                            session.received(call, response, time).unwrap_err();
                        }
                        None => session.no_response(call, time),
                    }
                    next = time;
                }
                Step::Wait { until, .. } | Step::Idle(Some(until)) => next = next.min(until),
                Step::Idle(None) => {}
                Step::Reauthorize(reason) => {
                    life.ended.get_or_insert((time, reason));
                }
            }
        }
        if life.ended.is_some() {
            break;
        }
        time = next.max(time + Duration::from_millis(1));
    }
    for session in &mut holders {
        session.adopt(store.load(), time).unwrap();
        let asked = matches!(session.poll(time), Step::Reauthorize(_));
        assert_eq!(asked, life.ended.is_some(), "all holders agree: {session:?}");
    }
    life
}

#[test]
fn most_likely_dead_is_reauthorize_within_15_minutes_and_8_requests_for_all_holders() {
    for answer in [
        (400, JSON, ""),
        (401, HTML, ""),
        (403, HTML, " \r\n"),
        (400, JSON, r#"{"error":"invalid_request"}"#),
        (401, JSON, r#"{"error":"unauthorized_client"}"#),
        (400, JSON, r#"{"error":"unknown_to_everybody"}"#),
        (403, JSON, r#"{"error":"unknown_to_everybody"}"#),
        (200, JSON, r#"{"error":"bad_refresh_token"}"#),
        (404, JSON, r#"{"error":"session_not_found"}"#),
        (422, JSON, r#"{"error":{"code":7}}"#),
        (400, JSON, r#"{"error":{"message":"gone","code":190}}"#),
        (200, JSON, r#"{"error":{"message":"gone","code":190}}"#),
        (400, JSON, r#"{"error":42}"#),
        (400, JSON, r#""Token revoked""#),
        (401, JSON, r#"{"message":"Unauthorized"}"#),
        (403, HTML, r#"["gone"]"#),
        (400, JSON, "null"),
        (400, JSON, r#"{"error":"access_denied"}"#),
    ] {
        let mut store = Store::default();
        signed_in(&mut store);
        let life = live(&mut store, Some(answer), later(DUE + DAY));
        let (ended, reason) = life.ended.unwrap_or_else(|| panic!("{answer:?} never ends"));
        let took = ended.duration_since(life.first_request.unwrap()).unwrap();
        assert_eq!(reason, Reason::GaveUp, "{answer:?}");
        assert!(took <= Duration::from_secs(15 * 60), "{answer:?}: {took:?}");
        assert!((4..=8).contains(&life.requests), "{answer:?}: {} requests", life.requests);
        assert!(took >= Duration::from_secs(60), "{answer:?}: a short disturbance ends nothing: {took:?}");

        // Nothing is erased, and `resume` continues.
        assert_eq!(store.value()["refresh_token"], "fake-refresh-0", "{answer:?}");
        let mut session = store.holder(ended);
        let trouble = session.trouble().unwrap();
        assert_eq!(trouble.kind(), TroubleKind::UnclearRefusal, "{answer:?}");
        assert_eq!(trouble.failures() as usize, life.requests, "{answer:?}");
        session.resume(ended);
        let mut server = RotatingServer::default();
        assert!(drive(&mut session, &mut store, &mut server, ended).starts_with("idle"), "{answer:?}");
        assert_eq!(session.trouble(), None, "{answer:?}");
    }
}

#[test]
fn an_outage_of_a_day_ends_nothing_and_asks_nobody() {
    for (answer, kind) in [
        (None, TroubleKind::NoAnswer),
        (Some((503, HTML, PAGE)), TroubleKind::Unavailable),
        (Some((503, JSON, r#"{"error":"invalid_grant"}"#)), TroubleKind::Unavailable),
        (Some((429, JSON, "")), TroubleKind::Unavailable),
        (Some((408, HTML, "")), TroubleKind::Unavailable),
        (Some((421, JSON, r#"{"error":"x"}"#)), TroubleKind::Unavailable),
        (Some((425, JSON, "")), TroubleKind::Unavailable),
        (Some((500, JSON, r#"{"error":"server_error"}"#)), TroubleKind::Unavailable),
        (Some((400, JSON, r#"{"error":"temporarily_unavailable"}"#)), TroubleKind::Unavailable),
        (Some((302, HTML, "")), TroubleKind::Unavailable),
        (Some((403, HTML, PAGE)), TroubleKind::NotTheServer),
        (Some((404, HTML, PAGE)), TroubleKind::NotTheServer),
        (Some((400, "text/plain", "Bad Request")), TroubleKind::NotTheServer),
        (Some((404, JSON, "")), TroubleKind::NotTheServer),
        (Some((404, JSON, r#"{"message":"no route"}"#)), TroubleKind::NotTheServer),
        (Some((405, JSON, "{}")), TroubleKind::NotTheServer),
        (Some((410, HTML, "")), TroubleKind::NotTheServer),
        (Some((501, HTML, PAGE)), TroubleKind::NotTheServer),
        (Some((200, HTML, PAGE)), TroubleKind::Unreadable),
        (Some((200, JSON, "{}")), TroubleKind::Unreadable),
        (Some((204, JSON, "")), TroubleKind::Unreadable),
    ] {
        let mut store = Store::default();
        signed_in(&mut store);
        let end = later(DUE + DAY);
        let life = live(&mut store, answer, end);
        assert_eq!(life.ended, None, "{answer:?}");
        assert!((100..350).contains(&life.requests), "{answer:?}: {} requests", life.requests);
        let mut session = store.holder(end);
        assert_eq!(session.trouble().unwrap().kind(), kind, "{answer:?}");
        let since = session.trouble().unwrap().since().duration_since(later(DUE)).unwrap();
        assert!(since < Duration::from_secs(1), "{answer:?}: {since:?}");
        let mut server = RotatingServer::default();
        assert!(drive(&mut session, &mut store, &mut server, end).starts_with("idle"), "{answer:?}");
    }
}

/// Only an operator can fix this, so the user is never asked, and the trouble names the cause.
#[test]
fn a_rejected_client_asks_no_user_and_is_visible() {
    for status in [400, 401, 403, 200] {
        let mut store = Store::default();
        signed_in(&mut store);
        let answer = Some((status, JSON, r#"{"error":"invalid_client"}"#));
        let life = live(&mut store, answer, later(DUE + 10 * DAY));
        assert_eq!(life.ended, None, "{status}");
        assert!(life.requests < 10 * 24 * 14, "it waits long: {} requests", life.requests);
        let session = store.holder(later(DUE + 10 * DAY));
        let trouble = session.trouble().unwrap();
        assert_eq!((trouble.kind(), trouble.code()), (TroubleKind::ClientRejected, Some("invalid_client")));
        assert_eq!(trouble.status(), Some(status));
        assert!(trouble.to_string().contains("check the client's secret"), "{trouble}");
    }
}

#[test]
fn a_code_that_the_server_is_known_to_use_for_invalid_grant_ends_it_at_once() {
    let github = client_of(server().invalid_grant_codes(["bad_refresh_token", "token_gone"]));
    for (code, status) in [("bad_refresh_token", 200), ("token_gone", 403)] {
        let mut store = Store::default();
        let mut session = claimed(&mut store);
        let call = session.send(&github, later(DUE)).unwrap().unwrap();
        let error = answer(&mut session, call, status, &format!(r#"{{"error":"{code}"}}"#), later(DUE));
        assert_eq!(error.unwrap_err().advice(), Advice::Reauthorize);
        save(&mut session, &mut store, later(DUE));
        assert_eq!(step(&mut session, later(DUE)), "reauthorize Refused");
        assert_eq!(session.trouble().unwrap().kind(), TroubleKind::Refused);
    }
}

/// A gateway's refusals between the server's failures do not hide that the authorization is dead.
#[test]
fn unclear_refusals_count_across_other_failures_and_each_limit_is_its_own() {
    let policy = policy().max_unclear_refusals(2).max_attempts(100);
    let mut store = Store::default();
    let mut session = signed_in_with(&mut store, &body(0), policy);
    let mut time = later(DUE);
    for (status, then) in [(400, "wait"), (503, "wait"), (503, "wait"), (400, "reauthorize GaveUp")] {
        let call = claim_and_send(&mut session, &mut store, time);
        answer(&mut session, call, status, "", time).unwrap_err();
        save(&mut session, &mut store, time);
        assert!(step(&mut session, time).starts_with(then), "{status}: {}", step(&mut session, time));
        if then == "wait" {
            time = end_of_wait(&mut session, time);
        }
    }
    session.resume(time);
    save(&mut session, &mut store, time);
    for then in ["wait", "reauthorize GaveUp"] {
        let call = claim_and_send(&mut session, &mut store, time);
        answer(&mut session, call, 401, "", time).unwrap_err();
        save(&mut session, &mut store, time);
        assert!(step(&mut session, time).starts_with(then), "all are ahead again: {session:?}");
        if then == "wait" {
            time = end_of_wait(&mut session, time);
        }
    }
    // A success resets both counts.
    session.resume(time);
    save(&mut session, &mut store, time);
    refresh(&mut session, &mut store, 1, time);
    assert_eq!(session.trouble(), None);
}

#[test]
fn trouble_says_since_when_how_often_and_what_to_every_holder() {
    let mut store = Store::default();
    let mut session = claimed(&mut store);
    assert_eq!(session.trouble(), None);
    let call = send(&mut session, later(DUE));
    session.no_response(call, later(DUE + 2));
    let trouble = session.trouble().unwrap().clone();
    assert_eq!((trouble.since(), trouble.failures()), (later(DUE + 2), 1), "known before it is saved");
    assert_eq!((trouble.kind(), trouble.status(), trouble.code()), (TroubleKind::NoAnswer, None, None));
    save(&mut session, &mut store, later(DUE + 2));
    assert_eq!(store.holder(later(DUE + 2)).trouble(), Some(&trouble));

    let time = end_of_wait(&mut session, later(DUE + 2));
    let call = claim_and_send(&mut session, &mut store, time);
    let body = r#"{"error":"line\nbreak \"quoted\" fake-refresh-0"}"#;
    answer(&mut session, call, 400, body, time).unwrap_err();
    save(&mut session, &mut store, time);
    let other = store.holder(time);
    let trouble = other.trouble().unwrap();
    assert_eq!((trouble.since(), trouble.failures(), trouble.status()), (later(DUE + 2), 2, Some(400)));
    let shown = format!("{trouble} {trouble:?} {:?}", trouble.code());
    assert!(!shown.contains('\n') && !shown.contains("fake-refresh-0"), "{shown}");
    assert!(shown.contains("2 failed refreshes since Tue, 14 Nov 2023 22:43:22 GMT"), "{shown}");
    assert!(shown.contains("failures: 2") && shown.contains("status: Some(400)"), "{shown}");
}

/// A holder that died and unusable tokens count as trouble, too.
#[test]
fn failures_without_an_answer_are_trouble() {
    let mut store = Store::default();
    claimed(&mut store);
    let mut other = store.holder(later(CLAIM_OVER));
    save(&mut other, &mut store, later(CLAIM_OVER));
    assert_eq!(other.trouble().unwrap().kind(), TroubleKind::NoAnswer);
    let call = send(&mut other, later(CLAIM_OVER));
    let dead = body(1).replace("3600", "0");
    answer(&mut other, call, 200, &dead, later(CLAIM_OVER)).unwrap();
    assert_eq!(other.trouble().unwrap().kind(), TroubleKind::UnusableToken);
    assert_eq!(other.trouble().unwrap().failures(), 2);
}

#[test]
fn wait_says_what_for() {
    let reason = |session: &mut Session, time| match session.poll(time) {
        Step::Wait { reason, .. } => reason,
        step => panic!("{step:?}"),
    };
    let mut store = Store::default();
    let mut session = claimed(&mut store);
    let mut other = store.holder(later(DUE));
    assert_eq!(reason(&mut other, later(DUE)), WaitReason::AnotherHolder);
    let call = send(&mut session, later(DUE));
    assert_eq!(reason(&mut session, later(DUE)), WaitReason::OurRequest);
    session.no_response(call, later(DUE));
    save(&mut session, &mut store, later(DUE));
    assert_eq!(reason(&mut session, later(DUE)), WaitReason::Pause);
}
