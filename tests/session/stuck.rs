//! Nothing hangs: times that a wrong clock has stored, other clients, stores that forget, and tokens of
//! seconds.

use std::time::Duration;

use oauth2_proto::error::ErrorKind;
use oauth2_proto::session::WaitReason;
use oauth2_proto::{AuthorizationServer, Client, ClientAuth, RefreshPolicy, Session, Step};

use crate::responses::json;
use crate::steps::*;
use crate::store::Store;
use crate::support::{client, later, server, token_call};

const YEAR: u64 = 365 * DAY;

#[test]
fn tokens_that_arrive_after_a_jump_of_years_cost_one_refresh_when_the_clock_is_right_again() {
    for jump in [2 * CLAIM, 12 * YEAR] {
        let mut store = Store::default();
        let mut session = claimed(&mut store);
        let call = send(&mut session, later(DUE));
        // The clock jumps while the answer is under way, and is set right after the save.
        answer(&mut session, call, 200, &body(1), later(DUE + jump)).unwrap();
        save(&mut session, &mut store, later(DUE + jump));
        let mut server = RotatingServer { number: 1, ..RotatingServer::default() };
        for session in [&mut session, &mut store.holder(later(DUE + 2))] {
            let mut store = store.clone();
            drive(session, &mut store, &mut server, later(DUE + 2));
            assert!(usable(session, later(DUE + 30)).is_some(), "{jump}: {session:?}");
            server.number = 1;
        }
        assert_eq!(server.seen.len() / 2, usize::from(jump > EXPIRY), "{jump}");
    }
}

/// Its holder died, and the others live for seconds only, so none sees how long the claim has been there.
#[test]
fn a_claim_from_the_future_ends_for_holders_that_live_for_seconds() {
    let mut store = Store::default();
    let mut ahead = signed_in(&mut store);
    save(&mut ahead, &mut store, later(DUE + YEAR));
    let mut time = DUE;
    let mut saves = 0;
    let sent = loop {
        // Restored, polled for a while, and gone.
        let mut session = store.holder(later(time));
        for second in 0..30 {
            match session.poll(later(time + second)) {
                Step::Save(_) => {
                    save(&mut session, &mut store, later(time + second));
                    saves += 1;
                }
                Step::Send { .. } => break,
                _ => {}
            }
        }
        if let Step::Send { .. } = session.poll(later(time + 29)) {
            break time + 29;
        }
        time += 60;
        assert!(time < DUE + 600, "{session:?}");
    };
    assert!(sent < DUE + 180 && saves == 2, "one date and one claim: {saves} saves, sent at {sent}");
}

#[test]
fn a_holder_with_another_client_is_told_before_anything_is_claimed() {
    let other_secret = Client::new(server(), "fake-client", ClientAuth::post("fake-other")).unwrap();
    let other_id = Client::new(server(), "fake-other-client", ClientAuth::none()).unwrap();
    let moved = AuthorizationServer::new("https://as.example/authorize", "https://as.example/2026-03/token");
    let moved = Client::new(moved.unwrap(), "fake-client", ClientAuth::none()).unwrap();
    let mut store = Store::default();
    signed_in(&mut store);
    assert!(Session::restore(&other_secret, store.load(), policy(), later(0)).is_ok(), "a secret may change");
    for client in [&other_id, &moved] {
        let error = Session::restore(client, store.load(), policy(), later(DUE)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Misuse);
        assert!(error.to_string().contains("call rebind"), "{error}");
    }
    // The user signs in by another client, and a holder of the former one learns of it from the store.
    let mut session = store.holder(later(1));
    let mut other = store.holder(later(1));
    let pending = token_call(&other_id);
    other.reauthorized(pending.read(json(&body(5))).unwrap(), later(1));
    save(&mut other, &mut store, later(1));
    adopt(&mut session, &store, later(1));
    assert_eq!(usable(&session, later(1)), Some("fake-access-5"), "it may use the token");
    let Step::Wait { until, reason } = session.poll(later(2 + DUE)) else { panic!("{session:?}") };
    assert_eq!(reason, WaitReason::AnotherClient);
    assert!(until > later(2 + DUE));
    assert_eq!(session.send(&client(), later(2 + DUE)).unwrap_err().kind(), ErrorKind::Misuse);
    assert_eq!(step(&mut other, later(2 + DUE)), "save over 2", "the other one refreshes");
}

#[test]
fn a_token_endpoint_in_another_spelling_is_the_same_and_a_move_is_one_explicit_step() {
    let mut store = Store::default();
    signed_in(&mut store);
    for endpoint in ["https://AS.example/token", "https://as.example:443/token", "HTTPS://as.EXAMPLE/token"] {
        let server = AuthorizationServer::new("https://as.example/authorize", endpoint).unwrap();
        let client = Client::new(server, "fake-client", ClientAuth::none()).unwrap();
        assert!(Session::restore(&client, store.load(), policy(), later(0)).is_ok(), "{endpoint}");
    }
    let moved = AuthorizationServer::new("https://as.example/authorize", "https://as.example/new/token");
    let moved = Client::new(moved.unwrap(), "fake-client", ClientAuth::none()).unwrap();
    let mut session = Session::rebind(&moved, store.load(), policy(), later(DUE));
    assert_eq!(session.send(&moved, later(DUE)).unwrap_err().kind(), ErrorKind::Misuse, "not saved yet");
    save(&mut session, &mut store, later(DUE));
    save(&mut session, &mut store, later(DUE));
    let call = session.send(&moved, later(DUE)).unwrap().unwrap();
    assert_eq!(call.request().url(), "https://as.example/new/token");
    assert!(Session::restore(&moved, store.load(), policy(), later(DUE)).is_ok());
    // The tokens of a refresh that was under way at the old address do not undo the move.
    let mut store = Store::default();
    let mut refreshing = claimed(&mut store);
    let call = send(&mut refreshing, later(DUE));
    let mut session = Session::rebind(&moved, store.load(), policy(), later(DUE));
    save(&mut session, &mut store, later(DUE));
    answer(&mut refreshing, call, 200, &body(1), later(DUE)).unwrap();
    assert!(!try_save(&mut refreshing, &mut store, later(DUE)));
    adopt(&mut refreshing, &store, later(DUE));
    save(&mut refreshing, &mut store, later(DUE));
    assert_eq!(store.value()["refresh_token"], "fake-refresh-1");
    assert!(Session::restore(&moved, store.load(), policy(), later(DUE)).is_ok());
    assert!(Session::restore(&client(), store.load(), policy(), later(DUE)).is_err());
}

#[test]
fn tokens_of_seconds_are_refreshed_no_more_often_than_the_policy_says() {
    for (policy, most) in [
        (RefreshPolicy::default(), 3600 / 10 + 1),
        (RefreshPolicy::default().min_interval(Duration::from_secs(60)), 61),
        (RefreshPolicy::default().min_interval(Duration::from_millis(500)), 7201),
    ] {
        let short = |number: usize| body(number).replace("3600", "1");
        let mut store = Store::default();
        let mut session = signed_in_with(&mut store, &short(0), policy);
        let (mut time, mut refreshes) = (later(0), 0);
        while time < later(3600) {
            match session.poll(time) {
                Step::Save(_) => save(&mut session, &mut store, time),
                Step::Send { .. } => {
                    refreshes += 1;
                    let call = send(&mut session, time);
                    answer(&mut session, call, 200, &short(refreshes), time).unwrap();
                }
                Step::Idle(Some(until)) | Step::Wait { until, .. } => {
                    time = until.max(time + Duration::from_millis(1));
                }
                other => panic!("{other:?}"),
            }
        }
        assert!(refreshes <= most && refreshes * 2 >= most, "{refreshes} of {most}");
    }
}

#[test]
fn a_store_that_lost_its_last_write_is_taken_back_to_when_the_caller_says_so() {
    // The lost writes: a claim, tokens, and a refusal.
    for lost in ["claim", "tokens", "refusal"] {
        let mut store = Store::default();
        let mut session = signed_in(&mut store);
        let mut before = store.clone();
        save(&mut session, &mut store, later(DUE));
        if lost != "claim" {
            let call = send(&mut session, later(DUE));
            let (status, text) = if lost == "tokens" { (200, body(1)) } else { (400, INVALID_GRANT.into()) };
            before = store.clone();
            let _ = answer(&mut session, call, status, &text, later(DUE));
            save(&mut session, &mut store, later(DUE));
        }
        let mut store = before;
        let time = later(DUE + 1);
        assert!(!session.adopt(store.load(), time).unwrap(), "nothing newer");
        session.roll_back(store.load(), time).unwrap();
        match lost {
            "claim" => {
                assert!(session.send(&client(), time).unwrap().is_none(), "the claim is lost");
                save(&mut session, &mut store, time);
                assert_eq!(step(&mut session, time), "send by 1861");
            }
            "tokens" => {
                assert_eq!(usable(&session, time), None, "not in the store any more");
                save(&mut session, &mut store, time);
                assert_eq!(usable(&session, time), Some("fake-access-1"));
                assert_eq!(store.value()["refresh_token"], "fake-refresh-1");
            }
            _ => {
                save(&mut session, &mut store, time);
                assert_eq!(step(&mut session, time), "reauthorize Refused");
            }
        }
    }
    let mut stranger = Store::default();
    signed_in_with(&mut stranger, &body(50), policy());
    let mut store = Store::default();
    let mut session = signed_in(&mut store);
    assert_eq!(session.roll_back(stranger.load(), later(1)).unwrap_err().kind(), ErrorKind::Misuse);
}

#[test]
fn resume_tries_in_every_pause() {
    // After a failure, after a rejected token, and after a token that was dead on arrival.
    for pause in ["failure", "rejection", "dead"] {
        let mut store = Store::default();
        let policy = policy().backoff(Duration::from_secs(600), Duration::from_secs(600));
        let mut session = signed_in_with(&mut store, &body(0), policy);
        let call = claim_and_send(&mut session, &mut store, later(DUE));
        let (status, text) = match pause {
            "failure" => (503, String::new()),
            "rejection" => (200, body(1)),
            _ => (200, body(1).replace("3600", "0")),
        };
        let _ = answer(&mut session, call, status, &text, later(DUE));
        save(&mut session, &mut store, later(DUE));
        if pause == "rejection" {
            session.access_token_rejected(&"fake-access-1".into());
        }
        assert!(step(&mut session, later(DUE + 1)).starts_with("wait"), "{pause}");
        session.resume(later(DUE + 1));
        save(&mut session, &mut store, later(DUE + 1));
        assert!(step(&mut session, later(DUE + 1)).starts_with("save"), "{pause}: {session:?}");
    }
}

#[test]
fn a_refresh_token_is_used_before_it_dies() {
    for (member, refresh_at) in [
        (r#","refresh_expires_in":1800"#, 900),
        (r#","refresh_token_expires_in":"1800""#, 900),
        (r#","refresh_expires_in":0"#, 1800),
        (r#","refresh_expires_in":"0""#, 1800),
        (r#","refresh_expires_in":7200"#, 1800),
        (r#","refresh_expires_in":-1"#, 1800),
        (r#","refresh_expires_in":{}"#, 1800),
    ] {
        let text = body(0).replace('}', &format!("{member}}}"));
        let mut store = Store::default();
        let mut session = signed_in_with(&mut store, &text, policy());
        assert_eq!(step(&mut session, later(1)), format!("idle {refresh_at}"), "{member}");
        assert_eq!(step(&mut store.holder(later(1)), later(1)), format!("idle {refresh_at}"), "{member}");
    }
    // The access token has no end, and the refresh token has one.
    let text = r#"{"access_token":"fake-a","token_type":"Bearer","refresh_token":"fake-refresh-0","refresh_expires_in":1800}"#;
    let mut store = Store::default();
    let mut session = signed_in_with(&mut store, text, policy());
    assert_eq!(step(&mut session, later(1)), "idle 900");
    // A refresh that brings no other refresh token does not make it live longer.
    let call = claim_and_send(&mut session, &mut store, later(900));
    let again = r#"{"access_token":"fake-b","token_type":"Bearer","expires_in":3600}"#;
    answer(&mut session, call, 200, again, later(900)).unwrap();
    save(&mut session, &mut store, later(900));
    assert_eq!(step(&mut session, later(901)), "idle 1350");
}

/// A session that an earlier version stored for an endpoint in another spelling is not lost to the upgrade.
#[test]
fn a_snapshot_with_the_digest_of_the_endpoint_as_written_is_restored_by_that_client() {
    let mut store = Store::default();
    signed_in(&mut store);
    store.set("issued_to", "I8aO6LDqw9NHVoYD2Hj-FQ".into());
    assert!(Session::restore(&client(), store.load(), policy(), later(DUE)).is_err());
    let server = AuthorizationServer::new("https://as.example/authorize", "https://as.example:443/token");
    let as_written = Client::new(server.unwrap(), "fake-client", ClientAuth::none()).unwrap();
    let mut session = Session::restore(&as_written, store.load(), policy(), later(DUE)).unwrap();
    save(&mut session, &mut store, later(DUE));
    assert!(session.send(&as_written, later(DUE)).unwrap().is_some());
    assert!(
        Session::restore(&client(), store.load(), policy(), later(DUE)).is_ok(),
        "normalised from now on"
    );
}
