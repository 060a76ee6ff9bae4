//! The checks of the token endpoint for refreshes.

use oauth2_proto::Secret;

use crate::answer::Answer;
use crate::check::{Check, Outcome, Profile, found, not_offered};
use crate::clients::{Method, NO_SECOND_CLIENT, another};
use crate::target::{Target, Tokens, change_form};
use crate::token::{remove_credentials, wrong_secret_is_refused};

pub const CHECKS: &[Check] = &[
    Check::must("refresh.works", "RFC 6749 6", "A refresh token obtains a new access token.", |target| {
        with_refresh_token(target, |_, refresh_token| refresh(target, refresh_token)?.granted())
    }),
    Check::must(
        "refresh.no-store",
        "RFC 6749 5.1",
        "A response to a refresh has Cache-Control: no-store.",
        |target| {
            with_refresh_token(target, |_, refresh_token| {
                let answer = refresh(target, refresh_token)?;
                match answer.access_token() {
                    Some(_) => found(answer.is_not_stored(), answer.cache_control()),
                    None => Err(format!("no tokens came: {answer}")),
                }
            })
        },
    ),
    Check::pleo(
        "refresh.replaces-both",
        "Pleo: rotating refresh tokens",
        "A refresh replaces the access token and the refresh token.",
        replaces_both,
    ),
    Check::should(
        "refresh.old-refresh-token",
        "RFC 9700 4.14.2; Pleo",
        "A replaced refresh token is refused as invalid_grant.",
        old_refresh_token,
    )
    .promised_by_pleo(),
    Check::should(
        "refresh.reuse-revokes",
        "RFC 9700 4.14.2",
        "The use of a replaced refresh token revokes its successor.",
        reuse_revokes,
    ),
    Check::pleo(
        "refresh.old-access-token",
        "Pleo: every earlier token dies at once",
        "A refresh revokes the previous access token.",
        old_access_token,
    ),
    Check::must(
        "refresh.scope-broader",
        "RFC 6749 6",
        "A refresh grants no scope beyond the original grant.",
        scope_broader,
    ),
    Check::must(
        "refresh.unknown",
        "RFC 6749 5.2",
        "An unknown refresh token is refused as invalid_grant.",
        |target| refresh(target, &Secret::new("fake-unknown-token"))?.refused_as(&["invalid_grant"]),
    ),
    Check::must(
        "refresh.access-token",
        "RFC 6749 5.2",
        "An access token in place of the refresh token is refused as invalid_grant.",
        |target| refresh(target, &target.tokens()?.access_token)?.refused_as(&["invalid_grant"]),
    ),
    Check::must(
        "refresh.wrong-secret",
        "RFC 6749 5.2 and 6",
        "A refresh with a wrong client secret is refused with 401 invalid_client and a Basic challenge.",
        |target| {
            with_refresh_token(target, |_, refresh_token| {
                wrong_secret_is_refused(target, target.refresh(refresh_token)?.request())
            })
        },
    ),
    Check::must(
        "refresh.no-credentials",
        "RFC 6749 6",
        "A refresh token of a confidential client does not work without its secret.",
        |target| {
            with_refresh_token(target, |_, refresh_token| {
                let mut call = target.refresh(refresh_token)?;
                remove_credentials(target, call.request_mut())?;
                target.send(call.request())?.refused()
            })
        },
    ),
    Check::must(
        "refresh.other-client",
        "RFC 6749 6 and 10.4",
        "A refresh token of one client does not work for another.",
        |target| {
            let Some(other) = another(target, Method::Basic)? else { return not_offered(NO_SECOND_CLIENT) };
            with_refresh_token(target, |_, refresh_token| {
                let form = [("grant_type", "refresh_token"), ("refresh_token", refresh_token.expose())];
                let request = target.form_post_of(&other, &target.server.token_endpoint, &form)?;
                target.send(&request)?.refused()
            })
        },
    ),
    Check::should(
        "refresh.repeated",
        "RFC 6749 3.2 and 5.2",
        "A request with a repeated refresh token is refused as invalid_request.",
        |target| {
            with_refresh_token(target, |_, refresh_token| {
                let mut call = target.refresh(refresh_token)?;
                change_form(call.request_mut(), |form| form.repeat("refresh_token"))?;
                target.send(call.request())?.refused_as(&["invalid_request"])
            })
        },
    ),
];

/// Signs in and passes the refresh token to `check`; without one, the outcome is `not offered`.
fn with_refresh_token(target: &Target, check: impl FnOnce(&Tokens, &Secret) -> Outcome) -> Outcome {
    // The first sign-in tells whether the server issues refresh tokens: saves a person a needless sign-in.
    if target.first.refresh_token().is_none() {
        return not_offered("no refresh token comes");
    }
    let tokens = target.tokens()?;
    match &tokens.refresh_token {
        Some(refresh_token) => check(&tokens, refresh_token),
        None => Err("this time no refresh token came".to_owned()),
    }
}

fn refresh(target: &Target, refresh_token: &Secret) -> Result<Answer, String> {
    target.send(target.refresh(refresh_token)?.request())
}

/// Refreshes and returns the new tokens.
fn refreshed(target: &Target, refresh_token: &Secret) -> Result<Tokens, String> {
    target.tokens_of(target.refresh(refresh_token)?.request())
}

/// Returns the refresh token that replaced `before`, if any.
fn successor<'a>(tokens: &'a Tokens, before: &Secret) -> Option<&'a Secret> {
    tokens.refresh_token.as_ref().filter(|after| *after != before)
}

fn replaces_both(target: &Target) -> Outcome {
    with_refresh_token(target, |first, refresh_token| {
        let second = refreshed(target, refresh_token)?;
        let word = |replaced: bool| if replaced { "replaced" } else { "not replaced" };
        let access_token = second.access_token != first.access_token;
        let refresh_token = successor(&second, refresh_token).is_some();
        let seen = format!("access token {}, refresh token {}", word(access_token), word(refresh_token));
        found(access_token && refresh_token, seen)
    })
}

fn old_refresh_token(target: &Target) -> Outcome {
    with_refresh_token(target, |_, refresh_token| {
        let second = refreshed(target, refresh_token)?;
        match (successor(&second, refresh_token), target.profile) {
            (None, Profile::Rfc) => not_offered("the refresh token is not replaced"),
            _ => refresh(target, refresh_token)?.refused_as(&["invalid_grant"]),
        }
    })
}

fn reuse_revokes(target: &Target) -> Outcome {
    with_refresh_token(target, |_, refresh_token| {
        let second = refreshed(target, refresh_token)?;
        let Some(newer) = successor(&second, refresh_token) else {
            return not_offered("the refresh token is not replaced");
        };
        let reuse = refresh(target, refresh_token)?;
        if reuse.access_token().is_some() {
            return found(false, format!("the reuse: {reuse}"));
        }
        let answer = refresh(target, newer)?;
        found(answer.access_token().is_none(), format!("the newer refresh token: {answer}"))
    })
}

fn old_access_token(target: &Target) -> Outcome {
    with_refresh_token(target, |first, refresh_token| {
        match target.accepts(&first.access_token)? {
            None => return not_offered("there is neither a resource endpoint nor introspection to ask"),
            Some(false) => return Err("the access token did not work before the refresh".to_owned()),
            Some(true) => {}
        }
        let second = refreshed(target, refresh_token)?;
        if target.accepts(&second.access_token)? != Some(true) {
            return found(false, "the new access token does not work");
        }
        let works = target.accepts(&first.access_token)? != Some(false);
        found(
            !works,
            if works { "the old access token works on" } else { "the old access token no longer works" },
        )
    })
}

fn scope_broader(target: &Target) -> Outcome {
    if target.first.refresh_token().is_none() {
        return not_offered("no refresh token comes");
    }
    let (granted, broader) = match target.server.scopes.as_slice() {
        [first, second, ..] => (std::slice::from_ref(first), second.as_str()),
        few => (few, "fake:unknown"),
    };
    let call = target.exchange_after(target.attempt_with(granted)?)?;
    let answer = target.send(call.request())?;
    let scope = answer.text("scope").unwrap_or_default();
    if scope.split(' ').any(|token| token == broader) {
        return not_offered("the server granted more than the first request asked for");
    }
    let refresh_token = answer.refresh_token().ok_or("this time no refresh token came")?;
    let mut call = target.refresh(&refresh_token)?;
    let both = granted.iter().map(String::as_str).chain([broader]).collect::<Vec<_>>().join(" ");
    change_form(call.request_mut(), |form| form.set("scope", &both))?;
    let answer = target.send(call.request())?;
    if let (Some(access_token), None) = (answer.access_token(), answer.text("scope"))
        && let Some(scope) = target.introspected_scope(&access_token)?
    {
        let has = scope.split(' ').any(|token| token == broader);
        let seen = if has { "granted, by introspection" } else { "not granted, by introspection" };
        return found(!has, seen);
    }
    answer.does_not_grant(broader, "granted")
}
