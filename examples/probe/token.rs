//! The checks of the token endpoint for codes.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use oauth2_proto::{Request, authorization::CodeVerifier};
use serde_json::Value;
use sha2::{Digest, Sha256};
use url::form_urlencoded::byte_serialize;

use crate::answer::{Answer, End};
use crate::authorization::without_pkce;
use crate::check::{Check, Outcome, found, not_offered};
use crate::clients::{Method, NO_SECOND_CLIENT, another};
use crate::target::{Parameters, Target, Tokens, change_form};

pub const CHECKS: &[Check] = &[
    Check::must(
        "token.basic-encoded",
        "RFC 6749 2.3.1",
        "Basic credentials are form-decoded: they work with every character escaped.",
        basic_encoded,
    ),
    Check::pleo(
        "token.post-credentials",
        "Pleo: client_secret_basic only",
        "The client secret in the body, in place of Basic, is refused.",
        |target| after_change(target, move_credentials)?.refused(),
    ),
    Check::should(
        "token.credentials-twice",
        "RFC 6749 2.3 and 5.2",
        "Credentials in Basic and in the body at once are refused.",
        |target| after_change(target, add_credentials)?.refused(),
    )
    .promised_by_pleo(),
    Check::must(
        "token.no-credentials",
        "RFC 6749 4.1.3",
        "A code of a confidential client is not exchanged without its secret.",
        |target| after_change(target, remove_credentials)?.refused(),
    ),
    Check::must(
        "token.wrong-secret",
        "RFC 6749 5.2",
        "A wrong client secret in Basic is refused with 401 invalid_client and a Basic challenge.",
        |target| wrong_secret_is_refused(target, target.exchange_of_unknown_code()?.request()),
    ),
    Check::should("token.get", "RFC 6749 3.2", "A token request by GET is refused.", by_get),
    Check::should(
        "token.parameters-in-url",
        "RFC 6749 3.2 and 4.1.3",
        "A token request with its parameters in the URL is refused.",
        parameters_in_url,
    ),
    Check::must(
        "token.verifier-missing",
        "RFC 7636 4.6, RFC 9700 2.1.1",
        "A code requested with PKCE is not exchanged without the verifier.",
        |target| after_change(target, |_, it| change_form(it, |form| form.remove("code_verifier")))?.denied(),
    ),
    Check::must(
        "token.verifier-wrong",
        "RFC 7636 4.6",
        "A wrong verifier is refused as invalid_grant.",
        |target| {
            form_is_refused_as(target, &["invalid_grant"], |form| {
                form.set("code_verifier", &"fake-verifier-".repeat(4));
            })
        },
    ),
    Check::should(
        "token.verifier-short",
        "RFC 7636 4.1; Pleo",
        "A verifier of 20 characters is refused, even if it matches the challenge.",
        verifier_short,
    )
    .promised_by_pleo(),
    Check::must(
        "token.verifier-unasked",
        "RFC 9700 2.1.1 and 4.8.2",
        "A verifier is refused for a code requested without PKCE.",
        verifier_unasked,
    ),
    Check::must(
        "token.redirect-uri-different",
        "RFC 6749 4.1.3 and 5.2",
        "A redirect URI other than that of the authorization request is refused as invalid_grant.",
        |target| {
            form_is_refused_as(target, &["invalid_grant"], |form| {
                let longer = format!("{}/extra", form.get("redirect_uri"));
                form.set("redirect_uri", &longer);
            })
        },
    ),
    Check::must(
        "token.redirect-uri-missing",
        "RFC 6749 4.1.3",
        "A code is not exchanged without the redirect URI of the authorization request.",
        |target| after_change(target, |_, it| change_form(it, |form| form.remove("redirect_uri")))?.denied(),
    ),
    Check::must(
        "token.code-unknown",
        "RFC 6749 5.2",
        "An unknown code is refused as invalid_grant.",
        |target| target.send(target.exchange_of_unknown_code()?.request())?.refused_as(&["invalid_grant"]),
    ),
    Check::must(
        "token.other-client",
        "RFC 6749 4.1.3 and 5.2",
        "A code of one client is not exchanged by another.",
        |target| {
            let Some(other) = another(target, Method::Basic)? else { return not_offered(NO_SECOND_CLIENT) };
            let form = target.exchange()?.request().form();
            let pairs: Vec<_> = form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            let request = target.form_post_of(&other, &target.server.token_endpoint, &pairs)?;
            target.send(&request)?.refused()
        },
    ),
    Check::must("token.code-replay", "RFC 6749 4.1.2", "A code works once.", code_replay),
    Check::should(
        "token.code-replay-revokes",
        "RFC 6749 4.1.2",
        "The second use of a code ends the tokens that the first one brought.",
        code_replay_revokes,
    ),
    Check::must(
        "token.grant-type-unknown",
        "RFC 6749 5.2",
        "An unknown grant type is refused as unsupported_grant_type.",
        |target| {
            unknown_code_is_refused_as(target, &["unsupported_grant_type"], |form| {
                form.set("grant_type", "fake-grant");
            })
        },
    ),
    Check::must(
        "token.grant-type-missing",
        "RFC 6749 5.2",
        "A request without a grant type is refused as invalid_request.",
        |target| unknown_code_is_refused_as(target, &["invalid_request"], |form| form.remove("grant_type")),
    ),
    Check::should(
        "token.password-grant",
        "RFC 9700 2.4",
        "The password grant itself is refused, whatever the password.",
        password_grant,
    ),
    Check::should(
        "token.repeated",
        "RFC 6749 3.2 and 5.2",
        "A request with a repeated code is refused as invalid_request.",
        |target| form_is_refused_as(target, &["invalid_request"], |form| form.repeat("code")),
    ),
    Check::must("token.unknown-parameter", "RFC 6749 3.2", "An unknown parameter is ignored.", |target| {
        after_change(target, |_, request| change_form(request, |form| form.add("fake_parameter", "1")))?
            .granted()
    }),
    Check::must(
        "token.json",
        "RFC 6749 5.1",
        "A token response has the status 200 and is a JSON object of the type application/json.",
        |target| found(target.first.status == 200 && target.first.is_json(), shown_with_type(&target.first)),
    ),
    Check::must(
        "token.no-store",
        "RFC 6749 5.1",
        "A token response has Cache-Control: no-store.",
        |target| found(target.first.is_not_stored(), target.first.cache_control()),
    ),
    Check::must(
        "token.token-type",
        "RFC 6749 5.1 and 7.1",
        "The token type is present, and is Bearer or DPoP.",
        token_type,
    ),
    Check::should(
        "token.expires-in",
        "RFC 6749 5.1",
        "The lifetime of the access token is present, as a number of seconds.",
        expires_in,
    ),
    Check::pleo(
        "token.refresh-token",
        "Pleo: refresh",
        "The token response contains a refresh token.",
        |target| {
            let comes = target.first.refresh_token().is_some();
            found(comes, if comes { "a refresh token" } else { "no refresh token" })
        },
    ),
    Check::should(
        "token.scope-unknown",
        "RFC 6749 3.3 and 5.1",
        "An unknown scope is refused, or omitted from the granted scope.",
        scope_unknown,
    ),
    Check::must(
        "token.error-json",
        "RFC 6749 5.2",
        "An error response has the status 400 and is a JSON object of the type application/json.",
        |target| {
            let answer = target.send(target.exchange_of_unknown_code()?.request())?;
            let holds = answer.status == 400 && answer.is_json() && answer.text("error").is_some();
            found(holds, shown_with_type(&answer))
        },
    ),
];

/// Signs in, changes the token request, sends it, and returns the response.
fn after_change(
    target: &Target,
    change: impl FnOnce(&Target, &mut Request) -> Result<(), String>,
) -> Result<Answer, String> {
    let mut call = target.exchange()?;
    change(target, call.request_mut())?;
    target.send(call.request())
}

fn form_is_refused_as(target: &Target, codes: &[&str], change: impl FnOnce(&mut Parameters)) -> Outcome {
    after_change(target, |_, request| change_form(request, change))?.refused_as(codes)
}

/// Finds whether a changed request with an unknown code is refused as one of these codes. Serves for errors
/// that a server must find before it looks up the code, so that no sign-in is needed.
fn unknown_code_is_refused_as(
    target: &Target,
    codes: &[&str],
    change: impl FnOnce(&mut Parameters),
) -> Outcome {
    let mut call = target.exchange_of_unknown_code()?;
    change_form(call.request_mut(), change)?;
    target.send(call.request())?.refused_as(codes)
}

fn basic_encoded(target: &Target) -> Outcome {
    let escaped = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
    let server = &target.server;
    let pair = format!("{}:{}", escaped(&server.client_id), escaped(server.client_secret.expose()));
    let mut call = target.exchange()?;
    call.request_mut().set_header("authorization", format!("Basic {}", STANDARD.encode(pair)));
    target.send(call.request())?.granted()
}

fn add_credentials(target: &Target, request: &mut Request) -> Result<(), String> {
    request.push_form("client_id", &target.server.client_id);
    request.push_form("client_secret", target.server.client_secret.expose());
    Ok(())
}

fn move_credentials(target: &Target, request: &mut Request) -> Result<(), String> {
    request.remove_header("authorization");
    add_credentials(target, request)
}

/// Turns the request into that of a public client.
pub fn remove_credentials(target: &Target, request: &mut Request) -> Result<(), String> {
    request.remove_header("authorization");
    request.push_form("client_id", &target.server.client_id);
    Ok(())
}

/// Finds whether a request with a wrong secret in Basic is refused as RFC 6749 §5.2 requires.
pub fn wrong_secret_is_refused(target: &Target, request: &Request) -> Outcome {
    let mut request = request.clone();
    let client_id: String = byte_serialize(target.server.client_id.as_bytes()).collect();
    let pair = format!("{client_id}:fake-wrong-secret");
    request.set_header("authorization", format!("Basic {}", STANDARD.encode(pair)));
    let answer = target.send(&request)?;
    let is_basic = answer.challenges_basic();
    let holds = answer.status == 401 && answer.text("error") == Some("invalid_client") && is_basic;
    found(holds, format!("{answer}, {} Basic challenge", if is_basic { "with a" } else { "without a" }))
}

fn by_get(target: &Target) -> Outcome {
    let call = target.exchange()?;
    let mut request = Request::new("GET", format!("{}?{}", call.request().url(), call.request().body()));
    request.set_header("authorization", call.request().header("authorization").unwrap_or_default());
    target.send(&request)?.refused()
}

fn parameters_in_url(target: &Target) -> Outcome {
    let mut call = target.exchange()?;
    let request = call.request_mut();
    request.set_url(format!("{}?{}", request.url(), request.body()));
    request.set_body("");
    target.send(request)?.refused()
}

fn verifier_short(target: &Target) -> Outcome {
    let verifier = "fake-verifier-short1";
    if CodeVerifier::new(verifier).is_ok() {
        return Err("the crate accepts the verifier of this check".to_owned());
    }
    let mut attempt = target.attempt()?;
    attempt.parameters.set("code_challenge", &URL_SAFE_NO_PAD.encode(Sha256::digest(verifier)));
    let mut call = target.exchange_after(attempt)?;
    change_form(call.request_mut(), |form| form.set("code_verifier", verifier))?;
    target.send(call.request())?.refused()
}

fn verifier_unasked(target: &Target) -> Outcome {
    let mut attempt = target.attempt()?;
    without_pkce(&mut attempt.parameters);
    match target.try_out(&attempt)? {
        End::Redirect(callback) if callback.one("code").is_some() => {
            let mut call = target.exchange_of_unknown_code()?;
            let code = callback.one("code").unwrap_or_default();
            change_form(call.request_mut(), |form| form.set("code", code))?;
            target.send(call.request())?.refused()
        }
        end => found(true, format!("no code without PKCE: {end}")),
    }
}

fn code_replay(target: &Target) -> Outcome {
    let call = target.exchange()?;
    target.tokens_of(call.request())?;
    target.send(call.request())?.denied()
}

fn code_replay_revokes(target: &Target) -> Outcome {
    let call = target.exchange()?;
    let tokens = target.tokens_of(call.request())?;
    let second = target.send(call.request())?;
    match second.access_token() {
        Some(_) => found(false, format!("the second use: {second}")),
        None => tokens_are_dead(target, &tokens),
    }
}

/// Finds whether both tokens of a sign-in have stopped working, as far as the probe can observe.
pub fn tokens_are_dead(target: &Target, tokens: &Tokens) -> Outcome {
    if target.accepts(&tokens.access_token)? == Some(true) {
        return found(false, "the access token works on");
    }
    match &tokens.refresh_token {
        Some(refresh_token) => {
            let answer = target.send(target.refresh(refresh_token)?.request())?;
            let refused = answer.access_token().is_none();
            found(refused, format!("the refresh token: {answer}"))
        }
        None if target.accepts(&tokens.access_token)? == Some(false) => {
            found(true, "the access token no longer works")
        }
        None => {
            not_offered("there is no refresh token, and no endpoint tells whether the access token works")
        }
    }
}

fn password_grant(target: &Target) -> Outcome {
    let mut call = target.exchange_of_unknown_code()?;
    let form = [("grant_type", "password"), ("username", "fake-user"), ("password", "fake-password")];
    call.request_mut().set_form(form).map_err(|error| error.to_string())?;
    let answer = target.send(call.request())?;
    answer.refused_as(&["unsupported_grant_type", "unauthorized_client", "invalid_request"])
}

fn shown_with_type(answer: &Answer) -> String {
    format!("{answer}, {} the type application/json", if answer.is_json() { "of" } else { "not of" })
}

fn token_type(target: &Target) -> Outcome {
    match target.first.text("token_type") {
        Some(known) if known.eq_ignore_ascii_case("bearer") => found(true, "Bearer"),
        Some(known) if known.eq_ignore_ascii_case("dpop") => found(true, "DPoP"),
        Some(_) => found(false, "another token type"),
        None => found(false, "no token type"),
    }
}

fn expires_in(target: &Target) -> Outcome {
    match target.first.member("expires_in").map(Value::as_u64) {
        Some(Some(seconds)) => found(true, format!("{seconds} s")),
        Some(None) => found(false, "not a whole number"),
        None => found(false, "no lifetime"),
    }
}

fn scope_unknown(target: &Target) -> Outcome {
    let unknown = "fake:unknown";
    let scopes: Vec<String> = target.server.scopes.iter().cloned().chain([unknown.to_owned()]).collect();
    let mut attempt = target.attempt_with(&scopes)?;
    let end = target.try_out(&attempt)?;
    let Some(callback) = end.callback().filter(|callback| callback.one("code").is_some()) else {
        return end.refused();
    };
    let call = attempt.receive(&target.client, oauth2_proto::Callback::url(&callback.url))?;
    let answer = target.send(call.request())?;
    answer.does_not_grant(unknown, "granted, although it is unknown")
}
