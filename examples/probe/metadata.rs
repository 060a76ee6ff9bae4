//! The checks of the metadata (RFC 8414, OpenID Connect Discovery), also against what the server does.

use oauth2_proto::Request;
use serde_json::{Map, Value};
use url::Url;

use crate::check::{Check, Outcome, found, not_offered};
use crate::http::is_loopback;
use crate::target::Target;

pub const CHECKS: &[Check] = &[
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
        |target| lists(target, "code_challenge_methods_supported", &[], "S256"),
    ),
    Check::must(
        "metadata.json",
        "RFC 8414 3.2",
        "The metadata is a JSON object of the type application/json.",
        |target| match &target.server.metadata_url {
            None => not_offered("no metadata"),
            Some(url) => {
                let answer = target.send(&Request::new("GET", url.as_str()))?;
                let word = if answer.is_json() { "of" } else { "not of" };
                found(answer.is_json(), format!("{}, {word} the type application/json", answer.status))
            }
        },
    ),
    Check::must(
        "metadata.issuer-form",
        "RFC 8414 2",
        "The issuer is an https URL, or leads to this machine, and has neither a query nor a fragment.",
        |target| {
            with_metadata(target, |metadata| {
                let url = metadata.get("issuer").and_then(Value::as_str).and_then(|it| Url::parse(it).ok());
                let holds = url.is_some_and(|url| is_safe(&url) && url.query().is_none());
                found(holds, if holds { "such a URL" } else { "another one" })
            })
        },
    ),
    Check::must(
        "metadata.endpoints",
        "RFC 8414 2, RFC 6749 3.1 and 3.2",
        "Every endpoint is an https URL, or leads to this machine, and has no fragment.",
        |target| with_metadata(target, endpoints),
    ),
    Check::must(
        "metadata.lists",
        "RFC 8414 2 and 3.2",
        "Every list of supported values is an array of strings that is not empty.",
        |target| with_metadata(target, well_formed_lists),
    ),
    Check::must(
        "metadata.response-types",
        "RFC 8414 2",
        "The list of response types is present and contains code, which works.",
        |target| lists(target, "response_types_supported", &[], "code"),
    ),
    Check::must(
        "metadata.grant-types",
        "RFC 8414 2",
        "The list of grant types, where it is present, contains authorization_code, which works.",
        |target| {
            lists(target, "grant_types_supported", &["authorization_code", "implicit"], "authorization_code")
        },
    ),
    Check::should(
        "metadata.refresh-grant",
        "RFC 8414 2",
        "The list of grant types contains refresh_token, if refresh tokens come.",
        |target| match target.first.refresh_token() {
            None => not_offered("no refresh token comes"),
            Some(_) => {
                let usual = &["authorization_code", "implicit"];
                lists(target, "grant_types_supported", usual, "refresh_token")
            }
        },
    ),
    Check::must(
        "metadata.response-modes",
        "RFC 8414 2",
        "The list of response modes, where it is present, contains query, which works.",
        |target| lists(target, "response_modes_supported", &["query", "fragment"], "query"),
    ),
    Check::must(
        "metadata.auth-methods",
        "RFC 8414 2",
        "The list of client authentications, where it is present, contains client_secret_basic, which works.",
        |target| {
            let basic = "client_secret_basic";
            lists(target, "token_endpoint_auth_methods_supported", &[basic], basic)
        },
    ),
    Check::must(
        "metadata.signing-algs",
        "RFC 8414 2",
        "The list of algorithms for client assertions is there if such clients are, and has no none.",
        |target| with_metadata(target, signing_algorithms),
    ),
    Check::must(
        "metadata.dpop-algs",
        "RFC 9449 4.2 and 5.1",
        "The list of algorithms for DPoP contains neither none nor a symmetric algorithm.",
        |target| {
            with_metadata(target, |metadata| {
                let Some(known) = strings(metadata, "dpop_signing_alg_values_supported") else {
                    return not_offered("no such list");
                };
                let wrong = known.iter().any(|name| *name == "none" || name.starts_with("HS"));
                found(!wrong, format!("{} algorithms", known.len()))
            })
        },
    ),
    Check::must(
        "metadata.iss-announced",
        "RFC 9207 2.3 and 3",
        "The metadata announces iss, if authorization responses contain it.",
        |target| {
            with_metadata(target, |metadata| {
                let end = target.sign_in(&target.attempt()?)?;
                if end.callback().is_none_or(|callback| callback.all("iss").is_empty()) {
                    return not_offered(format!("{end}, without iss"));
                }
                let name = "authorization_response_iss_parameter_supported";
                let announced = metadata.get(name) == Some(&Value::Bool(true));
                found(announced, format!("{end}, with iss, {}announced", if announced { "" } else { "not " }))
            })
        },
    ),
    Check::must(
        "metadata.pushed-required",
        "RFC 9126 5",
        "A server that requires pushed requests has an endpoint for them, and refuses all others.",
        |target| {
            with_metadata(target, |metadata| {
                if metadata.get("require_pushed_authorization_requests") != Some(&Value::Bool(true)) {
                    return not_offered("pushed requests are not required");
                }
                let has = metadata.contains_key("pushed_authorization_request_endpoint");
                found(
                    false,
                    format!(
                        "{} endpoint, and the first sign-in worked without",
                        if has { "an" } else { "no" }
                    ),
                )
            })
        },
    ),
    Check::must(
        "metadata.keys",
        "RFC 8414 2, RFC 7517 5 and 9.2",
        "The document at jwks_uri is a set of public keys.",
        keys,
    ),
    Check::must(
        "metadata.openid",
        "OpenID Connect Discovery 4.3, RFC 8414 5",
        "The openid-configuration, if there is one, has the same issuer and the same endpoints.",
        openid,
    ),
];

fn with_metadata(target: &Target, check: impl FnOnce(&Map<String, Value>) -> Outcome) -> Outcome {
    match target.server.metadata.as_ref().and_then(Value::as_object) {
        None => not_offered("no metadata"),
        Some(metadata) => check(metadata),
    }
}

fn is_safe(url: &Url) -> bool {
    (url.scheme() == "https" || is_loopback(url)) && url.fragment().is_none()
}

fn strings<'a>(metadata: &'a Map<String, Value>, name: &str) -> Option<Vec<&'a str>> {
    metadata.get(name)?.as_array()?.iter().map(Value::as_str).collect()
}

/// Finds whether a list contains a value; `usual` is the meaning of an absent list.
fn lists(target: &Target, name: &str, usual: &[&str], value: &str) -> Outcome {
    with_metadata(target, |metadata| {
        let known = match metadata.contains_key(name) {
            true => strings(metadata, name).unwrap_or_default(),
            false => usual.to_vec(),
        };
        let has = known.contains(&value);
        found(has, format!("{} {value}", if has { "with" } else { "without" }))
    })
}

fn endpoints(metadata: &Map<String, Value>) -> Outcome {
    let named = metadata.iter().filter(|(name, _)| name.ends_with("_endpoint") || *name == "jwks_uri");
    let wrong: Vec<_> = named
        .filter(|(_, value)| {
            !value.as_str().and_then(|it| Url::parse(it).ok()).is_some_and(|url| is_safe(&url))
        })
        .map(|(name, _)| crate::answer::harmless(name))
        .collect();
    found(wrong.is_empty(), if wrong.is_empty() { "all are".into() } else { wrong.join(", ") })
}

fn well_formed_lists(metadata: &Map<String, Value>) -> Outcome {
    let named = metadata.iter().filter(|(name, value)| name.ends_with("_supported") && !value.is_boolean());
    let wrong: Vec<_> = named
        .filter(|(name, _)| strings(metadata, name).is_none_or(|all| all.is_empty()))
        .map(|(name, _)| crate::answer::harmless(name))
        .collect();
    found(wrong.is_empty(), if wrong.is_empty() { "all are".into() } else { wrong.join(", ") })
}

fn signing_algorithms(metadata: &Map<String, Value>) -> Outcome {
    let methods = strings(metadata, "token_endpoint_auth_methods_supported").unwrap_or_default();
    if !methods.iter().any(|name| name.ends_with("_jwt")) {
        return not_offered("no client authenticates with an assertion");
    }
    match strings(metadata, "token_endpoint_auth_signing_alg_values_supported") {
        None => found(false, "no list"),
        Some(known) if known.contains(&"none") => found(false, "with none"),
        Some(known) => found(true, format!("{} algorithms", known.len())),
    }
}

fn keys(target: &Target) -> Outcome {
    with_metadata(target, |metadata| {
        let Some(url) = metadata.get("jwks_uri").and_then(Value::as_str) else {
            return not_offered("no jwks_uri");
        };
        let answer = target.send(&Request::new("GET", url))?;
        let Some(keys) = answer.member("keys").and_then(Value::as_array).filter(|_| answer.status == 200)
        else {
            return found(false, answer.to_string());
        };
        // RFC 7518 §6: the members of private and of symmetric keys.
        let secret = |key: &&Value| ["d", "p", "q", "k"].iter().any(|name| key.get(name).is_some());
        let secrets = keys.iter().filter(secret).count();
        found(secrets == 0, format!("{} keys, {secrets} of them not public", keys.len()))
    })
}

fn openid(target: &Target) -> Outcome {
    with_metadata(target, |metadata| {
        let Some(issuer) = &target.server.issuer else { return not_offered("no issuer is known") };
        let url = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
        let answer = target.send(&Request::new("GET", url))?;
        if answer.status != 200 {
            return not_offered(format!("status {}", answer.status));
        }
        let names = ["issuer", "authorization_endpoint", "token_endpoint"];
        let wrong: Vec<_> =
            names.into_iter().filter(|name| answer.member(name) != metadata.get(*name)).collect();
        found(wrong.is_empty(), if wrong.is_empty() { "the same".into() } else { wrong.join(", ") })
    })
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
