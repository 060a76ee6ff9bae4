//! How a client becomes known to a server.

use std::time::SystemTime;

use libtest_mimic::Failed;
use oauth2_proto::registration::{self, ApplicationType, ClientIdUrl, ClientMetadata, Registered};
use oauth2_proto::{Advice, AuthorizationServer, ClientAuth, Error, Request, Secret};

use super::{Flow, check, refused, send, server, tokens};
use crate::foreign::Facts;
use crate::http;

pub const FLOWS: &[Flow] = &[
    Flow {
        title: "a client registers itself",
        is_offered: |facts| facts.wider.registration_endpoint.is_some(),
        run: registration,
    },
    Flow {
        title: "a registration is read, changed and deleted",
        is_offered: |facts| facts.wider.registration_management,
        run: management,
    },
    Flow {
        title: "a client is known by its document",
        is_offered: |facts| facts.wider.client_documents.is_some(),
        run: client_document,
    },
];

/// RFC 7591 §3: with a secret and without one, the client signs in; a wrong redirect URI is refused.
fn registration(facts: &Facts) -> Result<(), Failed> {
    let server = registering(facts)?;
    for method in ["client_secret_basic", "none"] {
        let registered = register(&server, &metadata(facts).token_endpoint_auth_method(method), facts)?;
        check(registered.token_endpoint_auth_method() == method, format!("{registered:?}"))?;
        check(registered.client_secret().is_some() == (method != "none"), format!("{registered:?}"))?;
        check(!registered.is_secret_expired(SystemTime::now()), format!("{registered:?}"))?;
        let stored = serde_json::to_string(&registered)?;
        let registered: Registered = serde_json::from_str(&stored)?;
        tokens(&registered.client(server.clone())?, facts)?;
    }
    let unknown = metadata(facts).grant_types(["urn:example:fake-grant"]);
    refused(register(&server, &unknown, facts), "invalid_client_metadata", Advice::Stop)
}

/// RFC 7592 §2: the answers of the server replace what was known, also the token that manages the
/// registration.
fn management(facts: &Facts) -> Result<(), Failed> {
    let server = registering(facts)?;
    let registered = register(&server, &metadata(facts), facts)?;
    let read = send(&registered.read()?)?;
    check(read.client_id() == registered.client_id(), "another client was read")?;
    let updated = send(&read.update(&metadata(facts).client_name("Renamed fake app"))?)?;
    check(updated.get("client_name") == Some(&"Renamed fake app".into()), format!("{updated:?}"))?;
    let updated = send(&updated.read()?)?;
    check(updated.get("client_name") == Some(&"Renamed fake app".into()), format!("{updated:?}"))?;
    tokens(&updated.client(server)?, facts)?;

    send(&updated.delete()?)?;
    match send(&updated.read()?) {
        Ok(_) => Err("a deleted registration can be read".into()),
        Err(_) => Ok(()),
    }
}

/// draft-ietf-oauth-client-id-metadata-document §4: the server fetches the document that the client hosts.
fn client_document(facts: &Facts) -> Result<(), Failed> {
    let documents = facts.wider.client_documents.as_deref().ok_or("there is no web server")?;
    let client_id = ClientIdUrl::new("https://app.example/oauth/client.json")?;
    let document = metadata(facts).token_endpoint_auth_method("none").document(&client_id)?;
    let address = url::Url::parse_with_params(documents, [("url", client_id.as_str())])?;
    let mut request = Request::new("PUT", address);
    request.set_body(document);
    let (status, _, _) = http::send(&request)?;
    check(status == 204, format!("the document is not stored: {status}"))?;
    let server = server(facts)?.client_id_metadata_document_supported(true);
    let client = client_id.client(server, ClientAuth::none())?;
    let tokens = tokens(&client, facts)?;
    send(&super::refresh(&client, &tokens)?).map(drop).map_err(Failed::from)
}

fn metadata(facts: &Facts) -> ClientMetadata {
    ClientMetadata::new()
        .client_name("Fake app")
        // Some servers let a web application have no `http` redirect URI, also to loopback.
        .application_type(ApplicationType::Native)
        .redirect_uris([&facts.redirect_uris[0]])
        .grant_types(["authorization_code", "refresh_token"])
        .response_types(["code"])
        .scopes(&facts.scopes)
}

fn registering(facts: &Facts) -> Result<AuthorizationServer, Failed> {
    let endpoint = facts.wider.registration_endpoint.as_deref().ok_or("there is no registration endpoint")?;
    Ok(server(facts)?.registration_endpoint(endpoint)?)
}

fn register(
    server: &AuthorizationServer,
    metadata: &ClientMetadata,
    facts: &Facts,
) -> Result<Registered, Error> {
    let token = facts.wider.initial_access_token.as_deref().map(Secret::new);
    let request = registration::register(server, metadata);
    let request = match &token {
        Some(token) => request.initial_access_token(token),
        None => request,
    };
    send(&request.start()?)
}
