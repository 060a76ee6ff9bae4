//! What an authorization request may ask for, and how its callback may come.

use std::thread;
use std::time::{Duration, SystemTime};

use libtest_mimic::Failed;
use oauth2_proto::authorization::AuthorizationRequest;
use oauth2_proto::jose::Verification;
use oauth2_proto::{Advice, Callback, Client, Error, TokenResponse};
use serde_json::json;

use super::openid::{Answer, authenticate};
use super::{Flow, check, client, receive, refresh, refused, send};
use crate::browser::{Browser, End};
use crate::foreign::Facts;

pub const FLOWS: &[Flow] = &[
    Flow {
        title: "authorization details are granted",
        is_offered: |facts| facts.wider.authorization_details_type.is_some(),
        run: authorization_details,
    },
    Flow {
        title: "the callback comes as a form",
        is_offered: |facts| facts.wider.response_modes.iter().any(|mode| mode == "form_post"),
        run: form_post,
    },
    Flow {
        title: "`prompt` decides whether the user signs in",
        is_offered: |facts| {
            ["none", "login"].iter().all(|value| facts.wider.prompts.iter().any(|it| it == value))
        },
        run: prompt,
    },
    Flow { title: "`max_age` limits an old sign-in", is_offered: |facts| facts.wider.max_age, run: max_age },
    Flow {
        title: "`login_hint` proposes a user",
        is_offered: |facts| facts.wider.login_hint,
        run: login_hint,
    },
];

/// RFC 9396 §§2, 5 and 7: the tokens say what was granted, and an unknown type is refused.
fn authorization_details(facts: &Facts) -> Result<(), Failed> {
    let client = client(facts)?;
    let type_name = facts.wider.authorization_details_type.as_deref().ok_or("there is no type")?;
    let api = facts.wider.api.as_deref().ok_or("there is no resource")?;
    // Some servers want to know which resource the details are for.
    let asking = |request: AuthorizationRequest<'_>, type_name: &str| {
        let details = [json!({ "type": type_name, "actions": ["read"] })];
        let (url, mut pending) =
            request.resource(api).authorization_details(&details).start(SystemTime::now())?;
        let callback = Browser::new().sign_in(&url, &facts.redirect_uris[0])?;
        Ok::<_, Failed>(receive(&client, &mut pending, &callback))
    };
    let tokens = send(&asking(request(&client, facts), type_name)??)?;
    let granted = tokens.authorization_details()?;
    check(
        granted.len() == 1
            && granted[0].type_name() == type_name
            && granted[0].get("actions") == Some(&json!(["read"])),
        format!("granted {granted:?}"),
    )?;
    send(&refresh(&client, &tokens)?)?;
    let unknown = asking(request(&client, facts), "unknown")?;
    refused(unknown, "invalid_authorization_details", Advice::Stop)
}

/// The browser posts the callback to the redirect URI.
fn form_post(facts: &Facts) -> Result<(), Failed> {
    let client = client(facts)?;
    let (url, mut pending) = request(&client, facts).form_post().start(SystemTime::now())?;
    match Browser::new().try_out(&url, &[&facts.redirect_uris[0]])? {
        End::Form(body) => {
            let call = pending.receive(&client, Callback::form(&body), SystemTime::now())?;
            send(&call).map(drop).map_err(Failed::from)
        }
        _ => Err("the callback did not come as a form".into()),
    }
}

/// OpenID Connect Core §3.1.2.1.
fn prompt(facts: &Facts) -> Result<(), Failed> {
    let client = client(facts)?;
    let browser = &mut Browser::new();
    let none =
        |browser: &mut Browser| attempt(&client, request(&client, facts).prompt(["none"]), browser, facts);
    refused(none(browser)?, "login_required", Advice::Reauthorize)?;
    check(browser.sign_ins == 0, "the user had to sign in although nothing may be asked")?;
    attempt(&client, request(&client, facts), browser, facts)??;
    none(browser)??;
    check(browser.sign_ins == 1, format!("{} sign-ins after one", browser.sign_ins))?;
    attempt(&client, request(&client, facts).prompt(["login"]), browser, facts)??;
    check(browser.sign_ins == 2, format!("{} sign-ins after two", browser.sign_ins))
}

fn max_age(facts: &Facts) -> Result<(), Failed> {
    let client = client(facts)?;
    let mut browser = Browser::new();
    let mut sign_in = |age| -> Result<usize, Failed> {
        let request = request(&client, facts).max_age(age);
        if facts.wider.max_age_needs_openid {
            let answer = Answer::to(authenticate(&client, request, facts, &mut browser)?)?;
            // The ID token says when the user signed in.
            answer.read(&Verification::left_to_tls())?;
        } else {
            attempt(&client, request, &mut browser, facts)??;
        }
        Ok(browser.sign_ins)
    };
    sign_in(Duration::from_secs(600))?;
    thread::sleep(Duration::from_millis(1100));
    check(sign_in(Duration::from_secs(600))? == 1, "a fresh sign-in does not count")?;
    check(sign_in(Duration::ZERO)? == 2, "an old sign-in counts")
}

fn login_hint(facts: &Facts) -> Result<(), Failed> {
    let client = client(facts)?;
    let browser = &mut Browser::new();
    attempt(&client, request(&client, facts).login_hint("somebody@app.example"), browser, facts)??;
    check(browser.proposed_name == "somebody@app.example", format!("proposed: {:?}", browser.proposed_name))
}

fn request<'a>(client: &'a Client, facts: &'a Facts) -> AuthorizationRequest<'a> {
    client.authorize(&facts.redirect_uris[0]).scopes(&facts.scopes)
}

/// Goes from the request to the tokens in this browser, if the callback brings a code.
fn attempt(
    client: &Client,
    request: AuthorizationRequest<'_>,
    browser: &mut Browser,
    facts: &Facts,
) -> Result<Result<TokenResponse, Error>, Failed> {
    let (url, mut pending) = request.start(SystemTime::now())?;
    let callback = browser.sign_in(&url, &facts.redirect_uris[0])?;
    Ok(receive(client, &mut pending, &callback).and_then(|call| send(&call)))
}
