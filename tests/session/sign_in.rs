//! The beginnings of a session: a sign-in, a later sign-in, and a refresh token from elsewhere.

use std::time::{Duration, SystemTime};

use oauth2_proto::{Client, ClientAuth, Secret, Session, Step, error::ErrorKind};

use crate::responses::json;
use crate::steps::*;
use crate::store::Store;
use crate::support::{client, later, now, server, token_call};

#[test]
fn a_sign_in_that_was_not_saved_leaves_nothing_behind() {
    let mut session = Session::new(tokens(&body(0)), policy(), now());
    for time in [now(), later(DUE), later(9 * EXPIRY)] {
        assert_eq!((step(&mut session, time), usable(&session, time)), ("save over 0".to_owned(), None));
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
    let sign_in = moved.refresh(&Secret::new("fake-refresh-0")).start(SystemTime::UNIX_EPOCH).unwrap();
    session.reauthorized(sign_in.read(json(&body(7))).unwrap(), later(DUE + 1));
    assert_eq!(usable(&session, later(DUE + 1)), None);
    // Another holder claims before the sign-in is saved: the tokens of the sign-in win.
    save(&mut other, &mut store, later(CLAIM_OVER));
    assert!(!try_save(&mut session, &mut store, later(CLAIM_OVER)));
    adopt(&mut session, &store, later(CLAIM_OVER));
    save(&mut session, &mut store, later(CLAIM_OVER));
    assert_eq!((store.revision, session.revision()), (revision + 2, revision + 2));
    // Neither the late answer nor the old holder brings back the old tokens.
    answer(&mut session, late, 200, &body(1), later(CLAIM_OVER + 1)).unwrap();
    assert_eq!(usable(&session, later(CLAIM_OVER + 1)), Some("fake-access-7"));
    let call = send(&mut other, later(CLAIM_OVER + 1));
    answer(&mut other, call, 200, &body(1), later(CLAIM_OVER + 1)).unwrap();
    assert!(!try_save(&mut other, &mut store, later(CLAIM_OVER + 1)));
    adopt(&mut other, &store, later(CLAIM_OVER + 1));
    assert_eq!(usable(&other, later(CLAIM_OVER + 1)), Some("fake-access-7"));
    assert_eq!(step(&mut other, later(CLAIM_OVER + 1)), "idle 3601");
    // From now on the new registration refreshes.
    let due = later(DUE + 1 + DUE);
    save(&mut session, &mut store, due);
    assert_eq!(session.send(&client(), due).unwrap_err().kind(), ErrorKind::Misuse);
    assert!(session.send(&moved, due).unwrap().is_some());
}

#[test]
fn reauthorized_is_not_lost_to_a_late_failure() {
    for failure in [None, Some((400, INVALID_GRANT)), Some((503, ""))] {
        let mut store = Store::default();
        let mut session = claimed(&mut store);
        let call = send(&mut session, later(DUE));
        session.reauthorized(tokens(&body(7)), later(DUE));
        match failure {
            Some((status, body)) => drop(answer(&mut session, call, status, body, later(DUE)).unwrap_err()),
            None => session.no_response(call, later(DUE)),
        }
        save(&mut session, &mut store, later(DUE));
        assert_eq!(usable(&session, later(DUE)), Some("fake-access-7"), "{failure:?}");
    }
}

/// The user signs in again, and refreshes of the old tokens are saved first.
#[test]
fn reauthorized_is_not_lost_to_refreshes_of_other_holders() {
    let mut store = Store::default();
    let mut session = signed_in(&mut store);
    let mut other = store.holder(now());
    session.reauthorized(tokens(&body(7)), later(DUE));
    refresh(&mut other, &mut store, 1, later(DUE));
    refresh(&mut other, &mut store, 2, later(2 * DUE));
    assert!(!try_save(&mut session, &mut store, later(2 * DUE)));
    adopt(&mut session, &store, later(2 * DUE));
    save(&mut session, &mut store, later(2 * DUE));
    assert_eq!(usable(&session, later(2 * DUE)), Some("fake-access-7"));
    adopt(&mut other, &store, later(2 * DUE));
    assert_eq!(usable(&other, later(2 * DUE)), Some("fake-access-7"));
}

#[test]
fn the_later_of_two_sign_ins_counts_though_the_earlier_is_being_saved() {
    let mut store = Store::default();
    let mut session = signed_in(&mut store);
    session.reauthorized(tokens(&body(5)), later(1));
    let earlier = due_save(&mut session, later(1));
    assert!(store.compare_and_swap(&earlier));
    session.reauthorized(tokens(&body(6)), later(2));
    session.saved(earlier);
    save(&mut session, &mut store, later(2));
    assert_eq!(usable(&session, later(2)), Some("fake-access-6"));
}

#[test]
fn a_new_sign_in_starts_with_all_attempts_and_with_its_own_scopes() {
    let mut store = Store::default();
    let mut session = signed_in(&mut store);
    fail(&mut session, &mut store, None, later(DUE));
    // Neither the request nor the answer names a scope.
    let sign_in = client().refresh(&Secret::new("fake-refresh")).start(SystemTime::UNIX_EPOCH).unwrap();
    session.reauthorized(sign_in.read(json(&body(7))).unwrap(), later(DUE));
    save(&mut session, &mut store, later(DUE));
    assert_eq!(store.value()["attempts"], 0);
    assert_eq!(session.granted_scopes().count(), 0);
}

#[test]
fn a_refresh_token_from_before_is_refreshed_at_once() {
    let mut store = Store::default();
    let mut session =
        Session::from_refresh_token(&client(), Secret::new("fake-refresh-0"), policy(), now()).unwrap();
    assert_eq!(step(&mut session, now()), "save over 0");
    assert_eq!(usable(&session, now()), None);
    save(&mut session, &mut store, now());
    // There is no access token yet, also by another holder's clock.
    for seconds in 0..7 {
        let earlier = now() - Duration::from_secs(seconds);
        assert_eq!(usable(&store.holder(earlier), earlier), None, "{seconds}");
    }
    // The session may stay in the store for any time before its first refresh.
    let much_later = later(5000);
    let mut session = store.holder(much_later);
    assert_eq!(usable(&session, much_later), None);
    let call = claim_and_send(&mut session, &mut store, much_later);
    assert_eq!(refresh_token(call.request()), "fake-refresh-0");
    answer(&mut session, call, 200, &body(1), much_later).unwrap();
    save(&mut session, &mut store, much_later);
    assert_eq!(usable(&session, much_later), Some("fake-access-1"));
}

#[test]
fn a_refresh_token_that_no_store_would_give_back_is_refused() {
    for token in ["", "fake-refresh-0\n", "fake\u{0}refresh"] {
        let error = Session::from_refresh_token(&client(), Secret::new(token), policy(), now()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Misuse, "{token:?}");
    }
}

/// Google sends a refresh token at the first consent only.
#[test]
fn a_sign_in_without_a_refresh_token_keeps_the_stored_one_unless_it_was_refused_or_ended() {
    let only = r#"{"access_token":"fake-access-5","token_type":"Bearer","expires_in":3600}"#;
    for (state, kept) in [
        ("saved", Some("fake-refresh-0")),
        ("gave up", Some("fake-refresh-0")),
        ("imported", Some("fake-refresh-0")),
        ("learned, and not saved yet", Some("fake-refresh-1")),
        ("refused, and not saved yet", None),
        ("refused", None),
        ("ended", None),
        ("another client's", None),
    ] {
        let mut store = Store::default();
        let mut session = match state {
            "imported" => {
                let token = Secret::new("fake-refresh-0");
                let mut session =
                    Session::from_refresh_token(&client(), token, policy(), later(DUE)).unwrap();
                save(&mut session, &mut store, later(DUE));
                session
            }
            "gave up" => {
                let mut session = signed_in_with(&mut store, &body(0), policy().max_unclear_refusals(1));
                save(&mut session, &mut store, later(DUE));
                session
            }
            _ => claimed(&mut store),
        };
        match state {
            "imported" | "saved" | "another client's" => {}
            "ended" => {
                session.end(later(DUE));
                save(&mut session, &mut store, later(DUE));
            }
            _ => {
                let call = send(&mut session, later(DUE));
                let (status, text) = match state {
                    "gave up" => (400, String::new()),
                    "learned, and not saved yet" => (200, body(1)),
                    _ => (400, INVALID_GRANT.to_owned()),
                };
                let _ = answer(&mut session, call, status, &text, later(DUE));
                if !state.contains("not saved") {
                    save(&mut session, &mut store, later(DUE));
                }
            }
        }
        let client = match state {
            "another client's" => Client::new(server(), "fake-other-client", ClientAuth::none()).unwrap(),
            _ => client(),
        };
        session.reauthorized(token_call(&client).read(json(only)).unwrap(), later(DUE + 1));
        save(&mut session, &mut store, later(DUE + 1));
        assert_eq!(usable(&session, later(DUE + 1)), Some("fake-access-5"), "{state}");
        assert_eq!(session.refresh_token().map(Secret::expose), kept, "{state}");
        assert_eq!(store.value()["refresh_token"], serde_json::json!(kept), "{state}");
    }
}

/// The refresh token that the sign-in keeps is replaced by a refresh that was under way, on this holder or
/// another.
#[test]
fn a_refresh_under_way_rotates_the_token_that_a_sign_in_keeps() {
    let only = r#"{"access_token":"fake-access-5","token_type":"Bearer","expires_in":3600}"#;
    for (same_holder, saved_first) in [(true, false), (true, true), (false, true)] {
        let mut store = Store::default();
        let mut refreshing = claimed(&mut store);
        let mut other = store.holder(later(DUE));
        let call = send(&mut refreshing, later(DUE));
        let sign_in = if same_holder { &mut refreshing } else { &mut other };
        sign_in.reauthorized(tokens(only), later(DUE));
        if saved_first {
            save(sign_in, &mut store, later(DUE));
        }
        answer(&mut refreshing, call, 200, &body(1), later(DUE + 1)).unwrap();
        while let Step::Save(_) = refreshing.poll(later(DUE + 1)) {
            save_or_adopt(&mut refreshing, &mut store, later(DUE + 1));
        }
        let case = (same_holder, saved_first);
        assert_eq!(store.value()["refresh_token"], "fake-refresh-1", "{case:?}");
        assert_eq!(usable(&refreshing, later(DUE + 1)), Some("fake-access-5"), "{case:?}");
    }
}

#[test]
fn of_two_sign_ins_the_later_one_wins_on_every_holder() {
    // The second comes 60 s later, on a holder that has not heard of the first; each may be saved first, and
    // the first may have refreshed, or signed in once more, meanwhile.
    for (first_saves, meanwhile) in
        [(true, "nothing"), (true, "a refresh"), (true, "another sign-in"), (false, "nothing")]
    {
        let mut store = Store::default();
        let mut one = signed_in(&mut store);
        let mut two = store.holder(later(1));
        one.reauthorized(tokens(&body("first")), later(10));
        if first_saves {
            save(&mut one, &mut store, later(10));
            match meanwhile {
                "a refresh" => refresh(&mut one, &mut store, "refreshed", later(DUE + 10)),
                "another sign-in" => {
                    one.reauthorized(tokens(&body("again")), later(20));
                    save(&mut one, &mut store, later(20));
                }
                _ => {}
            }
        }
        let time = later(DUE + 70);
        two.reauthorized(tokens(&body("second")), time);
        for session in [&mut two, &mut one] {
            while let Step::Save(_) = session.poll(time) {
                save_or_adopt(session, &mut store, time);
            }
        }
        for session in [&mut one, &mut two] {
            adopt(session, &store, time);
        }
        for session in [&mut one, &mut two, &mut store.holder(time)] {
            let case = (first_saves, meanwhile);
            assert_eq!(usable(session, time), Some("fake-access-second"), "{case:?}: {session:?}");
        }
    }
}

/// The clock of the later sign-in was set back, and another holder saves something first.
#[test]
fn a_later_sign_in_wins_though_its_clock_was_set_back() {
    for saved_first in ["a claim", "a refusal"] {
        let mut store = Store::default();
        let mut session = signed_in(&mut store);
        let mut other = store.holder(later(DUE));
        let back = now() - Duration::from_secs(1000);
        session.reauthorized(tokens(&body(5)), back);
        save(&mut other, &mut store, later(DUE));
        if saved_first == "a refusal" {
            let call = send(&mut other, later(DUE));
            answer(&mut other, call, 400, INVALID_GRANT, later(DUE)).unwrap_err();
            save(&mut other, &mut store, later(DUE));
        }
        assert!(!try_save(&mut session, &mut store, back));
        adopt(&mut session, &store, back);
        save(&mut session, &mut store, back);
        assert_eq!(usable(&session, back), Some("fake-access-5"), "{saved_first}");
    }
}

/// A sign-in by a clock that was a year ahead does not win for a year.
#[test]
fn a_sign_in_from_the_future_loses_to_one_by_a_right_clock() {
    let mut store = Store::default();
    let mut session = signed_in(&mut store);
    let mut ahead = store.holder(later(365 * DAY));
    ahead.reauthorized(tokens(&body("ahead")), later(365 * DAY));
    save(&mut ahead, &mut store, later(365 * DAY));
    session.reauthorized(tokens(&body("right")), later(10));
    save_or_adopt(&mut session, &mut store, later(10));
    save(&mut session, &mut store, later(10));
    assert_eq!(usable(&session, later(10)), Some("fake-access-right"));
}

/// Nothing needs to be cloned before: the later sign-in goes on over the earlier one.
#[test]
fn of_two_first_sign_ins_in_two_processes_the_later_one_stays() {
    for (second_at, winner) in [(later(10), "second"), (later(0), "first")] {
        let mut store = Store::default();
        let mut first = Session::new(tokens(&body("first")), policy(), later(5));
        let mut second = Session::new(tokens(&body("second")), policy(), second_at);
        save(&mut first, &mut store, later(10));
        assert!(!try_save(&mut second, &mut store, later(10)));
        assert!(second.adopt(store.load(), later(10)).unwrap());
        if winner == "second" {
            save(&mut second, &mut store, later(10));
            adopt(&mut first, &store, later(10));
        }
        for session in [&mut first, &mut second, &mut store.holder(later(10))] {
            assert_eq!(usable(session, later(10)), Some(format!("fake-access-{winner}").as_str()));
        }
    }
    // An imported refresh token is older than any sign-in.
    let mut store = Store::default();
    signed_in(&mut store);
    let token = Secret::new("fake-refresh-imported");
    let mut imported = Session::from_refresh_token(&client(), token, policy(), later(9)).unwrap();
    assert!(!try_save(&mut imported, &mut store, later(9)));
    adopt(&mut imported, &store, later(9));
    assert_eq!(usable(&imported, later(9)), Some("fake-access-0"));
    assert_eq!(step(&mut imported, later(9)), "idle 1800");
}

#[test]
fn a_later_sign_in_goes_on_from_what_is_stored_whatever_client_it_is_by() {
    let other = Client::new(server(), "fake-other-client", ClientAuth::none()).unwrap();
    for client in [client(), other] {
        let mut store = Store::default();
        let mut old = signed_in(&mut store);
        let sign_in = token_call(&client).read(json(&body(5))).unwrap();
        let mut session = Session::signed_in_again(sign_in, store.load(), policy(), later(1));
        save(&mut session, &mut store, later(1));
        adopt(&mut old, &store, later(1));
        assert_eq!(usable(&old, later(1)), Some("fake-access-5"));
        save(&mut session, &mut store, later(1 + DUE));
        assert!(session.send(&client, later(1 + DUE)).unwrap().is_some());
    }
}
