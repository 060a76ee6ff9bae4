//! The flows of a client at an authorization server. Each flow starts afresh, and knows the server by its
//! facts.
//!
//! Sign-in and refresh are here, and the rest of the protocol by topic.

#[path = "flows/authorization.rs"]
mod authorization;
#[path = "flows/certificates.rs"]
mod certificates;
#[path = "flows/challenge.rs"]
mod challenge;
#[path = "flows/client_auth.rs"]
mod client_auth;
#[path = "flows/device.rs"]
mod device;
#[path = "flows/discovery.rs"]
mod discovery;
#[path = "flows/dpop.rs"]
mod dpop;
#[path = "flows/fapi.rs"]
mod fapi;
#[path = "flows/grants.rs"]
mod grants;
#[path = "flows/keeper.rs"]
mod keeper;
#[path = "flows/management.rs"]
mod management;
#[path = "flows/openid.rs"]
mod openid;
#[path = "flows/registration.rs"]
mod registration;
#[path = "flows/requests.rs"]
mod requests;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, SystemTime};

use libtest_mimic::Failed;
use oauth2_proto::{
    Advice, AuthorizationServer, Call, Callback, Client, ClientAuth, Error, PendingAuthorization,
    RefreshPolicy, Response, Secret, Session, Step, TokenResponse, call::Readable, error::ErrorKind,
    grants::Refresh, session::Reason,
};
use url::Url;

use crate::browser::Browser;
use crate::foreign::{Facts, RefreshTokenReuse};
use crate::http;
use crate::store::Store;

/// One thing that a client does.
pub struct Flow {
    pub title: &'static str,
    pub is_offered: fn(&Facts) -> bool,
    pub run: fn(&Facts) -> Result<(), Failed>,
}

/// All flows in the order of the matrix.
pub const FLOWS: &[&[Flow]] = &[
    SIGN_IN_AND_REFRESH,
    client_auth::FLOWS,
    authorization::FLOWS,
    requests::FLOWS,
    openid::FLOWS,
    discovery::FLOWS,
    registration::FLOWS,
    grants::FLOWS,
    device::FLOWS,
    management::FLOWS,
    challenge::FLOWS,
    dpop::FLOWS,
    certificates::FLOWS,
    fapi::FLOWS,
    keeper::FLOWS,
];

const SIGN_IN_AND_REFRESH: &[Flow] = &[
    Flow { title: "a sign-in ends with tokens", is_offered: always, run: sign_in },
    Flow { title: "the user may say no", is_offered: always, run: user_refuses },
    Flow {
        title: "`iss` is checked",
        is_offered: |facts| facts.iss_parameter_supported,
        run: iss_is_checked,
    },
    Flow {
        title: "`client_secret_post`",
        is_offered: |facts| facts.post_client_id.is_some(),
        run: client_secret_post,
    },
    Flow { title: "a wrong client secret is refused", is_offered: always, run: wrong_secret },
    Flow { title: "a wrong verifier is refused", is_offered: always, run: wrong_verifier },
    Flow { title: "a code is used once", is_offered: always, run: code_replay },
    Flow { title: "a resource may be named", is_offered: |facts| facts.resource.is_some(), run: resource },
    Flow { title: "a refresh replaces the refresh token", is_offered: always, run: refresh_rotates },
    Flow {
        title: "a refresh may ask for fewer scopes",
        is_offered: |facts| facts.refresh_narrows_scope,
        run: refresh_narrows_scope,
    },
    Flow { title: "a replaced refresh token is refused", is_offered: always, run: refresh_replay },
    Flow { title: "a `Session` outlives several tokens", is_offered: always, run: session_outlives_tokens },
    Flow {
        title: "two holders of a `Session` share one refresh",
        is_offered: always,
        run: holders_share_one_refresh,
    },
    Flow {
        title: "a stolen refresh token ends the `Session`",
        is_offered: |facts| facts.refresh_token_reuse == RefreshTokenReuse::RevokesFamily,
        run: stolen_refresh_token,
    },
];

fn always(_: &Facts) -> bool {
    true
}

fn sign_in(facts: &Facts) -> Result<(), Failed> {
    let tokens = tokens(&client(facts)?, facts)?;
    let granted: Vec<_> = tokens.granted_scopes().collect();
    check(tokens.missing_scopes().next().is_none(), format!("granted {granted:?}"))?;
    let lifetime = Duration::from_secs(facts.access_token_lifetime);
    check(tokens.expires_in().is_some_and(|seconds| seconds <= lifetime), format!("{tokens:?}"))
}

fn user_refuses(facts: &Facts) -> Result<(), Failed> {
    let client = client(facts)?;
    let (mut pending, callback) = refusal(&client, facts)?;
    refused(receive(&client, &mut pending, &callback), "access_denied", Advice::Declined)
}

/// RFC 9207 §2.4: the real callback is taken after two that differ from it in `iss` were refused.
fn iss_is_checked(facts: &Facts) -> Result<(), Failed> {
    let server = server(facts)?.authorization_response_iss_parameter_supported(true);
    let client =
        Client::new(server, facts.client_id.as_str(), ClientAuth::basic(facts.client_secret.as_str()))?;
    let (url, mut pending) = authorize(&client, facts)?;
    let callback = Browser::new().sign_in(&url, &facts.redirect_uris[0])?;
    for other in [None, Some("https://evil.example")] {
        let error = match receive(&client, &mut pending, &with_iss(&callback, other)?) {
            Ok(_) => return Err(format!("iss={other:?} was taken").into()),
            Err(error) => error,
        };
        check(
            (error.kind(), error.advice()) == (ErrorKind::Suspect, Advice::KeepWaiting),
            error.to_string(),
        )?;
    }
    send(&receive(&client, &mut pending, &callback)?)?;
    if facts.iss_in_error_responses {
        let (mut pending, callback) = refusal(&client, facts)?;
        refused(receive(&client, &mut pending, &callback), "access_denied", Advice::Declined)?;
    }
    Ok(())
}

fn client_secret_post(facts: &Facts) -> Result<(), Failed> {
    let client_id = facts.post_client_id.as_deref().ok_or("there is no such client")?;
    let client = Client::new(server(facts)?, client_id, ClientAuth::post(facts.client_secret.as_str()))?;
    let call = exchange(&client, facts)?;
    check(call.request().header("authorization").is_none(), "there are credentials in the header too")?;
    send(&refresh(&client, &send(&call)?)?)?;

    let client = Client::new(server(facts)?, client_id, ClientAuth::post("fake-wrong-secret"))?;
    refused(send(&exchange(&client, facts)?), "invalid_client", Advice::FixConfiguration)
}

fn wrong_secret(facts: &Facts) -> Result<(), Failed> {
    let facts = Facts { client_secret: "fake-wrong-secret".into(), ..facts.clone() };
    let call = exchange(&client(&facts)?, &facts)?;
    refused(send(&call), "invalid_client", Advice::FixConfiguration)
}

fn wrong_verifier(facts: &Facts) -> Result<(), Failed> {
    let mut call = exchange(&client(facts)?, facts)?;
    call.request_mut().set_form_parameter("code_verifier", &"fake-verifier-".repeat(4));
    refused(send(&call), "invalid_grant", Advice::Reauthorize)
}

fn code_replay(facts: &Facts) -> Result<(), Failed> {
    let call = exchange(&client(facts)?, facts)?;
    send(&call)?;
    refused(send(&call), "invalid_grant", Advice::Reauthorize)
}

/// RFC 8707 §2: the server takes the resource in the authorization request and in both token requests, and
/// refuses another one at the refresh.
fn resource(facts: &Facts) -> Result<(), Failed> {
    let client = client(facts)?;
    let resource = facts.resource.as_deref().ok_or("there is no resource")?;
    let request = client.authorize(&facts.redirect_uris[0]).scopes(&facts.scopes).resource(resource);
    let (url, mut pending) = request.start(SystemTime::now())?;
    let callback = Browser::new().sign_in(&url, &facts.redirect_uris[0])?;
    let tokens = send(&receive(&client, &mut pending, &callback)?)?;
    let with = |tokens: &TokenResponse, resource: &str| {
        let refresh_token = tokens.refresh_token().ok_or("there is no refresh token")?;
        Ok::<_, Failed>(client.refresh(refresh_token).resource(resource).start(SystemTime::now())?)
    };
    let tokens = send(&with(&tokens, resource)?)?;
    // Last, because some servers use up a refresh token even if they refuse the rest of the request.
    refused(send(&with(&tokens, "https://other.example/")?), "invalid_target", Advice::FixConfiguration)
}

fn refresh_rotates(facts: &Facts) -> Result<(), Failed> {
    let client = client(facts)?;
    let first = tokens(&client, facts)?;
    let second = send(&refresh(&client, &first)?)?;
    check(second.refresh_token_is_new(), "the refresh brought no refresh token")?;
    check(second.refresh_token() != first.refresh_token(), "the refresh token is the same as before")?;
    check(second.access_token() != first.access_token(), "the access token is the same as before")?;
    send(&refresh(&client, &second)?).map(drop).map_err(Failed::from)
}

fn refresh_narrows_scope(facts: &Facts) -> Result<(), Failed> {
    let client = client(facts)?;
    let tokens = tokens(&client, facts)?;
    let refresh_token = tokens.refresh_token().ok_or("there is no refresh token")?;
    let fewer = &facts.scopes[..1];
    let tokens = send(&client.refresh(refresh_token).scopes(fewer).start(SystemTime::now())?)?;
    let granted: Vec<_> = tokens.granted_scopes().collect();
    check(granted == fewer, format!("granted {granted:?}"))
}

fn refresh_replay(facts: &Facts) -> Result<(), Failed> {
    let client = client(facts)?;
    let first = tokens(&client, facts)?;
    let replay = refresh(&client, &first)?;
    let second = send(&replay)?;
    if facts.refresh_token_reuse == RefreshTokenReuse::ToleratedUntilSuccessorIsUsed {
        send(&refresh(&client, &second)?)?;
    }
    refused(send(&replay), "invalid_grant", Advice::Reauthorize)?;
    let after = send(&refresh(&client, &second)?);
    match facts.refresh_token_reuse {
        RefreshTokenReuse::RevokesFamily => refused(after, "invalid_grant", Advice::Reauthorize),
        RefreshTokenReuse::Rejected => after.map(drop).map_err(Failed::from),
        // Its successor has been used, so that `second` is a replaced token itself.
        RefreshTokenReuse::ToleratedUntilSuccessorIsUsed => Ok(()),
    }
}

/// Three refreshes, and where the tokens are short-lived, two of their lifetimes; elsewhere the API rejects
/// them.
fn session_outlives_tokens(facts: &Facts) -> Result<(), Failed> {
    let client = client(facts)?;
    let (mut session, shared) = Shared::sign_in(&client, facts)?;
    let lifetime = Duration::from_secs(facts.access_token_lifetime);
    let waits = lifetime < LIMIT / 10;
    let end = SystemTime::now() + 2 * lifetime;
    let mut seen = BTreeSet::new();
    let reason = shared.keep_alive(&client, &mut session, |session| {
        let now = SystemTime::now();
        let Some(token) = session.access_token(now).cloned() else { return false };
        seen.insert(token.expose().to_owned());
        if !waits {
            session.access_token_rejected(&token);
        }
        seen.len() > 3 && (now >= end || !waits)
    })?;
    check(reason.is_none(), format!("{reason:?}"))?;
    let refreshes = shared.refreshes.load(Ordering::Relaxed);
    check(seen.len() - 1 == refreshes, format!("{refreshes} refreshes for {} tokens", seen.len()))
}

/// Both holders learn at the same time that the token is rejected.
fn holders_share_one_refresh(facts: &Facts) -> Result<(), Failed> {
    let client = client(facts)?;
    let (session, shared) = Shared::sign_in(&client, facts)?;
    let first = shared.access_token()?;
    // The claim is the revision after the sign-in, and the new tokens are the next one.
    let last = session.revision() + 2;
    let mut holders = [shared.holder(&client)?, shared.holder(&client)?];
    thread::scope(|scope| {
        let running = holders.each_mut().map(|session| {
            session.access_token_rejected(&first);
            let (shared, client) = (&shared, &client);
            scope.spawn(move || shared.keep_alive(client, session, |session| session.revision() >= last))
        });
        for holder in running {
            let reason = holder.join().map_err(|_| "a holder panicked")??;
            check(reason.is_none(), format!("{reason:?}"))?;
        }
        Ok::<_, Failed>(())
    })?;
    let refreshes = shared.refreshes.load(Ordering::Relaxed);
    check(refreshes == 1, format!("{refreshes} refreshes"))?;
    let [one, other] = holders.map(|session| session.expires_at());
    check(one == other, format!("{one:?} {other:?}"))?;
    check(shared.access_token()? != first, "the access token is the same as before")
}

/// The thief uses the refresh token after us: the server ends the authorization, and every holder learns
/// that.
fn stolen_refresh_token(facts: &Facts) -> Result<(), Failed> {
    let client = client(facts)?;
    let stolen = tokens(&client, facts)?;
    let theft = refresh(&client, &stolen)?;
    let (mut session, shared) = Shared::of(stolen)?;
    session.access_token_rejected(&shared.access_token()?);
    let refreshed = session.revision() + 2;
    shared.keep_alive(&client, &mut session, |session| session.revision() == refreshed)?;
    refused(send(&theft), "invalid_grant", Advice::Reauthorize)?;

    session.access_token_rejected(&shared.access_token()?);
    let reason = shared.keep_alive(&client, &mut session, |_| false)?;
    check(reason == Some(Reason::Refused), format!("{reason:?}"))?;
    let mut other = shared.holder(&client)?;
    let reason = shared.keep_alive(&client, &mut other, |_| false)?;
    check(reason == Some(Reason::Refused), format!("another holder: {reason:?}"))
}

/// The maximum time that a flow waits for a session.
const LIMIT: Duration = Duration::from_secs(60);

/// Short pauses after a rejected token, because a flow rejects several, and refreshes in quick succession,
/// because some servers' tokens live 2 seconds.
fn policy() -> RefreshPolicy {
    RefreshPolicy::default()
        .backoff(Duration::from_millis(100), Duration::from_secs(1))
        .min_interval(Duration::from_millis(100))
}

/// The state that the holders of one authorization share: the store, and the number of refreshes that were
/// sent.
struct Shared {
    store: Mutex<Store>,
    refreshes: AtomicUsize,
}

impl Shared {
    /// The session of a new sign-in, saved.
    fn sign_in(client: &Client, facts: &Facts) -> Result<(Session, Self), Failed> {
        Self::of(tokens(client, facts)?)
    }

    /// A session with these tokens, saved.
    fn of(tokens: TokenResponse) -> Result<(Session, Self), Failed> {
        let now = SystemTime::now();
        let mut session = Session::new(tokens, policy(), now);
        let Step::Save(save) = session.poll(now) else { return Err("there is nothing to save".into()) };
        let mut store = Store::default();
        check(store.compare_and_swap(&save), "an empty store refuses a new session")?;
        session.saved(save);
        Ok((session, Self { store: Mutex::new(store), refreshes: AtomicUsize::new(0) }))
    }

    /// Another holder, who starts now from what is stored.
    #[track_caller]
    fn holder(&self, client: &Client) -> Result<Session, Error> {
        Session::restore(client, self.store().load(), policy(), SystemTime::now())
    }

    #[track_caller]
    fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().expect("nobody panics with the lock")
    }

    /// Returns the stored access token, which may have expired.
    #[track_caller]
    fn access_token(&self) -> Result<Secret, Failed> {
        let stored = self.store().value();
        Ok(Secret::new(stored["access_token"].as_str().ok_or("there is no access token")?))
    }

    /// Does what the session says until `is_done`, or until the user must sign in again.
    #[track_caller]
    fn keep_alive(
        &self,
        client: &Client,
        session: &mut Session,
        mut is_done: impl FnMut(&mut Session) -> bool,
    ) -> Result<Option<Reason>, Failed> {
        let now = SystemTime::now;
        let limit = now() + LIMIT;
        while !is_done(session) {
            check(now() < limit, format!("not done after {} s: {session:?}", LIMIT.as_secs()))?;
            match session.poll(now()) {
                Step::Idle(_) => thread::sleep(Duration::from_millis(10)),
                Step::Wait { .. } => {
                    thread::sleep(Duration::from_millis(10));
                    session.adopt(self.store().load(), now())?;
                }
                Step::Save(save) => {
                    let mut store = self.store();
                    if store.compare_and_swap(&save) {
                        session.saved(save);
                    } else {
                        session.adopt(store.load(), now())?;
                    }
                }
                Step::Send { .. } => {
                    let Some(call) = session.send(client, now())? else { continue };
                    self.refreshes.fetch_add(1, Ordering::Relaxed);
                    let (status, headers, body) = http::send(call.request())?;
                    match session.received(call, Response::new(status, headers, &body), now()) {
                        Err(error) if error.advice() != Advice::Reauthorize => return Err(error.into()),
                        // A refusal ends the session in the next step.
                        _ => {}
                    }
                }
                Step::Reauthorize(reason) => return Ok(Some(reason)),
            }
        }
        Ok(None)
    }
}

fn server(facts: &Facts) -> Result<AuthorizationServer, Error> {
    type With = fn(AuthorizationServer, &str) -> Result<AuthorizationServer, Error>;
    let optional: [(&Option<String>, With); 4] = [
        (&facts.issuer, |server, issuer| server.issuer(issuer)),
        (&facts.revocation_endpoint, |server, url| server.revocation_endpoint(url)),
        (&facts.introspection_endpoint, |server, url| server.introspection_endpoint(url)),
        (&facts.device_authorization_endpoint, |server, url| server.device_authorization_endpoint(url)),
    ];
    let server = AuthorizationServer::new(&facts.authorization_endpoint, &facts.token_endpoint)?;
    optional
        .iter()
        .filter_map(|(value, with)| Some((value.as_deref()?, with)))
        .try_fold(server, |server, (value, with)| with(server, value))
}

fn client(facts: &Facts) -> Result<Client, Error> {
    Client::new(server(facts)?, facts.client_id.as_str(), ClientAuth::basic(facts.client_secret.as_str()))
}

fn authorize(client: &Client, facts: &Facts) -> Result<(String, PendingAuthorization), Error> {
    client.authorize(&facts.redirect_uris[0]).scopes(&facts.scopes).start(SystemTime::now())
}

fn receive(
    client: &Client,
    pending: &mut PendingAuthorization,
    callback: &str,
) -> Result<Call<TokenResponse>, Error> {
    pending.receive(client, Callback::url(callback), SystemTime::now())
}

/// The callback with another `iss`, or without one.
fn with_iss(callback: &str, iss: Option<&str>) -> Result<String, Failed> {
    let mut url = Url::parse(callback)?;
    let pairs: Vec<_> = url.query_pairs().into_owned().filter(|(name, _)| name != "iss").collect();
    url.query_pairs_mut().clear().extend_pairs(pairs).extend_pairs(iss.map(|iss| ("iss", iss)));
    Ok(url.into())
}

/// An authorization that the user refused, and its callback.
fn refusal(client: &Client, facts: &Facts) -> Result<(PendingAuthorization, String), Failed> {
    let scopes = facts.scopes.iter().chain(&facts.refused_scope);
    let (url, pending) = client.authorize(&facts.redirect_uris[0]).scopes(scopes).start(SystemTime::now())?;
    Ok((pending, Browser::new().refuse(&url, &facts.redirect_uris[0])?))
}

/// A token request with a code that a signed-in user has granted.
fn exchange(client: &Client, facts: &Facts) -> Result<Call<TokenResponse>, Failed> {
    let (url, mut pending) = authorize(client, facts)?;
    let callback = Browser::new().sign_in(&url, &facts.redirect_uris[0])?;
    Ok(receive(client, &mut pending, &callback)?)
}

fn tokens(client: &Client, facts: &Facts) -> Result<TokenResponse, Failed> {
    Ok(send(&exchange(client, facts)?)?)
}

fn refresh(client: &Client, tokens: &TokenResponse) -> Result<Call<Refresh>, Failed> {
    let refresh_token = tokens.refresh_token().ok_or("there is no refresh token")?;
    Ok(client.refresh(refresh_token).start(SystemTime::now())?)
}

/// Sends the request of a call and reads its response.
#[track_caller]
fn send<R: Readable>(call: &Call<R>) -> Result<R::Output, Error> {
    let (status, headers, body) = http::send(call.request()).expect("the server answers");
    let headers = headers.iter().map(|(name, value)| (name.as_str(), value));
    call.read(Response::new(status, headers, &body))
}

/// Checks that the server refused with this code and advice.
fn refused<T>(result: Result<T, Error>, code: &str, advice: Advice) -> Result<(), Failed> {
    match result {
        Ok(_) => Err("the server said yes".into()),
        Err(error) => check(
            error.code() == Some(code) && error.advice() == advice,
            format!("refused otherwise: {error}"),
        ),
    }
}

fn check(holds: bool, otherwise: impl Into<String>) -> Result<(), Failed> {
    if holds { Ok(()) } else { Err(otherwise.into().into()) }
}
