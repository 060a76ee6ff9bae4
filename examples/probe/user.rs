//! The user who signs in: a script at a server of this repository, or a person at any other.

use std::thread;
use std::time::{Duration, SystemTime};

use oauth2_proto::Request;
use url::Url;

use crate::answer::{Callback, End};
use crate::browser::{self, Browser};
use crate::redirect::Landing;
use crate::{Failure, http};

/// The time limit for a sign-in by a person.
const PATIENCE: Duration = Duration::from_secs(600);

#[derive(Clone, Copy)]
pub enum User {
    Script,
    Person,
}

impl User {
    /// Opens the authorization URL of a valid request, and waits for the callback at this redirect URI.
    pub fn sign_in(self, url: &str, redirect_uri: &str) -> Result<End, String> {
        // Listens only while a callback is due: otherwise the callback of an invalid request would queue up.
        self.visit(url, &[redirect_uri], || open(redirect_uri))
    }

    /// Opens the authorization URL of a request that the server may refuse on its own page, out of a
    /// listener's sight.
    pub fn try_out(self, url: &str, redirect_uris: &[&str]) -> Result<End, String> {
        self.visit(url, redirect_uris, || Ok(Landing::terminal()))
    }

    /// Allows or refuses a device's access, at the address and with the code that the device shows.
    pub fn decide_device(self, address: &str, code: &str, allows: bool) -> Result<(), String> {
        match (self, allows) {
            (Self::Script, true) => Browser::new().approve_device(address, code).map(drop),
            (Self::Script, false) => Browser::new().refuse_device(address, code).map(drop),
            (Self::Person, _) => {
                let word = if allows { "allow" } else { "refuse" };
                println!(
                    "\nOpen {address:?} in your browser, enter the code {code:?} and {word} the access. Then \
                     press Enter here.\n"
                );
                match std::io::stdin().lines().next() {
                    Some(Ok(_)) => Ok(()),
                    Some(Err(error)) => Err(format!("standard input: {error}")),
                    None => Err("standard input ended before the decision".to_owned()),
                }
            }
        }
    }

    fn visit(
        self,
        url: &str,
        redirect_uris: &[&str],
        landing: impl FnOnce() -> Result<Landing, Failure>,
    ) -> Result<End, String> {
        if let Self::Script = self {
            return Ok(match Browser::new().try_out(url, redirect_uris)? {
                browser::End::Callback(url) => End::Redirect(Callback::new(&url)),
                browser::End::Page { status, .. } => End::Page(Some(status)),
                browser::End::Form(_) | browser::End::CodeAgain(_) => End::Page(None),
            });
        }
        // Spares the person a request that the server refuses before any sign-in.
        if let Some(end) = answer_without_a_person(url, redirect_uris)? {
            return Ok(end);
        }
        let landing = landing().map_err(Failure::into_message)?;
        println!("\nOpen this in your browser, and sign in and consent if it asks you to:\n\n{url}\n");
        let deadline = SystemTime::now() + PATIENCE;
        let ended_at = loop {
            let ended_at = landing.wait(deadline, |url| Ok(url.to_owned()))?;
            if ended_at.starts_with('/') || Url::parse(&ended_at).is_ok() {
                break ended_at;
            }
            println!("That is no URL.");
        };
        // A listener sees only the path and the query.
        let base = redirect_uris.first().and_then(|uri| Url::parse(uri).ok());
        let ended_at = match base.filter(|_| ended_at.starts_with('/')) {
            Some(base) => base.join(&ended_at).map_err(|error| error.to_string())?.into(),
            None => ended_at,
        };
        Ok(match is_at(&ended_at, redirect_uris) {
            true => End::Redirect(Callback::new(&ended_at)),
            false => End::Page(None),
        })
    }
}

/// Listens at the redirect URI, and retries while the previous listener releases the port.
fn open(redirect_uri: &str) -> Result<Landing, Failure> {
    for _ in 0..20 {
        match Landing::open(redirect_uri) {
            Err(Failure::CouldNotRun(_)) => thread::sleep(Duration::from_millis(50)),
            settled => return settled,
        }
    }
    Landing::open(redirect_uri)
}

/// Returns the end of the request if the server redirects or refuses it before any sign-in.
fn answer_without_a_person(url: &str, redirect_uris: &[&str]) -> Result<Option<End>, String> {
    let (status, headers, _) = http::send(&Request::new("GET", url))?;
    let location = headers.iter().find(|(name, _)| name == "location");
    let location = location.map(|(_, value)| String::from_utf8_lossy(value)).unwrap_or_default();
    Ok(match status {
        300..=399 if is_at(&location, redirect_uris) => Some(End::Redirect(Callback::new(&location))),
        // 401 and 403 may lead to a sign-in.
        400 | 404.. => Some(End::Page(Some(status))),
        _ => None,
    })
}

fn is_at(url: &str, redirect_uris: &[&str]) -> bool {
    let rest = |uri: &&str| url.strip_prefix(uri);
    redirect_uris.iter().filter_map(rest).any(|rest| rest.is_empty() || rest.starts_with(['?', '#', '&']))
}
