//! A small HTTP/1.1 server for examples and tests: one thread per connection, so that idle keep-alive
//! connections delay no other.
//!
//! Requests are bounded, and have a `Content-Length` if they have a body.

#![allow(dead_code, reason = "each file that includes this one uses a part of it")]

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

const MAX_HEAD: u64 = 64 * 1024;
const MAX_BODY: usize = 64 * 1024;

/// A request as it was received.
#[derive(Debug)]
pub struct Request {
    /// The method, in capitals.
    pub method: String,
    /// The path, with the query if there is one.
    pub target: String,
    /// The headers: names, in any case, and values.
    pub headers: Vec<(String, String)>,
    /// The body, empty if there is none.
    pub body: Vec<u8>,
    /// Whether another request may follow on the connection.
    pub keeps_alive: bool,
}

impl Request {
    /// Returns the value of the first header with this name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let header = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name))?;
        Some(&header.1)
    }
}

/// A response to send.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
    pub delivery: Delivery,
}

/// How much of a response is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// All of it.
    Whole,
    /// The head and the first half of the body; then the connection ends.
    CutOff,
    /// Nothing; the connection stays open until the client closes it.
    Never,
}

impl Reply {
    /// Returns a response with a body of plain text.
    pub fn text(status: u16, body: impl Into<String>) -> Self {
        let headers = vec![("Content-Type", "text/plain; charset=utf-8".to_owned())];
        Self { status, headers, body: body.into(), delivery: Delivery::Whole }
    }
}

/// A connection that a client has opened.
pub struct Connection(BufReader<TcpStream>);

impl Connection {
    /// Reads the next request; `None` if the client has closed the connection between requests.
    pub fn read(&mut self) -> io::Result<Option<Request>> {
        let bad = |what: &str| io::Error::new(ErrorKind::InvalidData, what);
        let mut head = (&mut self.0).take(MAX_HEAD);
        let mut next_line = || {
            let mut line = Vec::new();
            head.read_until(b'\n', &mut line)?;
            let line = String::from_utf8(line).map_err(|_| bad("the head is not UTF-8"))?;
            match (line.strip_suffix("\r\n").or(line.strip_suffix('\n')), line.is_empty()) {
                (Some(line), _) => Ok(Some(line.to_owned())),
                (None, true) => Ok(None),
                (None, false) => Err(bad("the head is too long, or ends early")),
            }
        };
        let Some(first) = next_line()? else { return Ok(None) };
        let mut words = first.split(' ');
        let (Some(method), Some(target), Some(version), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(bad("the first line is no request"));
        };
        let mut headers = Vec::new();
        loop {
            let line = next_line()?.ok_or_else(|| bad("the head ends early"))?;
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':').ok_or_else(|| bad("a header has no colon"))?;
            headers.push((name.to_owned(), value.trim().to_owned()));
        }
        let mut request = Request {
            method: method.to_owned(),
            target: target.to_owned(),
            headers,
            body: Vec::new(),
            keeps_alive: version == "HTTP/1.1",
        };
        request.keeps_alive &=
            !request.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
        if request.header("transfer-encoding").is_some() {
            return Err(bad("a body needs a Content-Length"));
        }
        let length = request.header("content-length").map_or(Ok(0), str::parse);
        let length = length.map_err(|_| bad("the Content-Length is no number"))?;
        if length > MAX_BODY {
            return Err(bad("the body is too long"));
        }
        request.body.resize(length, 0);
        self.0.read_exact(&mut request.body)?;
        Ok(Some(request))
    }

    /// Sends the response to a request, and returns whether the connection can be used for another one.
    pub fn write(&mut self, request: &Request, reply: &Reply) -> io::Result<bool> {
        let keeps_alive = request.keeps_alive && reply.delivery == Delivery::Whole;
        let mut message = format!("HTTP/1.1 {} {}\r\n", reply.status, reason_phrase(reply.status));
        for (name, value) in &reply.headers {
            message += &format!("{name}: {value}\r\n");
        }
        let connection = if keeps_alive { "keep-alive" } else { "close" };
        message += &format!("Content-Length: {}\r\nConnection: {connection}\r\n\r\n", reply.body.len());
        let mut message = message.into_bytes();
        let sent = match reply.delivery {
            Delivery::Whole => reply.body.len(),
            Delivery::CutOff => reply.body.len() / 2,
            Delivery::Never => {
                // Ends when the client, or the server's drop, closes the connection.
                io::copy(&mut self.0, &mut io::sink())?;
                return Ok(false);
            }
        };
        if request.method != "HEAD" {
            message.extend(reply.body.bytes().take(sent));
        }
        self.0.get_mut().write_all(&message)?;
        Ok(keeps_alive)
    }
}

/// Returns the phrase after the status, which clients ignore.
fn reason_phrase(status: u16) -> &'static str {
    match status {
        200..=299 => "OK",
        300..=399 => "Found",
        400..=499 => "Bad Request",
        _ => "Server Error",
    }
}

/// A listener with a thread for each connection; dropping it closes all of them.
pub struct Listening {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    is_stopped: AtomicBool,
    /// The open connections, by a number.
    open: Mutex<HashMap<usize, TcpStream>>,
}

impl Shared {
    fn open(&self) -> MutexGuard<'_, HashMap<usize, TcpStream>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Answers each request by `handle`.
pub fn serve(
    listener: TcpListener,
    handle: impl Fn(&Request) -> Reply + Send + Sync + 'static,
) -> io::Result<Listening> {
    listen(listener, move |mut connection| {
        loop {
            match connection.read() {
                Ok(Some(request)) => {
                    let reply = handle(&request);
                    if !connection.write(&request, &reply).unwrap_or(false) {
                        break;
                    }
                }
                Err(error) if error.kind() == ErrorKind::InvalidData => {
                    let reply = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
                    // The client may have disconnected.
                    let _ = connection.0.get_mut().write_all(reply.as_bytes());
                    break;
                }
                Ok(None) | Err(_) => break,
            }
        }
    })
}

/// Passes each connection to `handle`, on a thread of its own.
pub fn listen(
    listener: TcpListener,
    handle: impl Fn(Connection) + Send + Sync + 'static,
) -> io::Result<Listening> {
    let address = listener.local_addr()?;
    let shared = Arc::new(Shared::default());
    let (known, handle) = (Arc::clone(&shared), Arc::new(handle));
    let accepting = thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let Ok(stream) = stream else { continue };
            let Ok(other) = stream.try_clone() else { continue };
            let _ = stream.set_nodelay(true);
            known.open().insert(number, other);
            // Checked after the insertion, so that a drop misses no connection.
            if known.is_stopped.load(Ordering::SeqCst) {
                break;
            }
            let (known, handle) = (Arc::clone(&known), Arc::clone(&handle));
            thread::spawn(move || {
                handle(Connection(BufReader::new(stream)));
                known.open().remove(&number);
            });
        }
    });
    Ok(Listening { address, shared, accepting: Some(accepting) })
}

impl Listening {
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.shared.is_stopped.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts connections.
        if TcpStream::connect(self.address).is_ok() {
            // Ignores a panic of that thread: a panic during a drop could abort the process.
            let _ = self.accepting.take().map(JoinHandle::join);
        }
        for (_, stream) in self.shared.open().drain() {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}
