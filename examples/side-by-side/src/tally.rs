//! Counts the calls to the API.

use crate::Failure;

/// What the callers have counted; a process prints its counts as its last line.
#[derive(Clone, Copy, Default)]
pub struct Tally {
    /// The calls to the API; a repetition after a 401 does not count.
    pub calls: u64,
    /// The calls that ended without success.
    pub failures: u64,
    /// The calls that were repeated after a 401.
    pub repeated: u64,
    /// The times that the user had to sign in again.
    pub sign_ins: u64,
}

impl Tally {
    /// Counts a call, and prints the first failure.
    pub fn count(&mut self, caller: &str, outcome: Result<(), Failure>) {
        self.calls += 1;
        if let Err(failure) = outcome {
            if self.failures == 0 {
                eprintln!("{caller}: {failure}");
            }
            self.failures += 1;
        }
    }

    pub fn sum(all: impl IntoIterator<Item = Self>) -> Self {
        all.into_iter().fold(Self::default(), |sum, one| Self {
            calls: sum.calls + one.calls,
            failures: sum.failures + one.failures,
            repeated: sum.repeated + one.repeated,
            sign_ins: sum.sign_ins + one.sign_ins,
        })
    }

    pub fn print(&self) {
        println!("{} {} {} {}", self.calls, self.failures, self.repeated, self.sign_ins);
    }

    /// Reads the line that `print` writes.
    pub fn parse(line: &str) -> Option<Self> {
        let numbers: Result<Vec<u64>, _> = line.trim().split(' ').map(str::parse).collect();
        let [calls, failures, repeated, sign_ins] = numbers.ok()?.try_into().ok()?;
        Some(Self { calls, failures, repeated, sign_ins })
    }
}
