//! Real authorization servers, each driven through every flow by one client code path.
//!
//! `cargo test --test servers` after `tests/servers/install.sh`; a server that is not installed is reported
//! as ignored with the reason. With `OAUTH2_PROTO_REQUIRE_SERVERS=1` it is a failure.

#![allow(clippy::disallowed_methods, reason = "a program has a clock and an environment; the crate has none")]

#[path = "support/browser.rs"]
mod browser;
#[path = "support/foreign.rs"]
mod foreign;
#[path = "../examples/support/http.rs"]
mod http;

use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use browser::Browser;
use foreign::{Facts, ForeignServer, RefreshTokenReuse};
use libtest_mimic::{Arguments, Failed, Trial};
use oauth2_proto::{
    AuthorizationServer, Call, Callback, Client, ClientAuth, Error, PendingAuthorization, Response, Retry,
    TokenResponse,
};

const SERVERS: &[&str] = &["oidc-provider", "authlib", "django-oauth-toolkit", "workers-oauth-provider"];

type Flow = fn(&ForeignServer) -> Result<(), Failed>;

const FLOWS: &[(&str, Flow)] = &[
    ("a sign-in ends with tokens", sign_in),
    ("a refresh replaces the refresh token", refresh_rotates),
    ("a replaced refresh token is refused", refresh_replay),
    ("a code is used once", code_replay),
    ("a wrong verifier is refused", wrong_verifier),
    ("a wrong client secret is refused", wrong_secret),
    ("the user may say no", user_refuses),
];

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let required = std::env::var("OAUTH2_PROTO_REQUIRE_SERVERS").is_ok_and(|value| value == "1");
    let trials = SERVERS.iter().flat_map(|name| {
        let unavailable = foreign::start(name).err();
        if let Some(reason) = &unavailable {
            eprintln!("{name}: not installed: {reason}");
        }
        FLOWS
            .iter()
            .map(move |(flow, run)| {
                let trial = Trial::test(format!("{name}: {flow}"), move || {
                    run(&foreign::start(name).map_err(|reason| reason.to_string())?)
                });
                trial.with_ignored_flag(unavailable.is_some() && !required)
            })
            .collect::<Vec<_>>()
    });
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
}

fn sign_in(server: &ForeignServer) -> Result<(), Failed> {
    let client = client(&server.facts)?;
    let tokens = tokens(&client, &server.facts)?;
    let granted: Vec<_> = tokens.granted_scopes().collect();
    check(tokens.missing_scopes().next().is_none(), format!("granted {granted:?}"))?;
    let lifetime = Duration::from_secs(server.facts.access_token_lifetime);
    check(tokens.expires_in().is_some_and(|seconds| seconds <= lifetime), format!("{tokens:?}"))
}

fn refresh_rotates(server: &ForeignServer) -> Result<(), Failed> {
    let client = client(&server.facts)?;
    let first = tokens(&client, &server.facts)?;
    let second = finish(&refresh(&client, &first)?)?;
    check(second.refresh_token_is_new(), "the refresh brought no refresh token")?;
    check(second.refresh_token() != first.refresh_token(), "the refresh token is the same as before")?;
    check(second.access_token() != first.access_token(), "the access token is the same as before")?;
    finish(&refresh(&client, &second)?).map(drop).map_err(Failed::from)
}

fn refresh_replay(server: &ForeignServer) -> Result<(), Failed> {
    let client = client(&server.facts)?;
    let first = tokens(&client, &server.facts)?;
    let replay = refresh(&client, &first)?;
    let second = finish(&replay)?;
    if server.facts.refresh_token_reuse == RefreshTokenReuse::ToleratedUntilSuccessorIsUsed {
        finish(&refresh(&client, &second)?)?;
    }
    refused(finish(&replay), Some("invalid_grant"), Retry::Reauthorize)?;
    let after = finish(&refresh(&client, &second)?);
    match server.facts.refresh_token_reuse {
        RefreshTokenReuse::RevokesFamily => refused(after, Some("invalid_grant"), Retry::Reauthorize),
        RefreshTokenReuse::Rejected => after.map(drop).map_err(Failed::from),
        // Its successor has been used by now, so it is a replaced token itself.
        RefreshTokenReuse::ToleratedUntilSuccessorIsUsed => Ok(()),
    }
}

fn code_replay(server: &ForeignServer) -> Result<(), Failed> {
    let client = client(&server.facts)?;
    let call = exchange(&client, &server.facts)?;
    finish(&call)?;
    refused(finish(&call), Some("invalid_grant"), Retry::Reauthorize)
}

fn wrong_verifier(server: &ForeignServer) -> Result<(), Failed> {
    let client = client(&server.facts)?;
    let mut call = exchange(&client, &server.facts)?;
    let form = call.request().form().into_iter().map(|(name, value)| match name.as_str() {
        "code_verifier" => (name, "fake-verifier-".repeat(4)),
        _ => (name, value),
    });
    let form: Vec<_> = form.collect();
    call.request_mut().set_form(form)?;
    refused(finish(&call), Some("invalid_grant"), Retry::Reauthorize)
}

fn wrong_secret(server: &ForeignServer) -> Result<(), Failed> {
    let facts = Facts { client_secret: "fake-wrong-secret".into(), ..server.facts.clone() };
    let call = exchange(&client(&facts)?, &facts)?;
    refused(finish(&call), Some("invalid_client"), Retry::FixConfiguration)
}

fn user_refuses(server: &ForeignServer) -> Result<(), Failed> {
    let client = client(&server.facts)?;
    let (url, mut pending) = authorize(&client, &server.facts)?;
    let callback = Browser::new().refuse(&url, &server.facts.redirect_uris[0])?;
    let result = pending.receive(&client, Callback::url(&callback), SystemTime::now());
    refused(result, Some("access_denied"), Retry::Never)
}

fn client(facts: &Facts) -> Result<Client, Error> {
    let mut server = AuthorizationServer::new(&facts.authorization_endpoint, &facts.token_endpoint)?;
    if let Some(issuer) = &facts.issuer {
        server = server.issuer(issuer)?;
    }
    Client::new(server, facts.client_id.as_str(), ClientAuth::basic(facts.client_secret.as_str()))
}

fn authorize(client: &Client, facts: &Facts) -> Result<(String, PendingAuthorization), Error> {
    client.authorize(&facts.redirect_uris[0]).scopes(&facts.scopes).start(SystemTime::now())
}

/// A token request with a code that a signed-in user has granted.
fn exchange(client: &Client, facts: &Facts) -> Result<Call<TokenResponse>, Failed> {
    let (url, mut pending) = authorize(client, facts)?;
    let callback = Browser::new().sign_in(&url, &facts.redirect_uris[0])?;
    Ok(pending.receive(client, Callback::url(&callback), SystemTime::now())?)
}

fn tokens(client: &Client, facts: &Facts) -> Result<TokenResponse, Failed> {
    Ok(finish(&exchange(client, facts)?)?)
}

fn refresh(client: &Client, tokens: &TokenResponse) -> Result<Call<TokenResponse>, Failed> {
    let refresh_token = tokens.refresh_token().ok_or("there is no refresh token")?;
    Ok(client.refresh(refresh_token).start()?)
}

fn finish(call: &Call<TokenResponse>) -> Result<TokenResponse, Error> {
    let (status, headers, body) = http::send(call.request()).expect("the server answers");
    let headers = headers.iter().map(|(name, value)| (name.as_str(), value));
    call.finish(Response::new(status, headers, &body))
}

fn refused<T>(result: Result<T, Error>, code: Option<&str>, retry: Retry) -> Result<(), Failed> {
    match result {
        Ok(_) => Err("the server said yes".into()),
        Err(error) => {
            check(error.code() == code && error.retry() == retry, format!("refused otherwise: {error}"))
        }
    }
}

fn check(holds: bool, otherwise: impl Into<String>) -> Result<(), Failed> {
    if holds { Ok(()) } else { Err(otherwise.into().into()) }
}
