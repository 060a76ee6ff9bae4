//! Does the HTTP that the crate leaves to the program, with `ureq`.

#![allow(dead_code, reason = "each file that includes this one uses a part of it")]

use std::time::{Duration, SystemTime};

use oauth2_proto::Request;
use ureq::{Agent, Proxy};
use url::{Host, Url};

/// A status, header pairs and a body.
pub type Answer = (u16, Vec<(String, Vec<u8>)>, Vec<u8>);

/// Sends a request of the crate, with its settings for redirects and the response's size.
pub fn send(request: &Request) -> Result<Answer, String> {
    send_within(request, Duration::from_secs(30))
}

/// Sends a request like `send`, and gives up at this time.
pub fn send_until(request: &Request, until: SystemTime) -> Result<Answer, String> {
    send_within(request, until.duration_since(SystemTime::now()).unwrap_or_default())
}

/// Sends a request like `send`, and gives up after this time.
pub fn send_within(request: &Request, time: Duration) -> Result<Answer, String> {
    // Errors omit the query, which may contain a secret.
    let (address, _) = request.url().split_once('?').unwrap_or((request.url(), ""));
    let failed = |error: ureq::Error| format!("no answer from {address}: {error}");
    let mut message = ureq::http::Request::builder().method(request.method()).uri(request.url());
    for (name, value) in request.headers() {
        message = message.header(name, value);
    }
    let message = message.body(request.body()).map_err(|error| failed(error.into()))?;
    let mut response = agent(request.url(), time).run(message).map_err(failed)?;
    let headers = response.headers().iter();
    let headers = headers.map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect();
    let limit = u64::try_from(request.response_limit()).unwrap_or(u64::MAX);
    let body = response.body_mut().with_config().limit(limit).read_to_vec().map_err(failed)?;
    Ok((response.status().as_u16(), headers, body))
}

/// Opens a URL like the browser of a user who always consents, and returns the redirect's target.
pub fn follow(url: &str) -> Result<String, String> {
    let (address, _) = url.split_once('?').unwrap_or((url, ""));
    let answer = agent(url, Duration::from_secs(30)).get(url).call();
    let response = answer.map_err(|error| format!("no answer from {address}: {error}"))?;
    let location = response.headers().get("location").and_then(|value| value.to_str().ok());
    location.map(str::to_owned).ok_or(format!("status {} and no redirect", response.status().as_u16()))
}

/// Returns whether a URL leads to this machine.
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

fn agent(url: &str, time: Duration) -> Agent {
    // A proxy would resolve a loopback address on its own machine.
    let local = Url::parse(url).is_ok_and(|url| is_loopback(&url));
    let proxy = if local { None } else { Proxy::try_from_env() };
    let config = Agent::config_builder().http_status_as_error(false).max_redirects(0).proxy(proxy);
    config.timeout_global(Some(time)).build().new_agent()
}
