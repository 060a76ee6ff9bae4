//! Stores each authorization in one row, and changes a row only by compare-and-swap.

use std::time::Duration;

use oauth2_proto::{Snapshot, session::Save};
use postgres::types::Json;
use postgres::{Client, Config, NoTls};

use crate::Failure;

/// The row of one authorization, with a connection that is opened again after a loss.
pub struct Store {
    config: Config,
    connection: Option<Client>,
    key: String,
}

impl Store {
    /// Makes the store of the authorization under `key`; the first use opens the connection.
    pub fn new(database: &str, key: &str) -> Result<Self, Failure> {
        let mut config: Config = database.parse()?;
        // Limits every wait: while the store hangs, a claim runs out unused.
        config.connect_timeout(Duration::from_secs(5)).options("-c statement_timeout=5000");
        Ok(Self { config, connection: None, key: key.to_owned() })
    }

    /// Loads the stored snapshot, if any.
    pub fn load(&mut self) -> Result<Option<Snapshot>, Failure> {
        let key = self.key.clone();
        let row =
            self.connection()?.query_opt("SELECT snapshot FROM oauth_sessions WHERE key = $1", &[&key])?;
        let snapshot = row.map(|row| row.try_get(0)).transpose()?;
        Ok(snapshot.map(|Json(snapshot)| snapshot))
    }

    /// Stores the snapshot if the row still has the expected revision, and returns whether it did.
    ///
    /// After an error the store may contain the snapshot nevertheless. The session then asks for the same
    /// save again, the revision no longer matches, and the session adopts the stored snapshot, like another
    /// holder's.
    pub fn compare_and_swap(&mut self, save: &Save) -> Result<bool, Failure> {
        let (key, snapshot) = (self.key.clone(), Json(save.snapshot()));
        let (revision, expected) =
            (i64::try_from(save.snapshot().revision())?, i64::try_from(save.expected_revision())?);
        let changed = match expected {
            0 => self.connection()?.execute(
                "INSERT INTO oauth_sessions (key, revision, snapshot) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
                &[&key, &revision, &snapshot],
            ),
            _ => self.connection()?.execute(
                "UPDATE oauth_sessions SET revision = $2, snapshot = $3 WHERE key = $1 AND revision = $4",
                &[&key, &revision, &snapshot, &expected],
            ),
        };
        Ok(changed? == 1)
    }

    fn connection(&mut self) -> Result<&mut Client, Failure> {
        let open = self.connection.take().filter(|connection| !connection.is_closed());
        let connection = open.map_or_else(|| self.config.connect(NoTls), Ok)?;
        Ok(self.connection.insert(connection))
    }
}
