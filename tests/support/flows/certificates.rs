//! Tokens that are bound to a certificate, RFC 8705.

use std::time::SystemTime;

use libtest_mimic::Failed;
use oauth2_proto::challenge::ProtectedApi;
use oauth2_proto::token::TokenType;
use oauth2_proto::{Advice, Client, ClientAuth, Request, Secret, TokenResponse};

use super::client_auth::send_with;
use super::discovery::{discover, issuer};
use super::dpop::exchange;
use super::{Flow, check, client, refresh, refused, send};
use crate::foreign::{CertificateBound, Facts};
use crate::keys::{Presents, send_over_tls};

pub const FLOWS: &[Flow] = &[
    Flow { title: "tokens are bound to a certificate", is_offered, run: certificate_bound },
    Flow {
        title: "`tls_client_auth` binds tokens to its certificate",
        is_offered,
        run: bound_by_authentication,
    },
    Flow {
        title: "a public client's refresh token is bound to a certificate",
        is_offered,
        run: bound_refresh_token,
    },
    Flow { title: "a resource wants the certificate", is_offered, run: resource },
];

pub fn is_offered(facts: &Facts) -> bool {
    facts.wider.keys.certificate_bound.is_some()
}

/// RFC 8705 §3: tokens are for the certificate of the token request, and there are none without one.
fn certificate_bound(facts: &Facts) -> Result<(), Failed> {
    let auth = ClientAuth::basic(facts.client_secret.as_str());
    let client = Client::new(discover(issuer(facts)?)?, known(facts)?.with_secret.as_str(), auth)?;
    let client = client.presents_certificate()?;
    let call = exchange(&client, facts)?;
    refused(send_with(&call, Some(Presents::Nothing))?, "invalid_grant", Advice::Reauthorize)?;
    let mut tokens = send_with(&call, Some(Presents::Client))??;
    are_bound(&tokens, Presents::Client, facts)?;
    // The secret authenticates this client, so that it may change its certificate (RFC 8705 §4).
    for presents in [Presents::Client, Presents::SelfSigned] {
        tokens = send_with(&refresh(&client, &tokens)?, Some(presents))??;
        are_bound(&tokens, presents, facts)?;
    }
    Ok(())
}

/// RFC 8705 §§2.1 and 3: one certificate does both.
fn bound_by_authentication(facts: &Facts) -> Result<(), Failed> {
    let client = authenticated(facts)?;
    let tokens = tokens(&client, facts)?;
    are_bound(&tokens, Presents::Client, facts)?;
    let tokens = send_with(&refresh(&client, &tokens)?, Some(Presents::Client))??;
    are_bound(&tokens, Presents::Client, facts)
}

/// RFC 8705 §4: nothing else protects the refresh token of a client without credentials.
fn bound_refresh_token(facts: &Facts) -> Result<(), Failed> {
    let client = public(facts)?.presents_certificate()?;
    let tokens = tokens(&client, facts)?;
    are_bound(&tokens, Presents::Client, facts)?;
    let call = refresh(&client, &tokens)?;
    for presents in [Presents::Nothing, Presents::SelfSigned] {
        refused(send_with(&call, Some(presents))?, "invalid_grant", Advice::Reauthorize)?;
    }
    are_bound(&send_with(&call, Some(Presents::Client))??, Presents::Client, facts)
}

/// RFC 8705 §3: the token alone does not open the resource, nor does it with another certificate.
fn resource(facts: &Facts) -> Result<(), Failed> {
    let tokens = tokens(&authenticated(facts)?, facts)?;
    reach_resource(tokens.access_token(), facts)?;
    let status = ask("POST", tokens.access_token(), Presents::Client, facts)?;
    check(status == 200, format!("POST: {status}"))?;
    let status = ask("GET", tokens.access_token(), Presents::SelfSigned, facts)?;
    check(status == 401, format!("with another certificate: {status}"))
}

/// The protected resource takes the token on a connection with the certificate only.
pub fn reach_resource(access_token: &Secret, facts: &Facts) -> Result<(), Failed> {
    for (presents, expected) in [(Presents::Client, 200), (Presents::Nothing, 401)] {
        let status = ask("GET", access_token, presents, facts)?;
        check(status == expected, format!("with {presents:?}: {status}"))?;
    }
    Ok(())
}

/// The client that authenticates with its certificate.
pub fn authenticated(facts: &Facts) -> Result<Client, Failed> {
    let client_id = known(facts)?.with_tls.as_str();
    Ok(Client::new(discover(issuer(facts)?)?, client_id, ClientAuth::tls_client_auth())?)
}

/// The client without credentials, still without a certificate.
pub fn public(facts: &Facts) -> Result<Client, Failed> {
    Ok(Client::new(discover(issuer(facts)?)?, known(facts)?.public.as_str(), ClientAuth::none())?)
}

/// The tokens of a sign-in, for the resource.
pub fn tokens(client: &Client, facts: &Facts) -> Result<TokenResponse, Failed> {
    Ok(send_with(&exchange(client, facts)?, Some(Presents::Client))??)
}

/// The status of the protected resource's answer.
fn ask(
    method: &'static str,
    access_token: &Secret,
    presents: Presents,
    facts: &Facts,
) -> Result<u16, Failed> {
    let url = known(facts)?.api.as_str();
    let mut request = Request::new(method, url);
    let api = ProtectedApi::new([url])?;
    request.set_header("authorization", api.authorization(&TokenType::Bearer, access_token, url)?);
    Ok(send_over_tls(&request, presents)?.0)
}

/// RFC 8705 §3.2: the server says which certificate the access token is for.
fn are_bound(tokens: &TokenResponse, presents: Presents, facts: &Facts) -> Result<(), Failed> {
    let call = client(facts)?.introspect(tokens.access_token()).start(SystemTime::now())?;
    let found = send(&call)?;
    let confirmation = found.extra("cnf");
    let thumbprint = confirmation.and_then(|confirmation| confirmation["x5t#S256"].as_str());
    check(thumbprint == Some(presents.thumbprint()?.as_str()), format!("bound to {confirmation:?}"))
}

fn known(facts: &Facts) -> Result<&CertificateBound, &'static str> {
    facts.wider.keys.certificate_bound.as_ref().ok_or("no tokens are bound to certificates")
}
