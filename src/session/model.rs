//! A small world around the [`Session`]: holders with clocks of their own, a store that compares and swaps,
//! and a server that rotates refresh tokens and ends an authorization when one is used twice.
//!
//! Messages are delayed, lost and doubled; holders crash, or live for seconds only; clocks jump; the store
//! loses its last write; users sign in and out on any holder; the server fails for ever, or wants nonces; or
//! the tokens are the client's own. [`World::check`]
//! looks at the guarantees that hold in every state, and [`World::settles`] at those that hold after a while.
//! `search.rs` visits every state of small worlds, `histories.rs` plays histories by chance.

mod actions;
mod histories;
mod properties;
mod search;
mod server;
mod store;

use std::time::{Duration, SystemTime};

use self::actions::{Action, Budget};
use self::server::{Answer, Flight, Mode, Server, family_of, number_of, parse, serial, spend};
use self::store::{Saving, Store};
use super::refresh::{Sent, SessionContext};
use super::*;
use crate::call::Response;
use crate::dpop::DpopKey;
use crate::jose::{Algorithm, PublicKey, SigningKey};
use crate::{AuthorizationServer, ClientAuth, Entropy};

/// Holders, a store and a server. Times are seconds since the world began.
#[derive(Clone, Debug)]
struct World {
    now: i64,
    store: Store,
    server: Server,
    holders: Vec<Holder>,
    budget: Budget,
    /// A clock was set by more than the skew.
    jumped: bool,
    /// The store has lost a write.
    write_lost: bool,
    /// How often the user signed in again.
    sign_ins: u32,
    /// The claims that were saved, and the requests that were sent.
    claims: u32,
    requests: u32,
    /// What an action found to be wrong.
    broken: Option<String>,
}

#[derive(Clone, Debug)]
struct Holder {
    /// Seconds that its clock is ahead, and that it was ahead when the world began.
    ahead: i64,
    usually_ahead: i64,
    /// `None` after a crash.
    session: Option<Session>,
    saving: Option<Saving>,
    flight: Option<Flight>,
    /// An answer that will arrive once more.
    copy: Option<(Attempt, u32, Answer)>,
    /// The latest tokens that reached it.
    knows: u32,
    /// The refresh token that the server refused to it.
    refused: Option<u32>,
}

impl World {
    /// Makes a world of holders whose clocks are so far ahead, with tokens that want to be replaced.
    fn new(offsets: &[i64], budget: Budget) -> Self {
        let mut session = Session::new(tokens(1, budget.own_tokens), policy(), time(0));
        let Step::Save(save) = session.poll(time(0)) else { panic!("new tokens are saved first") };
        let holder = |ahead: &i64| Holder {
            ahead: *ahead,
            usually_ahead: *ahead,
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
            server: Server::new(save.snapshot.0.signed_in_at, budget.own_tokens),
            store: Store::new((*save.snapshot.0).clone()),
            budget,
            jumped: false,
            write_lost: false,
            sign_ins: 0,
            claims: 0,
            requests: 0,
            broken: None,
        }
    }

    /// Returns the world after an action, if it is possible.
    fn after(&self, action: Action) -> Option<Self> {
        let mut next = self.clone();
        next.try_to(action)?;
        Some(next)
    }

    /// Returns the time that a holder's clock shows.
    fn clock(&self, i: usize) -> SystemTime {
        time(self.now + self.holders[i].ahead)
    }

    /// Returns whether these tokens are later than the others: of a later sign-in, or of a later refresh.
    fn is_later(&self, these: u32, others: u32) -> bool {
        let rank = |serial| (self.server.family(serial).signed_in_at, serial);
        rank(these) > rank(others)
    }

    /// Takes note of tokens that reached a holder.
    fn learn(&mut self, i: usize, serial: u32) {
        if self.is_later(serial, self.holders[i].knows) {
            self.holders[i].knows = serial;
        }
    }

    /// Takes note of what the store has told a holder.
    fn learn_stored(&mut self, i: usize) {
        if let Some(session) = &self.holders[i].session {
            self.learn(i, serial(&session.record));
        }
    }

    /// Returns the tokens that exist outside the server, except those that nobody will learn of any more.
    fn known(&self) -> impl Iterator<Item = u32> {
        let holders = self.holders.iter().flat_map(|holder| {
            let session = holder.session.as_ref();
            let saving = holder.saving.as_ref().filter(|saving| saving.accepted.is_none());
            let answer =
                holder.flight.as_ref().filter(|_| session.is_some()).and_then(|flight| flight.answer);
            [
                session.map(|session| serial(&session.record)),
                session.and_then(Session::outcome).map(serial),
                saving.map(|saving| serial(&saving.save.snapshot.0)),
                answer.and_then(Answer::tokens),
            ]
        });
        holders.flatten().chain([serial(&self.store.record)])
    }

    /// Returns whether the latest tokens of a family exist outside the server.
    fn is_known(&self, family: usize) -> bool {
        let latest = server::token(family, self.server.families[family].current);
        self.known().any(|serial| serial == latest)
    }

    /// Takes note of tokens that a crash or a loss has destroyed.
    fn note_losses(&mut self) {
        for family in 0..self.server.families.len() {
            if !self.server.families[family].lost && !self.is_known(family) {
                self.server.families[family].lost = true;
            }
        }
    }

    fn breaks(&mut self, what: String) {
        self.broken.get_or_insert(what);
    }
}

impl Holder {
    /// Returns whether it lives, and loses nothing when it exits.
    fn has_nothing_in_hand(&self) -> bool {
        let is_idle = |session: &Session| matches!(session.hand, Hand::Nothing);
        self.session.as_ref().is_some_and(is_idle) && self.saving.is_none() && self.flight.is_none()
    }
}

impl Session {
    fn outcome(&self) -> Option<&Record> {
        match &self.hand {
            Hand::Outcome(record) | Hand::SignIn { record, .. } => Some(record),
            _ => None,
        }
    }
}

fn restored(snapshot: Snapshot, now: SystemTime) -> Session {
    with_client(|client| Session::restore(client, snapshot, policy(), now).unwrap())
}

fn time(seconds: i64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs((START + seconds) as u64)
}

/// Returns the world's time of a holder whose clock shows this one.
fn world_time(milliseconds: u64, ahead: i64) -> i64 {
    (milliseconds / SECOND) as i64 - START - ahead
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

fn with_client<T>(f: impl FnOnce(&Client) -> T) -> T {
    thread_local! {
        static CLIENT: Client = {
            let server = AuthorizationServer::new("https://as.example/authorize", "https://as.example/token");
            Client::new(server.unwrap(), "fake-client", ClientAuth::basic("fake-secret")).unwrap()
        };
    }
    CLIENT.with(f)
}

/// The key of a client whose tokens are bound to it.
fn key() -> DpopKey {
    let key = PublicKey::from_jwk(
        r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#,
    );
    let key = SigningKey::remote_with(Algorithm::EdDSA, key.unwrap(), Entropy::from_bytes([1; 128]));
    DpopKey::new(key.unwrap())
}

/// Makes the request for what comes after these tokens.
fn call(attempt: Attempt, serial: u32, own_tokens: bool) -> Call<SessionRefresh> {
    let token = Secret::new(format!("r{serial}"));
    let now = SystemTime::UNIX_EPOCH;
    let call = with_client(|client| match own_tokens {
        true => {
            let sent = |context| SessionContext { sent: Sent::ClientCredentials(context), attempt };
            client.client_credentials().start_as(now, sent)
        }
        false => {
            let sent = |context| SessionContext { sent: Sent::Refresh(context), attempt };
            client.refresh(&token).start_as(now, sent)
        }
    });
    call.unwrap()
}

fn tokens(serial: u32, own_tokens: bool) -> TokenResponse {
    let (body, now) = (body(serial), SystemTime::UNIX_EPOCH);
    let response = Response::new(200, NO_HEADERS, body.as_bytes());
    let tokens = with_client(|client| match own_tokens {
        true => client.client_credentials().start(now).unwrap().read(response),
        false => client.refresh(&Secret::new("r0")).start(now).unwrap().read(response),
    });
    tokens.unwrap()
}

fn body(serial: u32) -> String {
    format!(
        r#"{{"access_token":"a{serial}","token_type":"Bearer","expires_in":{LIFETIME},"refresh_token":"r{serial}"}}"#
    )
}

const NO_HEADERS: [(&str, &str); 0] = [];
const SECOND: u64 = 1000;
/// When the world begins, in seconds of Unix time.
const START: i64 = 1_700_000_000;
/// Seconds that a token lives, and after which it wants to be replaced.
const LIFETIME: i64 = 6;
const REFRESH_AFTER: i64 = 3;
const SKEW: i64 = 1;
