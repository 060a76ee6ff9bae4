//! The store under test.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicUsize, Ordering};

use oauth2_proto::Snapshot;
use oauth2_proto::keeper::blocking::Store;
use oauth2_proto::session::Save;

use crate::saves::form;
use crate::violation::Violation;

/// A store, with the handles to it and a prefix for the keys of one run.
pub(crate) struct Subject<'a, S> {
    pub(crate) handles: &'a [S],
    prefix: String,
    turn: AtomicUsize,
}

impl<'a, S: Store> Subject<'a, S> {
    pub(crate) fn new(handles: &'a [S]) -> Self {
        assert!(!handles.is_empty(), "give at least one handle to the store");
        Self { handles, prefix: prefix(), turn: AtomicUsize::new(0) }
    }

    /// Returns a key that no earlier run has used.
    pub(crate) fn key(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// Swaps through the next handle.
    pub(crate) fn swap(&self, key: &str, save: &Save) -> Result<bool, Violation> {
        swap(self.next(), key, save)
    }

    /// Loads through the next handle.
    pub(crate) fn load(&self, key: &str) -> Result<Option<Snapshot>, Violation> {
        load(self.next(), key)
    }

    /// Checks that every handle loads `last`, the last snapshot that was accepted.
    pub(crate) fn expect(&self, key: &str, last: &Snapshot, earlier: &[Snapshot]) -> Result<(), Violation> {
        let mut faults = Vec::new();
        for handle in self.handles {
            faults.extend(fault(load(handle, key)?, last, earlier));
        }
        let is_seen_by_some = faults.len() < self.handles.len();
        match faults.pop() {
            None => Ok(()),
            Some(_) if is_seen_by_some => Err(Violation::HidesFromOthers),
            Some(fault) => Err(fault),
        }
    }

    fn next(&self) -> &S {
        &self.handles[self.turn.fetch_add(1, Ordering::Relaxed) % self.handles.len()]
    }
}

/// Returns a prefix for keys that no other run has.
pub(crate) fn prefix() -> String {
    format!("contract-{:016x}-", RandomState::new().build_hasher().finish())
}

pub(crate) fn load<S: Store>(store: &S, key: &str) -> Result<Option<Snapshot>, Violation> {
    store.load(key).map_err(|error| Violation::failure("load", key, error))
}

pub(crate) fn swap<S: Store>(store: &S, key: &str, save: &Save) -> Result<bool, Violation> {
    store.compare_and_swap(key, save).map_err(|error| Violation::failure("compare_and_swap", key, error))
}

fn fault(loaded: Option<Snapshot>, last: &Snapshot, earlier: &[Snapshot]) -> Option<Violation> {
    let Some(loaded) = loaded else { return Some(Violation::Forgets) };
    let loaded = form(&loaded);
    match loaded == form(last) {
        true => None,
        false if earlier.iter().any(|earlier| loaded == form(earlier)) => Some(Violation::LoadsOld),
        false => Some(Violation::Alters),
    }
}
