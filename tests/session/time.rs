//! Clocks that are wrong: behind, ahead, set back, or at the ends of time.

use std::time::{Duration, SystemTime};

use oauth2_proto::{Secret, Session};

use crate::steps::*;
use crate::store::Store;
use crate::support::{client, later, now};

#[test]
fn a_clock_that_goes_back_by_no_more_than_the_skew_stands_still() {
    let mut store = Store::default();
    let mut session = claimed(&mut store);
    assert_eq!(step(&mut session, later(DUE - SKEW)), "send by 1860");
    let call = session.send(&client(), later(DUE - SKEW)).unwrap().unwrap();
    assert_eq!(step(&mut session, later(CLAIM_END)), "wait 1865", "our own claim is over");
    assert_eq!(step(&mut session, later(CLAIM_END - SKEW)), "wait 1865", "and stays so");
    assert!(session.send(&client(), later(CLAIM_END - SKEW)).unwrap().is_none());
    answer(&mut session, call, 200, &body(1), later(CLAIM_END - SKEW + 1)).unwrap();
    save(&mut session, &mut store, later(CLAIM_END - SKEW + 1));
    // The lifetime counts from the sending, at the latest time seen until then.
    assert_eq!(step(&mut session, later(CLAIM_END - SKEW + 2)), "idle 3600");
    assert_eq!(step(&mut session, later(2 * DUE)), "save over 3");
    assert_eq!(step(&mut session, later(2 * DUE - SKEW + 1)), "save over 3", "due is due");
}

#[test]
fn a_clock_that_goes_back_by_more_ends_our_claim_and_starts_the_wait_for_anothers_anew() {
    let mut store = Store::default();
    let mut sleeper = claimed(&mut store);
    assert_eq!(step(&mut sleeper, later(DUE - SKEW - 1)), "save over 2", "the claim is dated anew");
    save(&mut sleeper, &mut store, later(DUE - SKEW - 1));
    assert_eq!(step(&mut sleeper, later(DUE - SKEW - 1)), "wait 1859");
    assert!(sleeper.send(&client(), later(DUE)).unwrap().is_none(), "how much is left cannot be told");

    let mut store = Store::default();
    claimed(&mut store);
    let mut waiting = store.holder(later(CLAIM_END));
    assert_eq!(step(&mut waiting, later(CLAIM_END)), "wait 1865");
    save(&mut waiting, &mut store, later(1000));
    assert_eq!(step(&mut waiting, later(1000)), "wait 1065", "a claim lasts no longer than a claim");
    assert_eq!(step(&mut waiting, later(1000 + CLAIM + SKEW)), "save over 3");
}

#[test]
fn a_claim_that_was_saved_while_the_clock_went_back_is_not_ours() {
    let mut store = Store::default();
    let mut session = signed_in(&mut store);
    let claim = due_save(&mut session, later(DUE));
    assert!(store.compare_and_swap(&claim));
    assert_eq!(step(&mut session, later(DUE - 100)), "idle 1800");
    session.saved(claim);
    assert!(session.send(&client(), later(DUE - 100)).unwrap().is_none());
    save(&mut session, &mut store, later(DUE - 100));
    assert_eq!(step(&mut session, later(DUE - 100)), "wait 1765");
}

#[test]
fn clocks_that_are_set_within_the_skew_do_not_shorten_a_claim() {
    let mut store = Store::default();
    let mut session = signed_in(&mut store);
    save(&mut session, &mut store, later(DUE + 2));
    // The other clock is behind by the skew when it sees the claim, and is corrected later.
    let mut other = store.holder(later(DUE + 2 - SKEW));
    assert_eq!(step(&mut other, later(DUE + 2 - SKEW)), "wait 1867");
}

/// A holder whose clock is ahead replaces our claim while we may still send.
#[test]
fn after_another_holders_claim_is_adopted_nothing_is_sent() {
    let mut store = Store::default();
    let mut session = claimed(&mut store);
    let mut ahead = store.holder(later(AFTER_CLAIM));
    save(&mut ahead, &mut store, later(AFTER_CLAIM));
    adopt(&mut session, &store, later(DUE + 1));
    assert!(session.send(&client(), later(DUE + 1)).unwrap().is_none());
    save(&mut session, &mut store, later(DUE + 1));
    assert!(session.send(&client(), later(DUE + 1)).unwrap().is_none());
    assert_eq!(step(&mut session, later(DUE + 1)), "wait 1866");
}

#[test]
fn tokens_that_come_after_the_clock_went_back_count_from_their_arrival() {
    let mut store = Store::default();
    let mut session = claimed(&mut store);
    let call = send(&mut session, later(DUE));
    answer(&mut session, call, 200, &body(1), later(100)).unwrap();
    save(&mut session, &mut store, later(100));
    assert_eq!(usable(&session, later(100)), Some("fake-access-1"));
    assert_eq!(step(&mut session, later(100)), "idle 1900");
}

#[test]
fn an_expired_token_is_not_revived_and_is_replaced_though_the_clock_goes_back() {
    let mut store = Store::default();
    let mut session = signed_in(&mut store);
    let mut server = RotatingServer::default();
    assert_eq!(step(&mut session, later(EXPIRY)), "save over 1");
    for seconds in [EXPIRY - 1, EXPIRY - SKEW, EXPIRY - SKEW - 1, 100, 0] {
        assert_eq!(usable(&session, later(seconds)), None, "{seconds}");
        assert_eq!(step(&mut session, later(seconds)), "save over 1", "{seconds}");
    }
    assert_eq!(drive(&mut session, &mut store, &mut server, later(10)), "idle 1810");
    assert_eq!(usable(&session, later(10)), Some("fake-access-1"), "a new token is not expired");

    // Without a refresh token the user must sign in again.
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
        for (seconds, token) in [(SKEW, Some("fake-access-0")), (SKEW + 1, None), (365 * DAY, None)] {
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

/// One holder's clock is in 2099.
#[test]
fn a_clock_that_is_ahead_makes_one_refresh_too_many_and_no_more() {
    let in_2099 = later(2_400_000_000);
    let mut store = Store::default();
    let mut ahead = signed_in(&mut store);
    let mut other = store.holder(now());
    // Its claim blocks the others for `CLAIM` and `SKEW`, from when one of them dates it anew.
    assert_eq!(step(&mut ahead, in_2099), "save over 1");
    save(&mut ahead, &mut store, in_2099);
    let mut failed = store.clone();
    adopt(&mut other, &store, later(100));
    save(&mut other, &mut store, later(100));
    assert_eq!(step(&mut other, later(100)), "wait 165");
    assert_eq!(step(&mut store.holder(later(110)), later(110)), "wait 165");
    // Its pause blocks nobody, and its tokens are replaced.
    let call = send(&mut ahead, in_2099);
    ahead.no_response(call, in_2099);
    save(&mut ahead, &mut failed, in_2099);
    assert_eq!(step(&mut failed.holder(later(100)), later(100)), "save over 3");

    let mut store = Store::default();
    let mut session = signed_in(&mut store);
    let call = claim_and_send(&mut session, &mut store, in_2099);
    answer(&mut session, call, 200, &body(1), in_2099).unwrap();
    save(&mut session, &mut store, in_2099);
    // Its clock is corrected.
    let mut server = RotatingServer { number: 1, ..RotatingServer::default() };
    assert_eq!(drive(&mut session, &mut store, &mut server, later(100)), "idle 1900");
    assert_eq!(server.seen, ["fake-refresh-1"]);
    assert_eq!(usable(&session, later(100)), Some("fake-access-2"));
}

#[test]
fn times_before_1970_and_at_the_end_of_time_are_taken_as_they_are_bounded() {
    let before = SystemTime::UNIX_EPOCH - Duration::from_secs(DAY);
    let mut session = Session::new(tokens(&body(0)), policy(), before);
    let mut store = Store::default();
    save(&mut session, &mut store, before);
    assert_eq!(session.expires_at(), Some(SystemTime::UNIX_EPOCH + Duration::from_secs(EXPIRY)));
    let endless = body(0).replace("3600", "99999999999999999999");
    let mut session = signed_in_with(&mut Store::default(), &endless, policy());
    // The longest lifetime that is reported, 68 years.
    assert_eq!(session.expires_at(), Some(later(2_147_483_647)));
    assert_eq!(usable(&session, later(1_000_000_000)), Some("fake-access-0"));
    assert!(step(&mut session, later(1_000_000_000)).starts_with("idle"));
    let end = SystemTime::UNIX_EPOCH + Duration::from_secs(300_000_000_000);
    assert_eq!(usable(&session, end), None);
    assert!(step(&mut session, end).starts_with("save"));
}
