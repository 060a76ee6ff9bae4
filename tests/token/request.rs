//! A request as the caller sees it: its parts, what can be changed, and its form in the `http` crate.

use oauth2_proto::{AuthorizationServer, Request, error::ErrorKind};

use crate::support::{client, client_of, token_call};

#[test]
fn rfc6749_section_3_2_the_endpoints_own_query_is_kept() {
    for endpoint in
        ["https://as.example/token?tenant=a", "https://as.example/token?", "https://as.example?a&b=%20"]
    {
        let server = AuthorizationServer::new("https://as.example/authorize", endpoint).unwrap();
        assert_eq!(token_call(&client_of(server)).request().url(), endpoint);
    }
}

#[test]
fn a_request_can_be_taken_apart_changed_and_put_together() {
    let mut call = token_call(&client());
    let request = call.request_mut();
    request.push_form("audience", "https://api.example/?a=b&c");
    assert_eq!(request.form().last().unwrap().1, "https://api.example/?a=b&c");

    request.remove_form_parameter("code_verifier");
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
            ("x-trace", "1"),
            ("authorization", "Basic fake"),
        ]
    );
    assert_eq!(
        (request.method(), request.url(), request.body()),
        ("GET", "https://elsewhere.example/", "raw")
    );
}

#[test]
fn one_form_parameter_changes_and_the_others_stay_byte_for_byte() {
    let mut request = Request::new("POST", "https://as.example/token");
    for (body, set, removed) in [
        ("a=1&b=2&c=3", "a=1&b=x+%26&c=3", "a=1&c=3"),
        ("b=2", "b=x+%26", ""),
        ("", "b=x+%26", ""),
        ("a=1", "a=1&b=x+%26", "a=1"),
        // Escapes, repetitions, names without a value and empty pairs.
        ("%62=2&a=%7e+%20&b&ab=b&b=", "b=x+%26&a=%7e+%20&ab=b", "a=%7e+%20&ab=b"),
        ("a=%zz&&bb=1&%FF=b", "a=%zz&&bb=1&%FF=b&b=x+%26", "a=%zz&&bb=1&%FF=b"),
    ] {
        request.set_body(body);
        request.set_form_parameter("b", "x &");
        assert_eq!(request.body(), set, "{body}");
        request.set_body(body);
        request.remove_form_parameter("b");
        assert_eq!(request.body(), removed, "{body}");
    }
    request.set_form_parameter("a b&", "1");
    assert_eq!(request.form().last().unwrap(), &("a b&".to_owned(), "1".to_owned()));
    request.set_form_parameter("a b&", "2");
    assert_eq!(request.body(), "a=%zz&&bb=1&%FF=b&a+b%26=2");
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
