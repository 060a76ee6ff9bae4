//! Cases with expected verdicts, collected from the specifications and from real servers.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use oauth2_proto::discovery::{ProtectedResource, ResourceDiscovery, ServerDiscovery};
use oauth2_proto::error::ErrorKind;
use oauth2_proto::{Error, Response};
use serde_json::Value;

use crate::server_addresses;

#[test]
fn rfc8414_and_rfc9728_metadata() {
    let cases: Vec<Value> = serde_json::from_str(include_str!("../vectors/metadata.json")).unwrap();
    for case in &cases {
        let found = match case["document"].as_str().unwrap() {
            "authorization-server" => authorization_server(case),
            _ => protected_resource(case),
        };
        let expect = &case["expect"];
        match (expect.get("ok"), found) {
            (Some(expected), Ok(found)) => {
                for (name, value) in expected.as_object().unwrap() {
                    assert_eq!(&found[name], value, "{}: {name}", case["id"]);
                }
            }
            (None, Err(error)) => check_error(case, &error),
            (_, found) => panic!("{}: expected {expect}, got {found:?}", case["id"]),
        }
    }
    assert_eq!(cases.len(), 73);
}

/// The members of the server that a case describes, as it is stored.
fn authorization_server(case: &Value) -> Result<Value, Error> {
    let issuer = case["issuer"].as_str().unwrap();
    let discovery = ServerDiscovery::new(issuer)?;
    let addresses = server_addresses(issuer);
    assert_eq!(addresses.first().map(String::as_str), case["well_known_url"].as_str(), "{}", case["id"]);
    assert_eq!(addresses.last().map(String::as_str), case["oidc_url"].as_str(), "{}", case["id"]);
    let server = discovery.call().read(Response::new(status(case), [("a", "b")], &body(case)))?;
    Ok(serde_json::to_value(server).unwrap())
}

/// The members of the resource that a case describes.
fn protected_resource(case: &Value) -> Result<Value, Error> {
    let discovery = ResourceDiscovery::new(case["resource"].as_str().unwrap())?;
    assert_eq!(Some(discovery.call().request().url()), case["well_known_url"].as_str(), "{}", case["id"]);
    let resource = discovery.call().read(Response::new(status(case), [("a", "b")], &body(case)))?;
    Ok(members(&resource))
}

fn members(resource: &ProtectedResource) -> Value {
    serde_json::json!({
        "resource": resource.resource(),
        "authorization_servers": resource.authorization_servers().collect::<Vec<_>>(),
        "scopes_supported": resource.scopes_supported().map(Iterator::collect::<Vec<_>>),
        "bearer_methods_supported": resource.bearer_methods_supported().map(Iterator::collect::<Vec<_>>),
        "resource_documentation": resource.get("resource_documentation"),
        "dpop_bound_access_tokens_required": resource.get("dpop_bound_access_tokens_required"),
    })
}

#[track_caller]
fn check_error(case: &Value, error: &Error) {
    let expected = &case["expect"]["error"];
    let kind = match expected["class"].as_str().unwrap() {
        "invalid" => ErrorKind::Invalid,
        "suspect" => ErrorKind::Suspect,
        "unsupported" => ErrorKind::Unsupported,
        "misuse" => ErrorKind::Misuse,
        other => panic!("unknown class {other}"),
    };
    assert_eq!(error.kind(), kind, "{}: {error}", case["id"]);
    if let Some(status) = expected["status"].as_u64() {
        assert_eq!(error.status().map(u64::from), Some(status), "{}", case["id"]);
    }
}

fn status(case: &Value) -> u16 {
    case["status"].as_u64().and_then(|status| status.try_into().ok()).unwrap()
}

fn body(case: &Value) -> Vec<u8> {
    match case["body_base64"].as_str() {
        Some(encoded) => STANDARD.decode(encoded).unwrap(),
        None => case["body"].as_str().unwrap().as_bytes().to_vec(),
    }
}
