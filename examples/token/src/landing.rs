//! Receives the callback: at a listener on 127.0.0.1 (RFC 8252 §7.3), or pasted at the terminal.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::SystemTime;

use oauth2_proto::{Advice, Error};

use crate::Failure;
use crate::web::{self, Connection, Listening, Reply, Request};

/// The page after a failure.
pub const NOT_SIGNED_IN: &str = "You are not signed in. The terminal says why. You can close this window.";

/// A receiver of callbacks. Dropping it stops the listener.
pub struct Landing {
    redirect_uri: String,
    events: Receiver<Event>,
    sender: Sender<Event>,
    listening: Option<Listening>,
}

enum Event {
    /// A browser came to the listener.
    Visit(Visitor),
    /// The user pasted a line.
    Line(String),
    /// Standard input failed or ended.
    NoMoreLines,
}

/// A browser that waits for a page.
pub struct Visitor {
    request: Request,
    connection: Connection,
}

impl Landing {
    /// Listens at the redirect URI if it is on 127.0.0.1; with `None`, at any free port. Open the landing
    /// before you send the user away, so that an occupied port ends the sign-in early.
    pub fn open(redirect_uri: Option<String>) -> Result<Self, Failure> {
        let port = match &redirect_uri {
            None => Some(0),
            Some(uri) => port(uri)?,
        };
        let (sender, events) = channel();
        let listening = port.map(|port| listen(port, sender.clone())).transpose().map_err(|error| {
            Failure::new(format!(
                "cannot listen on 127.0.0.1: {error}; end the other program or name another port"
            ))
        })?;
        let redirect_uri = match (redirect_uri, &listening) {
            (None, Some(listening)) => format!("http://{}/callback", listening.address()),
            (uri, _) => uri.unwrap_or_default(),
        };
        Ok(Self { redirect_uri, events, sender, listening })
    }

    pub fn redirect_uri(&self) -> &str {
        &self.redirect_uri
    }

    pub fn is_listening(&self) -> bool {
        self.listening.is_some()
    }

    /// Passes each callback to `receive` until it accepts one, the sign-in fails, or `deadline` passes.
    /// Returns also the browser that brought the callback, if one did.
    ///
    /// After a suspicious callback, the wait continues: the genuine one may still come.
    pub fn wait<T>(
        &self,
        deadline: SystemTime,
        mut receive: impl FnMut(&str) -> Result<T, Error>,
    ) -> Result<(T, Option<Visitor>), Failure> {
        self.read_lines();
        loop {
            let left = deadline.duration_since(SystemTime::now()).unwrap_or_default();
            let event = self.events.recv_timeout(left);
            let event =
                event.map_err(|_| Failure::new("nobody came back in time: run `token sign-in` again"))?;
            let (callback, visitor) = match event {
                Event::Visit(visitor) if !visitor.asks_for(path(&self.redirect_uri)) => {
                    visitor.show(404, "There is nothing here.");
                    continue;
                }
                Event::Visit(visitor) => (visitor.request.target.clone(), Some(visitor)),
                Event::Line(line) if line.trim().is_empty() => continue,
                Event::Line(line) => (line.trim().to_owned(), None),
                Event::NoMoreLines if self.is_listening() => continue,
                Event::NoMoreLines => {
                    return Err(Failure::new("standard input ended: run `token sign-in` at a terminal"));
                }
            };
            match receive(&callback) {
                Ok(accepted) => return Ok((accepted, visitor)),
                Err(error) if error.advice() == Advice::KeepWaiting => {
                    eprintln!("Still waiting, because that was something else: {error}");
                    if let Some(visitor) = visitor {
                        visitor.show(400, "This is not the expected answer. The program still waits for it.");
                    }
                }
                Err(error) => {
                    if let Some(visitor) = visitor {
                        visitor.show(200, NOT_SIGNED_IN);
                    }
                    return Err(error.into());
                }
            }
        }
    }

    /// Reads what the user pastes, on a thread that ends with the process.
    fn read_lines(&self) {
        let sender = self.sender.clone();
        thread::spawn(move || {
            for line in io::stdin().lines() {
                let line = match line {
                    Ok(line) => line,
                    // Bytes that are no text are no address.
                    Err(error) if error.kind() == ErrorKind::InvalidData => String::new(),
                    // The terminal is gone.
                    Err(_) => break,
                };
                if sender.send(Event::Line(line)).is_err() {
                    return;
                }
            }
            let _ = sender.send(Event::NoMoreLines);
        });
    }
}

/// Returns the port of a redirect URI to listen at; `None` if it is on another machine.
///
/// Only the literal address is listened at: the name `localhost` may lead elsewhere (RFC 8252 §8.3).
fn port(redirect_uri: &str) -> Result<Option<u16>, Failure> {
    let Some(rest) = redirect_uri.strip_prefix("http://") else { return Ok(None) };
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let port =
        authority.strip_prefix("127.0.0.1:").and_then(|port| port.parse().ok()).filter(|port| *port != 0);
    port.map(Some).ok_or_else(|| {
        Failure::usage("--redirect-uri is https, or http://127.0.0.1:PORT/...; see token --help")
    })
}

/// Returns the path of a URL.
fn path(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let path = rest.find(['/', '?']).map_or("", |start| &rest[start..]);
    path.split('?').next().filter(|path| !path.is_empty()).unwrap_or("/")
}

fn listen(port: u16, sender: Sender<Event>) -> io::Result<Listening> {
    web::listen(TcpListener::bind((Ipv4Addr::LOCALHOST, port))?, move |mut connection| {
        if let Ok(Some(mut request)) = connection.read() {
            request.keeps_alive = false;
            // Nobody waits for visitors any more if this fails.
            let _ = sender.send(Event::Visit(Visitor { request, connection }));
        }
    })
}

impl Visitor {
    fn asks_for(&self, expected: &str) -> bool {
        self.request.method == "GET" && path(&self.request.target) == expected
    }

    /// Shows a page of plain text.
    pub fn show(mut self, status: u16, text: &str) {
        let mut reply = Reply::text(status, text);
        // The address holds the code.
        reply.headers.push(("Referrer-Policy", "no-referrer".into()));
        reply.headers.push(("Cache-Control", "no-store".into()));
        // The browser may have disconnected; the sign-in does not depend on the page.
        let _ = self.connection.write(&self.request, &reply);
    }
}
