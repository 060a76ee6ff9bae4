//! Runs two holders of one authorization, a store and a rotating server, with events in any order and any
//! clocks, against a small model of the permitted actions.
//!
//! Input: one event per line; the first 100 lines count.
//!
//! - `+60`: 60 seconds pass. `a=-3`: from now on the clock of `a` is 3 seconds behind.
//! - `a …` or `b …`, by the first letter: `put` the save into the store, be `told` the result, `send`, `deliver`
//!   the request to the server, get the `answer`, get `busy` (503) from a proxy, have the answer `lost`, `crash`
//!   and restart, `fetch` the snapshot, `reject` the access token, let the `user` sign in again, try `more` after
//!   giving up, or `go` on with the steps that `poll` returns.
#![no_main]

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use libfuzzer_sys::fuzz_target;
use oauth2_proto::{
    Call, Client, RefreshPolicy, Response, Session, Snapshot, Step, TokenResponse,
    session::{Reason, Save, SessionRefresh},
};
use oauth2_proto_fuzz::{assert_shows_safely, client, code_call, now, server};
use serde_json::Value;

const SKEW: i64 = 5_000;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut world = World::new();
    for line in text.lines().take(100) {
        world.event(line);
    }
    world.settle();
});

struct World {
    client: Client,
    /// Milliseconds after `now()`.
    time: i64,
    holders: [Holder; 2],
    /// The stored snapshot of each revision, from 1.
    history: Vec<(String, Value)>,
    exchanges: Vec<Exchange>,
    /// The refresh token that the server accepts, for each sign-in.
    good: Vec<usize>,
    issued: usize,
    /// The refresh tokens whose successor was saved.
    replaced: BTreeSet<String>,
    /// The conditions for one refresh at a time: the clocks never differed by more than the skew, no holder
    /// was late, and no sign-in replaced a claim.
    orderly: bool,
    /// A process or an answer was lost, so tokens may be lost.
    lossy: bool,
}

struct Holder {
    session: Session,
    /// The time by which the clock is ahead, in milliseconds.
    clock: i64,
    put: Option<(Save, bool)>,
    /// The claim that this process saved last, and whether it was sent.
    claim: Option<(usize, bool)>,
    /// The access tokens that this process must no longer use.
    dead: BTreeSet<String>,
}

struct Exchange {
    holder: usize,
    call: Option<Call<SessionRefresh>>,
    token: String,
    generation: Value,
    until: SystemTime,
    /// The server's answer.
    answer: Option<(u16, String)>,
    /// The request was lost on its way.
    undeliverable: bool,
}

fn policy() -> RefreshPolicy {
    RefreshPolicy::default().refresh_fraction(0.5, 0.5).max_attempts(3)
}

fn body(number: usize) -> String {
    format!(
        r#"{{"access_token":"fake-access-{number}","token_type":"Bearer","expires_in":3600,"refresh_token":"fake-refresh-{number}"}}"#
    )
}

fn tokens(client: &Client, number: usize) -> TokenResponse {
    let none: [(&str, &str); 0] = [];
    code_call(client).read(Response::new(200, none, body(number).as_bytes())).unwrap()
}

fn at(milliseconds: i64) -> SystemTime {
    let duration = Duration::from_millis(milliseconds.unsigned_abs());
    if milliseconds < 0 { now() - duration } else { now() + duration }
}

fn unix(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis() as u64
}

impl World {
    /// Returns the world after the user has signed in at `a` and both holders have started.
    fn new() -> Self {
        let client = client(server());
        let holder = |session| Holder { session, clock: 0, put: None, claim: None, dead: BTreeSet::new() };
        let mut session = Session::new(tokens(&client, 0), policy(), now());
        let Step::Save(first) = session.poll(now()) else { panic!("new tokens are to be saved") };
        let text = serde_json::to_string(first.snapshot()).unwrap();
        let stored = serde_json::from_str(&text).unwrap();
        let other = Session::restore(&client, stored, policy(), now()).unwrap();
        session.saved(first);
        let value = serde_json::from_str(&text).unwrap();
        Self {
            client,
            time: 0,
            holders: [holder(session), holder(other)],
            history: vec![(text, value)],
            exchanges: Vec::new(),
            good: vec![0],
            issued: 0,
            replaced: BTreeSet::new(),
            orderly: true,
            lossy: false,
        }
    }

    fn event(&mut self, line: &str) {
        if let Some(seconds) = line.strip_prefix('+') {
            // Stays long before the year 9999, the crate's latest time.
            let seconds = i64::from(seconds.parse::<u32>().unwrap_or(1));
            self.time = (self.time + seconds * 1000).min(100_000_000_000_000);
            return;
        }
        let (holder, rest) = match line.split_at_checked(1) {
            Some(("a", rest)) => (0, rest),
            Some(("b", rest)) => (1, rest),
            _ => return,
        };
        if let Some(seconds) = rest.strip_prefix('=') {
            self.holders[holder].clock = i64::from(seconds.parse::<i32>().unwrap_or(0)) * 1000;
            let apart = (self.holders[0].clock - self.holders[1].clock).abs();
            // A clock may differ by the skew, but must not change after the first claim.
            self.orderly &= apart <= SKEW && self.history.len() == 1;
            return;
        }
        match rest.trim_start().chars().next() {
            Some('p') => self.put(holder),
            Some('t') => self.told(holder),
            Some('s') => self.send(holder),
            Some('d') => self.deliver(holder),
            Some('a') => self.answer(holder),
            Some('b') => self.busy(holder),
            Some('l') => self.lost(holder),
            Some('c') => self.crash(holder),
            Some('f') => self.fetch(holder),
            Some('r') => self.reject(holder),
            Some('u') => self.user(holder),
            Some('m') => {
                let now = self.now(holder);
                self.holders[holder].session.resume(now);
            }
            Some('g') => self.go(holder),
            _ => return,
        }
        self.check(holder);
    }

    fn now(&self, holder: usize) -> SystemTime {
        at(self.time + self.holders[holder].clock)
    }

    fn store(&self) -> Snapshot {
        serde_json::from_str(&self.history.last().unwrap().0).expect("the stored form is valid")
    }

    /// Returns the stored form of the holder's revision.
    fn known(&self, holder: usize) -> &Value {
        &self.history[self.holders[holder].session.revision() as usize - 1].1
    }

    fn poll(&mut self, holder: usize) -> Step {
        let now = self.now(holder);
        let known = self.known(holder).clone();
        let this = &mut self.holders[holder];
        let step = this.session.poll(now);
        if known["expires_at"].as_u64().is_some_and(|end| end <= unix(now)) {
            this.dead.insert(known["access_token"].to_string());
        }
        step
    }

    fn put(&mut self, holder: usize) {
        let Step::Save(save) = self.poll(holder) else { return };
        let known = self.holders[holder].session.revision();
        assert_eq!((save.expected_revision(), save.snapshot().revision()), (known, known + 1));
        let won = self.history.len() as u64 == known;
        if won {
            let text = serde_json::to_string(save.snapshot()).unwrap();
            let value: Value = serde_json::from_str(&text).unwrap();
            let before = self.known(holder);
            if before["refresh_token"] != value["refresh_token"] {
                assert!(before["generation"].as_u64() < value["generation"].as_u64());
                self.replaced.insert(before["refresh_token"].as_str().unwrap().to_owned());
            } else {
                assert_eq!(before["access_token"], value["access_token"], "a token comes with its successor");
            }
            self.history.push((text, value));
        }
        self.holders[holder].put = Some((save, won));
    }

    fn told(&mut self, holder: usize) {
        match self.holders[holder].put.take() {
            Some((save, true)) => {
                let revision = save.snapshot().revision() as usize;
                let this = &mut self.holders[holder];
                this.session.saved(save);
                if self.history[revision - 1].1["state"] == "claimed" {
                    this.claim = Some((revision, false));
                }
            }
            Some((_, false)) => self.fetch(holder),
            None => {}
        }
    }

    fn send(&mut self, holder: usize) {
        let due = match self.poll(holder) {
            Step::Send { until } => Some(until),
            _ => None,
        };
        let now = self.now(holder);
        let call = self.holders[holder].session.send(&self.client, now).unwrap();
        assert_eq!(call.is_some(), due.is_some(), "poll and send agree");
        let (Some(call), Some(until)) = (call, due) else { return };

        // Only the holder that saved the claim may send, once, in the claim's first half.
        let revision = self.holders[holder].session.revision() as usize;
        assert_eq!(self.holders[holder].claim, Some((revision, false)), "no claim to send for");
        self.holders[holder].claim = Some((revision, true));
        let claim = self.known(holder);
        let [since, end] = ["since", "until"].map(|name| claim[name].as_u64().unwrap());
        assert!(unix(now) < since + (end - since) / 2 && end == unix(until), "too late to send");
        let form: BTreeMap<String, String> = call.request().form().into_iter().collect();
        let token = form["refresh_token"].clone();
        assert_eq!(claim["refresh_token"], *token);
        if self.orderly {
            assert_eq!(self.history.len(), revision, "another has saved in the meantime");
            assert!(!self.replaced.contains(&token), "sent after its successor was saved");
            for other in &self.exchanges {
                let over = other.until <= self.now(other.holder) || other.answer_is_in();
                assert!(over, "two refreshes in flight");
            }
        }
        let generation = claim["generation"].clone();
        let exchange = Exchange {
            holder,
            call: Some(call),
            token,
            generation,
            until,
            answer: None,
            undeliverable: false,
        };
        self.exchanges.push(exchange);
    }

    fn deliver(&mut self, holder: usize) {
        let waiting = |exchange: &&mut Exchange| {
            exchange.holder == holder && exchange.answer.is_none() && !exchange.undeliverable
        };
        let Some(exchange) = self.exchanges.iter_mut().find(waiting) else { return };
        let known = self.good.iter_mut().find(|number| exchange.token == format!("fake-refresh-{number}"));
        exchange.answer = Some(match known {
            Some(number) => {
                self.issued += 1;
                *number = self.issued;
                (200, body(self.issued))
            }
            None => (400, r#"{"error":"invalid_grant"}"#.to_owned()),
        });
    }

    fn take_call(&mut self, holder: usize, answered: bool) -> Option<(usize, Call<SessionRefresh>)> {
        let found = self.exchanges.iter().position(|exchange| {
            exchange.holder == holder && exchange.call.is_some() && (!answered || exchange.answer.is_some())
        })?;
        let now = self.now(holder);
        let exchange = &mut self.exchanges[found];
        // An answer after the end of the claim may overwrite another holder's claim.
        self.orderly &= now < exchange.until;
        Some((found, exchange.call.take()?))
    }

    fn answer(&mut self, holder: usize) {
        let Some((found, call)) = self.take_call(holder, true) else { return };
        let now = self.now(holder);
        let (status, body) = self.exchanges[found].answer.clone().unwrap();
        let known = self.known(holder);
        if status == 200 && known["generation"] == self.exchanges[found].generation {
            let replaced = known["access_token"].to_string();
            self.holders[holder].dead.insert(replaced);
        }
        let none: [(&str, &str); 0] = [];
        let response = Response::new(status, none, body.as_bytes());
        if let Err(error) = self.holders[holder].session.received(call, response, now) {
            assert_shows_safely(&error.to_string());
        }
    }

    fn busy(&mut self, holder: usize) {
        let Some((found, call)) = self.take_call(holder, false) else { return };
        let now = self.now(holder);
        let exchange = &mut self.exchanges[found];
        exchange.undeliverable = true;
        self.lossy |= exchange.answer.is_some();
        let none: [(&str, &str); 0] = [];
        let _ = self.holders[holder].session.received(call, Response::new(503, none, b""), now);
    }

    fn lost(&mut self, holder: usize) {
        let Some((_, call)) = self.take_call(holder, false) else { return };
        let now = self.now(holder);
        self.lossy = true;
        self.holders[holder].session.no_response(call, now);
    }

    fn crash(&mut self, holder: usize) {
        self.lossy = true;
        let session = Session::restore(&self.client, self.store(), policy(), self.now(holder)).unwrap();
        let clock = self.holders[holder].clock;
        self.holders[holder] = Holder { session, clock, put: None, claim: None, dead: BTreeSet::new() };
        for exchange in self.exchanges.iter_mut().filter(|exchange| exchange.holder == holder) {
            // The other holder cannot know whether the request still arrives.
            if exchange.call.take().is_some() {
                exchange.generation = Value::Null;
            }
        }
    }

    fn fetch(&mut self, holder: usize) {
        let (stored, now) = (self.store(), self.now(holder));
        self.holders[holder].session.adopt(stored, now).unwrap();
    }

    fn reject(&mut self, holder: usize) {
        let now = self.now(holder);
        let this = &mut self.holders[holder];
        let Some(token) = this.session.access_token(now).cloned() else { return };
        this.session.access_token_rejected(&token);
        this.dead.insert(Value::from(token.expose()).to_string());
    }

    fn user(&mut self, holder: usize) {
        let now = self.now(holder);
        // Another holder may have a claim, and does not know of the sign-in.
        (self.orderly, self.lossy) = (false, true);
        self.issued += 1;
        self.good.push(self.issued);
        let known = self.known(holder);
        let replaced = known["access_token"].to_string();
        let this = &mut self.holders[holder];
        this.dead.insert(replaced);
        let tokens = tokens(&self.client, self.issued);
        self.holders[holder].session.reauthorized(tokens, now);
    }

    /// Carries out every step that is due, with a server that answers at once.
    fn go(&mut self, holder: usize) {
        for _ in 0..10 {
            match self.poll(holder) {
                Step::Save(_) => {
                    self.put(holder);
                    self.told(holder);
                }
                Step::Send { .. } => {
                    self.send(holder);
                    self.deliver(holder);
                    self.answer(holder);
                }
                _ => return,
            }
        }
        panic!("{:?} saves and sends without end", self.holders[holder].session);
    }

    /// Checks the properties that hold at any time, whatever the clocks.
    fn check(&mut self, holder: usize) {
        let now = self.now(holder);
        let [one, other] = [self.poll(holder), self.poll(holder)].map(|step| format!("{step:?}"));
        assert_eq!(one, other, "poll changed something");
        let known = self.known(holder);
        let session = &self.holders[holder].session;
        if let Some(token) = session.access_token(now) {
            assert_eq!(known["access_token"], token.expose(), "not the token that it knows to be stored");
            assert!(unix(now) < known["expires_at"].as_u64().unwrap(), "used after its expiry");
            let this = &self.holders[holder];
            assert!(!this.dead.contains(&known["access_token"].to_string()), "used again");
        }
        assert!(!format!("{session:?} {one}").contains("fake-"), "prints a secret");
    }

    /// Corrects the clocks, delivers every request, and continues both holders until they settle. If nothing
    /// was lost, both then have the valid tokens.
    fn settle(&mut self) {
        for holder in 0..2 {
            self.holders[holder].clock = 0;
            self.orderly = false;
            for _ in 0..self.exchanges.len() {
                self.deliver(holder);
                self.answer(holder);
            }
            self.told(holder);
        }
        for holder in [0, 1, 0] {
            self.fetch(holder);
            for turn in 0.. {
                assert!(turn < 40, "{:?} does not settle", self.holders[holder].session);
                match self.poll(holder) {
                    Step::Wait { until, .. } => self.time = (unix(until) - unix(now())) as i64,
                    Step::Reauthorize(Reason::GaveUp) => {
                        let now = self.now(holder);
                        self.holders[holder].session.resume(now);
                    }
                    Step::Idle(_) | Step::Reauthorize(_) => break,
                    _ => self.go(holder),
                }
                self.check(holder);
            }
        }
        if !self.lossy {
            for holder in 0..2 {
                // The other holder may have refreshed since the last fetch.
                self.fetch(holder);
                let token = self.holders[holder].session.access_token(self.now(holder));
                let good = format!("fake-access-{}", self.issued);
                assert_eq!(token.map(|token| token.expose()), Some(&*good), "tokens were lost");
            }
        }
    }
}

impl Exchange {
    /// Returns whether the holder has received the outcome.
    fn answer_is_in(&self) -> bool {
        self.call.is_none() && self.generation != Value::Null
    }
}
