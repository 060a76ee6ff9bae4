//! A request as the caller sees it: its parts, what can be changed, and its form in the `http` crate.

use oauth2_proto::error::ErrorKind;

use crate::support::{client, token_call};

#[test]
fn a_request_can_be_taken_apart_changed_and_put_together() {
    let mut call = token_call(&client());
    let request = call.request_mut();
    request.push_form("audience", "https://api.example/?a=b&c");
    assert_eq!(request.form().last().unwrap().1, "https://api.example/?a=b&c");

    let without_verifier: Vec<_> =
        request.form().into_iter().filter(|(name, _)| name != "code_verifier").collect();
    request.set_form(&without_verifier).unwrap();
    assert!(!request.body().contains("code_verifier"));
    assert_eq!(request.set_form([("nested", [1, 2])]).unwrap_err().kind(), ErrorKind::Misuse);

    request.set_header("Authorization", "Basic fake");
    request.set_header("X-Trace", "1");
    request.remove_header("ACCEPT");
    request.set_method("GET");
    request.set_url("https://elsewhere.example/");
    request.set_body("raw");
    let headers: Vec<_> = request.headers().collect();
    assert_eq!(
        headers,
        [
            ("content-type", "application/x-www-form-urlencoded"),
            ("authorization", "Basic fake"),
            ("x-trace", "1"),
        ]
    );
    assert_eq!(
        (request.method(), request.url(), request.body()),
        ("GET", "https://elsewhere.example/", "raw")
    );
}

#[cfg(feature = "http")]
#[test]
fn the_http_crate_is_understood() {
    use std::time::Duration;

    use crate::support::now;

    let call = token_call(&client());
    let request = http::Request::<oauth2_proto::Secret>::try_from(call.request()).unwrap();
    assert!(format!("{request:?}").contains("body: Secret([redacted])"), "{request:?}");
    assert_eq!(request.method(), "POST");
    assert_eq!(request.uri(), "https://as.example/token");
    assert!(request.headers()["authorization"].is_sensitive());
    assert!(!request.headers()["accept"].is_sensitive());
    let to_send = request.map(|body| body.expose().to_owned());
    assert_eq!(to_send.body(), call.request().body());
    let response =
        http::Response::builder().status(503).header("Retry-After", "7").body(b"{}".to_vec()).unwrap();
    let error = call.read((&response).into()).unwrap_err();
    assert_eq!(error.retry_after(now()), Some(Duration::from_secs(7)));
}
