//! The rules notice each setting that is forgotten.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::time::Duration;

use http_clients::{Failure, rules};
use oauth2_proto::{Request, Response};
use ureq::{Agent, config::Config, http};

/// A transport of `ureq`, of which some settings are wrong.
struct Transport {
    max_redirects: u32,
    http_status_as_error: bool,
    is_timed: bool,
    limit: u64,
    tries: usize,
}

/// The settings that keep the rules.
const RIGHT: Transport =
    Transport { max_redirects: 0, http_status_as_error: false, is_timed: true, limit: 1 << 20, tries: 1 };

impl Transport {
    fn send(&self, request: &Request, time: Duration) -> Result<Response<'static>, Failure> {
        let config = Config::builder()
            .max_redirects(self.max_redirects)
            .http_status_as_error(self.http_status_as_error)
            .timeout_global(self.is_timed.then_some(time));
        let agent: Agent = config.build().into();
        let mut answer = Err("no try".into());
        for _ in 0..self.tries {
            answer = self.send_once(&agent, request);
            if answer.is_ok() {
                break;
            }
        }
        answer
    }

    fn send_once(&self, agent: &Agent, request: &Request) -> Result<Response<'static>, Failure> {
        let request = http::Request::try_from(request)?.map(|body| body.expose().to_owned());
        let (head, mut body) = agent.run(request)?.into_parts();
        let body = body.with_config().limit(self.limit).read_to_vec()?;
        Ok(Response::new(head.status.as_u16(), &head.headers, &body).into_owned())
    }
}

#[track_caller]
fn assert_noticed(transport: Transport, violation: &str) {
    let error = rules::check(|request, time| transport.send(request, time)).unwrap_err().to_string();
    assert!(error.starts_with(&format!("the transport {violation}")), "{error}");
}

#[test]
fn the_right_settings_keep_the_rules() {
    rules::check(|request, time| RIGHT.send(request, time)).unwrap();
}

#[test]
fn redirects_are_noticed() {
    assert_noticed(Transport { max_redirects: 10, ..RIGHT }, "follows a redirect");
}

#[test]
fn statuses_as_errors_are_noticed() {
    assert_noticed(Transport { http_status_as_error: true, ..RIGHT }, "makes 4xx or 5xx an error");
}

#[test]
fn a_body_that_is_too_short_is_noticed() {
    assert_noticed(Transport { limit: 1 << 19, ..RIGHT }, "refuses a body that is as long as the limit");
}

#[test]
fn a_body_without_a_bound_is_noticed() {
    assert_noticed(Transport { limit: u64::MAX, ..RIGHT }, "reads a body far behind the limit");
}

#[test]
fn a_missing_time_limit_is_noticed() {
    assert_noticed(Transport { is_timed: false, ..RIGHT }, "waits for a hanging server");
}

#[test]
fn retries_are_noticed() {
    assert_noticed(Transport { tries: 2, ..RIGHT }, "repeats a request after a lost answer");
}
