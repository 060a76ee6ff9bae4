//! `Session`, as timelines: what a holder may do, what an answer changes, and how holders that share a store
//! stay out of each other's way. Clocks, crashes and failures are in
//! `session_time.rs`.

mod support;

#[path = "support/holders.rs"]
mod holders;

use holders::{
    DUE, EXPIRY, Store, answer, body, claimed, policy, refresh, refresh_token, save, send, signed_in,
    signed_in_with, step, tokens, usable,
};
use oauth2_proto::{
    AuthorizationServer, Client, ClientAuth, Secret, Session, Step, error::ErrorKind, server::Leniency,
    token::TokenType,
};
use std::time::{Duration, SystemTime};
use support::{client, client_of, later, now, server};

#[test]
fn a_refresh_from_sign_in_to_use() {
    let mut store = Store::default();
    let mut session = Session::new(tokens(&body(0)), policy(), now());
    assert_eq!((session.revision(), step(&mut session, now())), (0, "save over 0".to_owned()));
    assert!(save(&mut session, &mut store, now()));
    assert_eq!((session.revision(), step(&mut session, later(1))), (1, "rest 1800".to_owned()));
    assert_eq!(session.expires_at(), Some(later(EXPIRY)));
    assert_eq!(step(&mut session, later(1799)), "rest 1800");
    assert_eq!(step(&mut session, later(1800)), "save over 1");
    assert!(save(&mut session, &mut store, later(1800)));
    assert_eq!(step(&mut session, later(1801)), "send by 1860");
    let call = send(&mut session, later(1801));
    assert_eq!(call.request().body(), "grant_type=refresh_token&refresh_token=fake-refresh-0");
    assert_eq!(step(&mut session, later(1802)), "wait 1860");
    answer(&mut session, call, 200, &body(1), later(1803)).unwrap();
    assert_eq!(step(&mut session, later(1803)), "save over 2");
    assert!(save(&mut session, &mut store, later(1804)));
    // The lifetime counts from when the request was sent.
    assert_eq!((session.revision(), step(&mut session, later(1804))), (3, "rest 3601".to_owned()));
    assert_eq!(usable(&session, later(1804)), Some("fake-access-1"));
    assert_eq!(store.value()["refresh_token"], "fake-refresh-1");
}

/// Three holders whose clocks are apart by the skew, and all die in the middle of each refresh.
#[test]
fn at_most_one_refresh_in_flight_per_authorization() {
    let mut store = Store::default();
    signed_in(&mut store);
    let behind = Duration::from_millis(2500);
    let local = |clock: usize, time: SystemTime| time - behind + behind * clock as u32;
    let mut holders: Vec<_> = (0..3).map(|clock| store.holder(local(clock, now()))).collect();
    let mut in_flight_until = now();
    let mut senders = Vec::new();
    for half_second in 2 * DUE - 20..2 * DUE + 2000 {
        let time = now() + Duration::from_millis(half_second * 500);
        // Each has its turn as the first.
        for turn in 0..3 {
            let clock = (turn + half_second as usize) % 3;
            // The others sleep half of the time, so that the one whose clock is behind has its chance.
            if clock != 0 && half_second / 400 % 2 == 1 {
                continue;
            }
            let (session, now) = (&mut holders[clock], local(clock, time));
            match session.poll(now) {
                Step::Save(_) => {
                    save(session, &mut store, now);
                }
                Step::Send { until } => {
                    assert!(in_flight_until <= time, "two in flight at {half_second}: {senders:?}");
                    send(session, now);
                    in_flight_until = until + behind - behind * clock as u32;
                    senders.push(clock);
                }
                _ => drop(session.adopt(store.load(), now).unwrap()),
            }
        }
    }
    assert!(senders.len() >= 14 && senders.contains(&0) && senders.contains(&2), "{senders:?}");
}

#[test]
fn a_refresh_token_is_never_sent_after_its_successor_was_saved() {
    let mut store = Store::default();
    let mut asleep = signed_in(&mut store);
    let mut slow = store.holder(later(10));
    // One claims, and sleeps before it sends; another takes over and refreshes.
    assert!(save(&mut slow, &mut store, later(DUE)));
    let mut other = store.holder(later(DUE));
    refresh(&mut other, &mut store, 1, later(DUE + 65));
    for time in [later(DUE + 30), later(DUE + 66)] {
        assert!(slow.send(&client(), time).unwrap().is_none());
    }
    slow.adopt(store.load(), later(DUE + 66)).unwrap();
    // Another knows nothing of all that; its claim is refused by the store.
    assert!(!save(&mut asleep, &mut store, later(2000)));
    for session in [&mut slow, &mut asleep] {
        assert!(session.send(&client(), later(2000)).unwrap().is_none());
        assert_eq!(usable(session, later(2000)), Some("fake-access-1"));
    }
    assert!(save(&mut slow, &mut store, later(DUE + 65 + 1800)));
    let call = send(&mut slow, later(DUE + 65 + 1800));
    assert_eq!(refresh_token(call.request()), "fake-refresh-1");
}

#[test]
fn a_missing_refresh_token_in_the_answer_keeps_the_old_one() {
    for member in ["", r#","refresh_token":null"#, r#","refresh_token":"""#] {
        let mut store = Store::default();
        let mut session = claimed(&mut store);
        let call = send(&mut session, later(DUE));
        let body = format!(r#"{{"access_token":"fake-a","token_type":"Bearer","expires_in":3600{member}}}"#);
        answer(&mut session, call, 200, &body, later(DUE)).unwrap();
        assert!(save(&mut session, &mut store, later(DUE)));
        assert_eq!(store.value()["refresh_token"], "fake-refresh-0");
        assert_eq!(usable(&session, later(DUE)), Some("fake-a"));
        assert!(save(&mut session, &mut store, later(2 * DUE)));
        let call = send(&mut session, later(2 * DUE));
        assert_eq!(refresh_token(call.request()), "fake-refresh-0");
    }
}

#[test]
fn a_stale_answer_is_ignored() {
    // Good or bad, it comes when another holder has refreshed twice.
    for (status, text) in [(200, body(9).as_str()), (400, r#"{"error":"invalid_grant"}"#), (503, "")] {
        let mut store = Store::default();
        let mut session = claimed(&mut store);
        let call = send(&mut session, later(DUE));
        let mut other = store.holder(later(DUE));
        refresh(&mut other, &mut store, 1, later(DUE + 65));
        session.adopt(store.load(), later(2000)).unwrap();
        let before = format!("{session:?}");
        let _ = answer(&mut session, call, status, text, later(2000));
        assert_eq!(format!("{session:?}"), before, "{status} {text}");
        assert_eq!(usable(&session, later(2000)), Some("fake-access-1"));
    }
}

#[test]
fn a_stale_failure_is_ignored_but_stale_tokens_are_not_while_nobody_has_later_ones() {
    let mut store = Store::default();
    let mut session = claimed(&mut store);
    let early = send(&mut session, later(DUE));
    assert!(save(&mut session, &mut store, later(DUE + 65)));
    let late = send(&mut session, later(DUE + 65));
    answer(&mut session, early, 400, r#"{"error":"invalid_grant"}"#, later(DUE + 66)).unwrap_err();
    assert_eq!(step(&mut session, later(DUE + 66)), "wait 1925");
    answer(&mut session, late, 200, &body(1), later(DUE + 67)).unwrap();
    assert!(save(&mut session, &mut store, later(DUE + 67)));
    assert_eq!(usable(&session, later(DUE + 67)), Some("fake-access-1"));
}

#[test]
fn of_two_answers_to_one_refresh_token_the_first_counts() {
    let mut store = Store::default();
    let mut session = claimed(&mut store);
    let early = send(&mut session, later(DUE));
    assert!(save(&mut session, &mut store, later(DUE + 65)));
    let late = send(&mut session, later(DUE + 65));
    answer(&mut session, early, 200, &body(1), later(DUE + 66)).unwrap();
    let learned = format!("{session:?}");
    answer(&mut session, late, 200, &body(2), later(DUE + 67)).unwrap();
    assert_eq!(format!("{session:?}"), learned);
    assert!(save(&mut session, &mut store, later(DUE + 67)));
    assert_eq!(usable(&session, later(DUE + 67)), Some("fake-access-1"));
}

#[test]
fn an_answer_to_a_call_of_another_session_is_ignored() {
    let (mut store, mut other_store) = (Store::default(), Store::default());
    let mut session = claimed(&mut store);
    let mut other = signed_in_with(&mut other_store, &body(50), policy());
    assert!(save(&mut other, &mut other_store, later(DUE)));
    // The first is for a claim with the same number as ours.
    for text in [r#"{"error":"invalid_grant"}"#, body(51).as_str()] {
        let call = match other.send(&client(), later(DUE)).unwrap() {
            Some(call) => call,
            None => {
                assert!(save(&mut other, &mut other_store, later(DUE + 65)));
                send(&mut other, later(DUE + 65))
            }
        };
        let status = if text.contains("error") { 400 } else { 200 };
        let before = format!("{session:?}");
        let _ = answer(&mut session, call, status, text, later(DUE));
        assert_eq!(format!("{session:?}"), before, "{text}");
    }
    assert_eq!(step(&mut session, later(DUE)), "send by 1860");
}

#[test]
fn a_stale_snapshot_is_ignored() {
    let mut store = Store::default();
    let mut session = signed_in(&mut store);
    let first = store.clone();
    let Step::Save(save_once) = session.poll(later(DUE)) else { panic!() };
    let Step::Save(save_twice) = session.poll(later(DUE)) else { panic!() };
    assert!(store.compare_and_swap(&save_once) && !store.compare_and_swap(&save_twice));
    session.saved(save_once);
    let call = send(&mut session, later(DUE));
    let before = format!("{session:?}");
    // What is reported a second time, what is older, and what is the same.
    session.saved(save_twice);
    session.adopt(first.load(), later(DUE)).unwrap();
    session.adopt(store.load(), later(DUE)).unwrap();
    assert_eq!(format!("{session:?}"), before);
    answer(&mut session, call, 200, &body(1), later(DUE)).unwrap();
    assert!(save(&mut session, &mut store, later(DUE)));
    session.adopt(first.load(), later(DUE)).unwrap();
    assert_eq!(usable(&session, later(DUE)), Some("fake-access-1"));
}

#[test]
fn a_save_of_another_session_changes_nothing() {
    let (mut store, mut other_store) = (Store::default(), Store::default());
    let mut session = signed_in(&mut store);
    let mut other = signed_in_with(&mut other_store, &body(50), policy());
    let Step::Save(foreign) = other.poll(later(DUE)) else { panic!() };
    let before = format!("{session:?}");
    session.saved(foreign);
    assert_eq!(format!("{session:?}"), before);
}

#[test]
fn tokens_cannot_be_used_before_they_are_saved() {
    let mut store = Store::default();
    let mut session = Session::new(tokens(&body(0)), policy(), now());
    assert_eq!(usable(&session, now()), None);
    let Step::Save(unsaved) = session.poll(now()) else { panic!() };
    assert!(store.compare_and_swap(&unsaved));
    // It is in the store, and the session does not know that yet.
    assert_eq!(usable(&session, now()), None);
    session.saved(unsaved);
    assert_eq!(usable(&session, now()), Some("fake-access-0"));

    assert!(save(&mut session, &mut store, later(DUE)));
    let call = send(&mut session, later(DUE));
    answer(&mut session, call, 200, &body(1), later(DUE)).unwrap();
    assert_eq!(usable(&session, later(DUE)), None);
    assert!(save(&mut session, &mut store, later(DUE)));
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
    // Others cannot know that it was replaced, and learn it from a 401.
    assert_eq!(usable(&other, later(DUE + 1)), Some("fake-access-0"));
    answer(&mut session, call, 200, &body(1), later(DUE + 1)).unwrap();
    assert_eq!(usable(&session, later(DUE + 1)), None);

    // A failure replaces nothing, so the old one lives until its end.
    let mut store = Store::default();
    let mut session = claimed(&mut store);
    let call = send(&mut session, later(DUE));
    session.no_response(call, later(DUE + 1));
    assert_eq!(usable(&session, later(EXPIRY - 1)), Some("fake-access-0"));
    assert_eq!(usable(&session, later(EXPIRY)), None);
}

#[test]
fn a_claim_that_lost_the_race_is_adopted() {
    let mut store = Store::default();
    let mut winner = signed_in(&mut store);
    let mut loser = store.holder(now());
    let Step::Save(late) = loser.poll(later(DUE)) else { panic!() };
    assert!(save(&mut winner, &mut store, later(DUE)));
    assert!(!store.compare_and_swap(&late));
    loser.adopt(store.load(), later(DUE)).unwrap();
    assert_eq!(step(&mut loser, later(DUE)), "wait 1865");
    assert!(loser.send(&client(), later(DUE)).unwrap().is_none());
    assert_eq!(usable(&loser, later(DUE)), Some("fake-access-0"));
    assert_eq!(step(&mut winner, later(DUE)), "send by 1860");
    let call = send(&mut winner, later(DUE));
    answer(&mut winner, call, 200, &body(1), later(DUE)).unwrap();
    assert!(save(&mut winner, &mut store, later(DUE)));
    loser.adopt(store.load(), later(DUE + 1)).unwrap();
    assert_eq!(usable(&loser, later(DUE + 1)), Some("fake-access-1"));
    assert_eq!(step(&mut loser, later(DUE + 1)), "rest 3600");
}

/// The other holder may have claimed, found the refresh token used, or given up; tokens that came are not lost.
#[test]
fn late_tokens_win_over_another_holders_claim() {
    let outcomes: [(&str, Option<(u16, &str)>); 4] = [
        ("claimed", None),
        ("refused", Some((400, r#"{"error":"invalid_grant"}"#))),
        ("backoff", Some((503, ""))),
        ("backoff", Some((401, r#"{"error":"invalid_client"}"#))),
    ];
    for (state, outcome) in outcomes {
        let mut store = Store::default();
        let mut session = claimed(&mut store);
        let call = send(&mut session, later(DUE));
        let mut other = store.holder(later(DUE));
        assert!(save(&mut other, &mut store, later(DUE + 65)));
        let other_call = send(&mut other, later(DUE + 65));
        let pending = match outcome {
            None => Some(other_call),
            Some((status, body)) => {
                answer(&mut other, other_call, status, body, later(DUE + 66)).unwrap_err();
                assert!(save(&mut other, &mut store, later(DUE + 66)));
                None
            }
        };
        assert_eq!(store.value()["state"], state);

        answer(&mut session, call, 200, &body(1), later(DUE + 67)).unwrap();
        assert!(!save(&mut session, &mut store, later(DUE + 67)), "the other has saved in between");
        assert!(save(&mut session, &mut store, later(DUE + 67)), "{state}");
        assert_eq!(usable(&session, later(DUE + 67)), Some("fake-access-1"), "{state}");
        if let Some(call) = pending {
            answer(&mut other, call, 400, r#"{"error":"invalid_grant"}"#, later(DUE + 68)).unwrap_err();
            assert!(!save(&mut other, &mut store, later(DUE + 68)), "a failure does not win over tokens");
        } else {
            other.adopt(store.load(), later(DUE + 68)).unwrap();
        }
        assert_eq!(step(&mut other, later(DUE + 68)), "rest 3600", "{state}");
        assert_eq!(usable(&other, later(DUE + 68)), Some("fake-access-1"), "{state}");
    }
}

#[test]
fn late_tokens_win_over_our_own_claim_that_is_being_saved() {
    let mut store = Store::default();
    let mut session = claimed(&mut store);
    let call = send(&mut session, later(DUE));
    let Step::Save(claim) = session.poll(later(DUE + 65)) else { panic!("the next attempt is due") };
    answer(&mut session, call, 200, &body(1), later(DUE + 65)).unwrap();
    assert!(store.compare_and_swap(&claim));
    session.saved(claim);
    assert!(session.send(&client(), later(DUE + 65)).unwrap().is_none(), "the refresh token is used");
    assert_eq!(step(&mut session, later(DUE + 65)), "save over 3");
    assert!(save(&mut session, &mut store, later(DUE + 65)));
    assert_eq!(usable(&session, later(DUE + 65)), Some("fake-access-1"));
}

#[test]
fn invalid_grant_ends_in_reauthorize_at_once_for_all_holders() {
    let mut store = Store::default();
    let mut session = claimed(&mut store);
    let mut other = store.holder(later(DUE));
    let call = send(&mut session, later(DUE));
    let error = answer(&mut session, call, 400, r#"{"error":"invalid_grant"}"#, later(DUE)).unwrap_err();
    assert_eq!(error.code(), Some("invalid_grant"));
    assert!(save(&mut session, &mut store, later(DUE)));
    other.adopt(store.load(), later(DUE)).unwrap();
    let mut newcomer = store.holder(later(DUE));
    for session in [&mut session, &mut other, &mut newcomer] {
        assert_eq!(step(session, later(DUE)), "reauthorize Refused");
        assert_eq!(usable(session, later(DUE)), None, "a server that refuses one kills the other");
        assert!(session.send(&client(), later(DUE)).unwrap().is_none());
        session.resume(later(DUE));
        assert_eq!(step(session, later(9 * EXPIRY)), "reauthorize Refused");
    }
}

#[test]
fn reauthorized_goes_on_under_the_same_key_and_beats_old_holders() {
    let mut store = Store::default();
    let mut session = claimed(&mut store);
    let mut other = store.holder(later(DUE));
    let late = send(&mut session, later(DUE));
    let revision = store.revision;
    // The user signs in again, with a registration that has moved, while the old answer is under way.
    let moved = Client::new(server(), "fake-other-client", ClientAuth::none()).unwrap();
    let sign_in = moved.refresh(&Secret::new("fake-refresh-0")).start().unwrap();
    session.reauthorized(sign_in.read(support::json(&body(7))).unwrap(), later(DUE + 1));
    assert_eq!(usable(&session, later(DUE + 1)), None);
    // Another holder claims before it is saved: later tokens win.
    assert!(save(&mut other, &mut store, later(DUE + 65)));
    assert!(!save(&mut session, &mut store, later(DUE + 65)));
    assert!(save(&mut session, &mut store, later(DUE + 65)));
    assert_eq!((store.revision, session.revision()), (revision + 2, revision + 2));
    // Neither the late answer nor the old holder brings back the old tokens.
    answer(&mut session, late, 200, &body(1), later(DUE + 66)).unwrap();
    assert_eq!(usable(&session, later(DUE + 66)), Some("fake-access-7"));
    let call = send(&mut other, later(DUE + 66));
    answer(&mut other, call, 200, &body(1), later(DUE + 66)).unwrap();
    assert!(!save(&mut other, &mut store, later(DUE + 66)));
    assert_eq!(usable(&other, later(DUE + 66)), Some("fake-access-7"));
    assert_eq!(step(&mut other, later(DUE + 66)), "rest 3601");
    // From now on the new registration refreshes.
    assert!(save(&mut session, &mut store, later(3601)));
    assert_eq!(session.send(&client(), later(3601)).unwrap_err().kind(), ErrorKind::Misuse);
    assert!(session.send(&moved, later(3601)).unwrap().is_some());
}

#[test]
fn reauthorized_is_not_lost_to_a_late_failure() {
    for failure in [None, Some((400, r#"{"error":"invalid_grant"}"#)), Some((503, ""))] {
        let mut store = Store::default();
        let mut session = claimed(&mut store);
        let call = send(&mut session, later(DUE));
        session.reauthorized(tokens(&body(7)), later(DUE));
        match failure {
            Some((status, body)) => drop(answer(&mut session, call, status, body, later(DUE)).unwrap_err()),
            None => session.no_response(call, later(DUE)),
        }
        assert!(save(&mut session, &mut store, later(DUE)));
        assert_eq!(usable(&session, later(DUE)), Some("fake-access-7"), "{failure:?}");
    }
}

/// The user signed in again for more scopes, say, and a refresh of the old tokens was saved first.
#[test]
fn reauthorized_is_not_lost_to_refreshes_of_other_holders() {
    let mut store = Store::default();
    let mut session = signed_in(&mut store);
    let mut other = store.holder(now());
    session.reauthorized(tokens(&body(7)), later(DUE));
    refresh(&mut other, &mut store, 1, later(DUE));
    refresh(&mut other, &mut store, 2, later(2 * DUE));
    assert!(!save(&mut session, &mut store, later(2 * DUE)));
    assert!(save(&mut session, &mut store, later(2 * DUE)));
    assert_eq!(usable(&session, later(2 * DUE)), Some("fake-access-7"));
    other.adopt(store.load(), later(2 * DUE)).unwrap();
    assert_eq!(usable(&other, later(2 * DUE)), Some("fake-access-7"));
}

#[test]
fn send_gives_a_call_once_for_each_claim_and_not_in_its_second_half() {
    let mut store = Store::default();
    let mut session = signed_in(&mut store);
    assert!(session.send(&client(), later(DUE)).unwrap().is_none(), "nothing is claimed");
    let Step::Save(claim) = session.poll(later(DUE)) else { panic!() };
    assert!(session.send(&client(), later(DUE)).unwrap().is_none(), "the claim is not saved");
    assert!(store.compare_and_swap(&claim));
    session.saved(claim);
    let mut restored = store.holder(later(DUE));
    assert!(restored.send(&client(), later(DUE)).unwrap().is_none(), "it may have sent before it died");
    assert!(session.send(&client(), later(DUE + 29)).unwrap().is_some());
    assert!(session.send(&client(), later(DUE + 29)).unwrap().is_none(), "it was sent");
    assert_eq!(step(&mut session, later(DUE + 59)), "wait 1860");
    assert_eq!(step(&mut session, later(DUE + 60)), "wait 1865");
    assert_eq!(step(&mut session, later(DUE + 65)), "save over 2");

    let mut session = claimed(&mut Store::default());
    assert!(session.send(&client(), later(DUE + 30)).unwrap().is_none());
    assert_eq!(step(&mut session, later(DUE + 30)), "wait 1865");
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
    twice(&mut session, later(DUE + 63));
    twice(&mut session, later(EXPIRY));
}

#[test]
fn without_expires_in_the_token_is_used_until_the_api_rejects_it() {
    let endless =
        r#"{"access_token":"fake-access-0","token_type":"Bearer","refresh_token":"fake-refresh-0"}"#;
    let mut store = Store::default();
    let mut session = signed_in_with(&mut store, endless, policy());
    let years = later(400_000_000);
    assert_eq!((session.expires_at(), step(&mut session, years)), (None, "rest".to_owned()));
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
    assert_eq!(step(&mut session, later(DUE)), "rest 3600");
    assert_eq!(usable(&session, later(EXPIRY - 1)), Some("fake-access-0"));
    assert_eq!(step(&mut session, later(EXPIRY)), "reauthorize NoRefreshToken");
    session.resume(later(EXPIRY));
    assert_eq!(step(&mut session, later(EXPIRY)), "reauthorize NoRefreshToken");

    // The API may reject it earlier; and without a lifetime, only the API says so.
    for body in [only, r#"{"access_token":"fake-access-0","token_type":"Bearer"}"#] {
        let mut session = signed_in_with(&mut Store::default(), body, policy());
        session.access_token_rejected(&Secret::new("fake-access-0"));
        assert_eq!(step(&mut session, later(5)), "reauthorize NoRefreshToken");
        assert_eq!(usable(&session, later(5)), None);
    }
}

#[test]
fn a_narrower_scope_is_taken_and_an_absent_one_changes_nothing() {
    let mut store = Store::default();
    let mut session = signed_in(&mut store);
    let granted = |session: &Session| session.granted_scopes().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(granted(&session), ["export:read", "export:write"], "what was asked for");
    for (number, (member, scopes)) in
        [(r#","scope":"export:read"}"#, vec!["export:read"]), ("}", vec!["export:read"])].iter().enumerate()
    {
        let time = later(DUE * (number as u64 + 1));
        assert!(save(&mut session, &mut store, time));
        let call = send(&mut session, time);
        let body = body(number + 1).trim_end_matches('}').to_owned() + member;
        answer(&mut session, call, 200, &body, time).unwrap();
        assert!(save(&mut session, &mut store, time));
        assert_eq!(granted(&session), *scopes);
        assert_eq!(granted(&store.holder(time)), *scopes);
    }
}

#[test]
fn the_token_type_is_kept_and_may_change() {
    let client = client_of(server().tolerate(Leniency::AnyTokenType));
    let mut store = Store::default();
    let dpop = body(0).replace("Bearer", "dpop");
    let mut session = signed_in_with(&mut store, &dpop, policy());
    assert_eq!(session.token_type(), &TokenType::DPoP);
    assert_eq!(store.holder(now()).token_type(), &TokenType::DPoP);
    assert!(save(&mut session, &mut store, later(DUE)));
    let call = session.send(&client, later(DUE)).unwrap().unwrap();
    answer(&mut session, call, 200, &body(1).replace("Bearer", "N_A"), later(DUE)).unwrap();
    assert!(save(&mut session, &mut store, later(DUE)));
    assert_eq!(session.token_type(), &TokenType::Other("N_A".to_owned()));
    assert_eq!(store.holder(later(DUE)).token_type(), &TokenType::Other("N_A".to_owned()));
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
    // The secret and what else is known of the server may change.
    let renewed = server().issuer("https://as.example").unwrap();
    let renewed = Client::new(renewed, "fake-client", ClientAuth::post("fake-new-secret")).unwrap();
    assert!(session.send(&renewed, later(DUE)).unwrap().is_some());
}

#[test]
fn a_snapshot_of_another_authorization_is_misuse_and_changes_nothing() {
    let (mut store, mut other_store) = (Store::default(), Store::default());
    let mut session = signed_in(&mut store);
    let mut other = signed_in_with(&mut other_store, &body(50), policy());
    refresh(&mut other, &mut other_store, 51, later(DUE));
    let before = format!("{session:?}");
    let error = session.adopt(other_store.load(), now()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Misuse);
    assert_eq!(format!("{session:?}"), before);
    assert_eq!(usable(&session, now()), Some("fake-access-0"));
}

#[test]
fn a_rejected_token_is_replaced_before_its_time() {
    let mut store = Store::default();
    let mut session = signed_in(&mut store);
    session.access_token_rejected(&Secret::new("fake-access-9"));
    assert_eq!(step(&mut session, later(5)), "rest 1800", "it is not the current one");
    session.access_token_rejected(&Secret::new("fake-access-0"));
    assert_eq!(usable(&session, later(5)), None);
    refresh(&mut session, &mut store, 1, later(5));
    session.access_token_rejected(&Secret::new("fake-access-0"));
    assert_eq!(usable(&session, later(6)), Some("fake-access-1"), "a late word about the old one");
    assert_eq!(step(&mut session, later(6)), "rest 1805");
}

#[test]
fn a_server_that_does_not_refresh_is_said_so_before_any_request() {
    let mut session = claimed(&mut Store::default());
    let server = server().grant_types_supported(["authorization_code"]);
    assert!(session.send(&client_of(server), later(DUE)).is_err());
    // It was not sent, so with the metadata mended it still can be.
    assert!(session.send(&client(), later(DUE)).unwrap().is_some());
}
