//! Signs in and refreshes with `ureq` 3.

use std::time::Duration;

use http_clients::{Demo, Failure};
use oauth2_proto::{Request, Response};
use ureq::{Agent, http};

/// Sends a request and returns its response, whatever the status.
fn send(agent: &Agent, request: &Request, time: Duration) -> Result<Response<'static>, Failure> {
    let limit = request.response_limit().try_into()?;
    let request = http::Request::try_from(request)?.map(|body| body.expose().to_owned());
    let request = agent
        .configure_request(request)
        .max_redirects(0) // Redirects off: they would carry the code and the secret to another address.
        .http_status_as_error(false) // 4xx is an answer: the body says what is wrong.
        .timeout_global(Some(time))
        .build();
    // Retries off: `ureq` sends each request once.
    let (head, mut body) = agent.run(request)?.into_parts();
    let body = body.with_config().limit(limit).read_to_vec()?; // The body is bounded.
    Ok(Response::new(head.status.as_u16(), &head.headers, &body).into_owned())
}

fn main() -> Result<(), Failure> {
    let agent = Agent::new_with_defaults();
    let time = Duration::from_secs(10);
    let mut demo = Demo::start()?;
    let call = demo.sign_in()?;
    let tokens = call.read(send(&agent, call.request(), time)?)?;
    let refresh = demo.refresh(&tokens)?;
    let tokens = refresh.read(send(&agent, refresh.request(), time)?)?;
    demo.end(&tokens)
}

#[test]
fn keeps_the_rules() -> Result<(), Failure> {
    let agent = Agent::new_with_defaults();
    http_clients::rules::check(|request, time| send(&agent, request, time))
}
