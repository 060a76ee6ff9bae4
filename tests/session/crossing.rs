//! Events that cross: sign-ins, refreshes, ends and moves of the token endpoint, on holders whose clocks differ.

use oauth2_proto::session::{Reason, TroubleKind};
use oauth2_proto::{AuthorizationServer, Client, ClientAuth, Session, Snapshot, Step};

use crate::responses::json;
use crate::steps::*;
use crate::store::Store;
use crate::support::{client, client_of, later, server, token_call};

/// The tokens of a sign-in that brought no refresh token.
const ONLY: &str = r#"{"access_token":"fake-access-5","token_type":"Bearer","expires_in":3600}"#;

#[test]
fn a_sign_in_keeps_the_refresh_token_of_the_store_and_not_an_older_one() {
    let mut store = Store::default();
    let mut session = signed_in(&mut store);
    let mut other = store.holder(later(DUE));
    session.reauthorized(tokens(ONLY), later(DUE));
    refresh(&mut other, &mut store, 1, later(DUE));
    while let Step::Save(_) = session.poll(later(DUE + 1)) {
        save_or_adopt(&mut session, &mut store, later(DUE + 1));
    }
    assert_eq!(store.value()["refresh_token"], "fake-refresh-1");
}

#[test]
fn a_first_sign_in_without_a_refresh_token_keeps_the_one_that_another_process_stored() {
    let mut store = Store::default();
    let mut first = Session::new(tokens(&body(0)), policy(), later(0));
    let mut second = Session::new(tokens(ONLY), policy(), later(1));
    save(&mut first, &mut store, later(1));
    while let Step::Save(_) = second.poll(later(1)) {
        save_or_adopt(&mut second, &mut store, later(1));
    }
    assert_eq!(store.value()["refresh_token"], "fake-refresh-0");
}

#[test]
fn a_failure_of_earlier_tokens_does_not_win_over_a_sign_in_after_one_from_the_future() {
    let mut store = Store::default();
    let mut one = signed_in(&mut store);
    let mut ahead = store.holder(later(365 * DAY));
    ahead.reauthorized(tokens(&body("ahead")), later(365 * DAY));
    save(&mut ahead, &mut store, later(365 * DAY));
    adopt(&mut one, &store, later(1));
    // due as from the future
    let call = claim_and_send(&mut one, &mut store, later(2));
    // the user signs in again, right clocks
    let mut two = store.holder(later(3));
    two.reauthorized(tokens(&body("new")), later(3));
    save(&mut two, &mut store, later(3));
    answer(&mut one, call, 503, "", later(4)).unwrap_err();
    while let Step::Save(_) = one.poll(later(4)) {
        save_or_adopt(&mut one, &mut store, later(4));
    }
    assert_eq!(store.value()["refresh_token"], "fake-refresh-new");
}

#[test]
fn a_refusal_of_earlier_tokens_does_not_win_over_a_sign_in_by_a_clock_that_is_ahead() {
    let mut store = Store::default();
    let mut one = claimed(&mut store);
    let mut two = store.holder(later(DUE + 10));
    let call = send(&mut one, later(DUE));
    two.reauthorized(tokens(&body("new")), later(DUE + 11)); // its clock is 10 s ahead
    save(&mut two, &mut store, later(DUE + 11));
    answer(&mut one, call, 400, INVALID_GRANT, later(DUE + 1)).unwrap_err();
    while let Step::Save(_) = one.poll(later(DUE + 1)) {
        save_or_adopt(&mut one, &mut store, later(DUE + 1));
    }
    assert_eq!(store.value()["refresh_token"], "fake-refresh-new");
    assert_ne!(store.value()["state"], "refused");
}

#[test]
fn a_refresh_token_of_one_client_is_not_stored_for_another() {
    let mut store = Store::default();
    let mut one = signed_in(&mut store);
    let mut two = store.holder(later(1));
    let other = Client::new(server(), "fake-other-client", ClientAuth::none()).unwrap();
    one.reauthorized(token_call(&other).read(json(&body("other"))).unwrap(), later(2));
    two.reauthorized(tokens(ONLY), later(3));
    save(&mut two, &mut store, later(3));
    while let Step::Save(_) = one.poll(later(3)) {
        save_or_adopt(&mut one, &mut store, later(3));
    }
    assert_eq!(store.value()["refresh_token"], "fake-refresh-0");
}

#[test]
fn what_is_stored_after_a_kept_token_was_rotated_can_be_read() {
    let mut store = Store::default();
    let first = body(0).replace("\"expires_in\"", "\"refresh_expires_in\":7200,\"expires_in\"");
    let mut session = signed_in_with(&mut store, &first, policy());
    save(&mut session, &mut store, later(DUE));
    let call = send(&mut session, later(DUE));
    session.reauthorized(tokens(r#"{"access_token":"fake-access-5","token_type":"Bearer"}"#), later(DUE));
    answer(&mut session, call, 200, &body(1), later(DUE + 1)).unwrap();
    save(&mut session, &mut store, later(DUE + 1));
    let read: Result<Snapshot, _> = serde_json::from_str(&store.text);
    assert!(read.is_ok(), "{}", read.unwrap_err());
}

#[test]
fn the_end_of_a_refused_refresh_token_does_not_end_the_next_sign_in() {
    let mut store = Store::default();
    let first = body(0).replace("\"expires_in\"", "\"refresh_expires_in\":1800,\"expires_in\"");
    let mut session = signed_in_with(&mut store, &first, policy());
    let t = later(DUE);
    let call = claim_and_send(&mut session, &mut store, t);
    answer(&mut session, call, 400, INVALID_GRANT, t).unwrap_err();
    save(&mut session, &mut store, t);
    session.reauthorized(tokens(r#"{"access_token":"fake-access-5","token_type":"Bearer"}"#), later(DUE + 1));
    save(&mut session, &mut store, later(DUE + 1));
    assert_eq!(step(&mut session, later(DUE + 20)), "idle");
}

/// Each holder rests after its own failure, however the other one's clock dates the pause.
#[test]
fn clocks_that_differ_do_not_make_an_outage_end_a_session() {
    for ahead in [0, 10, 700, 365 * DAY] {
        let mut store = Store::default();
        signed_in(&mut store);
        let offsets = [0, ahead];
        let restored =
            |offset: &u64| Session::restore(&client(), store.load(), policy(), later(DUE + offset)).unwrap();
        let mut holders: Vec<_> = offsets.iter().map(restored).collect();
        let mut requests = 0;
        for second in (DUE..DUE + DAY / 2).step_by(2) {
            for (session, offset) in holders.iter_mut().zip(offsets) {
                let time = later(second + offset);
                adopt(session, &store, time);
                for _ in 0..4 {
                    match session.poll(time) {
                        Step::Save(_) => save_or_adopt(session, &mut store, time),
                        Step::Send { .. } => {
                            requests += 1;
                            let call = send(session, time);
                            answer(session, call, 503, "", time).unwrap_err();
                        }
                        Step::Reauthorize(reason) => panic!("{reason} with a clock ahead by {ahead} s"),
                        _ => break,
                    }
                }
            }
        }
        assert!(requests < 300, "{requests} requests with a clock ahead by {ahead} s");
    }
}

/// To the one whose clock is behind, the other's tokens are from the future; to the other, its tokens have expired.
#[test]
fn clocks_that_differ_for_good_do_not_refresh_without_a_brake() {
    for ahead in [DAY, 365 * DAY] {
        let mut store = Store::default();
        signed_in(&mut store);
        let mut server = RotatingServer::default();
        let mut holders = [0, ahead].map(|offset| (store.holder(later(DUE + offset)), offset));
        for second in DUE..DUE + 600 {
            for (session, offset) in &mut holders {
                let time = later(second + *offset);
                adopt(session, &store, time);
                for _ in 0..4 {
                    match session.poll(time) {
                        Step::Save(_) => save_or_adopt(session, &mut store, time),
                        Step::Send { .. } => {
                            let call = send(session, time);
                            let (status, text) = server.answer(call.request());
                            answer(session, call, status, &text, time).unwrap();
                        }
                        _ => break,
                    }
                }
            }
        }
        assert!(server.seen.len() <= 2 * 600 / 10 + 2, "{} refreshes in 600 s", server.seen.len());
    }
}

#[test]
fn two_requests_never_have_the_token_that_a_sign_in_keeps() {
    let mut store = Store::default();
    let mut one = claimed(&mut store);
    let mut two = store.holder(later(DUE));
    send(&mut one, later(DUE));
    two.reauthorized(tokens(&ONLY.replace("3600", "20")), later(DUE + 1));
    save(&mut two, &mut store, later(DUE + 1));
    assert_eq!(usable(&two, later(DUE + 1)), Some("fake-access-5"));
    assert!(step(&mut two, later(DUE + 12)).starts_with("wait"), "the claim on the kept token stays");
    assert_eq!(step(&mut two, later(CLAIM_OVER)), "save over 3");
}

#[test]
fn a_server_that_is_known_not_to_refresh_is_told_before_anything_is_claimed() {
    let no_refresh = client_of(server().grant_types_supported(["authorization_code"]));
    let mut store = Store::default();
    signed_in(&mut store);
    assert!(Session::restore(&no_refresh, store.load(), policy(), later(DUE)).is_err());
    let mut session = Session::new(token_call(&no_refresh).read(json(&body(0))).unwrap(), policy(), later(0));
    let mut store = Store::default();
    save(&mut session, &mut store, later(0));
    assert_eq!(step(&mut session, later(EXPIRY)), "reauthorize NoRefreshToken");
    let Step::Reauthorize(Reason::NoRefreshToken) = session.poll(later(EXPIRY)) else { panic!() };
}

#[test]
fn a_missing_route_and_the_text_of_a_gateway_are_not_the_server() {
    for (status, text, kind) in [
        (404, r#"{"status":404,"error":"Not Found","path":"/token"}"#, TroubleKind::NotTheServer),
        (405, r#"{"error":"Method Not Allowed"}"#, TroubleKind::NotTheServer),
        (404, r#"{"error":{"code":404,"status":"NOT_FOUND"}}"#, TroubleKind::NotTheServer),
        (403, "[waf] blocked", TroubleKind::NotTheServer),
        (400, "{{error}}", TroubleKind::NotTheServer),
        (404, r#"{"error":"session_not_found"}"#, TroubleKind::UnclearRefusal),
        (400, r#"{"error":"Not Found"}"#, TroubleKind::UnclearRefusal),
        (400, r#"{"error":"cut-o"#, TroubleKind::UnclearRefusal),
    ] {
        let mut store = Store::default();
        let mut session = claimed(&mut store);
        let call = send(&mut session, later(DUE));
        answer(&mut session, call, status, text, later(DUE)).unwrap_err();
        assert_eq!(session.trouble().unwrap().kind(), kind, "{status} {text}");
    }
}

#[test]
fn a_move_of_the_token_endpoint_is_kept_by_an_answer_that_was_under_way() {
    let moved = AuthorizationServer::new("https://as.example/authorize", "https://as.example/moved");
    let moved = client_of(moved.unwrap());
    let mut store = Store::default();
    let mut session = claimed(&mut store);
    let call = send(&mut session, later(DUE));
    session = Session::rebind(&moved, store.load(), policy(), later(DUE));
    answer(&mut session, call, 200, &body(1), later(DUE + 1)).unwrap();
    save(&mut session, &mut store, later(DUE + 1));
    assert_eq!(store.value()["refresh_token"], "fake-refresh-1");
    assert!(step(&mut session, later(3 * DUE)).starts_with("save"), "{session:?}");
}

/// A code is stored and shown only if no spelling of a secret can hide in it.
#[test]
fn no_spelling_of_a_secret_is_shown_by_a_trouble() {
    let hex: String = "fake-refresh-0".bytes().map(|byte| format!("{byte:02x}")).collect();
    for code in [hex.clone(), format!("bad={hex}"), format!("gone_{hex}"), "ZmFrZS1yZWZyZXNoLTA".to_owned()] {
        let mut store = Store::default();
        let mut session = claimed(&mut store);
        let call = send(&mut session, later(DUE));
        let error = answer(&mut session, call, 400, &format!(r#"{{"error":"{code}"}}"#), later(DUE));
        let error = error.unwrap_err();
        let shown = format!("{error} {error:?} {} {session:?}", session.trouble().unwrap());
        assert!(!shown.contains(&code), "{shown}");
        assert_eq!(session.trouble().unwrap().code(), None);
    }
}
