//! Prints the two programs side by side, and judges ours.

use std::time::{Duration, Instant};

use crate::Failure;
use crate::server::Counts;
use crate::tally::Tally;
use crate::world::{LIFETIME, World};

/// What one program did, and what its server saw.
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

    /// The lifetimes of an access token that have begun in this time.
    fn lifetimes(&self) -> u64 {
        self.lasted.as_secs() / LIFETIME.as_secs() + 1
    }

    /// The user signs in again for each of them.
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
    println!("{:36} {:>18} {:>24}", "", "naive oauth2 5", "keeper");
    println!("{:36} {:>18} {:>24}", "", "2 holders", "2 processes x 50 callers");
    let line = |what: &str, value: fn(&Side) -> u64| {
        println!("{what:36} {:>18} {:>24}", value(theirs), value(ours));
    };
    line("calls to the API", |side| side.tally.calls);
    line("... that failed", |side| side.tally.failures);
    line("... that were repeated after a 401", |side| side.tally.repeated);
    line("refreshes", |side| side.counts.refreshes);
    line("lifetimes of an access token", Side::lifetimes);
    line("refresh tokens used twice", |side| side.counts.reuses);
    line("sign-ins lost", Side::lost_sign_ins);
}
