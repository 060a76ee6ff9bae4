//! A store in an SQLite file, for programs on one machine.
//!
//! ```sql
#![doc = include_str!("../schema.sql")]
//! ```
//!
//! The compare-and-swap is one statement, and SQLite lets one connection write at a time, so no other save
//! can come between the comparison and the write. The statement compares the
//! `revision` column; only a load reads the snapshot.
//!
//! A save waits at most 5 seconds while others write.
//!
//! The journal is a write-ahead log, so that loads do not wait for saves. `synchronous=FULL` flushes it at
//! each save; with less, a loss of power brings an old refresh token back.
//!
//! For production: keep the file on a local disk, because SQLite's locks and its log do not work on network
//! file systems. The file is created for its user alone, and its log gets the same mode. A backup contains
//! the tokens; make it with SQLite's own tools, such as `VACUUM INTO`.

use std::error::Error;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use oauth2_proto::Snapshot;
use oauth2_proto::keeper::blocking::Store;
use oauth2_proto::session::Save;
use rusqlite::{Connection, OptionalExtension, params};

const BUSY_LIMIT: Duration = Duration::from_secs(5);

/// A table of snapshots, with one connection for all threads.
#[derive(Debug)]
pub struct SqliteStore {
    connection: Mutex<Connection>,
}

impl SqliteStore {
    /// Opens the store in a file, and creates the file and its table if they do not exist.
    ///
    /// # Errors
    ///
    /// The file cannot be opened, or is not a database.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Box<dyn Error + Send + Sync>> {
        // SQLite itself would create a file that every user can read.
        OpenOptions::new().append(true).create(true).mode(0o600).open(&path)?;
        let connection = Connection::open(path)?;
        connection.busy_timeout(BUSY_LIMIT)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.execute_batch(include_str!("../schema.sql"))?;
        Ok(Self { connection: Mutex::new(connection) })
    }

    /// Locks the connection. A thread that panicked while it held the lock left no transaction open.
    fn connection(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for SqliteStore {
    type Error = Box<dyn Error + Send + Sync>;

    fn load(&self, key: &str) -> Result<Option<Snapshot>, Self::Error> {
        let connection = self.connection();
        let mut select = connection.prepare_cached("SELECT snapshot FROM oauth_sessions WHERE key = ?1")?;
        let json: Option<String> = select.query_one([key], |row| row.get(0)).optional()?;
        Ok(json.map(|json| serde_json::from_str(&json)).transpose()?)
    }

    fn compare_and_swap(&self, key: &str, save: &Save) -> Result<bool, Self::Error> {
        let json = serde_json::to_string(save.snapshot())?;
        let revision = i64::try_from(save.snapshot().revision())?;
        let expected = i64::try_from(save.expected_revision())?;
        let connection = self.connection();
        let changed = match expected {
            0 => connection
                .prepare_cached(
                    "INSERT INTO oauth_sessions (key, revision, snapshot) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
                )?
                .execute(params![key, revision, json]),
            _ => connection
                .prepare_cached(
                    "UPDATE oauth_sessions SET revision = ?2, snapshot = ?3 WHERE key = ?1 AND revision = ?4",
                )?
                .execute(params![key, revision, json, expected]),
        };
        Ok(changed? == 1)
    }
}
