//! A store in PostgreSQL, for services of many processes and machines.
//!
//! ```sql
#![doc = include_str!("../schema.sql")]
//! ```
//!
//! The compare-and-swap is one statement, which is atomic: of two updates of one row the second waits for the
//! first, compares the revision again, and changes nothing. (At a stricter isolation level than the default
//! it fails, and the keeper tries again.)
//!
//! The waits for a connection, for a statement and for a network that is down are limited to 5 seconds each.
//! A connection that was lost, for example by a restart of the server, is replaced before its next use. In
//! `postgres`, one wait has no limit: that for a server process that neither answers nor dies, for example on
//! a disk that hangs. If that matters, use `tokio-postgres` with a timeout around each call.
//!
//! For production:
//!
//! - Use a TLS connector instead of `NoTls` for a server on another machine.
//! - Load from the primary: a lagging replica returns old snapshots.
//! - Leave `synchronous_commit` on: a save that is reported as done and then lost brings an old refresh token
//!   back.
//! - Protect backups, and do not log the parameters of statements: they contain tokens.
//! - PostgreSQL accepts no NUL in a key, and keys of at most 2700 bytes.

use std::error::Error;
use std::fmt;
use std::mem::take;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::spawn;
use std::time::Duration;

use oauth2_proto::Snapshot;
use oauth2_proto::keeper::blocking::Store;
use oauth2_proto::session::Save;
use postgres::types::Json;
use postgres::{Client, Config, NoTls};

const LIMIT: Duration = Duration::from_secs(5);

/// A table of snapshots, with as many connections as threads use it at once.
pub struct PostgresStore {
    config: Config,
    idle: Mutex<Vec<Client>>,
}

impl PostgresStore {
    /// Makes the store of a database, such as `host=db.example user=app dbname=app`. The first use connects.
    ///
    /// # Errors
    ///
    /// The connection string is invalid.
    pub fn new(database: &str) -> Result<Self, postgres::Error> {
        let mut config: Config = database.parse()?;
        let options = config.get_options().unwrap_or_default();
        let options = format!("{options} -c statement_timeout={}", LIMIT.as_millis());
        config.options(&options).connect_timeout(LIMIT).tcp_user_timeout(LIMIT);
        Ok(Self { config, idle: Mutex::default() })
    }

    /// Runs `work` on a connection, which is kept for the next use if the work succeeds.
    fn run<T>(
        &self,
        work: impl FnOnce(&mut Client) -> Result<T, postgres::Error>,
    ) -> Result<T, postgres::Error> {
        let idle = self.idle().pop();
        let open = idle.and_then(|mut client| client.is_valid(LIMIT).ok().map(|()| client));
        let mut client = match open {
            Some(client) => client,
            None => {
                // If one connection is lost, so are most likely the others. They end without the lock.
                let _lost = take(&mut *self.idle());
                self.config.connect(NoTls)?
            }
        };
        let output = work(&mut client)?;
        self.idle().push(client);
        Ok(output)
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Client>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for PostgresStore {
    type Error = Box<dyn Error + Send + Sync>;

    fn load(&self, key: &str) -> Result<Option<Snapshot>, Self::Error> {
        let select = "SELECT snapshot FROM oauth_sessions WHERE key = $1";
        let row = self.run(|client| client.query_opt(select, &[&key]))?;
        let snapshot = row.map(|row| row.try_get(0)).transpose()?;
        Ok(snapshot.map(|Json(snapshot)| snapshot))
    }

    fn compare_and_swap(&self, key: &str, save: &Save) -> Result<bool, Self::Error> {
        let snapshot = Json(save.snapshot());
        let revision = i64::try_from(save.snapshot().revision())?;
        let expected = i64::try_from(save.expected_revision())?;
        let changed = self.run(|client| match expected {
            0 => client.execute(
                "INSERT INTO oauth_sessions (key, revision, snapshot) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
                &[&key, &revision, &snapshot],
            ),
            _ => client.execute(
                "UPDATE oauth_sessions SET revision = $2, snapshot = $3 WHERE key = $1 AND revision = $4",
                &[&key, &revision, &snapshot, &expected],
            ),
        })?;
        Ok(changed == 1)
    }
}

/// Drops the clients on another thread, because a dropped client waits for its end, which panics in a task of
/// tokio.
impl Drop for PostgresStore {
    fn drop(&mut self) {
        let idle = take(&mut *self.idle());
        spawn(move || drop(idle));
    }
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore").finish_non_exhaustive()
    }
}
