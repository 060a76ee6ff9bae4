//! Tokens that are bound to a key, RFC 9449. The servers and their resources insist on nonces.

use std::time::SystemTime;

use libtest_mimic::Failed;
use oauth2_proto::call::Readable;
use oauth2_proto::challenge::ProtectedApi;
use oauth2_proto::dpop::DpopKey;
use oauth2_proto::jose::Verification;
use oauth2_proto::token::TokenType;
use oauth2_proto::{
    Advice, AuthorizationServer, Call, Client, ClientAuth, Error, Request, Secret, TokenResponse,
};

use super::discovery::{discover, discover_openid, issuer};
use super::openid::{Answer, authenticate};
use super::{Flow, Shared, check, receive, refresh, send};
use crate::browser::Browser;
use crate::foreign::Facts;
use crate::http;
use crate::keys::{client_key, dpop_key};

pub const FLOWS: &[Flow] = &[
    Flow { title: "tokens are bound to a key", is_offered, run: bound_tokens },
    Flow { title: "a resource wants a proof", is_offered, run: resource },
    Flow {
        title: "UserInfo wants a proof",
        is_offered: |facts| is_offered(facts) && facts.wider.keys.openid.is_some(),
        run: userinfo,
    },
    Flow { title: "a bound `Session` gets new tokens", is_offered, run: session },
];

fn is_offered(facts: &Facts) -> bool {
    facts.wider.keys.dpop.is_some()
}

/// RFC 9449 §§5 and 8: the first proof lacks the nonce; the code and the refresh token survive that.
fn bound_tokens(facts: &Facts) -> Result<(), Failed> {
    let client = client(facts)?.dpop(DpopKey::new(dpop_key()?));
    let mut call = exchange(&client, facts)?;
    let error = match send(&call) {
        Ok(_) => return Err("the server wants no nonce".into()),
        Err(error) => error,
    };
    check(
        error.code() == Some("use_dpop_nonce") && error.advice() == Advice::RetryLater,
        format!("refused otherwise: {error}"),
    )?;
    call.renew(&client, SystemTime::now())?;
    let tokens = send(&call)?;
    check(tokens.token_type() == &TokenType::DPoP, format!("{tokens:?}"))?;
    let tokens = send_proved(refresh(&client, &tokens)?, &client)?;
    check(tokens.token_type() == &TokenType::DPoP, format!("{tokens:?}"))?;

    // Another holder with the same key knows no nonce yet.
    let client = self::client(facts)?.dpop(DpopKey::new(dpop_key()?));
    send_proved(refresh(&client, &tokens)?, &client)?;
    Ok(())
}

/// RFC 9449 §7: neither the token alone nor the proof of another key opens the resource.
fn resource(facts: &Facts) -> Result<(), Failed> {
    let key = DpopKey::new(dpop_key()?);
    let tokens = tokens(&client(facts)?.dpop(key.clone()), facts)?;
    let url = facts.wider.api.as_deref().ok_or("there is no resource")?;
    let api = ProtectedApi::new([url])?;
    for method in ["GET", "POST"] {
        let status = get_bound(&api, &key, tokens.access_token(), method, url)?;
        check(status == 200, format!("{method} with a proof: {status}"))?;
    }
    let other = DpopKey::new(client_key()?);
    let status = get_bound(&api, &other, tokens.access_token(), "GET", url)?;
    check(status == 401, format!("with the proof of another key: {status}"))?;
    let mut request = Request::new("GET", url);
    request.set_header("authorization", format!("Bearer {}", tokens.access_token().expose()));
    let (status, _, _) = http::send(&request)?;
    check(status == 401, format!("without a proof: {status}"))
}

/// RFC 9449 §7.1, with the server's own code for proofs.
fn userinfo(facts: &Facts) -> Result<(), Failed> {
    let client = client_at(discover_openid(facts)?, facts)?.dpop(DpopKey::new(dpop_key()?));
    let request = client.authorize(&facts.redirect_uris[0]).scopes(&facts.scopes);
    let call = authenticate(&client, request, facts, &mut Browser::new())?;
    let answer = Answer::to(call)?;
    let (tokens, id_token) = answer.read_proved(&client, &Verification::left_to_tls())?.into_parts();
    let call = client.userinfo(tokens.access_token(), &id_token).start(SystemTime::now())?;
    let user = send_proved(call, &client)?;
    check(user.subject() == id_token.subject(), format!("it is {}", user.subject()))
}

/// The session knows its key, and another holder needs it too.
fn session(facts: &Facts) -> Result<(), Failed> {
    let client = client(facts)?.dpop(DpopKey::new(dpop_key()?));
    let (mut session, shared) = Shared::of(tokens(&client, facts)?)?;
    for _ in 0..3 {
        let token = shared.access_token()?;
        session.access_token_rejected(&token);
        let next = session.revision() + 2;
        let reason = shared.keep_alive(&client, &mut session, |session| session.revision() >= next)?;
        check(reason.is_none(), format!("{reason:?}"))?;
        check(shared.access_token()? != token, "the access token is the same as before")?;
    }
    let other = self::client(facts)?.dpop(DpopKey::new(client_key()?));
    check(shared.holder(&other).is_err(), "a holder with another key takes the tokens")
}

/// The client whose tokens must be bound, still without a key.
pub fn client(facts: &Facts) -> Result<Client, Failed> {
    client_at(discover(issuer(facts)?)?, facts)
}

fn client_at(server: AuthorizationServer, facts: &Facts) -> Result<Client, Failed> {
    let client_id = facts.wider.keys.dpop.as_deref().ok_or("there is no such client")?;
    let auth = ClientAuth::basic(facts.client_secret.as_str());
    Ok(Client::new(server, client_id, auth)?)
}

/// A token request of a sign-in for the resource.
pub fn exchange(client: &Client, facts: &Facts) -> Result<Call<TokenResponse>, Failed> {
    let request = client.authorize(&facts.redirect_uris[0]).scopes(&facts.scopes);
    let request = match facts.wider.api.as_deref().filter(|_| facts.resource.is_some()) {
        Some(api) => request.resource(api),
        None => request,
    };
    let (url, mut pending) = request.start(SystemTime::now())?;
    let callback = Browser::new().sign_in(&url, &facts.redirect_uris[0])?;
    Ok(receive(client, &mut pending, &callback)?)
}

pub fn tokens(client: &Client, facts: &Facts) -> Result<TokenResponse, Failed> {
    Ok(send_proved(exchange(client, facts)?, client)?)
}

/// Sends a request, and once more if the server wants a nonce.
pub fn send_proved<R: Readable>(mut call: Call<R>, client: &Client) -> Result<R::Output, Error> {
    match send(&call) {
        Err(error) if error.code() == Some("use_dpop_nonce") => {
            call.renew(client, SystemTime::now())?;
            send(&call)
        }
        result => result,
    }
}

/// Sends a request with a token and a proof, and once more if the resource wants a nonce; its status.
pub fn get_bound(
    api: &ProtectedApi,
    key: &DpopKey,
    access_token: &Secret,
    method: &'static str,
    url: &str,
) -> Result<u16, Failed> {
    let mut bound = api.bound_request(key, access_token, method, url)?;
    loop {
        let mut request = Request::new(method, url);
        for (name, value) in bound.headers(SystemTime::now())? {
            request.set_header(name, value.expose());
        }
        let (status, headers, _) = http::send(&request)?;
        if !bound.received(status, headers)? {
            return Ok(status);
        }
    }
}
