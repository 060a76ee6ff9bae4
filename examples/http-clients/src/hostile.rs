//! A token endpoint that answers badly on purpose.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, sleep};
use std::time::Duration;

/// How the server answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A redirect of this status to another path of the server.
    Redirect(u16),
    /// `invalid_grant` with this status.
    Refusal(u16),
    /// Tokens in a body of this many bytes.
    Tokens(usize),
    /// Tokens, and spaces without end.
    Endless,
    /// The same in chunks. HTTP/1.0 has none, so that one gets `Endless`.
    EndlessChunks,
    /// The same with a `Content-Length` that no machine could hold.
    Huge,
    /// Nothing; the connection stays open.
    Silence,
    /// A header without end, a byte at a time.
    SlowHead,
    /// A body, a byte at a time.
    SlowBody,
    /// Nothing; the connection ends after the request.
    Close,
}

/// The server, which lives as long as the process.
pub struct Hostile {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    answer: Mutex<Answer>,
    requests: AtomicUsize,
    sent: AtomicUsize,
}

impl Hostile {
    pub fn start() -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let address = listener.local_addr()?;
        let shared = Shared {
            answer: Mutex::new(Answer::Silence),
            requests: AtomicUsize::new(0),
            sent: AtomicUsize::new(0),
        };
        let server = Self { address, shared: Arc::new(shared) };
        let shared = server.shared.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = shared.clone();
                // An error ends a connection: the client has closed it.
                thread::spawn(move || shared.serve(&stream));
            }
        });
        Ok(server)
    }

    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Answers the next requests like this, and counts from zero.
    pub fn begin(&self, answer: Answer) {
        *self.shared.answer.lock().unwrap_or_else(PoisonError::into_inner) = answer;
        self.shared.requests.store(0, Ordering::SeqCst);
        self.shared.sent.store(0, Ordering::SeqCst);
    }

    /// Returns the number of requests, to any path.
    pub fn requests(&self) -> usize {
        self.shared.requests.load(Ordering::SeqCst)
    }

    /// Returns the number of bytes that were sent without an error.
    pub fn sent(&self) -> usize {
        self.shared.sent.load(Ordering::SeqCst)
    }
}

impl Shared {
    /// Serves a connection until it ends.
    fn serve(&self, stream: &TcpStream) -> io::Result<()> {
        let mut reader = BufReader::new(stream);
        while let Some(version) = read_request(&mut reader)? {
            self.requests.fetch_add(1, Ordering::SeqCst);
            let answer = *self.answer.lock().unwrap_or_else(PoisonError::into_inner);
            self.send(answer, version.ends_with("1.0"), stream)?;
            let is_whole = matches!(answer, Answer::Redirect(_) | Answer::Refusal(_) | Answer::Tokens(_));
            if !is_whole || version.ends_with("1.0") {
                break;
            }
        }
        Ok(())
    }

    fn send(&self, answer: Answer, is_old: bool, mut stream: &TcpStream) -> io::Result<()> {
        let mut send = |bytes: &[u8]| {
            stream.write_all(bytes)?;
            self.sent.fetch_add(bytes.len(), Ordering::SeqCst);
            Ok::<_, io::Error>(())
        };
        let head = |status: u16, header: &str| {
            format!("HTTP/1.1 {status} Whatever\r\nContent-Type: application/json\r\n{header}\r\n")
        };
        match answer {
            Answer::Redirect(status) => {
                send(head(status, "Location: /elsewhere\r\nContent-Length: 0\r\n").as_bytes())
            }
            Answer::Refusal(status) => {
                let length = format!("Content-Length: {}\r\n", REFUSAL.len());
                send((head(status, &length) + REFUSAL).as_bytes())
            }
            Answer::Tokens(length) => {
                let head = head(200, &format!("Content-Length: {length}\r\n"));
                send((head + TOKENS + &" ".repeat(length - TOKENS.len())).as_bytes())
            }
            Answer::EndlessChunks if !is_old => {
                send(head(200, "Transfer-Encoding: chunked\r\n").as_bytes())?;
                send(format!("{:x}\r\n{TOKENS}\r\n", TOKENS.len()).as_bytes())?;
                let piece = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
                (0..MAX_PIECES).try_for_each(|_| send(piece.as_bytes()))
            }
            Answer::Endless | Answer::EndlessChunks => {
                send((head(200, "Connection: close\r\n") + TOKENS).as_bytes())?;
                (0..MAX_PIECES).try_for_each(|_| send(&[b' '; 0x10000]))
            }
            Answer::Huge => {
                send((head(200, "Content-Length: 1000000000000000\r\n") + TOKENS).as_bytes())?;
                (0..MAX_PIECES).try_for_each(|_| send(&[b' '; 0x10000]))
            }
            Answer::Silence => {
                sleep(MAX_PATIENCE);
                Ok(())
            }
            Answer::SlowHead => {
                send(b"HTTP/1.1 200 OK\r\nX-Slow: ")?;
                send_slowly(send)
            }
            Answer::SlowBody => {
                send((head(200, "Content-Length: 1000\r\n") + TOKENS).as_bytes())?;
                send_slowly(send)
            }
            Answer::Close => Ok(()),
        }
    }
}

/// Sends a space from time to time, more often than any limit between two bytes.
fn send_slowly(mut send: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    let pause = Duration::from_millis(50);
    for _ in 0..MAX_PATIENCE.as_millis() / pause.as_millis() {
        send(b" ")?;
        sleep(pause);
    }
    Ok(())
}

/// Reads a request and returns its first line; `None` if the client has closed the connection.
fn read_request(reader: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut first = String::new();
    if reader.read_line(&mut first)? == 0 {
        return Ok(None);
    }
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        match line.trim_end().split_once(": ") {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                length = value.parse().map_err(io::Error::other)?;
            }
            Some(_) => {}
            None => break,
        }
    }
    io::copy(&mut reader.take(length), &mut io::sink())?;
    Ok(Some(first.trim_end().to_owned()))
}

const REFUSAL: &str = r#"{"error":"invalid_grant"}"#;
const TOKENS: &str = r#"{"access_token":"fake-access","token_type":"Bearer","expires_in":900}"#;

/// The end of what has no end, so that a transport without limits fails and does not fill the machine: 256 MiB
/// in pieces of 64 KiB, and 5 seconds.
const MAX_PIECES: usize = 4096;
const MAX_PATIENCE: Duration = Duration::from_secs(5);
