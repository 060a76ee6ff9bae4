//! The discovery of protected resources.

use oauth2_proto::Advice;
use oauth2_proto::discovery::ResourceDiscovery;
use oauth2_proto::error::ErrorKind;
use serde_json::json;

use crate::{MORE_THAN_ALL, answer, read_resource, resource_addresses};

const MCP: &str = "https://api.example/mcp";

fn new(resource: &str) -> ResourceDiscovery {
    ResourceDiscovery::new(resource).unwrap()
}

fn challenged(requested: &str, url: &str) -> ResourceDiscovery {
    ResourceDiscovery::from_challenge(requested, Some(url)).unwrap()
}

/// Goes to the last address.
#[track_caller]
fn at_root(mut discovery: ResourceDiscovery) -> ResourceDiscovery {
    for _ in 0..MORE_THAN_ALL {
        let error = discovery.call().read(answer(404, "")).unwrap_err();
        if discovery.next_address(error).is_err() {
            return discovery;
        }
    }
    panic!("a discovery that does not end: {discovery:?}")
}

#[test]
fn a_discovery_shows_which_addresses_are_left() {
    let shown = format!("{:?}", challenged(MCP, "https://meta.example/x?planted"));
    assert!(
        shown.contains(r#"addresses: ["https://api.example/.well-known/oauth-protected-resource/mcp", "#),
        "{shown}"
    );
    assert!(shown.contains("https://meta.example/x") && !shown.contains("planted"), "{shown}");
}

#[test]
fn a_document_is_asked_for_by_get_without_credentials() {
    for discovery in [new(MCP), challenged(MCP, "https://meta.example/x"), at_root(new(MCP))] {
        let request = discovery.call().request();
        assert_eq!((request.method(), request.body()), ("GET", ""));
        assert!(request.headers().eq([("accept", "application/json")]), "{request:?}");
    }
}

/// Returns whether the document of this resource is accepted at the current address.
#[track_caller]
fn takes(discovery: &ResourceDiscovery, resource: &str) -> bool {
    match read_resource(discovery, &json!({ "resource": resource })) {
        Ok(read) => {
            assert_eq!(read.resource(), resource);
            true
        }
        Err(error) => {
            assert_eq!((error.kind(), error.advice()), (ErrorKind::Suspect, Advice::Stop), "{error}");
            false
        }
    }
}

#[test]
fn rfc9728_section_3_1_the_well_known_path_goes_between_host_and_path() {
    const ROOT: &str = "https://api.example/.well-known/oauth-protected-resource";
    for (resource, addresses) in [
        ("https://api.example", &[""] as &[_]),
        ("https://api.example/", &[""]),
        (MCP, &["/mcp", ""]),
        ("https://api.example/mcp/", &["/mcp", ""]),
        ("https://api.example/a/b?v=1&w", &["/a/b?v=1&w", ""]),
        ("https://api.example/?v=1", &["?v=1", ""]),
        ("https://api.example?v=1", &["?v=1", ""]),
    ] {
        let expected: Vec<_> = addresses.iter().map(|rest| format!("{ROOT}{rest}")).collect();
        assert_eq!(resource_addresses(new(resource)), expected, "{resource}");
        assert_eq!(new(resource).call().request().method(), "GET");
    }
}

#[test]
fn mcp_the_address_of_the_challenge_comes_first_and_no_address_twice() {
    let path = "https://api.example/.well-known/oauth-protected-resource/mcp";
    let root = "https://api.example/.well-known/oauth-protected-resource";
    let other = "https://meta.example/resource?id=7";
    for (named, addresses) in
        [(other, vec![other, path, root]), (path, vec![path, root]), (root, vec![root, path])]
    {
        assert_eq!(resource_addresses(challenged(MCP, named)), addresses);
    }
    let none = ResourceDiscovery::from_challenge(MCP, None).unwrap();
    assert_eq!(resource_addresses(none), [path, root]);
}

#[test]
fn rfc9728_section_3_2_example() {
    let resource = read_resource(
        &new("https://resource.example.com"),
        &json!({
            "resource": "https://resource.example.com",
            "authorization_servers": ["https://as1.example.com", "https://as2.example.net"],
            "bearer_methods_supported": ["header", "body"],
            "scopes_supported": ["profile", "email", "phone"],
            "resource_documentation": "https://resource.example.com/resource_documentation.html",
        }),
    )
    .unwrap();
    assert_eq!(resource.resource(), "https://resource.example.com");
    let servers = ["https://as1.example.com", "https://as2.example.net"];
    assert!(resource.authorization_servers().eq(servers));
    assert!(resource.bearer_methods_supported().unwrap().eq(["header", "body"]));
    assert!(resource.scopes_supported().unwrap().eq(["profile", "email", "phone"]));
    let documentation = "https://resource.example.com/resource_documentation.html";
    assert_eq!(resource.get("resource_documentation").unwrap(), documentation);

    let bare = read_resource(&new(MCP), &json!({ "resource": MCP, "jwks_uri": null })).unwrap();
    assert_eq!(bare.authorization_servers().count(), 0);
    assert!(bare.scopes_supported().is_none() && bare.bearer_methods_supported().is_none());
    assert_eq!(bare.get("jwks_uri"), None);
}

#[test]
fn rfc9728_section_3_3_the_resource_is_the_identifier_byte_for_byte() {
    for (requested, resource, taken) in [
        (MCP, MCP, true),
        (MCP, "https://api.example/mcp/", false),
        (MCP, "https://API.example/mcp", false),
        (MCP, "https://api.example:443/mcp", false),
        (MCP, "https://api.example", false),
        (MCP, "https://api.example/mcp/tools", false),
        (MCP, "https://evil.example/mcp", false),
        ("https://api.example", "https://api.example/", false),
        ("https://api.example/", "https://api.example/", true),
        ("https://api.example/?v=1", "https://api.example/", false),
    ] {
        assert_eq!(takes(&new(requested), resource), taken, "{requested} {resource}");
    }
}

#[test]
fn rfc9728_section_3_3_a_challenge_leads_to_the_requested_url_only() {
    for named in [
        "https://meta.example/resource",
        "https://api.example/.well-known/oauth-protected-resource",
        "https://api.example/.well-known/oauth-protected-resource/mcp",
    ] {
        let discovery = challenged(MCP, named);
        for (resource, taken) in [
            (MCP, true),
            ("https://api.example", false),
            ("https://meta.example/resource", false),
            ("https://api.example/mcp/", false),
        ] {
            assert_eq!(takes(&discovery, resource), taken, "{named} {resource}");
        }
    }
}

#[test]
fn mcp_the_document_at_the_root_is_of_the_origin_or_of_the_requested_url() {
    for (discovery, of_origin) in [
        (at_root(new(MCP)), true),
        (at_root(challenged(MCP, "https://meta.example/resource")), true),
        (at_root(new("https://api.example/?v=1")), true),
        // This resource has one address, so its document must name the requested identifier.
        (at_root(new("https://api.example/")), false),
        (at_root(challenged("https://api.example/", "https://meta.example/resource")), false),
    ] {
        assert_eq!(takes(&discovery, "https://api.example"), of_origin, "{discovery:?}");
        for resource in ["https://api.example/other", "https://evil.example", "https://api.example//"] {
            assert!(!takes(&discovery, resource), "{discovery:?} {resource}");
        }
    }
    assert!(takes(&at_root(new(MCP)), "https://api.example/"));
    assert!(takes(&at_root(new(MCP)), MCP));
}

#[test]
fn a_parent_is_accepted_on_request_only_and_by_whole_segments_of_one_origin() {
    let requested = "https://api.example/a/mcp?v=1";
    let named = "https://api.example/.well-known/oauth-protected-resource";
    for (resource, taken) in [
        ("https://api.example", true),
        ("https://api.example/", true),
        ("HTTPS://API.example:443", true),
        ("https://api.example/a", true),
        ("https://api.example/a/", true),
        ("https://api.example/a/mcp", true),
        (requested, true),
        ("https://api.example/a/mc", false),
        ("https://api.example/A", false),
        ("https://api.example/a/mcp/tools", false),
        ("https://api.example/a?v=1", false),
        ("https://api.example:8443/a", false),
        ("http://api.example/a", false),
        ("https://api.exampl", false),
        ("https://example/a", false),
        ("https://evil.example/a", false),
        ("https://user@api.example/a", false),
        ("https://api.example/a/../a", false),
        ("urn:example:a", false),
    ] {
        let lenient = challenged(requested, named).accept_parent();
        assert_eq!(takes(&lenient, resource), taken, "{resource}");
        assert_eq!(takes(&challenged(requested, named), resource), resource == requested, "{resource}");
    }
    // It holds for all addresses.
    let lenient = at_root(challenged(requested, named).accept_parent());
    assert!(takes(&lenient, "https://api.example/a"));
}

#[test]
fn an_unsound_resource_is_a_misuse() {
    for resource in [
        "http://api.example/mcp",
        "https://api.example/mcp#x",
        "https://user@api.example/mcp",
        "https://api.example/a/../mcp",
        "urn:example:api",
        "/mcp",
        "",
    ] {
        let error = ResourceDiscovery::new(resource).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Misuse, "{resource}");
    }
}

#[test]
fn an_unsound_address_in_a_challenge_is_not_asked() {
    for (requested, named, kind) in [
        (MCP, "http://meta.example/x", Some(ErrorKind::Invalid)),
        (MCP, "https://user@meta.example/x", Some(ErrorKind::Invalid)),
        (MCP, "https://meta.example/x#y", Some(ErrorKind::Invalid)),
        (MCP, "https://2130706433/x", Some(ErrorKind::Invalid)),
        (MCP, "/.well-known/oauth-protected-resource", Some(ErrorKind::Invalid)),
        (MCP, "file:///etc/passwd", Some(ErrorKind::Invalid)),
        (MCP, "", Some(ErrorKind::Invalid)),
        (MCP, "http://127.0.0.1:8080/admin", Some(ErrorKind::Suspect)),
        (MCP, "HTTP://localhost/admin", Some(ErrorKind::Suspect)),
        (MCP, "https://meta.example/x?y", None),
        ("http://localhost:3000/mcp", "http://127.0.0.1:9000/meta", None),
        ("http://localhost:3000/mcp", "https://meta.example/x", None),
    ] {
        let discovery = ResourceDiscovery::from_challenge(requested, Some(named));
        assert_eq!(discovery.as_ref().err().map(|error| error.kind()), kind, "{named}");
        assert!(discovery.is_err_and(|error| error.advice() == Advice::Stop) == kind.is_some());
    }
}

#[test]
fn every_authorization_server_is_a_sound_issuer() {
    for (servers, sound) in [
        (json!(["https://as.example", "https://as.example/a"]), true),
        (json!([]), true),
        (json!(null), true),
        (json!(["https://as.example", "http://as.example"]), false),
        (json!(["https://as.example?x"]), false),
        (json!([""]), false),
        (json!([7]), false),
        (json!("https://as.example"), false),
    ] {
        let document = json!({ "resource": MCP, "authorization_servers": servers });
        let resource = read_resource(&new(MCP), &document);
        assert_eq!(resource.as_ref().err().map(|error| error.kind()), (!sound).then_some(ErrorKind::Invalid));
    }
}

#[test]
fn a_member_of_the_wrong_kind_makes_the_document_invalid() {
    for name in ["resource", "scopes_supported", "bearer_methods_supported"] {
        let mut document = json!({ "resource": MCP });
        document[name] = json!({});
        let error = read_resource(&new(MCP), &document).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().contains(name), "{error}");
    }
    let error = read_resource(&new(MCP), &json!({ "authorization_servers": [] })).unwrap_err();
    assert!(error.to_string().contains("there is no resource"), "{error}");
}

#[test]
fn a_resource_in_trouble_is_asked_again_at_the_same_address() {
    let mut discovery = challenged(MCP, "https://meta.example/x");
    let error = discovery.call().read(answer(503, "")).unwrap_err();
    let back = discovery.next_address(error).unwrap_err();
    assert_eq!(back.advice(), Advice::RetryLater);
    assert_eq!(discovery.call().request().url(), "https://meta.example/x");
    discovery.skip_address(back).unwrap();
    assert!(discovery.call().request().url().ends_with("/mcp"));
    let suspect = read_resource(&discovery, &json!({ "resource": "https://evil.example" })).unwrap_err();
    discovery.next_address(suspect).unwrap();
    let missing = discovery.call().read(answer(404, "")).unwrap_err();
    assert_eq!(discovery.next_address(missing).unwrap_err().kind(), ErrorKind::Suspect);
}
