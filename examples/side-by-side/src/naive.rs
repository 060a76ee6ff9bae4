//! The naive program: two holders that refresh with `oauth2` 5 whenever the stored token has expired.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime};

use oauth2::basic::{BasicClient, BasicErrorResponseType, BasicTokenResponse};
use oauth2::http::{Request, Response};
use oauth2::{
    AuthUrl, AuthorizationCode, ClientId, ClientSecret, CsrfToken, EndpointNotSet, EndpointSet,
    PkceCodeChallenge, RedirectUrl, RefreshToken, RequestTokenError, TokenResponse, TokenUrl,
};
use ureq::Agent;
use url::Url;

use crate::Failure;
use crate::http;
use crate::tally::Tally;
use crate::world::{PAUSE, World, agent, config, get};

pub const HOLDERS: usize = 2;

/// The row that the holders share.
#[derive(Clone)]
struct Row {
    access_token: String,
    refresh_token: String,
    expires_at: SystemTime,
}

/// What a holder has. The lock is held while the row is read or written, and not in between, like a database
/// without a transaction.
struct Holder {
    row: Mutex<Row>,
    client: Client,
    agent: Agent,
    api: String,
    /// The times that the user has signed in again.
    sign_ins: Mutex<u64>,
}

type Client = BasicClient<EndpointSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointSet>;

/// Lets both holders call the API for this many seconds.
pub fn run(world: &World, seconds: u64) -> Result<Tally, Failure> {
    let end = SystemTime::now() + Duration::from_secs(seconds);
    let base = world.server.base_url();
    let (agent, client) = (agent(), client(&base)?);
    let row = Mutex::new(sign_in(&client, &agent)?);
    let holder = Holder { row, client, agent, api: format!("{base}/api/me"), sign_ins: Mutex::new(0) };
    let tallies: Result<Vec<_>, _> = thread::scope(|scope| {
        let call_until_end = || {
            let mut tally = Tally::default();
            while SystemTime::now() < end {
                let outcome = holder.call(&mut tally);
                tally.count("a naive holder", outcome);
                thread::sleep(PAUSE);
            }
            tally
        };
        let callers: Vec<_> = (0..HOLDERS).map(|_| scope.spawn(call_until_end)).collect();
        callers.into_iter().map(|caller| caller.join()).collect()
    });
    let tally = Tally::sum(tallies.map_err(|_| "a holder panicked")?);
    Ok(Tally { sign_ins: *lock(&holder.sign_ins), ..tally })
}

impl Holder {
    /// Calls the API, and once more after a 401.
    fn call(&self, tally: &mut Tally) -> Result<(), Failure> {
        let token = self.access_token()?;
        if get(&self.agent, &self.api, &token)? == 200 {
            return Ok(());
        }
        tally.repeated += 1;
        let row = self.load();
        let token = if row.access_token == token { self.refresh(&row)? } else { row.access_token };
        match get(&self.agent, &self.api, &token)? {
            200 => Ok(()),
            status => Err(format!("the API answered {status}").into()),
        }
    }

    fn access_token(&self) -> Result<String, Failure> {
        let row = self.load();
        if SystemTime::now() < row.expires_at { Ok(row.access_token) } else { self.refresh(&row) }
    }

    fn refresh(&self, row: &Row) -> Result<String, Failure> {
        let refresh_token = RefreshToken::new(row.refresh_token.clone());
        let answer =
            self.client.exchange_refresh_token(&refresh_token).request(&|request| send(&self.agent, request));
        match answer {
            Ok(tokens) => {
                let row = Row::new(&tokens)?;
                *lock(&self.row) = row.clone();
                Ok(row.access_token)
            }
            Err(RequestTokenError::ServerResponse(refusal))
                if *refusal.error() == BasicErrorResponseType::InvalidGrant =>
            {
                self.sign_in_again(row)?;
                Err("the user must sign in again".into())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Signs the user in, unless the row has other tokens by now.
    fn sign_in_again(&self, refused: &Row) -> Result<(), Failure> {
        let mut sign_ins = lock(&self.sign_ins);
        if self.load().refresh_token == refused.refresh_token {
            *lock(&self.row) = sign_in(&self.client, &self.agent)?;
            *sign_ins += 1;
        }
        Ok(())
    }

    fn load(&self) -> Row {
        lock(&self.row).clone()
    }
}

impl Row {
    fn new(tokens: &BasicTokenResponse) -> Result<Self, Failure> {
        let refresh_token = tokens.refresh_token().ok_or("the server issues refresh tokens")?;
        let lifetime = tokens.expires_in().ok_or("the server names the lifetime")?;
        Ok(Self {
            access_token: tokens.access_token().secret().clone(),
            refresh_token: refresh_token.secret().clone(),
            expires_at: SystemTime::now() + lifetime,
        })
    }
}

fn client(base: &str) -> Result<Client, Failure> {
    let config = config();
    Ok(BasicClient::new(ClientId::new(config.client_id))
        .set_client_secret(ClientSecret::new(config.client_secret))
        .set_auth_uri(AuthUrl::new(format!("{base}/oauth/authorize"))?)
        .set_token_uri(TokenUrl::new(format!("{base}/oauth/token"))?)
        .set_redirect_uri(RedirectUrl::new(config.redirect_uri)?))
}

fn sign_in(client: &Client, agent: &Agent) -> Result<Row, Failure> {
    let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
    let (url, state) = client.authorize_url(CsrfToken::new_random).set_pkce_challenge(challenge).url();
    let callback = Url::parse(&http::follow(url.as_str())?)?;
    let parameter = |name| callback.query_pairs().find(|(known, _)| known == name).map(|(_, value)| value);
    if parameter("state").as_deref() != Some(state.secret().as_str()) {
        return Err("the callback has another state".into());
    }
    let code = parameter("code").ok_or("the callback has no code")?.into_owned();
    let request = client.exchange_code(AuthorizationCode::new(code)).set_pkce_verifier(verifier);
    Row::new(&request.request(&|request| send(agent, request))?)
}

fn send(agent: &Agent, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, ureq::Error> {
    let (head, mut body) = agent.run(request)?.into_parts();
    Ok(Response::from_parts(head, body.read_to_vec()?))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
