//! What may happen in the world.

use super::server::Family;
use super::*;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Action {
    /// A second passes.
    Tick,
    /// The holder polls, and begins to do what it is told.
    Step(usize),
    /// The store compares and swaps, and answers; or its answer takes its time; or never arrives; or the
    /// store never gets to it.
    Stored(usize),
    Applied(usize),
    Heard(usize),
    StoredSilently(usize),
    NotStored(usize),
    /// The store loses its last write.
    LoseWrite,
    /// The holder looks into the store.
    Adopt(usize),
    /// The server handles a request; or is overloaded; or never gets it, and the connection breaks.
    Handled(usize),
    Busy(usize),
    /// It refuses the request and asks for a nonce.
    AskedForNonce(usize),
    RequestLost(usize),
    /// The server fails from now on.
    Break(Mode),
    /// The answer arrives; or does not; or arrives and will do so again.
    Answered(usize),
    AnswerLost(usize),
    AnsweredTwice(usize),
    Again(usize),
    Crash(usize),
    Restart(usize),
    /// A holder with nothing in hand exits, and another is restored from the store.
    Renew(usize),
    /// The clock of a holder, or of all, is set by so many seconds; or set right.
    Jump(usize, i64),
    JumpAll(i64),
    SetRight(usize),
    /// The user signs in, or ends the authorization.
    SignIn(usize),
    End(usize),
}

/// How often each fault, and each decision of the user, may still happen.
#[derive(Clone, Copy, Debug, Hash)]
pub(super) struct Budget {
    pub(super) crashes: u32,
    pub(super) losses: u32,
    pub(super) busy: u32,
    pub(super) nonces: u32,
    pub(super) copies: u32,
    pub(super) jumps: u32,
    pub(super) lost_writes: u32,
    pub(super) late_reports: u32,
    pub(super) sign_ins: u32,
    pub(super) ends: u32,
    pub(super) breaks: u32,
    /// Whether holders exit as they please.
    pub(super) short_lives: bool,
    /// Whether the tokens are the client's own (RFC 6749 §4.4), so that no request uses one up.
    pub(super) own_tokens: bool,
}

impl Budget {
    pub(super) fn faults(&self) -> u32 {
        let Self {
            crashes, losses, busy, nonces, copies, jumps, lost_writes, late_reports, sign_ins, ..
        } = self;
        crashes + losses + busy + nonces + copies + jumps + lost_writes + late_reports + sign_ins
    }
}

impl World {
    /// Lists what may happen next; some of it turns out to be impossible.
    pub(super) fn actions(&self, actions: &mut Vec<Action>) {
        use Action::*;
        let budget = &self.budget;
        actions.clear();
        actions.push(Tick);
        let mut add = |possible, action| {
            if possible {
                actions.push(action);
            }
        };
        for (i, holder) in self.holders.iter().enumerate() {
            let saving = holder.saving.as_ref().is_some_and(|saving| saving.accepted.is_none());
            let applied = holder.saving.is_some() && !saving;
            let sent = holder.flight.as_ref().is_some_and(|flight| flight.answer.is_none());
            let answered = holder.flight.is_some() && !sent;
            let alive = holder.session.is_some();
            add(alive && holder.saving.is_none(), Action::Step(i));
            add(saving, Stored(i));
            add(saving && budget.late_reports > 0, Applied(i));
            add(applied, Heard(i));
            add(saving && budget.losses > 0, StoredSilently(i));
            add(saving && budget.losses > 0, NotStored(i));
            add(self.is_behind(i), Adopt(i));
            add(sent, Handled(i));
            add(sent && budget.busy > 0, Busy(i));
            add(sent && budget.nonces > 0, AskedForNonce(i));
            add(sent && budget.losses > 0, RequestLost(i));
            add(answered && alive, Answered(i));
            add(answered && alive && budget.losses > 0, AnswerLost(i));
            add(answered && alive && budget.copies > 0, AnsweredTwice(i));
            add(alive && holder.copy.is_some(), Again(i));
            add(alive && budget.crashes > 0, Crash(i));
            add(!alive && holder.saving.is_none() && holder.flight.is_none(), Restart(i));
            add(budget.short_lives && holder.has_nothing_in_hand(), Renew(i));
            for by in JUMPS {
                add(budget.jumps > 0, Jump(i, by));
            }
            add(budget.jumps > 0 && holder.ahead == 0, Jump(i, SKEW));
            add(holder.ahead != holder.usually_ahead, SetRight(i));
            add(alive && (budget.sign_ins > 0 || self.must_sign_in(i)), SignIn(i));
            add(alive && budget.ends > 0, End(i));
        }
        for by in JUMPS {
            add(budget.jumps > 0, JumpAll(by));
        }
        add(self.store.before.is_some(), LoseWrite);
        if self.server.mode == Mode::Sound {
            add(budget.breaks > 0, Break(Mode::Down));
            add(budget.breaks > 0, Break(Mode::Refuses));
        }
    }

    /// Changes the world by an action. Where it is impossible, nothing but a poll happens.
    pub(super) fn try_to(&mut self, action: Action) -> Option<()> {
        match action {
            Action::Tick => self.tick(),
            Action::Step(i) => self.step(i),
            Action::Stored(i) => {
                self.apply(i)?;
                self.hear(i)
            }
            Action::Applied(i) => {
                self.holders[i].saving.as_ref().filter(|saving| saving.accepted.is_none())?;
                spend(&mut self.budget.late_reports)?;
                self.apply(i)
            }
            Action::Heard(i) => self.hear(i),
            Action::StoredSilently(i) => {
                self.holders[i].saving.as_ref().filter(|saving| saving.accepted.is_none())?;
                spend(&mut self.budget.losses)?;
                self.apply(i)?;
                self.forget_save(i)
            }
            Action::NotStored(i) => {
                self.holders[i].saving.as_ref().filter(|saving| saving.accepted.is_none())?;
                spend(&mut self.budget.losses)?;
                self.forget_save(i)
            }
            Action::LoseWrite => self.lose_write(),
            Action::Adopt(i) => {
                self.is_behind(i).then_some(())?;
                self.look(i)
            }
            Action::Handled(i) => self.handle(i),
            Action::Busy(i) => {
                let flight = self.holders[i].flight.as_mut().filter(|flight| flight.answer.is_none())?;
                spend(&mut self.budget.busy)?;
                flight.answer = Some(Answer::Busy);
                Some(())
            }
            Action::AskedForNonce(i) => {
                let flight = self.holders[i].flight.as_mut().filter(|flight| flight.answer.is_none())?;
                spend(&mut self.budget.nonces)?;
                flight.answer = Some(Answer::NonceWanted);
                Some(())
            }
            Action::RequestLost(i) => {
                self.holders[i].flight.as_ref().filter(|flight| flight.answer.is_none())?;
                spend(&mut self.budget.losses)?;
                self.give_up(i)
            }
            Action::Break(mode) => {
                (self.server.mode == Mode::Sound).then_some(())?;
                spend(&mut self.budget.breaks)?;
                self.server.mode = mode;
                self.server.faults_at_break = self.budget.faults();
                Some(())
            }
            Action::AnswerLost(i) => {
                self.holders[i].flight.as_ref()?.answer?;
                spend(&mut self.budget.losses)?;
                self.give_up(i)
            }
            Action::Answered(i) => self.answer(i),
            Action::AnsweredTwice(i) => {
                let flight = self.holders[i].flight.clone()?;
                let answer = flight.answer?;
                spend(&mut self.budget.copies)?;
                self.holders[i].copy = Some((flight.attempt, flight.serial, answer));
                self.answer(i)
            }
            Action::Again(i) => {
                self.holders[i].session.as_ref()?;
                let (attempt, serial, answer) = self.holders[i].copy.take()?;
                self.deliver(i, attempt, serial, answer)
            }
            Action::Crash(i) => {
                self.holders[i].session.as_ref()?;
                spend(&mut self.budget.crashes)?;
                self.forget(i);
                self.note_losses();
                Some(())
            }
            Action::Restart(i) => {
                // What its former self has under way goes on without it.
                let holder = &self.holders[i];
                (holder.session.is_none() && holder.saving.is_none() && holder.flight.is_none())
                    .then_some(())?;
                self.restore(i)
            }
            Action::Renew(i) => {
                let holder = &self.holders[i];
                let is_ahead = |it: &Session| it.record.revision > self.store.record.revision;
                let is_free = holder.has_nothing_in_hand() && !holder.session.as_ref().is_some_and(is_ahead);
                is_free.then_some(())?;
                self.forget(i);
                self.restore(i)?;
                if self.write_lost {
                    self.note_losses();
                }
                Some(())
            }
            Action::Jump(i, by) => {
                spend(&mut self.budget.jumps)?;
                self.set_clock(i, self.holders[i].ahead + by);
                Some(())
            }
            Action::JumpAll(by) => {
                spend(&mut self.budget.jumps)?;
                (0..self.holders.len()).for_each(|i| self.set_clock(i, self.holders[i].ahead + by));
                Some(())
            }
            Action::SetRight(i) => {
                let right = self.holders[i].usually_ahead;
                (self.holders[i].ahead != right).then(|| self.set_clock(i, right))
            }
            Action::SignIn(i) => self.sign_in(i),
            Action::End(i) => {
                let now = self.clock(i);
                let session = self.holders[i].session.as_mut()?;
                spend(&mut self.budget.ends)?;
                session.end(now);
                Some(())
            }
        }
    }

    fn tick(&mut self) -> Option<()> {
        let now = self.now + 1;
        let late = |holder: &&Holder| holder.flight.as_ref().is_some_and(|flight| flight.until <= now);
        let given_up =
            self.holders.iter().filter(late).filter(|holder| holder.session.is_some()).count() as u32;
        let has_tokens = |holder: &Holder| {
            holder.flight.as_ref().is_some_and(|it| matches!(it.answer, Some(Answer::Tokens(_))))
        };
        let loses_tokens = self.holders.iter().filter(late).any(has_tokens);
        // Tokens that are saved only after the claim on them is over are as good as lost: another holder may
        // use the old refresh token again.
        let serial = serial(&self.store.record);
        let family = self.server.family(serial);
        let is_saved_late = match self.store.record.state {
            State::Claimed(claim) => {
                world_time(claim.until, self.store.saved_ahead) <= now && number_of(serial) < family.current
            }
            _ => false,
        };
        let is_paid = family.may_end() || loses_tokens;
        let price = given_up + u32::from(is_saved_late && !is_paid);
        self.budget.losses = self.budget.losses.checked_sub(price)?;
        self.now = now;
        for i in 0..self.holders.len() {
            if late(&&self.holders[i]) {
                self.give_up(i);
            }
        }
        self.server.family_mut(serial).may_overlap |= is_saved_late;
        Some(())
    }

    fn step(&mut self, i: usize) -> Option<()> {
        let now = self.clock(i);
        let holder = &mut self.holders[i];
        let session = holder.session.as_mut().filter(|_| holder.saving.is_none())?;
        let (first, second) = (session.poll(now), session.poll(now));
        if !is_same(&first, &second) {
            self.broken = Some(format!("polling twice changes something: {first:?} {second:?}"));
        }
        match first {
            Step::Save(save) => {
                holder.saving = Some(Saving { save, accepted: None });
                Some(())
            }
            Step::Send { until } => self.send(i, until),
            Step::Idle(_) | Step::Wait { .. } | Step::Reauthorize(_) => None,
        }
    }

    /// Returns whether the store has something newer than the holder knows.
    fn is_behind(&self, i: usize) -> bool {
        let session = self.holders[i].session.as_ref();
        session.is_some_and(|session| session.record.revision < self.store.record.revision)
    }

    /// Ends a holder without a word.
    fn forget(&mut self, i: usize) {
        let holder = &mut self.holders[i];
        (holder.session, holder.copy, holder.knows, holder.refused) = (None, None, 0, None);
    }

    /// Begins a holder with what is stored.
    fn restore(&mut self, i: usize) -> Option<()> {
        self.holders[i].session = Some(restored(self.store.snapshot(), self.clock(i)));
        self.learn_stored(i);
        Some(())
    }

    fn set_clock(&mut self, i: usize, ahead: i64) {
        let before = std::mem::replace(&mut self.holders[i].ahead, ahead);
        // Clocks that differ by no more than the skew keep every promise, and so does one that stands still
        // so long.
        let is_small = |ahead: i64| (0..=SKEW).contains(&ahead);
        if !(is_small(before) && is_small(ahead)) {
            self.jumped = true;
            self.void_promise();
        }
    }

    pub(super) fn are_clocks_apart(&self) -> bool {
        let ahead = || self.holders.iter().map(|holder| holder.ahead);
        ahead().max() > ahead().min().map(|least| least + SKEW)
    }

    /// Excuses more than one refresh at a time.
    pub(super) fn void_promise(&mut self) {
        let void = |family: &mut Family| family.may_overlap = true;
        self.server.families.iter_mut().for_each(void);
    }
}

impl Action {
    pub(super) fn is_a_fault(self) -> bool {
        use Action::*;
        matches!(
            self,
            StoredSilently(_)
                | NotStored(_)
                | Busy(_)
                | AskedForNonce(_)
                | RequestLost(_)
                | AnswerLost(_)
                | AnsweredTwice(_)
                | Crash(_)
        )
    }
}

fn is_same(first: &Step, second: &Step) -> bool {
    match (first, second) {
        (Step::Save(first), Step::Save(second)) => {
            let content = |save: &Save| (save.claims, search::fingerprint(&save.snapshot.0));
            content(first) == content(second)
        }
        (Step::Idle(first), Step::Idle(second)) => first == second,
        (Step::Send { until: first }, Step::Send { until: second }) => first == second,
        (Step::Wait { until: first, reason }, Step::Wait { until: second, reason: again }) => {
            (first, reason) == (second, again)
        }
        (Step::Reauthorize(first), Step::Reauthorize(second)) => first == second,
        _ => false,
    }
}

/// The seconds by which clocks jump: beyond the skew, and far beyond everything.
pub(super) const JUMPS: [i64; 4] = [-1000, -3, 3, 1000];

pub(super) const NOTHING: Budget = Budget {
    crashes: 0,
    losses: 0,
    busy: 0,
    nonces: 0,
    copies: 0,
    jumps: 0,
    lost_writes: 0,
    late_reports: 0,
    sign_ins: 0,
    ends: 0,
    breaks: 0,
    short_lives: false,
    own_tokens: false,
};
