//! What the tests of `Session` need: a store, a rotating server, and short words for each step of a timeline.
//!
//! Times are seconds after `support::now()`, when the user signed in.

#![allow(dead_code, reason = "each test file uses its own part")]

use std::time::{Duration, SystemTime};

use oauth2_proto::{
    Call, Error, RefreshPolicy, Request, Response, Session, Snapshot, Step, TokenResponse,
    session::{Save, SessionRefresh},
};
use serde_json::Value;

use crate::support::{client, json, later, now, token_call};

/// When the tokens of `body` are due under `policy`, and when they expire.
pub const DUE: u64 = 1800;
pub const EXPIRY: u64 = 3600;

/// The defaults, but a refresh comes exactly in the middle of the lifetime.
pub fn policy() -> RefreshPolicy {
    RefreshPolicy::default().refresh_fraction(0.5, 0.5)
}

/// A token response with the tokens `fake-access-N` and `fake-refresh-N`.
pub fn body(number: usize) -> String {
    format!(
        r#"{{"access_token":"fake-access-{number}","token_type":"Bearer","expires_in":{EXPIRY},
             "refresh_token":"fake-refresh-{number}"}}"#
    )
}

/// The tokens of a sign-in.
pub fn tokens(body: &str) -> TokenResponse {
    token_call(&client()).read(json(body)).unwrap()
}

/// One row of a database: the revision in a column of its own, and the snapshot as JSON.
#[derive(Clone, Default)]
pub struct Store {
    pub revision: u64,
    pub text: String,
}

impl Store {
    pub fn compare_and_swap(&mut self, save: &Save) -> bool {
        let won = self.revision == save.expected_revision();
        if won {
            self.revision = save.snapshot().revision();
            self.text = serde_json::to_string(save.snapshot()).unwrap();
        }
        won
    }

    pub fn load(&self) -> Snapshot {
        serde_json::from_str(&self.text).unwrap()
    }

    pub fn value(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }

    /// Changes a member, as no holder would.
    pub fn set(&mut self, member: &str, value: Value) {
        let mut changed = self.value();
        changed[member] = value;
        self.text = changed.to_string();
    }

    /// Another process that starts now.
    pub fn holder(&self, now: SystemTime) -> Session {
        Session::restore(self.load(), policy(), now)
    }
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
    pub fn answer(&mut self, request: &Request) -> (u16, String) {
        let token = refresh_token(request);
        let good = token == format!("fake-refresh-{}", self.number);
        self.seen.push(token);
        if !good {
            return (400, r#"{"error":"invalid_grant"}"#.to_owned());
        }
        self.number += 1;
        (200, body(self.number))
    }
}

/// The refresh token in a request.
pub fn refresh_token(request: &Request) -> String {
    request.form().into_iter().find(|(name, _)| name == "refresh_token").unwrap().1
}

/// A session that was signed in at 0 with the tokens 0, and saved.
pub fn signed_in(store: &mut Store) -> Session {
    signed_in_with(store, &body(0), policy())
}

pub fn signed_in_with(store: &mut Store, body: &str, policy: RefreshPolicy) -> Session {
    let mut session = Session::new(tokens(body), policy, now());
    assert!(save(&mut session, store, now()));
    session
}

/// A session that has saved a claim when it was due.
pub fn claimed(store: &mut Store) -> Session {
    let mut session = signed_in(store);
    assert!(save(&mut session, store, later(DUE)));
    session
}

/// What `poll` says, in a word and seconds.
pub fn step(session: &mut Session, now: SystemTime) -> String {
    match session.poll(now) {
        Step::Idle(None) => "rest".to_owned(),
        Step::Idle(Some(until)) => format!("rest {}", seconds(until)),
        Step::Save(save) => format!("save over {}", save.expected_revision()),
        Step::Send { until } => format!("send by {}", seconds(until)),
        Step::Wait(until) => format!("wait {}", seconds(until)),
        Step::Reauthorize(reason) => format!("reauthorize {reason:?}"),
    }
}

/// When a wait ends.
pub fn wait(session: &mut Session, now: SystemTime) -> SystemTime {
    match session.poll(now) {
        Step::Wait(until) => until,
        step => panic!("{step:?} where a wait is due"),
    }
}

/// Seconds after the sign-in.
pub fn seconds(time: SystemTime) -> f64 {
    match time.duration_since(now()) {
        Ok(after) => after.as_secs_f64(),
        Err(before) => -before.duration().as_secs_f64(),
    }
}

/// Takes the step that must be a save; false if another holder was faster, whose snapshot is then adopted.
pub fn save(session: &mut Session, store: &mut Store, now: SystemTime) -> bool {
    let Step::Save(save) = session.poll(now) else { panic!("{session:?} has nothing to save") };
    let won = store.compare_and_swap(&save);
    match won {
        true => session.saved(save),
        false => drop(session.adopt(store.load(), now).unwrap()),
    }
    won
}

/// The call that must be due.
pub fn send(session: &mut Session, now: SystemTime) -> Call<SessionRefresh> {
    session.send(&client(), now).unwrap().unwrap_or_else(|| panic!("{session:?} has nothing to send"))
}

/// Hands in an answer without headers.
pub fn answer(
    session: &mut Session,
    call: Call<SessionRefresh>,
    status: u16,
    body: &str,
    now: SystemTime,
) -> Result<(), Error> {
    let none: [(&str, &str); 0] = [];
    session.received(call, Response::new(status, none, body.as_bytes()), now)
}

/// One whole refresh that is due, with a good answer that comes at once.
pub fn refresh(session: &mut Session, store: &mut Store, number: usize, now: SystemTime) {
    assert!(save(session, store, now));
    let call = send(session, now);
    answer(session, call, 200, &body(number), now).unwrap();
    assert!(save(session, store, now));
}

/// Does what `poll` says, and lets time pass where it says to wait, until there is nothing more to do.
pub fn drive(
    session: &mut Session,
    store: &mut Store,
    server: &mut RotatingServer,
    mut now: SystemTime,
) -> String {
    for _ in 0..100 {
        match session.poll(now) {
            Step::Save(_) => {
                save(session, store, now);
            }
            Step::Send { .. } => {
                let call = send(session, now);
                let (status, body) = server.answer(call.request());
                let _ = answer(session, call, status, &body, now + Duration::from_millis(100));
            }
            Step::Wait(until) => now = until,
            Step::Idle(_) | Step::Reauthorize(_) => return step(session, now),
        }
    }
    panic!("{session:?} never comes to rest");
}

/// The access token that may be used.
pub fn usable(session: &Session, now: SystemTime) -> Option<&str> {
    session.access_token(now).map(|token| token.expose())
}
