//! Keepers, and the end of what they keep.

use std::convert::Infallible;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use libtest_mimic::Failed;
use oauth2_proto::keeper::KeeperError;
use oauth2_proto::keeper::blocking::{self, Keeper};
use oauth2_proto::management::TokenKind;
use oauth2_proto::session::{Reason, Save};
use oauth2_proto::{Advice, Client, Request, Response, Secret, Snapshot};

use super::{Flow, LIMIT, check, client, policy, refused, send, tokens};
use crate::foreign::Facts;
use crate::http;
use crate::store::Store;

pub const FLOWS: &[Flow] = &[
    Flow {
        title: "a keeper holds tokens of client credentials",
        is_offered: |facts| facts.has_grant("client_credentials"),
        run: client_credentials,
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
    let asks = |body: &String| body.contains("grant_type=client_credentials");
    check(sent.iter().all(asks), "a request has another grant type")
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

/// What the keepers of one authorization share: the row of the store, and the bodies of their requests.
#[derive(Default)]
struct Shared {
    store: Mutex<Store>,
    sent: Mutex<Vec<String>>,
}

impl Shared {
    fn keeper(&self, client: &Client) -> Keeper<&Self, &Self> {
        // Both keepers replace a token in the middle of its life.
        Keeper::new(client.clone(), policy().refresh_fraction(0.5, 0.5), SystemTime::now, self, self)
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
        self.sent.lock().expect("nobody panics with the lock").push(request.body().to_owned());
        let (status, headers, body) = http::send_until(request, until).ok()?;
        Some(Response::new(status, headers, &body).into_owned())
    }

    fn sleep(&self, until: SystemTime) {
        thread::sleep(until.duration_since(SystemTime::now()).unwrap_or_default());
    }
}
