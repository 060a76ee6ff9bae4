//! One test for each known attack that a sign-in can meet, named after it, with its source.
//!
//! In all of them the attack is refused, and the real sign-in continues unchanged.

use oauth2_proto::{
    Advice, AuthorizationServer, Callback, Client, ClientAuth, Entropy, PendingAuthorization, Request,
    authorization::CodeVerifier, error::ErrorKind, pleo,
};

use crate::support::{REDIRECT_URI, client, client_of, entropy, later, now, server, start};

/// Another user's sign-in at the same client, and its URL.
#[track_caller]
fn start_another(client: &Client) -> (String, PendingAuthorization) {
    let entropy = Entropy::from_bytes([1; 128]);
    client.authorize(REDIRECT_URI).start_with(entropy, now()).unwrap()
}

/// A parameter of an authorization URL, which must be there.
#[track_caller]
fn parameter_of(url: &str, name: &str) -> String {
    let query = url.split_once('?').unwrap().1;
    let mut pairs = url::form_urlencoded::parse(query.as_bytes());
    pairs.find(|(known, _)| known == name).unwrap().1.into_owned()
}

/// A field of a request's form, which must be there.
#[track_caller]
fn field_of(request: &Request, name: &str) -> String {
    request.form().into_iter().find(|(known, _)| known == name).unwrap().1
}

/// Refuses every callback with this kind, and takes the real one afterwards.
#[track_caller]
fn only_the_real_callback_is_taken(client: &Client, kind: ErrorKind, callbacks: &[&str]) {
    let (_, mut pending) = start(client);
    let state = pending.state().to_owned();
    for callback in callbacks {
        let callback = callback.replace("STATE", &state);
        let error = pending.receive(client, callback.as_str(), now()).unwrap_err();
        assert_eq!((error.kind(), error.advice()), (kind, Advice::KeepWaiting), "{callback}: {error}");
    }
    let real = format!("code=fake-code&state={state}&iss=https%3A%2F%2Fas.example");
    assert!(pending.receive(client, real.as_str(), now()).is_ok());
}

/// RFC 6749 §10.12, RFC 9700 §4.7.
#[test]
fn cross_site_request_forgery_by_a_missing_or_foreign_state() {
    only_the_real_callback_is_taken(
        &client(),
        ErrorKind::Suspect,
        &[
            "code=fake-attacker",
            "code=fake-attacker&state=",
            "code=fake-attacker&state=guess",
            "code=fake-attacker&state=STATEx",
            "code=fake-attacker&STATE=STATE",
            "error=access_denied&state=guess",
            "",
        ],
    );
}

/// Anybody can send a request that is no callback; it does not end the wait.
#[test]
fn sign_in_ended_by_junk() {
    only_the_real_callback_is_taken(
        &client(),
        ErrorKind::Invalid,
        &["code=%FF&state=STATE", "%FF=&state=STATE", "state=STATE", "code=&state=STATE"],
    );
}

/// oauth2-rs#245: the time of a comparison that stops at the first difference reveals the length of the
/// correct part.
///
/// The test shows that the error reveals nothing. Equal time is left to the code (`secret::same`), because a
/// shared machine cannot measure it.
#[test]
fn state_oracle_by_a_prefix() {
    let (_, mut pending) = start(&client());
    let state = pending.state().to_owned();
    let messages: Vec<_> = (0..state.len())
        .map(|end| {
            let forged = format!("code=fake&state={}{}", &state[..end], "-".repeat(state.len() - end));
            pending.receive(&client(), forged.as_str(), now()).unwrap_err().to_string()
        })
        .collect();
    assert!(messages.windows(2).all(|pair| pair[0] == pair[1]), "{messages:?}");
}

/// RFC 9207, RFC 9700 §4.4: the user was sent to one server, and the answer of another comes back.
#[test]
fn mix_up_with_iss() {
    let client = client_of(server().issuer("https://as.example").unwrap());
    only_the_real_callback_is_taken(
        &client,
        ErrorKind::Suspect,
        &[
            "code=fake&state=STATE&iss=https%3A%2F%2Fevil.example",
            "code=fake&state=STATE&iss=https%3A%2F%2Fas.example%2F",
            "code=fake&state=STATE&iss=https%3A%2F%2FAS.example",
            "code=fake&state=STATE&iss=",
            "error=access_denied&state=STATE&iss=https%3A%2F%2Fevil.example",
        ],
    );
}

/// RFC 9207 §2.4: a server that always sends `iss` did not send this callback.
#[test]
fn mix_up_by_stripping_iss() {
    let server = server().issuer("https://as.example").unwrap();
    let client = client_of(server.authorization_response_iss_parameter_supported(true));
    only_the_real_callback_is_taken(
        &client,
        ErrorKind::Suspect,
        &["code=fake&state=STATE", "error=access_denied&state=STATE"],
    );
    let without_issuer = crate::support::server().authorization_response_iss_parameter_supported(true);
    let error = Client::new(without_issuer, "fake-client", ClientAuth::none()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Misuse, "iss could not be compared with anything");
}

/// RFC 9700 §4.4 without `iss`: the code of one server must not be sent to another. The attacker's server
/// may name the honest one's authorization endpoint, so the token endpoint decides.
#[test]
fn mix_up_without_iss_by_two_clients_of_one_program() {
    let honest = client();
    let evil =
        AuthorizationServer::new("https://as.example/authorize", "https://evil.example/token").unwrap();
    for other in [
        client_of(evil),
        Client::new(server(), "other-client", ClientAuth::none()).unwrap(),
        client_of(server().issuer("https://as.example").unwrap()),
        client_of(AuthorizationServer::new("https://as.example/other", "https://as.example/token").unwrap()),
    ] {
        let (_, mut pending) = start(&honest);
        let callback = format!("code=fake&state={}", pending.state());
        let error = pending.receive(&other, callback.as_str(), now()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Misuse);
        assert!(pending.receive(&honest, callback.as_str(), now()).is_ok());
    }
}

/// RFC 9700 §4.5: a code that was stolen from another's sign-in comes in the attacker's own. It goes to the
/// server with the verifier of the sign-in that received it, which is not the one that the code is bound to.
#[test]
fn code_injection() {
    let client = client();
    let (victims_url, _) = start(&client);
    let (own_url, mut own) = start_another(&client);
    let callback = format!("code=fake-stolen&state={}", own.state());
    let call = own.receive(&client, callback.as_str(), now()).unwrap();
    assert_eq!(field_of(call.request(), "code"), "fake-stolen");
    let verifier = field_of(call.request(), "code_verifier");
    let challenge = CodeVerifier::new(&verifier).unwrap().challenge();
    assert_eq!(challenge, parameter_of(&own_url, "code_challenge"));
    assert_ne!(challenge, parameter_of(&victims_url, "code_challenge"), "RFC 9700 section 4.5.3.1");
}

/// RFC 7636 §1, RFC 8252 §8.1: another app on the device gets the callback. It has neither the verifier,
/// which is in no URL, nor one that fits the challenge.
#[test]
fn code_interception() {
    let client = client();
    let (url, mut pending) = start(&client);
    let stored = serde_json::to_value(&pending).unwrap();
    let callback = format!("code=fake&state={}", pending.state());
    let call = pending.receive(&client, callback.as_str(), now()).unwrap();
    let verifier = field_of(call.request(), "code_verifier");
    assert_eq!(stored["code_verifier"], *verifier);
    assert!(!url.contains(&verifier) && !callback.contains(&verifier));
    assert_eq!(parameter_of(&url, "code_challenge_method"), "S256");
    assert_ne!(parameter_of(&url, "code_challenge"), verifier);
}

/// RFC 6749 §4.1.2, omniauth-oauth2#123: the same callback again.
#[test]
fn replay_of_a_callback() {
    let client = client();
    let (_, mut pending) = start(&client);
    let callback = format!("code=fake&state={}", pending.state());
    pending.receive(&client, callback.as_str(), now()).unwrap();
    let error = pending.receive(&client, callback.as_str(), now()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Misuse);
    assert!(error.to_string().contains("before"), "{error}");
    assert!(serde_json::to_string(&pending).is_err(), "what is used up must not be stored again");
}

/// A callback that was held back until the user has left.
#[test]
fn late_callback() {
    let client = client();
    let (_, mut pending) = start(&client);
    let callback = format!("code=fake&state={}", pending.state());
    let error = pending.receive(&client, callback.as_str(), later(3600)).unwrap_err();
    assert_eq!((error.kind(), error.advice()), (ErrorKind::Suspect, Advice::Reauthorize));
}

/// RFC 9700 §4.7: the attacker begins a sign-in, and the victim's browser brings back its callback, whose
/// `state` is real but not the victim's. If it were taken, the victim would use the attacker's account.
#[test]
fn state_fixation() {
    let client = client();
    let (_, attackers) = start_another(&client);
    let (_, mut victims) = start(&client);
    let fixed = format!("code=fake-attacker&state={}", attackers.state());
    let error = victims.receive(&client, fixed.as_str(), now()).unwrap_err();
    assert_eq!((error.kind(), error.advice()), (ErrorKind::Suspect, Advice::KeepWaiting));
    let real = format!("code=fake&state={}", victims.state());
    assert!(victims.receive(&client, real.as_str(), now()).is_ok());
}

/// RFC 9700 §4.7 and §2.1.1: two authorizations share neither `state` nor verifier, so that nobody can
/// predict the next.
#[cfg(feature = "os-random")]
#[test]
fn state_guessing() {
    let client = client();
    let start = || client.authorize(REDIRECT_URI).start(now()).unwrap();
    let (one, other) = (start(), start());
    assert_ne!(one.1.state(), other.1.state());
    assert_ne!(parameter_of(&one.0, "code_challenge"), parameter_of(&other.0, "code_challenge"));
}

/// RFC 9700 §4.8: the attacker strips the challenge from a request of their own, so that the server binds the
/// code to nothing, and injects it. It comes with the attacker's `state`, or with none.
#[test]
fn pkce_downgrade_by_stripping_the_challenge() {
    let client = client();
    let (_, attackers) = start_another(&client);
    let foreign = format!("code=fake-unbound&state={}", attackers.state());
    only_the_real_callback_is_taken(&client, ErrorKind::Suspect, &[&foreign, "code=fake-unbound"]);
}

/// RFC 7636 §7.2, RFC 9700 §2.1.1, modelcontextprotocol/rust-sdk#955: a server that lists other methods does
/// not talk the client out of `S256`.
#[test]
fn pkce_downgrade_to_plain() {
    for methods in [vec!["plain"], vec![], vec!["s256"]] {
        let server = server().code_challenge_methods_supported(methods);
        let error = Client::new(server, "fake-client", ClientAuth::none()).unwrap_err();
        assert_eq!((error.kind(), error.advice()), (ErrorKind::Unsupported, Advice::FixConfiguration));
    }
    let both = server().code_challenge_methods_supported(["plain", "S256"]);
    assert!(start(&client_of(both)).0.contains("code_challenge_method=S256"));
}

/// Of two equal parameters, one reader takes the first and another the last.
#[test]
fn duplicated_parameters() {
    only_the_real_callback_is_taken(
        &client(),
        ErrorKind::Suspect,
        &[
            "code=fake&code=fake&state=STATE",
            "code=fake&state=STATE&state=other",
            "code=fake&state=other&state=STATE",
            "code=fake&%63ode=evil&state=STATE",
            "code=fake&state=STATE&iss=https%3A%2F%2Fas.example&iss=https%3A%2F%2Fevil.example",
            "error=a&error=b&state=STATE",
            "error=a&error_description=b&error_description=c&state=STATE",
            "error=a&error_uri=b&error_uri=c&state=STATE",
            "response=a&response=b&state=STATE",
        ],
    );
    let client = client();
    let (_, mut pending) = start(&client);
    let state = pending.state().to_owned();
    let pairs = [("code", "fake"), ("code", "evil"), ("state", state.as_str())];
    let error = pending.receive(&client, Callback::pairs(pairs), now()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Suspect);
    assert!(pending.receive(&client, Callback::pairs(pairs.into_iter().skip(1)), now()).is_ok());
}

/// RFC 9700 §2.1.2 and §4.6: tokens do not come through the browser.
#[test]
fn token_in_the_front_channel() {
    only_the_real_callback_is_taken(
        &client(),
        ErrorKind::Suspect,
        &[
            "access_token=fake&token_type=bearer&state=STATE",
            "code=fake&access_token=fake&state=STATE",
            "code=fake&id_token=fake&state=STATE",
            "response=fake.fake.fake&state=STATE",
        ],
    );
}

/// A refusal that carries a code, which some readers take for a success.
#[test]
fn code_together_with_an_error() {
    only_the_real_callback_is_taken(
        &client(),
        ErrorKind::Suspect,
        &[
            "code=fake&error=access_denied&state=STATE",
            "code=fake&error=&state=STATE",
            "code=&error=access_denied&state=STATE",
        ],
    );
}

/// mcp-remote CVE-2025-6514: an endpoint that is a command where the operating system opens it.
#[test]
fn hostile_endpoints() {
    for endpoint in [
        "javascript:alert(1)",
        "file:///etc/passwd",
        "a:$(calc.exe)?response_type=code",
        "https://$(calc.exe)/",
        "http://as.example/",
        "https://as.example@evil.example/",
        "https://as.example\\.evil.example/",
        "https://as.example/\r\nX-Injected: 1",
        "https://as.example/?redirect_uri=https://evil.example",
    ] {
        for (authorization_endpoint, token_endpoint) in
            [(endpoint, "https://as.example/token"), ("https://as.example/authorize", endpoint)]
        {
            let error = AuthorizationServer::new(authorization_endpoint, token_endpoint).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Misuse, "{endpoint}");
            assert!(!error.to_string().contains(['\r', '\n']), "{error}");
        }
        assert!(pleo::at(endpoint).is_err(), "{endpoint}");
    }
    // The endpoint's own query makes the answer readable in the browser.
    for (mode, sound) in [("fragment", false), ("web_message", false), ("query", true), ("form_post", true)] {
        let endpoint = format!("https://as.example/authorize?a=b&response_mode={mode}");
        assert_eq!(AuthorizationServer::new(&endpoint, "https://as.example/token").is_ok(), sound, "{mode}");
    }
}

/// A redirect URI whose query answers in place of the server, or which hides its host.
#[test]
fn hostile_redirect_uris() {
    let client = client();
    let started = |redirect_uri: &str| client.authorize(redirect_uri).start_with(entropy(), now());
    for redirect_uri in [
        "https://app.example@evil.example/cb",
        "https://user:pass@app.example",
        "https://@app.example/cb",
        "https://user@pass@app.example/cb",
        "com.example.app://user@host/cb",
        "https://app.example/cb?code=fake",
        "https://app.example/cb?a=b&state=fake",
        "https://app.example/cb?iss=https://evil.example",
        "https://app.example/cb?error",
        "https://app.example/cb?error_description=",
        "https://app.example/cb?error_uri=x",
        "https://app.example/cb?response=x",
        "https://app.example/cb?access_token=x",
        "https://app.example/cb?id_token=x",
        "com.example.app:/cb?c%6fde=fake",
        "https://app.example/cb?a=%FF",
        "http://app.example/cb",
        "HTTP://app.example/cb",
        "http://127.0.0.1.evil.example/cb",
        "http://127.1/cb",
        "http://localhost.evil.example/cb",
        "http://notlocalhost/cb",
        "http://.localhost/cb",
        "javascript:alert(1)",
        "JavaScript://app.example/%0aalert(1)",
        "data:text/html,x",
        "file:///tmp/cb",
        "blob:https://app.example/1",
        "vbscript:x",
        "about:blank",
        "view-source:https://app.example/cb",
        "filesystem:https://app.example/cb",
        "ws://127.0.0.1/cb",
        "wss://app.example/cb",
        "ftp://app.example/cb",
        "mailto:me@app.example",
    ] {
        assert_eq!(started(redirect_uri).unwrap_err().kind(), ErrorKind::Misuse, "{redirect_uri}");
        let mut stored = serde_json::to_value(start(&client).1).unwrap();
        stored["redirect_uri"] = redirect_uri.into();
        assert!(serde_json::from_value::<PendingAuthorization>(stored).is_err(), "{redirect_uri}");
    }
    for redirect_uri in [
        "https://app.example/cb?Code=a&states=b&tenant=c",
        "https://app.example/@me/cb?mail=a@b.example",
        "com.example.app:/user@host/code=1",
        "com.example.app:/cb?next=https://user@host",
        "https://app.example/code?",
        "http://127.0.0.1:51004/cb",
        "http://[::1]/cb",
        "http://localhost:3000/cb",
        "http://app.localhost:3000/cb",
        "http://a.b.LOCALHOST/cb",
        "https://app.example/a/../cb",
        "com.example.app:/cb",
        "myapp://cb",
        "urn:ietf:wg:oauth:2.0:oob",
    ] {
        assert!(started(redirect_uri).is_ok(), "{redirect_uri}");
    }
}

/// A host that the URL parser rewrites, to a loopback address for example, and other software does not.
#[test]
fn disguised_hosts() {
    for host in [
        "0177.0.0.1",
        "2130706433",
        "0x7f000001",
        "127.1",
        "127.0.1",
        "127.0.0.1.",
        "127.0.0.01",
        "localhos%74",
        "%6cocalhost",
        "[0:0:0:0:0:0:0:1]",
        "[::0001]",
    ] {
        for address in [format!("http://{host}/token"), format!("https://{host}:8443/token?a=b")] {
            let error = AuthorizationServer::new("https://as.example/authorize", &address).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Misuse, "{address}");
            assert!(pleo::at(&format!("http://{host}")).is_err(), "{host}");
            assert!(server().issuer(&format!("http://{host}")).is_err());
        }
    }
    for address in [
        "http://127.0.0.1/token",
        "http://127.0.0.1:80/token",
        "http://LocalHost:8080",
        "http://[::1]:8080/token",
        "https://AS.example?tenant=a",
        "https://as.example./token",
        "https://xn--bcher-kva.example/token",
    ] {
        assert!(AuthorizationServer::new(address, address).is_ok(), "{address}");
    }
}

/// An extra parameter that takes over the request, from a user's input for example.
#[test]
fn parameter_injection_by_extra_parameters() {
    let client = client();
    for name in [
        "response_type",
        "client_id",
        "redirect_uri",
        "scope",
        "state",
        "code_challenge",
        "code_challenge_method",
        "request",
        "request_uri",
        "client_secret",
        "code_verifier",
        "resource",
        "",
    ] {
        let started = client.authorize(REDIRECT_URI).parameter(name, "evil").start_with(entropy(), now());
        assert_eq!(started.unwrap_err().kind(), ErrorKind::Misuse, "{name}");
    }
    let twice = client.authorize(REDIRECT_URI).parameter("prompt", "none").parameter("prompt", "login");
    assert_eq!(twice.start_with(entropy(), now()).unwrap_err().kind(), ErrorKind::Misuse);
    let with_query = "https://as.example/authorize?tenant=a&p%6flicy";
    let client_with_query =
        client_of(AuthorizationServer::new(with_query, "https://as.example/token").unwrap());
    for (name, accepted) in [("tenant", false), ("policy", false), ("Tenant", true), ("prompt", true)] {
        let again =
            client_with_query.authorize(REDIRECT_URI).parameter(name, "b").start_with(entropy(), now());
        assert_eq!(again.is_ok(), accepted, "RFC 6749 section 3.1: {name}");
    }
    // RFC 9700 section 4.17: an answer that stays in the browser is readable by every script there.
    for (mode, accepted) in
        [("query", true), ("form_post", true), ("fragment", false), ("web_message", false), ("", false)]
    {
        let request = client.authorize(REDIRECT_URI).parameter("response_mode", mode);
        assert_eq!(request.start_with(entropy(), now()).is_ok(), accepted, "{mode}");
    }
    let hidden = client.authorize(REDIRECT_URI).parameter("x=1&state", "a&state=b");
    let (url, pending) = hidden.start_with(entropy(), now()).unwrap();
    let query = url.split_once('?').unwrap().1;
    let states: Vec<_> =
        url::form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name == "state").collect();
    assert_eq!(states, [("state".into(), pending.state().into())]);
}

/// A store that others can write to: stored values are checked again.
#[test]
fn tampered_pending_authorization() {
    let stored = serde_json::to_value(start(&client()).1).unwrap();
    for (member, value) in [("state", ""), ("code_verifier", "plain"), ("redirect_uri", "//evil.example")] {
        let mut tampered = stored.clone();
        tampered[member] = value.into();
        assert!(serde_json::from_value::<PendingAuthorization>(tampered).is_err(), "{member}");
    }
    let mut tampered = stored;
    tampered["resources"] = serde_json::json!(["https://api.example", "not a resource"]);
    assert!(serde_json::from_value::<PendingAuthorization>(tampered).is_err(), "resources");
}
