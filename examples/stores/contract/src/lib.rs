//! One test for every store: [`check`] finds the first fault of a store and says how to mend it.
//!
//! ```
//! use std::collections::HashMap;
//! use std::convert::Infallible;
//! use std::sync::Mutex;
//!
//! use oauth2_proto::{Snapshot, keeper::blocking::Store, session::Save};
//!
//! #[derive(Default)]
//! struct LastWriteWins(Mutex<HashMap<String, Snapshot>>);
//!
//! impl Store for LastWriteWins {
//!     type Error = Infallible;
//!
//!     fn load(&self, key: &str) -> Result<Option<Snapshot>, Infallible> {
//!         Ok(self.0.lock().unwrap().get(key).cloned())
//!     }
//!
//!     fn compare_and_swap(&self, key: &str, save: &Save) -> Result<bool, Infallible> {
//!         self.0.lock().unwrap().insert(key.to_owned(), save.snapshot().clone());
//!         Ok(true)
//!     }
//! }
//!
//! let violation = store_contract::check(&[LastWriteWins::default()]).unwrap_err();
//! assert_eq!(
//!     violation.to_string(),
//!     "the store accepts a save that expects revision 1 where nothing is stored: \
//!      change only what exists"
//! );
//! ```

mod keys;
mod processes;
mod rivals;
mod saves;
mod steps;
mod subject;
mod violation;

pub use crate::processes::check_processes;
pub use crate::violation::Violation;

use oauth2_proto::keeper::blocking::Store;

use crate::subject::Subject;

/// Checks a store through one or more handles to it; several handles find more faults than one.
///
/// The check takes new keys and leaves them in the store, so give it a database for tests. An error of the
/// store counts as a violation.
///
/// # Errors
///
/// The first violation that the check meets.
///
/// # Panics
///
/// If there is no handle, or the store panics.
pub fn check<S: Store + Sync>(handles: &[S]) -> Result<(), Violation> {
    let subject = Subject::new(handles);
    steps::check(&subject)?;
    keys::check(&subject)?;
    rivals::check(&subject)
}
