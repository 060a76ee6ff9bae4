//! A store in memory, for tests and for programs whose users may sign in again after a restart.
//!
//! One lock covers the comparison and the write, so no other thread can save in between. Every clone of the
//! `Arc` around the store shares the snapshots; another process does not, and nothing survives the process.
//!
//! For production: if a sign-in must survive a restart, use another store.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Mutex, MutexGuard, PoisonError};

use oauth2_proto::Snapshot;
use oauth2_proto::keeper::blocking::Store;
use oauth2_proto::session::Save;

/// A map from keys to snapshots.
#[derive(Debug, Default)]
pub struct MemoryStore {
    snapshots: Mutex<HashMap<String, Snapshot>>,
}

impl Store for MemoryStore {
    type Error = Infallible;

    fn load(&self, key: &str) -> Result<Option<Snapshot>, Infallible> {
        Ok(self.lock().get(key).cloned())
    }

    fn compare_and_swap(&self, key: &str, save: &Save) -> Result<bool, Infallible> {
        let mut snapshots = self.lock();
        let revision = snapshots.get(key).map_or(0, Snapshot::revision);
        let is_expected = revision == save.expected_revision();
        if is_expected {
            snapshots.insert(key.to_owned(), save.snapshot().clone());
        }
        Ok(is_expected)
    }
}

impl MemoryStore {
    /// Locks the map. A thread that panicked while it held the lock left the map whole.
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Snapshot>> {
        self.snapshots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
