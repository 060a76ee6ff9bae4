//! The server of the world: it rotates refresh tokens, and ends an authorization when one is used twice. Each
//! sign-in is an authorization of its own, a family.

use super::*;

#[derive(Clone, Debug)]
pub(super) struct Server {
    pub(super) families: Vec<Family>,
    pub(super) mode: Mode,
    /// The requests that it refused without a cause.
    pub(super) refusals: u32,
    /// How many faults could still happen when it began to fail.
    pub(super) faults_at_break: u32,
    /// It gives the client tokens of its own, as often as it is asked.
    pub(super) gives_own_tokens: bool,
}

/// The tokens that follow from one sign-in.
#[derive(Clone, Debug, Hash)]
pub(super) struct Family {
    /// The number of the latest tokens, from 1.
    pub(super) current: u32,
    pub(super) issued_at: i64,
    /// By the clock of the holder that signed in, in milliseconds of Unix time.
    pub(super) signed_in_at: u64,
    /// The number of the latest tokens that were ever stored.
    pub(super) saved: u32,
    /// A refresh token was used twice.
    pub(super) ended: bool,
    /// A fault voids the promise of one refresh at a time: tokens that were saved late, a clock that jumped,
    /// a write that was lost.
    pub(super) may_overlap: bool,
    /// A crash or a loss destroyed the latest tokens.
    pub(super) lost: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Hash)]
pub(super) enum Mode {
    Sound,
    /// It answers 503 for ever.
    Down,
    /// It answers with an empty 400 for ever.
    Refuses,
}

/// A request under way.
#[derive(Clone, Debug)]
pub(super) struct Flight {
    pub(super) attempt: Attempt,
    pub(super) serial: u32,
    /// When the holder stops waiting, in the world's time.
    pub(super) until: i64,
    pub(super) answer: Option<Answer>,
}

#[derive(Clone, Copy, Debug, PartialEq, Hash)]
pub(super) enum Answer {
    Tokens(u32),
    InvalidGrant,
    /// An empty 400.
    Unclear,
    Busy,
    /// It asks for a nonce (RFC 9449 §8), and the refresh token is as good as before.
    NonceWanted,
}

impl Server {
    pub(super) fn new(signed_in_at: u64, gives_own_tokens: bool) -> Self {
        Self {
            families: vec![Family { saved: 1, ..Family::new(0, signed_in_at, false) }],
            mode: Mode::Sound,
            refusals: 0,
            faults_at_break: 0,
            gives_own_tokens,
        }
    }

    pub(super) fn family(&self, serial: u32) -> &Family {
        &self.families[family_of(serial)]
    }

    pub(super) fn family_mut(&mut self, serial: u32) -> &mut Family {
        &mut self.families[family_of(serial)]
    }

    fn answer(&mut self, sent: u32, now: i64) -> Answer {
        match self.mode {
            Mode::Sound => {}
            Mode::Down => return Answer::Busy,
            Mode::Refuses => {
                self.refusals += 1;
                return Answer::Unclear;
            }
        }
        let gives_own_tokens = self.gives_own_tokens;
        let family = self.family_mut(sent);
        if !gives_own_tokens && (number_of(sent) != family.current || family.ended) {
            family.ended = true;
            return Answer::InvalidGrant;
        }
        family.current += 1;
        family.issued_at = now;
        Answer::Tokens(token(family_of(sent), family.current))
    }
}

impl Family {
    pub(super) fn new(issued_at: i64, signed_in_at: u64, may_overlap: bool) -> Self {
        Self { current: 1, issued_at, signed_in_at, saved: 0, ended: false, may_overlap, lost: false }
    }

    /// Returns whether a fault explains that the server ended the authorization.
    pub(super) fn may_end(&self) -> bool {
        self.lost || self.may_overlap
    }
}

impl Answer {
    pub(super) fn tokens(self) -> Option<u32> {
        match self {
            Self::Tokens(serial) => Some(serial),
            _ => None,
        }
    }
}

impl World {
    /// The holder sends what it is told to.
    pub(super) fn send(&mut self, i: usize, until: SystemTime) -> Option<()> {
        let now = self.clock(i);
        let holder = &mut self.holders[i];
        let session = holder.session.as_mut()?;
        if let Some(flight) = &holder.flight {
            let is_same_family = family_of(flight.serial) == family_of(serial(&session.record));
            if is_same_family && !self.server.family(flight.serial).may_overlap {
                self.breaks("the same holder has two requests under way".into());
            }
            // It sends one request at a time.
            return None;
        }
        if session.newest().state == State::Ended {
            self.broken = Some(format!("holder {i} sends and knows of the end"));
        }
        let call = with_client(|client| session.send(client, now))
            .unwrap()
            .expect("poll says that it is to be sent");
        let attempt = call.context.attempt;
        let serial = match call.context.sent.refresh_token() {
            Some(token) => parse(token.expose()),
            None => serial(&session.record),
        };
        let until = world_time(unix(until), holder.ahead);
        // A holder ignores the answer to a request whose claim it has lost.
        if holder.refused == Some(serial) && !self.jumped && !self.write_lost {
            self.broken = Some(format!("r{serial} is sent again after invalid_grant"));
        }
        holder.flight = Some(Flight { attempt, serial, until, answer: None });
        let store = &self.store.record;
        if store.state == State::Ended && attempt.revision >= store.revision && !self.write_lost {
            self.breaks(format!("r{serial} is sent after the end, and was not under way"));
        }
        self.requests += 1;
        self.is_not_replaced(serial);
        Some(())
    }

    /// The server handles a holder's request.
    pub(super) fn handle(&mut self, i: usize) -> Option<()> {
        let flight = self.holders[i].flight.as_mut().filter(|flight| flight.answer.is_none())?;
        let sent = flight.serial;
        flight.answer = Some(self.server.answer(sent, self.now));
        if self.holders[i].session.is_none() {
            self.note_losses();
        }
        self.is_not_replaced(sent);
        Some(())
    }

    fn is_not_replaced(&mut self, sent: u32) {
        let family = self.server.family(sent);
        let saved = family.saved;
        if number_of(sent) < saved && !family.may_overlap {
            self.breaks(format!("r{sent} is sent after its successor {saved} was saved"));
        }
    }

    pub(super) fn answer(&mut self, i: usize) -> Option<()> {
        let holder = &mut self.holders[i];
        holder.session.as_ref()?;
        let flight = holder.flight.take_if(|flight| flight.answer.is_some())?;
        self.deliver(i, flight.attempt, flight.serial, flight.answer?)
    }

    pub(super) fn deliver(&mut self, i: usize, attempt: Attempt, serial: u32, answer: Answer) -> Option<()> {
        let now = self.clock(i);
        let holder = &mut self.holders[i];
        let session = holder.session.as_mut()?;
        let mut call = call(attempt, serial, self.budget.own_tokens);
        let mut headers = None;
        let (status, body) = match answer {
            Answer::NonceWanted => {
                call.request_mut().set_dpop(Some(&key()));
                call.request_mut().set_proof(Secret::new("fake-proof"));
                headers = Some(("dpop-nonce", "fake-nonce"));
                (400, r#"{"error":"use_dpop_nonce"}"#.into())
            }
            Answer::Tokens(serial) => (200, body(serial)),
            Answer::InvalidGrant => {
                holder.refused = Some(serial);
                (400, r#"{"error":"invalid_grant"}"#.into())
            }
            Answer::Unclear => (400, String::new()),
            Answer::Busy => (503, String::new()),
        };
        let trouble = session.newest().trouble.clone();
        let was_sent = matches!(session.hand, Hand::Request { .. });
        let _ = session.received(call, Response::new(status, headers, body.as_bytes()), now);
        let goes_on = was_sent && matches!(session.hand, Hand::Claim { .. });
        let has_failed = session.newest().trouble != trouble;
        if goes_on && has_failed {
            self.breaks("a nonce that the server wants is a failure".into());
        }
        if goes_on && attempt.has_nonce {
            self.breaks("a server that wants a nonce is obeyed twice under one claim".into());
        }
        if let Some(serial) = answer.tokens() {
            self.learn(i, serial);
        }
        self.learn_stored(i);
        Some(())
    }

    /// The holder hears nothing of its request any more, and says so if it lives.
    pub(super) fn give_up(&mut self, i: usize) -> Option<()> {
        let now = self.clock(i);
        let flight = self.holders[i].flight.take()?;
        if let Some(session) = &mut self.holders[i].session {
            session.no_response(call(flight.attempt, flight.serial, self.budget.own_tokens), now);
        }
        self.note_losses();
        Some(())
    }

    /// The user signs in, on any holder.
    pub(super) fn sign_in(&mut self, i: usize) -> Option<()> {
        let known = self.holders[i].session.as_ref()?.newest();
        let (known, known_date, now) = (family_of(serial(known)), known.signed_in_at, unix(self.clock(i)));
        let date = if policy().is_in_the_future(known_date, now) { now } else { now.max(known_date) };
        let mut others = (0..self.server.families.len()).filter(|family| *family != known);
        // Two users do not sign in within the same millisecond.
        others.all(|family| self.server.families[family].signed_in_at != date).then_some(())?;
        if !self.must_sign_in(i) {
            spend(&mut self.budget.sign_ins)?;
        }
        let family = self.server.families.len();
        let now = self.clock(i);
        let may_overlap = self.are_clocks_apart();
        let session = self.holders[i].session.as_mut()?;
        session.reauthorized(tokens(token(family, 1), false), now);
        let signed_in_at = session.outcome()?.signed_in_at;
        self.server.families.push(Family::new(self.now, signed_in_at, may_overlap));
        self.server.refusals = 0;
        self.learn(i, token(family, 1));
        self.sign_ins += 1;
        Some(())
    }

    /// Returns whether the holder asks the user to sign in, and the user has not done so on another.
    pub(super) fn must_sign_in(&self, i: usize) -> bool {
        let store = &self.store.record;
        let is_told = |session: &Session| {
            matches!(session.hand, Hand::Nothing) && session.record.revision == store.revision
        };
        let family = family_of(serial(store));
        store.state == State::Refused
            && self.holders[i].session.as_ref().is_some_and(is_told)
            && self.known().all(|serial| family_of(serial) == family)
    }
}

/// Returns the number in the name of tokens: `a1` and `r1` were issued together, and are replaced by `a2` and
/// `r2`.
pub(super) fn serial(record: &Record) -> u32 {
    parse(record.access_token.expose())
}

pub(super) fn parse(token: &str) -> u32 {
    token.trim_start_matches(['a', 'r']).parse().unwrap()
}

pub(super) fn token(family: usize, number: u32) -> u32 {
    family as u32 * FAMILY + number
}

pub(super) fn family_of(serial: u32) -> usize {
    (serial / FAMILY) as usize
}

pub(super) fn number_of(serial: u32) -> u32 {
    serial % FAMILY
}

/// How many tokens a family has at most.
const FAMILY: u32 = 100_000;

pub(super) fn spend(budget: &mut u32) -> Option<()> {
    *budget = budget.checked_sub(1)?;
    Some(())
}
