//! The header for an API.

use oauth2_proto::challenge::ProtectedApi;
use oauth2_proto::error::ErrorKind;
use oauth2_proto::token::TokenType;
use oauth2_proto::{Secret, TokenResponse, server::Leniency};

use crate::support::{client, client_of, server};

fn header(base: &str, url: &str) -> Option<String> {
    let api = ProtectedApi::new([base]).unwrap();
    let header = api.authorization(&TokenType::Bearer, &Secret::new("fake-token"), url).ok()?;
    Some(header.expose().to_owned())
}

#[test]
fn rfc6750_section_2_1_the_header_is_made_for_every_address_under_a_base() {
    for (base, url) in [
        ("https://api.example", "https://api.example"),
        ("https://api.example", "https://api.example/"),
        ("https://api.example/", "https://api.example"),
        ("https://api.example", "https://api.example?page=2"),
        ("https://api.example", "https://api.example/v1/me?access=token&q=%FF"),
        ("https://api.example", "HTTPS://API.Example:443/v1"),
        ("https://API.example:443", "https://api.example/v1"),
        ("https://api.example:8443/v1", "https://api.example:08443/v1/me"),
        ("https://api.example/v1", "https://api.example/v1"),
        ("https://api.example/v1", "https://api.example/v1/"),
        ("https://api.example/v1/", "https://api.example/v1"),
        ("https://api.example/v1", "https://api.example/v1?x=/../"),
        ("https://api.example/v1", "https://api.example/v1//me"),
        // A slash in a name is escaped (GitLab), and a dot is a part of many.
        ("https://api.example/v4", "https://api.example/v4/projects/group%2Fproject/a%20b%2Etxt"),
        ("https://api.example/v4", "https://api.example/v4/.hidden/...;x/v1..2/%C3%A9/100%25/a%25E9"),
        (
            "https://api.example/v4",
            "https://api.example/v4/%EF%BC%8E%EF%BC%8Ea/%E8%B3%87%EF%BC%8F/100%/%u00e9/%u",
        ),
        ("http://127.0.0.1:8080/v1", "http://127.0.0.1:8080/v1/me"),
        ("http://localhost", "http://localhost:80/me"),
        ("http://[::1]:8080", "http://[::1]:8080/me"),
    ] {
        assert_eq!(header(base, url).as_deref(), Some("Bearer fake-token"), "{base} {url}");
    }
}

#[test]
fn an_api_with_several_bases_is_all_of_them() {
    let api = ProtectedApi::new(["https://a.example/v1", "https://b.example"]).unwrap();
    let header = |url| api.authorization(&TokenType::Bearer, &Secret::new("fake-token"), url);
    assert!(header("https://a.example/v1/x").is_ok() && header("https://b.example/v2").is_ok());
    assert!(header("https://a.example/v2").is_err() && header("https://b.example.c.example/").is_err());
    assert!(ProtectedApi::new([""; 0]).unwrap_err().to_string().contains("no base"));
    assert_eq!(format!("{api:?}"), "ProtectedApi([\"https://a.example/v1\", \"https://b.example/\"])");
}

#[test]
fn a_base_is_a_sound_address_of_https_or_loopback() {
    for base in [
        "http://api.example",
        "https://user@api.example",
        "https://api.example?x=1",
        "https://api.example#x",
        "https://api.example/a/../b",
        "https://api.example/a/%252e%252e/b",
        "api.example",
        "",
        "ftp://api.example",
    ] {
        let error = ProtectedApi::new(["https://good.example", base]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Misuse, "{base}");
        assert!(error.to_string().contains("the base "), "{error}");
    }
}

/// Some servers issue tokens with a colon, which RFC 6750 §2.1 does not allow.
#[test]
fn rfc6750_section_2_1_a_token_of_visible_ascii_is_sent_as_it_is() {
    let api = ProtectedApi::new(["https://api.example"]).unwrap();
    let all: String = (b'!'..=b'~').map(char::from).collect();
    for token in ["user:grant:secret", "mF_9.B5f-4.1JqM", "a", all.as_str()] {
        let header = api.authorization(&TokenType::Bearer, &token.into(), "https://api.example").unwrap();
        assert_eq!(header.expose(), format!("Bearer {token}"));
    }
}

#[test]
fn rfc6749_section_7_1_only_a_bearer_token_is_sent_by_a_header_alone() {
    let api = ProtectedApi::new(["https://api.example"]).unwrap();
    let token = Secret::new("fake-token");
    for (token_type, says) in [
        (TokenType::DPoP, "proof of possession"),
        (TokenType::Other("mac".to_owned()), "\"mac\" is sent as the server's documentation says"),
    ] {
        let error = api.authorization(&token_type, &token, "https://api.example").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Misuse);
        assert!(error.to_string().contains(says), "{error}");
    }
    let named = |scheme| api.authorization_as(scheme, &token, "https://api.example");
    assert_eq!(named("token").unwrap().expose(), "token fake-token");
    for scheme in ["DPoP", "dpop", "", "a b", "a:", "a\r\nb", "ä"] {
        assert_eq!(named(scheme).unwrap_err().kind(), ErrorKind::Misuse, "{scheme:?}");
    }
    assert!(api.authorization_as("token", &token, "https://other.example").is_err());
}

#[test]
fn the_tokens_of_a_response_name_their_type() {
    let api = ProtectedApi::new(["https://api.example"]).unwrap();
    let tokens = |json| TokenResponse::for_test(&client(), json).unwrap();
    let header = |tokens: &TokenResponse| {
        api.authorization(tokens.token_type(), tokens.access_token(), "https://api.example/me")
    };
    let bearer = header(&tokens(r#"{"access_token":"fake-1","token_type":"bearer"}"#)).unwrap();
    assert_eq!(bearer.expose(), "Bearer fake-1");
    assert!(header(&tokens(r#"{"access_token":"fake-1","token_type":"dpop"}"#)).is_err());

    let tolerant = client_of(server().tolerate(Leniency::AnyTokenType));
    let other = r#"{"access_token":"fake-1","token_type":"token"}"#;
    assert!(header(&TokenResponse::for_test(&tolerant, other).unwrap()).is_err());
}
