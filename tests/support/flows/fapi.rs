//! The FAPI 2.0 Security Profile, from the request to the resource.

use std::time::SystemTime;

use libtest_mimic::Failed;
use oauth2_proto::authorization::AuthorizationRequest;
use oauth2_proto::challenge::ProtectedApi;
use oauth2_proto::dpop::DpopKey;
use oauth2_proto::fapi::SenderConstraint;
use oauth2_proto::jose::Verification;
use oauth2_proto::{Callback, Client, ClientAuth, TokenResponse};

use super::certificates;
use super::client_auth::send_with;
use super::discovery::{discover, discover_openid, issuer};
use super::dpop::{get_bound, send_proved};
use super::openid::Answer;
use super::{Flow, check, receive, refresh, send};
use crate::browser::Browser;
use crate::foreign::{Facts, Fapi};
use crate::keys::{Presents, Ring, client_key, dpop_key};

pub const FLOWS: &[Flow] = &[
    Flow { title: "FAPI 2.0", is_offered: |facts| fapi(facts).is_ok(), run: tokens_reach_the_resource },
    Flow {
        title: "FAPI 2.0 with a certificate",
        is_offered: |facts| fapi(facts).is_ok(),
        run: tokens_with_a_certificate,
    },
    Flow {
        title: "FAPI 2.0 with an ID token",
        is_offered: |facts| fapi(facts).is_ok_and(|fapi| fapi.openid),
        run: authentication,
    },
];

fn fapi(facts: &Facts) -> Result<&Fapi, &'static str> {
    facts.wider.keys.fapi.as_ref().ok_or("there is no FAPI")
}

/// FAPI 2.0 Security Profile §5.3.3: pushed, signed in by a key, bound, and at the resource with a proof.
fn tokens_reach_the_resource(facts: &Facts) -> Result<(), Failed> {
    let key = DpopKey::new(dpop_key()?);
    let server = discover(issuer(facts)?)?;
    let auth = ClientAuth::basic(facts.client_secret.as_str());
    let client_id = fapi(facts)?.client_id.as_str();
    let constraint = || SenderConstraint::Dpop(key.clone());
    check(Client::fapi2(server.clone(), client_id, auth, constraint()).is_err(), "a secret suffices")?;
    let client = Client::fapi2(server, client_id, ClientAuth::private_key_jwt(client_key()?), constraint())?;

    let api = facts.wider.api.as_deref().ok_or("there is no resource")?;
    let started = request(&client, facts)?.start(SystemTime::now());
    check(started.is_err(), "the request need not be pushed")?;
    let (call, mut pending) = request(&client, facts)?.push(SystemTime::now())?;
    let url = send_proved(call, &client)?;
    let callback = Browser::new().sign_in(url.url(), &facts.redirect_uris[1])?;
    let tokens: TokenResponse = send_proved(receive(&client, &mut pending, &callback)?, &client)?;
    let status = get_bound(&ProtectedApi::new([api])?, &key, tokens.access_token(), "GET", api)?;
    check(status == 200, format!("the resource answers {status}"))?;
    send_proved(refresh(&client, &tokens)?, &client).map(drop).map_err(Failed::from)
}

/// FAPI 2.0 Security Profile §5.3.3.1 clause 7: the same, bound to the certificate of the connections.
fn tokens_with_a_certificate(facts: &Facts) -> Result<(), Failed> {
    let auth = ClientAuth::private_key_jwt(client_key()?);
    let client_id = fapi(facts)?.certificate_client_id.as_str();
    let client = Client::fapi2(discover(issuer(facts)?)?, client_id, auth, SenderConstraint::Certificate)?;
    let (call, mut pending) = request(&client, facts)?.push(SystemTime::now())?;
    let url = send_with(&call, Some(Presents::Client))??;
    let callback = Browser::new().sign_in(url.url(), &facts.redirect_uris[1])?;
    let call = receive(&client, &mut pending, &callback)?;
    let tokens = send_with(&call, Some(Presents::Client))??;
    certificates::reach_resource(tokens.access_token(), facts)?;
    send_with(&refresh(&client, &tokens)?, Some(Presents::Client))?.map(drop).map_err(Failed::from)
}

/// A request of the tokens for the resource.
fn request<'a>(client: &'a Client, facts: &'a Facts) -> Result<AuthorizationRequest<'a>, Failed> {
    let api = facts.wider.api.as_deref().ok_or("there is no resource")?;
    let request = client.authorize(&facts.redirect_uris[1]).scopes(&facts.scopes);
    Ok(if facts.resource.is_some() { request.resource(api) } else { request })
}

/// FAPI 2.0 Security Profile §5.4: the ID token has an algorithm of the profile.
fn authentication(facts: &Facts) -> Result<(), Failed> {
    let constraint = SenderConstraint::Dpop(DpopKey::new(dpop_key()?));
    let auth = ClientAuth::private_key_jwt(client_key()?);
    let client = Client::fapi2(discover_openid(facts)?, fapi(facts)?.client_id.as_str(), auth, constraint)?;
    let request = client.authorize(&facts.redirect_uris[1]).scopes(&facts.scopes).openid();
    let (call, mut pending) = request.push(SystemTime::now())?;
    let url = send_proved(call, &client)?;
    let callback = Browser::new().sign_in(url.url(), &facts.redirect_uris[1])?;
    let call = pending.receive(&client, Callback::url(&callback), SystemTime::now())?;
    let answer = Answer::to(call)?;
    let keys = send(&client.fetch_keys(SystemTime::now())?)?;
    answer.read_proved(&client, &Verification::by(&keys, &Ring)).map(drop)
}
