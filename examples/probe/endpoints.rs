//! The checks of the other endpoints: revocation, introspection, a resource, and the metadata.

use oauth2_proto::{Request, Secret};
use serde_json::Value;

use crate::answer::Answer;
use crate::check::{Check, Outcome, Seen, found, not_offered};
use crate::target::{Target, Tokens};
use crate::token::{remove_credentials, tokens_are_dead};

pub const CHECKS: &[Check] = &[
    Check::must(
        "revocation.refresh-token",
        "RFC 7009 2",
        "A revoked refresh token is refused.",
        revoked_refresh_token,
    ),
    Check::should(
        "revocation.access-token-too",
        "RFC 7009 2.1",
        "Revoking the refresh token also revokes the access token.",
        revoked_access_token,
    ),
    Check::must(
        "revocation.unknown",
        "RFC 7009 2.2",
        "The revocation of an unknown token is answered with 200.",
        |target| match &target.server.revocation_endpoint {
            None => not_offered("no revocation endpoint"),
            Some(endpoint) => {
                let answer = target.send(&target.form_post(endpoint, UNKNOWN)?)?;
                found(answer.status == 200, answer.to_string())
            }
        },
    ),
    Check::must(
        "revocation.no-credentials",
        "RFC 7009 2.1",
        "A token of a confidential client is not revoked without its secret.",
        revocation_without_credentials,
    ),
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
        |target| match &target.server.introspection_endpoint {
            None => not_offered("no introspection endpoint"),
            Some(endpoint) => {
                let token = target.tokens()?.access_token;
                let mut request = target.form_post(endpoint, &[("token", token.expose())])?;
                request.remove_header("authorization");
                let answer = target.send(&request)?;
                found(answer.member("active").and_then(Value::as_bool) != Some(true), answer.to_string())
            }
        },
    ),
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
    Check::must(
        "metadata.issuer",
        "RFC 8414 3.3",
        "The metadata contains the issuer it was fetched from.",
        |target| metadata_contains(target, "issuer", target.server.issuer.as_deref().unwrap_or_default()),
    ),
    Check::must(
        "metadata.authorization-endpoint",
        "RFC 8414 2",
        "The metadata contains the authorization endpoint.",
        |target| metadata_contains(target, "authorization_endpoint", &target.server.authorization_endpoint),
    ),
    Check::must(
        "metadata.token-endpoint",
        "RFC 8414 2",
        "The metadata contains the token endpoint.",
        |target| metadata_contains(target, "token_endpoint", &target.server.token_endpoint),
    ),
    Check::should(
        "metadata.s256",
        "RFC 9700 2.1.1",
        "The metadata lists the code challenge method S256.",
        |target| match &target.server.metadata {
            None => not_offered("no metadata"),
            Some(metadata) => {
                let methods = metadata["code_challenge_methods_supported"].as_array();
                let has = methods.is_some_and(|methods| methods.iter().any(|method| method == "S256"));
                found(has, if has { "S256" } else { "without S256" })
            }
        },
    ),
];

const UNKNOWN: &[(&str, &str)] = &[("token", "fake-unknown-token")];

/// Revokes the refresh token of a new sign-in, and runs `check`.
fn after_revocation(target: &Target, check: impl FnOnce(&Answer, &Tokens) -> Outcome) -> Outcome {
    let Some(endpoint) = &target.server.revocation_endpoint else {
        return not_offered("no revocation endpoint");
    };
    if target.first.refresh_token().is_none() {
        return not_offered("no refresh token comes");
    }
    let tokens = target.tokens()?;
    let refresh_token = tokens.refresh_token.as_ref().ok_or("this time no refresh token came")?;
    let form = [("token", refresh_token.expose()), ("token_type_hint", "refresh_token")];
    let answer = target.send(&target.form_post(endpoint, &form)?)?;
    check(&answer, &tokens)
}

fn revoked_refresh_token(target: &Target) -> Outcome {
    after_revocation(target, |answer, tokens| {
        if answer.status != 200 {
            return found(false, format!("the revocation: {answer}"));
        }
        let refresh_token = tokens.refresh_token.as_ref().ok_or("no refresh token came")?;
        target.send(target.refresh(refresh_token)?.request())?.denied()
    })
}

fn revoked_access_token(target: &Target) -> Outcome {
    after_revocation(target, |_, tokens| match target.accepts(&tokens.access_token)? {
        None => not_offered("there is neither a resource endpoint nor introspection to ask"),
        Some(true) => found(false, "the access token works on"),
        Some(false) => found(true, "the access token no longer works"),
    })
}

fn revocation_without_credentials(target: &Target) -> Outcome {
    let Some(endpoint) = &target.server.revocation_endpoint else {
        return not_offered("no revocation endpoint");
    };
    let tokens = target.tokens()?;
    let token = tokens.refresh_token.as_ref().unwrap_or(&tokens.access_token);
    let mut request = target.form_post(endpoint, &[("token", token.expose())])?;
    remove_credentials(target, &mut request)?;
    let answer = target.send(&request)?;
    match tokens_are_dead(target, &tokens)? {
        Seen::Holds(_) => found(false, format!("{answer}, and the token no longer works")),
        Seen::Broken(_) => found(true, format!("{answer}, and the token still works")),
        unclear => Ok(unclear),
    }
}

fn introspects(target: &Target, token: &Secret, active: bool) -> Outcome {
    let Some(endpoint) = &target.server.introspection_endpoint else {
        return not_offered("no introspection endpoint");
    };
    let answer = target.send(&target.form_post(endpoint, &[("token", token.expose())])?)?;
    let given = answer.member("active").and_then(Value::as_bool);
    let word = match given {
        Some(true) => "active",
        Some(false) => "not active",
        None => "without active",
    };
    found(answer.status == 200 && given == Some(active), format!("{}, {word}", answer.status))
}

fn with_resource(target: &Target, check: impl FnOnce(&mut Request) -> Outcome) -> Outcome {
    match &target.server.resource_endpoint {
        None => not_offered("no resource endpoint"),
        Some(endpoint) => check(&mut Request::new("GET", endpoint.as_str())),
    }
}

fn escaped(token: &Secret) -> String {
    url::form_urlencoded::byte_serialize(token.expose().as_bytes()).collect()
}

fn metadata_contains(target: &Target, name: &str, expected: &str) -> Outcome {
    match &target.server.metadata {
        None => not_offered("no metadata"),
        Some(metadata) => match metadata[name].as_str() {
            None => found(false, format!("no {name}")),
            Some(given) if given == expected => found(true, "the same"),
            Some(_) => found(false, format!("another {name}")),
        },
    }
}
