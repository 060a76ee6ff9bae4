//! A server may leave out a flow only if its metadata does not announce it.

use libtest_mimic::Failed;
use oauth2_proto::Request;
use serde_json::Value;

use crate::foreign::Facts;
use crate::http;

/// Compares the documents that the server publishes with the facts of its set-up.
pub fn is_offered(facts: &Facts) -> Result<(), Failed> {
    let openid = facts.issuer.iter().filter(|_| facts.wider.openid_configuration);
    let openid = openid.map(|issuer| format!("{issuer}/.well-known/openid-configuration"));
    let urls: Vec<_> = facts.metadata_url.iter().cloned().chain(openid).collect();
    for url in &urls {
        let (_, _, body) = http::send(&Request::new("GET", url))?;
        let document: Value = serde_json::from_slice(&body)?;
        if let Some(name) = announcements(&document, facts).find_map(|(name, holds)| (!holds).then_some(name))
        {
            return Err(format!("{url} announces {name}, and the facts do not offer it").into());
        }
    }
    Ok(())
}

/// What the document announces, and whether the facts hold it.
fn announcements<'a>(document: &'a Value, facts: &'a Facts) -> impl Iterator<Item = (&'a str, bool)> {
    let wider = &facts.wider;
    let keys = &wider.keys;
    let endpoints = [
        ("revocation_endpoint", &facts.revocation_endpoint),
        ("introspection_endpoint", &facts.introspection_endpoint),
        ("device_authorization_endpoint", &facts.device_authorization_endpoint),
        ("pushed_authorization_request_endpoint", &facts.pushed_authorization_request_endpoint),
        ("registration_endpoint", &wider.registration_endpoint),
    ];
    let endpoints = endpoints.into_iter().filter_map(|(name, fact)| {
        let announced = document[name].as_str()?;
        Some((name, fact.as_deref() == Some(announced)))
    });
    let members = [
        ("dpop_signing_alg_values_supported", keys.dpop.is_some()),
        ("end_session_endpoint", keys.openid.as_ref().is_some_and(|openid| openid.end_session)),
        ("userinfo_endpoint", keys.openid.is_some()),
    ];
    let members = members.into_iter().filter(|(name, _)| !document[name].is_null());
    let capabilities = [
        ("authorization_response_iss_parameter_supported", facts.iss_parameter_supported),
        ("client_id_metadata_document_supported", wider.client_documents.is_some()),
        ("tls_client_certificate_bound_access_tokens", keys.certificate_bound.is_some()),
        ("request_parameter_supported", keys.signed.is_some()),
        ("request_uri_parameter_supported", keys.signed_by_reference.is_some()),
        (
            "backchannel_logout_supported",
            keys.openid.as_ref().is_some_and(|openid| openid.logout_tokens.is_some()),
        ),
    ];
    let capabilities = capabilities.into_iter().filter(|(name, _)| document[name] == true);
    let api = wider.api.as_deref();
    let lists = [
        ("grant_types_supported", "client_credentials", facts.has_grant("client_credentials")),
        ("grant_types_supported", DEVICE_CODE, facts.device_authorization_endpoint.is_some()),
        ("grant_types_supported", TOKEN_EXCHANGE, facts.has_grant(TOKEN_EXCHANGE)),
        ("grant_types_supported", JWT_BEARER, wider.assertion.is_some() || wider.identity_provider.is_some()),
        ("response_modes_supported", "form_post", has(&wider.response_modes, "form_post")),
        ("prompt_values_supported", "none", has(&wider.prompts, "none")),
        ("prompt_values_supported", "login", has(&wider.prompts, "login")),
        ("token_endpoint_auth_methods_supported", "client_secret_post", facts.post_client_id.is_some()),
        ("token_endpoint_auth_methods_supported", "private_key_jwt", keys.private_key_jwt.is_some()),
        ("token_endpoint_auth_methods_supported", "client_secret_jwt", keys.client_secret_jwt.is_some()),
        ("token_endpoint_auth_methods_supported", "tls_client_auth", keys.tls_client_auth.is_some()),
        (
            "token_endpoint_auth_methods_supported",
            "self_signed_tls_client_auth",
            keys.self_signed_tls_client_auth.is_some(),
        ),
        ("response_modes_supported", "jwt", keys.jarm),
        ("scopes_supported", "openid", keys.openid.is_some()),
        ("authorization_details_types_supported", "export", wider.authorization_details_type.is_some()),
        ("protected_resources", api.unwrap_or_default(), api.is_some()),
    ];
    let lists = lists.into_iter().filter_map(|(name, value, holds)| {
        let announced = document[name].as_array()?;
        announced.iter().any(|it| it == value).then_some((value, holds))
    });
    endpoints.chain(members).chain(capabilities).chain(lists)
}

fn has(list: &[String], value: &str) -> bool {
    list.iter().any(|it| it == value)
}

const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";
const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
