//! Keys that a store may mix up.

use oauth2_proto::Snapshot;
use oauth2_proto::keeper::blocking::Store;

use crate::saves::{form, save};
use crate::subject::Subject;
use crate::violation::Violation;

/// Keys that a store must accept. A run puts its prefix before each.
const NAMES: &[&str] = &[
    "key",
    "KEY",
    "Key",
    "ke",
    "keys",
    "key ",
    " key",
    "key  ", // case, parts and spaces
    "k/ey",
    "k_ey",
    "k-ey",
    "k.ey",
    "k:ey",
    "k\\ey",
    "k%2Fey",
    "k/../key",
    "../key",
    "/key",
    "key/", // paths
    "key.json",
    "key.tmp",
    "key.lock", // names of files
    "k'ey",
    "k''ey",
    "k\"ey",
    "k`ey",
    "k;--ey",
    "k' OR '1'='1",
    "$1",
    ":key",
    "?", // SQL
    "k%",
    "k*",
    "k[ey]",
    "{key}",
    "k\\_ey", // patterns
    "\u{e9}",
    "e\u{301}",
    "e",
    "\u{df}",
    "ss",
    "SS",
    "\u{130}",
    "i",
    "I",
    "\u{1f5dd}",
    "\u{1f511}", // Unicode
    "1",
    "01",
    "1.0",
    "1e0",
    "0x1",
    "null",
    "NULL",
    "true", // values that are no texts
];

/// Keys that a store must accept as they are.
const BARE: &[&str] = &[".", "..", "/", "*", "0", "key"];

/// Checks that each key has its own snapshot.
pub(crate) fn check<S: Store>(subject: &Subject<'_, S>) -> Result<(), Violation> {
    let mut rows: Vec<(String, Snapshot)> = Vec::new();
    let long = |end: &str| format!("{}{end}", "k".repeat(100));
    let ordinary =
        NAMES.iter().map(|name| subject.key(name)).chain(["a", "b"].map(|end| subject.key(&long(end))));
    for key in ordinary {
        if let Some(loaded) = subject.load(&key)? {
            let other = rows.iter().find(|(_, snapshot)| form(snapshot) == form(&loaded));
            return Err(other.map_or(Violation::FindsUnsaved, |(other, _)| Violation::mix(&key, other)));
        }
        rows.push((key.clone(), write(subject, &key, rows.len())?));
    }
    for key in BARE {
        rows.push(((*key).to_owned(), write(subject, key, rows.len())?));
    }
    // An error is a fair answer to these keys; a mix-up is none.
    let very_long = |end: &str| subject.key(&long(end).repeat(50));
    let odd = ["\0", "\0a", "\0b", "\n", "\t"].map(|name| subject.key(name));
    for key in odd.into_iter().chain([String::new(), very_long("a"), very_long("b")]) {
        if let Ok(snapshot) = write(subject, &key, rows.len()) {
            rows.push((key, snapshot));
        }
    }
    for (key, snapshot) in &rows {
        let loaded = subject.load(key)?.ok_or(Violation::Forgets)?;
        if form(&loaded) != form(snapshot) {
            let other = rows.iter().find(|(_, snapshot)| form(snapshot) == form(&loaded));
            return Err(other.map_or(Violation::Alters, |(other, _)| Violation::mix(key, other)));
        }
    }
    Ok(())
}

/// Writes a snapshot of its own under a key, which may have one from an earlier run.
fn write<S: Store>(subject: &Subject<'_, S>, key: &str, number: usize) -> Result<Snapshot, Violation> {
    let stored = subject.load(key)?;
    let save = save(stored.as_ref(), &format!("key-{number}"));
    match subject.swap(key, &save)? {
        true => Ok(save.snapshot().clone()),
        false => Err(Violation::RefusesNext),
    }
}
