//! Damaged bodies, and the members that are read from them.

use oauth2_proto::{Client, Response, TokenResponse, error::ErrorKind, server::Leniency};
use serde_json::json;

use crate::support::{client, client_of, server, token_call};

/// Reads a success with this body.
#[track_caller]
fn read(client: &Client, body: &[u8]) -> Result<TokenResponse, oauth2_proto::Error> {
    token_call(client).read(Response::new(200, [("content-type", "application/x-www-form-urlencoded")], body))
}

/// The body with each `¤` replaced by a byte that is no UTF-8.
fn stray(body: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (index, part) in body.split('¤').enumerate() {
        bytes.extend((index > 0).then_some(0xe9));
        bytes.extend(part.as_bytes());
    }
    bytes
}

#[test]
fn damage_in_members_that_nobody_needs_takes_nothing_away() {
    for damage in [
        r#""x":"caf¤""#,
        r#""caf¤":1"#,
        r#""x\q":1"#,
        r#""x":"\q""#,
        r#""x":"\u00""#,
        r#""x":"\ud800""#,
        r#""x":01"#,
        r#""x":1.e5"#,
        r#""x":-"#,
        r#""x":1e999999"#,
        r#""x":{"y":["caf¤",01,,{"\q":1.e5}],"]":"}"}"#,
    ] {
        for body in [
            format!(
                r#"{{{damage},"access_token":"fake","token_type":"Bearer","refresh_token":"fake-new","y":[1]}}"#
            ),
            format!(
                r#" {{ "access_token" : "fake" , "token_type":"Bearer","y":[1],"refresh_token":"fake-new",{damage} }} "#
            ),
        ] {
            let tokens = read(&client(), &stray(&body)).unwrap_or_else(|error| panic!("{body}: {error}"));
            assert_eq!(tokens.access_token().expose(), "fake", "{body}");
            assert_eq!(tokens.refresh_token().unwrap().expose(), "fake-new", "{body}");
            assert_eq!(tokens.extra("y"), Some(&json!([1])), "{body}");
            assert!(tokens.extras().count() <= 2, "{body}: {tokens:?}");
        }
    }
}

#[test]
fn beside_damage_the_other_members_keep_their_values() {
    let read = |value: &str| {
        let body = format!(r#"{{"access_token":"fake","token_type":"Bearer","x":01,"y":{value},"z":1}}"#);
        let tokens = read(&client(), body.as_bytes()).unwrap_or_else(|error| panic!("{body}: {error}"));
        assert_eq!(tokens.extra("z"), Some(&json!(1)), "{body}");
        tokens.extra("y").cloned()
    };
    for value in [
        "{}",
        "[]",
        r#""text""#,
        r#"{"a":1}"#,
        r#"{"a":1,"b":"two","c":[3,4],"d":{}}"#,
        r#"[[],{},[1,{"a":[2]}],"b"]"#,
        r#"{"a":{"b":[1,{"c":true}],"d":{"e":{}}},"f":[]}"#,
        r#"{"a":1,"a":2}"#,
        r#" { "a" : [ 1 , 2 ] , "b" : { } , "c" : [ ] } "#,
    ] {
        assert_eq!(read(value), Some(serde_json::from_str(value).unwrap()), "{value}");
    }
    for damaged in [
        "[1 2]",
        "[1,]",
        "[,1]",
        r#"{"a" 1}"#,
        r#"{"a","b"}"#,
        r#"{"a":1 "b":2}"#,
        r#"{"a":1,}"#,
        r#"{"a":1,2}"#,
        r#"{1:2}"#,
        r#"{"a"}"#,
        r#"{"a":1:2}"#,
    ] {
        assert_eq!(read(damaged), None, "{damaged}");
    }
}

#[test]
fn damage_elsewhere_is_no_success() {
    let good = r#""access_token":"fake","token_type":"Bearer","y":1"#;
    for body in [
        format!("{{{good}"),
        format!("{{{good},"),
        format!("{{{good},}}"),
        format!("{{,{good}}}"),
        format!("{{{good}}}x"),
        format!("{{{good}}}}}"),
        format!("{{{good} \"x\":1}}"),
        format!("{{{good},\"x\" 1}}"),
        format!("{{{good},\"x\":1 2}}"),
        format!("{{{good},\"x\":[}}]}}"),
        format!("{{{good},\"x\":[}}}}"),
        format!("{{{good},\"x\":{{]}}"),
        format!("{{{good},'x':1}}"),
        format!("{{{good},\"x\":'y'}}"),
        format!("{{{good},\"x\":caf¤}}"),
        format!("{{{good},\"x\":}}"),
        format!("{{{good},\"x\":NaN}}"),
        format!("{{{good},\"x\":[-Infinity]}}"),
        format!("{{{good},\"x\":undefined}}"),
        format!("{{{good},\"x\":\"a\nb\"}}"),
        format!("{{{good},\"x\":[\"a\tb\"]}}"),
        format!("{{{good},\"expires_in\":01}}"),
        format!("{{{good},\"scope\":\"¤\"}}"),
        format!("{{{good},\"refresh_token\":\"\\q\"}}"),
        format!("{{{good},\"access_token\":\"\\q\"}}"),
        format!("[{{{good}}}]"),
        format!("x{{{good}}}"),
    ] {
        assert_eq!(read(&client(), &stray(&body)).unwrap_err().kind(), ErrorKind::Invalid, "{body}");
    }
    for body in ["{}x", r#"{"x":1}x"#] {
        let error = read(&client(), body.as_bytes()).unwrap_err().to_string();
        assert!(error.contains("followed by something else"), "{body}: {error}");
    }
}

/// Whatever Latin-1 a server writes in its description, the user has to sign in again.
#[test]
fn a_refusal_is_read_though_its_description_is_not() {
    let body = stray(r#"{"error":"invalid_grant","error_description":"caf¤","error_uri":"\q"}"#);
    let headers = [("content-type", "application/json")];
    let error = token_call(&client()).read(Response::new(400, headers, &body)).unwrap_err();
    assert_eq!((error.code(), error.description(), error.uri()), (Some("invalid_grant"), None, None));
    let body = stray(r#"{"error":"invalid_¤grant"}"#);
    let error = token_call(&client()).read(Response::new(400, headers, &body)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
}

#[test]
fn a_form_is_read_though_an_unknown_parameter_is_not_utf8() {
    let lenient = client_of(server().tolerate(Leniency::FormEncoded));
    let good = "access_token=fake&token_type=Bearer&refresh_token=fake-new&x=1";
    for unread in ["name=%EF", "name=caf¤", "%EF=1", "caf¤=1"] {
        for body in [format!("{unread}&{good}"), format!("{good}&{unread}")] {
            let tokens = read(&lenient, &stray(&body)).unwrap_or_else(|error| panic!("{body}: {error}"));
            assert_eq!(tokens.refresh_token().unwrap().expose(), "fake-new", "{body}");
            assert_eq!(tokens.extras().count(), 1, "{body}");
        }
    }
    for unread in ["expires_in=%EF", "expires_in=x", "scope=caf¤", "token_type=%EF"] {
        let body = format!("{good}&{unread}").replace("&token_type=Bearer&token_type", "&token_type");
        assert_eq!(read(&lenient, &stray(&body)).unwrap_err().kind(), ErrorKind::Invalid, "{body}");
    }
}

/// The smallest stack that a program is likely to give a thread. An overflow would end the process.
#[test]
fn nesting_is_limited_whatever_serde_json_is_told() {
    const RAW_VALUE: &str = r#"{"$serde_json::private::RawValue":""#;
    let nested = |open: &str, close: &str, levels: usize| {
        let (open, close) = (open.repeat(levels - 1), close.repeat(levels - 1));
        format!(r#"{{"access_token":"fake","token_type":"Bearer","x":{open}1{close}}}"#)
    };
    // Each text holds 120 levels of arrays and, escaped once more, the next such text.
    let mut bomb = "1".to_owned();
    while bomb.len() < 500_000 {
        let (open, close) = ("[".repeat(120), "]".repeat(120));
        let escaped = bomb.replace('\\', "\\\\").replace('"', "\\\"");
        bomb = format!(r#"{open}{RAW_VALUE}{escaped}"}}{close}"#);
    }
    let bomb = format!(r#"{{"access_token":"fake","token_type":"Bearer","x":{bomb}}}"#);
    let bodies = [
        (nested("[", "]", 127), true),
        (nested("[", "]", 128), true),
        (nested("{\"y\":", "}", 128), true),
        (nested("[", "]", 129), false),
        (nested("{\"y\":", "}", 129), false),
        (nested("[", "]", 1000), false),
        (nested("[", "]", 500_000), false),
        ("[".repeat(1_000_000), false),
        ("{\"access_token\":".repeat(60_000), false),
        (bomb, true),
    ];
    let thread = std::thread::Builder::new().stack_size(128 * 1024).spawn(move || {
        for (body, taken) in &bodies {
            let shown = &body[..body.len().min(100)];
            let tokens = read(&client(), body.as_bytes());
            assert_eq!(tokens.is_ok(), *taken, "{} bytes: {shown}", body.len());
        }
    });
    thread.unwrap().join().unwrap();
}

/// A feature that another crate enables must not change the meaning of a document.
#[test]
fn names_of_serde_json_itself_are_ordinary_names() {
    for name in ["$serde_json::private::RawValue", "$serde_json::private::Number"] {
        for value in ["\"1\"", "\"[1]\"", "1", "\"\\u0031\""] {
            let nested = format!(r#"{{"{name}":{value}}}"#);
            let body =
                format!(r#"{{"access_token":"fake","token_type":"Bearer","x":[{nested}],"y":[1.5,1e30]}}"#);
            let tokens = read(&client(), body.as_bytes()).unwrap();
            let member = tokens.extra("x").unwrap()[0].as_object().unwrap();
            assert_eq!(member.len(), 1, "{nested}");
            assert_eq!(member[name].is_string(), value.starts_with('"'), "{nested}");
            assert_eq!(tokens.extra("y").unwrap()[0].as_f64(), Some(1.5), "{nested}");
            let body = format!(r#"{{"access_token":"fake","token_type":"Bearer","expires_in":{nested}}}"#);
            assert_eq!(read(&client(), body.as_bytes()).unwrap_err().kind(), ErrorKind::Invalid, "{nested}");
        }
    }
}
