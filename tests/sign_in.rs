//! A whole sign-in, as a timeline: against the examples of the RFCs, and against an authorization server
//! that is driven without sockets.

mod support;

#[path = "../examples/support/server.rs"]
mod embedded;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use embedded::{AuthorizationServer, Config, HttpRequest, HttpResponse};
use oauth2_proto::{
    Advice, Callback, Client, ClientAuth, PendingAuthorization, Request, Response, Secret, error::ErrorKind,
    pleo,
};
use std::time::{Duration, UNIX_EPOCH};
use support::{
    REDIRECT_URI, client, client_of, entropy, entropy_of, json, later, now, server, start, token_call,
};

const REGISTERED: &str = "http://127.0.0.1:7777/callback";

/// The embedded server, and a client of it that speaks to it by function calls.
fn embedded_server() -> (AuthorizationServer, Client) {
    let config = Config { scopes: "export:read export:write".into(), ..Config::new(REGISTERED) };
    let auth = ClientAuth::basic(config.client_secret.as_str());
    let client =
        Client::new(pleo::at("http://127.0.0.1:1").unwrap(), config.client_id.as_str(), auth).unwrap();
    (AuthorizationServer::new(config), client)
}

fn send(server: &mut AuthorizationServer, request: &Request) -> HttpResponse {
    let headers: Vec<_> = request.headers().collect();
    let target = request.url().strip_prefix("http://127.0.0.1:1").unwrap();
    server.handle(HttpRequest {
        method: request.method(),
        target,
        headers: &headers,
        body: request.body().as_bytes(),
    })
}

fn received(response: &HttpResponse) -> Response<'_> {
    Response::new(
        response.status,
        response.headers.iter().map(|(name, value)| (*name, value)),
        response.body.as_bytes(),
    )
}

/// What the browser brings back from the authorization URL.
fn browse(server: &mut AuthorizationServer, url: &str) -> String {
    let response = send(server, &Request::new("GET", url));
    response.header("location").unwrap_or_else(|| panic!("{} {}", response.status, response.body)).to_owned()
}

#[test]
fn a_sign_in_a_refresh_and_the_end_of_the_replaced_refresh_token() {
    let (mut server, client) = embedded_server();

    let (url, mut pending) = client
        .authorize(REGISTERED)
        .scopes(["export:read", "export:write"])
        .start_with(entropy(), now())
        .unwrap();
    let callback = browse(&mut server, &url);

    let call = pending.receive(&client, Callback::url(&callback), later(5)).unwrap();
    let first = call.read(received(&send(&mut server, call.request()))).unwrap();
    assert!(server.is_access_token_valid(first.access_token().expose()));
    assert_eq!(first.expires_in(), Some(Duration::from_secs(3600)));
    assert_eq!(first.missing_scopes().count(), 0);
    assert_eq!(first.extra_scopes().count(), 0);

    let refresh = client.refresh(first.refresh_token().unwrap()).start().unwrap();
    let second = refresh.read(received(&send(&mut server, refresh.request()))).unwrap();
    assert!(second.refresh_token_is_new());
    assert!(server.is_access_token_valid(second.access_token().expose()));

    let error = refresh.read(received(&send(&mut server, refresh.request()))).unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Refused, Some("invalid_grant")));
    assert_eq!(error.advice(), Advice::Reauthorize);
}

#[test]
fn a_code_is_used_once() {
    let (mut server, client) = embedded_server();
    let (url, mut pending) = client.authorize(REGISTERED).start_with(entropy(), now()).unwrap();
    let callback = browse(&mut server, &url);
    let call = pending.receive(&client, Callback::url(&callback), now()).unwrap();
    call.read(received(&send(&mut server, call.request()))).unwrap();
    let error = call.read(received(&send(&mut server, call.request()))).unwrap_err();
    assert_eq!(error.code(), Some("invalid_grant"));
}

#[test]
fn the_user_says_no() {
    let (mut server, client) = embedded_server();
    let request = client.authorize(REGISTERED).scopes(["deny:me"]);
    let (url, mut pending) = request.start_with(entropy(), now()).unwrap();
    let callback = browse(&mut server, &url);
    let error = pending.receive(&client, Callback::url(&callback), now()).unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Refused, Some("access_denied")));
    assert_eq!(error.advice(), Advice::Stop);
}

#[test]
fn rfc6749_section_4_1_2_1_all_of_a_refusal_is_handed_through() {
    let client = client();
    let (_, mut pending) = start(&client);
    let state = pending.state();
    let callback = format!(
        "error=access_denied&error_description=not+today&error_uri=https://as.example/why&state={state}"
    );
    let error = pending.receive(&client, callback.as_str(), now()).unwrap_err();
    assert_eq!(error.code(), Some("access_denied"));
    assert_eq!(error.description(), Some("not today"));
    assert_eq!(error.uri(), Some("https://as.example/why"));
}

#[test]
fn a_wrong_client_secret_is_a_matter_of_configuration() {
    let (mut server, right) = embedded_server();
    let wrong = Client::new(
        pleo::at("http://127.0.0.1:1").unwrap(),
        "fake-client",
        ClientAuth::basic("fake-wrong-secret"),
    )
    .unwrap();
    let (url, mut pending) = right.authorize(REGISTERED).start_with(entropy(), now()).unwrap();
    let callback = browse(&mut server, &url);
    let call = pending.receive(&wrong, Callback::url(&callback), now()).unwrap();
    let error = call.read(received(&send(&mut server, call.request()))).unwrap_err();
    assert_eq!((error.code(), error.status()), (Some("invalid_client"), Some(401)));
    assert_eq!(error.advice(), Advice::FixConfiguration);
}

#[test]
fn rfc6749_section_4_1_1_and_rfc7636_appendix_b_authorization_url() {
    let random = |text| URL_SAFE_NO_PAD.decode(text).unwrap().try_into().unwrap();
    let entropy = entropy_of([9; 32], random("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"));
    let client = client();
    let request = client.authorize(REDIRECT_URI).scopes(["export:read"]).parameter("prompt", "consent");
    let (url, _) = request.start_with(entropy, now()).unwrap();
    assert_eq!(
        url,
        "https://as.example/authorize?response_type=code&client_id=fake-client&code_challenge_method=S256\
         &redirect_uri=https%3A%2F%2Fapp.example%2Fcallback&scope=export%3Aread\
         &state=CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk\
         &code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&prompt=consent"
    );
}

/// Found by fuzzing: a query that ends in `?` was taken for an empty one.
#[test]
fn rfc6749_section_3_1_the_endpoints_own_query_is_kept() {
    for (endpoint, start) in [
        ("https://as.example/a", "https://as.example/a?response_type=code&"),
        ("https://as.example/a?", "https://as.example/a?response_type=code&"),
        ("https://as.example/a?p=q", "https://as.example/a?p=q&response_type=code&"),
        ("https://as.example/a?p=q&", "https://as.example/a?p=q&response_type=code&"),
        ("https://as.example/a?next=/b?", "https://as.example/a?next=/b?&response_type=code&"),
    ] {
        let server = oauth2_proto::AuthorizationServer::new(endpoint, "https://as.example/token").unwrap();
        let (url, _) = support::start(&client_of(server));
        assert!(url.starts_with(start), "{url}");
    }
}

#[test]
fn rfc6749_section_4_1_3_token_request() {
    let call = token_call(&client());
    let request = call.request();
    assert_eq!((request.method(), request.url()), ("POST", "https://as.example/token"));
    let headers: Vec<_> = request.headers().collect();
    assert_eq!(
        headers,
        [
            ("content-type", "application/x-www-form-urlencoded"),
            ("accept", "application/json"),
            ("authorization", "Basic ZmFrZS1jbGllbnQ6ZmFrZS1zZWNyZXQ="),
        ]
    );
    assert_eq!(
        request.body(),
        "grant_type=authorization_code&code=fake-code&redirect_uri=https%3A%2F%2Fapp.example%2Fcallback\
         &code_verifier=BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc"
    );
    assert!(!request.follow_redirects());
    assert_eq!(request.response_limit(), 1 << 20);
}

#[test]
fn rfc6749_section_2_3_one_authentication_method_per_request() {
    for (auth, basic, in_body) in [
        (ClientAuth::basic("fake"), true, &[] as &[&str]),
        (ClientAuth::basic_unencoded("fake"), true, &[]),
        (ClientAuth::post("fake"), false, &["client_id", "client_secret"]),
        (ClientAuth::post(""), false, &["client_id"]),
        (ClientAuth::none(), false, &["client_id"]),
    ] {
        let client = Client::new(server(), "fake-client", auth).unwrap();
        let call = token_call(&client);
        assert_eq!(call.request().header("authorization").is_some(), basic);
        let form = call.request().form();
        let credentials: Vec<_> =
            form.iter().map(|(name, _)| name.as_str()).filter(|name| name.starts_with("client_")).collect();
        assert_eq!(credentials, in_body);
    }
}

#[test]
fn basic_unencoded_sends_the_halves_as_they_are() {
    let client = Client::new(server(), "fake-client", ClientAuth::basic_unencoded("a+b %")).unwrap();
    let header = token_call(&client).request().header("authorization").map(str::to_owned);
    assert_eq!(header.as_deref(), Some("Basic ZmFrZS1jbGllbnQ6YStiICU="));
    let error = Client::new(server(), "a:b", ClientAuth::basic_unencoded("fake")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Misuse);
}

#[test]
fn rfc6749_section_6_a_refresh_without_a_new_refresh_token_keeps_the_old_one() {
    let client = client();
    let call = client.refresh(&Secret::new("fake-refresh-1")).start().unwrap();
    assert_eq!(call.request().body(), "grant_type=refresh_token&refresh_token=fake-refresh-1");

    let kept = call.read(json(r#"{"access_token":"fake-2","token_type":"Bearer"}"#)).unwrap();
    assert_eq!(kept.refresh_token().map(Secret::expose), Some("fake-refresh-1"));
    assert!(!kept.refresh_token_is_new());

    let body = r#"{"access_token":"fake-2","token_type":"Bearer","refresh_token":"fake-refresh-2"}"#;
    let rotated = call.read(json(body)).unwrap();
    assert_eq!(rotated.refresh_token().map(Secret::expose), Some("fake-refresh-2"));
    assert!(rotated.refresh_token_is_new());
}

#[test]
fn a_refresh_may_ask_for_less() {
    let client = client();
    let token = Secret::new("fake-refresh");
    let call =
        client.refresh(&token).scopes(["export:read"]).resource("https://api.example/").start().unwrap();
    assert_eq!(
        call.request().body(),
        "grant_type=refresh_token&refresh_token=fake-refresh&scope=export%3Aread\
         &resource=https%3A%2F%2Fapi.example%2F"
    );
    for misuse in [
        client.refresh(&token).scopes(["a b"]).start(),
        client.refresh(&token).resource("not absolute").start(),
        client.refresh(&Secret::new("")).start(),
        client.refresh(&Secret::new("fake-refresh-token\n")).start(),
    ] {
        assert_eq!(misuse.unwrap_err().kind(), ErrorKind::Misuse);
    }
    let no_refresh = client_of(server().grant_types_supported(["authorization_code"]));
    let message = no_refresh.refresh(&token).start().unwrap_err().to_string();
    assert!(message.contains("supports the grant types authorization_code, not refresh_token"), "{message}");
}

#[test]
fn rfc6749_section_5_1_scopes_are_data() {
    let call = token_call(&client());
    for (scope, granted, missing, extra) in [
        ("", vec!["export:read", "export:write"], vec![], vec![]),
        (r#","scope":"export:write export:read""#, vec!["export:write", "export:read"], vec![], vec![]),
        (r#","scope":"export:read""#, vec!["export:read"], vec!["export:write"], vec![]),
        (
            r#","scope":"admin export:read export:write""#,
            vec!["admin", "export:read", "export:write"],
            vec![],
            vec!["admin"],
        ),
        (r#","scope":"""#, vec![], vec!["export:read", "export:write"], vec![]),
    ] {
        let body = format!(r#"{{"access_token":"fake","token_type":"Bearer"{scope}}}"#);
        let tokens = call.read(json(&body)).unwrap();
        assert_eq!(tokens.granted_scopes().collect::<Vec<_>>(), granted);
        assert_eq!(tokens.missing_scopes().collect::<Vec<_>>(), missing);
        assert_eq!(tokens.extra_scopes().collect::<Vec<_>>(), extra);
    }
}

#[test]
fn rfc6749_section_6_a_refresh_that_asks_for_nothing_misses_nothing() {
    let client = client();
    let token = Secret::new("fake-refresh");
    let silent = r#"{"access_token":"fake","token_type":"Bearer"}"#;
    let named = r#"{"access_token":"fake","token_type":"Bearer","scope":"export:read"}"#;
    let scopes = |body, asked: &[&str]| {
        let tokens = client.refresh(&token).scopes(asked).start().unwrap().read(json(body)).unwrap();
        [tokens.granted_scopes().count(), tokens.missing_scopes().count(), tokens.extra_scopes().count()]
    };
    assert_eq!(scopes(silent, &[]), [0, 0, 0]);
    assert_eq!(scopes(named, &[]), [1, 0, 0]);
    assert_eq!(scopes(silent, &["export:read"]), [1, 0, 0]);
    assert_eq!(scopes(named, &["export:write"]), [1, 1, 1]);
}

#[test]
fn zero_seconds_is_zero_unless_the_server_is_known_to_mean_never() {
    let body = r#"{"access_token":"fake","token_type":"Bearer","expires_in":0}"#;
    let strict = token_call(&client()).read(json(body)).unwrap();
    assert_eq!(strict.expires_in(), Some(Duration::ZERO));
    let lenient = client_of(server().tolerate(oauth2_proto::server::Leniency::ZeroMeansNeverExpires));
    assert_eq!(token_call(&lenient).read(json(body)).unwrap().expires_in(), None);
}

#[test]
fn a_lifetime_or_a_delay_without_end_is_cut_to_68_years() {
    let longest = Duration::from_secs((1 << 31) - 1);
    let call = token_call(&client());
    for number in ["2147483648", "18446744073709551615", "1e300", "\"99999999999999999999\""] {
        let body = format!(r#"{{"access_token":"fake","token_type":"Bearer","expires_in":{number}}}"#);
        assert_eq!(call.read(json(&body)).unwrap().expires_in(), Some(longest), "{number}");
    }
    let body = br#"{"error":"slow_down","interval":18446744073709551615}"#;
    for retry_after in ["2147483648", "99999999999999999999", "Fri, 31 Dec 9999 23:59:59 GMT"] {
        let error = call.read(Response::new(503, [("retry-after", retry_after)], body)).unwrap_err();
        assert_eq!((error.retry_after(now()), error.interval()), (Some(longest), Some(longest)));
    }
}

#[test]
fn rfc8707_section_2_2_a_resource_is_named_in_both_requests() {
    let client = client();
    let (url, mut pending) =
        client.authorize(REDIRECT_URI).resource("https://api.example/").start_with(entropy(), now()).unwrap();
    assert!(url.contains("&resource=https%3A%2F%2Fapi.example%2F"), "{url}");
    let stored = serde_json::to_string(&pending).unwrap();
    let restored: PendingAuthorization = serde_json::from_str(&stored).unwrap();
    for mut pending in [std::mem::replace(&mut pending, restored), serde_json::from_str(&stored).unwrap()] {
        let callback = format!("code=fake&state={}", pending.state());
        let call = pending.receive(&client, callback.as_str(), now()).unwrap();
        assert!(call.request().body().ends_with("&resource=https%3A%2F%2Fapi.example%2F"));
    }
}

#[test]
fn a_pending_authorization_survives_its_store() {
    let client = client();
    let (_, pending) = start(&client);
    let stored = serde_json::to_value(&pending).unwrap();
    let mut restored: PendingAuthorization = serde_json::from_value(stored.clone()).unwrap();
    assert_eq!(serde_json::to_value(&restored).unwrap(), stored);
    assert_eq!(restored.expires_at(), later(600));
    let callback = format!("code=fake&state={}", pending.state());
    let call = restored.receive(&client, callback.as_str(), later(10)).unwrap();
    assert!(call.request().body().contains("code_verifier=BwcHBwcH"));
}

#[test]
fn a_stored_form_that_is_not_understood_says_so() {
    let stored = serde_json::to_value(start(&client()).1).unwrap();
    let changed = |member: &str, value: serde_json::Value| {
        let mut stored = stored.clone();
        stored[member] = value;
        serde_json::from_value::<PendingAuthorization>(stored).unwrap_err().to_string()
    };
    assert!(changed("version", 2.into()).contains("version 2"));
    for (member, value) in [
        ("state", ""),
        ("code_verifier", "short"),
        ("redirect_uri", "/callback"),
        ("client", "AAAA"),
        ("client", "?"),
    ] {
        let message = changed(member, value.into());
        assert!(message.contains(member) && message.contains("start again"), "{message}");
    }
    let nothing = serde_json::from_str::<PendingAuthorization>("{}").unwrap_err().to_string();
    assert!(nothing.contains("version 0"), "{nothing}");
}

#[test]
fn a_sign_in_that_takes_too_long_starts_again() {
    let client = client();
    let receive = |at| {
        let (_, mut pending) = start(&client);
        let callback = format!("code=fake&state={}", pending.state());
        pending.receive(&client, callback.as_str(), at).map_err(|error| (error.kind(), error.advice()))
    };
    assert!(receive(later(599)).is_ok());
    assert_eq!(receive(later(600)).unwrap_err(), (ErrorKind::Suspect, Advice::Reauthorize));
    assert!(receive(now() - Duration::from_secs(60)).is_ok(), "another machine's clock may be behind");
    assert_eq!(
        receive(now() - Duration::from_secs(61)).unwrap_err(),
        (ErrorKind::Suspect, Advice::Reauthorize)
    );
}

#[test]
fn the_lifetime_of_a_sign_in_is_the_callers_choice() {
    let client = client();
    let request = client.authorize(REDIRECT_URI).lifetime(Duration::from_secs(30));
    let (_, mut pending) = request.start_with(entropy(), now()).unwrap();
    let callback = format!("error=access_denied&state={}", pending.state());
    let error = pending.receive(&client, callback.as_str(), later(30)).unwrap_err();
    assert_eq!(error.advice(), Advice::Reauthorize);
    let error = pending.receive(&client, callback.as_str(), later(29)).unwrap_err();
    assert_eq!(error.code(), Some("access_denied"));
}

#[test]
fn a_sign_in_without_end_ends_in_a_far_future() {
    let client = client();
    for lifetime in [u64::MAX, u64::MAX / 2, 1 << 50] {
        let request = client.authorize(REDIRECT_URI).lifetime(Duration::from_secs(lifetime));
        let (_, mut pending) = request.start_with(entropy(), now()).unwrap();
        // The end of the year 9999.
        assert_eq!(pending.expires_at(), UNIX_EPOCH + Duration::from_millis(253_402_300_799_999));
        let callback = format!("code=fake&state={}", pending.state());
        assert!(pending.receive(&client, callback.as_str(), later(1 << 32)).is_ok());
    }
}

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
    let call = token_call(&client());
    let request = http::Request::<Secret>::try_from(call.request()).unwrap();
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
