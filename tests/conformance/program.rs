//! The client of the modules: a program as a user of the crate writes it.

use std::time::SystemTime;

use oauth2_proto::challenge::{Challenges, ProtectedApi, Verdict};
use oauth2_proto::discovery::ServerDiscovery;
use oauth2_proto::dpop::DpopKey;
use oauth2_proto::fapi::SenderConstraint;
use oauth2_proto::jose::{KeySet, SigningKey, Verification};
use oauth2_proto::oidc::{Authentication, IdToken, UserInfo};
use oauth2_proto::{
    Advice, AuthorizationServer, Call, Client, ClientAuth, Entropy, Error, Request, Secret, TokenResponse,
};

use crate::server::{ACCOUNTS, Auth, CLIENT_ID, ISSUER, SECRET, Server, client_key};
use crate::signatures::{Key, Ring};
use crate::support::{REDIRECT_URI, now};

pub struct Program<'a> {
    pub server: &'a Server,
    pub client: Client,
    pub keys: KeySet,
    /// The key that tokens are bound to.
    dpop: Option<DpopKey>,
    pub asks_for_signed_response: bool,
    pub now: SystemTime,
}

/// What a program has after a sign-in.
#[derive(Debug)]
pub struct SignedIn {
    pub tokens: TokenResponse,
    pub id_token: IdToken,
}

impl<'a> Program<'a> {
    /// Finds the server, and makes the client and its keys.
    pub fn start(server: &'a Server) -> Result<Self, Error> {
        let found = discover(server)?;
        let (client, dpop) = match server.script.is_fapi {
            true => {
                let key = DpopKey::new(signing_key(dpop_key(), 2));
                let auth = ClientAuth::private_key_jwt(signing_key(client_key(), 3));
                let constraint = SenderConstraint::Dpop(key.clone());
                (Client::fapi2(found, CLIENT_ID, auth, constraint)?, Some(key))
            }
            false => {
                let auth = match server.script.auth {
                    Auth::Basic => ClientAuth::basic(SECRET),
                    Auth::Certificate => ClientAuth::tls_client_auth(),
                    Auth::Key => ClientAuth::private_key_jwt(signing_key(client_key(), 3)),
                };
                (Client::new(found, CLIENT_ID, auth)?, None)
            }
        };
        let keys = fetch_keys(server, &client, now())?;
        Ok(Self { server, client, keys, dpop, asks_for_signed_response: false, now: now() })
    }

    /// Signs the user in.
    pub fn sign_in(&mut self) -> Result<SignedIn, Error> {
        let mut request = self.client.authorize(REDIRECT_URI).scopes(["accounts"]);
        if self.asks_for_signed_response {
            request = request.signed_response();
        }
        let request = request.openid();
        let (url, mut pending) = match self.server.script.is_fapi {
            true => {
                let (call, pending) = request.push_with(entropy(1), self.now)?;
                let answer = self.server.answer(call.request());
                (call.read(answer.response())?.url().to_owned(), pending)
            }
            false => request.start_with(entropy(1), self.now)?,
        };
        let callback = self.server.authorize(&url);
        let call = match self.asks_for_signed_response {
            true => {
                let verification = Verification::by(&self.keys, &Ring);
                pending.receive_signed(&self.client, callback.as_str(), &verification, self.now)?
            }
            false => pending.receive(&self.client, callback.as_str(), self.now)?,
        };
        self.authenticate(call)
    }

    /// Exchanges the code. Sends a request again where the server wants a nonce, and fetches its keys again
    /// where the token has a new one.
    pub fn authenticate(&mut self, mut call: Call<Authentication>) -> Result<SignedIn, Error> {
        let secret = Secret::new(SECRET);
        loop {
            let answer = self.server.answer(call.request());
            let mut authenticated =
                call.authenticate(answer.response(), &self.verification(&secret), self.now);
            if let Err(error) = &authenticated
                && let Some(fetch) = self.keys.fetch_again(error, &self.client, self.now)?
            {
                self.keys = fetch.read(self.server.answer(fetch.request()).response())?;
                authenticated = call.authenticate(answer.response(), &self.verification(&secret), self.now);
            }
            match authenticated {
                Err(error) if error.advice() == Advice::RetryLater => call.renew(&self.client, self.now)?,
                authenticated => {
                    let (tokens, id_token) = authenticated?.into_parts();
                    return Ok(SignedIn { tokens, id_token });
                }
            }
        }
    }

    /// The check that the program is configured with: by the server's keys, or by the secret.
    pub fn verification<'b>(&'b self, secret: &'b Secret) -> Verification<'b> {
        match self.server.script.algorithm {
            "HS256" => Verification::by_client_secret(secret),
            _ => Verification::by(&self.keys, &Ring),
        }
    }

    /// Refreshes the tokens of a sign-in, and checks that they are the same user's.
    pub fn refresh(&self, signed_in: &SignedIn) -> Result<SignedIn, Error> {
        let call = self.client.refresh(signed_in.tokens.refresh_token().unwrap()).start(self.now)?;
        let tokens = call.read(self.server.answer(call.request()).response())?;
        let verification = Verification::by(&self.keys, &Ring);
        let previous = signed_in.id_token.to_previous();
        let unchecked = tokens.id_token().unwrap();
        let id_token = unchecked.check_refreshed(&previous, &self.client, &verification, self.now)?;
        Ok(SignedIn { tokens, id_token })
    }

    pub fn userinfo(&self, signed_in: &SignedIn) -> Result<UserInfo, Error> {
        let token = signed_in.tokens.access_token();
        let call = self.client.userinfo(token, &signed_in.id_token).start(self.now)?;
        let answer = self.server.answer(call.request());
        match self.server.script.userinfo_signature {
            Some(_) => call.read_signed(answer.response(), &Verification::by(&self.keys, &Ring), self.now),
            None => call.read(answer.response()),
        }
    }

    /// Asks the API for the accounts. Returns whether it rejects the token.
    pub fn read_accounts(&self, access_token: &Secret) -> Result<bool, Error> {
        let api = ProtectedApi::new(["https://api.example"])?;
        let key = self.dpop.as_ref().unwrap();
        let mut request = api.bound_request(key, access_token, "GET", ACCOUNTS)?;
        loop {
            let mut message = Request::new("GET", ACCOUNTS);
            for (name, value) in request.headers(self.now)? {
                message.set_header(name, value);
            }
            let answer = self.server.answer(&message);
            if request.received(answer.status, answer.headers.iter().map(|(name, value)| (name, value)))? {
                continue;
            }
            let challenges =
                Challenges::from_headers(answer.headers.iter().map(|(name, value)| (name, value)));
            return match challenges.verdict(answer.status, true) {
                Verdict::Unrelated => Ok(false),
                Verdict::Rejected => Ok(true),
                other => panic!("{other:?}"),
            };
        }
    }
}

/// Finds the server by its issuer.
pub fn discover(server: &Server) -> Result<AuthorizationServer, Error> {
    let mut discovery = ServerDiscovery::new(ISSUER)?;
    loop {
        let call = discovery.call();
        match call.read(server.answer(call.request()).response()) {
            Ok(found) => return Ok(found),
            Err(error) => discovery.next_address(error)?,
        }
    }
}

fn fetch_keys(server: &Server, client: &Client, now: SystemTime) -> Result<KeySet, Error> {
    let call = client.fetch_keys(now)?;
    call.read(server.answer(call.request()).response())
}

/// Different random bytes for each seed.
pub fn entropy(seed: u8) -> Entropy {
    Entropy::from_bytes([seed; 128])
}

#[track_caller]
fn signing_key(key: Key, seed: u8) -> SigningKey {
    SigningKey::new_with(key, entropy(seed)).unwrap()
}

#[track_caller]
fn dpop_key() -> Key {
    let jwk = include_str!("../servers/keys/dpop.jwk.json");
    Key::from_jwk(jwk).unwrap_or_else(|error| panic!("{error:?}"))
}
