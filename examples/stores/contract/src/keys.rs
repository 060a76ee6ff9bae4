//! Keys that a store may mix up.

use oauth2_proto::Snapshot;
use oauth2_proto::keeper::blocking::Store;

use crate::saves::{form, save};
use crate::subject::Subject;
use crate::violation::Violation;

/// The ends of keys that a store must accept.
const ENDS: &[&[&str]] = &[
    // Case, parts and spaces.
    &["key", "KEY", "Key", "ke", "keys", "key ", " key", "key  "],
    // Paths and names of files.
    &["k/ey", "k_ey", "k-ey", "k.ey", "k:ey", "k\\ey", "k%2Fey", "k/../key", "../key", "/key", "key/"],
    &["key.json", "key.tmp", "key.lock"],
    // SQL and patterns.
    &["k'ey", "k''ey", "k\"ey", "k`ey", "k;--ey", "k' OR '1'='1", "$1", ":key", "?"],
    &["k%", "k*", "k[ey]", "{key}", "k\\_ey"],
    // Unicode.
    &["\u{e9}", "e\u{301}", "e", "\u{df}", "ss", "SS", "\u{130}", "i", "I", "\u{1f5dd}", "\u{1f511}"],
    // Values other than texts.
    &["1", "01", "1.0", "1e0", "0x1", "null", "NULL", "true"],
];

/// Whole keys that a store must accept. Other runs use the same.
const SHARED: &[&str] = &[".", "..", "/", "*", "0", "key"];

/// A save under a shared key can lose against other runs this often.
const MAX_TRIES: usize = 100;

/// Checks that each key has its own snapshot.
pub(crate) fn check<S: Store>(subject: &Subject<'_, S>) -> Result<(), Violation> {
    let mut rows: Vec<(String, Snapshot)> = Vec::new();
    let long = |length, end: &str| subject.key(&format!("{}{end}", "k".repeat(length)));
    let ordinary = ENDS.iter().copied().flatten().map(|end| subject.key(end));
    for key in ordinary.chain([long(100, "a"), long(100, "b")]) {
        if let Some(loaded) = subject.load(&key)? {
            return Err(mix(&rows, &key, &loaded).unwrap_or(Violation::FindsUnsaved));
        }
        rows.push((key.clone(), write(subject, &key, rows.len())?));
    }
    for key in SHARED {
        rows.push(((*key).to_owned(), write(subject, key, rows.len())?));
    }
    // An error is a fair answer to these keys; a mix-up is none.
    let odd = ["\0", "\0a", "\0b", "\n", "\t"].map(|end| subject.key(end));
    for key in odd.into_iter().chain([String::new(), long(5000, "a"), long(5000, "b")]) {
        if let Ok(snapshot) = write(subject, &key, rows.len()) {
            rows.push((key, snapshot));
        }
    }
    for (key, snapshot) in &rows {
        let loaded = subject.load(key)?.ok_or(Violation::Forgets)?;
        if form(&loaded) != form(snapshot) {
            match mix(&rows, key, &loaded) {
                Some(violation) => return Err(violation),
                None if subject.is_own(key) => return Err(Violation::Alters),
                // Another run has saved under the shared key.
                None => {}
            }
        }
    }
    Ok(())
}

/// Returns the violation if the snapshot that was loaded under a key is another key's.
fn mix(rows: &[(String, Snapshot)], key: &str, loaded: &Snapshot) -> Option<Violation> {
    let other = rows.iter().find(|(other, snapshot)| other != key && form(snapshot) == form(loaded));
    other.map(|(other, _)| Violation::mix(key, other))
}

/// Writes a snapshot of its own under a key, which may have one from another run.
fn write<S: Store>(subject: &Subject<'_, S>, key: &str, number: usize) -> Result<Snapshot, Violation> {
    for _ in 0..MAX_TRIES {
        let stored = subject.load(key)?;
        let save = save(stored.as_ref(), &format!("key-{number}"));
        if subject.swap(key, &save)? {
            return Ok(save.snapshot().clone());
        }
    }
    Err(Violation::RefusesNext)
}
