//! The settings of `RefreshPolicy`: the moment of a refresh, the pauses after failures, and the number of
//! attempts.

use std::time::Duration;

use oauth2_proto::{RefreshPolicy, Secret, Session, Step};

use crate::steps::*;
use crate::store::Store;
use crate::support::{client, later, now};

#[test]
fn a_refresh_starts_early_and_sessions_that_begin_together_are_spread() {
    let refreshes = |later_ones: bool| {
        let mut moments: Vec<f64> = (0..500)
            .map(|number| {
                let tokens = tokens(&body(number));
                let mut session = Session::new(tokens, RefreshPolicy::default(), now());
                let mut store = Store::default();
                save(&mut session, &mut store, now());
                let mut start = now();
                if later_ones {
                    start = end_of_idleness(&mut session, now());
                    refresh(&mut session, &mut store, number, start);
                }
                let end = end_of_idleness(&mut session, start);
                assert_eq!(
                    end_of_idleness(
                        &mut Session::restore(&client(), store.load(), RefreshPolicy::default(), start)
                            .unwrap(),
                        start
                    ),
                    end
                );
                end.duration_since(start).unwrap().as_secs_f64() / EXPIRY as f64
            })
            .collect();
        moments.sort_by(f64::total_cmp);
        moments
    };
    let first = refreshes(false);
    assert!(first[0] < 0.05 && first[499] <= 0.75, "anywhere: {} {}", first[0], first[499]);
    let following = refreshes(true);
    assert!(following[0] >= 0.5 && following[499] <= 0.75, "{} {}", following[0], following[499]);
    for moments in [first, following] {
        let width = (moments[499] - moments[0]) / 10.0;
        for part in 0..10 {
            let from = moments[0] + width * f64::from(part);
            let inside = moments.iter().filter(|moment| (from..from + width).contains(*moment)).count();
            assert!((5..100).contains(&inside), "{inside} of 500 in one tenth");
        }
    }
}

#[test]
fn transient_failures_back_off_with_jitter_and_end() {
    let mut store = Store::default();
    let short = policy().max_attempts(12).backoff(Duration::from_secs(1), Duration::from_secs(60));
    let mut session = signed_in_with(&mut store, &body(0), short);
    let mut time = later(DUE);
    let mut parts = Vec::new();
    for failures in 0..12 {
        let end = fail(&mut session, &mut store, None, time);
        let pause = end.duration_since(time).unwrap().as_secs_f64();
        let most = f64::min(f64::from(1 << failures), 60.0);
        assert!(most / 2.0 <= pause && pause <= most, "{failures}: {pause}");
        parts.push(pause / most);
        assert_eq!(step(&mut session, end - Duration::from_millis(1)), format!("wait {}", seconds(end)));
        time = end;
    }
    parts.sort_by(f64::total_cmp);
    assert!(parts[11] - parts[0] > 0.2, "not spread: {parts:?}");
    assert_eq!(step(&mut session, time), "reauthorize GaveUp");
    assert!(session.send(&client(), time).unwrap().is_none());
    // The access token stays usable.
    assert_eq!(usable(&session, time), Some("fake-access-0"));
    assert_eq!(step(&mut store.holder(time), time), "save over 25", "with more attempts it would go on");
}

#[test]
fn retry_after_is_honoured_in_seconds_and_as_a_date_and_bounded() {
    let bounded = policy().max_retry_after(Duration::from_secs(1000));
    // The tokens are due at 22:43:20.
    for (value, least) in [
        ("120", 120),
        ("0", 0),
        ("Tue, 14 Nov 2023 22:45:00 GMT", 100),
        ("Tue, 14 Nov 2023 22:00:00 GMT", 0),
        ("1000", 1000),
        ("1001", 1000),
        ("99999999999999999999999999", 1000),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 1000),
        ("soon", 0),
    ] {
        let mut store = Store::default();
        let mut session = signed_in_with(&mut store, &body(0), bounded);
        let end = fail(&mut session, &mut store, Some(value), later(DUE));
        // Jitter, so that many holders with the same `Retry-After` are spread.
        let jitter = seconds(end) - DUE as f64 - f64::from(least);
        assert!((0.5..=1.0).contains(&jitter), "{value}: {jitter}");
        // Another holder waits until then, too.
        assert_eq!(end_of_wait(&mut store.holder(later(DUE)), later(DUE)), end);
    }
    let mut store = Store::default();
    let mut session = signed_in(&mut store);
    let end = fail(&mut session, &mut store, Some("99999999999999999999999999"), later(DUE));
    assert!(end <= later(DUE + DAY + 1), "{end:?}");
}

/// An operator must correct the configuration; until then the grant stays valid.
#[test]
fn a_rejected_client_waits_long_and_does_not_end_the_session() {
    let mut store = Store::default();
    let mut session = claimed(&mut store);
    let call = send(&mut session, later(DUE));
    let body = r#"{"error":"invalid_client"}"#;
    answer(&mut session, call, 401, body, later(DUE)).unwrap_err();
    save(&mut session, &mut store, later(DUE));
    let end = end_of_wait(&mut session, later(DUE));
    assert!(later(DUE + LONGEST_BACKOFF / 2) <= end && end <= later(DUE + LONGEST_BACKOFF), "{end:?}");
    assert_eq!(usable(&session, end), Some("fake-access-0"));
    let mut server = RotatingServer::default();
    drive(&mut session, &mut store, &mut server, end);
    assert_eq!(usable(&session, end), Some("fake-access-1"));
}

#[test]
fn after_giving_up_it_can_be_resumed_with_all_attempts() {
    let mut store = Store::default();
    let mut session = signed_in_with(&mut store, &body(0), policy().max_attempts(2));
    let first = fail(&mut session, &mut store, None, later(DUE));
    let second = fail(&mut session, &mut store, None, first);
    assert_eq!(step(&mut session, second), "reauthorize GaveUp");
    session.resume(second);
    save(&mut session, &mut store, second);
    assert_eq!(store.value()["attempts"], 0);
    let third = fail(&mut session, &mut store, None, second);
    assert!(third.duration_since(second).unwrap() <= Duration::from_secs(1), "as after the first failure");
    refresh(&mut session, &mut store, 1, third);
    assert_eq!(usable(&session, third), Some("fake-access-1"));
}

#[test]
fn a_pause_can_be_cut_short_and_nothing_else_is_changed_by_resume() {
    let mut store = Store::default();
    let mut session = signed_in(&mut store);
    session.resume(later(1));
    assert_eq!(step(&mut session, later(1)), "idle 1800");
    fail(&mut session, &mut store, Some("86400"), later(DUE));
    assert!(step(&mut session, later(DUE + 9)).starts_with("wait"));
    session.resume(later(DUE + 9));
    save(&mut session, &mut store, later(DUE + 9));
    refresh(&mut session, &mut store, 1, later(DUE + 9));
    assert_eq!(usable(&session, later(DUE + 9)), Some("fake-access-1"));
}

#[test]
fn a_resume_after_the_pause_restarts_the_limits_too() {
    let mut store = Store::default();
    let mut session = signed_in_with(&mut store, &body(0), policy().max_attempts(2));
    let due_again = fail(&mut session, &mut store, None, later(DUE));
    assert_eq!(store.value()["attempts"], 1);
    session.resume(due_again);
    save(&mut session, &mut store, due_again);
    assert_eq!(store.value()["attempts"], 0);
}

#[test]
fn after_a_success_the_attempts_count_from_the_start() {
    let mut store = Store::default();
    let mut session = signed_in_with(&mut store, &body(0), policy().max_attempts(3));
    let mut due = later(DUE);
    for number in 1..5 {
        let first = fail(&mut session, &mut store, None, due);
        let second = fail(&mut session, &mut store, None, first);
        refresh(&mut session, &mut store, number, second);
        due = end_of_idleness(&mut session, second);
    }
}

#[test]
fn a_token_that_served_before_it_was_rejected_is_no_failure() {
    let endless = |number| body(number).replace(r#""expires_in":3600,"#, "");
    let mut store = Store::default();
    let mut session = signed_in_with(&mut store, &endless(0), policy().max_attempts(3));
    // The server states no lifetime, and ends each token after an hour.
    for number in 1..20 {
        let time = later(EXPIRY * number as u64);
        session.access_token_rejected(&session.access_token(time).unwrap().clone());
        let call = claim_and_send(&mut session, &mut store, time);
        answer(&mut session, call, 200, &endless(number), time).unwrap();
        save(&mut session, &mut store, time);
        assert_eq!(store.value()["attempts"], 1);
    }
}

#[test]
fn an_api_that_rejects_every_token_is_asked_less_and_less_and_then_no_more() {
    for lifetime in ["3600", "1"] {
        let body = |number| body(number).replace("3600", lifetime);
        let mut store = Store::default();
        let mut session = signed_in_with(&mut store, &body(0), policy().max_attempts(8));
        let mut time = now();
        for number in 1..=8 {
            session.access_token_rejected(&Secret::new(format!("fake-access-{}", number - 1)));
            if number > 1 {
                let most = f64::from(1 << (number - 2));
                let end = end_of_wait(&mut session, time);
                let pause = end.duration_since(time).unwrap().as_secs_f64();
                assert!(most / 2.0 <= pause && pause <= most, "{number}: {pause}");
                let almost = end - Duration::from_millis(1);
                assert_eq!(end_of_wait(&mut session, almost), end, "also when the token has expired");
                time = end;
            }
            let call = claim_and_send(&mut session, &mut store, time);
            answer(&mut session, call, 200, &body(number), time).unwrap();
            save(&mut session, &mut store, time);
        }
        session.access_token_rejected(&Secret::new("fake-access-8"));
        time = end_of_wait(&mut session, time);
        assert_eq!(step(&mut session, time), "reauthorize GaveUp");
    }
}

#[test]
fn a_token_that_ends_before_its_answer_is_here_counts_as_dead_on_arrival() {
    let short = |number| body(number).replace("3600", "1");
    let mut store = Store::default();
    let mut session = signed_in_with(&mut store, &short(0), policy().max_attempts(4));
    let (mut time, mut sent, mut steps) = (later(1), 0, 0);
    loop {
        steps += 1;
        assert!(steps < 100, "{session:?} never gives up");
        match session.poll(time) {
            Step::Save(_) => save(&mut session, &mut store, time),
            Step::Send { .. } => {
                sent += 1;
                let call = send(&mut session, time);
                time += Duration::from_secs(2);
                answer(&mut session, call, 200, &short(sent), time).unwrap();
            }
            Step::Wait { until, .. } => time = until,
            other => break assert!(matches!(other, Step::Reauthorize(_)), "{other:?}"),
        }
    }
    assert_eq!(sent, 4);
}

#[test]
fn a_lifetime_of_0_is_never_used_and_ends() {
    let dead = |number: usize| body(number).replace("3600", "0");
    let mut store = Store::default();
    let mut session = signed_in_with(&mut store, &dead(0), policy().max_attempts(5));
    let earlier = now() - Duration::from_secs(3);
    assert_eq!(usable(&store.holder(earlier), earlier), None, "nor by a clock that is behind");
    let mut time = now();
    let (mut number, mut steps) = (0, 0);
    loop {
        steps += 1;
        assert!(steps < 100, "{session:?} never gives up");
        assert_eq!(usable(&session, time), None);
        match session.poll(time) {
            Step::Save(_) => save(&mut session, &mut store, time),
            Step::Send { .. } => {
                number += 1;
                let call = send(&mut session, time);
                answer(&mut session, call, 200, &dead(number), time).unwrap();
            }
            Step::Idle(Some(until)) | Step::Wait { until, .. } => time = until,
            _ => break,
        }
    }
    assert_eq!((number, step(&mut session, time)), (5, "reauthorize GaveUp".to_owned()));
    // Pauses of 1, 2, 4 and 8 seconds, of which jitter takes half at most.
    assert!(later(7) <= time && time <= later(31), "{time:?}");
    assert_eq!(store.value()["refresh_token"], "fake-refresh-5", "even so, each was saved");
}
