//! Keepers, and the end of what they keep.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use libtest_mimic::Failed;
use oauth2_proto::challenge::ProtectedApi;
use oauth2_proto::dpop::DpopKey;
use oauth2_proto::jose::{SignerError, Unsigned};
use oauth2_proto::keeper::blocking::{self, Keeper};
use oauth2_proto::keeper::{self, KeeperError};
use oauth2_proto::management::TokenKind;
use oauth2_proto::session::{Reason, Save};
use oauth2_proto::token::AccessToken;
use oauth2_proto::{Advice, Client, RefreshPolicy, Request, Response, Secret, Snapshot};

use super::certificates;
use super::client_auth::Remote;
use super::dpop::{self, get_bound};
use super::{Flow, LIMIT, check, client, policy, refused, send, tokens};
use crate::foreign::Facts;
use crate::http;
use crate::keys::{self, Presents, client_key, dpop_key};
use crate::store::Store;

pub const FLOWS: &[Flow] = &[
    Flow {
        title: "a keeper holds tokens of client credentials",
        is_offered: |facts| facts.has_grant("client_credentials"),
        run: client_credentials,
    },
    Flow {
        title: "a keeper holds tokens that are bound to a key",
        is_offered: |facts| facts.wider.keys.dpop.is_some(),
        run: bound_to_key,
    },
    Flow {
        title: "a keeper holds tokens that are bound to a certificate",
        is_offered: certificates::is_offered,
        run: bound_to_certificate,
    },
    Flow {
        title: "the keys of a keeper's client sign elsewhere",
        is_offered: |facts| facts.wider.keys.private_key_jwt.is_some(),
        run: signed_elsewhere,
    },
    Flow {
        title: "a sign-in ends with a revocation",
        is_offered: |facts| facts.revocation_endpoint.is_some(),
        run: revoked_at_the_end,
    },
];

/// RFC 6749 §4.4: a new token where a user's would be refreshed, one for both keepers of a store.
fn client_credentials(facts: &Facts) -> Result<(), Failed> {
    let client = client(facts)?;
    let shared = Shared::default();
    let keepers = [shared.keeper(&client), shared.keeper(&client)];
    for keeper in &keepers {
        let request = client.client_credentials().scopes(&facts.scopes[..1]);
        keeper.start_from_client_credentials(KEY, request)?;
    }
    let first = keepers[0].access_token(KEY)?;
    check(keepers[1].access_token(KEY)? == first, "the second keeper does not use the stored token")?;
    is_of_client(&client, first.secret(), facts)?;
    keepers[0].access_token_rejected(KEY, first.secret());
    let mut seen = vec![first];
    let start = Instant::now();
    // The second token replaces a rejected one, and the others replace old ones.
    while seen.len() < 4 {
        check(start.elapsed() < LIMIT, format!("{} tokens after {LIMIT:?}", seen.len()))?;
        for keeper in &keepers {
            let token = keeper.access_token(KEY)?;
            if !seen.contains(&token) {
                is_of_client(&client, token.secret(), facts)?;
                seen.push(token);
            }
        }
        thread::sleep(Duration::from_millis(10));
    }
    let sent = shared.sent.into_inner()?;
    check(sent.len() == seen.len(), format!("{} requests for {} tokens", sent.len(), seen.len()))?;
    let asks = |request: &Request| request.body().contains("grant_type=client_credentials");
    check(sent.iter().all(asks), "a request has another grant type")
}

/// RFC 9449 §§5 and 8: each keeper has a copy of the key, which knows no nonce before the first answer.
fn bound_to_key(facts: &Facts) -> Result<(), Failed> {
    let client = dpop::client(facts)?;
    let client = |key| client.clone().dpop(DpopKey::new(key));
    let shared = Shared::default();
    let keepers = [shared.keeper(&client(dpop_key()?)), shared.keeper(&client(dpop_key()?))];
    keepers[0].signed_in(KEY, dpop::tokens(&client(dpop_key()?), facts)?)?;
    let refreshes = take_turns(&keepers, |token| reaches_resource(token, facts))?;
    let sent = shared.sent();
    check(
        sent.len() == refreshes + keepers.len(),
        format!("{} requests, {refreshes} refreshes", sent.len()),
    )?;
    let has_proof = |request: &Request| request.header("dpop").is_some();
    check(sent.iter().all(has_proof), "a request has no proof")?;
    drop(sent);

    match shared.keeper(&client(client_key()?)).access_token(KEY) {
        Err(KeeperError::Misuse(_)) => Ok(()),
        other => Err(format!("with another key: {other:?}").into()),
    }
}

/// RFC 8705 §4: a client without the certificate is another one, for the server would refuse its refreshes.
fn bound_to_certificate(facts: &Facts) -> Result<(), Failed> {
    let public = certificates::public(facts)?;
    for client in [certificates::authenticated(facts)?, public.clone().presents_certificate()?] {
        let shared = Shared::default();
        let keepers = [(); 2].map(|()| shared.keeper_with(&client, WithCertificate(&shared)));
        keepers[0].signed_in(KEY, certificates::tokens(&client, facts)?)?;
        let refreshes = take_turns(&keepers, |token| certificates::reach_resource(token.secret(), facts))?;
        let sent = shared.sent().len();
        check(sent == refreshes, format!("{sent} requests, {refreshes} refreshes"))?;
        match shared.keeper(&public).access_token(KEY) {
            Err(KeeperError::Misuse(_)) => {}
            other => return Err(format!("without the certificate: {other:?}").into()),
        }
    }
    Ok(())
}

/// RFC 7523 §3: what the keeper asks to be signed is good for one request, and it sends nothing without it.
fn signed_elsewhere(facts: &Facts) -> Result<(), Failed> {
    let remote = Remote::of(facts)?;
    let tokens = remote.tokens(facts)?;
    let shared = Shared::default();
    let service = KeyService { shared: &shared, remote: &remote, is_away: AtomicBool::new(true) };
    let (keeper, driver) =
        keeper::Keeper::new(remote.client.clone(), mid_life(), SystemTime::now, &shared, &service);
    let refreshes = block_on(driver.run_until(async {
        keeper.signed_in(KEY, tokens).await?;
        let mut token = keeper.access_token(KEY).await?;
        keeper.access_token_rejected(KEY, token.secret());
        match keeper.access_token(KEY).await {
            Err(KeeperError::Signing(_)) => {}
            other => return Err(format!("while the key does not sign: {other:?}").into()),
        }
        check(shared.sent().is_empty(), "there is a request without signatures")?;
        service.is_away.store(false, Ordering::Relaxed);
        for _ in 0..REFRESHES {
            let next = keeper.access_token(KEY).await?;
            check(next != token, "the access token is the same as before")?;
            reaches_resource(&next, facts)?;
            keeper.access_token_rejected(KEY, next.secret());
            token = next;
        }
        Ok::<_, Failed>(REFRESHES)
    }))?;
    let sent = shared.sent();
    let assertion = |request: &Request| {
        request.form().into_iter().find_map(|(name, value)| (name == "client_assertion").then_some(value))
    };
    let assertions: BTreeSet<_> = sent.iter().filter_map(assertion).collect();
    check(assertions.len() == sent.len(), "two requests have the same assertion")?;
    check(sent.len() >= refreshes, format!("{} requests, {refreshes} refreshes", sent.len()))
}

/// Two keepers of one store refresh by turns, and what they get works; the number of refreshes.
fn take_turns<S: blocking::Store, R: blocking::Runtime>(
    keepers: &[Keeper<S, R>; 2],
    works: impl Fn(&AccessToken) -> Result<(), Failed>,
) -> Result<usize, Failed> {
    let start = Instant::now();
    let mut seen = vec![keepers[0].access_token(KEY)?];
    works(&seen[0])?;
    while seen.len() <= REFRESHES {
        let keeper = &keepers[seen.len() % 2];
        let mut token = keeper.access_token(KEY)?;
        // This keeper learns first what the other one got, and then that it is rejected, too.
        while seen.contains(&token) {
            check(start.elapsed() < LIMIT, format!("{} tokens after {LIMIT:?}", seen.len()))?;
            keeper.access_token_rejected(KEY, token.secret());
            token = keeper.access_token(KEY)?;
        }
        works(&token)?;
        seen.push(token);
    }
    Ok(seen.len() - 1)
}

/// The protected resource takes the token, with a proof if it is bound to a key.
fn reaches_resource(token: &AccessToken, facts: &Facts) -> Result<(), Failed> {
    let url = facts.wider.api.as_deref().ok_or("there is no resource")?;
    let api = ProtectedApi::new([url])?;
    let status = if facts.wider.keys.dpop.is_some() {
        get_bound(&api, &DpopKey::new(dpop_key()?), token.secret(), "GET", url)?
    } else {
        let mut request = Request::new("GET", url);
        request.set_header("authorization", api.authorization(token.token_type(), token.secret(), url)?);
        http::send(&request)?.0
    };
    check(status == 200, format!("the resource answers {status}"))
}

/// RFC 7009 §2.1: the keeper's last refresh token is revoked, and no keeper gives out a token after that.
fn revoked_at_the_end(facts: &Facts) -> Result<(), Failed> {
    let client = client(facts)?;
    let shared = Shared::default();
    let keeper = shared.keeper(&client);
    keeper.signed_in(KEY, tokens(&client, facts)?)?;
    let first = keeper.access_token(KEY)?;
    keeper.access_token_rejected(KEY, first.secret());
    keeper.access_token(KEY)?;

    let refresh_token = keeper.end(KEY)?.ok_or("there is no refresh token")?;
    send(&client.revoke(&refresh_token).hint(TokenKind::RefreshToken).start(SystemTime::now())?)?;
    refused(
        send(&client.refresh(&refresh_token).start(SystemTime::now())?),
        "invalid_grant",
        Advice::Reauthorize,
    )?;
    for keeper in [keeper, shared.keeper(&client)] {
        match keeper.access_token(KEY) {
            Err(KeeperError::SignIn(Reason::Ended)) => {}
            other => return Err(format!("after the end: {other:?}").into()),
        }
    }
    Ok(())
}

/// RFC 7662 §2.2: the token works, and not for a user.
fn is_of_client(client: &Client, token: &Secret, facts: &Facts) -> Result<(), Failed> {
    if facts.introspection_endpoint.is_none() {
        return Ok(());
    }
    let found = send(&client.introspect(token).hint(TokenKind::AccessToken).start(SystemTime::now())?)?;
    check(found.is_active(), "a new token is not active")?;
    check(found.scopes().eq([facts.scopes[0].as_str()]), format!("it is for {found:?}"))
}

const KEY: &str = "fake-key";

/// Each token is replaced in the middle of its life, also the one of a sign-in.
fn mid_life() -> RefreshPolicy {
    policy().refresh_fraction(0.5, 0.5)
}

/// The number of refreshes of a keeper whose tokens or requests need keys.
const REFRESHES: usize = 4;

/// What the keepers of one authorization share: the row of the store, and their requests.
#[derive(Default)]
struct Shared {
    store: Mutex<Store>,
    sent: Mutex<Vec<Request>>,
}

impl Shared {
    fn keeper(&self, client: &Client) -> Keeper<&Self, &Self> {
        self.keeper_with(client, self)
    }

    fn keeper_with<R: blocking::Runtime>(&self, client: &Client, runtime: R) -> Keeper<&Self, R> {
        Keeper::new(client.clone(), mid_life(), SystemTime::now, self, runtime)
    }

    #[track_caller]
    fn sent(&self) -> MutexGuard<'_, Vec<Request>> {
        self.sent.lock().expect("nobody panics with the lock")
    }
}

impl blocking::Store for &Shared {
    type Error = Infallible;

    fn load(&self, _key: &str) -> Result<Option<Snapshot>, Infallible> {
        let store = self.store.lock().expect("nobody panics with the lock");
        Ok((store.revision > 0).then(|| store.load()))
    }

    fn compare_and_swap(&self, _key: &str, save: &Save) -> Result<bool, Infallible> {
        Ok(self.store.lock().expect("nobody panics with the lock").compare_and_swap(save))
    }
}

impl blocking::Runtime for &Shared {
    fn send(&self, request: &Request, until: SystemTime) -> Option<Response<'static>> {
        self.sent().push(request.clone());
        let (status, headers, body) = http::send_until(request, until).ok()?;
        Some(Response::new(status, headers, &body).into_owned())
    }

    fn sleep(&self, until: SystemTime) {
        thread::sleep(until.duration_since(SystemTime::now()).unwrap_or_default());
    }
}

/// A runtime whose connections present a certificate.
struct WithCertificate<'a>(&'a Shared);

impl blocking::Runtime for WithCertificate<'_> {
    fn send(&self, request: &Request, _until: SystemTime) -> Option<Response<'static>> {
        self.0.sent().push(request.clone());
        let (status, headers, body) = keys::send_over_tls(request, Presents::Client).ok()?;
        Some(Response::new(status, headers, &body).into_owned())
    }

    fn sleep(&self, until: SystemTime) {
        blocking::Runtime::sleep(&self.0, until);
    }
}

impl keeper::Store for &Shared {
    type Error = Infallible;

    async fn load(&self, key: &str) -> Result<Option<Snapshot>, Infallible> {
        blocking::Store::load(self, key)
    }

    async fn compare_and_swap(&self, key: &str, save: &Save) -> Result<bool, Infallible> {
        blocking::Store::compare_and_swap(self, key, save)
    }
}

/// The runtime of an async keeper whose client's keys are in a service.
struct KeyService<'a> {
    shared: &'a Shared,
    remote: &'a Remote,
    is_away: AtomicBool,
}

impl keeper::Runtime for &KeyService<'_> {
    async fn send(&self, request: &Request, until: SystemTime) -> Option<Response<'static>> {
        blocking::Runtime::send(&self.shared, request, until)
    }

    async fn sign(&self, unsigned: &Unsigned) -> Result<Vec<u8>, SignerError> {
        if self.is_away.load(Ordering::Relaxed) {
            Err("it is away".into())
        } else {
            self.remote.sign(unsigned)
        }
    }

    async fn sleep(&self, until: SystemTime) {
        poll_fn(|context| {
            if SystemTime::now() >= until {
                return Poll::Ready(());
            }
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }
}

/// Polls a future again and again, for its sleeps look at the clock only.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return value;
        }
        thread::sleep(Duration::from_millis(5));
    }
}
