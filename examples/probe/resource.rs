//! The checks of a protected resource.

use oauth2_proto::{Request, Secret};

use crate::check::{Check, Outcome, found, not_offered};
use crate::target::Target;

pub const CHECKS: &[Check] = &[
    Check::must(
        "resource.unknown-token",
        "RFC 6750 3",
        "An unknown access token is refused with a challenge.",
        |target| {
            with_resource(target, |request| {
                request.set_header("authorization", "Bearer fake-unknown-token");
                let answer = target.send(request)?;
                let challenge = answer.header("www-authenticate").is_some();
                let word = if challenge { "with" } else { "without" };
                found(
                    matches!(answer.status, 400..=499) && challenge,
                    format!("{} {word} a challenge", answer.status),
                )
            })
        },
    ),
    Check::should(
        "resource.token-in-url",
        "RFC 9700 4.3.2",
        "An access token in the URL is refused.",
        |target| {
            with_resource(target, |request| {
                let token = target.tokens()?.access_token;
                request.set_url(format!("{}?access_token={}", request.url(), escaped(&token)));
                let status = target.send(request)?.status;
                found(matches!(status, 400..=499), format!("status {status}"))
            })
        },
    ),
];

fn with_resource(target: &Target, check: impl FnOnce(&mut Request) -> Outcome) -> Outcome {
    match &target.server.resource_endpoint {
        None => not_offered("no resource endpoint"),
        Some(endpoint) => check(&mut Request::new("GET", endpoint.as_str())),
    }
}

fn escaped(token: &Secret) -> String {
    url::form_urlencoded::byte_serialize(token.expose().as_bytes()).collect()
}
