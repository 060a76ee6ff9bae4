//! The session behind the cookie: whose browser it is, and the sign-ins that it has started.
//!
//! The session is in the database, and the cookie is only its random name. An encrypted cookie would need no
//! database, but it is too small for ten sign-ins, cannot be ended from here, and two callbacks that come at
//! the same time could both use it.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use axum::http::HeaderMap;
use axum::http::header::COOKIE;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use oauth2_proto::PendingAuthorization;
use rusqlite::{Connection, OptionalExtension as _, params};
use tokio::task::spawn_blocking;

use crate::Failure;

/// The lifetime of a browser session; it does not begin anew when the browser comes back.
const LIFETIME: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// How many sign-ins a browser can have under way. Another one replaces the oldest.
const MAX_PENDING: u32 = 10;

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS browsers (
    id TEXT PRIMARY KEY,
    company TEXT,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS pending_authorizations (
    number INTEGER PRIMARY KEY,
    browser TEXT NOT NULL REFERENCES browsers ON UPDATE CASCADE ON DELETE CASCADE,
    state TEXT NOT NULL,
    pending TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS pending_of_browser ON pending_authorizations (browser, state);
";

/// Returns whether a request was made by one of our own pages, and not by another site (cross-site request
/// forgery).
///
/// Browsers say so in `Sec-Fetch-Site`. `Origin` would not do, because our pages have the referrer policy
/// `no-referrer`, which makes it `null`. For a browser from before 2023, which sends no `Sec-Fetch-Site`,
/// `SameSite=Lax` has to be enough: it withholds the cookie from the forms of other sites.
pub fn is_from_our_page(headers: &HeaderMap) -> bool {
    headers.get("sec-fetch-site").is_none_or(|site| site == "same-origin")
}

/// The random name of a session that exists, as it is in the cookie.
#[derive(Clone)]
pub struct BrowserId(String);

/// The sessions of all browsers.
pub struct Browsers {
    connection: Arc<Mutex<Connection>>,
    is_https: bool,
}

impl Browsers {
    pub fn open(database: &Path, is_https: bool) -> Result<Self, Failure> {
        let connection = Connection::open(database)?;
        connection.busy_timeout(Duration::from_secs(5))?;
        connection.pragma_update(None, "foreign_keys", true)?;
        connection.execute_batch(SCHEMA)?;
        Ok(Self { connection: Arc::new(Mutex::new(connection)), is_https })
    }

    /// Runs database work on a thread where it may block.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let connection = self.connection.clone();
        spawn_blocking(move || work(&connection.lock().unwrap_or_else(PoisonError::into_inner))).await?
    }
}

/// Sessions.
impl Browsers {
    /// Returns the session that the cookie names.
    pub async fn find(&self, headers: &HeaderMap) -> Result<Option<BrowserId>, Failure> {
        let Some(id) = self.id(headers) else { return Ok(None) };
        let find = "SELECT id FROM browsers WHERE id = ?1 AND expires_at > ?2";
        self.run(move |db| Ok(db.query_row(find, params![id, now()], |row| row.get(0)).optional()?))
            .await
            .map(|id| id.map(BrowserId))
    }

    /// Returns the session that the cookie names, or a new one.
    pub async fn find_or_create(&self, headers: &HeaderMap) -> Result<BrowserId, Failure> {
        if let Some(browser) = self.find(headers).await? {
            return Ok(browser);
        }
        let id = random_id()?;
        let created = id.clone();
        self.run(move |db| {
            db.execute("DELETE FROM browsers WHERE expires_at <= ?1", [now()])?;
            db.execute("INSERT INTO browsers (id, expires_at) VALUES (?1, ?2)", params![id, end()])?;
            Ok(BrowserId(created))
        })
        .await
    }

    /// Returns the company that is signed in here.
    pub async fn company(&self, headers: &HeaderMap) -> Result<Option<String>, Failure> {
        let Some(id) = self.id(headers) else { return Ok(None) };
        let find = "SELECT company FROM browsers WHERE id = ?1 AND expires_at > ?2";
        let company =
            self.run(move |db| Ok(db.query_row(find, params![id, now()], |row| row.get(0)).optional()?));
        Ok(company.await?.flatten())
    }

    /// Records who has signed in, and renames the session, so that whoever has planted the earlier name does
    /// not share it (session fixation). The browser's other sign-ins stay under way.
    pub async fn sign_in(&self, browser: BrowserId, company: String) -> Result<BrowserId, Failure> {
        let id = random_id()?;
        let renamed = id.clone();
        self.run(move |db| {
            let change = "UPDATE browsers SET id = ?1, company = ?2, expires_at = ?3 WHERE id = ?4";
            match db.execute(change, params![id, company, end(), browser.0])? {
                1 => Ok(BrowserId(renamed)),
                _ => Err("the browser's session has ended during its sign-in".into()),
            }
        })
        .await
    }

    /// Ends the session that the cookie names.
    pub async fn forget(&self, headers: &HeaderMap) -> Result<(), Failure> {
        let Some(id) = self.id(headers) else { return Ok(()) };
        self.run(move |db| Ok(db.execute("DELETE FROM browsers WHERE id = ?1", [id]).map(drop)?)).await
    }
}

/// Pending authorizations, which are found among the browser's own only.
impl Browsers {
    /// Keeps a sign-in until its callback comes.
    pub async fn keep(&self, browser: BrowserId, pending: PendingAuthorization) -> Result<(), Failure> {
        let (state, json) = (pending.state().to_owned(), serde_json::to_string(&pending)?);
        self.run(move |db| {
            let insert = "INSERT INTO pending_authorizations (browser, state, pending) VALUES (?1, ?2, ?3)";
            db.execute(insert, params![browser.0, state, json])?;
            let prune = "DELETE FROM pending_authorizations WHERE browser = ?1 AND number NOT IN (
                SELECT number FROM pending_authorizations WHERE browser = ?1 ORDER BY number DESC LIMIT ?2)";
            db.execute(prune, params![browser.0, MAX_PENDING])?;
            Ok(())
        })
        .await
    }

    /// Returns the sign-in with this `state`.
    pub async fn pending(
        &self,
        browser: &BrowserId,
        state: &str,
    ) -> Result<Option<PendingAuthorization>, Failure> {
        let (id, state) = (browser.0.clone(), state.to_owned());
        let find = "SELECT pending FROM pending_authorizations WHERE browser = ?1 AND state = ?2";
        let json: Option<String> =
            self.run(move |db| Ok(db.query_row(find, [id, state], |row| row.get(0)).optional()?)).await?;
        Ok(json.map(|json| serde_json::from_str(&json)).transpose()?)
    }

    /// Removes a sign-in, and returns whether it was still there.
    pub async fn remove(&self, browser: &BrowserId, state: &str) -> Result<bool, Failure> {
        let (id, state) = (browser.0.clone(), state.to_owned());
        let delete = "DELETE FROM pending_authorizations WHERE browser = ?1 AND state = ?2";
        self.run(move |db| Ok(db.execute(delete, [id, state])? == 1)).await
    }
}

/// The cookie.
impl Browsers {
    /// Returns the value of `Set-Cookie` that names a session.
    ///
    /// `Strict` instead of `Lax` would withhold the cookie when the browser comes back from Pleo.
    pub fn cookie(&self, browser: &BrowserId) -> String {
        self.set_cookie(&browser.0, LIFETIME)
    }

    /// Returns the value of `Set-Cookie` that removes the cookie.
    pub fn no_cookie(&self) -> String {
        self.set_cookie("", Duration::ZERO)
    }

    fn set_cookie(&self, value: &str, age: Duration) -> String {
        let (name, secure) = (self.cookie_name(), if self.is_https { "; Secure" } else { "" });
        format!("{name}={value}; Path=/; Max-Age={}; HttpOnly; SameSite=Lax{secure}", age.as_secs())
    }

    /// Returns a name with the prefix that browsers accept from this very host only, and over https only.
    fn cookie_name(&self) -> &'static str {
        if self.is_https { "__Host-browser" } else { "browser" }
    }

    fn id(&self, headers: &HeaderMap) -> Option<String> {
        let cookies = headers.get_all(COOKIE).into_iter().filter_map(|value| value.to_str().ok());
        let mut pairs =
            cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
        pairs.find(|(name, _)| *name == self.cookie_name()).map(|(_, value)| value.to_owned())
    }
}

fn random_id() -> Result<String, Failure> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

fn now() -> i64 {
    unix_seconds(SystemTime::now())
}

fn end() -> i64 {
    unix_seconds(SystemTime::now() + LIFETIME)
}

fn unix_seconds(time: SystemTime) -> i64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_of_an_https_site_stays_with_https_and_with_this_host() {
        let browsers = Browsers::open(Path::new(":memory:"), true).unwrap();
        let cookie = browsers.cookie(&BrowserId("fake-id".to_owned()));
        let expected = "__Host-browser=fake-id; Path=/; Max-Age=2592000; HttpOnly; SameSite=Lax; Secure";
        assert_eq!(cookie, expected);
        let mut headers = HeaderMap::new();
        headers.insert(COOKIE, "browser=planted; __Host-browser=fake-id".parse().unwrap());
        assert_eq!(browsers.id(&headers).as_deref(), Some("fake-id"));
    }
}
