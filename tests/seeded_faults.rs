//! The search for a state that breaks a guarantee of `Session` finds faults: each fault is put into a copy of
//! the sources, and the search there must fail with the symptom of that fault.
//!
//! `cargo test --test seeded_faults -- --ignored`
#![cfg(unix)]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A fault in the sources.
struct Fault {
    name: &'static str,
    /// A part of what the search reports.
    symptom: &'static str,
    /// The file below `src`.
    file: &'static str,
    /// Each sound text, which the file holds once, and the faulty text that replaces it.
    replacements: &'static [(&'static str, &'static str)],
}

const FAULTS: &[Fault] = &[
    Fault {
        name: "it sends before the claim is saved",
        symptom: "refreshes are in flight",
        file: "session.rs",
        replacements: &[
            (
                "Phase::Due { attempt } => self.claim(self.record.claimed(attempt, now, &self.policy)),",
                "Phase::Due { .. } => Step::Send { until: system_time(now + self.policy.claim_duration) },",
            ),
            (
                "let Hand::Claim { claim, has_nonce } = self.hand else { return Ok(None) };",
                "let span = crate::text::time::Span::new(now, self.policy.claim_duration);
                 let (claim, has_nonce) = (span, false);",
            ),
        ],
    },
    Fault {
        name: "it takes a lost race for a won one",
        symptom: "refreshes are in flight",
        file: "session/reports.rs",
        replacements: &[(
            "record.issued_to = self.holder.recognise(record.issued_to);
        self.settle(&record);
        self.replace(record);
        Ok(true)",
            "self.settle(&record);
             if let (Hand::Nothing, State::Claimed(claim)) = (&self.hand, record.state) {
                 self.hand = Hand::Claim { claim, has_nonce: false };
             }
             self.replace(record);
             Ok(true)",
        )],
    },
    Fault {
        name: "a claim is never over",
        symptom: "it does not settle",
        file: "session/clock.rs",
        replacements: &[("later(end, self.clock_skew)", "later(end, u64::MAX)")],
    },
    Fault {
        name: "the clock skew is forgotten",
        symptom: "the authorization ended, and nothing was lost",
        file: "session/clock.rs",
        replacements: &[("later(end, self.clock_skew)", "end")],
    },
    Fault {
        name: "the old access token is used after the answer",
        symptom: "knows that it was replaced",
        file: "session.rs",
        replacements: &[("&& !is_replaced", "&& (!is_replaced || true)")],
    },
    Fault {
        name: "the new access token is used before it is saved",
        symptom: "before it is saved",
        file: "session.rs",
        replacements: &[
            ("&& !is_replaced", "&& (!is_replaced || true)"),
            ("is_usable.then_some(&record.access_token)", "is_usable.then_some(&self.newest().access_token)"),
        ],
    },
    Fault {
        name: "invalid_grant is tried again",
        symptom: "is sent again after invalid_grant",
        file: "session/record.rs",
        replacements: &[(
            "next.state = State::Refused;\n                return next;",
            "next.state = State::Backoff(Span::new(now, 0));\n                return next;",
        )],
    },
    Fault {
        name: "the old refresh token is kept",
        symptom: "is sent after its successor",
        file: "session/record.rs",
        replacements: &[(
            "self.source = Source::of(&tokens);",
            "self.source = self.source.refresh_token().cloned().or(tokens.refresh_token().cloned()).into();",
        )],
    },
    Fault {
        name: "an answer to an earlier call is taken",
        symptom: "saved tokens go back",
        file: "session/reports.rs",
        replacements: &[(
            "if attempt.generation == newest.generation {",
            "if true || attempt.generation == newest.generation {",
        )],
    },
    Fault {
        name: "a claim from the future is not dated anew",
        symptom: "it does not settle",
        file: "session/phase.rs",
        replacements: &[(
            "Phase::Misdated { claim }\n",
            "Phase::ClaimedByAnother { until: later(now, claim.length()) }\n",
        )],
    },
    Fault {
        name: "a pause from the future lasts to its end",
        symptom: "it does not settle",
        file: "session/clock.rs",
        replacements: &[("if self.is_in_the_future(pause.since, now) { now } else { end }", "end.max(now)")],
    },
    Fault {
        name: "a token from the future is kept",
        symptom: "it does not settle",
        file: "session/phase.rs",
        replacements: &[(
            "if self.policy.is_in_the_future(record.issued_at, now) {",
            "if false && self.policy.is_in_the_future(record.issued_at, now) {",
        )],
    },
    Fault {
        name: "what the store does not have is forgotten",
        symptom: "the latest tokens are nowhere",
        file: "session/reports.rs",
        replacements: &[(
            "if self.record.is_stored() && !matches!(self.hand, Hand::SignIn { .. }) {",
            "if false && self.record.is_stored() && !matches!(self.hand, Hand::SignIn { .. }) {",
        )],
    },
    Fault {
        name: "a claim begins when its late report arrives",
        symptom: "refreshes are in flight",
        file: "session/reports.rs",
        replacements: &[(
            "self.hand = Hand::Claim { claim, has_nonce: false };",
            "let claim = crate::text::time::Span::new(self.clock.latest(), claim.length());
             self.hand = Hand::Claim { claim, has_nonce: false };",
        )],
    },
    Fault {
        name: "of two sign-ins the one of more generations wins",
        symptom: "the latest tokens are nowhere",
        file: "session/record.rs",
        replacements: &[(
            "let is_later = self.sign_in() > stored.sign_in()",
            "let is_later = self.generation > stored.generation",
        )],
    },
    Fault {
        name: "a sign-in is dated before the one that its holder knows",
        symptom: "saved tokens go back",
        file: "session/record.rs",
        replacements: &[("next.begin(&tokens, now.max(self.signed_in_at));", "next.begin(&tokens, now);")],
    },
    Fault {
        name: "the tokens of a refresh under way undo the end",
        symptom: "the end is undone",
        file: "session/record.rs",
        replacements: &[(
            "(false, true) => is_later.then(|| this.ended()),",
            "(false, true) => is_later.then_some(this),",
        )],
    },
    Fault {
        name: "a server is obeyed as often as it asks for a nonce",
        symptom: "is obeyed twice under one claim",
        file: "session/reports.rs",
        replacements: &[(
            "Hand::Request { claim, has_nonce: false }",
            "Hand::Request { claim, has_nonce: _ }",
        )],
    },
    Fault {
        name: "a copy of the first demand for a nonce counts as the second",
        symptom: "the authorization ended, and nothing was lost",
        file: "session/reports.rs",
        replacements: &[("=> has_nonce == attempt.has_nonce,", "=> has_nonce || !attempt.has_nonce,")],
    },
    Fault {
        name: "the count of refusals is not stored",
        symptom: "the server refused 9 requests",
        file: "session/trouble.rs",
        replacements: &[(
            "unclear_refusals: unclear.saturating_add(is_unclear.into()),",
            "unclear_refusals: (unclear * 0).saturating_add(is_unclear.into()),",
        )],
    },
    Fault {
        name: "each holder counts refusals for itself",
        symptom: "the server refused 9 requests",
        file: "session/reports.rs",
        replacements: &[(
            "record.ends_together |= self.record.ends_together;",
            "record.ends_together |= self.record.ends_together;
             record.trouble = self.record.trouble.clone();",
        )],
    },
];

/// A change of the sources may move a text; the search itself takes long.
#[test]
fn each_fault_finds_its_place() {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for Fault { name, file, replacements, .. } in FAULTS {
        let source = fs::read_to_string(sources.join(file)).unwrap();
        for (sound, _) in *replacements {
            assert_eq!(source.matches(sound).count(), 1, "{name}: where is {sound:?}?");
        }
    }
}

#[test]
#[ignore = "compiles the crate once for each fault; the gate runs it"]
fn the_search_finds_each_seeded_fault() {
    let package = Path::new(env!("CARGO_TARGET_TMPDIR")).join("seeded-faults");
    for fault in FAULTS {
        lay_out(&package);
        seed(fault, &package);
        let report = failing_search(&package);
        let Fault { name, symptom, .. } = fault;
        assert!(report.contains(symptom), "{name}: the search does not report {symptom:?}, but\n{report}");
        println!("found: {name}");
    }
}

/// Makes a package like this one, whose sources can be changed.
#[track_caller]
fn lay_out(package: &Path) {
    let _ = fs::remove_dir_all(package);
    let original = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    copy(&original.join("src"), &package.join("src"));
    for other in ["Cargo.toml", "Cargo.lock", "README.md", "tests", "benches", "examples"] {
        symlink(original.join(other), package.join(other)).unwrap();
    }
}

/// Copies a folder with the folders below it.
#[track_caller]
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &target),
            false => drop(fs::copy(entry.path(), target).unwrap()),
        }
    }
}

/// Puts a fault into the package's sources.
#[track_caller]
fn seed(fault: &Fault, package: &Path) {
    let file = package.join("src").join(fault.file);
    let mut source = fs::read_to_string(&file).unwrap();
    for (sound, faulty) in fault.replacements {
        assert_eq!(source.matches(sound).count(), 1, "{}: where is {sound:?}?", fault.name);
        source = source.replace(sound, faulty);
    }
    fs::write(&file, source).unwrap();
}

/// Runs the search in the package, where it must fail, and returns what it reports.
#[track_caller]
fn failing_search(package: &Path) -> String {
    let output = Command::new(env!("CARGO"))
        .args(["test", "--lib", "--", "no_state_of_a_small_world", "no_long_history", "no_short_history"])
        .current_dir(package)
        .env("CARGO_TARGET_DIR", Path::new(env!("CARGO_TARGET_TMPDIR")).join("seeded-faults-target"))
        .output()
        .unwrap();
    let report = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(report.contains("test result: FAILED"), "{report}\n{errors}");
    report
}
