//! The store: a row for each authorization, which changes by compare-and-swap only.

use std::time::Duration;

use oauth2_proto::{Snapshot, session::Save};
use postgres::types::Json;
use postgres::{Client, Config, NoTls};

use crate::Failure;

/// The row of one authorization, with a connection that is made again when it was lost.
pub struct Store {
    config: Config,
    connection: Option<Client>,
    key: String,
}

impl Store {
    /// Nothing is connected before the first use.
    pub fn new(database: &str, key: &str) -> Result<Self, Failure> {
        let mut config: Config = database.parse()?;
        // A store that hangs would make a claim run out while nobody sends.
        config.connect_timeout(Duration::from_secs(5)).options("-c statement_timeout=5000");
        Ok(Self { config, connection: None, key: key.to_owned() })
    }

    /// What is stored, if anything is.
    pub fn load(&mut self) -> Result<Option<Snapshot>, Failure> {
        let key = self.key.clone();
        let row =
            self.connection()?.query_opt("SELECT snapshot FROM oauth_sessions WHERE key = $1", &[&key])?;
        let snapshot = row.map(|row| row.try_get(0)).transpose()?;
        Ok(snapshot.map(|Json(snapshot)| snapshot))
    }

    /// Stores this if nobody else was faster, and says whether it did.
    ///
    /// After an error it may have been stored all the same. The session asks for the same save again then; it
    /// comes too late, and what the store has is adopted, like another holder's.
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
