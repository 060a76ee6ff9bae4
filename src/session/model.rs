//! A small world around the [`Session`]: holders with clocks of their own, a store that compares and swaps, and a
//! server that rotates refresh tokens and ends the authorization when one is used twice. Messages are delayed,
//! lost and doubled, and holders crash. [`World::check`] looks at the guarantees of the session.

use std::time::{Duration, SystemTime};

use super::*;
use crate::{AuthorizationServer, ClientAuth};

const SECOND: u64 = 1000;
/// When the world begins, in seconds of Unix time.
const START: u64 = 1_700_000_000;
/// Seconds that a token lives, and after which it wants to be replaced.
const LIFETIME: u64 = 6;
const REFRESH_AFTER: u64 = 3;
const SKEW: u64 = 1;

/// How often each fault may still happen.
#[derive(Clone, Copy, Debug, Hash)]
struct Faults {
    crashes: u32,
    losses: u32,
    busy: u32,
    copies: u32,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Action {
    /// A second passes.
    Tick,
    /// The holder polls, and begins to do what it is told.
    Step(usize),
    /// The store compares and swaps, and answers; or without its answer arriving; or it never gets to it.
    Stored(usize),
    StoredSilently(usize),
    NotStored(usize),
    /// The holder looks into the store.
    Adopt(usize),
    /// The server handles a request; or is overloaded; or never gets it, and the connection breaks.
    Handled(usize),
    Busy(usize),
    RequestLost(usize),
    /// The answer arrives; or does not; or arrives and will do so again.
    Answered(usize),
    AnswerLost(usize),
    AnsweredTwice(usize),
    Again(usize),
    Crash(usize),
    Restart(usize),
    /// The user signs in again.
    SignIn(usize),
}

impl Action {
    fn is_a_fault(self) -> bool {
        use Action::*;
        matches!(
            self,
            StoredSilently(_)
                | NotStored(_)
                | Busy(_)
                | RequestLost(_)
                | AnswerLost(_)
                | AnsweredTwice(_)
                | Crash(_)
        )
    }
}

#[derive(Clone, Debug)]
struct World {
    now: u64,
    store: Record,
    /// How far the clock of the one who saved last is ahead.
    saved_ahead: u64,
    server: Server,
    holders: Vec<Holder>,
    faults: Faults,
    /// A crash or a loss fell into the window that no client can close.
    lost_in_the_window: bool,
    /// The loss is that tokens were saved after the end of the claim, so that others go on with the old ones.
    saved_late: bool,
    sign_ins: u32,
    /// What an action found to be wrong.
    broken: Option<String>,
}

/// Tokens are numbered: `a1` and `r1` were issued together, and are replaced by `a2` and `r2`.
#[derive(Clone, Debug)]
struct Server {
    serial: u32,
    issued_at: u64,
    /// A refresh token was used twice.
    ended: bool,
}

#[derive(Clone, Debug)]
struct Holder {
    /// Seconds that its clock is ahead.
    ahead: u64,
    session: Option<Session>,
    saving: Option<Save>,
    flight: Option<Flight>,
    copy: Option<(Attempt, u32, Answer)>,
    /// The latest tokens that reached it.
    knows: u32,
    /// The refresh token that the server refused to it.
    refused: Option<u32>,
}

#[derive(Clone, Debug)]
struct Flight {
    attempt: Attempt,
    serial: u32,
    /// In the world's time.
    until: u64,
    answer: Option<Answer>,
}

#[derive(Clone, Copy, Debug, PartialEq, Hash)]
enum Answer {
    Tokens(u32),
    InvalidGrant,
    Busy,
}

impl Session {
    fn outcome(&self) -> Option<&Record> {
        match &self.hand {
            Hand::Outcome(outcome) => Some(outcome),
            _ => None,
        }
    }
}

impl World {
    /// Holders with clocks that are so far ahead, and tokens that want to be replaced.
    fn new(offsets: &[u64], faults: Faults) -> Self {
        let mut session = Session::new(tokens(1), policy(), time(0));
        let Step::Save(save) = session.poll(time(0)) else { panic!("new tokens are saved first") };
        let store = (*save.snapshot.0).clone();
        let holder = |ahead: &u64| Holder {
            ahead: *ahead,
            session: Some(restored(save.snapshot.clone(), time(REFRESH_AFTER + ahead))),
            saving: None,
            flight: None,
            copy: None,
            knows: 1,
            refused: None,
        };
        Self {
            now: REFRESH_AFTER,
            holders: offsets.iter().map(holder).collect(),
            store,
            saved_ahead: 0,
            server: Server { serial: 1, issued_at: 0, ended: false },
            faults,
            lost_in_the_window: false,
            saved_late: false,
            sign_ins: 0,
            broken: None,
        }
    }

    /// What may happen next; some of it turns out to be impossible.
    fn actions(&self) -> Vec<Action> {
        use Action::*;
        let Faults { crashes, losses, busy, copies } = self.faults;
        let mut actions = vec![Tick];
        let mut add = |possible, action| {
            if possible {
                actions.push(action);
            }
        };
        for (i, holder) in self.holders.iter().enumerate() {
            let saving = holder.saving.is_some();
            let sent = holder.flight.as_ref().is_some_and(|flight| flight.answer.is_none());
            let answered = holder.flight.is_some() && !sent;
            let alive = holder.session.is_some();
            add(alive && !saving, Action::Step(i));
            add(saving, Stored(i));
            add(saving && losses > 0, StoredSilently(i));
            add(saving && losses > 0, NotStored(i));
            add(holder.session.as_ref().is_some_and(|it| it.record.revision < self.store.revision), Adopt(i));
            add(sent, Handled(i));
            add(sent && busy > 0, Busy(i));
            add(sent && losses > 0, RequestLost(i));
            add(answered && alive, Answered(i));
            add(answered && alive && losses > 0, AnswerLost(i));
            add(answered && alive && copies > 0, AnsweredTwice(i));
            add(alive && holder.copy.is_some(), Again(i));
            add(alive && crashes > 0, Crash(i));
            add(!alive && !saving && holder.flight.is_none(), Restart(i));
            add(alive && !saving && self.is_refused(), SignIn(i));
        }
        actions
    }

    /// The world after an action, if it is possible.
    fn after(&self, action: Action) -> Option<Self> {
        let mut next = self.clone();
        next.try_to(action)?;
        Some(next)
    }

    fn try_to(&mut self, action: Action) -> Option<()> {
        match action {
            Action::Tick => self.tick(),
            Action::Step(i) => self.step(i),
            Action::Stored(i) => self.store(i, true),
            Action::StoredSilently(i) => {
                self.holders[i].saving.as_ref()?;
                spend(&mut self.faults.losses)?;
                self.store(i, false)
            }
            Action::NotStored(i) => {
                let save = self.holders[i].saving.clone()?;
                spend(&mut self.faults.losses)?;
                self.holders[i].saving = None;
                self.lost_in_the_window |=
                    self.holders[i].session.is_none() && save.snapshot.0.generation > self.store.generation;
                Some(())
            }
            Action::Adopt(i) => {
                let store = self.store.clone();
                let now = self.clock(i);
                let session = self.holders[i].session.as_mut()?;
                (store.revision > session.record.revision).then_some(())?;
                session.adopt(Snapshot(Box::new(store)), now).unwrap();
                self.learn(i);
                Some(())
            }
            Action::Handled(i) => self.handle(i),
            Action::Busy(i) => {
                let flight = self.holders[i].flight.as_mut().filter(|flight| flight.answer.is_none())?;
                spend(&mut self.faults.busy)?;
                flight.answer = Some(Answer::Busy);
                Some(())
            }
            Action::RequestLost(i) => {
                self.holders[i].flight.as_ref().filter(|flight| flight.answer.is_none())?;
                spend(&mut self.faults.losses)?;
                self.give_up(i)
            }
            Action::AnswerLost(i) => {
                self.holders[i].flight.as_ref()?.answer?;
                spend(&mut self.faults.losses)?;
                self.give_up(i)
            }
            Action::Answered(i) => self.answer(i),
            Action::AnsweredTwice(i) => {
                let flight = self.holders[i].flight.clone()?;
                let answer = flight.answer?;
                spend(&mut self.faults.copies)?;
                self.holders[i].copy = Some((flight.attempt, flight.serial, answer));
                self.answer(i)
            }
            Action::Again(i) => {
                let (attempt, serial, answer) = self.holders[i].copy.take()?;
                self.deliver(i, attempt, serial, answer)
            }
            Action::Crash(i) => {
                self.holders[i].session.as_ref()?;
                spend(&mut self.faults.crashes)?;
                self.crash(i)
            }
            Action::Restart(i) => {
                let (store, now) = (self.store.clone(), self.clock(i));
                let holder = &mut self.holders[i];
                // What its former self has under way goes on without it.
                (holder.session.is_none() && holder.saving.is_none() && holder.flight.is_none())
                    .then_some(())?;
                holder.session = Some(restored(Snapshot(Box::new(store)), now));
                self.learn(i);
                Some(())
            }
            Action::SignIn(i) => self.sign_in(i),
        }
    }

    fn clock(&self, i: usize) -> SystemTime {
        time(self.now + self.holders[i].ahead)
    }

    fn tick(&mut self) -> Option<()> {
        self.now += 1;
        for i in 0..self.holders.len() {
            let late = self.holders[i].flight.as_ref().is_some_and(|flight| flight.until <= self.now);
            if late {
                if self.holders[i].session.is_some() {
                    spend(&mut self.faults.losses)?;
                }
                self.give_up(i);
            }
        }
        // Tokens that are saved only after the claim on them is over are as good as lost: another holder may use
        // the old refresh token again.
        if let State::Claimed(claim) = self.store.state
            && claim.until / SECOND - START - self.saved_ahead == self.now
            && serial(self.store.access_token.expose()) < self.server.serial
        {
            if !self.lost_in_the_window {
                spend(&mut self.faults.losses)?;
            }
            (self.lost_in_the_window, self.saved_late) = (true, true);
        }
        Some(())
    }

    fn step(&mut self, i: usize) -> Option<()> {
        let now = self.clock(i);
        let holder = &mut self.holders[i];
        let session = holder.session.as_mut().filter(|_| holder.saving.is_none())?;
        let (first, second) = (session.poll(now), session.poll(now));
        if format!("{first:?}") != format!("{second:?}") {
            self.broken = Some(format!("polling twice changes something: {first:?} {second:?}"));
        }
        match first {
            Step::Save(save) => {
                holder.saving = Some(save);
                Some(())
            }
            Step::Send { until } => {
                let call = session.send(&client(), now).unwrap().expect("poll says that it is to be sent");
                let attempt = call.context.attempt;
                let serial = serial(call.context.refresh.refresh_token.expose());
                let until = unix(until) / SECOND - START - holder.ahead;
                if holder.refused == Some(serial) {
                    self.broken = Some(format!("r{serial} is sent again after invalid_grant"));
                }
                if holder.flight.is_some() && !self.saved_late {
                    self.broken = Some("the same holder has two requests under way".into());
                }
                holder.flight = Some(Flight { attempt, serial, until, answer: None });
                self.is_not_replaced(serial);
                Some(())
            }
            Step::Idle(_) | Step::Wait { .. } | Step::Reauthorize(_) => None,
        }
    }

    fn is_not_replaced(&mut self, sent: u32) {
        let saved = serial(self.store.access_token.expose());
        if sent < saved && !self.saved_late {
            self.broken = Some(format!("r{sent} is sent after its successor r{saved} was saved"));
        }
    }

    fn store(&mut self, i: usize, heard: bool) -> Option<()> {
        let save = self.holders[i].saving.take()?;
        let now = self.clock(i);
        if self.store.revision == save.expected_revision() {
            let (before, after) = (&self.store, &*save.snapshot.0);
            if serial(after.access_token.expose()) < serial(before.access_token.expose())
                || (after.generation == before.generation && after.access_token != before.access_token)
            {
                self.broken = Some(format!("saved tokens go back from {before:?} to {after:?}"));
            }
            self.store = after.clone();
            self.saved_ahead = self.holders[i].ahead;
            if let (true, Some(session)) = (heard, &mut self.holders[i].session) {
                session.saved(save);
            }
        } else {
            let store = Snapshot(Box::new(self.store.clone()));
            match (heard, &mut self.holders[i].session) {
                (true, Some(session)) => drop(session.adopt(store, now).unwrap()),
                (_, None) => self.lost_in_the_window |= save.snapshot.0.generation > self.store.generation,
                (false, Some(_)) => {}
            }
        }
        self.learn(i);
        Some(())
    }

    fn handle(&mut self, i: usize) -> Option<()> {
        let flight = self.holders[i].flight.as_mut().filter(|flight| flight.answer.is_none())?;
        let sent = flight.serial;
        if sent == self.server.serial && !self.server.ended {
            self.server.serial += 1;
            self.server.issued_at = self.now;
            flight.answer = Some(Answer::Tokens(self.server.serial));
            self.lost_in_the_window |= self.holders[i].session.is_none();
        } else {
            self.server.ended = true;
            flight.answer = Some(Answer::InvalidGrant);
        }
        self.is_not_replaced(sent);
        Some(())
    }

    fn answer(&mut self, i: usize) -> Option<()> {
        let flight = self.holders[i].flight.as_ref()?;
        let (attempt, serial, answer) = (flight.attempt, flight.serial, flight.answer?);
        self.holders[i].flight = None;
        self.deliver(i, attempt, serial, answer)
    }

    fn deliver(&mut self, i: usize, attempt: Attempt, serial: u32, answer: Answer) -> Option<()> {
        let now = self.clock(i);
        let holder = &mut self.holders[i];
        let session = holder.session.as_mut()?;
        let (status, body) = match answer {
            Answer::Tokens(serial) => (200, body(serial)),
            Answer::InvalidGrant => {
                holder.refused = Some(serial);
                (400, r#"{"error":"invalid_grant"}"#.into())
            }
            Answer::Busy => (503, String::new()),
        };
        let none: [(&str, &str); 0] = [];
        let _ = session.received(call(attempt, serial), Response::new(status, none, body.as_bytes()), now);
        if let Answer::Tokens(serial) = answer {
            holder.knows = holder.knows.max(serial);
        }
        self.learn(i);
        Some(())
    }

    /// The holder hears nothing of its request any more, and says so if it lives.
    fn give_up(&mut self, i: usize) -> Option<()> {
        let now = self.clock(i);
        let flight = self.holders[i].flight.take()?;
        self.lost_in_the_window |= matches!(flight.answer, Some(Answer::Tokens(_)));
        if let Some(session) = &mut self.holders[i].session {
            session.no_response(call(flight.attempt, flight.serial), now);
        }
        Some(())
    }

    fn crash(&mut self, i: usize) -> Option<()> {
        let holder = &mut self.holders[i];
        let session = holder.session.take()?;
        let learned = session.outcome().is_some_and(|outcome| outcome.generation > self.store.generation);
        let answered =
            holder.flight.as_ref().is_some_and(|flight| matches!(flight.answer, Some(Answer::Tokens(_))));
        // What is being saved is not lost yet.
        self.lost_in_the_window |= answered || (learned && holder.saving.is_none());
        (holder.copy, holder.knows, holder.refused) = (None, 0, None);
        Some(())
    }

    fn sign_in(&mut self, i: usize) -> Option<()> {
        let now = self.clock(i);
        let holder = &mut self.holders[i];
        let session = holder.session.as_mut().filter(|_| holder.saving.is_none())?;
        let Step::Reauthorize(_) = session.poll(now) else { return None };
        let current = session.record.revision == self.store.revision;
        // One user signs in once.
        let newer = |record: &Record| record.generation > self.store.generation;
        let signed_in = self.holders.iter().any(|holder| {
            let outcome = holder.session.as_ref().and_then(Session::outcome);
            outcome.is_some_and(newer)
                || holder.saving.as_ref().is_some_and(|saving| newer(&saving.snapshot.0))
        });
        // Nor does a new one begin while somebody may still send the old refresh token.
        let may_send = |it: &Session| matches!(it.hand, Hand::Claim(_) | Hand::Request(_));
        let under_way = self
            .holders
            .iter()
            .any(|holder| holder.flight.is_some() || holder.session.as_ref().is_some_and(may_send));
        (!signed_in && !under_way && current).then_some(())?;
        self.server = Server { serial: self.server.serial + 1, issued_at: self.now, ended: false };
        let holder = &mut self.holders[i];
        holder.session.as_mut()?.reauthorized(tokens(self.server.serial), now);
        holder.knows = self.server.serial;
        (self.lost_in_the_window, self.saved_late) = (false, false);
        self.sign_ins += 1;
        Some(())
    }

    /// Takes note of what the store has told a holder.
    fn learn(&mut self, i: usize) {
        let holder = &mut self.holders[i];
        if let Some(session) = &holder.session {
            holder.knows = holder.knows.max(serial(session.record.access_token.expose()));
        }
    }

    /// Whether the store says so of the latest tokens, and not of those before a new sign-in.
    fn is_refused(&self) -> bool {
        self.store.state == State::Refused && serial(self.store.access_token.expose()) == self.server.serial
    }

    /// The serial number of the saved tokens.
    fn saved(&self) -> u32 {
        serial(self.store.access_token.expose())
    }

    /// The guarantees.
    fn check(&self) -> Result<(), String> {
        if let Some(broken) = &self.broken {
            return Err(broken.clone());
        }
        let in_flight = self.holders.iter().filter(|holder| holder.flight.is_some()).count();
        if in_flight > 1 && !self.saved_late {
            return Err(format!("{in_flight} refreshes are in flight"));
        }
        if !self.lost_in_the_window && (self.server.ended || self.is_refused()) {
            return Err("the authorization ended, and nothing was lost".into());
        }
        let saved = serial(self.store.access_token.expose());
        for i in 0..self.holders.len() {
            let holder = &self.holders[i];
            let Some(session) = &holder.session else { continue };
            let Some(token) = session.access_token(self.clock(i)) else { continue };
            let token = serial(token.expose());
            if token > saved {
                return Err(format!("holder {i} uses a{token} before it is saved"));
            }
            if token < holder.knows {
                return Err(format!("holder {i} uses a{token} and knows that it was replaced"));
            }
            if token == self.server.serial && self.now >= self.server.issued_at + LIFETIME + SKEW {
                return Err(format!("holder {i} uses a{token} after it expired"));
            }
        }
        let carried = |holder: &Holder| {
            let records = [
                holder.session.as_ref().and_then(Session::outcome),
                holder.saving.as_ref().map(|saving| &*saving.snapshot.0),
            ];
            records
                .into_iter()
                .flatten()
                .any(|record| serial(record.access_token.expose()) == self.server.serial)
                || holder
                    .flight
                    .as_ref()
                    .is_some_and(|it| it.answer == Some(Answer::Tokens(self.server.serial)))
        };
        if !self.lost_in_the_window && saved != self.server.serial && !self.holders.iter().any(carried) {
            return Err("the latest tokens are nowhere".into());
        }
        Ok(())
    }
}

fn restored(snapshot: Snapshot, now: SystemTime) -> Session {
    Session::restore(&client(), snapshot, policy(), now).unwrap()
}

fn spend(budget: &mut u32) -> Option<()> {
    *budget = budget.checked_sub(1)?;
    Some(())
}

fn time(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(START + seconds)
}

fn policy() -> RefreshPolicy {
    let part = REFRESH_AFTER as f32 / LIFETIME as f32;
    let second = Duration::from_secs(1);
    RefreshPolicy::default()
        .refresh_fraction(part, part)
        .min_interval(Duration::ZERO)
        .clock_skew(second * SKEW as u32)
        .claim_duration(2 * second)
        .backoff(second, second)
}

fn client() -> Client {
    thread_local! {
        static CLIENT: Client = {
            let server = AuthorizationServer::new("https://as.example/authorize", "https://as.example/token");
            Client::new(server.unwrap(), "fake-client", ClientAuth::none()).unwrap()
        };
    }
    CLIENT.with(Client::clone)
}

fn call(attempt: Attempt, serial: u32) -> Call<SessionRefresh> {
    let token = Secret::new(format!("r{serial}"));
    client().refresh(&token).start_as(|refresh| SessionContext { refresh, attempt }).unwrap()
}

fn tokens(serial: u32) -> TokenResponse {
    let call = client().refresh(&Secret::new("r0")).start().unwrap();
    let none: [(&str, &str); 0] = [];
    call.read(Response::new(200, none, body(serial).as_bytes())).unwrap()
}

fn body(serial: u32) -> String {
    format!(
        r#"{{"access_token":"a{serial}","token_type":"Bearer","expires_in":{LIFETIME},"refresh_token":"r{serial}"}}"#
    )
}

/// The number in a token's name.
fn serial(token: &str) -> u32 {
    token.trim_start_matches(['a', 'r']).parse().unwrap()
}

mod search;
