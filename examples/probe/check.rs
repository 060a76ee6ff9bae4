//! The type of a check and its outcomes.

use crate::target::Target;

/// One requirement on a server, with its test.
pub struct Check {
    /// The check's name, for `--only`.
    pub id: &'static str,
    /// The source of the requirement.
    pub section: &'static str,
    /// The requirement, in a sentence.
    pub sentence: &'static str,
    /// The weight under `--profile rfc`.
    pub rfc: Demand,
    /// The weight under `--profile pleo`.
    pub pleo: Demand,
    /// Runs the check.
    pub run: fn(&Target) -> Outcome,
}

/// The weight of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Demand {
    /// A MUST that binds the server, or a promise of Pleo's.
    Must,
    /// A SHOULD or RECOMMENDED, or a MUST that binds the client, whose breach the server should refuse.
    Should,
    /// No requirement: the check is not run.
    Nothing,
}

/// The outcome of a check; an error means that the check could not be completed.
pub type Outcome = Result<Seen, String>;

/// The observation of a check, described without secrets.
pub enum Seen {
    /// The server meets the requirement.
    Holds(String),
    /// The server breaks the requirement.
    Broken(String),
    /// The server lacks the tested feature, or the result cannot be observed.
    NotOffered(String),
}

/// The set of requirements for a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// The requirements of the RFCs.
    Rfc,
    /// The requirements of the RFCs, and Pleo's parameter table and guides.
    Pleo,
}

type Run = fn(&Target) -> Outcome;

impl Check {
    /// Makes a check that fails if the server breaks the requirement.
    pub const fn must(id: &'static str, section: &'static str, sentence: &'static str, run: Run) -> Self {
        Self { id, section, sentence, rfc: Demand::Must, pleo: Demand::Must, run }
    }

    /// Makes a check that warns if the server breaks the requirement.
    pub const fn should(id: &'static str, section: &'static str, sentence: &'static str, run: Run) -> Self {
        Self { id, section, sentence, rfc: Demand::Should, pleo: Demand::Should, run }
    }

    /// Makes a check of a promise of Pleo's that the RFCs do not require.
    pub const fn pleo(id: &'static str, section: &'static str, sentence: &'static str, run: Run) -> Self {
        Self { id, section, sentence, rfc: Demand::Nothing, pleo: Demand::Must, run }
    }

    /// Raises the weight under `--profile pleo` to a MUST: Pleo promises what the RFCs recommend.
    pub const fn promised_by_pleo(mut self) -> Self {
        self.pleo = Demand::Must;
        self
    }

    /// Returns the weight under a profile.
    pub fn demand(&self, profile: Profile) -> Demand {
        match profile {
            Profile::Rfc => self.rfc,
            Profile::Pleo => self.pleo,
        }
    }
}

/// Returns an outcome from whether the requirement holds, with the observation.
pub fn found(holds: bool, seen: impl Into<String>) -> Outcome {
    Ok(if holds { Seen::Holds(seen.into()) } else { Seen::Broken(seen.into()) })
}

/// Returns the outcome of a check that does not apply, with the reason.
pub fn not_offered(why: impl Into<String>) -> Outcome {
    Ok(Seen::NotOffered(why.into()))
}
