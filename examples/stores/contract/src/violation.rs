//! The violations of the contract, each with a sentence that says how to mend it.

use std::error::Error;
use std::fmt;

/// A violation of the contract. `Display` and `Debug` are one sentence, which names the fault of the store
/// and the way to mend it.
#[non_exhaustive]
pub enum Violation {
    /// A method returned an error.
    Fails {
        /// The method: `load` or `compare_and_swap`.
        method: &'static str,
        /// The beginning of the key.
        key: String,
        /// The store's error.
        error: Box<dyn Error + Send + Sync>,
    },
    /// A load returned a snapshot under a key that nothing was saved under.
    FindsUnsaved,
    /// A first save was refused although nothing was stored.
    RefusesFirst,
    /// A save that expects the stored revision was refused.
    RefusesNext,
    /// A save that expects a stored revision was accepted although nothing was stored.
    AcceptsWithoutStored,
    /// A first save was accepted although a snapshot was stored.
    AcceptsFirstOverStored,
    /// A save that expects an earlier revision was accepted.
    AcceptsStale,
    /// A save that expects a later revision was accepted.
    AcceptsFuture,
    /// `compare_and_swap` returned true and stored nothing.
    ReportsSuccess,
    /// `compare_and_swap` stored a save that it had to accept, and returned false.
    ReportsRefusal,
    /// `compare_and_swap` stored a save that it had to refuse, and returned false.
    WritesRefused,
    /// A load found nothing after an accepted save.
    Forgets,
    /// A load returned an earlier snapshot than the last accepted one.
    LoadsOld,
    /// A load returned a snapshot that was never saved.
    Alters,
    /// An accepted save is visible through some handles only.
    HidesFromOthers,
    /// The violation occurs with a large snapshot only.
    WithLarge(Box<Violation>),
    /// Two keys share one snapshot.
    MixesKeys {
        /// The beginning of a key.
        key: String,
        /// The beginning of the key whose snapshot a load of `key` returned.
        other: String,
    },
    /// Several threads swapped the same revision.
    SeveralWin {
        /// The number of threads whose save was accepted.
        winners: usize,
    },
    /// Of threads that swapped the same revision at once, none was accepted.
    NobodyWins,
    /// Of threads that swapped the same revision at once, one was accepted, and another one's save is stored.
    LosesWinner,
    /// A thread's saves were refused again and again, although it had loaded before each.
    Starves,
    /// Accepted saves were overwritten by others that had not seen them.
    LosesUpdates {
        /// The number of accepted saves.
        accepted: u64,
        /// The stored revision.
        stored: u64,
    },
    /// A process that used the store failed.
    ProcessFails {
        /// What the process printed.
        output: String,
    },
}

impl Violation {
    pub(crate) fn failure(
        method: &'static str,
        key: &str,
        error: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self::Fails { method, key: beginning(key), error: error.into() }
    }

    pub(crate) fn mix(key: &str, other: &str) -> Self {
        Self::MixesKeys { key: beginning(key), other: beginning(other) }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fails { method, key, error } => {
                write!(f, "{method} fails under the key {key:?}: {error}")?;
                // An error's own text may be no more than "db error".
                let mut cause = error.source();
                while let Some(error) = cause {
                    write!(f, ": {error}")?;
                    cause = error.source();
                }
                return Ok(());
            }
            Self::FindsUnsaved => {
                "load returns a snapshot under a key that nothing was saved under: return None there, and \
                 compare whole keys"
            }
            Self::RefusesFirst => {
                "the store refuses a first save: accept one that expects revision 0 where nothing is stored"
            }
            Self::RefusesNext => {
                "the store refuses a save that expects the stored revision: compare with \
                 Save::expected_revision, as numbers"
            }
            Self::AcceptsWithoutStored => {
                "the store accepts a save that expects revision 1 where nothing is stored: change only what exists"
            }
            Self::AcceptsFirstOverStored => {
                "the store accepts a first save over a stored snapshot: if a save expects revision 0, insert and \
                 never replace"
            }
            Self::AcceptsStale => {
                "the store accepts a save that expects an earlier revision: write only if the stored revision is \
                 the expected one"
            }
            Self::AcceptsFuture => {
                "the store accepts a save that expects a later revision: write only if the stored revision is the \
                 expected one"
            }
            Self::ReportsSuccess => {
                "compare_and_swap returns true and stores nothing: return whether the write changed something"
            }
            Self::ReportsRefusal => {
                "compare_and_swap stores a save and returns false: return whether the write changed something"
            }
            Self::WritesRefused => {
                "compare_and_swap returns false and stores the save nevertheless: compare before you write"
            }
            Self::Forgets => {
                "load finds nothing after an accepted save: finish the write before you return true, and load \
                 from where you write"
            }
            Self::LoadsOld => {
                "load returns an earlier snapshot than the last accepted one: load from the primary, without a \
                 cache"
            }
            Self::Alters => {
                "load returns a snapshot that was never saved: store the serialised form whole and unchanged"
            }
            Self::HidesFromOthers => {
                "other handles do not see an accepted save: commit before you return true, and keep no copy in a \
                 handle"
            }
            Self::WithLarge(violation) => {
                return write!(f, "with a snapshot of 200 kB, {violation}; let the column hold any length");
            }
            Self::MixesKeys { key, other } => {
                return write!(
                    f,
                    "under the key {key:?} load returns the snapshot of the key {other:?}: compare keys byte by \
                     byte, and escape them so that no two become one"
                );
            }
            Self::SeveralWin { winners } => {
                return write!(
                    f,
                    "{winners} threads swap the same revision: compare and write in one atomic step, such as one \
                     statement, one script, or under one lock"
                );
            }
            Self::NobodyWins => {
                "of threads that swap the same revision at once, none is accepted: accept the first of them"
            }
            Self::LosesWinner => {
                "another snapshot is stored than the one that was accepted: compare and write in one atomic step"
            }
            Self::Starves => {
                "a thread's saves are refused again and again after it has loaded: let a load see every accepted \
                 save"
            }
            Self::LosesUpdates { accepted, stored } => {
                return write!(
                    f,
                    "{accepted} saves are accepted and the stored revision is {stored}: compare and write in one \
                     atomic step that holds across processes"
                );
            }
            Self::ProcessFails { output } => return write!(f, "a process that uses the store fails: {output}"),
        })
    }
}

/// Shows the sentence, because a failing test prints `Debug`.
impl fmt::Debug for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error for Violation {}

/// Returns enough of a key to recognise it.
fn beginning(key: &str) -> String {
    const MAX_CHARS: usize = 60;
    key.chars().take(MAX_CHARS).collect()
}
