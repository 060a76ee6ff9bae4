//! The example of a sign-in by OpenID Connect, as a person runs it, and the OpenID part of its server.

#![allow(clippy::disallowed_methods, reason = "the HTTP client of the examples has a clock")]

use std::env::consts::EXE_SUFFIX;
use std::process::Command;

#[path = "../examples/support/http.rs"]
mod http;
#[path = "../examples/support/openid.rs"]
mod openid;
#[path = "../examples/support/server.rs"]
mod server;

use oauth2_proto::Request;
use openid::OpenId;
use serde_json::Value;
use server::{AuthorizationServer, Config, Running, spawn};

const CALLBACK: &str = "http://127.0.0.1:9/callback";
const GOODBYE: &str = "http://127.0.0.1:9/goodbye?from=logout";

#[track_caller]
fn example(arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    path.push(format!("examples/openid{EXE_SUFFIX}"));
    assert!(path.exists(), "run `cargo build --example openid --features keys` first");
    let mut command = Command::new(path);
    // A proxy that answers nothing: the embedded server must be reached without it.
    command.envs(["ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY"].map(|name| (name, "http://127.0.0.1:9")));
    let output = command.args(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn without_arguments_it_shows_a_whole_sign_in() {
    let (status, shown, complaints) = example(&[]);
    assert_eq!((status, complaints.as_str()), (Some(0), ""), "{shown}");

    let mut rest = shown.as_str();
    for part in [
        "\n1. Find the server's endpoints",
        "/.well-known/oauth-authorization-server: HTTP status 404\n",
        "/.well-known/openid-configuration: HTTP status 200\n",
        "UserInfo               http://127.0.0.1:",
        "\n2. Fetch the server's keys",
        "/jwks\n",
        "EC key fake-key-1\n",
        "\n3. Send the user to the server",
        "scope                 email openid",
        "max_age               600 ",
        "nonce  ",
        "\n4. The browser comes back",
        "code                  [hidden]",
        "\n5. Check the ID token",
        "subject         user\n",
        "scopes missing  none\n",
        "\n6. An ID token of another sign-in is refused",
        "refused as Suspect.\n",
        "\n7. Ask for more about the user",
        "/userinfo\n",
        "authorization: Bearer [hidden]",
        "subject  user  (",
        "email    fake-user@example.com\n",
        "\n8. The server changes its key",
        "refresh_token         [hidden]",
        "The check failed (reason: kid).",
        "EC key fake-key-1\n",
        "EC key fake-key-2\n",
        "subject         user\n",
        "\n9. Sign the user out",
        "/oauth/revoke\n",
        "/logout\n",
        "id_token_hint         [hidden]",
        "post_logout_redirect_uri http://127.0.0.1:8912/goodbye",
        "http://127.0.0.1:8912/goodbye\n",
        "state  ",
        "Done: the browser came back",
    ] {
        rest = rest.split_once(part).unwrap_or_else(|| panic!("{part:?} is missing or early in:\n{shown}")).1;
    }
    for line in shown.lines() {
        assert!(line.chars().count() <= 100, "wider than a terminal: {line}");
    }
    // Each signed token begins with `eyJ`.
    assert!(!shown.contains("fake-secret") && !shown.contains("eyJ"), "{shown}");
}

#[test]
fn help_is_not_an_error_and_an_argument_is() {
    let (status, shown, complaints) = example(&["--help"]);
    assert_eq!((status, complaints.as_str()), (Some(0), ""));
    assert!(shown.starts_with("Usage: openid"), "{shown}");
    let (status, shown, complaints) = example(&["--issuer", "https://as.example"]);
    assert_eq!((status, shown.as_str(), complaints.lines().count()), (Some(2), "", 1));
}

#[test]
fn a_sign_out_goes_to_a_registered_address_and_needs_a_token_of_the_server() {
    let running = start("openid");
    let (own, others) = (tokens(&running), tokens(&start("openid")));
    let (own, others) = (own["id_token"].as_str().unwrap(), others["id_token"].as_str().unwrap());
    for (token, address, expected) in [
        (own, Some(GOODBYE), (302, Some("http://127.0.0.1:9/goodbye?from=logout&state=fake-state"))),
        (own, None, (200, None)),
        (own, Some("http://127.0.0.1:9/elsewhere"), (400, None)),
        (others, Some(GOODBYE), (400, None)),
        ("fake.id.token", Some(GOODBYE), (400, None)),
    ] {
        let address = address.map(|address| ("post_logout_redirect_uri", address));
        let parameters = [("id_token_hint", token), ("state", "fake-state")].into_iter().chain(address);
        let query = serde_urlencoded::to_string(parameters.collect::<Vec<_>>()).unwrap();
        let url = format!("{}/logout?{query}", running.base_url());
        let (status, headers, _) = http::send(&Request::new("GET", url)).unwrap();
        let location = headers.iter().find(|(name, _)| name == "location");
        let location = location.map(|(_, value)| String::from_utf8(value.clone()).unwrap());
        assert_eq!((status, location.as_deref()), expected, "{address:?}");
    }
}

#[test]
fn only_the_scope_openid_brings_an_id_token() {
    assert!(tokens(&start("openid")).get("id_token").is_some());
    assert!(tokens(&start("email")).get("id_token").is_none());
}

/// Starts a server whose grants have this scope.
#[track_caller]
fn start(scopes: &str) -> Running {
    let config = Config { scopes: scopes.to_owned(), ..Config::new(CALLBACK) };
    let mut server = AuthorizationServer::new(config);
    server.add_part(OpenId::new([GOODBYE.to_owned()]).unwrap());
    spawn(server, 0).unwrap()
}

/// Signs in, and returns the token response.
#[track_caller]
fn tokens(running: &Running) -> Value {
    let base = running.base_url();
    // The challenge and the verifier of RFC 7636 appendix B.
    let challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
    let callback = http::follow(&format!(
        "{base}/oauth/authorize?response_type=code&client_id=fake-client&redirect_uri={CALLBACK}\
         &code_challenge={challenge}&code_challenge_method=S256"
    ));
    let code = callback.unwrap().split_once("code=").unwrap().1.to_owned();
    let mut request = Request::new("POST", format!("{base}/oauth/token"));
    // fake-client:fake-secret
    request.set_header("authorization", "Basic ZmFrZS1jbGllbnQ6ZmFrZS1zZWNyZXQ=".to_owned());
    request.set_header("content-type", "application/x-www-form-urlencoded".to_owned());
    request.set_body(format!(
        "grant_type=authorization_code&code={code}&redirect_uri={CALLBACK}\
         &code_verifier=dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    ));
    let (status, _, body) = http::send(&request).unwrap();
    assert_eq!(status, 200);
    serde_json::from_slice(&body).unwrap()
}
