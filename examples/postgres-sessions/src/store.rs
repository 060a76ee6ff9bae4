//! Stores each authorization in one row, and changes a row only by compare-and-swap.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use oauth2_proto::keeper::blocking;
use oauth2_proto::{Snapshot, session::Save};
use postgres::types::Json;
use postgres::{Client, Config, NoTls};

use crate::Failure;

/// The table, with a connection that is opened again after a loss.
pub struct Store {
    config: Config,
    connection: Mutex<Option<Client>>,
}

impl Store {
    /// Makes the store; the first use opens the connection.
    pub fn new(database: &str) -> Result<Self, Failure> {
        let mut config: Config = database.parse()?;
        // Limits every wait: while the store hangs, a claim runs out unused.
        config.connect_timeout(Duration::from_secs(5)).options("-c statement_timeout=5000");
        Ok(Self { config, connection: Mutex::new(None) })
    }

    /// Runs `query` on the open connection.
    fn with<T>(&self, query: impl FnOnce(&mut Client) -> Result<T, postgres::Error>) -> Result<T, Failure> {
        let mut connection: MutexGuard<_> = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let open = connection.take().filter(|connection| !connection.is_closed());
        let open = open.map_or_else(|| self.config.connect(NoTls), Ok)?;
        Ok(query(connection.insert(open))?)
    }
}

impl blocking::Store for Store {
    type Error = Failure;

    fn load(&self, key: &str) -> Result<Option<Snapshot>, Failure> {
        let select = "SELECT snapshot FROM oauth_sessions WHERE key = $1";
        let row = self.with(|database| database.query_opt(select, &[&key]))?;
        let snapshot = row.map(|row| row.try_get(0)).transpose()?;
        Ok(snapshot.map(|Json(snapshot)| snapshot))
    }

    fn compare_and_swap(&self, key: &str, save: &Save) -> Result<bool, Failure> {
        let snapshot = Json(save.snapshot());
        let (revision, expected) =
            (i64::try_from(save.snapshot().revision())?, i64::try_from(save.expected_revision())?);
        let changed = self.with(|database| match expected {
            0 => database.execute(
                "INSERT INTO oauth_sessions (key, revision, snapshot) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
                &[&key, &revision, &snapshot],
            ),
            _ => database.execute(
                "UPDATE oauth_sessions SET revision = $2, snapshot = $3 WHERE key = $1 AND revision = $4",
                &[&key, &revision, &snapshot, &expected],
            ),
        })?;
        Ok(changed == 1)
    }
}
