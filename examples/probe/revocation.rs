//! The checks of the revocation endpoint (RFC 7009).

use oauth2_proto::{Request, Secret};

use crate::answer::Answer;
use crate::check::{Check, Outcome, Seen, found, not_offered};
use crate::clients::{Method, NO_SECOND_CLIENT, another};
use crate::target::{Target, Tokens};
use crate::token::{remove_credentials, tokens_are_dead, wrong_secret_is_refused};

pub const CHECKS: &[Check] = &[
    Check::must("revocation.refresh-token", "RFC 7009 2", "A revoked refresh token is refused.", |target| {
        after_revocation(target, "refresh_token", |answer, tokens| {
            refresh_token_is_dead(target, answer, tokens)
        })
    }),
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
        |target| at_endpoint(target, |endpoint| is_answered_with_200(target, endpoint, UNKNOWN)),
    ),
    Check::must(
        "revocation.no-credentials",
        "RFC 7009 2.1",
        "A token of a confidential client is not revoked without its secret.",
        revocation_without_credentials,
    ),
    Check::must(
        "revocation.wrong-secret",
        "RFC 7009 2.1, RFC 6749 5.2",
        "A revocation with a wrong client secret is refused with 401 invalid_client and a Basic challenge.",
        |target| {
            at_endpoint(target, |endpoint| {
                wrong_secret_is_refused(target, &target.form_post(endpoint, UNKNOWN)?)
            })
        },
    ),
    Check::must(
        "revocation.other-client",
        "RFC 7009 2.1",
        "A token of one client is not revoked by another.",
        revocation_by_another_client,
    ),
    Check::must(
        "revocation.access-token",
        "RFC 7009 2",
        "A revoked access token no longer works, or the server says that it revokes none.",
        revoked_access_token_itself,
    ),
    Check::must(
        "revocation.wrong-hint",
        "RFC 7009 2.1",
        "A refresh token is revoked despite the hint that it is an access token.",
        |target| {
            after_revocation(target, "access_token", |answer, tokens| {
                refresh_token_is_dead(target, answer, tokens)
            })
        },
    ),
    Check::should(
        "revocation.unknown-hint",
        "RFC 7009 2.1 and 4.1.2",
        "A refresh token is revoked despite an unknown hint.",
        |target| {
            after_revocation(target, "fake-hint", |answer, tokens| {
                refresh_token_is_dead(target, answer, tokens)
            })
        },
    ),
    Check::must(
        "revocation.twice",
        "RFC 7009 2.2",
        "The second revocation of a token is answered with 200.",
        |target| {
            after_revocation(target, "refresh_token", |_, tokens| {
                let refresh_token = tokens.refresh_token.as_ref().ok_or("no refresh token came")?;
                at_endpoint(target, |endpoint| {
                    is_answered_with_200(target, endpoint, &[("token", refresh_token.expose())])
                })
            })
        },
    ),
    Check::must(
        "revocation.token-missing",
        "RFC 7009 2.2.1, RFC 6749 5.2",
        "A revocation without a token is refused as invalid_request.",
        |target| {
            at_endpoint(target, |endpoint| {
                let form = [("token_type_hint", "refresh_token")];
                target.send(&target.form_post(endpoint, &form)?)?.refused_as(&["invalid_request"])
            })
        },
    ),
];

const NO_ENDPOINT: &str = "no revocation endpoint";

const UNKNOWN: &[(&str, &str)] = &[("token", "fake-unknown-token")];

/// Revokes the refresh token of a new sign-in, and runs `check`.
fn after_revocation(target: &Target, hint: &str, check: impl FnOnce(&Answer, &Tokens) -> Outcome) -> Outcome {
    let Some(endpoint) = &target.server.revocation_endpoint else { return not_offered(NO_ENDPOINT) };
    if target.first.refresh_token().is_none() {
        return not_offered("no refresh token comes");
    }
    let tokens = target.tokens()?;
    let refresh_token = tokens.refresh_token.as_ref().ok_or("this time no refresh token came")?;
    let form = [("token", refresh_token.expose()), ("token_type_hint", hint)];
    let answer = target.send(&target.form_post(endpoint, &form)?)?;
    check(&answer, &tokens)
}

fn refresh_token_is_dead(target: &Target, answer: &Answer, tokens: &Tokens) -> Outcome {
    if answer.status != 200 {
        return found(false, format!("the revocation: {answer}"));
    }
    let refresh_token = tokens.refresh_token.as_ref().ok_or("no refresh token came")?;
    target.send(target.refresh(refresh_token)?.request())?.denied()
}

fn revoked_access_token(target: &Target) -> Outcome {
    after_revocation(target, "refresh_token", |_, tokens| match target.accepts(&tokens.access_token)? {
        None => not_offered("there is neither a resource endpoint nor introspection to ask"),
        Some(true) => found(false, "the access token works on"),
        Some(false) => found(true, "the access token no longer works"),
    })
}

fn revocation_without_credentials(target: &Target) -> Outcome {
    at_endpoint(target, |endpoint| {
        spares_the_token(target, |token| {
            let mut request = target.form_post(endpoint, &[("token", token.expose())])?;
            remove_credentials(target, &mut request)?;
            Ok(request)
        })
    })
}

fn revocation_by_another_client(target: &Target) -> Outcome {
    at_endpoint(target, |endpoint| {
        let Some(other) = another(target, Method::Basic)? else { return not_offered(NO_SECOND_CLIENT) };
        spares_the_token(target, |token| target.form_post_of(&other, endpoint, &[("token", token.expose())]))
    })
}

/// Finds whether a token works on after a request that must not revoke it.
fn spares_the_token(target: &Target, make: impl FnOnce(&Secret) -> Result<Request, String>) -> Outcome {
    let tokens = target.tokens()?;
    let token = tokens.refresh_token.as_ref().unwrap_or(&tokens.access_token);
    let answer = target.send(&make(token)?)?;
    match tokens_are_dead(target, &tokens)? {
        Seen::Holds(_) => found(false, format!("{answer}, and the token no longer works")),
        Seen::Broken(_) => found(true, format!("{answer}, and the token still works")),
        unclear => Ok(unclear),
    }
}

fn at_endpoint(target: &Target, check: impl FnOnce(&str) -> Outcome) -> Outcome {
    match &target.server.revocation_endpoint {
        None => not_offered(NO_ENDPOINT),
        Some(endpoint) => check(endpoint),
    }
}

fn is_answered_with_200(target: &Target, endpoint: &str, form: &[(&str, &str)]) -> Outcome {
    let answer = target.send(&target.form_post(endpoint, form)?)?;
    found(answer.status == 200, answer.to_string())
}

fn revoked_access_token_itself(target: &Target) -> Outcome {
    at_endpoint(target, |endpoint| {
        let token = target.tokens()?.access_token;
        if target.accepts(&token)?.is_none() {
            return not_offered("there is neither a resource endpoint nor introspection to ask");
        }
        let form = [("token", token.expose()), ("token_type_hint", "access_token")];
        let answer = target.send(&target.form_post(endpoint, &form)?)?;
        if answer.text("error") == Some("unsupported_token_type") {
            return found(true, answer.to_string());
        }
        let works = target.accepts(&token)? != Some(false);
        found(
            !works,
            format!("{answer}, and the token {}", if works { "works on" } else { "no longer works" }),
        )
    })
}
