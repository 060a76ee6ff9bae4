//! To Pleo and back.

use std::sync::Arc;
use std::time::SystemTime;

use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::http::header::SET_COOKIE;
use axum::response::{IntoResponse, Redirect, Response, Result};
use oauth2_proto::{Advice, Call, Callback, Error, TokenResponse};

use crate::api::ApiError;
use crate::browsers::{BrowserId, is_from_our_page};
use crate::{App, Failure};

/// Sends the browser to Pleo.
///
/// The pages have a link to it and no form, because `form-action` of our Content-Security-Policy would forbid
/// that Pleo sends the browser on to other hosts. A link on another site only leads to our start page.
pub async fn connect(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Response> {
    if !is_from_our_page(&headers) {
        return Ok(Redirect::to("/").into_response());
    }
    let request = app.client.authorize(&app.redirect_uri).scopes(&app.scopes).lifetime(app.sign_in_lifetime);
    let (url, pending) = request.start(SystemTime::now()).map_err(Failure::from)?;
    let browser = app.browsers.find_or_create(&headers).await?;
    let cookie = app.browsers.cookie(&browser);
    app.browsers.keep(browser, pending).await?;
    Ok(([(SET_COOKIE, cookie)], Redirect::to(&url)).into_response())
}

/// Takes the browser back. Every answer but an error of ours is a redirect, so that no code stays in the
/// address bar.
pub async fn callback(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response> {
    let browser = app.browsers.find(&headers).await?.ok_or(Outcome::NotValid)?;
    let call = receive(&app, &browser, &query.unwrap_or_default()).await?;
    let response = app.transport.answer(call.request()).await.ok_or(Outcome::Busy)?;
    let tokens = call.read(response).map_err(|error| Outcome::of(&error))?;
    // Pleo says whose tokens these are. The answer is the key, so no company gets the tokens of another.
    let company = app.api.ask(tokens.access_token()).await.map_err(|error| Outcome::of_api(&error))?.company;
    app.keeper.signed_in(&company, tokens).await.map_err(Failure::from)?;
    let browser = app.browsers.sign_in(browser, company).await?;
    Ok(([(SET_COOKIE, app.browsers.cookie(&browser))], Redirect::to("/")).into_response())
}

/// Checks the callback against the sign-ins that this browser has started.
async fn receive(app: &App, browser: &BrowserId, query: &str) -> Result<Call<TokenResponse>> {
    let callback = Callback::query(query);
    let state = callback.state().ok_or(Outcome::NotValid)?;
    let mut pending = app.browsers.pending(browser, &state).await?.ok_or(Outcome::NotValid)?;
    let answer = pending.receive(&app.client, callback, SystemTime::now());
    let answer = answer.map_err(|error| Outcome::of(&error));
    if let Err(Outcome::NotValid) = answer {
        // Not Pleo's answer, which may still come.
        return Err(Outcome::NotValid.into());
    }
    // The code is sent by the one request that removes the sign-in: not by a reload, nor by another callback
    // at the same time.
    if !app.browsers.remove(browser, &state).await? {
        return Err(Outcome::NotValid.into());
    }
    Ok(answer?)
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

    /// Returns what an error in the protocol means for the user, and logs it for the operator.
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

    /// Does the same with an error of the API, which did not name the company.
    fn of_api(error: &ApiError) -> Self {
        eprintln!("a sign-in failed, because Pleo did not name the company: {error}");
        match error {
            ApiError::NoAnswer(_) => Self::Busy,
            ApiError::NoToken(_) | ApiError::Unexpected(_) => Self::OurFault,
        }
    }
}

impl IntoResponse for Outcome {
    fn into_response(self) -> Response {
        Redirect::to(self.path()).into_response()
    }
}
