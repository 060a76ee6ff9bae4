//! The checks of pushed authorization requests (RFC 9126).

use oauth2_proto::Request;
use serde_json::Value;

use crate::answer::{Answer, End};
use crate::authorization::without_pkce;
use crate::check::{Check, Outcome, found, not_offered};
use crate::clients::{Method, NO_SECOND_CLIENT, another};
use crate::target::{Attempt, Parameters, Target};
use crate::token::{remove_credentials, wrong_secret_is_refused};

pub const CHECKS: &[Check] = &[
    Check::must(
        "pushed.created",
        "RFC 9126 2.2",
        "A push is answered with the status 201 and a JSON object that contains the request_uri.",
        |target| {
            with_push(target, |_, answer| {
                found(answer.status == 201 && answer.is_json(), shown(answer, "a request_uri"))
            })
        },
    ),
    Check::must(
        "pushed.expires-in",
        "RFC 9126 2.2",
        "The lifetime of the request_uri is present, as a positive number of seconds.",
        |target| {
            with_push(target, |_, answer| match answer.member("expires_in").map(Value::as_u64) {
                Some(Some(seconds)) => found(seconds > 0, format!("{seconds} s")),
                Some(None) => found(false, "not a whole number"),
                None => found(false, "no lifetime"),
            })
        },
    ),
    Check::must(
        "pushed.differs",
        "RFC 9126 2.2 and 7.1",
        "Two pushes of one request bring different request_uris.",
        |target| {
            with_push(target, |attempt, first| {
                let second = target.send(&push(target, &attempt.parameters)?)?;
                let differ = second.text("request_uri") != first.text("request_uri");
                found(differ, if differ { "different" } else { "the same" })
            })
        },
    ),
    Check::must(
        "pushed.works",
        "RFC 9126 4",
        "A request with only the client_id and the request_uri brings a code, and the code tokens.",
        |target| {
            with_reference(target, |mut attempt, reference| {
                let end = target.user.sign_in(&attempt.url_with(&reference), &target.server.redirect_uri)?;
                match end {
                    End::Redirect(callback) if callback.one("code").is_some() => {
                        let callback = oauth2_proto::Callback::url(&callback.url);
                        target.send(attempt.receive(&target.client, callback)?.request())?.granted()
                    }
                    end => found(false, end.to_string()),
                }
            })
        },
    ),
    Check::should("pushed.once", "RFC 9126 4 and 7.3", "A request_uri works once.", |target| {
        with_reference(target, |attempt, reference| {
            let url = attempt.url_with(&reference);
            let first = target.user.sign_in(&url, &target.server.redirect_uri)?;
            if first.callback().and_then(|callback| callback.one("code")).is_none() {
                return Err(format!("the first use ended at a {first}"));
            }
            target.user.try_out(&url, &[&target.server.redirect_uri])?.refused()
        })
    }),
    Check::must(
        "pushed.outer-redirect-uri",
        "RFC 9126 4, RFC 9101 6.3",
        "A redirect URI beside the request_uri does not replace the pushed one.",
        |target| {
            with_reference(target, |attempt, mut reference| {
                let wrong = "https://probe.invalid/callback";
                reference.add("redirect_uri", wrong);
                let stops = [wrong, &target.server.redirect_uri];
                match target.user.try_out(&attempt.url_with(&reference), &stops)? {
                    End::Redirect(callback) if callback.url.starts_with(wrong) => {
                        found(false, "the browser was sent to the other redirect URI")
                    }
                    end => found(true, end.to_string()),
                }
            })
        },
    ),
    Check::must("pushed.unknown-uri", "RFC 9126 4", "An unknown request_uri is refused.", |target| {
        with_reference(target, |attempt, mut reference| {
            let unknown = format!("{}fake", reference.get("request_uri"));
            reference.set("request_uri", &unknown);
            tried(target, &attempt, &reference)?.refused()
        })
    }),
    Check::must(
        "pushed.other-client",
        "RFC 9126 2.2",
        "A request_uri does not work with the client_id of another client.",
        |target| {
            with_reference(target, |attempt, mut reference| {
                let Some(other) = another(target, Method::Basic)? else {
                    return not_offered(NO_SECOND_CLIENT);
                };
                reference.set("client_id", other.client_id());
                tried(target, &attempt, &reference)?.refused()
            })
        },
    ),
    Check::must(
        "pushed.unknown-client",
        "RFC 9126 2.2 and 4",
        "A request_uri does not work with an unknown client_id.",
        |target| {
            with_reference(target, |attempt, mut reference| {
                reference.set("client_id", "fake-unknown-client");
                tried(target, &attempt, &reference)?.refused()
            })
        },
    ),
    Check::must(
        "pushed.request-uri-inside",
        "RFC 9126 2.1",
        "A pushed request that contains a request_uri is refused.",
        |target| {
            with_reference(target, |attempt, reference| {
                let mut parameters = attempt.parameters.clone();
                parameters.set("request_uri", reference.get("request_uri"));
                refuses(&target.send(&push(target, &parameters)?)?)
            })
        },
    ),
    Check::must(
        "pushed.no-credentials",
        "RFC 9126 2.1",
        "A push of a confidential client without its secret is refused.",
        |target| {
            at_endpoint(target, |_| {
                let mut request = push(target, &target.attempt()?.parameters)?;
                request.remove_form_parameter("client_id");
                remove_credentials(target, &mut request)?;
                refuses(&target.send(&request)?)
            })
        },
    ),
    Check::must(
        "pushed.wrong-secret",
        "RFC 9126 2.3, RFC 6749 5.2",
        "A push with a wrong client secret is refused with 401 invalid_client and a Basic challenge.",
        |target| {
            at_endpoint(target, |_| {
                wrong_secret_is_refused(target, &push(target, &target.attempt()?.parameters)?)
            })
        },
    ),
    Check::should(
        "pushed.client-id-differs",
        "RFC 9126 2.1, RFC 6749 2.3",
        "A push with the client_id of another client than that of the credentials is refused.",
        |target| changed_is_refused(target, |it| it.set("client_id", "fake-unknown-client")),
    ),
    Check::should(
        "pushed.redirect-uri",
        "RFC 9126 2.1 and 2.4",
        "An unregistered redirect URI is refused; for a client with credentials, it may be accepted.",
        |target| changed_is_refused(target, |it| it.set("redirect_uri", "https://probe.invalid/callback")),
    ),
    Check::must(
        "pushed.response-type",
        "RFC 9126 2.1",
        "A pushed request is validated: an unknown response type is refused.",
        |target| changed_is_refused(target, |it| it.set("response_type", "fake-type")),
    ),
    Check::should(
        "pushed.pkce-required",
        "RFC 9126 2.1, RFC 9700 2.1.1",
        "A pushed request without a code challenge is refused.",
        |target| changed_is_refused(target, without_pkce),
    ),
    Check::must(
        "pushed.error-json",
        "RFC 9126 2.3",
        "An error response has a status from 400 on and is a JSON object with an error code.",
        |target| {
            at_endpoint(target, |_| {
                let mut parameters = target.attempt()?.parameters;
                parameters.set("response_type", "fake-type");
                let answer = target.send(&push(target, &parameters)?)?;
                let holds = matches!(answer.status, 400..=499) && answer.is_json();
                found(holds && answer.text("error").is_some(), shown(&answer, "an error code"))
            })
        },
    ),
    Check::should("pushed.get", "RFC 9126 2.3", "A push by GET is refused.", |target| {
        at_endpoint(target, |endpoint| {
            let mut request = push(target, &target.attempt()?.parameters)?;
            request.set_method("GET");
            request.set_url(format!("{endpoint}?{}", request.body()));
            request.set_body("");
            refuses(&target.send(&request)?)
        })
    }),
];

fn at_endpoint(target: &Target, check: impl FnOnce(&str) -> Outcome) -> Outcome {
    match &target.server.pushed_endpoint {
        None => not_offered("no pushed authorization request endpoint"),
        Some(endpoint) => check(endpoint),
    }
}

/// Makes the request that pushes these parameters.
pub fn push(target: &Target, parameters: &Parameters) -> Result<Request, String> {
    let endpoint = target.server.pushed_endpoint.as_deref().ok_or("no endpoint for pushed requests")?;
    let pairs: Vec<_> = parameters.0.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    target.form_post(endpoint, &pairs)
}

/// Pushes a valid request, and passes it to `check` with the answer.
fn with_push(target: &Target, check: impl FnOnce(Attempt, &Answer) -> Outcome) -> Outcome {
    at_endpoint(target, |_| {
        let attempt = target.attempt()?;
        let answer = target.send(&push(target, &attempt.parameters)?)?;
        match answer.text("request_uri") {
            Some(_) => check(attempt, &answer),
            None => found(false, format!("the push: {answer}")),
        }
    })
}

/// Pushes a valid request, and passes it to `check` with the parameters that refer to it.
fn with_reference(target: &Target, check: impl FnOnce(Attempt, Parameters) -> Outcome) -> Outcome {
    with_push(target, |attempt, answer| check(attempt, reference(target, answer)))
}

/// Returns the parameters that refer to a pushed request.
pub fn reference(target: &Target, answer: &Answer) -> Parameters {
    let request_uri = answer.text("request_uri").unwrap_or_default();
    let pairs = [("client_id", target.server.client_id.as_str()), ("request_uri", request_uri)];
    Parameters(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into())
}

fn tried(target: &Target, attempt: &Attempt, parameters: &Parameters) -> Result<End, String> {
    target.user.try_out(&attempt.url_with(parameters), &[&target.server.redirect_uri])
}

fn changed_is_refused(target: &Target, change: impl FnOnce(&mut Parameters)) -> Outcome {
    at_endpoint(target, |_| {
        let mut parameters = target.attempt()?.parameters;
        change(&mut parameters);
        refuses(&target.send(&push(target, &parameters)?)?)
    })
}

/// Finds whether a push was refused with a 4xx status and without a request_uri.
pub fn refuses(answer: &Answer) -> Outcome {
    let holds = matches!(answer.status, 400..=499) && answer.text("request_uri").is_none();
    found(holds, answer.to_string())
}

fn shown(answer: &Answer, member: &str) -> String {
    let word = if answer.is_json() { "of" } else { "not of" };
    format!("{answer}, expected {member}, {word} the type application/json")
}
