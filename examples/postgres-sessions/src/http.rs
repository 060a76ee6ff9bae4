//! Sends the crate's requests with `ureq`, and sleeps.

use std::thread;
use std::time::{Duration, SystemTime};

use oauth2_proto::keeper::Refreshed;
use oauth2_proto::keeper::blocking::Runtime;
use oauth2_proto::{Request, Response};
use ureq::{Agent, http};

/// What the keeper needs of this program.
#[derive(Clone)]
pub struct Ureq(pub Agent);

impl Ureq {
    /// Returns an HTTP client that follows no redirects and treats every status as a response.
    pub fn new() -> Self {
        let config = Agent::config_builder().http_status_as_error(false).max_redirects(0);
        // Uses no proxy: the demonstration runs on loopback.
        Self(config.proxy(None).timeout_global(Some(Duration::from_secs(5))).build().new_agent())
    }

    fn try_send(&self, request: &Request, timeout: Duration) -> Result<Response<'static>, ureq::Error> {
        let post = http::Request::try_from(request)?.map(|body| body.expose().to_owned());
        let post = self.0.configure_request(post).timeout_global(Some(timeout)).build();
        let (head, mut body) = self.0.run(post)?.into_parts();
        let limit = u64::try_from(request.response_limit()).unwrap_or(u64::MAX);
        let body = body.with_config().limit(limit).read_to_vec()?;
        Ok(Response::new(head.status.as_u16(), &head.headers, &body).into_owned())
    }
}

impl Runtime for Ureq {
    fn send(&self, request: &Request, until: SystemTime) -> Option<Response<'static>> {
        let timeout = until.duration_since(SystemTime::now()).ok()?;
        let failed = |error: &ureq::Error| eprintln!("no answer from {}: {error}", request.url());
        self.try_send(request, timeout).inspect_err(failed).ok()
    }

    fn sleep(&self, until: SystemTime) {
        thread::sleep(until.duration_since(SystemTime::now()).unwrap_or_default());
    }

    fn refreshed(&self, key: &str, outcome: Refreshed) {
        if !matches!(outcome, Refreshed::Done(_)) {
            eprintln!("{key}: {outcome}");
        }
    }
}
