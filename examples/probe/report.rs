//! The report of the probe, for a person or for a program.

use serde_json::{Value, json};

use crate::check::{Check, Demand, Outcome, Profile, Seen};

/// The results so far.
pub struct Report {
    profile: Profile,
    checks: Vec<Value>,
    counts: [usize; RESULTS.len()],
    /// Whether to print one line of JSON, in place of a line per check.
    json: bool,
}

/// The results of a check: the name for `--json` and the word for a person.
const RESULTS: [(&str, &str); 5] = [
    ("pass", "pass"),
    ("fail", "FAIL"),
    ("warn", "warn"),
    ("not_offered", "not offered"),
    ("error", "ERROR"),
];
const PASS: usize = 0;
const FAIL: usize = 1;
const WARN: usize = 2;
const NOT_OFFERED: usize = 3;
const ERROR: usize = 4;

impl Report {
    pub fn new(profile: Profile, json: bool) -> Self {
        Self { profile, checks: Vec::new(), counts: [0; RESULTS.len()], json }
    }

    /// Adds the outcome of a check, and prints it.
    pub fn add(&mut self, check: &Check, outcome: Outcome) {
        let demand = check.demand(self.profile);
        let (result, seen) = match (outcome, demand) {
            (Ok(Seen::Holds(seen)), _) => (PASS, seen),
            (Ok(Seen::Broken(seen)), Demand::Must) => (FAIL, seen),
            (Ok(Seen::Broken(seen)), _) => (WARN, seen),
            (Ok(Seen::NotOffered(why)), _) => (NOT_OFFERED, why),
            (Err(why), _) => (ERROR, why),
        };
        self.counts[result] += 1;
        let (name, word) = RESULTS[result];
        if !self.json {
            // Escapes control characters of the server's text, which may attack the terminal.
            let seen: String = seen.escape_debug().collect();
            println!("{word:<12} {} Seen: {seen}. [{}, {}]", check.sentence, check.id, check.section);
        }
        self.checks.push(json!({
            "id": check.id,
            "section": check.section,
            "sentence": check.sentence,
            "demand": name_of(demand),
            "result": name,
            "seen": seen,
        }));
    }

    /// Prints the summary, and returns the program's exit status.
    pub fn end(self) -> u8 {
        if self.json {
            let summary: serde_json::Map<_, _> = RESULTS
                .iter()
                .zip(self.counts)
                .map(|((name, _), count)| ((*name).to_owned(), count.into()))
                .collect();
            let profile = match self.profile {
                Profile::Rfc => "rfc",
                Profile::Pleo => "pleo",
            };
            println!("{}", json!({ "profile": profile, "checks": self.checks, "summary": summary }));
        } else {
            let words: Vec<_> =
                RESULTS.iter().zip(self.counts).map(|((_, word), count)| format!("{count} {word}")).collect();
            println!("\n{}", words.join(", "));
        }
        match (self.counts[FAIL], self.counts[ERROR]) {
            (0, 0) => 0,
            (0, _) => 2,
            _ => 1,
        }
    }
}

/// Prints a check without running it.
pub fn list(check: &Check) {
    let (rfc, pleo) = (name_of(check.rfc), name_of(check.pleo));
    println!("{:<32} rfc: {rfc:<7} pleo: {pleo:<7} {} [{}]", check.id, check.sentence, check.section);
}

fn name_of(demand: Demand) -> &'static str {
    match demand {
        Demand::Must => "must",
        Demand::Should => "should",
        Demand::Nothing => "nothing",
    }
}
