//! What a connected company sees, and the disconnect.

use std::sync::Arc;
use std::time::SystemTime;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::SET_COOKIE;
use axum::response::{IntoResponse, Redirect, Response};
use oauth2_proto::Advice;
use oauth2_proto::keeper::KeeperError;

use crate::api::ApiError;
use crate::browsers::is_from_our_page;
use crate::{App, Failure, pages};

/// Shows the connection of the browser's company, as it is now.
pub async fn home(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Response, Failure> {
    let Some(company) = app.browsers.company(&headers).await? else {
        return Ok(pages::welcome().into_response());
    };
    let now = SystemTime::now();
    Ok(match app.api.connection(&company).await {
        Ok(connection) => {
            let session = app.keeper.session(&company).await?;
            let expires_at = session.and_then(|session| session.expires_at());
            pages::connected(&connection, expires_at, now).into_response()
        }
        Err(ApiError::NoToken(KeeperError::SignIn(reason))) => pages::sign_in_again(reason).into_response(),
        Err(ApiError::NoToken(error)) if error.advice() == Advice::RetryLater => match &error {
            KeeperError::NotNow { trouble, .. } => pages::connection_trouble(trouble.as_deref(), now),
            _ => return Err(error.into()),
        },
        Err(ApiError::NoToken(error)) => return Err(error.into()),
        Err(error @ ApiError::NoAnswer(_)) => {
            eprintln!("{error}");
            pages::connection_trouble(None, now)
        }
        Err(error @ ApiError::Unexpected(_)) => return Err(error.into()),
    })
}

/// Ends the connection of the browser's company.
///
/// `end` returns the refresh token. At a server that can revoke it, call `Client::revoke` here; Pleo's users
/// remove the permission in Pleo's settings.
pub async fn disconnect(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Response, Failure> {
    if !is_from_our_page(&headers) {
        return Ok(pages::from_elsewhere().into_response());
    }
    if let Some(company) = app.browsers.company(&headers).await? {
        app.keeper.end(&company).await?;
    }
    app.browsers.forget(&headers).await?;
    Ok(([(SET_COOKIE, app.browsers.no_cookie())], Redirect::to("/disconnected")).into_response())
}
