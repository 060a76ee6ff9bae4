//! How a session begins and begins again: a sign-in, a later sign-in, and a refresh token from elsewhere.

use std::time::Duration;

use oauth2_proto::{Client, ClientAuth, Secret, Session, error::ErrorKind};

use crate::responses::json;
use crate::steps::*;
use crate::store::Store;
use crate::support::{client, later, now, server};

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
    let sign_in = moved.refresh(&Secret::new("fake-refresh-0")).start().unwrap();
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
    let sign_in = client().refresh(&Secret::new("fake-refresh")).start().unwrap();
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
