//! Does the HTTP and the waiting that the crate leaves to the program.

use std::cell::Cell;
use std::thread;
use std::time::{Duration, SystemTime};

use oauth2_proto::keeper::blocking::Runtime;
use oauth2_proto::{Request, Response};
use ureq::{Agent, http};

/// The HTTP client, and how long the keeper has waited so far.
pub struct Http {
    agent: Agent,
    waited: Cell<Duration>,
}

impl Http {
    pub fn new() -> Self {
        Self { agent: Agent::new_with_defaults(), waited: Cell::default() }
    }

    /// Sends a request and returns its response, whatever the status. See `examples/http-clients`.
    pub fn post(&self, request: &Request, time: Duration) -> Result<Response<'static>, ureq::Error> {
        let limit = u64::try_from(request.response_limit()).unwrap_or(u64::MAX);
        let request = http::Request::try_from(request)?.map(|body| body.expose().to_owned());
        let request = self
            .agent
            .configure_request(request)
            .max_redirects(0)
            .http_status_as_error(false)
            .timeout_global(Some(time))
            .build();
        let (head, mut body) = self.agent.run(request)?.into_parts();
        let body = body.with_config().limit(limit).read_to_vec()?;
        Ok(Response::new(head.status.as_u16(), &head.headers, &body).into_owned())
    }
}

impl Runtime for Http {
    fn send(&self, request: &Request, until: SystemTime) -> Option<Response<'static>> {
        self.post(request, until.duration_since(SystemTime::now()).ok()?).ok()
    }

    /// Waits, and says so once if it takes long.
    fn sleep(&self, until: SystemTime) {
        let time = until.duration_since(SystemTime::now()).unwrap_or_default();
        let (before, after) = (self.waited.get(), self.waited.get() + time);
        if before < PATIENCE && PATIENCE <= after {
            eprintln!("token: waiting for a refresh of another process, or for the end of a pause ...");
        }
        self.waited.set(after);
        thread::sleep(time);
    }
}

/// The time for which a person waits without asking why.
const PATIENCE: Duration = Duration::from_secs(1);
