//! The checks of sign-ins on another device (RFC 8628).

use oauth2_proto::{Client, Request};
use serde_json::Value;
use url::Url;

use crate::answer::Answer;
use crate::check::{Check, Outcome, found, not_offered};
use crate::clients::{Method, NO_SECOND_CLIENT, another};
use crate::target::Target;
use crate::token::{remove_credentials, wrong_secret_is_refused};

pub const CHECKS: &[Check] = &[
    Check::must(
        "device.codes",
        "RFC 8628 3.2",
        "The response contains the device code, the user code and the address for the user.",
        |target| {
            at_endpoint(target, |endpoint| {
                let answer = target.send(&request(target, endpoint)?)?;
                let names = ["device_code", "user_code", "verification_uri"];
                let lacks: Vec<_> = names.into_iter().filter(|name| answer.text(name).is_none()).collect();
                let words =
                    if lacks.is_empty() { "all three".into() } else { format!("no {}", lacks.join(", ")) };
                found(
                    lacks.is_empty() && answer.status == 200 && answer.is_json(),
                    format!("{answer}, {words}"),
                )
            })
        },
    ),
    Check::must(
        "device.expires-in",
        "RFC 8628 3.2",
        "The lifetime of the codes is present, as a positive number of seconds.",
        |target| {
            with_codes(target, |codes| match codes.answer.member("expires_in").map(Value::as_u64) {
                Some(Some(seconds)) => found(seconds > 0, format!("{seconds} s")),
                Some(None) => found(false, "not a whole number"),
                None => found(false, "no lifetime"),
            })
        },
    ),
    Check::must(
        "device.interval",
        "RFC 8628 3.2",
        "The pause between two polls, where it is told, is a number of seconds.",
        |target| {
            with_codes(target, |codes| match codes.answer.member("interval").map(Value::as_u64) {
                Some(Some(seconds)) => found(true, format!("{seconds} s")),
                Some(None) => found(false, "not a whole number"),
                None => not_offered("no interval, which means 5 s"),
            })
        },
    ),
    Check::must(
        "device.complete",
        "RFC 8628 3.2 and 3.3.1",
        "The address that includes the user code, where there is one, does include it.",
        |target| {
            with_codes(target, |codes| {
                let Some(complete) = codes.answer.text("verification_uri_complete") else {
                    return not_offered("no verification_uri_complete");
                };
                let url = Url::parse(complete).map_err(|error| error.to_string())?;
                let in_query = url.query_pairs().any(|(_, value)| value == codes.user_code);
                let holds = in_query || complete.contains(&codes.user_code);
                found(holds, if holds { "with the user code" } else { "without the user code" })
            })
        },
    ),
    Check::must(
        "device.codes-differ",
        "RFC 8628 5.2 and 6.1",
        "Two devices get different codes.",
        |target| {
            with_codes(target, |first| {
                with_codes(target, |second| {
                    let differ =
                        first.device_code != second.device_code && first.user_code != second.user_code;
                    found(differ, if differ { "different" } else { "the same" })
                })
            })
        },
    ),
    Check::must(
        "device.no-credentials",
        "RFC 8628 3.1",
        "A device of a confidential client gets no codes without the secret.",
        |target| {
            at_endpoint(target, |endpoint| {
                let mut request = request(target, endpoint)?;
                request.remove_form_parameter("client_id");
                remove_credentials(target, &mut request)?;
                gives_no_codes(&target.send(&request)?)
            })
        },
    ),
    Check::must(
        "device.wrong-secret",
        "RFC 8628 3.1, RFC 6749 5.2",
        "A device with a wrong client secret is refused with 401 invalid_client and a Basic challenge.",
        |target| at_endpoint(target, |endpoint| wrong_secret_is_refused(target, &request(target, endpoint)?)),
    ),
    Check::must(
        "device.unknown-code",
        "RFC 8628 3.5, RFC 6749 5.2",
        "An unknown device code is refused as invalid_grant.",
        |target| {
            at_endpoint(target, |_| {
                target
                    .send(&poll(target, &target.client, "fake-unknown-code")?)?
                    .refused_as(&["invalid_grant"])
            })
        },
    ),
    Check::must(
        "device.code-missing",
        "RFC 8628 3.4, RFC 6749 5.2",
        "A poll without a device code is refused as invalid_request.",
        |target| {
            at_endpoint(target, |_| {
                let form = [("grant_type", GRANT_TYPE)];
                let request = target.form_post(&target.server.token_endpoint, &form)?;
                target.send(&request)?.refused_as(&["invalid_request"])
            })
        },
    ),
    Check::must(
        "device.pending",
        "RFC 8628 3.5",
        "A poll before the user's decision is answered with authorization_pending.",
        |target| {
            with_codes(target, |codes| {
                let answer = target.send(&poll(target, &target.client, &codes.device_code)?)?;
                answer.refused_as(&["authorization_pending"])
            })
        },
    ),
    Check::must(
        "device.fast",
        "RFC 8628 3.5",
        "Polls without a pause are answered with authorization_pending or slow_down.",
        |target| {
            with_codes(target, |codes| {
                let mut seen = Vec::new();
                for _ in 0..3 {
                    seen.push(target.send(&poll(target, &target.client, &codes.device_code)?)?);
                }
                let known = |answer: &Answer| {
                    answer.status == 400
                        && matches!(answer.text("error"), Some("authorization_pending" | "slow_down"))
                };
                found(
                    seen.iter().all(known),
                    seen.iter().map(Answer::to_string).collect::<Vec<_>>().join(", "),
                )
            })
        },
    ),
    Check::must(
        "device.poll-no-credentials",
        "RFC 8628 3.4",
        "A confidential client gets no tokens for an allowed device without its secret.",
        |target| {
            after_decision(target, true, |codes| {
                let mut request = poll(target, &target.client, &codes.device_code)?;
                remove_credentials(target, &mut request)?;
                target.send(&request)?.refused()
            })
        },
    ),
    Check::must(
        "device.other-client",
        "RFC 8628 3.4, RFC 6749 5.2",
        "A device code of one client brings another client no tokens.",
        |target| {
            at_endpoint(target, |_| {
                let Some(other) = another(target, Method::Basic)? else {
                    return not_offered(NO_SECOND_CLIENT);
                };
                after_decision(target, true, |codes| {
                    target.send(&poll(target, &other, &codes.device_code)?)?.refused()
                })
            })
        },
    ),
    Check::must(
        "device.granted",
        "RFC 8628 3.5",
        "The device gets tokens after the user allows it, and not before.",
        |target| {
            after_decision(target, true, |codes| {
                target.send(&poll(target, &target.client, &codes.device_code)?)?.granted()
            })
        },
    ),
    Check::should(
        "device.once",
        "RFC 8628 3.5, RFC 6749 10.5",
        "A device code brings tokens once.",
        |target| {
            after_decision(target, true, |codes| {
                let request = poll(target, &target.client, &codes.device_code)?;
                target.tokens_of(&request)?;
                target.send(&request)?.refused()
            })
        },
    ),
    Check::must(
        "device.denied",
        "RFC 8628 3.5",
        "After the user refuses, the device is answered with access_denied.",
        |target| {
            after_decision(target, false, |codes| {
                let answer = target.send(&poll(target, &target.client, &codes.device_code)?)?;
                answer.refused_as(&["access_denied"])
            })
        },
    ),
];

const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// What a device knows.
struct Codes {
    answer: Answer,
    device_code: String,
    user_code: String,
    verification_uri: String,
}

fn at_endpoint(target: &Target, check: impl FnOnce(&str) -> Outcome) -> Outcome {
    match &target.server.device_endpoint {
        None => not_offered("no device authorization endpoint"),
        Some(endpoint) => check(endpoint),
    }
}

/// Makes a device authorization request, with a `client_id` as RFC 8628 §3.1 has it.
fn request(target: &Target, endpoint: &str) -> Result<Request, String> {
    let scope = target.server.scopes.join(" ");
    let mut form = vec![("client_id", target.server.client_id.as_str())];
    form.extend((!scope.is_empty()).then_some(("scope", scope.as_str())));
    target.form_post(endpoint, &form)
}

fn poll(target: &Target, client: &Client, device_code: &str) -> Result<Request, String> {
    let form = [("grant_type", GRANT_TYPE), ("device_code", device_code)];
    target.form_post_of(client, &target.server.token_endpoint, &form)
}

/// Starts the sign-in of a device.
fn with_codes(target: &Target, check: impl FnOnce(&Codes) -> Outcome) -> Outcome {
    at_endpoint(target, |endpoint| {
        let answer = target.send(&request(target, endpoint)?)?;
        let text = |name: &str| answer.text(name).map(str::to_owned);
        match (text("device_code"), text("user_code"), text("verification_uri")) {
            (Some(device_code), Some(user_code), Some(verification_uri)) => {
                check(&Codes { answer, device_code, user_code, verification_uri })
            }
            _ => found(false, format!("the request for the codes: {answer}")),
        }
    })
}

/// Starts the sign-in of a device, checks that no tokens come yet, and has the user decide.
fn after_decision(target: &Target, allows: bool, check: impl FnOnce(&Codes) -> Outcome) -> Outcome {
    with_codes(target, |codes| {
        let early = target.send(&poll(target, &target.client, &codes.device_code)?)?;
        if early.access_token().is_some() {
            return found(false, format!("before the user's decision: {early}"));
        }
        target.user.decide_device(&codes.verification_uri, &codes.user_code, allows)?;
        pause(&codes.answer);
        check(codes)
    })
}

/// Waits until the next poll is due.
fn pause(answer: &Answer) {
    let seconds = answer.member("interval").and_then(Value::as_u64).unwrap_or(5);
    std::thread::sleep(std::time::Duration::from_secs(seconds.min(30)));
}

fn gives_no_codes(answer: &Answer) -> Outcome {
    let holds = matches!(answer.status, 400..=499) && answer.text("device_code").is_none();
    found(holds, answer.to_string())
}
