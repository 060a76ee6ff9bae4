//! Kills this process with SIGKILL in the middle of a refresh, at a chosen point.

use std::fmt;
use std::io::Write;
use std::net::TcpStream;
use std::process::{Command, id};
use std::str::FromStr;
use std::thread;
use std::time::SystemTime;

use oauth2_proto::keeper::blocking::Runtime;
use oauth2_proto::{Request, Response};

use crate::Failure;
use crate::http::Ureq;

/// The number of the signal `SIGKILL`.
pub const SIGKILL: i32 = 9;

/// The point of a refresh at which the process dies.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Point {
    /// The claim is saved, and no request was sent.
    Claim,
    /// The request is sent, and the response is not read.
    Sent,
    /// The response has arrived, and nothing of it is saved.
    Answered,
}

impl Point {
    /// Returns whether the server may already have replaced the tokens at this point.
    pub fn is_in_the_window(self) -> bool {
        self != Self::Claim
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Claim => "claim",
            Self::Sent => "sent",
            Self::Answered => "answered",
        })
    }
}

impl FromStr for Point {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Self, Failure> {
        let points = [Self::Claim, Self::Sent, Self::Answered];
        let point = points.into_iter().find(|point| point.to_string() == text);
        point.ok_or_else(|| "the points to die at are claim, sent and answered".into())
    }
}

/// Sends requests like [`Ureq`], unless the process is to die at a point of the first one.
pub struct Mortal {
    pub http: Ureq,
    pub die_at: Option<Point>,
}

impl Runtime for Mortal {
    fn send(&self, request: &Request, until: SystemTime) -> Option<Response<'static>> {
        let Some(point) = self.die_at else { return self.http.send(request, until) };
        match point {
            Point::Claim => {}
            Point::Sent => send_only(request).expect("the server listens"),
            Point::Answered => {
                self.http.send(request, until).expect("the server answers");
            }
        }
        // Uses a shell, because the standard library cannot send a signal.
        let killed = Command::new("sh").args(["-c", &format!("kill -KILL {}", id())]).status();
        killed.expect("there is a shell");
        loop {
            thread::park();
        }
    }

    fn sleep(&self, until: SystemTime) {
        self.http.sleep(until);
    }
}

/// Sends the request without reading the response.
fn send_only(request: &Request) -> Result<(), Failure> {
    let rest = request.url().strip_prefix("http://").ok_or("the server is on loopback")?;
    let (host, path) = rest.split_once('/').ok_or("the token endpoint has a path")?;
    let mut message = format!("{} /{path} HTTP/1.1\r\nhost: {host}\r\n", request.method());
    for (name, value) in request.headers() {
        message += &format!("{name}: {value}\r\n");
    }
    message += &format!("content-length: {}\r\n\r\n{}", request.body().len(), request.body());
    Ok(TcpStream::connect(host)?.write_all(message.as_bytes())?)
}
