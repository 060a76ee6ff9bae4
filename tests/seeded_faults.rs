//! The search for a state that breaks a guarantee of `Session` finds faults: each is put into a copy of the sources,
//! and the search there must fail for the right reason.
//!
//! `cargo test --test seeded_faults -- --ignored`
#![cfg(unix)]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A fault: its name, a part of what the search says, and in which file what stands instead of what.
type Fault = (&'static str, &'static str, &'static str, &'static [(&'static str, &'static str)]);

const FAULTS: &[Fault] = &[
    (
        "it sends before the claim is saved",
        "refreshes are in flight",
        "session.rs",
        &[
            (
                "Some(_) => self.claim(now),",
                "Some(_) => Step::Send { until: system_time(later(now, self.policy.claim_length())) },",
            ),
            ("let (Hold::Claim, Some(refresh_token)) =", "let (_, Some(refresh_token)) ="),
        ],
    ),
    (
        "it takes a lost race for a won one",
        "refreshes are in flight",
        "session.rs",
        &[(
            "self.hold = Hold::Nothing;\n        self.replace(record, now);",
            "self.hold = Hold::Claim;\n        self.replace(record, now);",
        )],
    ),
    (
        "a claim is never over",
        "it does not settle",
        "policy.rs",
        &[("later(end, self.clock_skew)", "later(end, u64::MAX)")],
    ),
    (
        "the clock skew is forgotten",
        "the authorization ended, and nothing was lost",
        "policy.rs",
        &[("later(end, self.clock_skew)", "end")],
    ),
    (
        "the old access token is used after the answer",
        "knows that it was replaced",
        "session.rs",
        &[("&& !replaced", "&& (!replaced || true)")],
    ),
    (
        "the new access token is used before it is saved",
        "before it is saved",
        "session.rs",
        &[
            ("&& !replaced", "&& (!replaced || true)"),
            (
                "good.then_some(&record.access_token)",
                "good.then_some(&self.learned.as_deref().unwrap_or(record).access_token)",
            ),
        ],
    ),
    (
        "invalid_grant is tried again",
        "is sent again after invalid_grant",
        "snapshot.rs",
        &[(
            "Some(Advice::Reauthorize) => State::Refused,",
            "Some(Advice::Reauthorize) => State::Backoff(Span::new(now, 0)),",
        )],
    ),
    (
        "the old refresh token is kept",
        "is sent after its successor",
        "snapshot.rs",
        &[(
            "self.refresh_token = tokens.refresh_token().cloned();",
            "self.refresh_token = self.refresh_token.take().or(tokens.refresh_token().cloned());",
        )],
    ),
    (
        "an answer to an earlier call is taken",
        "saved tokens go back",
        "session.rs",
        &[("attempt.generation == newest.generation", "true || attempt.generation == newest.generation")],
    ),
];

#[test]
#[ignore = "compiles the crate once for each fault; the gate runs it"]
fn the_search_finds_each_seeded_fault() {
    let copy = Path::new(env!("CARGO_TARGET_TMPDIR")).join("seeded-faults");
    for (name, symptom, file, replacements) in FAULTS {
        lay_out(&copy);
        let file = copy.join("src").join(file);
        let mut source = fs::read_to_string(&file).unwrap();
        for (sound, faulty) in *replacements {
            assert_eq!(source.matches(sound).count(), 1, "{name}: where is {sound:?}?");
            source = source.replace(sound, faulty);
        }
        fs::write(&file, source).unwrap();
        let said = search(&copy);
        assert!(said.contains(symptom), "{name}: the search does not say {symptom:?}, but\n{said}");
        println!("found: {name}");
    }
}

/// A package like this one, whose sources can be changed.
fn lay_out(copy: &Path) {
    let _ = fs::remove_dir_all(copy);
    let original = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    fs::create_dir_all(copy.join("src")).unwrap();
    for source in fs::read_dir(original.join("src")).unwrap() {
        let source = source.unwrap();
        fs::copy(source.path(), copy.join("src").join(source.file_name())).unwrap();
    }
    for other in ["Cargo.toml", "Cargo.lock", "README.md", "tests", "benches", "examples"] {
        symlink(original.join(other), copy.join(other)).unwrap();
    }
}

/// What the search says; it must fail.
fn search(copy: &Path) -> String {
    let output = Command::new(env!("CARGO"))
        .args(["test", "--lib", "--", "no_state_of_a_small_world", "no_long_history"])
        .current_dir(copy)
        .env("CARGO_TARGET_DIR", Path::new(env!("CARGO_TARGET_TMPDIR")).join("seeded-faults-target"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("test result: FAILED"), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    said
}
