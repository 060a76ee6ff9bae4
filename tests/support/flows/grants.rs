//! The grants without a browser.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use libtest_mimic::Failed;
use oauth2_proto::grants::token_type;
use oauth2_proto::{Advice, AuthorizationServer, Client, ClientAuth, Secret, TokenResponse};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::{Flow, check, client, receive, refused, send, server};
use crate::browser::Browser;
use crate::foreign::{Assertion, Facts};

pub const FLOWS: &[Flow] = &[
    Flow {
        title: "client credentials",
        is_offered: |facts| facts.has_grant("client_credentials"),
        run: client_credentials,
    },
    Flow {
        title: "a token is exchanged",
        is_offered: |facts| facts.has_grant("urn:ietf:params:oauth:grant-type:token-exchange"),
        run: token_exchange,
    },
    Flow {
        title: "a JWT stands for the user",
        is_offered: |facts| facts.wider.assertion.is_some(),
        run: jwt_bearer,
    },
    Flow {
        title: "an identity provider's assertion is redeemed",
        is_offered: |facts| facts.wider.identity_provider.is_some(),
        run: identity_assertion,
    },
];

/// RFC 6749 §4.4: no user, and no refresh token.
fn client_credentials(facts: &Facts) -> Result<(), Failed> {
    let tokens =
        send(&client(facts)?.client_credentials().scopes(&facts.scopes[..1]).start(SystemTime::now())?)?;
    granted(&tokens, &facts.scopes[..1])?;
    check(tokens.refresh_token().is_none(), "there is a refresh token")?;

    let client = client(&Facts { client_secret: "fake-wrong-secret".into(), ..facts.clone() })?;
    refused(
        send(&client.client_credentials().start(SystemTime::now())?),
        "invalid_client",
        Advice::FixConfiguration,
    )
}

/// RFC 8693 §2: for fewer scopes; a bad token or resource is refused.
fn token_exchange(facts: &Facts) -> Result<(), Failed> {
    let client = client(facts)?;
    let api = facts.wider.api.as_deref().ok_or("there is no resource")?;
    let request = client.authorize(&facts.redirect_uris[0]).scopes(&facts.scopes).resource(api);
    let (url, mut pending) = request.start(SystemTime::now())?;
    let callback = Browser::new().sign_in(&url, &facts.redirect_uris[0])?;
    let tokens = send(&receive(&client, &mut pending, &callback)?)?;
    let subject = tokens.access_token();

    let call = client
        .token_exchange(subject, token_type::ACCESS_TOKEN)
        .requested_token_type(token_type::ACCESS_TOKEN)
        .scopes(&facts.scopes[..1])
        .resource(api)
        .start(SystemTime::now())?;
    let exchanged = send(&call)?;
    check(exchanged.issued_token_type() == token_type::ACCESS_TOKEN, exchanged.issued_token_type())?;
    check(exchanged.token() != subject, "the token is the same as before")?;
    granted(exchanged.access_tokens().ok_or("it is no access token")?, &facts.scopes[..1])?;

    let call = client
        .token_exchange(subject, token_type::ACCESS_TOKEN)
        .actor_token(exchanged.token(), token_type::ACCESS_TOKEN)
        .start(SystemTime::now())?;
    send(&call)?;
    if facts.resource.is_some() {
        let request = client.token_exchange(subject, token_type::ACCESS_TOKEN);
        let call = request.resource("https://other.example/").start(SystemTime::now())?;
        refused(send(&call), "invalid_target", Advice::FixConfiguration)?;
    }
    let garbage = Secret::new("fake-token-of-nobody");
    let call = client.token_exchange(&garbage, token_type::ACCESS_TOKEN).start(SystemTime::now())?;
    refused(send(&call), "invalid_request", Advice::FixConfiguration)
}

/// RFC 7523 §2.1: for the subject of the assertion; one by another key or of another time is refused.
fn jwt_bearer(facts: &Facts) -> Result<(), Failed> {
    let client = client(facts)?;
    let expected = facts.wider.assertion.as_ref().ok_or("there is no issuer")?;
    let end = SystemTime::now() + Duration::from_secs(60);
    let assertion = sign(expected, end)?;
    let tokens = send(&client.jwt_bearer(&assertion).scopes(&facts.scopes[..1]).start(SystemTime::now())?)?;
    granted(&tokens, &facts.scopes[..1])?;
    send(&client.jwt_bearer(&assertion).start(SystemTime::now())?)?;

    let key = "fake-key-of-another-service-entirely".to_owned();
    let wrong = [
        sign(&Assertion { key, ..expected.clone() }, end)?,
        sign(expected, SystemTime::now() - Duration::from_secs(600))?,
        sign(&Assertion { audience: "https://other.example".into(), ..expected.clone() }, end)?,
    ];
    for assertion in wrong {
        refused(
            send(&client.jwt_bearer(&assertion).start(SystemTime::now())?),
            "invalid_grant",
            Advice::Reauthorize,
        )?;
    }
    Ok(())
}

/// draft-ietf-oauth-identity-assertion-authz-grant §4: an ID token becomes an assertion, and that once an
/// access token.
fn identity_assertion(facts: &Facts) -> Result<(), Failed> {
    let facts_of_provider = facts.wider.identity_provider.as_ref().ok_or("there is no identity provider")?;
    let provider = AuthorizationServer::without_authorization_endpoint(&facts_of_provider.token_endpoint)?;
    let auth = ClientAuth::basic(facts_of_provider.client_secret.as_str());
    let provider = Client::new(provider, facts_of_provider.client_id.as_str(), auth)?;
    let id_token = Secret::new(facts_of_provider.id_token.as_str());
    let mut request =
        provider.identity_assertion(&id_token, &facts_of_provider.audience).scopes(&facts.scopes);
    if let Some(resource) = &facts_of_provider.resource {
        request = request.resource(resource);
    }
    let assertion = send(&request.start(SystemTime::now())?)?;

    let server = server(facts)?.issuer(&facts_of_provider.audience)?;
    let auth = ClientAuth::basic(facts.client_secret.as_str());
    let client = Client::new(server, facts.client_id.as_str(), auth)?;
    granted(&send(&client.redeem(&assertion, SystemTime::now())?)?, &facts.scopes)?;
    refused(send(&client.redeem(&assertion, SystemTime::now())?), "invalid_grant", Advice::Reauthorize)
}

fn granted(tokens: &TokenResponse, scopes: &[String]) -> Result<(), Failed> {
    let granted: Vec<_> = tokens.granted_scopes().collect();
    check(granted == scopes, format!("granted {granted:?}"))
}

/// A JWT with this end (RFC 7523 §3), signed with HS256.
fn sign(assertion: &Assertion, end: SystemTime) -> Result<Secret, Failed> {
    let exp = end.duration_since(UNIX_EPOCH)?.as_secs();
    let claims = json!({
        "iss": assertion.issuer, "sub": assertion.subject, "aud": assertion.audience, "exp": exp, "jti": "fake-id",
    });
    let [header, claims] = [json!({ "alg": "HS256", "typ": "JWT" }), claims]
        .map(|part| BASE64_URL_SAFE_NO_PAD.encode(part.to_string()));
    let text = format!("{header}.{claims}");
    let signature = BASE64_URL_SAFE_NO_PAD.encode(hmac_sha256(&assertion.key, &text));
    Ok(Secret::new(format!("{text}.{signature}")))
}

/// RFC 2104 §2, for a key of up to 64 bytes.
fn hmac_sha256(key: &str, text: &str) -> [u8; 32] {
    let mut block = [0; 64];
    block[..key.len()].copy_from_slice(key.as_bytes());
    let inner = Sha256::new().chain_update(block.map(|byte| byte ^ 0x36)).chain_update(text).finalize();
    Sha256::new().chain_update(block.map(|byte| byte ^ 0x5c)).chain_update(inner).finalize().into()
}
