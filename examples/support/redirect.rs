//! Receives the callback: at a listener on a loopback redirect URI (RFC 8252 §7.3), or at the terminal.

#![allow(dead_code, reason = "each file that includes this one uses a part of it")]

use std::io::{BufRead, Write};
use std::time::SystemTime;

use oauth2_proto::{Advice, Error};
use tiny_http::{Response, Server};
use url::Url;

use crate::Failure;
use crate::http::is_loopback;

/// A receiver of callbacks: a listener at the redirect URI, or a person who pastes the URL.
pub struct Landing(Option<(Server, Url)>);

impl Landing {
    /// Listens at the redirect URI. Open the landing before you send the user away, so that an occupied
    /// port ends the sign-in early.
    pub fn open(redirect_uri: &str) -> Result<Self, Failure> {
        let usage = |what: String| Failure::Usage(format!("give --redirect-uri {what}; see --help"));
        let url = Url::parse(redirect_uri).map_err(|error| usage(format!("as a URL: {error}")))?;
        if url.scheme() != "http" || !is_loopback(&url) {
            return Ok(Self(None));
        }
        if url.port() == Some(0) {
            return Err(usage("a port other than 0".to_owned()));
        }
        let failed = |error: &dyn std::fmt::Display| format!("cannot listen at {url}: {error}");
        let addresses = url.socket_addrs(|| None).map_err(|error| failed(&error))?;
        let server = Server::http(addresses.as_slice()).map_err(|error| failed(&error))?;
        Ok(Self(Some((server, url))))
    }

    /// Receives callbacks from a person who pastes them, whatever the redirect URI.
    pub fn terminal() -> Self {
        Self(None)
    }

    /// Passes each callback to `receive` until it accepts one, the sign-in fails, or `deadline` passes.
    ///
    /// After a suspicious callback, the wait continues: the genuine one may still come.
    pub fn wait<T>(
        &self,
        deadline: SystemTime,
        receive: impl FnMut(&str) -> Result<T, Error>,
    ) -> Result<T, String> {
        match &self.0 {
            Some((server, url)) => listen(server, url, deadline, receive),
            None => paste(receive),
        }
    }
}

fn listen<T>(
    server: &Server,
    url: &Url,
    deadline: SystemTime,
    mut receive: impl FnMut(&str) -> Result<T, Error>,
) -> Result<T, String> {
    println!("Waiting for the browser at {url}");
    loop {
        let left = deadline.duration_since(SystemTime::now()).unwrap_or_default();
        let request = server.recv_timeout(left).map_err(|error| format!("the listener failed: {error}"))?;
        let request = request.ok_or("the browser did not come back in time; start again")?;
        let path = request.url().split('?').next().unwrap_or_default();
        if path != url.path() {
            answer(request, 404, "There is nothing here.");
            continue;
        }
        match receive(request.url()) {
            Ok(accepted) => {
                answer(request, 200, "The response has arrived. You can close this window.");
                return Ok(accepted);
            }
            Err(error) if error.advice() == Advice::KeepWaiting => {
                answer(request, 400, "This is not the expected response.");
                println!("Still waiting: {error}");
            }
            Err(error) => {
                answer(request, 200, &format!("You are not signed in: {error}. You can close this window."));
                return Err(error.to_string());
            }
        }
    }
}

fn paste<T>(mut receive: impl FnMut(&str) -> Result<T, Error>) -> Result<T, String> {
    loop {
        print!("Paste the URL that your browser ends at: ");
        let _ = std::io::stdout().flush();
        let mut line = Vec::new();
        let read = std::io::stdin().lock().read_until(b'\n', &mut line);
        if read.map_err(|error| format!("standard input: {error}"))? == 0 {
            return Err("standard input ended before the callback came".to_owned());
        }
        match receive(String::from_utf8_lossy(&line).trim()) {
            Ok(accepted) => return Ok(accepted),
            Err(error) if error.advice() == Advice::KeepWaiting => println!("That is not it: {error}"),
            Err(error) => return Err(error.to_string()),
        }
    }
}

fn answer(request: tiny_http::Request, status: u16, text: &str) {
    // The browser may have disconnected; the sign-in does not depend on the page.
    let _ = request.respond(Response::from_string(text).with_status_code(status));
}
