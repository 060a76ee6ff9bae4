//! OpenID Connect: who signed in, and the sign-out.

use std::time::SystemTime;

use libtest_mimic::Failed;
use oauth2_proto::authorization::AuthorizationRequest;
use oauth2_proto::error::ErrorKind;
use oauth2_proto::jose::{KeySet, Verification};
use oauth2_proto::oidc::{Authentication, IdToken};
use oauth2_proto::{Call, Callback, Client, ClientAuth, Error, Request, Response, TokenResponse};
use url::form_urlencoded;

use super::discovery::{discover_openid, issuer};
use super::{Flow, check, refresh, send};
use crate::browser::Browser;
use crate::foreign::{Facts, OpenId};
use crate::http;
use crate::keys::Ring;

pub const FLOWS: &[Flow] = &[
    Flow { title: "an ID token says who signed in", is_offered, run: authentication },
    Flow { title: "a refresh is the same user's", is_offered, run: refreshed },
    Flow { title: "UserInfo is the same user's", is_offered, run: userinfo },
    Flow { title: "a server changes its keys", is_offered, run: rotation },
    Flow { title: "a client signs its user out", is_offered, run: logout },
    Flow {
        title: "a server signs a client's user out",
        is_offered: |facts| openid(facts).is_ok_and(|openid| openid.logout_tokens.is_some()),
        run: back_channel_logout,
    },
];

fn is_offered(facts: &Facts) -> bool {
    openid(facts).is_ok()
}

fn openid(facts: &Facts) -> Result<&OpenId, &'static str> {
    facts.wider.keys.openid.as_ref().ok_or("there is no OpenID Connect")
}

/// OpenID Connect Core §3.1.3.7: the signature, the user, and the sign-in that the token is of.
fn authentication(facts: &Facts) -> Result<(), Failed> {
    let client = client(facts)?;
    let answer = Answer::to(exchange(&client, facts, &mut Browser::new())?)?;
    let keys = keys(&client)?;
    let verification = Verification::by(&keys, &Ring);
    let (tokens, id_token) = answer.read(&verification)?.into_parts();
    check(id_token.issuer() == issuer(facts)?, format!("of {}", id_token.issuer()))?;
    check(id_token.audience() == [client.client_id()], format!("for {:?}", id_token.audience()))?;
    check(!id_token.subject().is_empty(), "of nobody")?;
    let granted: Vec<_> = tokens.granted_scopes().collect();
    check(
        facts.scopes.iter().all(|scope| granted.contains(&scope.as_str())),
        format!("granted {granted:?}"),
    )?;
    answer.read(&Verification::left_to_tls())?;

    // The answer to another sign-in has another nonce.
    let other = exchange(&client, facts, &mut Browser::new())?;
    let swapped = Answer { call: other, ..answer };
    suspect(swapped.read(&verification), "nonce")?;
    let none: KeySet = KeySet::from_json(r#"{"keys":[]}"#, SystemTime::now())?;
    let unknown = swapped.read(&Verification::by(&none, &Ring));
    check(unknown.is_err_and(|error| error.kind() == ErrorKind::Suspect), "a key of nobody counts")
}

/// OpenID Connect Core §12.2.
fn refreshed(facts: &Facts) -> Result<(), Failed> {
    let client = client(facts)?;
    let (tokens, id_token) = sign_in(&client, facts, &mut Browser::new())?;
    let previous = id_token.to_previous();
    let tokens = send(&refresh(&client, &tokens)?)?;
    let keys = keys(&client)?;
    let unchecked = tokens.id_token().ok_or("the refresh brings no ID token")?;
    let verification = Verification::by(&keys, &Ring);
    let id_token = unchecked.check_refreshed(&previous, &client, &verification, SystemTime::now())?;
    check(id_token.subject() == previous.subject(), "it is another user's")
}

/// OpenID Connect Core §5.3: by the token of the sign-in, and by that of a refresh.
fn userinfo(facts: &Facts) -> Result<(), Failed> {
    let client = client(facts)?;
    let (tokens, id_token) = sign_in(&client, facts, &mut Browser::new())?;
    let refreshed = send(&refresh(&client, &tokens)?)?;
    let user = send(&client.userinfo(refreshed.access_token(), &id_token).start(SystemTime::now())?)?;
    check(user.subject() == id_token.subject(), format!("it is {}", user.subject()))?;
    let nobody = "fake-token-of-nobody".into();
    let call = client.userinfo(&nobody, &id_token).start(SystemTime::now())?;
    check(send(&call).is_err(), "a token of nobody opens it")
}

/// OpenID Connect Core §10.1.1: the client asks for the keys again, and reads the same answer.
fn rotation(facts: &Facts) -> Result<(), Failed> {
    let client = client(facts)?;
    let mut keys = send(&client.fetch_keys(SystemTime::now())?)?;
    let (status, _, _) = http::send(&Request::new("POST", openid(facts)?.rotation.clone()))?;
    check(status == 204, format!("the keys do not change: {status}"))?;
    let answer = Answer::to(exchange(&client, facts, &mut Browser::new())?)?;
    let error = match answer.read(&Verification::by(&keys, &Ring)) {
        Ok(_) => return Err("the old keys suffice".into()),
        Err(error) => error,
    };
    let fetch = keys.fetch_again(&error, &client, SystemTime::now())?;
    keys = send(&fetch.ok_or_else(|| format!("the keys stay: {error}"))?)?;
    check(
        keys.fetch_again(&error, &client, SystemTime::now())?.is_none(),
        "the keys are fetched without end",
    )?;
    answer.read(&Verification::by(&keys, &Ring)).map(drop).map_err(Failed::from)
}

/// RP-Initiated Logout §§2 and 3: the browser comes back, and the next sign-in needs the user.
fn logout(facts: &Facts) -> Result<(), Failed> {
    let client = client(facts)?;
    let browser = &mut Browser::new();
    let (_, id_token) = sign_in(&client, facts, browser)?;
    sign_in(&client, facts, browser)?;
    check(browser.sign_ins == 1, "the user is not signed in at the server")?;
    sign_out(&client, facts, &id_token, browser)?;
    sign_in(&client, facts, browser)?;
    check(browser.sign_ins == 2, "the user is still signed in at the server")
}

/// Back-Channel Logout §2: what the server posts names the session of the sign-in, and is no ID token.
fn back_channel_logout(facts: &Facts) -> Result<(), Failed> {
    let client = client(facts)?;
    let browser = &mut Browser::new();
    let (_, id_token) = sign_in(&client, facts, browser)?;
    check(id_token.session_id().is_some(), "the ID token has no sid")?;
    sign_out(&client, facts, &id_token, browser)?;

    let list = openid(facts)?.logout_tokens.clone().ok_or("there is no listener")?;
    let (_, _, tokens) = http::send(&Request::new("GET", list))?;
    let tokens: Vec<String> = serde_json::from_slice(&tokens)?;
    let keys = keys(&client)?;
    let verification = Verification::by(&keys, &Ring);
    let read = |token: &str| {
        let body =
            form_urlencoded::Serializer::new(String::new()).append_pair("logout_token", token).finish();
        client.read_logout_token(&body, &verification, SystemTime::now())
    };
    // Other flows sign users out at the same time.
    let mut ours = 0;
    for token in &tokens {
        ours += usize::from(read(token)?.session_id() == id_token.session_id());
    }
    check(ours == 1, format!("{ours} of {} logout tokens", tokens.len()))?;
    check(read(id_token.as_secret().expose()).is_err(), "an ID token is a logout token")
}

fn client(facts: &Facts) -> Result<Client, Failed> {
    let auth = ClientAuth::basic(facts.client_secret.as_str());
    Ok(Client::new(discover_openid(facts)?, openid(facts)?.client_id.as_str(), auth)?)
}

fn exchange(client: &Client, facts: &Facts, browser: &mut Browser) -> Result<Call<Authentication>, Failed> {
    let request = client.authorize(&facts.redirect_uris[0]).scopes(&facts.scopes);
    authenticate(client, request, facts, browser)
}

/// Signs in by this request, with an ID token.
pub fn authenticate(
    client: &Client,
    request: AuthorizationRequest<'_>,
    facts: &Facts,
    browser: &mut Browser,
) -> Result<Call<Authentication>, Failed> {
    let (url, mut pending) = request.openid().start(SystemTime::now())?;
    let callback = browser.sign_in(&url, &facts.redirect_uris[0])?;
    Ok(pending.receive(client, Callback::url(&callback), SystemTime::now())?)
}

fn sign_in(
    client: &Client,
    facts: &Facts,
    browser: &mut Browser,
) -> Result<(TokenResponse, IdToken), Failed> {
    let answer = Answer::to(exchange(client, facts, browser)?)?;
    Ok(answer.read(&Verification::by(&keys(client)?, &Ring))?.into_parts())
}

/// The keys of the server. Another flow changes them at the same time, and the old ones stay published; so
/// these suffice for what was signed before.
fn keys(client: &Client) -> Result<KeySet, Failed> {
    Ok(send(&client.fetch_keys(SystemTime::now())?)?)
}

fn sign_out(client: &Client, facts: &Facts, id_token: &IdToken, browser: &mut Browser) -> Result<(), Failed> {
    let address = openid(facts)?.post_logout_redirect_uri.as_str();
    let request = client.logout().id_token_hint(id_token.as_secret()).post_logout_redirect_uri(address);
    let (url, pending) = request.start()?;
    let callback = browser.sign_in(&url, address)?;
    Ok(pending.receive(Callback::url(&callback))?)
}

/// The answer to a sign-in, which can be read more than once.
pub struct Answer {
    call: Call<Authentication>,
    status: u16,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
}

impl Answer {
    pub fn to(call: Call<Authentication>) -> Result<Self, Failed> {
        let (status, headers, body) = http::send(call.request())?;
        Ok(Self { call, status, headers, body })
    }

    /// Reads it, or sends the request once more if the server wants a nonce.
    pub fn read_proved(
        mut self,
        client: &Client,
        verification: &Verification<'_>,
    ) -> Result<Authentication, Failed> {
        match self.read(verification) {
            Err(error) if error.code() == Some("use_dpop_nonce") => {
                self.call.renew(client, SystemTime::now())?;
                Ok(Self::to(self.call)?.read(verification)?)
            }
            result => Ok(result?),
        }
    }

    pub fn read(&self, verification: &Verification<'_>) -> Result<Authentication, Error> {
        let headers = self.headers.iter().map(|(name, value)| (name.as_str(), value));
        let response = Response::new(self.status, headers, &self.body);
        self.call.authenticate(response, verification, SystemTime::now())
    }
}

fn suspect<T>(result: Result<T, Error>, reason: &str) -> Result<(), Failed> {
    match result {
        Ok(_) => Err(format!("a wrong {reason} counts").into()),
        Err(error) => check(
            error.kind() == ErrorKind::Suspect && error.reason() == Some(reason),
            format!("refused otherwise: {error}"),
        ),
    }
}
