//! Authorization requests that the client pushes or signs, and responses that the server signs.

use std::time::SystemTime;

use libtest_mimic::Failed;
use oauth2_proto::authorization::AuthorizationRequest;
use oauth2_proto::jose::Verification;
use oauth2_proto::{Advice, Callback, Client, ClientAuth, PendingAuthorization, Request};

use super::discovery::{discover, issuer};
use super::{Flow, check, receive, refused, send};
use crate::browser::{Browser, End};
use crate::foreign::Facts;
use crate::http;
use crate::keys::{Ring, client_key};

pub const FLOWS: &[Flow] = &[
    Flow { title: "a request is pushed", is_offered: |facts| facts.wider.keys.pushed.is_some(), run: pushed },
    Flow {
        title: "a client with a key pushes its request",
        is_offered: |facts| facts.wider.keys.pushed.is_some() && facts.wider.keys.private_key_jwt.is_some(),
        run: pushed_with_assertion,
    },
    Flow {
        title: "a signed request goes by value",
        is_offered: |facts| facts.wider.keys.signed.is_some(),
        run: signed_by_value,
    },
    Flow {
        title: "a signed request goes by reference",
        is_offered: |facts| facts.wider.keys.signed_by_reference.is_some(),
        run: signed_by_reference,
    },
    Flow {
        title: "a signed request is pushed",
        is_offered: |facts| facts.wider.keys.signed.is_some() && facts.wider.keys.pushed.is_some(),
        run: signed_and_pushed,
    },
    Flow { title: "a response is signed", is_offered: |facts| facts.wider.keys.jarm, run: signed_response },
    Flow {
        title: "a signed response comes as a form",
        is_offered: |facts| facts.wider.keys.jarm,
        run: signed_form,
    },
];

/// RFC 9126 §§2 and 5: the browser brings a reference, and the client cannot do without.
fn pushed(facts: &Facts) -> Result<(), Failed> {
    let client = client(facts, facts.wider.keys.pushed.as_deref())?;
    let (call, pending) = request(&client, facts).push(SystemTime::now())?;
    let pushed = send(&call)?;
    check(!pushed.url().contains("scope"), "the URL holds more than the reference")?;
    ends_with_tokens(&client, pushed.url(), pending, facts)?;

    let (url, pending) = request(&client, facts).start(SystemTime::now())?;
    brings_no_code(&client, &url, pending, facts)?;
    let (call, _) = client.authorize("https://other.example/callback").push(SystemTime::now())?;
    check(send(&call).is_err(), "a pushed redirect URI of nobody is taken")
}

/// RFC 9126 §2.1: the assertion is for the server, and not for this endpoint.
fn pushed_with_assertion(facts: &Facts) -> Result<(), Failed> {
    let client_id = facts.wider.keys.private_key_jwt.as_deref().ok_or("there is no such client")?;
    let server = discover(issuer(facts)?)?;
    let client = Client::new(server, client_id, ClientAuth::private_key_jwt(client_key()?))?;
    let (mut call, pending) = request(&client, facts).push(SystemTime::now())?;
    send(&call)?;
    refused(send(&call), "invalid_client", Advice::FixConfiguration)?;
    call.renew(&client, SystemTime::now())?;
    ends_with_tokens(&client, send(&call)?.url(), pending, facts)
}

/// RFC 9101 §5.1: a signed request that somebody has changed, or one without a signature, leads nowhere.
fn signed_by_value(facts: &Facts) -> Result<(), Failed> {
    let client = client(facts, facts.wider.keys.signed.as_deref())?;
    let key = client_key()?;
    let (url, pending) = request(&client, facts).signed(&key).start(SystemTime::now())?;
    check(!url.contains("scope"), "the URL holds more than the signed request")?;
    ends_with_tokens(&client, &url, pending, facts)?;

    let (url, pending) = request(&client, facts).signed(&key).start(SystemTime::now())?;
    // The first characters of the signature.
    let changed = url.rfind('.').map(|dot| format!("{}AAAA{}", &url[..=dot], &url[dot + 5..]));
    brings_no_code(&client, &changed.ok_or("nothing is signed")?, pending, facts)?;
    let (url, pending) = request(&client, facts).start(SystemTime::now())?;
    brings_no_code(&client, &url, pending, facts)
}

/// RFC 9101 §5.2: the server fetches the signed request from the client's address.
fn signed_by_reference(facts: &Facts) -> Result<(), Failed> {
    let client = client(facts, facts.wider.keys.signed.as_deref())?;
    let documents = facts.wider.keys.signed_by_reference.as_deref().ok_or("there is no web server")?;
    let key = client_key()?;
    let address = "https://app.example/requests/fake-request";
    let (url, signed, pending) = request(&client, facts).signed(&key).publish(address, SystemTime::now())?;
    let mut put = Request::new("PUT", url::Url::parse_with_params(documents, [("url", address)])?);
    put.set_body(signed.expose());
    let (status, _, _) = http::send(&put)?;
    check(status == 204, format!("the request is not stored: {status}"))?;
    ends_with_tokens(&client, &url, pending, facts)
}

/// RFC 9126 §3.
fn signed_and_pushed(facts: &Facts) -> Result<(), Failed> {
    let client = client(facts, facts.wider.keys.signed.as_deref())?;
    let key = client_key()?;
    let (call, pending) = request(&client, facts).signed(&key).push(SystemTime::now())?;
    ends_with_tokens(&client, send(&call)?.url(), pending, facts)?;
    let (unsigned, _) = request(&client, facts).push(SystemTime::now())?;
    refused(send(&unsigned), "invalid_request", Advice::FixConfiguration)
}

/// JARM §§2.1, 2.3.1 and 2.4: the code and the refusal of the user, and nothing that somebody has changed.
fn signed_response(facts: &Facts) -> Result<(), Failed> {
    let client = client(facts, Some(&facts.client_id))?;
    let (url, mut pending) = request(&client, facts).signed_response().start(SystemTime::now())?;
    let callback = Browser::new().sign_in(&url, &facts.redirect_uris[0])?;
    let keys = send(&client.fetch_keys(SystemTime::now())?)?;
    let verification = Verification::by(&keys, &Ring);
    let receive = |pending: &mut PendingAuthorization, callback: &str| {
        pending.receive_signed(&client, Callback::url(callback), &verification, SystemTime::now())
    };
    // The first characters of the signature.
    let dot = callback.rfind('.').ok_or("nothing is signed")?;
    let changed = format!("{}AAAA{}", &callback[..=dot], &callback[dot + 5..]);
    match receive(&mut pending, &changed) {
        Ok(_) => return Err("a changed response counts".into()),
        Err(error) => check(
            (error.reason(), error.advice()) == (Some("signature"), Advice::KeepWaiting),
            format!("refused otherwise: {error}"),
        )?,
    }
    send(&receive(&mut pending, &callback)?)?;

    let (url, mut pending) = request(&client, facts).signed_response().start(SystemTime::now())?;
    let callback = Browser::new().refuse(&url, &facts.redirect_uris[0])?;
    refused(receive(&mut pending, &callback), "access_denied", Advice::Declined)
}

/// JARM §2.3.3.
fn signed_form(facts: &Facts) -> Result<(), Failed> {
    let client = client(facts, Some(&facts.client_id))?;
    let request = request(&client, facts).form_post().signed_response();
    let (url, mut pending) = request.start(SystemTime::now())?;
    let End::Form(body) = Browser::new().try_out(&url, &[&facts.redirect_uris[0]])? else {
        return Err("the callback did not come as a form".into());
    };
    let keys = send(&client.fetch_keys(SystemTime::now())?)?;
    let verification = Verification::by(&keys, &Ring);
    let call = pending.receive_signed(&client, Callback::form(&body), &verification, SystemTime::now())?;
    send(&call).map(drop).map_err(Failed::from)
}

fn client(facts: &Facts, client_id: Option<&str>) -> Result<Client, Failed> {
    let auth = ClientAuth::basic(facts.client_secret.as_str());
    Ok(Client::new(discover(issuer(facts)?)?, client_id.ok_or("there is no such client")?, auth)?)
}

fn request<'a>(client: &'a Client, facts: &'a Facts) -> AuthorizationRequest<'a> {
    client.authorize(&facts.redirect_uris[0]).scopes(&facts.scopes)
}

fn ends_with_tokens(
    client: &Client,
    url: &str,
    mut pending: PendingAuthorization,
    facts: &Facts,
) -> Result<(), Failed> {
    let callback = Browser::new().sign_in(url, &facts.redirect_uris[0])?;
    let tokens = send(&receive(client, &mut pending, &callback)?)?;
    let granted: Vec<_> = tokens.granted_scopes().collect();
    check(granted == facts.scopes, format!("granted {granted:?}"))
}

/// The server shows a page that refuses, or says so in the callback.
fn brings_no_code(
    client: &Client,
    url: &str,
    mut pending: PendingAuthorization,
    facts: &Facts,
) -> Result<(), Failed> {
    match Browser::new().sign_in(url, &facts.redirect_uris[0]) {
        Err(page) => check(page.contains(": 400 "), page),
        Ok(callback) => match receive(client, &mut pending, &callback) {
            Ok(_) => Err("there is a code".into()),
            Err(error) => check(error.code().is_some(), error.to_string()),
        },
    }
}
