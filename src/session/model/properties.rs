//! The guarantees: what holds in every state, and what holds after a while without faults.

use super::*;

/// How long the holders live while the world settles.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Lives {
    Long,
    /// Each is restored anew whenever it has nothing in hand.
    Seconds,
}

/// What must have become true when the world has settled.
#[derive(Debug)]
struct Goal {
    /// The family of the latest sign-in.
    family: usize,
    /// The number of its tokens that were stored before.
    number: u32,
    /// A holder knows that the authorization was ended.
    ended: bool,
}

/// What holds in every state.
impl World {
    pub(super) fn check(&self) -> Result<(), String> {
        if let Some(broken) = &self.broken {
            return Err(broken.clone());
        }
        self.check_flights()?;
        self.check_server()?;
        (0..self.holders.len()).try_for_each(|i| self.check_access_token(i))
    }

    fn check_flights(&self) -> Result<(), String> {
        let flights = || self.holders.iter().filter_map(|holder| holder.flight.as_ref());
        for flight in flights() {
            let family = family_of(flight.serial);
            let in_flight = flights().filter(|flight| family_of(flight.serial) == family).count();
            if in_flight > 1 && !self.server.families[family].may_overlap {
                return Err(format!("{in_flight} refreshes are in flight"));
            }
        }
        Ok(())
    }

    fn check_server(&self) -> Result<(), String> {
        let Server { families, refusals, faults_at_break, .. } = &self.server;
        let is_refused = self.store.record.state == State::Refused;
        let stored = family_of(serial(&self.store.record));
        for (i, family) in families.iter().enumerate() {
            if (family.ended || (is_refused && i == stored)) && !family.may_end() {
                return Err("the authorization ended, and nothing was lost".into());
            }
        }
        // Tokens of an earlier sign-in are dropped when a later one is known.
        let counts = |i: &usize| !families[*i].lost || self.known().any(|serial| family_of(serial) == *i);
        let latest = (0..families.len()).filter(counts).max_by_key(|i| families[*i].signed_in_at);
        if let Some(latest) = latest.filter(|i| !families[*i].lost && !families[*i].ended)
            && !self.may_be_misdated()
            // Of two tokens of the client's own, which are both good, either may stay.
            && !self.budget.own_tokens
            && !self.is_known(latest)
        {
            return Err("the latest tokens are nowhere".into());
        }
        let faults = faults_at_break.saturating_sub(self.budget.faults());
        if *refusals > MAX_REFUSALS + faults && !families.iter().any(|family| family.may_overlap) {
            return Err(format!("the server refused {refusals} requests"));
        }
        Ok(())
    }

    /// Returns whether a clock that jumped may have dated a sign-in, so that an earlier one wins.
    fn may_be_misdated(&self) -> bool {
        self.jumped && self.server.families.len() > 1
    }

    fn check_access_token(&self, i: usize) -> Result<(), String> {
        let holder = &self.holders[i];
        let Some(session) = &holder.session else { return Ok(()) };
        let Some(token) = session.access_token(self.clock(i)) else { return Ok(()) };
        let token = parse(token.expose());
        let family = self.server.family(token);
        if number_of(token) > family.saved {
            Err(format!("holder {i} uses a{token} before it is saved"))
        } else if self.is_later(holder.knows, token)
            && !self.may_be_misdated()
            // A token of the client's own ends no earlier one.
            && !self.budget.own_tokens
        {
            Err(format!("holder {i} uses a{token} and knows that it was replaced"))
        } else if session.newest().state == State::Ended {
            Err(format!("holder {i} uses a{token} and knows of the end"))
        } else if number_of(token) == family.current
            && self.now >= family.issued_at + LIFETIME + SKEW
            && !self.jumped
        {
            Err(format!("holder {i} uses a{token} after it expired"))
        } else {
            Ok(())
        }
    }
}

/// What holds after a while.
impl World {
    /// Lets all holders work without faults, until all is well or the user is asked to sign in for a reason.
    pub(super) fn settles(&mut self, lives: Lives) -> Result<(), String> {
        // What the dead have under way arrives, or does not.
        for i in 0..self.holders.len() {
            if self.holders[i].session.is_none() {
                self.go_on(Action::Heard(i))?;
                self.go_on(Action::Stored(i))?;
            }
        }
        let goal = self.goal();
        for _ in 0..SETTLING_SECONDS {
            for i in 0..self.holders.len() {
                self.work(i, lives)?;
            }
            if self.is_settled(&goal)? {
                return Ok(());
            }
            self.go_on(Action::Tick)?;
        }
        match self.server.mode {
            Mode::Down => Ok(()),
            _ => Err(format!("it does not settle: {goal:?} {:?}", self.steps())),
        }
    }

    /// A holder does everything that it is told, at once.
    fn work(&mut self, i: usize, lives: Lives) -> Result<(), String> {
        if lives == Lives::Seconds {
            self.go_on(Action::Renew(i))?;
        }
        for action in turn(i) {
            if !self.go_on(action)? && action == Action::Step(i) {
                break;
            }
        }
        Ok(())
    }

    fn go_on(&mut self, action: Action) -> Result<bool, String> {
        let happened = self.try_to(action).is_some();
        if happened {
            self.check()?;
        }
        Ok(happened)
    }

    fn goal(&self) -> Goal {
        let latest = self.known().max_by_key(|serial| (self.server.family(*serial).signed_in_at, *serial));
        let family = family_of(latest.unwrap_or_default());
        let records = self.holders.iter().filter_map(|holder| Some(holder.session.as_ref()?.newest()));
        let is_end = |record: &Record| record.state == State::Ended && family_of(serial(record)) == family;
        Goal {
            family,
            number: self.server.families[family].saved,
            ended: is_end(&self.store.record) || records.into_iter().any(is_end),
        }
    }

    fn is_settled(&mut self, goal: &Goal) -> Result<bool, String> {
        let steps = self.steps();
        let stored = serial(&self.store.record);
        let family = self.server.family(stored);
        // A holder drops tokens for those of a later sign-in, even if its clock was wrong and they are
        // dropped in turn.
        let has_latest =
            number_of(stored) == family.current || family.lost || self.write_lost || self.may_be_misdated();
        let has_latest = has_latest || self.budget.own_tokens;
        let all_say = |reason| steps.iter().all(|step| *step == Some(reason));
        // A date from the future does not count; nor does a sign-in that the store has lost, and replaced by
        // another.
        let is_excused = self.jumped || (self.write_lost && self.server.families.len() > 2);
        let is_stored = family_of(stored) == goal.family || is_excused;
        let knows = |holder: &Holder| {
            let session = holder.session.as_ref();
            session.is_some_and(|session| family_of(serial(&session.record)) == family_of(stored))
        };
        if self.write_lost && (all_say(Reason::Refused) || all_say(Reason::Ended)) {
            // The store has lost it, and all know it.
            return Ok(true);
        }
        if !is_stored || !self.holders.iter().all(knows) {
            return Ok(false);
        }
        let is_asked = steps.iter().any(Option::is_some);
        match (self.store.record.state, self.server.mode) {
            (State::Ended, _) => Ok(all_say(Reason::Ended) && has_latest),
            (State::Refused, _) => Ok(all_say(Reason::Refused)),
            _ if goal.ended && !is_excused && !self.write_lost => Ok(false),
            (_, Mode::Refuses) => Ok(all_say(Reason::GaveUp) && has_latest),
            (_, Mode::Down) if steps.contains(&Some(Reason::GaveUp)) => {
                Err(format!("an outage asks for a sign-in: {steps:?}"))
            }
            (_, Mode::Down) => Ok(false),
            // There is time for several lifetimes.
            (_, Mode::Sound) => Ok(!is_asked && number_of(stored) >= goal.number + 3),
        }
    }

    /// Returns how many claims are saved and requests sent in some seconds of work, where `jumps` happen
    /// before these actions.
    pub(super) fn cost_of(mut self, jumps: &[(usize, Action)]) -> Result<(u32, u32), String> {
        let mut moment = 0;
        for _ in 0..SETTLING_SECONDS / 2 {
            for action in (0..self.holders.len()).flat_map(turn) {
                for (_, jump) in jumps.iter().filter(|(at, _)| *at == moment) {
                    self.go_on(*jump)?;
                }
                self.go_on(action)?;
                moment += 1;
            }
            self.go_on(Action::Tick)?;
        }
        Ok((self.claims, self.requests))
    }

    /// Returns what each holder asks the user for.
    fn steps(&mut self) -> Vec<Option<Reason>> {
        let now = self.now;
        let reason = |holder: &mut Holder| {
            let now = time(now + holder.ahead);
            match holder.session.as_mut().map(|session| session.poll(now)) {
                Some(Step::Reauthorize(reason)) => Some(reason),
                _ => None,
            }
        };
        self.holders.iter_mut().map(reason).collect()
    }
}

/// Lists what a holder does when it has time: it ends what is under way, and does what it is told.
fn turn(i: usize) -> impl Iterator<Item = Action> {
    use Action::{Adopt, Answered, Handled, Heard, Restart, Step, Stored};
    let first = [Heard(i), Stored(i), Handled(i), Answered(i), Restart(i), Adopt(i)];
    // A claim, a request and a save.
    first.into_iter().chain([Step(i), Stored(i), Handled(i), Answered(i)].into_iter().cycle().take(16))
}

/// Enough for a dead holder's claim, a pause, and three lifetimes.
const SETTLING_SECONDS: usize = 40;
/// The limit of the policy, and two requests that may be under way.
const MAX_REFUSALS: u32 = 8;
