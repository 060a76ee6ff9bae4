//! Sends the crate's requests with `ureq`.

use std::time::{Duration, SystemTime};

use oauth2_proto::Request;
use ureq::Agent;

use crate::keeper::Answer;

/// Returns an HTTP client that follows no redirects and treats every status as a response.
pub fn agent() -> Agent {
    let config = Agent::config_builder().http_status_as_error(false).max_redirects(0);
    // Uses no proxy: the demonstration runs on loopback.
    config.proxy(None).timeout_global(Some(Duration::from_secs(5))).build().new_agent()
}

/// Sends a request of the crate, and gives up at `until`: a later response is useless.
pub fn send(agent: &Agent, request: &Request, until: SystemTime) -> Option<Answer> {
    let timeout = until.duration_since(SystemTime::now()).ok()?;
    let mut post = agent.post(request.url()).config().timeout_global(Some(timeout)).build();
    for (name, value) in request.headers() {
        post = post.header(name, value);
    }
    let failed = |error: ureq::Error| eprintln!("no answer from {}: {error}", request.url());
    let mut response = post.send(request.body()).map_err(failed).ok()?;
    let headers = response.headers().iter();
    let headers = headers.map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect();
    let limit = u64::try_from(request.response_limit()).unwrap_or(u64::MAX);
    let body = response.body_mut().with_config().limit(limit).read_to_vec().map_err(failed).ok()?;
    Some((response.status().as_u16(), headers, body))
}
