//! Signs in and refreshes without an HTTP library, at a server on this machine.
//!
//! HTTP/1.0 has no chunks and no second request on a connection, so the answer ends where the connection does.

#![allow(clippy::disallowed_methods, reason = "a program has a clock; the crate has none")]

use std::io::{self, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use http_clients::{Demo, Failure};
use oauth2_proto::{Request, Response};

/// Sends a request and returns its response, whatever the status.
fn send(request: &Request, time: Duration) -> Result<Response<'static>, Failure> {
    let url = request.url().strip_prefix("http://").ok_or("https needs TLS around the stream")?;
    let (host, target) = url.split_once('/').ok_or("the URL has no path")?;
    let (mut stream, end) = (TcpStream::connect(host)?, Instant::now() + time);
    stream.set_read_timeout(Some(time))?;
    let mut head = format!("{} /{target} HTTP/1.0\r\nhost: {host}\r\n", request.method());
    head.extend(request.headers().map(|(name, value)| format!("{name}: {value}\r\n")));
    write!(stream, "{head}content-length: {}\r\n\r\n{}", request.body().len(), request.body())?;
    // The body is bounded: the rest is left unread, and `Call::read` refuses a body beyond the limit. 64 KiB are
    // for the head.
    let bytes = BufReader::new(stream).bytes().take(65_536 + request.response_limit());
    let in_time = |byte| if Instant::now() < end { byte } else { Err(ErrorKind::TimedOut.into()) };
    let answer = String::from_utf8_lossy(&bytes.map(in_time).collect::<io::Result<Vec<_>>>()?).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("the connection ended early")?;
    // Redirects and retries off, and 4xx is an answer: this function is all there is.
    let (status, headers) = (head.get(9..12), head.lines().filter_map(|line| line.split_once(':')));
    Ok(Response::new(status.ok_or("no status")?.parse()?, headers, body.as_bytes()).into_owned())
}

fn main() -> Result<(), Failure> {
    let time = Duration::from_secs(10);
    let mut demo = Demo::start()?;
    let call = demo.sign_in()?;
    let tokens = call.read(send(call.request(), time)?)?;
    let refresh = demo.refresh(&tokens)?;
    let tokens = refresh.read(send(refresh.request(), time)?)?;
    demo.end(&tokens)
}

#[test]
fn keeps_the_rules() -> Result<(), Failure> {
    http_clients::rules::check(send)
}
