//! To Pleo and back.

use std::sync::Arc;
use std::time::SystemTime;

use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::http::header::SET_COOKIE;
use axum::response::{IntoResponse, Redirect, Response};
use oauth2_proto::{Advice, Call, Callback, Error, TokenResponse};

use crate::api::ApiError;
use crate::browsers::{BrowserId, is_from_our_page};
use crate::{App, Failure};

/// Sends the browser to Pleo.
///
/// A link, not a form: `form-action` of our Content-Security-Policy would forbid that Pleo sends the browser on
/// to a host of its own. A link on another site only leads to our start page.
pub async fn connect(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Response, Failure> {
    if !is_from_our_page(&headers) {
        return Ok(Redirect::to("/").into_response());
    }
    let request = app.client.authorize(&app.redirect_uri).scopes(&app.scopes).lifetime(app.sign_in_lifetime);
    let (url, pending) = request.start(SystemTime::now())?;
    let browser = app.browsers.find_or_create(&headers).await?;
    let cookie = app.browsers.cookie(&browser);
    app.browsers.keep(browser, pending).await?;
    Ok(([(SET_COOKIE, cookie)], Redirect::to(&url)).into_response())
}

/// Takes the browser back. Every answer is a redirect, so that no code stays in the address bar.
pub async fn callback(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    let query = query.unwrap_or_default();
    let Some(browser) = app.browsers.find(&headers).await? else {
        return Ok(Outcome::NotValid.into_response());
    };
    let call = match receive(&app, &browser, &query).await? {
        Ok(call) => call,
        Err(outcome) => return Ok(outcome.into_response()),
    };
    let tokens = match exchange(&app, &call).await {
        Ok(tokens) => tokens,
        Err(outcome) => return Ok(outcome.into_response()),
    };
    // Pleo says whose tokens these are. The answer is the key, so that no company gets the tokens of another.
    let company = match app.api.ask(tokens.access_token()).await {
        Ok(connection) => connection.company,
        Err(error) => {
            eprintln!("a sign-in failed, because Pleo did not name the company: {error}");
            let outcome = match error {
                ApiError::NoAnswer(_) => Outcome::Busy,
                ApiError::NoToken(_) | ApiError::Unexpected(_) => Outcome::OurFault,
            };
            return Ok(outcome.into_response());
        }
    };
    app.keeper.signed_in(&company, tokens).await?;
    let browser = app.browsers.sign_in(browser, company).await?;
    Ok(([(SET_COOKIE, app.browsers.cookie(&browser))], Redirect::to("/")).into_response())
}

/// Checks the callback against the sign-ins that this browser has started. The inner error is the user's.
async fn receive(
    app: &App,
    browser: &BrowserId,
    query: &str,
) -> Result<Result<Call<TokenResponse>, Outcome>, Failure> {
    let callback = Callback::query(query);
    let Some(state) = callback.state() else { return Ok(Err(Outcome::NotValid)) };
    let Some(mut pending) = app.browsers.pending(browser, &state).await? else {
        return Ok(Err(Outcome::NotValid));
    };
    let answer = pending.receive(&app.client, callback, SystemTime::now());
    if let Err(error) = &answer
        && error.advice() == Advice::KeepWaiting
    {
        // Not Pleo's answer, which may still come.
        return Ok(Err(Outcome::of(error)));
    }
    // The code is sent by the one request that removes the sign-in: not by a reload, nor by a second callback at
    // the same time.
    match app.browsers.remove(browser, &state).await? {
        true => Ok(answer.map_err(|error| Outcome::of(&error))),
        false => Ok(Err(Outcome::NotValid)),
    }
}

/// Exchanges the code for tokens.
async fn exchange(app: &App, call: &Call<TokenResponse>) -> Result<TokenResponse, Outcome> {
    let response = app.transport.answer(call.request()).await.ok_or(Outcome::Busy)?;
    call.read(response).map_err(|error| Outcome::of(&error))
}

/// How a sign-in ended that connected nothing.
#[derive(Clone, Copy)]
pub enum Outcome {
    /// The user said no.
    Refused,
    /// The callback answers no sign-in of this browser.
    NotValid,
    /// The user, or the code, came too late.
    TooLate,
    /// Pleo is in trouble.
    Busy,
    /// Our configuration is wrong.
    OurFault,
}

impl Outcome {
    pub const ALL: [Self; 5] = [Self::Refused, Self::NotValid, Self::TooLate, Self::Busy, Self::OurFault];

    /// Returns the address of the page.
    pub fn path(self) -> &'static str {
        match self {
            Self::Refused => "/sign-in/refused",
            Self::NotValid => "/sign-in/not-valid",
            Self::TooLate => "/sign-in/too-late",
            Self::Busy => "/sign-in/busy",
            Self::OurFault => "/sign-in/our-fault",
        }
    }

    fn of(error: &Error) -> Self {
        eprintln!("a sign-in failed: {error}");
        match error.advice() {
            Advice::Declined => Self::Refused,
            Advice::KeepWaiting => Self::NotValid,
            Advice::Reauthorize => Self::TooLate,
            Advice::RetryLater => Self::Busy,
            Advice::FixConfiguration | Advice::Stop => Self::OurFault,
        }
    }
}

impl IntoResponse for Outcome {
    fn into_response(self) -> Response {
        Redirect::to(self.path()).into_response()
    }
}
