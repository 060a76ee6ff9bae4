//! Sessions whose tokens are bound to a key: nonces, the stored form, other keys. Times are seconds after the
//! sign-in.

use oauth2_proto::error::ErrorKind;
use oauth2_proto::session::{Reason, SessionRefresh, TroubleKind, WaitReason};
use oauth2_proto::token::TokenType;
use oauth2_proto::{Advice, Call, Client, Error, RefreshPolicy, Response, Session, Step, TokenResponse};
use serde_json::{Value, json};

use crate::bound::{key, remote_key};
use crate::store::Store;
use crate::support::{later, now, token_call};
use crate::{
    BOUND, asks_for, bound_tokens, client, proof, public_client, refresh_token, responses, some_key,
};

/// The time at which the tokens are due.
const DUE: u64 = 1800;
/// A time after the first half of a claim that was made then.
const TOO_LATE_TO_SEND: u64 = DUE + 30;

fn policy() -> RefreshPolicy {
    RefreshPolicy::default().refresh_fraction(0.5, 0.5)
}

#[track_caller]
fn sign_in(client: &Client) -> TokenResponse {
    token_call(client).read(bound_tokens()).unwrap()
}

#[track_caller]
fn save(session: &mut Session, store: &mut Store, now: u64) {
    let Step::Save(save) = session.poll(later(now)) else { panic!("no save is due") };
    assert!(store.compare_and_swap(&save));
    session.saved(save);
}

/// A session that signed in at 0, and is saved.
#[track_caller]
fn signed_in(client: &Client, store: &mut Store) -> Session {
    let mut session = Session::new(sign_in(client), policy(), now());
    save(&mut session, store, 0);
    session
}

#[track_caller]
fn send(session: &mut Session, client: &Client, now: u64) -> Call<SessionRefresh> {
    let Step::Send { .. } = session.poll(later(now)) else { panic!("nothing is to be sent: {session:?}") };
    session.send(client, later(now)).unwrap().unwrap()
}

#[track_caller]
fn is_asked(session: &mut Session, call: Call<SessionRefresh>, nonce: &str, now: u64) -> Error {
    let error = session.received(call, asks_for(nonce), later(now)).unwrap_err();
    assert_eq!(error.code(), Some("use_dpop_nonce"));
    error
}

fn refreshed(number: u32) -> String {
    BOUND.replace("fake-refresh-1", &format!("fake-refresh-{number}"))
}

#[test]
fn rfc9449_section_8_a_nonce_costs_neither_a_claim_nor_a_refresh_token() {
    let client = client(&some_key());
    let mut store = Store::default();
    let mut session = signed_in(&client, &mut store);
    save(&mut session, &mut store, DUE);
    let claimed = store.text.clone();

    let first = send(&mut session, &client, DUE);
    assert_eq!(proof(&first).nonce(), None);
    let id = proof(&first).id().to_owned();
    let form = first.request().form();
    let error = is_asked(&mut session, first, "fake-nonce-1", DUE + 1);
    assert_eq!(error.advice(), Advice::RetryLater);
    assert!(session.trouble().is_none());
    assert_eq!(session.access_token(later(DUE + 1)).unwrap().expose(), "fake-token");

    // The same claim, the same refresh token, and another proof.
    let second = send(&mut session, &client, DUE + 1);
    assert_eq!(store.text, claimed);
    assert_eq!(second.request().form(), form);
    assert_eq!(proof(&second).nonce(), Some("fake-nonce-1"));
    assert_ne!(proof(&second).id(), id);
    session.received(second, responses::json(&refreshed(2)), later(DUE + 2)).unwrap();
    save(&mut session, &mut store, DUE + 2);
    assert_eq!(store.value()["refresh_token"], "fake-refresh-2");
    assert_eq!((&store.value()["attempts"], &store.value()["trouble"]), (&1.into(), &Value::Null));

    // The next refresh knows the nonce from the start.
    save(&mut session, &mut store, 2 * DUE + 2);
    let next = send(&mut session, &client, 2 * DUE + 2);
    assert_eq!(proof(&next).nonce(), Some("fake-nonce-1"));
    // Each claim may be asked once: nonces end, too.
    is_asked(&mut session, next, "fake-nonce-2", 2 * DUE + 3);
    assert_eq!(proof(&send(&mut session, &client, 2 * DUE + 3)).nonce(), Some("fake-nonce-2"));
}

/// The attack: a server that asks for ever gets two requests for each claim, and pauses between claims.
#[test]
fn a_server_that_asks_for_ever_is_in_trouble() {
    let client = client(&some_key());
    let mut store = Store::default();
    let mut session = signed_in(&client, &mut store);
    let mut time = DUE;
    for failures in 1..=5 {
        save(&mut session, &mut store, time);
        let first = send(&mut session, &client, time);
        is_asked(&mut session, first, "fake-nonce-1", time);
        let second = send(&mut session, &client, time);
        is_asked(&mut session, second, "fake-nonce-2", time);
        let trouble = session.trouble().unwrap();
        assert_eq!((trouble.failures(), trouble.kind()), (failures, TroubleKind::Unavailable));
        assert_eq!(trouble.code(), Some("use_dpop_nonce"));
        save(&mut session, &mut store, time);
        let Step::Wait { until, reason: WaitReason::Pause } = session.poll(later(time)) else {
            panic!("no pause after {failures} failures")
        };
        assert!(until > later(time));
        time = until.duration_since(now()).unwrap().as_secs() + 1;
        assert_eq!(store.value()["refresh_token"], "fake-refresh-1");
    }
}

#[test]
fn a_nonce_that_comes_too_late_to_send_is_for_the_next_attempt() {
    let client = client(&some_key());
    let mut store = Store::default();
    let mut session = signed_in(&client, &mut store);
    save(&mut session, &mut store, DUE);
    let call = send(&mut session, &client, DUE);
    is_asked(&mut session, call, "fake-nonce-1", TOO_LATE_TO_SEND);
    assert_eq!(session.trouble().unwrap().failures(), 1);
    save(&mut session, &mut store, TOO_LATE_TO_SEND);
    save(&mut session, &mut store, TOO_LATE_TO_SEND + 2);
    let call = send(&mut session, &client, TOO_LATE_TO_SEND + 2);
    assert_eq!(proof(&call).nonce(), Some("fake-nonce-1"));
}

/// A session that fails so many times by the same answer, and waits for the end of each pause.
#[track_caller]
fn fails(session: &mut Session, client: &Client, store: &mut Store, answer: &Response<'_>, times: u32) {
    let mut time = DUE;
    for failures in 1..=times {
        save(session, store, time);
        let call = send(session, client, time);
        session.received(call, answer.clone(), later(time)).unwrap_err();
        assert_eq!(session.trouble().unwrap().failures(), failures);
        save(session, store, time);
        let Step::Wait { until, reason: WaitReason::Pause } = session.poll(later(time)) else {
            panic!("no pause after {failures} failures: {session:?}")
        };
        time = until.duration_since(now()).unwrap().as_secs() + 1;
    }
}

/// A gateway that removes the header of the nonce. A new sign-in would fail in the same way, and the next nonce
/// may come with any answer.
#[test]
fn a_demand_without_a_nonce_is_the_servers_trouble() {
    let client = client(&some_key());
    for nonce in [None, Some(("DPoP-Nonce", "a\"b"))] {
        let mut store = Store::default();
        let mut session = signed_in(&client, &mut store);
        let answer = Response::new(400, nonce, br#"{"error":"use_dpop_nonce"}"#);
        fails(&mut session, &client, &mut store, &answer, 20);
        assert_eq!(session.trouble().unwrap().kind(), TroubleKind::Unavailable);
        assert_eq!(store.value()["refresh_token"], "fake-refresh-1");
    }
}

/// A clock that is wrong, a service that signs nonsense, a proxy that changes the address: the server looked at
/// no grant, and a new sign-in would bring the same answer.
#[test]
fn rfc9449_section_5_a_refused_proof_sends_no_user_to_sign_in() {
    for client in [client(&some_key()), public_client(&some_key())] {
        let mut store = Store::default();
        let mut session = signed_in(&client, &mut store);
        let answer = Response::new(400, None::<(&str, &str)>, br#"{"error":"invalid_dpop_proof"}"#);
        fails(&mut session, &client, &mut store, &answer, 20);
        let trouble = session.trouble().unwrap();
        assert_eq!(
            (trouble.kind(), trouble.code()),
            (TroubleKind::ClientRejected, Some("invalid_dpop_proof"))
        );
        assert!(trouble.to_string().contains("key, its clock"), "{trouble}");
        assert_eq!(store.value()["refresh_token"], "fake-refresh-1");
    }
}

/// Its refresh token works with the old key only, so that only a sign-in helps. Nothing is sent.
#[test]
fn rfc9449_section_5_rebinding_a_public_client_to_another_key_asks_for_a_sign_in() {
    let new = public_client(&key(1));
    let mut store = Store::default();
    signed_in(&public_client(&key(0)), &mut store);
    let mut session = Session::rebind(&new, store.load(), policy(), later(10));
    save(&mut session, &mut store, 10);
    assert!(matches!(session.poll(later(10)), Step::Reauthorize(Reason::Refused)));
    assert!(session.access_token(later(10)).is_none());
    session.reauthorized(sign_in(&new), later(20));
    save(&mut session, &mut store, 20);
    assert!(session.access_token(later(20)).is_some());
    // With its own key it is no other key.
    let mut store = Store::default();
    signed_in(&public_client(&key(0)), &mut store);
    let mut session = Session::rebind(&public_client(&key(0)), store.load(), policy(), later(10));
    save(&mut session, &mut store, 10);
    assert!(matches!(session.poll(later(10)), Step::Idle(_)));
}

/// The old holder's refresh is under way. Its tokens are the latest, and belong to the client that they were
/// moved to.
#[test]
fn a_refresh_under_way_does_not_undo_a_rebinding() {
    let (old, new) = (client(&key(0)), client(&key(1)));
    let mut store = Store::default();
    let mut holder = signed_in(&old, &mut store);
    save(&mut holder, &mut store, DUE);
    let call = send(&mut holder, &old, DUE);
    let mut moved = Session::rebind(&new, store.load(), policy(), later(DUE + 1));
    save(&mut moved, &mut store, DUE + 1);

    holder.received(call, responses::json(&refreshed(2)), later(DUE + 2)).unwrap();
    let Step::Save(refused) = holder.poll(later(DUE + 2)) else { panic!("the tokens are saved") };
    assert!(!store.compare_and_swap(&refused));
    assert!(holder.adopt(store.load(), later(DUE + 2)).unwrap());
    save(&mut holder, &mut store, DUE + 2);
    assert_eq!(store.value()["refresh_token"], "fake-refresh-2");
    assert_eq!(store.value()["bound_to"], key(1).thumbprint());

    // The new holder refreshes at once, with its own key.
    assert!(moved.adopt(store.load(), later(DUE + 3)).unwrap());
    assert!(moved.access_token(later(DUE + 3)).is_none());
    save(&mut moved, &mut store, DUE + 3);
    let call = send(&mut moved, &new, DUE + 3);
    assert!(call.request().body().contains("fake-refresh-2"));
    moved.received(call, responses::json(&refreshed(3)), later(DUE + 4)).unwrap();
    save(&mut moved, &mut store, DUE + 4);
    assert!(moved.access_token(later(DUE + 4)).is_some());
}

/// A sign-in, or an end, that arrives while the server is asked wins over the repetition.
#[test]
fn an_end_during_a_refresh_ends_the_repetition_too() {
    let client = client(&some_key());
    let mut store = Store::default();
    let mut session = signed_in(&client, &mut store);
    save(&mut session, &mut store, DUE);
    let call = send(&mut session, &client, DUE);
    session.end(later(DUE));
    is_asked(&mut session, call, "fake-nonce-1", DUE);
    save(&mut session, &mut store, DUE);
    assert!(matches!(session.poll(later(DUE)), Step::Reauthorize(Reason::Ended)));
}

/// The attack: bearer tokens in the answer to a refresh. What the server has rotated is kept.
#[test]
fn a_downgraded_refresh_keeps_the_rotated_refresh_token_and_nothing_else() {
    let client = client(&some_key());
    let mut store = Store::default();
    let mut session = signed_in(&client, &mut store);
    save(&mut session, &mut store, DUE);
    let call = send(&mut session, &client, DUE);
    let downgraded = refreshed(2).replace("DPoP", "Bearer").replace("fake-token", "fake-bearer");
    let error = session.received(call, responses::json(&downgraded), later(DUE)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    save(&mut session, &mut store, DUE);
    assert_eq!(store.value()["refresh_token"], "fake-refresh-2");
    assert!(!store.text.contains("fake-bearer"));
    assert!(session.access_token(later(DUE)).is_none());
    assert_eq!(session.trouble().unwrap().kind(), TroubleKind::Unreadable);
}

#[test]
fn the_stored_form_holds_the_thumbprint_and_no_earlier_crate_reads_it() {
    let mut store = Store::default();
    let session = signed_in(&client(&some_key()), &mut store);
    assert_eq!(session.token_type(), &TokenType::DPoP);
    let stored = store.value();
    assert_eq!(stored["version"], 4);
    assert_eq!(stored["bound_to"], some_key().thumbprint());
    // Without a key the form is as it was.
    let mut store = Store::default();
    signed_in_without_a_key(&mut store);
    assert_eq!(store.value()["version"], 2);
    assert!(store.value().get("bound_to").is_none());
}

/// A client without a key keeps tokens of the type `DPoP` as ever: their key is the program's affair.
#[track_caller]
fn signed_in_without_a_key(store: &mut Store) -> Session {
    let tokens = token_call(&crate::support::client()).read(bound_tokens()).unwrap();
    let mut session = Session::new(tokens, policy(), now());
    save(&mut session, store, 0);
    session
}

fn restore(client: &Client, store: &Store) -> Result<Session, Error> {
    Session::restore(client, store.load(), policy(), now())
}

#[test]
fn a_holder_with_another_key_or_none_is_told_before_anything_is_claimed() {
    let mut store = Store::default();
    let mut ours = signed_in(&client(&some_key()), &mut store);
    for (client, says) in [
        (client(&key(1)), "bound to another key than this client's"),
        (crate::support::client(), "bound to a key, and this client has none"),
    ] {
        let error = restore(&client, &store).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Misuse);
        assert!(error.to_string().contains(says), "{error}");
        // Nor does a session of the right key send by that client.
        let mut ours = restore(&self::client(&some_key()), &store).unwrap();
        let error = ours.send(&client, later(DUE)).unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
    }
    // The same key in another place is the same key.
    for key in [some_key(), remote_key(0)] {
        assert!(restore(&client(&key), &store).is_ok());
    }
    save(&mut ours, &mut store, DUE);
}

/// Another process signs the same user in with another key.
#[test]
fn a_holder_whose_key_was_replaced_waits() {
    let (old, new) = (client(&key(0)), client(&key(1)));
    let mut store = Store::default();
    let mut holder = signed_in(&old, &mut store);
    let mut other = Session::signed_in_again(sign_in(&new), store.load(), policy(), later(10));
    save(&mut other, &mut store, 10);
    assert_eq!(store.value()["bound_to"], key(1).thumbprint());
    assert!(holder.adopt(store.load(), later(20)).unwrap());
    let Step::Wait { reason: WaitReason::AnotherKey, .. } = holder.poll(later(DUE + 10)) else {
        panic!("a holder with another key claims: {holder:?}")
    };
    assert!(holder.send(&old, later(DUE + 10)).is_err());
    // It signs in again itself, and is the holder once more.
    holder.reauthorized(sign_in(&old), later(DUE + 20));
    save(&mut holder, &mut store, DUE + 20);
    assert_eq!(store.value()["bound_to"], key(0).thumbprint());
    assert!(matches!(holder.poll(later(DUE + 20)), Step::Idle(_)));
    save(&mut holder, &mut store, 2 * DUE + 20);
    assert!(holder.send(&old, later(2 * DUE + 20)).unwrap().is_some());
}

/// The refresh token of a public client works with its key only (RFC 9449 §5).
#[test]
fn a_sign_in_with_another_key_keeps_no_refresh_token() {
    let without = r#"{"access_token":"fake-token-2","token_type":"DPoP","expires_in":3600}"#;
    for (number, kept) in [(0, json!("fake-refresh-1")), (1, Value::Null)] {
        let mut store = Store::default();
        let mut session = signed_in(&public_client(&key(0)), &mut store);
        let tokens = token_call(&public_client(&key(number))).read(responses::json(without)).unwrap();
        session.reauthorized(tokens, later(10));
        save(&mut session, &mut store, 10);
        assert_eq!(store.value()["refresh_token"], kept, "key {number}");
    }
}

#[test]
fn tokens_of_a_client_that_gets_a_key_become_bound_with_the_next_refresh() {
    let with_key = client(&some_key());
    let mut store = Store::default();
    let tokens = token_call(&crate::support::client())
        .read(responses::json(&BOUND.replace("DPoP", "Bearer")))
        .unwrap();
    let mut session = Session::new(tokens, policy(), now());
    save(&mut session, &mut store, 0);
    let mut session = restore(&with_key, &store).unwrap();
    save(&mut session, &mut store, DUE);
    assert_eq!(store.value()["version"], 2);
    let call = send(&mut session, &with_key, DUE);
    proof(&call);
    session.received(call, responses::json(&refreshed(2)), later(DUE)).unwrap();
    save(&mut session, &mut store, DUE);
    assert_eq!(store.value()["bound_to"], some_key().thumbprint());
    assert!(restore(&crate::support::client(), &store).is_err());
}

#[test]
fn rebinding_to_another_key_refreshes_at_once() {
    let new = client(&key(1));
    let mut store = Store::default();
    signed_in(&client(&key(0)), &mut store);
    let mut session = Session::rebind(&new, store.load(), policy(), later(10));
    save(&mut session, &mut store, 10);
    assert_eq!(store.value()["bound_to"], key(1).thumbprint());
    assert!(session.access_token(later(10)).is_none());
    save(&mut session, &mut store, 10);
    let call = send(&mut session, &new, 10);
    assert_eq!(proof(&call).header["jwk"]["x"], "3JUkGITNscFIwqkYwRy9Sd_9WIuGwpiZWebsbPE-J_o");
    session.received(call, responses::json(&refreshed(2)), later(11)).unwrap();
    save(&mut session, &mut store, 11);
    assert!(session.access_token(later(11)).is_some());

    // With the key that they are bound to, only the address moves, and the token stays.
    let mut store = Store::default();
    signed_in(&client(&key(0)), &mut store);
    let mut session = Session::rebind(&client(&key(0)), store.load(), policy(), later(10));
    save(&mut session, &mut store, 10);
    assert!(session.access_token(later(10)).is_some());
}

/// A service whose key was replaced, for example because it never left the memory of the last process. No user can
/// sign in, so the message names what helps.
#[test]
fn the_clients_own_tokens_move_to_a_new_key() {
    let (old, new) = (client(&key(0)), client(&key(1)));
    let mut store = Store::default();
    let request = old.client_credentials().scopes(["reports:read"]);
    let mut session = Session::from_client_credentials(request, policy(), now()).unwrap();
    save(&mut session, &mut store, 0);
    let error = restore(&new, &store).unwrap_err();
    assert!(error.to_string().contains("call rebind where the client has credentials"), "{error}");
    let mut session = Session::rebind(&new, store.load(), policy(), later(10));
    save(&mut session, &mut store, 10);
    save(&mut session, &mut store, 10);
    let call = send(&mut session, &new, 10);
    assert_eq!(proof(&call).header["jwk"]["x"], "3JUkGITNscFIwqkYwRy9Sd_9WIuGwpiZWebsbPE-J_o");
}

#[test]
fn sessions_that_begin_without_tokens_are_bound_to_their_key() {
    let client = client(&some_key());
    let mut store = Store::default();
    let mut session = Session::from_refresh_token(&client, refresh_token(), policy(), now()).unwrap();
    save(&mut session, &mut store, 0);
    assert_eq!(store.value()["bound_to"], some_key().thumbprint());
    save(&mut session, &mut store, 0);
    assert_eq!(proof(&send(&mut session, &client, 0)).claims["htm"], "POST");

    let mut store = Store::default();
    let request = client.client_credentials().scopes(["reports:read"]);
    let mut session = Session::from_client_credentials(request, policy(), now()).unwrap();
    save(&mut session, &mut store, 0);
    assert_eq!((&store.value()["version"], &store.value()["client_credentials"]), (&4.into(), &json!([])));
    let mut restored = restore(&client, &store).unwrap();
    save(&mut restored, &mut store, 0);
    assert_eq!(proof(&send(&mut restored, &client, 0)).claims["htm"], "POST");
    assert!(restore(&self::client(&key(1)), &store).is_err());
}
