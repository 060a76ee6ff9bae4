//! Receives the callback: at a listener on a loopback redirect URI (RFC 8252 §7.3), or at the terminal.

#![allow(dead_code, reason = "each file that includes this one uses a part of it")]

use std::io::{self, BufRead, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc::{Receiver, channel};
use std::time::SystemTime;

use oauth2_proto::{Advice, Error};
use url::Url;

use crate::Failure;
use crate::http::is_loopback;
use crate::web::{self, Connection, Listening, Reply, Request};

/// A receiver of callbacks: a listener at the redirect URI, or a person who pastes the URL.
pub struct Landing(Option<(Listener, Url)>);

/// A listener whose connections carry one request each.
struct Listener {
    requests: Receiver<(Request, Connection)>,
    _listening: Listening,
}

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
        let listener = Listener::bind(addresses.as_slice()).map_err(|error| failed(&error))?;
        Ok(Self(Some((listener, url))))
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
            Some((listener, url)) => listen(listener, url, deadline, receive),
            None => paste(receive),
        }
    }
}

impl Listener {
    fn bind(addresses: &[SocketAddr]) -> io::Result<Self> {
        let (sender, requests) = channel();
        let listening = web::listen(TcpListener::bind(addresses)?, move |mut connection| {
            if let Ok(Some(mut request)) = connection.read() {
                request.keeps_alive = false;
                // Nobody waits for requests any more if this fails.
                let _ = sender.send((request, connection));
            }
        })?;
        Ok(Self { requests, _listening: listening })
    }
}

fn listen<T>(
    listener: &Listener,
    url: &Url,
    deadline: SystemTime,
    mut receive: impl FnMut(&str) -> Result<T, Error>,
) -> Result<T, String> {
    println!("Waiting for the browser at {url}");
    loop {
        let left = deadline.duration_since(SystemTime::now()).unwrap_or_default();
        let next = listener.requests.recv_timeout(left);
        let (request, mut connection) =
            next.map_err(|_| "the browser did not come back in time; start again")?;
        let mut answer = |status: u16, text: &str| {
            // The browser may have disconnected; the sign-in does not depend on the page.
            let _ = connection.write(&request, &Reply::text(status, text));
        };
        let path = request.target.split('?').next().unwrap_or_default();
        if path != url.path() {
            answer(404, "There is nothing here.");
            continue;
        }
        match receive(&request.target) {
            Ok(accepted) => {
                answer(200, "The response has arrived. You can close this window.");
                return Ok(accepted);
            }
            Err(error) if error.advice() == Advice::KeepWaiting => {
                answer(400, "This is not the expected response.");
                println!("Still waiting: {error}");
            }
            Err(error) => {
                answer(200, &format!("You are not signed in: {error}. You can close this window."));
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
