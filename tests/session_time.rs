//! `Session` and time, as timelines: failures and pauses, when a refresh comes, crashes at each point, and clocks
//! that are wrong.

mod support;

#[path = "support/holders.rs"]
mod holders;

use holders::{
    DUE, EXPIRY, RotatingServer, Store, answer, body, claimed, drive, policy, refresh, save, seconds, send,
    signed_in, signed_in_with, step, tokens, usable, wait,
};
use oauth2_proto::{RefreshPolicy, Response, Secret, Session, Step};
use std::time::{Duration, SystemTime};
use support::{client, json, later, now};

/// One failed attempt, saved; gives the end of the pause.
fn fail(session: &mut Session, store: &mut Store, retry_after: Option<&str>, now: SystemTime) -> SystemTime {
    assert!(save(session, store, now));
    let call = send(session, now);
    let headers = retry_after.map(|value| ("Retry-After", value));
    session.received(call, Response::new(503, headers, b"<html>busy</html>"), now).unwrap_err();
    assert!(save(session, store, now));
    wait(session, now)
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
    // The access token is as good as before.
    assert_eq!(usable(&session, time), Some("fake-access-0"));
    assert_eq!(step(&mut store.holder(time), time), "save over 25", "with more attempts it would go on");
}

#[test]
fn after_giving_up_it_can_be_resumed_with_all_attempts() {
    let mut store = Store::default();
    let mut session = signed_in_with(&mut store, &body(0), policy().max_attempts(2));
    let first = fail(&mut session, &mut store, None, later(DUE));
    let second = fail(&mut session, &mut store, None, first);
    assert_eq!(step(&mut session, second), "reauthorize GaveUp");
    session.resume(second);
    assert!(save(&mut session, &mut store, second));
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
    assert_eq!(step(&mut session, later(1)), "rest 1800");
    fail(&mut session, &mut store, Some("86400"), later(DUE));
    assert!(step(&mut session, later(DUE + 9)).starts_with("wait"));
    session.resume(later(DUE + 9));
    assert!(save(&mut session, &mut store, later(DUE + 9)));
    refresh(&mut session, &mut store, 1, later(DUE + 9));
    assert_eq!(usable(&session, later(DUE + 9)), Some("fake-access-1"));
}

#[test]
fn a_token_that_served_before_it_was_rejected_is_no_failure() {
    let endless = |number| body(number).replace(r#""expires_in":3600,"#, "");
    let mut store = Store::default();
    let mut session = signed_in_with(&mut store, &endless(0), policy().max_attempts(3));
    // A server that says no lifetime ends each token after an hour.
    for number in 1..20 {
        let time = later(3600 * number as u64);
        session.access_token_rejected(&session.access_token(time).unwrap().clone());
        assert!(save(&mut session, &mut store, time));
        let call = send(&mut session, time);
        answer(&mut session, call, 200, &endless(number), time).unwrap();
        assert!(save(&mut session, &mut store, time));
        assert_eq!(store.value()["attempts"], 1);
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
            Step::Save(_) => assert!(save(&mut session, &mut store, time)),
            Step::Send { .. } => {
                sent += 1;
                let call = send(&mut session, time);
                time += Duration::from_secs(2);
                answer(&mut session, call, 200, &short(sent), time).unwrap();
            }
            Step::Wait(until) => time = until,
            other => break assert!(matches!(other, Step::Reauthorize(_)), "{other:?}"),
        }
    }
    assert_eq!(sent, 4);
}

#[test]
fn what_a_store_says_of_times_is_bounded() {
    let end = 253_402_300_799_999_u64;
    let start = 1_700_000_000_000_u64;
    for (state, latest) in [("claimed", later(DUE + 605)), ("backoff", later(DUE + 86_400 + 600))] {
        let mut store = Store::default();
        drop(claimed(&mut store));
        store.set("state", state.into());
        store.set("since", (start + DUE * 1000).into());
        store.set("until", end.into());
        let mut session = store.holder(later(DUE));
        let Step::Wait(until) = session.poll(later(DUE)) else { panic!("{session:?}") };
        assert_eq!(until, latest, "{state}");
        assert!(step(&mut session, latest).starts_with("save"), "{state}");
    }
    let mut store = Store::default();
    signed_in(&mut store);
    store.set("refresh_at", end.into());
    assert_eq!(step(&mut store.holder(now()), now()), "rest 3600");
}

#[test]
fn a_new_sign_in_starts_with_all_attempts_and_with_its_own_scopes() {
    let mut store = Store::default();
    let mut session = signed_in(&mut store);
    fail(&mut session, &mut store, None, later(DUE));
    // Nothing was asked for by name, and the answer says nothing.
    let sign_in = client().refresh(&Secret::new("fake-refresh")).start().unwrap();
    session.reauthorized(sign_in.read(json(&body(7))).unwrap(), later(DUE));
    assert!(save(&mut session, &mut store, later(DUE)));
    assert_eq!(store.value()["attempts"], 0);
    assert_eq!(session.granted_scopes().count(), 0);
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
        let Step::Idle(Some(until)) = session.poll(second) else { panic!("{session:?}") };
        due = until;
    }
}

/// What comes back that is neither tokens nor a refusal, and what the answer says beside it.
#[test]
fn whatever_is_no_answer_is_a_transient_failure() {
    for (status, text) in [
        (200, ""),
        (200, "<html>sign in to the network</html>"),
        (200, r#"{"token_type":"Bearer"}"#),
        (302, ""),
        (404, "not found"),
        (429, r#"{"error":"invalid_grant"}"#),
        (500, ""),
        (503, r#"{"error":"invalid_grant"}"#),
        (400, r#"{"error":"temporarily_unavailable"}"#),
        (0, ""),
    ] {
        let mut store = Store::default();
        let mut session = claimed(&mut store);
        let call = send(&mut session, later(DUE));
        assert!(answer(&mut session, call, status, text, later(DUE)).is_err());
        assert!(save(&mut session, &mut store, later(DUE)));
        let end = wait(&mut session, later(DUE));
        assert!(later(DUE) < end && end <= later(DUE + 1), "{status} {text}: {end:?}");
        drive(&mut session, &mut store, &mut RotatingServer::default(), end);
        assert_eq!(usable(&session, end), Some("fake-access-1"), "{status} {text}");
    }
}

#[test]
fn retry_after_is_honoured_in_seconds_and_as_a_date_and_bounded() {
    let bounded = policy().max_retry_after(Duration::from_secs(1000));
    // 1800 seconds after the sign-in it is 22:43:20.
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
        // Many that were told the same do not come back in the same second.
        let jitter = seconds(end) - DUE as f64 - f64::from(least);
        assert!((0.5..=1.0).contains(&jitter), "{value}: {jitter}");
        // Another holder keeps to it, too.
        assert_eq!(wait(&mut store.holder(later(DUE)), later(DUE)), end);
    }
    let mut session = signed_in(&mut Store::default());
    let mut store = Store { revision: 1, ..Store::default() };
    let end = fail(&mut session, &mut store, Some("99999999999999999999999999"), later(DUE));
    assert!(end <= later(DUE + 24 * 3600 + 1), "{end:?}");
}

#[test]
fn a_refresh_starts_early_and_sessions_that_begin_together_are_spread() {
    let refreshes = |later_ones: bool| {
        let mut moments: Vec<f64> = (0..500)
            .map(|number| {
                let tokens = tokens(&body(number));
                let mut session = Session::new(tokens, RefreshPolicy::default(), now());
                let mut store = Store::default();
                assert!(save(&mut session, &mut store, now()));
                let rest = |session: &mut Session, time| match session.poll(time) {
                    Step::Idle(Some(until)) => until,
                    step => panic!("{step:?}"),
                };
                let mut start = now();
                if later_ones {
                    start = rest(&mut session, now());
                    refresh(&mut session, &mut store, number, start);
                }
                let end = rest(&mut session, start);
                assert_eq!(
                    rest(&mut Session::restore(store.load(), RefreshPolicy::default(), start), start),
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

/// A process dies at each point of a refresh, and another goes on from what is stored.
#[test]
fn after_a_crash_at_any_point_the_session_resumes_from_the_last_snapshot() {
    let one = ["fake-refresh-0"].as_slice();
    let twice = ["fake-refresh-0", "fake-refresh-0"].as_slice();
    for (point, crash, when, end, seen) in [
        (0, "before the claim is saved", 1800, "rest 3600", one),
        (1, "when the claim is in the store", 1800, "rest 3665", one),
        (2, "when it is known to be in the store", 1800, "rest 3665", one),
        (3, "when the request was made and not sent", 1800, "rest 3665", one),
        // The window that no client can close: rotated at the server, and in one process only.
        (4, "when the server has rotated", 1800, "reauthorize Refused", twice),
        (5, "when the answer was read", 1800, "reauthorize Refused", twice),
        (6, "when the tokens are in the store", 1800, "rest 3600", one),
        (7, "when they are known to be in the store", 1800, "rest 3600", one),
        // Later than the claim lasts, nobody waits.
        (1, "and nobody looks for a while", 1900, "rest 3700", one),
    ] {
        let mut store = Store::default();
        let mut server = RotatingServer::default();
        run_until(point, &mut store, &mut server);
        let mut session = store.holder(later(when));
        let token = usable(&session, later(when)).map(str::to_owned);
        assert_eq!(
            token.as_deref(),
            Some(if point < 6 { "fake-access-0" } else { "fake-access-1" }),
            "{crash}"
        );
        assert_eq!(drive(&mut session, &mut store, &mut server, later(when)), end, "{crash}");
        assert_eq!(server.seen, seen, "{crash}");
        if end.starts_with("rest") {
            assert_eq!(usable(&session, later(1900)), Some("fake-access-1"), "{crash}");
        }
        assert_eq!(step(&mut store.holder(later(1900)), later(1900)), end, "{crash}: it is not stored");
    }
}

/// A refresh at 1800 that ends with the process, at one of eight points.
fn run_until(point: usize, store: &mut Store, server: &mut RotatingServer) {
    let mut session = signed_in(store);
    let Step::Save(claim) = session.poll(later(DUE)) else { panic!() };
    if point == 0 {
        return;
    }
    assert!(store.compare_and_swap(&claim));
    if point == 1 {
        return;
    }
    session.saved(claim);
    if point == 2 {
        return;
    }
    let call = send(&mut session, later(DUE));
    if point == 3 {
        return;
    }
    let (status, body) = server.answer(call.request());
    if point == 4 {
        return;
    }
    answer(&mut session, call, status, &body, later(DUE)).unwrap();
    let Step::Save(learned) = session.poll(later(DUE)) else { panic!() };
    if point == 5 {
        return;
    }
    assert!(store.compare_and_swap(&learned));
    if point == 6 {
        return;
    }
    session.saved(learned);
}

#[test]
fn a_sign_in_that_was_not_saved_leaves_nothing_behind() {
    let mut session = Session::new(tokens(&body(0)), policy(), now());
    for time in [now(), later(DUE), later(9 * EXPIRY)] {
        assert_eq!((step(&mut session, time), usable(&session, time)), ("save over 0".to_owned(), None));
    }
}

#[test]
fn an_answer_after_the_claim_is_over_still_counts() {
    let mut store = Store::default();
    let mut session = claimed(&mut store);
    let call = send(&mut session, later(DUE));
    assert_eq!(step(&mut session, later(DUE + 62)), "wait 1865");
    answer(&mut session, call, 200, &body(1), later(DUE + 63)).unwrap();
    assert!(save(&mut session, &mut store, later(DUE + 63)));
    assert_eq!(usable(&session, later(DUE + 63)), Some("fake-access-1"));
}

#[test]
fn a_clock_that_goes_back_by_no_more_than_the_skew_stands_still() {
    let mut store = Store::default();
    let mut session = claimed(&mut store);
    assert_eq!(step(&mut session, later(DUE - 5)), "send by 1860");
    let call = session.send(&client(), later(DUE - 5)).unwrap().unwrap();
    assert_eq!(step(&mut session, later(DUE + 60)), "wait 1865", "our own claim is over");
    assert_eq!(step(&mut session, later(DUE + 55)), "wait 1865", "and stays so");
    assert!(session.send(&client(), later(DUE + 55)).unwrap().is_none());
    answer(&mut session, call, 200, &body(1), later(DUE + 56)).unwrap();
    assert!(save(&mut session, &mut store, later(DUE + 56)));
    // Counted from when it was sent, at a time that is no earlier than any other seen until then.
    assert_eq!(step(&mut session, later(DUE + 57)), "rest 3600");
    assert_eq!(step(&mut session, later(2 * DUE)), "save over 3");
    assert_eq!(step(&mut session, later(2 * DUE - 4)), "save over 3", "due is due");
}

#[test]
fn a_clock_that_goes_back_by_more_ends_our_claim_and_starts_the_wait_for_anothers_anew() {
    let mut store = Store::default();
    let mut sleeper = claimed(&mut store);
    assert_eq!(step(&mut sleeper, later(DUE - 6)), "wait 1859");
    assert!(sleeper.send(&client(), later(DUE)).unwrap().is_none(), "how much is left cannot be told");

    let mut waiting = store.holder(later(DUE + 60));
    assert_eq!(step(&mut waiting, later(DUE + 60)), "wait 1865");
    assert_eq!(step(&mut waiting, later(1000)), "wait 1065", "a claim lasts no longer than a claim");
    assert_eq!(step(&mut waiting, later(1065)), "save over 2");
}

#[test]
fn a_claim_that_was_saved_while_the_clock_went_back_is_not_ours() {
    let mut store = Store::default();
    let mut session = signed_in(&mut store);
    let Step::Save(claim) = session.poll(later(DUE)) else { panic!("it is due") };
    assert!(store.compare_and_swap(&claim));
    assert_eq!(step(&mut session, later(DUE - 100)), "rest 1800");
    session.saved(claim);
    assert!(session.send(&client(), later(DUE - 100)).unwrap().is_none());
    assert_eq!(step(&mut session, later(DUE - 100)), "wait 1765");
}

#[test]
fn clocks_that_are_set_within_the_skew_do_not_shorten_a_claim() {
    let mut store = Store::default();
    let mut session = signed_in(&mut store);
    assert!(save(&mut session, &mut store, later(DUE + 2)));
    // The other clock is five seconds behind when it sees the claim, and is set to the right time later.
    let mut other = store.holder(later(DUE - 3));
    assert_eq!(step(&mut other, later(DUE - 3)), "wait 1867");
}

#[test]
fn tokens_that_come_after_the_clock_went_back_count_from_their_arrival() {
    let mut store = Store::default();
    let mut session = claimed(&mut store);
    let call = send(&mut session, later(DUE));
    answer(&mut session, call, 200, &body(1), later(100)).unwrap();
    assert!(save(&mut session, &mut store, later(100)));
    assert_eq!(usable(&session, later(100)), Some("fake-access-1"));
    assert_eq!(step(&mut session, later(100)), "rest 1900");
}

#[test]
fn an_expired_token_is_not_revived_and_is_replaced_though_the_clock_goes_back() {
    let mut store = Store::default();
    let mut session = signed_in(&mut store);
    let mut server = RotatingServer::default();
    assert_eq!(step(&mut session, later(EXPIRY)), "save over 1");
    for seconds in [EXPIRY - 1, EXPIRY - 5, EXPIRY - 6, 100, 0] {
        assert_eq!(usable(&session, later(seconds)), None, "{seconds}");
        assert_eq!(step(&mut session, later(seconds)), "save over 1", "{seconds}");
    }
    assert_eq!(drive(&mut session, &mut store, &mut server, later(10)), "rest 1810");
    assert_eq!(usable(&session, later(10)), Some("fake-access-1"), "a new token is not expired");

    // Without a refresh token only the user can help.
    let only = r#"{"access_token":"fake-access-0","token_type":"Bearer","expires_in":3600}"#;
    let mut session = signed_in_with(&mut Store::default(), only, policy());
    for seconds in [EXPIRY, 100] {
        assert_eq!(step(&mut session, later(seconds)), "reauthorize NoRefreshToken");
    }
}

#[test]
fn a_token_from_the_future_is_unusable_and_due() {
    let mut store = Store::default();
    signed_in(&mut store);
    for rejected in [false, true] {
        for (seconds, token) in [(5, Some("fake-access-0")), (6, None), (86_400 * 365, None)] {
            let time = now() - Duration::from_secs(seconds);
            let mut store = store.clone();
            let mut session = store.holder(time);
            if rejected {
                session.access_token_rejected(&Secret::new("fake-access-0"));
            }
            assert_eq!(usable(&session, time), token.filter(|_| !rejected), "{seconds}");
            if token.is_none() {
                assert_eq!(step(&mut session, time), "save over 1", "{seconds} {rejected}");
                refresh(&mut session, &mut store, 1, time);
                assert_eq!(usable(&session, time), Some("fake-access-1"));
            }
        }
    }
}

/// A holder with another clock takes our claim for over while we may still send.
#[test]
fn who_adopts_another_holders_claim_does_not_send_for_it() {
    let mut store = Store::default();
    let mut session = claimed(&mut store);
    let mut ahead = store.holder(later(DUE + 100));
    assert!(save(&mut ahead, &mut store, later(DUE + 100)));
    session.adopt(store.load(), later(DUE + 1)).unwrap();
    assert!(session.send(&client(), later(DUE + 1)).unwrap().is_none());
    assert_eq!(step(&mut session, later(DUE + 1)), "wait 1866");
}

/// One holder's clock stands in 2099; whatever it does, the others go on.
#[test]
fn a_clock_that_is_ahead_makes_one_refresh_too_many_and_no_more() {
    let in_2099 = later(2_400_000_000);
    let mut store = Store::default();
    let mut ahead = signed_in(&mut store);
    let mut other = store.holder(now());
    // Its claim blocks the others for a claim and the skew, from when they see it.
    assert_eq!(step(&mut ahead, in_2099), "save over 1");
    assert!(save(&mut ahead, &mut store, in_2099));
    other.adopt(store.load(), later(100)).unwrap();
    assert_eq!(step(&mut other, later(100)), "wait 165");
    assert_eq!(step(&mut store.holder(later(110)), later(110)), "wait 175");
    // Its pause blocks nobody, and its tokens are replaced.
    let call = send(&mut ahead, in_2099);
    let mut failed = store.clone();
    ahead.no_response(call, in_2099);
    assert!(save(&mut ahead, &mut failed, in_2099));
    assert_eq!(step(&mut failed.holder(later(100)), later(100)), "save over 3");

    let mut store = Store::default();
    let mut session = signed_in(&mut store);
    assert!(save(&mut session, &mut store, in_2099));
    let call = send(&mut session, in_2099);
    answer(&mut session, call, 200, &body(1), in_2099).unwrap();
    assert!(save(&mut session, &mut store, in_2099));
    // Its clock is set right.
    let mut server = RotatingServer { number: 1, ..RotatingServer::default() };
    assert_eq!(drive(&mut session, &mut store, &mut server, later(100)), "rest 1900");
    assert_eq!(server.seen, ["fake-refresh-1"]);
    assert_eq!(usable(&session, later(100)), Some("fake-access-2"));
}

#[test]
fn times_before_1970_and_at_the_end_of_time_are_taken_as_they_are_bounded() {
    let before = SystemTime::UNIX_EPOCH - Duration::from_secs(86_400);
    let mut session = Session::new(tokens(&body(0)), policy(), before);
    let mut store = Store::default();
    assert!(save(&mut session, &mut store, before));
    assert_eq!(session.expires_at(), Some(SystemTime::UNIX_EPOCH + Duration::from_secs(EXPIRY)));
    let endless = body(0).replace("3600", "99999999999999999999");
    let mut session = signed_in_with(&mut Store::default(), &endless, policy());
    // The longest lifetime that is reported, 68 years.
    assert_eq!(session.expires_at(), Some(later(2_147_483_647)));
    assert_eq!(usable(&session, later(1_000_000_000)), Some("fake-access-0"));
    assert!(step(&mut session, later(1_000_000_000)).starts_with("rest"));
    let end = SystemTime::UNIX_EPOCH + Duration::from_secs(300_000_000_000);
    assert_eq!(usable(&session, end), None);
    assert!(step(&mut session, end).starts_with("save"));
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
            Step::Save(_) => assert!(save(&mut session, &mut store, time)),
            Step::Send { .. } => {
                number += 1;
                let call = send(&mut session, time);
                answer(&mut session, call, 200, &dead(number), time).unwrap();
            }
            Step::Idle(Some(until)) | Step::Wait(until) => time = until,
            _ => break,
        }
    }
    assert_eq!((number, step(&mut session, time)), (5, "reauthorize GaveUp".to_owned()));
    // 1, 2, 4 and 8 seconds, each shortened by half at the most.
    assert!(later(7) <= time && time <= later(31), "{time:?}");
    assert_eq!(store.value()["refresh_token"], "fake-refresh-5", "even so, each was saved");
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
                let end = wait(&mut session, time);
                let pause = end.duration_since(time).unwrap().as_secs_f64();
                assert!(most / 2.0 <= pause && pause <= most, "{number}: {pause}");
                let almost = end - Duration::from_millis(1);
                assert_eq!(wait(&mut session, almost), end, "also when the token has expired");
                time = end;
            }
            assert!(save(&mut session, &mut store, time));
            let call = send(&mut session, time);
            answer(&mut session, call, 200, &body(number), time).unwrap();
            assert!(save(&mut session, &mut store, time));
        }
        session.access_token_rejected(&Secret::new("fake-access-8"));
        time = wait(&mut session, time);
        assert_eq!(step(&mut session, time), "reauthorize GaveUp");
    }
}

/// The answer to a refresh says what is wrong with the configuration; a person will mend that, and the grant is
/// as good as before.
#[test]
fn configuration_errors_wait_long_and_do_not_end_the_session() {
    for code in ["invalid_client", "unauthorized_client", "invalid_scope", "some_vendors_own"] {
        let mut store = Store::default();
        let mut session = claimed(&mut store);
        let call = send(&mut session, later(DUE));
        let body = format!(r#"{{"error":"{code}"}}"#);
        answer(&mut session, call, 401, &body, later(DUE)).unwrap_err();
        assert!(save(&mut session, &mut store, later(DUE)));
        let end = wait(&mut session, later(DUE));
        assert!(later(DUE + 300) <= end && end <= later(DUE + 600), "{code}: {end:?}");
        assert_eq!(usable(&session, end), Some("fake-access-0"));
        let mut server = RotatingServer::default();
        drive(&mut session, &mut store, &mut server, end);
        assert_eq!(usable(&session, end), Some("fake-access-1"), "{code}");
    }
}
