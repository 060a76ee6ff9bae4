//! Answers to a refresh, including late, broken and foreign ones, and the changes that they cause.

use oauth2_proto::{Session, error::ErrorKind, server::Leniency, token::TokenType};

use crate::steps::*;
use crate::store::Store;
use crate::support::{client, client_of, later, now, server};

/// The value that `Request::response_limit` returns.
const LONGEST_BODY: usize = 1 << 20;

#[test]
fn a_missing_refresh_token_in_the_answer_keeps_the_old_one() {
    for member in ["", r#","refresh_token":null"#, r#","refresh_token":"""#] {
        let mut store = Store::default();
        let mut session = claimed(&mut store);
        let call = send(&mut session, later(DUE));
        let body = format!(r#"{{"access_token":"fake-a","token_type":"Bearer","expires_in":3600{member}}}"#);
        answer(&mut session, call, 200, &body, later(DUE)).unwrap();
        save(&mut session, &mut store, later(DUE));
        assert_eq!(store.value()["refresh_token"], "fake-refresh-0");
        assert_eq!(usable(&session, later(DUE)), Some("fake-a"));
        let call = claim_and_send(&mut session, &mut store, later(2 * DUE));
        assert_eq!(refresh_token(call.request()), "fake-refresh-0");
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
        let call = claim_and_send(&mut session, &mut store, time);
        let body = body(number + 1).trim_end_matches('}').to_owned() + member;
        answer(&mut session, call, 200, &body, time).unwrap();
        save(&mut session, &mut store, time);
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
    save(&mut session, &mut store, later(DUE));
    let call = session.send(&client, later(DUE)).unwrap().unwrap();
    answer(&mut session, call, 200, &body(1).replace("Bearer", "N_A"), later(DUE)).unwrap();
    save(&mut session, &mut store, later(DUE));
    assert_eq!(session.token_type(), &TokenType::Other("N_A".to_owned()));
    assert_eq!(store.holder(later(DUE)).token_type(), &TokenType::Other("N_A".to_owned()));
}

#[test]
fn invalid_grant_ends_in_reauthorize_at_once_for_all_holders() {
    for (ends_together, usable_token) in [(false, Some("fake-access-0")), (true, None)] {
        refused_for_all_holders(ends_together, usable_token);
    }
}

/// The access token has half of its lifetime left, and stays usable unless the server ends both tokens
/// together.
#[track_caller]
fn refused_for_all_holders(ends_together: bool, usable_token: Option<&str>) {
    let mut store = Store::default();
    let mut session = claimed(&mut store);
    store.set("ends_together", ends_together.into());
    let server = if ends_together { server().access_tokens_end_with_refresh() } else { server() };
    let mut other = store.holder(later(DUE));
    let call = session.send(&client_of(server), later(DUE)).unwrap().unwrap();
    let error = answer(&mut session, call, 400, INVALID_GRANT, later(DUE)).unwrap_err();
    assert_eq!(error.code(), Some("invalid_grant"));
    save(&mut session, &mut store, later(DUE));
    adopt(&mut other, &store, later(DUE));
    let mut newcomer = store.holder(later(DUE));
    for session in [&mut session, &mut other, &mut newcomer] {
        assert_eq!(step(session, later(DUE)), "reauthorize Refused");
        assert_eq!(usable(session, later(DUE)), usable_token);
        assert_eq!(usable(session, later(EXPIRY)), None);
        assert!(session.send(&client(), later(DUE)).unwrap().is_none());
        session.resume(later(DUE));
        assert_eq!(step(session, later(9 * EXPIRY)), "reauthorize Refused");
    }
}

/// A refusal is final, even while another holder is about to send the token again.
#[test]
fn a_refusal_wins_over_another_holders_claim_and_a_failure_does_not() {
    for (status, text, then) in [(400, INVALID_GRANT, "save over 3"), (503, "", "wait 1930")] {
        let mut store = Store::default();
        let mut late = claimed(&mut store);
        let call = send(&mut late, later(DUE));
        // The claim is over for the other holder, whose clock is ahead.
        let mut other = store.holder(later(DUE));
        save(&mut other, &mut store, later(CLAIM_OVER));
        assert!(answer(&mut late, call, status, text, later(CLAIM_END)).is_err());
        assert!(!try_save(&mut late, &mut store, later(CLAIM_END)), "the other's claim is there");
        adopt(&mut late, &store, later(CLAIM_END));
        assert_eq!(step(&mut late, later(CLAIM_END)), then);
    }
}

#[test]
fn an_answer_that_is_neither_tokens_nor_a_refusal_is_a_transient_failure() {
    for (status, text) in [
        (200, ""),
        (200, "<html>sign in to the network</html>"),
        (200, r#"{"token_type":"Bearer"}"#),
        (302, ""),
        (404, "not found"),
        (429, INVALID_GRANT),
        (500, ""),
        (503, INVALID_GRANT),
        (400, r#"{"error":"temporarily_unavailable"}"#),
        (0, ""),
    ] {
        let mut store = Store::default();
        let mut session = claimed(&mut store);
        let call = send(&mut session, later(DUE));
        assert!(answer(&mut session, call, status, text, later(DUE)).is_err());
        save(&mut session, &mut store, later(DUE));
        let end = end_of_wait(&mut session, later(DUE));
        assert!(later(DUE) < end && end <= later(DUE + 1), "{status} {text}: {end:?}");
        drive(&mut session, &mut store, &mut RotatingServer::default(), end);
        assert_eq!(usable(&session, end), Some("fake-access-1"), "{status} {text}");
    }
}

#[test]
fn a_new_refresh_token_is_kept_though_the_rest_of_its_answer_cannot_be_read() {
    for (sound, broken) in [
        (r#""expires_in":3600"#, r#""expires_in":"soon""#),
        (r#""token_type":"Bearer""#, r#""token_type":"odd""#),
        (r#""token_type":"Bearer","#, ""),
        (r#""access_token":"fake-access-1""#, r#""access_token":7"#),
        (r#""access_token":"fake-access-1","#, ""),
        // A body of the greatest length.
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
        save(&mut session, &mut store, later(DUE));
        assert_eq!(
            (usable(&session, later(DUE)), store.value()["refresh_token"].as_str()),
            (None, Some("fake-refresh-1"))
        );
        assert!(step(&mut session, later(DUE)).starts_with("wait"), "{broken}");
        let mut other = store.holder(later(DUE + 2));
        let call = claim_and_send(&mut other, &mut store, later(DUE + 2));
        assert_eq!(refresh_token(call.request()), "fake-refresh-1");
    }
}

#[test]
fn no_refresh_token_is_taken_from_a_refusal_or_a_failure() {
    let with_error = body(1).replace("{", r#"{"error":"temporarily_unavailable","#);
    let too_long = body(1) + &" ".repeat(LONGEST_BODY - body(1).len() + 1);
    for (status, body) in [(200, with_error), (400, body(1)), (302, body(1)), (503, body(1)), (200, too_long)]
    {
        let mut store = Store::default();
        let mut session = claimed(&mut store);
        let call = send(&mut session, later(DUE));
        answer(&mut session, call, status, &body, later(DUE)).unwrap_err();
        save(&mut session, &mut store, later(DUE));
        assert_eq!(store.value()["refresh_token"], "fake-refresh-0", "{status}");
    }
}

#[test]
fn an_answer_after_the_claim_is_over_still_counts() {
    let mut store = Store::default();
    let mut session = claimed(&mut store);
    let call = send(&mut session, later(DUE));
    assert_eq!(step(&mut session, later(CLAIM_END + 2)), "wait 1865");
    answer(&mut session, call, 200, &body(1), later(CLAIM_END + 3)).unwrap();
    save(&mut session, &mut store, later(CLAIM_END + 3));
    assert_eq!(usable(&session, later(CLAIM_END + 3)), Some("fake-access-1"));
}

#[test]
fn a_stale_answer_is_ignored() {
    // Each answer comes after another holder has refreshed.
    for (status, text) in [(200, body(9).as_str()), (400, INVALID_GRANT), (503, "")] {
        let mut store = Store::default();
        let mut session = claimed(&mut store);
        let call = send(&mut session, later(DUE));
        let mut other = store.holder(later(DUE));
        refresh(&mut other, &mut store, 1, later(CLAIM_OVER));
        let after = later(AFTER_CLAIM);
        adopt(&mut session, &store, after);
        let before = format!("{session:?}");
        let _ = answer(&mut session, call, status, text, after);
        assert_eq!(format!("{session:?}"), before, "{status} {text}");
        assert_eq!(usable(&session, after), Some("fake-access-1"));
    }
}

#[test]
fn a_stale_failure_is_ignored_but_stale_tokens_are_not_while_nobody_has_later_ones() {
    let mut store = Store::default();
    let mut session = claimed(&mut store);
    let early = send(&mut session, later(DUE));
    let late = claim_and_send(&mut session, &mut store, later(CLAIM_OVER));
    answer(&mut session, early, 400, INVALID_GRANT, later(CLAIM_OVER + 1)).unwrap_err();
    assert_eq!(step(&mut session, later(CLAIM_OVER + 1)), "wait 1925");
    answer(&mut session, late, 200, &body(1), later(CLAIM_OVER + 2)).unwrap();
    save(&mut session, &mut store, later(CLAIM_OVER + 2));
    assert_eq!(usable(&session, later(CLAIM_OVER + 2)), Some("fake-access-1"));
}

#[test]
fn of_two_answers_to_one_refresh_token_the_first_counts() {
    let mut store = Store::default();
    let mut session = claimed(&mut store);
    let early = send(&mut session, later(DUE));
    let late = claim_and_send(&mut session, &mut store, later(CLAIM_OVER));
    answer(&mut session, early, 200, &body(1), later(CLAIM_OVER + 1)).unwrap();
    let learned = format!("{session:?}");
    answer(&mut session, late, 200, &body(2), later(CLAIM_OVER + 2)).unwrap();
    assert_eq!(format!("{session:?}"), learned);
    save(&mut session, &mut store, later(CLAIM_OVER + 2));
    assert_eq!(usable(&session, later(CLAIM_OVER + 2)), Some("fake-access-1"));
}

#[test]
fn an_answer_to_a_call_of_another_session_is_ignored() {
    let (mut store, mut other_store) = (Store::default(), Store::default());
    let mut session = claimed(&mut store);
    let mut other = signed_in_with(&mut other_store, &body(50), policy());
    // The first call is for a claim with the same revision as ours.
    for (time, status, text) in [(DUE, 400, INVALID_GRANT), (CLAIM_OVER, 200, body(51).as_str())] {
        let call = claim_and_send(&mut other, &mut other_store, later(time));
        let before = format!("{session:?}");
        let _ = answer(&mut session, call, status, text, later(DUE));
        assert_eq!(format!("{session:?}"), before, "{text}");
    }
    assert_eq!(step(&mut session, later(DUE)), "send by 1860");
}

/// The other holder may have claimed, been refused, or failed; the tokens are not lost.
#[test]
fn late_tokens_win_over_another_holders_claim() {
    let outcomes: [(&str, Option<(u16, &str)>); 4] = [
        ("claimed", None),
        ("refused", Some((400, INVALID_GRANT))),
        ("backoff", Some((503, ""))),
        ("backoff", Some((401, r#"{"error":"invalid_client"}"#))),
    ];
    for (state, outcome) in outcomes {
        let mut store = Store::default();
        let mut session = claimed(&mut store);
        let call = send(&mut session, later(DUE));
        let mut other = store.holder(later(DUE));
        let other_call = claim_and_send(&mut other, &mut store, later(CLAIM_OVER));
        let pending = match outcome {
            None => Some(other_call),
            Some((status, body)) => {
                answer(&mut other, other_call, status, body, later(CLAIM_OVER + 1)).unwrap_err();
                save(&mut other, &mut store, later(CLAIM_OVER + 1));
                None
            }
        };
        assert_eq!(store.value()["state"], state);

        answer(&mut session, call, 200, &body(1), later(CLAIM_OVER + 2)).unwrap();
        assert!(!try_save(&mut session, &mut store, later(CLAIM_OVER + 2)), "the other has saved in between");
        adopt(&mut session, &store, later(CLAIM_OVER + 2));
        assert!(try_save(&mut session, &mut store, later(CLAIM_OVER + 2)), "{state}");
        assert_eq!(usable(&session, later(CLAIM_OVER + 2)), Some("fake-access-1"), "{state}");
        if let Some(call) = pending {
            answer(&mut other, call, 400, INVALID_GRANT, later(CLAIM_OVER + 3)).unwrap_err();
            assert!(
                !try_save(&mut other, &mut store, later(CLAIM_OVER + 3)),
                "a failure does not win over tokens"
            );
        }
        adopt(&mut other, &store, later(CLAIM_OVER + 3));
        assert_eq!(step(&mut other, later(CLAIM_OVER + 3)), "idle 3600", "{state}");
        assert_eq!(usable(&other, later(CLAIM_OVER + 3)), Some("fake-access-1"), "{state}");
    }
}

#[test]
fn late_tokens_win_over_our_own_claim_that_is_being_saved() {
    let mut store = Store::default();
    let mut session = claimed(&mut store);
    let call = send(&mut session, later(DUE));
    let claim = due_save(&mut session, later(CLAIM_OVER));
    answer(&mut session, call, 200, &body(1), later(CLAIM_OVER)).unwrap();
    assert!(store.compare_and_swap(&claim));
    session.saved(claim);
    assert!(session.send(&client(), later(CLAIM_OVER)).unwrap().is_none(), "the refresh token is used");
    assert_eq!(step(&mut session, later(CLAIM_OVER)), "save over 3");
    save(&mut session, &mut store, later(CLAIM_OVER));
    assert_eq!(usable(&session, later(CLAIM_OVER)), Some("fake-access-1"));
}
