//! The store of a session: one row of a database, in memory.

use oauth2_proto::{Snapshot, session::Save};
use serde_json::Value;

/// The row: the revision in a column of its own, and the snapshot as JSON.
#[derive(Clone, Default)]
pub struct Store {
    pub revision: u64,
    pub text: String,
}

impl Store {
    /// Stores the snapshot if the row still has the revision that the save expects; false if it has another.
    #[track_caller]
    pub fn compare_and_swap(&mut self, save: &Save) -> bool {
        let won = self.revision == save.expected_revision();
        if won {
            self.revision = save.snapshot().revision();
            self.text = serde_json::to_string(save.snapshot()).unwrap();
        }
        won
    }

    #[track_caller]
    pub fn load(&self) -> Snapshot {
        serde_json::from_str(&self.text).unwrap()
    }

    /// The stored JSON, to look at its members.
    #[track_caller]
    pub fn value(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }
}
