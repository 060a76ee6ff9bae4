//! A store in Redis, for services that keep their sessions there.
//!
//! ```text
//! oauth_session:customer 17   a hash: revision "5", snapshot "{…}"
//! ```
//!
//! The compare-and-swap is a script, which Redis runs without any other command in between. The script
//! compares revisions as texts, because numbers in Lua lose digits.
//!
//! Each wait for an answer is limited to 5 seconds. A lost connection is replaced before its next use.
//!
//! For production, Redis must not lose a save that it has accepted, because an old refresh token would come
//! back:
//!
//! - `appendonly yes` and `appendfsync always` in `redis.conf`: otherwise a crash loses the last second, or
//!   everything since the last dump.
//! - `maxmemory-policy noeviction`, and no expiry on these keys.
//! - Load from the primary. A failover loses what the new primary has not received; `min-replicas-to-write`
//!   narrows that, and PostgreSQL avoids it.
//! - A password of this program's own, with access to `oauth_session:*` only, and `rediss://` (the feature
//!   `tls-rustls` of `redis`) for a server on another machine. Protect the files of Redis: they contain
//!   tokens.

use std::error::Error;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use oauth2_proto::Snapshot;
use oauth2_proto::keeper::blocking::Store;
use oauth2_proto::session::Save;
use redis::{Client, Commands, Connection, ConnectionLike, IntoConnectionInfo, RedisResult, Script};

const LIMIT: Duration = Duration::from_secs(5);

/// Stores the snapshot if the revision is the expected one, and returns whether it did.
const COMPARE_AND_SWAP: &str = "
local stored = redis.call('HGET', KEYS[1], 'revision') or '0'
if stored ~= ARGV[1] then
    return false
end
redis.call('HSET', KEYS[1], 'revision', ARGV[2], 'snapshot', ARGV[3])
return true
";

/// One Redis hash for each snapshot, with as many connections as threads use at once.
pub struct RedisStore {
    client: Client,
    compare_and_swap: Script,
    idle: Mutex<Vec<Connection>>,
}

impl RedisStore {
    /// Makes the store of a server, such as `redis://redis.example/`. The first use connects.
    ///
    /// # Errors
    ///
    /// The address is invalid.
    pub fn new(server: impl IntoConnectionInfo) -> RedisResult<Self> {
        let client = Client::open(server)?;
        Ok(Self { client, compare_and_swap: Script::new(COMPARE_AND_SWAP), idle: Mutex::default() })
    }

    /// Runs `work` on a connection, which is kept for the next use if the work succeeds.
    fn run<T>(&self, work: impl FnOnce(&mut Connection) -> RedisResult<T>) -> RedisResult<T> {
        let idle = self.idle().pop();
        let mut connection = match idle.and_then(|mut idle| idle.check_connection().then_some(idle)) {
            Some(connection) => connection,
            None => {
                // If one connection is lost, so are most likely the others.
                self.idle().clear();
                self.connect()?
            }
        };
        let output = work(&mut connection)?;
        self.idle().push(connection);
        Ok(output)
    }

    fn connect(&self) -> RedisResult<Connection> {
        let connection = self.client.get_connection_with_timeout(LIMIT)?;
        connection.set_read_timeout(Some(LIMIT))?;
        connection.set_write_timeout(Some(LIMIT))?;
        Ok(connection)
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for RedisStore {
    type Error = Box<dyn Error + Send + Sync>;

    fn load(&self, key: &str) -> Result<Option<Snapshot>, Self::Error> {
        let json: Option<String> = self.run(|connection| connection.hget(name(key), "snapshot"))?;
        Ok(json.map(|json| serde_json::from_str(&json)).transpose()?)
    }

    fn compare_and_swap(&self, key: &str, save: &Save) -> Result<bool, Self::Error> {
        let mut script = self.compare_and_swap.key(name(key));
        script.arg(save.expected_revision()).arg(save.snapshot().revision());
        script.arg(serde_json::to_string(save.snapshot())?);
        Ok(self.run(|connection| script.invoke(connection))?)
    }
}

fn name(key: &str) -> String {
    format!("oauth_session:{key}")
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore").finish_non_exhaustive()
    }
}
