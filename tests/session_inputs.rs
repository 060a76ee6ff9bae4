//! What a `Session` makes of unusual reports: half of an answer, a sign-in on top of another, a save that another task
//! adopted first, and tokens from before this crate.

#[path = "support/holders.rs"]
mod holders;
mod support;

use holders::{
    DUE, Store, answer, body, claimed, policy, refresh, refresh_token, save, send, signed_in, step, tokens,
    usable,
};
use std::time::Duration;

use oauth2_proto::{Secret, Session, Step, error::ErrorKind};
use support::{client, later, now};

/// What `Request::response_limit` says.
const LONGEST_BODY: usize = 1 << 20;

#[test]
fn a_new_refresh_token_is_kept_though_the_rest_of_its_answer_cannot_be_read() {
    for (sound, broken) in [
        (r#""expires_in":3600"#, r#""expires_in":"soon""#),
        (r#""token_type":"Bearer""#, r#""token_type":"odd""#),
        (r#""token_type":"Bearer","#, ""),
        (r#""access_token":"fake-access-1""#, r#""access_token":7"#),
        (r#""access_token":"fake-access-1","#, ""),
        // As long as a body may be.
        (r#""access_token":"fake-access-1","#, &" ".repeat(LONGEST_BODY - body(1).len() + 31)),
    ] {
        let mut store = Store::default();
        let mut session = claimed(&mut store);
        let call = send(&mut session, later(DUE));
        let text = body(1).replace(sound, broken);
        assert!(text.len() <= 400 || text.len() == LONGEST_BODY, "{}", text.len());
        let error = answer(&mut session, call, 200, &text, later(DUE)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{broken}");
        assert_eq!(usable(&session, later(DUE)), None, "a rotation ends the old access token");
        assert!(save(&mut session, &mut store, later(DUE)));
        assert_eq!(
            (usable(&session, later(DUE)), store.value()["refresh_token"].as_str()),
            (None, Some("fake-refresh-1"))
        );
        assert!(step(&mut session, later(DUE)).starts_with("wait"), "{broken}");
        let mut other = store.holder(later(DUE + 2));
        assert!(save(&mut other, &mut store, later(DUE + 2)));
        assert_eq!(refresh_token(send(&mut other, later(DUE + 2)).request()), "fake-refresh-1");
    }
}

#[test]
fn no_refresh_token_is_taken_from_a_refusal_or_a_failure() {
    let with_error = body(1).replace("{", r#"{"error":"temporarily_unavailable","#);
    let too_long = body(1) + &" ".repeat(LONGEST_BODY - body(1).len() + 1);
    for (status, body) in [
        (200, with_error),
        (400, body(1)),
        (302, body(1)),
        (503, body(1)),
        (200, format!("{}x", body(1))),
        (200, too_long),
    ] {
        let mut store = Store::default();
        let mut session = claimed(&mut store);
        let call = send(&mut session, later(DUE));
        answer(&mut session, call, status, &body, later(DUE)).unwrap_err();
        assert!(save(&mut session, &mut store, later(DUE)));
        assert_eq!(store.value()["refresh_token"], "fake-refresh-0", "{status}");
    }
}

#[test]
fn the_later_of_two_sign_ins_counts_though_the_earlier_is_being_saved() {
    let mut store = Store::default();
    let mut session = signed_in(&mut store);
    session.reauthorized(tokens(&body(5)), later(1));
    let Step::Save(earlier) = session.poll(later(1)) else { panic!("{session:?}") };
    assert!(store.compare_and_swap(&earlier));
    session.reauthorized(tokens(&body(6)), later(2));
    session.saved(earlier);
    assert!(save(&mut session, &mut store, later(2)));
    assert_eq!(usable(&session, later(2)), Some("fake-access-6"));
}

/// The refusal is final, whoever is about to send the token again.
#[test]
fn a_refusal_wins_over_another_holders_claim_and_a_failure_does_not() {
    for (status, text, then) in [(400, r#"{"error":"invalid_grant"}"#, "save over 3"), (503, "", "wait 1930")]
    {
        let mut store = Store::default();
        let mut late = claimed(&mut store);
        let call = send(&mut late, later(DUE));
        // The claim is over for the other holder, whose clock is ahead.
        let mut other = store.holder(later(DUE));
        assert!(save(&mut other, &mut store, later(DUE + 65)));
        assert!(answer(&mut late, call, status, text, later(DUE + 60)).is_err());
        assert!(!save(&mut late, &mut store, later(DUE + 60)), "the other's claim is there");
        assert_eq!(step(&mut late, later(DUE + 60)), then);
    }
}

#[test]
fn a_claim_that_another_task_adopted_first_is_still_ours() {
    let mut store = Store::default();
    let mut session = signed_in(&mut store);
    let Step::Save(ours) = session.poll(later(DUE)) else { panic!("{session:?}") };
    let Step::Save(twin) = session.poll(later(DUE)) else { panic!("{session:?}") };
    assert!(store.compare_and_swap(&ours) && !store.compare_and_swap(&twin));
    // The one that lost looks into the store before the one that won says so.
    assert!(session.adopt(store.load(), later(DUE)).unwrap());
    assert_eq!(step(&mut session, later(DUE)), "wait 1865");
    session.saved(ours);
    assert_eq!(step(&mut session, later(DUE)), "send by 1860");
    assert!(session.send(&client(), later(DUE)).unwrap().is_some());
    assert!(session.send(&client(), later(DUE)).unwrap().is_none());
}

#[test]
fn adopting_says_whether_it_was_newer_and_refuses_earlier_tokens() {
    let mut store = Store::default();
    let mut session = signed_in(&mut store);
    assert!(!session.adopt(store.load(), now()).unwrap());
    refresh(&mut session, &mut store, 1, later(DUE));
    let mut set_back = store.clone();
    for (member, value) in [("generation", 0), ("revision", 99)] {
        set_back.set(member, value.into());
    }
    assert_eq!(session.adopt(set_back.load(), later(DUE)).unwrap_err().kind(), ErrorKind::Misuse);
    assert_eq!(usable(&session, later(DUE)), Some("fake-access-1"));
}

#[test]
fn a_refresh_token_that_no_store_would_give_back_is_not_imported() {
    for token in ["", "fake-refresh-0\n", "fake\u{0}refresh"] {
        let error = Session::from_refresh_token(&client(), Secret::new(token), policy(), now()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Misuse, "{token:?}");
    }
}

#[test]
fn a_refresh_token_from_before_is_imported_and_refreshed_at_once() {
    let mut store = Store::default();
    let mut session =
        Session::from_refresh_token(&client(), Secret::new("fake-refresh-0"), policy(), now()).unwrap();
    assert_eq!(step(&mut session, now()), "save over 0");
    assert_eq!(usable(&session, now()), None);
    assert!(save(&mut session, &mut store, now()));
    // There is no access token yet, whatever the clock of another holder says.
    for seconds in 0..7 {
        let earlier = now() - Duration::from_secs(seconds);
        assert_eq!(usable(&store.holder(earlier), earlier), None, "{seconds}");
    }
    // It may wait in the store for as long as it likes.
    let mut session = store.holder(later(5000));
    assert_eq!(usable(&session, later(5000)), None);
    assert!(save(&mut session, &mut store, later(5000)));
    let call = send(&mut session, later(5000));
    assert_eq!(refresh_token(call.request()), "fake-refresh-0");
    answer(&mut session, call, 200, &body(1), later(5000)).unwrap();
    assert!(save(&mut session, &mut store, later(5000)));
    assert_eq!(usable(&session, later(5000)), Some("fake-access-1"));
}
