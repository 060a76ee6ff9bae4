//! Short words for the steps of a session, so that a test reads as a timeline.
//!
//! Times are seconds after `support::now()`, when the user signed in.

use std::fmt::Display;
use std::time::{Duration, SystemTime};

use oauth2_proto::{
    Call, Error, RefreshPolicy, Request, Response, Session, Step, TokenResponse,
    session::{Save, SessionRefresh},
    token::Extras,
};
use serde_json::Value;

use crate::responses::json;
use crate::store::Store;
use crate::support::{client, later, now, token_call};

/// The time at which the tokens of `body` are due under `policy`.
pub const DUE: u64 = EXPIRY / 2;
/// The time at which the tokens of `body` expire.
pub const EXPIRY: u64 = 3600;
/// Seconds in a day.
pub const DAY: u64 = 24 * 3600;

// The defaults of `RefreshPolicy`.

/// The duration of a claim.
pub const CLAIM: u64 = 60;
/// The maximum difference of the holders' clocks.
pub const SKEW: u64 = 5;
/// The longest pause after a failure, before jitter.
pub const LONGEST_BACKOFF: u64 = 600;
/// The longest claim that a store can make another holder wait for.
pub const LONGEST_CLAIM: u64 = 10 * CLAIM;

// A claim that was saved when the tokens were due.

/// The end of the claim's first half, until which its holder may send.
pub const CLAIM_MIDDLE: u64 = DUE + CLAIM / 2;
/// The end of the claim by its holder's clock.
pub const CLAIM_END: u64 = DUE + CLAIM;
/// The time at which the claim is over for every holder whose clock is within the skew.
pub const CLAIM_OVER: u64 = CLAIM_END + SKEW;
/// Some time after the claim is over.
pub const AFTER_CLAIM: u64 = CLAIM_OVER + 35;

/// The body of a refusal that ends an authorization.
pub const INVALID_GRANT: &str = r#"{"error":"invalid_grant"}"#;

/// The defaults, but a refresh comes exactly in the middle of the lifetime.
pub fn policy() -> RefreshPolicy {
    RefreshPolicy::default().refresh_fraction(0.5, 0.5)
}

/// A token response with the tokens `fake-access-NAME` and `fake-refresh-NAME`.
pub fn body(name: impl Display) -> String {
    format!(
        r#"{{"access_token":"fake-access-{name}","token_type":"Bearer","expires_in":{EXPIRY},
             "refresh_token":"fake-refresh-{name}"}}"#
    )
}

/// The tokens of a sign-in that this body answers.
#[track_caller]
pub fn tokens(body: &str) -> TokenResponse {
    token_call(&client()).read(json(body)).unwrap()
}

/// A session that was signed in at 0 with the tokens 0, and saved.
#[track_caller]
pub fn signed_in(store: &mut Store) -> Session {
    signed_in_with(store, &body(0), policy())
}

/// A session that was signed in at 0 with the tokens of this body, and saved.
#[track_caller]
pub fn signed_in_with(store: &mut Store, body: &str, policy: RefreshPolicy) -> Session {
    let mut session = Session::new(tokens(body), policy, now());
    save(&mut session, store, now());
    session
}

/// A session that was signed in at 0 with the tokens 0, and saved a claim when they were due.
#[track_caller]
pub fn claimed(store: &mut Store) -> Session {
    let mut session = signed_in(store);
    save(&mut session, store, later(DUE));
    session
}

impl Store {
    /// Another process that starts now from what is stored.
    #[track_caller]
    pub fn holder(&self, now: SystemTime) -> Session {
        Session::restore(&client(), self.load(), policy(), now).unwrap()
    }

    /// Changes a member, as no holder would.
    #[track_caller]
    pub fn set(&mut self, member: &str, value: Value) {
        let mut changed = self.value();
        changed[member] = value;
        self.text = changed.to_string();
    }
}

/// Describes what `poll` returns, in words and seconds.
pub fn step(session: &mut Session, now: SystemTime) -> String {
    match session.poll(now) {
        Step::Idle(None) => "idle".to_owned(),
        Step::Idle(Some(until)) => format!("idle {}", seconds(until)),
        Step::Save(save) => format!("save over {}", save.expected_revision()),
        Step::Send { until } => format!("send by {}", seconds(until)),
        Step::Wait { until, .. } => format!("wait {}", seconds(until)),
        Step::Reauthorize(reason) => format!("reauthorize {reason:?}"),
    }
}

/// Seconds after the sign-in.
pub fn seconds(time: SystemTime) -> f64 {
    match time.duration_since(now()) {
        Ok(after) => after.as_secs_f64(),
        Err(before) => -before.duration().as_secs_f64(),
    }
}

/// The save that must be due, which is not carried out yet.
#[track_caller]
pub fn due_save(session: &mut Session, now: SystemTime) -> Save {
    match session.poll(now) {
        Step::Save(save) => save,
        step => panic!("{step:?} where a save is due"),
    }
}

/// Carries out the save that must be due, and must win.
#[track_caller]
pub fn save(session: &mut Session, store: &mut Store, now: SystemTime) {
    assert!(try_save(session, store, now), "another holder has saved before {session:?}");
}

/// Carries out the save that must be due; false if the store has another revision.
#[track_caller]
pub fn try_save(session: &mut Session, store: &mut Store, now: SystemTime) -> bool {
    let save = due_save(session, now);
    let won = store.compare_and_swap(&save);
    if won {
        session.saved(save);
    }
    won
}

/// Adopts the stored snapshot, which may be older.
#[track_caller]
pub fn adopt(session: &mut Session, store: &Store, now: SystemTime) {
    session.adopt(store.load(), now).unwrap();
}

/// Carries out the save that must be due, and adopts the stored snapshot if another holder has saved before.
#[track_caller]
pub fn save_or_adopt(session: &mut Session, store: &mut Store, now: SystemTime) {
    if !try_save(session, store, now) {
        adopt(session, store, now);
    }
}

/// The call of a claim that is saved and must be there to be sent.
#[track_caller]
pub fn send(session: &mut Session, now: SystemTime) -> Call<SessionRefresh> {
    session.send(&client(), now).unwrap().unwrap_or_else(|| panic!("{session:?} has nothing to send"))
}

/// The call of a claim that must be due, and is saved first.
#[track_caller]
pub fn claim_and_send(session: &mut Session, store: &mut Store, now: SystemTime) -> Call<SessionRefresh> {
    save(session, store, now);
    send(session, now)
}

/// Hands in an answer without headers.
pub fn answer(
    session: &mut Session,
    call: Call<SessionRefresh>,
    status: u16,
    body: &str,
    now: SystemTime,
) -> Result<Extras, Error> {
    let none: [(&str, &str); 0] = [];
    session.received(call, Response::new(status, none, body.as_bytes()), now)
}

/// A whole refresh that must be due, with the tokens of this name in an answer that comes at once.
#[track_caller]
pub fn refresh(session: &mut Session, store: &mut Store, name: impl Display, now: SystemTime) {
    let call = claim_and_send(session, store, now);
    answer(session, call, 200, &body(name), now).unwrap();
    save(session, store, now);
}

/// A whole attempt that must be due and fails with 503; the end of the pause that follows.
#[track_caller]
pub fn fail(
    session: &mut Session,
    store: &mut Store,
    retry_after: Option<&str>,
    now: SystemTime,
) -> SystemTime {
    let call = claim_and_send(session, store, now);
    let headers = retry_after.map(|value| ("Retry-After", value));
    session.received(call, Response::new(503, headers, b"<html>busy</html>"), now).unwrap_err();
    save(session, store, now);
    end_of_wait(session, now)
}

/// Returns the end of the wait, which must be the next step.
#[track_caller]
pub fn end_of_wait(session: &mut Session, now: SystemTime) -> SystemTime {
    match session.poll(now) {
        Step::Wait { until, .. } => until,
        step => panic!("{step:?} where a wait is due"),
    }
}

/// Returns the time until which the session is idle, which must be the next step.
#[track_caller]
pub fn end_of_idleness(session: &mut Session, now: SystemTime) -> SystemTime {
    match session.poll(now) {
        Step::Idle(Some(until)) => until,
        step => panic!("{step:?} where the session is idle"),
    }
}

/// Does what `poll` says, and lets time pass where it says to wait, until the session is idle or ends;
/// describes that last step.
#[track_caller]
pub fn drive(
    session: &mut Session,
    store: &mut Store,
    server: &mut RotatingServer,
    mut now: SystemTime,
) -> String {
    for _ in 0..100 {
        match session.poll(now) {
            Step::Save(_) => save_or_adopt(session, store, now),
            Step::Send { .. } => {
                let call = send(session, now);
                let (status, body) = server.answer(call.request());
                let _ = answer(session, call, status, &body, now + Duration::from_millis(100));
            }
            Step::Wait { until, .. } => now = until,
            Step::Idle(_) | Step::Reauthorize(_) => return step(session, now),
        }
    }
    panic!("{session:?} is never idle");
}

/// A server at which each refresh token works once.
#[derive(Default)]
pub struct RotatingServer {
    /// The number of the tokens that are good.
    pub number: usize,
    /// The refresh tokens that it was sent.
    pub seen: Vec<String>,
}

impl RotatingServer {
    /// The status and the body that answer a request.
    #[track_caller]
    pub fn answer(&mut self, request: &Request) -> (u16, String) {
        let token = refresh_token(request);
        let good = token == format!("fake-refresh-{}", self.number);
        self.seen.push(token);
        if !good {
            return (400, INVALID_GRANT.to_owned());
        }
        self.number += 1;
        (200, body(self.number))
    }
}

/// The refresh token in a request, which must have one.
#[track_caller]
pub fn refresh_token(request: &Request) -> String {
    request.form().into_iter().find(|(name, _)| name == "refresh_token").unwrap().1
}

/// The access token that may be used.
pub fn usable(session: &Session, now: SystemTime) -> Option<&str> {
    session.access_token(now).map(|token| token.expose())
}
