//! A store with one fault that a single thread can see.

use std::collections::HashMap;
use std::error::Error;
use std::sync::{Arc, Mutex};

use oauth2_proto::Snapshot;
use oauth2_proto::keeper::blocking::Store;
use oauth2_proto::session::Save;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fault {
    None,
    // Faults of the comparison.
    LastWriteWins,
    ReplacesAtFirst,
    ComparesOnlyExistence,
    AcceptsOneRevisionLess,
    AcceptsAnyLater,
    InsertsNothing,
    KeepsOneDigitOfTheRevision,
    // Faults of the report.
    ReturnsTrueAlways,
    ReturnsFalseAlways,
    WritesBeforeItCompares,
    // Faults of the stored snapshots.
    KeepsNothing,
    LoadsTheFirst,
    KeepsAsciiOnly,
    Keeps64KiB,
    // Faults of the keys.
    IgnoresTheKey,
    FoldsCase,
    ReplacesSlashes,
    TrimsSpaces,
    ComposesAccents,
    CutsLongKeys,
    CutsVeryLongKeys,
    EndsTheKeyAtNul,
    FailsAtQuotes,
    // Allowed.
    FailsAtOddKeys,
}

/// A handle to a store with a fault.
pub struct Faulty {
    fault: Fault,
    /// The snapshots that were written under each key; the revision is their number.
    rows: Arc<Mutex<HashMap<String, Vec<String>>>>,
}

pub type Failure = Box<dyn Error + Send + Sync>;

impl Faulty {
    pub fn new(fault: Fault) -> Self {
        Self { fault, rows: Arc::default() }
    }

    pub fn another_handle(&self) -> Self {
        Self { fault: self.fault, rows: self.rows.clone() }
    }

    /// Returns the key under which the store keeps a key.
    fn name(&self, key: &str) -> Result<String, Failure> {
        let is_odd = key.is_empty() || key.contains(char::is_control) || key.len() > 1000;
        Ok(match self.fault {
            Fault::IgnoresTheKey => String::new(),
            Fault::FoldsCase => key.to_lowercase(),
            Fault::ReplacesSlashes => key.replace('/', "_"),
            Fault::TrimsSpaces => key.trim_end().to_owned(),
            Fault::ComposesAccents => key.replace("e\u{301}", "\u{e9}"),
            Fault::CutsLongKeys => key.chars().take(64).collect(),
            Fault::CutsVeryLongKeys => key.chars().take(1000).collect(),
            Fault::EndsTheKeyAtNul => key.split('\0').next().unwrap().to_owned(),
            Fault::FailsAtQuotes if key.contains('\'') => return Err(Box::new(WrongStatement(NoEnd))),
            Fault::FailsAtOddKeys if is_odd => return Err("the key is odd".into()),
            _ => key.to_owned(),
        })
    }

    fn accepts(&self, stored: u64, expected: u64) -> bool {
        expected == stored
            || match self.fault {
                Fault::LastWriteWins => true,
                Fault::ReplacesAtFirst => expected == 0,
                Fault::ComparesOnlyExistence => stored > 0 && expected > 0,
                Fault::AcceptsOneRevisionLess => expected > 0 && expected + 1 == stored,
                Fault::AcceptsAnyLater => stored > 0 && expected > stored,
                _ => false,
            }
    }

    /// Returns the snapshot as the store keeps it.
    fn kept(&self, snapshot: &Snapshot) -> String {
        let json = serde_json::to_string(snapshot).unwrap();
        match self.fault {
            Fault::KeepsAsciiOnly => json.replace(|it: char| !it.is_ascii(), "?"),
            Fault::Keeps64KiB => json.chars().take(1 << 16).collect(),
            _ => json,
        }
    }
}

impl Store for Faulty {
    type Error = Failure;

    fn load(&self, key: &str) -> Result<Option<Snapshot>, Failure> {
        let name = self.name(key)?;
        let rows = self.rows.lock().unwrap();
        let json = rows.get(&name).and_then(|row| match self.fault {
            Fault::LoadsTheFirst => row.first(),
            _ => row.last(),
        });
        Ok(json.map(|json| serde_json::from_str(json)).transpose()?)
    }

    fn compare_and_swap(&self, key: &str, save: &Save) -> Result<bool, Failure> {
        let mut rows = self.rows.lock().unwrap();
        let row = rows.entry(self.name(key)?).or_default();
        let stored = match self.fault {
            Fault::KeepsOneDigitOfTheRevision => row.len() as u64 % 10,
            _ => row.len() as u64,
        };
        let is_accepted = match self.fault {
            Fault::InsertsNothing if stored == 0 => false,
            _ => self.accepts(stored, save.expected_revision()),
        };
        let writes = match self.fault {
            Fault::KeepsNothing => false,
            Fault::WritesBeforeItCompares => true,
            _ => is_accepted,
        };
        if writes {
            let json = self.kept(save.snapshot());
            row.resize(save.expected_revision() as usize, json.clone());
            row.push(json);
        }
        Ok(match self.fault {
            Fault::ReturnsTrueAlways => true,
            Fault::ReturnsFalseAlways => false,
            _ => is_accepted,
        })
    }
}

/// An error that leaves the reason to its source, like those of some databases.
#[derive(Debug)]
struct WrongStatement(NoEnd);

#[derive(Debug)]
struct NoEnd;

impl std::fmt::Display for WrongStatement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the statement is wrong")
    }
}

impl Error for WrongStatement {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

impl std::fmt::Display for NoEnd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a text has no end")
    }
}

impl Error for NoEnd {}
