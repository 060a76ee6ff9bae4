//! The checks of the authorization endpoint.

use std::collections::BTreeSet;

use oauth2_proto::{Request, authorization::CodeVerifier};
use url::Url;

use crate::answer::End;
use crate::check::{Check, Outcome, Profile, found, not_offered};
use crate::http::is_loopback;
use crate::target::{Attempt, Parameters, Target, change_form};

pub const CHECKS: &[Check] = &[
    Check::must(
        "authorize.verifier-longest",
        "RFC 7636 4.1",
        "A code verifier of 128 characters, with every allowed mark, works.",
        verifier_longest,
    ),
    Check::should(
        "authorize.plain",
        "RFC 9700 2.1.1; Pleo",
        "The code challenge method plain is refused.",
        |target| changed_is_refused(target, |it| it.set("code_challenge_method", "plain")),
    )
    .promised_by_pleo(),
    Check::should(
        "authorize.method-missing",
        "RFC 7636 4.3, RFC 9700 2.1.1; Pleo",
        "A code challenge without a method, which means plain, is refused.",
        |target| changed_is_refused(target, |it| it.remove("code_challenge_method")),
    )
    .promised_by_pleo(),
    Check::must(
        "authorize.method-unknown",
        "RFC 7636 4.4.1",
        "An unknown code challenge method is refused.",
        |target| changed_is_refused(target, |it| it.set("code_challenge_method", "fake-method")),
    ),
    Check::should(
        "authorize.pkce-required",
        "RFC 9700 2.1.1; Pleo",
        "A request without a code challenge is refused.",
        |target| changed_is_refused(target, without_pkce),
    )
    .promised_by_pleo(),
    Check::should(
        "authorize.challenge-short",
        "RFC 7636 4.2",
        "A code challenge of 20 characters is refused.",
        |target| changed_is_refused(target, |it| it.set("code_challenge", "fake-short-challenge")),
    ),
    Check::must(
        "authorize.response-type-unknown",
        "RFC 6749 3.1.1",
        "An unknown response type is refused.",
        |target| changed_is_refused(target, |it| it.set("response_type", "fake-type")),
    ),
    Check::must(
        "authorize.response-type-missing",
        "RFC 6749 3.1.1",
        "A request without a response type is refused.",
        |target| changed_is_refused(target, |it| it.remove("response_type")),
    ),
    Check::should(
        "authorize.implicit",
        "RFC 9700 2.1.2; Pleo",
        "The response type token, the implicit grant, is refused.",
        |target| changed_is_refused(target, |it| it.set("response_type", "token")),
    )
    .promised_by_pleo(),
    Check::must(
        "authorize.client-unknown",
        "RFC 6749 4.1.2.1",
        "A request of an unknown client is answered without a redirect.",
        |target| is_kept(target, |it| it.set("client_id", "fake-unknown-client")),
    ),
    Check::must(
        "authorize.client-missing",
        "RFC 6749 4.1.2.1",
        "A request without a client is answered without a redirect.",
        |target| is_kept(target, |it| it.remove("client_id")),
    ),
    Check::must(
        "redirect.unregistered",
        "RFC 6749 4.1.2.1, RFC 9700 4.1.3",
        "The browser is not sent to an unregistered redirect URI.",
        |target| is_not_sent_to(target, Some("https://probe.invalid/callback".to_owned())),
    ),
    Check::must(
        "redirect.path",
        "RFC 9700 4.1.3",
        "The browser is not sent to the redirect URI with a longer path.",
        |target| {
            is_not_sent_to(target, change_uri(target, |it| it.set_path(&format!("{}/extra", it.path()))))
        },
    ),
    Check::must(
        "redirect.query",
        "RFC 9700 4.1.3",
        "The browser is not sent to the redirect URI with an added query.",
        |target| is_not_sent_to(target, change_uri(target, |it| it.set_query(Some("fake=1")))),
    ),
    Check::must(
        "redirect.port",
        "RFC 9700 4.1.3",
        "The browser is not sent to the redirect URI with another port.",
        other_port,
    ),
    Check::must(
        "redirect.scheme",
        "RFC 9700 4.1.3",
        "The browser is not sent to the redirect URI with http in place of https, or the reverse.",
        |target| is_not_sent_to(target, other_scheme(&target.server.redirect_uri)),
    ),
    Check::must(
        "redirect.case",
        "RFC 6749 3.1.2.3, RFC 9700 4.1.3",
        "The browser is not sent to the redirect URI with its path in capitals.",
        |target| {
            is_not_sent_to(target, change_uri(target, |it| it.set_path(&it.path().to_ascii_uppercase())))
        },
    ),
    Check::should(
        "redirect.missing",
        "RFC 6749 3.1.2.3",
        "A request without a redirect URI is refused; with one registered redirect URI, it may be accepted.",
        |target| changed_is_refused(target, |it| it.remove("redirect_uri")),
    ),
    Check::should(
        "authorize.repeated",
        "RFC 6749 3.1 and 4.1.2.1",
        "A request with a repeated code challenge is refused.",
        |target| changed_is_refused(target, |it| it.repeat("code_challenge")),
    ),
    Check::must(
        "authorize.unknown-parameter",
        "RFC 6749 3.1",
        "An unknown parameter is ignored.",
        |target| changed_is_accepted(target, |it| it.add("fake_parameter", "1")),
    ),
    Check::must(
        "authorize.empty-parameter",
        "RFC 6749 3.1",
        "A parameter without a value is treated as omitted.",
        |target| changed_is_accepted(target, |it| it.add("response_mode", "")),
    ),
    Check::must(
        "authorize.state",
        "RFC 6749 4.1.2",
        "The state is returned unchanged, with every character it may contain.",
        state,
    ),
    Check::must(
        "authorize.query",
        "RFC 6749 4.1.2",
        "The code is in the query, and the fragment contains no part of the response.",
        in_the_query,
    ),
    Check::must(
        "authorize.code-differs",
        "RFC 6749 10.5 and 10.10",
        "Two authorizations issue different codes.",
        codes_differ,
    ),
    Check::must(
        "authorize.iss",
        "RFC 9207 2",
        "A response with a code contains the correct iss, if the server promises iss.",
        |target| iss(target, target.attempt()?),
    ),
    Check::must(
        "authorize.error-iss",
        "RFC 9207 2",
        "An error response contains the correct iss, if the server promises iss.",
        |target| iss(target, changed(target, |it| it.set("response_type", "fake-type"))?),
    ),
    Check::must(
        "authorize.error-state",
        "RFC 6749 4.1.2.1",
        "An error response contains the state.",
        error_state,
    ),
    Check::should(
        "authorize.post",
        "RFC 6749 3.1",
        "A request by POST, which a server may accept or refuse, causes no server error.",
        by_post,
    ),
];

/// Every character that RFC 6749 appendix A.5 allows in a state, with a space and escapes to keep encoded.
const STATE: &str = "a !\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~%2B%26z";

fn changed(target: &Target, change: impl FnOnce(&mut Parameters)) -> Result<Attempt, String> {
    let mut attempt = target.attempt()?;
    change(&mut attempt.parameters);
    Ok(attempt)
}

fn changed_is_refused(target: &Target, change: impl FnOnce(&mut Parameters)) -> Outcome {
    target.try_out(&changed(target, change)?)?.refused()
}

fn changed_is_accepted(target: &Target, change: impl FnOnce(&mut Parameters)) -> Outcome {
    target.sign_in(&changed(target, change)?)?.granted()
}

/// Finds whether the server answers with a page: without a known client it has no redirect URI to use.
fn is_kept(target: &Target, change: impl FnOnce(&mut Parameters)) -> Outcome {
    match target.try_out(&changed(target, change)?)? {
        end @ End::Redirect(_) => found(false, end.to_string()),
        end => end.refused(),
    }
}

/// Removes PKCE from a request.
pub fn without_pkce(parameters: &mut Parameters) {
    parameters.remove("code_challenge");
    parameters.remove("code_challenge_method");
}

fn verifier_longest(target: &Target) -> Outcome {
    let verifier = CodeVerifier::new(&"aZ09-._~".repeat(16)).map_err(|error| error.to_string())?;
    let attempt = changed(target, |it| it.set("code_challenge", &verifier.challenge()))?;
    let mut call = target.exchange_after(attempt)?;
    change_form(call.request_mut(), |form| form.set("code_verifier", verifier.expose()))?;
    target.send(call.request())?.granted()
}

/// Finds whether the browser stays away from `wrong`, even with an error, and gets no code elsewhere. `None`
/// means that the change is impossible for this redirect URI.
fn is_not_sent_to(target: &Target, wrong: Option<String>) -> Outcome {
    let right = target.server.redirect_uri.as_str();
    let Some(wrong) = wrong.filter(|wrong| wrong != right) else {
        return not_offered("the redirect URI cannot be changed in this way");
    };
    let attempt = changed(target, |it| it.set("redirect_uri", &wrong))?;
    match target.user.try_out(&attempt.url(), &[&wrong, right])? {
        end @ End::Redirect(_) => found(false, end.to_string()),
        end => end.refused(),
    }
}

fn change_uri(target: &Target, change: impl FnOnce(&mut Url)) -> Option<String> {
    let mut url = Url::parse(&target.server.redirect_uri).ok()?;
    change(&mut url);
    Some(url.into())
}

fn other_port(target: &Target) -> Outcome {
    let is_native = Url::parse(&target.server.redirect_uri).is_ok_and(|url| is_loopback(&url));
    if is_native && target.profile == Profile::Rfc {
        return not_offered("a loopback redirect URI may have any port (RFC 8252 7.3)");
    }
    let wrong = change_uri(target, |it| {
        // Without a host the URI stays the same, and the check reports `not offered`.
        let _ = it.set_port(Some(it.port().map_or(8443, |port| port ^ 1)));
    });
    is_not_sent_to(target, wrong)
}

fn other_scheme(uri: &str) -> Option<String> {
    match uri.strip_prefix("https://") {
        Some(rest) => Some(format!("http://{rest}")),
        None => uri.strip_prefix("http://").map(|rest| format!("https://{rest}")),
    }
}

fn state(target: &Target) -> Outcome {
    let end = target.sign_in(&changed(target, |it| it.set("state", STATE))?)?;
    match end.callback().map(|callback| callback.all("state")) {
        Some(states) if states == [STATE] => found(true, end.to_string()),
        Some(states) if states.is_empty() => found(false, format!("{end}, without a state")),
        Some(_) => found(false, format!("{end}, with another state")),
        None => found(false, end.to_string()),
    }
}

fn in_the_query(target: &Target) -> Outcome {
    let end = target.sign_in(&target.attempt()?)?;
    match end.callback() {
        Some(callback) if callback.uses_fragment() => found(false, format!("{end}, in the fragment")),
        _ => end.granted(),
    }
}

fn codes_differ(target: &Target) -> Outcome {
    let mut codes = BTreeSet::new();
    for _ in 0..2 {
        let end = target.sign_in(&target.attempt()?)?;
        let code = end.callback().and_then(|callback| callback.one("code"));
        codes.insert(code.ok_or(format!("no code came: {end}"))?.to_owned());
    }
    found(codes.len() == 2, format!("{} in 2 authorizations", codes.len()))
}

fn iss(target: &Target, attempt: Attempt) -> Outcome {
    let end = target.try_out(&attempt)?;
    let Some(callback) = end.callback() else {
        return not_offered(format!("the request ended at a {end}"));
    };
    match (&callback.all_in_response("iss")[..], &target.server.issuer) {
        (_, None) => not_offered("no issuer is known to compare with"),
        ([], Some(_)) if target.server.promises_iss => found(false, format!("{end}, without iss")),
        ([], Some(_)) => not_offered("the server neither promises nor sends iss"),
        (all, Some(issuer)) => match *all == [issuer.as_str()] {
            true => found(true, format!("{end}, with the issuer")),
            false => found(false, format!("{end}, with another iss")),
        },
    }
}

fn error_state(target: &Target) -> Outcome {
    let attempt = changed(target, |it| it.set("response_type", "fake-type"))?;
    let end = target.try_out(&attempt)?;
    let sent = attempt.parameters.get("state");
    match end.callback() {
        Some(callback) if callback.all_in_response("error").is_empty() => {
            not_offered(format!("the request was not refused: {end}"))
        }
        Some(callback) => match callback.all_in_response("state") == [sent] {
            true => found(true, format!("{end}, with the state")),
            false => found(false, format!("{end}, without the state")),
        },
        None => not_offered(format!("the request was refused by a {end}")),
    }
}

fn by_post(target: &Target) -> Outcome {
    let mut request = Request::new("POST", target.server.authorization_endpoint.as_str());
    request.set_header("content-type", "application/x-www-form-urlencoded");
    request.set_form(&target.attempt()?.parameters.0).map_err(|error| error.to_string())?;
    let status = target.send(&request)?.status;
    match status {
        400..=499 => not_offered(format!("status {status}")),
        _ => found(status < 500, format!("status {status}")),
    }
}
