//! The callback: how its parameters are read, and what its refusal says to a person.

use oauth2_proto::{Advice, Callback, Client, Error, error::ErrorKind};

use crate::support::{client, client_of, now, server, start};

/// Hands a callback, with its STATE replaced by the real one, to a new sign-in of this client.
#[track_caller]
fn receive_by(client: &Client, callback: &str, take: fn(&str) -> Callback<'_>) -> Result<String, Error> {
    let (_, mut pending) = start(client);
    let callback = callback.replace("STATE", pending.state());
    let call = pending.receive(client, take(&callback), now())?;
    Ok(call.request().form().into_iter().find(|(name, _)| name == "code").unwrap().1)
}

#[track_caller]
fn receive(callback: &str) -> Result<String, Error> {
    receive_by(&client(), callback, |query| Callback::from(query))
}

#[test]
fn rfc6749_section_4_1_2_an_unknown_parameter_is_ignored_whatever_its_bytes() {
    for unknown in
        ["name=%EF", "%EF=x", "%EF", "code%FF=x", "%", "=", "n=%E2%82", "session_state=%C3%28", "&&"]
    {
        for callback in [format!("code=x&state=STATE&{unknown}"), format!("{unknown}&code=x&state=STATE")] {
            assert_eq!(receive(&callback).unwrap(), "x", "{callback}");
        }
    }
}

#[test]
fn a_known_parameter_that_is_not_utf8_is_named_and_the_wait_goes_on() {
    for name in ["code", "state", "iss", "error", "error_description", "error_uri", "response", "id_token"] {
        let error = receive(&format!("code=x&state=STATE&{name}=%EF")).unwrap_err();
        assert_eq!((error.kind(), error.advice()), (ErrorKind::Invalid, Advice::KeepWaiting), "{name}");
        assert!(error.to_string().contains(name), "{error}");
    }
}

#[test]
fn a_url_in_place_of_a_query_is_told_where_it_belongs() {
    for (url, kind) in [
        ("https://app.example/cb?code=x&state=STATE", ErrorKind::Invalid),
        ("https://app.example/cb?error=access_denied&state=STATE", ErrorKind::Invalid),
        ("https://app.example/cb?state=STATE&code=x", ErrorKind::Suspect),
        ("https://app.example/cb?state=STATE", ErrorKind::Suspect),
        ("https://app.example/cb", ErrorKind::Suspect),
        ("com.example.app:///cb?code=x&state=STATE#_=_", ErrorKind::Invalid),
        ("/cb?code=x&state=STATE", ErrorKind::Invalid),
    ] {
        let error = receive(url).unwrap_err();
        assert_eq!((error.kind(), error.advice()), (kind, Advice::KeepWaiting), "{url}");
        assert!(error.to_string().contains("Callback::url"), "{url}: {error}");
        if url.contains("code=") {
            assert_eq!(receive_by(&client(), url, |url| Callback::url(url)).unwrap(), "x", "{url}");
        }
    }
    for query in
        ["state=STATE", "next=https://app.example?x=1&state=STATE", "state=STATE&a=://", "state=other", ""]
    {
        let error = receive(query).unwrap_err();
        assert!(!error.to_string().contains("Callback::url"), "{query}: {error}");
    }
    let honest = "next=https://app.example/?a=b&code=x&state=STATE";
    assert_eq!(receive(honest).unwrap(), "x");
}

#[test]
fn the_state_of_a_callback_is_found_if_it_is_there_once() {
    for (query, state) in [
        ("code=x&state=a%20b+c", Some("a b c")),
        ("state=&code=%FF", Some("")),
        ("%73tate=a", Some("a")),
        ("error=x&state=a&name=%EF", Some("a")),
        ("code=x", None),
        ("code=x&State=a", None),
        ("state=a&state=a", None),
        ("state=a&state=%FF", None),
        ("state=%FF", None),
        ("", None),
    ] {
        let url = format!("https://app.example/cb?{query}#state=b");
        for callback in [Callback::query(query), Callback::url(&url)] {
            assert_eq!(callback.state().as_deref(), state, "{query}");
        }
    }
    assert_eq!(Callback::pairs([("code", "x"), ("state", "a+b")]).state().as_deref(), Some("a+b"));
    assert_eq!(Callback::pairs([("state", "a"), ("state", "b")]).state(), None);
}

#[test]
fn rfc9207_section_2_4_a_wrong_issuer_shows_both_and_loses_nothing() {
    for (configured, sent, shown) in [
        ("https://as.example/", "https://as.example", "\"https://as.example\""),
        ("https://as.example", "https://as.example/", "\"https://as.example/\""),
        ("https://as.example", "https%3A%2F%2FAS.example", "\"https://AS.example\""),
        (
            "https://as.example/a",
            "https://as.example/b%0A2030-01-01",
            r#""https://as.example/b\n2030-01-01""#,
        ),
        ("https://as.example", "%E2%80%AEfake", r#""\u{202e}fake""#),
        ("https://as.example", "", "\"\""),
    ] {
        let client = client_of(server().issuer(configured).unwrap());
        let (_, mut pending) = start(&client);
        let state = pending.state().to_owned();
        for rest in ["code=x", "error=access_denied"] {
            let callback = format!("{rest}&state={state}&iss={sent}");
            let error = pending.receive(&client, callback.as_str(), now()).unwrap_err();
            assert_eq!((error.kind(), error.advice()), (ErrorKind::Suspect, Advice::KeepWaiting));
            let message = error.to_string();
            for part in [format!("{configured:?}").as_str(), shown, "AuthorizationServer::issuer"] {
                assert!(message.contains(part), "{part} in {message}");
            }
            assert!(!message.contains(['\n', '\u{202e}']), "{message}");
        }
        // A sender who does not know our state learns nothing.
        let forged = format!("code=x&state=guess&iss={sent}");
        let error = pending.receive(&client, forged.as_str(), now()).unwrap_err();
        assert!(!error.to_string().contains("as.example"), "{error}");
        assert!(pending.receive(&client, format!("code=x&state={state}").as_str(), now()).is_ok());
    }
}

#[test]
fn a_refusal_by_a_callback_advises_what_helps() {
    for (code, advice) in [
        ("access_denied", Advice::Declined),
        ("consent_required", Advice::Declined),
        ("user_cancelled_login", Advice::Declined),
        ("user_cancelled_authorize", Advice::Declined),
        ("login_required", Advice::Reauthorize),
        ("interaction_required", Advice::Reauthorize),
        ("server_error", Advice::RetryLater),
        ("temporarily_unavailable", Advice::RetryLater),
        ("invalid_request", Advice::FixConfiguration),
        ("unauthorized_client", Advice::FixConfiguration),
        ("unsupported_response_type", Advice::FixConfiguration),
        ("invalid_scope", Advice::FixConfiguration),
        // Only a code exchange treats it as a spent code.
        ("code_expired", Advice::Stop),
        ("ACCESS_DENIED", Advice::Stop),
    ] {
        let error = receive(&format!("error={code}&state=STATE")).unwrap_err();
        assert_eq!((error.kind(), error.advice()), (ErrorKind::Refused, advice), "{code}");
    }
}
