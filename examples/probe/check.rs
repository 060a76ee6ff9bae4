//! What a check is, and what it may find.

use crate::target::Target;

/// One thing that a server is held to.
pub struct Check {
    /// Its name, which `--only` takes.
    pub id: &'static str,
    /// Where it comes from.
    pub section: &'static str,
    /// What the server does if all is well.
    pub sentence: &'static str,
    /// What it means under `--profile rfc` if the server does not.
    pub rfc: Demand,
    /// The same under `--profile pleo`.
    pub pleo: Demand,
    /// Finds out.
    pub run: fn(&Target) -> Outcome,
}

/// How much a check weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Demand {
    /// A MUST that binds the server, or what Pleo promises.
    Must,
    /// A SHOULD or RECOMMENDED, or a MUST that binds the client and whose breach the server lets pass.
    Should,
    /// Nothing is demanded, so the check is not run.
    Nothing,
}

/// What a check found; `Err` where it could not be carried through.
pub type Outcome = Result<Seen, String>;

/// What was seen of the server, in words that hold no secret.
pub enum Seen {
    /// It does what the sentence says.
    Holds(String),
    /// It does not.
    Broken(String),
    /// It does not have what the check is about.
    NotOffered(String),
}

/// Which promises a server is held to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// What the RFCs demand of every server.
    Rfc,
    /// Pleo's parameter table and guides besides.
    Pleo,
}

type Run = fn(&Target) -> Outcome;

impl Check {
    /// Whoever breaks it fails.
    pub const fn must(id: &'static str, section: &'static str, sentence: &'static str, run: Run) -> Self {
        Self { id, section, sentence, rfc: Demand::Must, pleo: Demand::Must, run }
    }

    /// Whoever breaks it is warned.
    pub const fn should(id: &'static str, section: &'static str, sentence: &'static str, run: Run) -> Self {
        Self { id, section, sentence, rfc: Demand::Should, pleo: Demand::Should, run }
    }

    /// A promise of Pleo's of which the RFCs leave the choice.
    pub const fn pleo(id: &'static str, section: &'static str, sentence: &'static str, run: Run) -> Self {
        Self { id, section, sentence, rfc: Demand::Nothing, pleo: Demand::Must, run }
    }

    /// The same, where Pleo promises what the RFCs only recommend.
    pub const fn promised_by_pleo(mut self) -> Self {
        self.pleo = Demand::Must;
        self
    }

    /// How much it weighs under a profile.
    pub fn demand(&self, profile: Profile) -> Demand {
        match profile {
            Profile::Rfc => self.rfc,
            Profile::Pleo => self.pleo,
        }
    }
}

/// That something holds or not, with what was seen.
pub fn found(holds: bool, seen: impl Into<String>) -> Outcome {
    Ok(if holds { Seen::Holds(seen.into()) } else { Seen::Broken(seen.into()) })
}

/// That there is nothing to check.
pub fn not_offered(why: impl Into<String>) -> Outcome {
    Ok(Seen::NotOffered(why.into()))
}
