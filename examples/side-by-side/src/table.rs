//! Prints the two programs side by side, and judges ours.

use std::time::{Duration, Instant};

use crate::Failure;
use crate::naive::HOLDERS;
use crate::server::Counts;
use crate::tally::Tally;
use crate::world::{CALLERS, LIFETIME, PROCESSES, World};

/// One of the two programs: what it did, and what its server saw.
pub struct Side {
    tally: Tally,
    counts: Counts,
    lasted: Duration,
}

impl Side {
    /// Runs a program at the server of this world.
    pub fn measure(world: &World, run: impl FnOnce() -> Result<Tally, Failure>) -> Result<Self, Failure> {
        let start = Instant::now();
        let tally = run()?;
        Ok(Self { tally, counts: world.server.server().counts(), lasted: start.elapsed() })
    }

    /// Returns how many lifetimes of an access token have begun, one after the other. The first is that of
    /// the tokens of the sign-in, which no refresh has brought.
    fn lifetimes(&self) -> u64 {
        self.lasted.as_secs() / LIFETIME.as_secs() + 1
    }

    /// Returns how often the user had to sign in again, or will have to.
    fn lost_sign_ins(&self) -> u64 {
        self.tally.sign_ins.max(self.counts.families_revoked)
    }

    pub fn broken_promises(&self) -> Vec<&'static str> {
        let promises = [
            ("every call succeeds", self.tally.calls > 0 && self.tally.failures == 0),
            ("no sign-in is lost", self.lost_sign_ins() == 0),
            ("no refresh token is used twice", self.counts.reuses == 0),
            ("refreshes are no more than lifetimes", self.counts.refreshes <= self.lifetimes()),
            ("tokens are refreshed", self.counts.refreshes > 0),
        ];
        promises.into_iter().filter(|(_, is_kept)| !is_kept).map(|(promise, _)| promise).collect()
    }
}

pub fn print(theirs: &Side, ours: &Side) {
    let row = |what: &str, theirs: String, ours: String| println!("{what:36} {theirs:>14} {ours:>26}");
    row("", "naive oauth2 5".to_owned(), "keeper".to_owned());
    row("", format!("{HOLDERS} holders"), format!("{PROCESSES} processes x {CALLERS} callers"));
    let line =
        |what: &str, count: fn(&Side) -> u64| row(what, count(theirs).to_string(), count(ours).to_string());
    line("calls to the API", |side| side.tally.calls);
    line("... that failed", |side| side.tally.failures);
    line("... that were repeated after a 401", |side| side.tally.repeated);
    line("refreshes", |side| side.counts.refreshes);
    line("lifetimes of an access token", Side::lifetimes);
    line("refresh tokens used twice", |side| side.counts.reuses);
    line("sign-ins lost", Side::lost_sign_ins);
}
