//! Revocation and introspection.

use std::time::SystemTime;

use libtest_mimic::Failed;
use oauth2_proto::management::TokenKind;
use oauth2_proto::{Advice, Secret};

use super::{Flow, check, client, refresh, refused, send, tokens};
use crate::foreign::Facts;

pub const FLOWS: &[Flow] = &[
    Flow {
        title: "a revoked token is dead",
        is_offered: |facts| facts.revocation_endpoint.is_some(),
        run: revocation,
    },
    Flow {
        title: "a token can be looked up",
        is_offered: |facts| facts.introspection_endpoint.is_some(),
        run: introspection,
    },
];

/// RFC 7009 §2.2: a token that is dead already, or was none, is no error.
fn revocation(facts: &Facts) -> Result<(), Failed> {
    let client = client(facts)?;
    let tokens = tokens(&client, facts)?;
    let refresh_token = tokens.refresh_token().ok_or("there is no refresh token")?;
    let replay = refresh(&client, &tokens)?;

    let access_token =
        client.revoke(tokens.access_token()).hint(TokenKind::AccessToken).start(SystemTime::now())?;
    send(&access_token)?;
    send(&access_token)?;
    send(&client.revoke(refresh_token).hint(TokenKind::RefreshToken).start(SystemTime::now())?)?;
    refused(send(&replay), "invalid_grant", Advice::Reauthorize)?;
    send(&client.revoke(&Secret::new("fake-token-of-nobody")).start(SystemTime::now())?)?;

    let client = super::client(&Facts { client_secret: "fake-wrong-secret".into(), ..facts.clone() })?;
    let wrong = client.revoke(&Secret::new("fake-token-of-nobody")).start(SystemTime::now())?;
    refused(send(&wrong), "invalid_client", Advice::FixConfiguration)
}

/// RFC 7662 §2.2: the answer says for whom and for what a token works, and of a dead one that it is dead.
fn introspection(facts: &Facts) -> Result<(), Failed> {
    let client = client(facts)?;
    let tokens = tokens(&client, facts)?;
    let found = send(
        &client.introspect(tokens.access_token()).hint(TokenKind::AccessToken).start(SystemTime::now())?,
    )?;
    check(found.is_active(), "the access token is not active")?;
    check(found.client_id() == Some(facts.client_id.as_str()), format!("issued to {:?}", found.client_id()))?;
    let scopes: Vec<_> = found.scopes().collect();
    check(scopes == facts.scopes, format!("for {scopes:?}"))?;
    let end = found.expires_at();
    check(end.is_some_and(|end| end > SystemTime::now()), format!("until {end:?}"))?;
    check(
        found.username().or(found.subject()) == Some("user"),
        format!("of {:?} {:?}", found.username(), found.subject()),
    )?;

    let nobody = send(&client.introspect(&Secret::new("fake-token-of-nobody")).start(SystemTime::now())?)?;
    check(!nobody.is_active(), "a token of nobody is active")?;
    send(&client.revoke(tokens.access_token()).start(SystemTime::now())?)?;
    let dead = send(&client.introspect(tokens.access_token()).start(SystemTime::now())?)?;
    check(!dead.is_active() && dead.scopes().next().is_none(), "a revoked token is active")
}
