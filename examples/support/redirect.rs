//! Where the browser comes back to: a listener on a loopback redirect URI (RFC 8252 §7.3), or the terminal.

use std::io::Write;

use oauth2_proto::{Error, ErrorKind};
use tiny_http::{Response, Server};
use url::{Host, Url};

/// Hands each callback to `receive` until one is accepted or the sign-in is over.
///
/// A suspicious callback does not end the wait: the real one is still to come.
pub fn wait<T>(redirect_uri: &str, receive: impl FnMut(&str) -> Result<T, Error>) -> Result<T, String> {
    let url = Url::parse(redirect_uri).map_err(|error| format!("{redirect_uri}: {error}"))?;
    let loopback = match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    if url.scheme() == "http" && loopback { listen(&url, receive) } else { paste(receive) }
}

fn listen<T>(url: &Url, mut receive: impl FnMut(&str) -> Result<T, Error>) -> Result<T, String> {
    let host = url.host_str().unwrap_or("127.0.0.1");
    let address = format!("{host}:{}", url.port_or_known_default().unwrap_or(80));
    let server = Server::http(&address).map_err(|error| format!("cannot listen on {address}: {error}"))?;
    println!("Waiting for the browser on {address}.");
    for request in server.incoming_requests() {
        let path = request.url().split('?').next().unwrap_or_default();
        if path != url.path() {
            answer(request, 404, "There is nothing here.");
            continue;
        }
        match receive(request.url()) {
            Ok(accepted) => {
                answer(request, 200, "You are signed in. You can close this window.");
                return Ok(accepted);
            }
            Err(error) if goes_on(&error) => {
                answer(request, 400, "This is not the answer that was waited for.");
                eprintln!("{error}");
            }
            Err(error) => {
                answer(request, 200, "You are not signed in. You can close this window.");
                return Err(error.to_string());
            }
        }
    }
    Err("the listener ended".to_owned())
}

fn paste<T>(mut receive: impl FnMut(&str) -> Result<T, Error>) -> Result<T, String> {
    loop {
        print!("Paste the URL that your browser ends at: ");
        let _ = std::io::stdout().flush();
        let mut line = String::new();
        match std::io::stdin().read_line(&mut line) {
            Ok(0) => return Err("no callback was given".to_owned()),
            Ok(_) => {}
            Err(error) => return Err(format!("standard input: {error}")),
        }
        match receive(line.trim()) {
            Ok(accepted) => return Ok(accepted),
            Err(error) if goes_on(&error) => eprintln!("{error}"),
            Err(error) => return Err(error.to_string()),
        }
    }
}

/// Whether the real callback may still come.
fn goes_on(error: &Error) -> bool {
    let too_late = error.retry() == oauth2_proto::Retry::Reauthorize;
    matches!(error.kind(), ErrorKind::Suspect | ErrorKind::Invalid) && !too_late
}

fn answer(request: tiny_http::Request, status: u16, text: &str) {
    // The browser may have gone; the sign-in does not depend on what it shows.
    let _ = request.respond(Response::from_string(text).with_status_code(status));
}
