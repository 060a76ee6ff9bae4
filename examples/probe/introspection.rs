//! The checks of the introspection endpoint (RFC 7662).

use std::time::{SystemTime, UNIX_EPOCH};

use oauth2_proto::Secret;
use serde_json::Value;

use crate::answer::Answer;
use crate::check::{Check, Outcome, found, not_offered};
use crate::target::Target;
use crate::token::wrong_secret_is_refused;

pub const CHECKS: &[Check] = &[
    Check::must("introspection.live", "RFC 7662 2.2", "A valid access token is active.", |target| {
        introspects(target, &target.tokens()?.access_token, true)
    }),
    Check::must(
        "introspection.unknown",
        "RFC 7662 2.2",
        "An unknown token is reported as inactive, with status 200.",
        |target| introspects(target, &Secret::new("fake-unknown-token"), false),
    ),
    Check::must(
        "introspection.no-credentials",
        "RFC 7662 2.1",
        "Introspection without credentials does not report a token as active.",
        |target| {
            at_endpoint(target, |endpoint| {
                let token = target.tokens()?.access_token;
                let mut request = target.form_post(endpoint, &[("token", token.expose())])?;
                request.remove_header("authorization");
                let answer = target.send(&request)?;
                found(active(&answer) != Some(true), answer.to_string())
            })
        },
    ),
    Check::must(
        "introspection.wrong-secret",
        "RFC 7662 2.3, RFC 6749 5.2",
        "Introspection with a wrong client secret is refused with 401 invalid_client and a Basic challenge.",
        |target| {
            at_endpoint(target, |endpoint| {
                wrong_secret_is_refused(target, &target.form_post(endpoint, UNKNOWN)?)
            })
        },
    ),
    Check::must(
        "introspection.json",
        "RFC 7662 2.2",
        "The response is a JSON object of the type application/json.",
        |target| {
            with_live(target, |answer| {
                let word = if answer.is_json() { "of" } else { "not of" };
                found(answer.is_json(), format!("{answer}, {word} the type application/json"))
            })
        },
    ),
    Check::must(
        "introspection.revoked",
        "RFC 7662 2.2 and 4",
        "A revoked access token is not active.",
        revoked,
    ),
    Check::should(
        "introspection.inactive-bare",
        "RFC 7662 2.2",
        "The response about an inactive token contains nothing else about it.",
        |target| {
            at_endpoint(target, |endpoint| {
                let answer = target.send(&target.form_post(endpoint, UNKNOWN)?)?;
                let known = ["client_id", "exp", "iat", "scope", "sub", "token_type", "username"];
                let told: Vec<_> = known.into_iter().filter(|name| answer.member(name).is_some()).collect();
                found(told.is_empty(), if told.is_empty() { "only active".into() } else { told.join(", ") })
            })
        },
    ),
    Check::must(
        "introspection.exp",
        "RFC 7662 2.2, RFC 7519 2",
        "The expiry of a valid token, where it is told, is a number of seconds in the future.",
        |target| {
            with_live(target, |answer| {
                let Some(exp) = answer.member("exp") else { return not_offered("no exp") };
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
                match exp.as_f64() {
                    None => found(false, "not a number"),
                    Some(exp) => found(exp > now, format!("in {:.0} s", exp - now)),
                }
            })
        },
    ),
    Check::must(
        "introspection.client-id",
        "RFC 7662 2.2",
        "The client of a valid token, where it is told, is the client that the token was issued to.",
        |target| {
            with_live(target, |answer| match answer.member("client_id") {
                None => not_offered("no client_id"),
                Some(given) if *given == *target.server.client_id => found(true, "the same"),
                Some(_) => found(false, "another client_id"),
            })
        },
    ),
    Check::must(
        "introspection.scope",
        "RFC 7662 2.2, RFC 6749 5.1",
        "The scope of a valid token, where it is told, contains no more than the granted scope.",
        |target| {
            with_live(target, |answer| {
                let Some(scope) = answer.text("scope") else { return not_offered("no scope") };
                let asked = target.server.scopes.join(" ");
                let granted = target.first.text("scope").unwrap_or(&asked);
                let mut words = scope.split(' ');
                let holds = words.all(|word| granted.split(' ').any(|known| known == word));
                found(holds, if holds { "no more" } else { "more" })
            })
        },
    ),
    Check::must(
        "introspection.token-missing",
        "RFC 7662 2.1 and 2.3",
        "A request without a token is refused.",
        |target| {
            at_endpoint(target, |endpoint| {
                let form = [("token_type_hint", "access_token")];
                let answer = target.send(&target.form_post(endpoint, &form)?)?;
                found(matches!(answer.status, 400..=499), answer.to_string())
            })
        },
    ),
    Check::should(
        "introspection.get",
        "RFC 7662 2.1 and 4",
        "A request by GET, with the token in the URL, is refused.",
        |target| {
            at_endpoint(target, |endpoint| {
                let token = target.tokens()?.access_token;
                let mut request = target.form_post(endpoint, &[("token", token.expose())])?;
                request.set_method("GET");
                request.set_url(format!("{endpoint}?{}", request.body()));
                request.set_body("");
                let answer = target.send(&request)?;
                found(matches!(answer.status, 400..=499), answer.to_string())
            })
        },
    ),
];

const UNKNOWN: &[(&str, &str)] = &[("token", "fake-unknown-token")];

fn at_endpoint(target: &Target, check: impl FnOnce(&str) -> Outcome) -> Outcome {
    match &target.server.introspection_endpoint {
        None => not_offered("no introspection endpoint"),
        Some(endpoint) => check(endpoint),
    }
}

/// Passes the response about a valid access token to `check`.
fn with_live(target: &Target, check: impl FnOnce(&Answer) -> Outcome) -> Outcome {
    at_endpoint(target, |endpoint| {
        let token = target.tokens()?.access_token;
        check(&target.send(&target.form_post(endpoint, &[("token", token.expose())])?)?)
    })
}

fn active(answer: &Answer) -> Option<bool> {
    answer.member("active").and_then(Value::as_bool)
}

fn introspects(target: &Target, token: &Secret, expected: bool) -> Outcome {
    at_endpoint(target, |endpoint| {
        let answer = target.send(&target.form_post(endpoint, &[("token", token.expose())])?)?;
        let word = match active(&answer) {
            Some(true) => "active",
            Some(false) => "not active",
            None => "without active",
        };
        let holds = answer.status == 200 && active(&answer) == Some(expected);
        found(holds, format!("{}, {word}", answer.status))
    })
}

fn revoked(target: &Target) -> Outcome {
    at_endpoint(target, |endpoint| {
        let Some(revocation) = &target.server.revocation_endpoint else {
            return not_offered("no revocation endpoint");
        };
        let token = target.tokens()?.access_token;
        let form = [("token", token.expose())];
        let answer = target.send(&target.form_post(revocation, &form)?)?;
        if answer.status != 200 {
            return not_offered(format!("the revocation: {answer}"));
        }
        let answer = target.send(&target.form_post(endpoint, &form)?)?;
        let holds = active(&answer) == Some(false);
        found(holds, if holds { "not active" } else { "active, or no JSON object" })
    })
}
