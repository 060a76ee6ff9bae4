//! Several holders of one authorization, who share a store: claims, lost races and adopted snapshots.

use std::time::{Duration, SystemTime};

use oauth2_proto::{Step, error::ErrorKind};

use crate::steps::*;
use crate::store::Store;
use crate::support::{client, later, now};

/// Three holders, whose clocks are at most the skew apart, and who never see an answer to a refresh.
#[test]
fn at_most_one_refresh_in_flight_per_authorization() {
    let mut store = Store::default();
    signed_in(&mut store);
    let behind = Duration::from_secs(SKEW) / 2;
    let local = |clock: usize, time: SystemTime| time - behind + behind * clock as u32;
    let mut holders: Vec<_> = (0..3).map(|clock| store.holder(local(clock, now()))).collect();
    let mut in_flight_until = now();
    let mut senders = Vec::new();
    for half_second in 2 * DUE - 20..2 * DUE + 2000 {
        let time = now() + Duration::from_millis(half_second * 500);
        // Each holder has its turn to be the first.
        for turn in 0..3 {
            let clock = (turn + half_second as usize) % 3;
            // Two sleep half of the time, so that the holder whose clock is behind can refresh too.
            if clock != 0 && half_second / 400 % 2 == 1 {
                continue;
            }
            let (session, now) = (&mut holders[clock], local(clock, time));
            match session.poll(now) {
                Step::Save(_) => save_or_adopt(session, &mut store, now),
                Step::Send { until } => {
                    assert!(in_flight_until <= time, "two in flight at {half_second}: {senders:?}");
                    send(session, now);
                    in_flight_until = until + behind - behind * clock as u32;
                    senders.push(clock);
                }
                _ => adopt(session, &store, now),
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
    // One claims and does not send in time; another takes over and refreshes.
    save(&mut slow, &mut store, later(DUE));
    let mut other = store.holder(later(DUE));
    refresh(&mut other, &mut store, 1, later(CLAIM_OVER));
    for time in [later(CLAIM_MIDDLE), later(CLAIM_OVER + 1)] {
        assert!(slow.send(&client(), time).unwrap().is_none());
    }
    adopt(&mut slow, &store, later(CLAIM_OVER + 1));
    let after = later(AFTER_CLAIM);
    // Another still holds the first tokens; the store refuses its claim.
    assert!(!try_save(&mut asleep, &mut store, after));
    adopt(&mut asleep, &store, after);
    for session in [&mut slow, &mut asleep] {
        assert!(session.send(&client(), after).unwrap().is_none());
        assert_eq!(usable(session, after), Some("fake-access-1"));
    }
    let call = claim_and_send(&mut slow, &mut store, later(CLAIM_OVER + DUE));
    assert_eq!(refresh_token(call.request()), "fake-refresh-1");
}

#[test]
fn a_claim_that_lost_the_race_is_adopted() {
    let mut store = Store::default();
    let mut winner = signed_in(&mut store);
    let mut loser = store.holder(now());
    let late = due_save(&mut loser, later(DUE));
    save(&mut winner, &mut store, later(DUE));
    assert!(!store.compare_and_swap(&late));
    adopt(&mut loser, &store, later(DUE));
    assert_eq!(step(&mut loser, later(DUE)), "wait 1865");
    assert!(loser.send(&client(), later(DUE)).unwrap().is_none());
    assert_eq!(usable(&loser, later(DUE)), Some("fake-access-0"));
    assert_eq!(step(&mut winner, later(DUE)), "send by 1860");
    let call = send(&mut winner, later(DUE));
    answer(&mut winner, call, 200, &body(1), later(DUE)).unwrap();
    save(&mut winner, &mut store, later(DUE));
    adopt(&mut loser, &store, later(DUE + 1));
    assert_eq!(usable(&loser, later(DUE + 1)), Some("fake-access-1"));
    assert_eq!(step(&mut loser, later(DUE + 1)), "idle 3600");
}

#[test]
fn a_claim_that_another_task_adopted_first_is_still_ours() {
    let mut store = Store::default();
    let mut session = signed_in(&mut store);
    let ours = due_save(&mut session, later(DUE));
    let twin = due_save(&mut session, later(DUE));
    assert!(store.compare_and_swap(&ours) && !store.compare_and_swap(&twin));
    // The task that lost adopts before the task that won reports its save.
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
fn a_stale_snapshot_is_ignored() {
    let mut store = Store::default();
    let mut session = signed_in(&mut store);
    let first = store.clone();
    let save_once = due_save(&mut session, later(DUE));
    let save_twice = due_save(&mut session, later(DUE));
    assert!(store.compare_and_swap(&save_once) && !store.compare_and_swap(&save_twice));
    session.saved(save_once);
    let call = send(&mut session, later(DUE));
    let before = format!("{session:?}");
    // A second report of the claim, an older snapshot, and the same snapshot.
    session.saved(save_twice);
    adopt(&mut session, &first, later(DUE));
    adopt(&mut session, &store, later(DUE));
    assert_eq!(format!("{session:?}"), before);
    answer(&mut session, call, 200, &body(1), later(DUE)).unwrap();
    save(&mut session, &mut store, later(DUE));
    adopt(&mut session, &first, later(DUE));
    assert_eq!(usable(&session, later(DUE)), Some("fake-access-1"));
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
fn a_save_of_another_session_changes_nothing() {
    let (mut store, mut other_store) = (Store::default(), Store::default());
    let mut session = signed_in(&mut store);
    let mut other = signed_in_with(&mut other_store, &body(50), policy());
    let foreign = due_save(&mut other, later(DUE));
    let before = format!("{session:?}");
    session.saved(foreign);
    assert_eq!(format!("{session:?}"), before);
}
