//! One test for each known attack on a token in use, or by the answer of an API, named after it.

use oauth2_proto::challenge::{Challenges, ProtectedApi, StepUp, StepUpPolicy, Verdict};
use oauth2_proto::error::ErrorKind;
use oauth2_proto::token::TokenType;
use oauth2_proto::{Advice, Secret};

/// A link or a redirect names another address, which would get the token (RFC 6750 §5.2).
#[test]
fn token_sent_to_another_address() {
    let api = ProtectedApi::new(["https://api.example/v1"]).unwrap();
    for url in [
        // Another host, port, scheme or path.
        "https://evil.example/v1",
        "https://api.example.evil.example/v1",
        "https://evilapi.example/v1",
        "https://sub.api.example/v1",
        "https://api.example./v1",
        "https://api.example:444/v1",
        "https://api.example:0/v1",
        "https://api.example:99999/v1",
        "https://api.example:4 43/v1",
        "http://api.example/v1",
        "http://127.0.0.1/v1",
        "ftp://api.example/v1",
        "https://api.example",
        "https://api.example/",
        "https://api.example/v2",
        "https://api.example/V1",
        "https://api.example/v10",
        "https://api.example/v1.1/me",
        "https://api.example/v1;a/me",
        "https://api.example/v1%2Fme",
        "https://api.example/%76%31/me",
        "https://api.example/evil/v1/me",
        "https://api.example//v1/me",
        "https://api.example?/v1",
        // A host in disguise.
        "https://api.example@evil.example/v1",
        "https://api.example:443@evil.example/v1",
        "https://user:fake@api.example/v1",
        "https://api.example%40evil.example/v1",
        "https://evil.example#@api.example/v1",
        "https://evil.example?@api.example/v1",
        "https://evil.example\\@api.example/v1",
        "https://evil.example;.api.example/v1",
        "https://api.example\\.evil.example/v1",
        "https://api%2Eexample/v1",
        "https://аpi.example/v1",
        "https://api.example\u{ff0f}v1",
        "https://api。example/v1",
        "//api.example/v1",
        "https:api.example/v1",
        "https:/api.example/v1",
        "https:///api.example/v1",
        "https:\\\\api.example\\v1",
        "/v1/me",
        "",
        // Characters that some parsers drop.
        "https://api.ex\tample/v1",
        "https://api.example/v1/\t",
        "https://api.example/v1/\r\nX-Evil: 1",
        " https://api.example/v1",
        "https://api.example/v1 ",
        "https://api.example/v1/\0",
        "https://api.example/v1\\..\\admin",
        // Dot segments, which lead out of the path.
        "https://api.example/v1/../admin",
        "https://api.example/v1/..",
        "https://api.example/v1/.",
        "https://api.example/v1/./me",
        "https://api.example/v1/%2e%2e/admin",
        "https://api.example/v1/.%2E/admin",
        "https://api.example/v1/%2E/me",
        "https://api.example/v1/..%2fadmin",
        "https://api.example/v1/x%2F..%2F..%2Fadmin",
        "https://api.example/v1/..%5cadmin",
        "https://api.example/v1/%5C..%5C..%5Cadmin",
        "https://api.example/v1/..;/admin",
        "https://api.example/v1/..;x=y/admin",
        "https://api.example/v1/..%3b/admin",
        "https://api.example/v1/..%3fx/admin",
        "https://api.example/v1/..%23/admin",
        "https://api.example/v1/..%20/admin",
        "https://api.example/v1/..%00/admin",
        "https://api.example/v1/%0d%0aX-Evil:1",
        "https://api.example/v1/%09/me",
        "https://api.example/v1/%252e%252e/admin",
        "https://api.example/v1/..%252fadmin",
        "https://api.example/v1/%25%32%65%25%32%65/admin",
        "https://api.example/v1/%25252e%25252e/admin",
        "https://api.example/v1/%c0%ae%c0%ae/admin",
        "https://api.example/v1/%e0%80%ae%e0%80%ae/admin",
        "https://api.example/v1/%u002e%u002e/admin",
        "https://api.example/v1/%U002E./admin",
        "https://api.example/v1/%25u002e%25u002e/admin",
        "https://api.example/v1/..%u2215admin",
        "https://api.example/v1/%ef%bc%8e%ef%bc%8e/admin",
        "https://api.example/v1/%e2%80%a5/admin",
        "https://api.example/v1/..%ef%bc%8fadmin",
        "https://api.example/v1/..%ef%bc%bcadmin",
        "https://api.example/v1/%u000aadmin",
        // The token or a part of the URL that is not sent.
        "https://api.example/v1#fragment",
        "https://api.example/v1?access_token=planted",
        "https://api.example/v1?a=b&access%5Ftoken=planted",
    ] {
        let error = api.authorization(&TokenType::Bearer, &Secret::new("fake-token"), url).unwrap_err();
        assert_eq!((error.kind(), error.advice()), (ErrorKind::Misuse, Advice::FixConfiguration), "{url}");
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains(['\r', '\n', '\t', '\0']), "{shown:?}");
        assert!(!shown.contains("fake") && !shown.contains("planted"), "{shown}");
    }
}

/// A token with a line break or a space would add a header, or credentials of another scheme.
#[test]
fn header_injection_by_an_access_token() {
    let api = ProtectedApi::new(["https://api.example"]).unwrap();
    for token in ["", " ", "a b", "a\r\nX-Evil: 1", "a\n", "\ta", "a\0", "a\u{7f}", "ä", "a\u{a0}b"] {
        let token = Secret::new(token);
        let error = api.authorization(&TokenType::Bearer, &token, "https://api.example").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Misuse, "{token:?}");
    }
}

/// Users consent to what they see, so an API could obtain more scopes than the program needs through them.
#[test]
fn scopes_widened_by_a_challenge() {
    let policy = StepUpPolicy::within(["files:read"]);
    let mut step_up = StepUp::default();
    let challenges = Challenges::parse(["Bearer error=insufficient_scope, scope=\"files:read admin:all\""]);
    let error = step_up.demanded(challenges.bearer().unwrap(), [""; 0], &policy).unwrap_err();
    assert_eq!((error.kind(), error.advice()), (ErrorKind::Suspect, Advice::Stop));
    assert_eq!(
        error.to_string(),
        "suspicious answer: the API demands the scope \"admin:all\", which the program does not let it demand; see \
         StepUpPolicy::within"
    );
    assert_eq!(step_up, StepUp::default(), "not even the other scope");
}

/// A scope is one token: nothing in it may become another parameter of the authorization request.
#[test]
fn parameter_injection_by_a_challenge() {
    let client = crate::support::client();
    let mut step_up = StepUp::default();
    let challenges = Challenges::parse([
        "Bearer error=insufficient_scope, scope=\"a&redirect_uri=https://evil.example b%26c\", \
         acr_values=\"x&prompt=none\", max_age=\"5\"",
    ]);
    step_up.demanded(challenges.bearer().unwrap(), [""; 0], &StepUpPolicy::any_scope()).unwrap();
    let request = client.authorize("https://app.example/callback").step_up(&step_up);
    let (url, _) = request.start_with(crate::support::entropy(), crate::support::now()).unwrap();
    assert!(!url.contains("evil.example&") && !url.contains("&prompt="), "{url}");
    assert!(
        url.contains("&scope=a%26redirect_uri%3Dhttps%3A%2F%2Fevil.example+b%2526c&")
            && url.ends_with("&acr_values=x%26prompt%3Dnone&max_age=5"),
        "{url}"
    );
}

/// An API that is never satisfied would send the user to sign in forever.
#[test]
fn endless_step_up() {
    let policy = StepUpPolicy::any_scope();
    let demand = |step_up: &mut StepUp, number: u32| {
        let line = format!("Bearer error=insufficient_scope, scope=\"s{number}\"");
        let challenges = Challenges::parse([line]);
        let Verdict::StepUp(challenge) = challenges.verdict(403, true) else { panic!() };
        step_up.demanded(challenge, [""; 0], &policy)
    };
    // Something new each time, also over restarts.
    let mut step_up = StepUp::default();
    for number in 0..3 {
        demand(&mut step_up, number).unwrap();
        step_up = serde_json::from_str(&serde_json::to_string(&step_up).unwrap()).unwrap();
    }
    let error = demand(&mut step_up, 3).unwrap_err();
    assert_eq!((error.code(), error.advice()), (Some("insufficient_scope"), Advice::Stop));
    assert_eq!(step_up.attempts(), 3);

    // The same twice.
    let mut step_up = StepUp::default();
    demand(&mut step_up, 0).unwrap();
    assert_eq!(demand(&mut step_up, 0).unwrap_err().advice(), Advice::Stop);
}

/// An API that repeats the token in its challenge would have it logged.
#[test]
fn token_echoed_by_a_challenge() {
    let line = "Bearer realm=\"fake-7Token\", error=\"insufficient_scope\", scope=\"fake-7Token\", \
                error_description=\"token fake-7Token\", fake-7Token=a";
    let challenges = Challenges::parse([line]);
    let verdict = challenges.verdict(403, true);
    let Verdict::StepUp(challenge) = verdict else { panic!() };
    let policy = StepUpPolicy::within(["a"]);
    let error = StepUp::default().demanded(challenge, [""; 0], &policy).unwrap_err();
    let mut step_up = StepUp::default();
    step_up.demanded(challenge, [""; 0], &StepUpPolicy::any_scope()).unwrap();
    let shown = format!("{challenges:?} {verdict:?} {error} {error:?} {step_up:?}");
    assert!(!shown.contains("7Token") && !shown.contains("7token"), "{shown}");
}

/// Header lines of the maximum length that HTTP clients accept are parsed in linear time.
#[test]
fn slow_parsing_by_a_long_header() {
    for part in ["a,", "a b,", "a b=\"", "a b=c,", "\\\"", "a=", ",", " ", "a b==,", "a \"", "a b=\"\\"] {
        for start in ["", "Bearer ", "Bearer a=\"", "Bearer a=b, "] {
            let length = (64 << 10) - start.len();
            let line = format!("{start}{}", part.repeat(length / part.len()));
            let challenges = Challenges::parse([&line]);
            // Superlinear work would take minutes; no time is measured.
            let params: usize = challenges.iter().map(|challenge| challenge.params().count()).sum();
            assert!(challenges.iter().count() + params <= line.len(), "{start} {part}");
            assert!(format!("{challenges:?}").len() < 100_000, "{start} {part}");
            if let Some(bearer) = challenges.bearer() {
                let _ = (bearer.error(), bearer.scopes().count(), challenges.verdict(401, true));
            }
        }
    }
    let scopes: String = (0..2000).map(|number| format!("{number} ")).collect();
    let challenges = Challenges::parse([format!("Bearer error=insufficient_scope, scope=\"{scopes}\"")]);
    let error = StepUp::default()
        .demanded(challenges.bearer().unwrap(), [""; 0], &StepUpPolicy::any_scope())
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "more than a URL holds");
}

/// Whoever writes to the store could make the user consent to more, or make the count start again.
#[test]
fn tampered_step_up() {
    let stored = r#"{"version":1,"scope":"a b","acr_values":"x y","max_age":"5","attempts":2}"#;
    let step_up: StepUp = serde_json::from_str(stored).unwrap();
    assert_eq!(serde_json::to_string(&step_up).unwrap(), stored);
    for (from, to) in [
        ("\"a b\"", "\"a\\nplanted\""),
        ("\"a b\"", "\"a  planted\""),
        ("\"a b\"", "[\"planted\"]"),
        ("\"x y\"", "\"planted\\n\""),
        ("\"x y\"", "\"plantedä\""),
        ("\"5\"", "\"planted\""),
        ("\"5\"", "\"-5\""),
        ("\"5\"", "\"+5\""),
        ("\"5\"", "\"05\""),
        ("\"5\"", "\"99999999999999999999\""),
        ("\"attempts\":2", "\"attempts\":-1"),
        ("\"attempts\":2", "\"attempts\":\"planted\""),
        ("\"version\":1", "\"version\":2"),
        ("\"version\":1", "\"version\":0"),
        ("\"version\":1,", ""),
        ("{", "[{"),
    ] {
        let tampered = stored.replacen(from, to, 1);
        assert_ne!(tampered, stored);
        let error = serde_json::from_str::<StepUp>(&tampered).unwrap_err().to_string();
        assert!(error.contains("StepUp::default") && !error.contains("planted"), "{tampered}: {error}");
        assert_eq!(error.contains("version 2"), to.ends_with('2'), "{error}");
    }
}
