//! Signed authorization responses (JARM).

use std::cell::RefCell;
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use oauth2_proto::error::ErrorKind;
use oauth2_proto::jose::{Algorithm, KeySet, PublicKey, Verification, Verifier};
use oauth2_proto::oidc::PendingAuthentication;
use oauth2_proto::{
    Advice, AuthorizationServer, Call, Callback, Client, ClientAuth, Error, PendingAuthorization, Response,
    Secret, TokenResponse,
};
use serde_json::{Value, json};

use crate::support::{REDIRECT_URI, client_of, entropy, later, now, server};

const ISSUER: &str = "https://as.example";

/// Takes a signature that is this text, whatever the message.
struct Fake(&'static [u8]);

impl Verifier for Fake {
    fn verifies(&self, _: Algorithm, _: &PublicKey, _: &[u8], signature: &[u8]) -> bool {
        signature == self.0
    }
}

const SIGNATURE: Fake = Fake(b"fake-signature");
const NO_SIGNATURE: Fake = Fake(b"");

/// One key of each kind.
fn keys() -> KeySet {
    let part = |length| URL_SAFE_NO_PAD.encode(vec![0xff; length]);
    let set = json!({"keys": [
        {"kty": "RSA", "kid": "fake", "n": part(256), "e": "AQAB"},
        {"kty": "EC", "kid": "fake", "crv": "P-256", "x": part(32), "y": part(32)},
        {"kty": "OKP", "kid": "fake", "crv": "Ed25519", "x": part(32)},
    ]});
    KeySet::from_json(&set.to_string(), now()).unwrap()
}

#[track_caller]
fn issuing_server() -> AuthorizationServer {
    server().issuer(ISSUER).unwrap()
}

#[track_caller]
fn start(client: &Client) -> (String, PendingAuthorization) {
    client.authorize(REDIRECT_URI).signed_response().start_with(entropy(), now()).unwrap()
}

/// The claims of a genuine response.
fn claims(pending: &PendingAuthorization) -> Value {
    json!({
        "iss": ISSUER, "aud": "fake-client", "exp": 1_700_000_600, "code": "fake-code",
        "state": pending.state(),
    })
}

fn token(header: &Value, claims: &Value) -> String {
    let part = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
    format!("{}.{}.{}", part(header), part(claims), URL_SAFE_NO_PAD.encode("fake-signature"))
}

fn response(claims: &Value) -> String {
    format!("response={}", token(&json!({"alg": "RS256", "kid": "fake"}), claims))
}

fn receive<'a>(
    client: &Client,
    pending: &mut PendingAuthorization,
    callback: impl Into<Callback<'a>>,
) -> Result<Call<TokenResponse>, Error> {
    let keys = keys();
    pending.receive_signed(client, callback, &Verification::by(&keys, &SIGNATURE), now())
}

/// Refuses each callback for this reason, and takes the real one afterwards.
#[track_caller]
fn only_the_real_response_is_taken(
    client: &Client,
    forged: impl IntoIterator<Item = (String, ErrorKind, &'static str)>,
) {
    let (_, mut pending) = start(client);
    for (callback, kind, reason) in forged {
        let error = receive(client, &mut pending, callback.as_str()).unwrap_err();
        assert_eq!((error.kind(), error.reason()), (kind, Some(reason)), "{callback}: {error}");
        assert_eq!(error.advice(), Advice::KeepWaiting, "{callback}: {error}");
    }
    let real = response(&claims(&pending));
    let call = receive(client, &mut pending, real.as_str()).unwrap();
    assert!(call.request().form().contains(&("code".to_owned(), "fake-code".to_owned())));
    let again = receive(client, &mut pending, real.as_str()).unwrap_err();
    assert_eq!(again.kind(), ErrorKind::Misuse, "a code is used once");
}

/// Refuses each change of the claims for the reason that follows it. `null` removes a claim.
#[track_caller]
fn refuses_claims(kind: ErrorKind, changes: &[(Value, &'static str)]) {
    let client = client_of(issuing_server());
    let (_, pending) = start(&client);
    let forged = changes.iter().map(|(change, reason)| {
        let mut claims = claims(&pending);
        claims.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        (response(&claims), kind, *reason)
    });
    only_the_real_response_is_taken(&client, forged);
}

/// The pending authorization of a case, with its state in place of a random one.
#[track_caller]
fn pending_of(client: &Client, case: &Value, at: SystemTime) -> PendingAuthorization {
    let request = client.authorize(REDIRECT_URI).signed_response();
    let (_, pending) = request.start_with(entropy(), at).unwrap();
    let mut stored = serde_json::to_value(&pending).unwrap();
    stored["state"] = case["expected_state"].clone();
    serde_json::from_value(stored).unwrap()
}

#[test]
fn jarm_section_2_4_public_cases() {
    let cases: Vec<Value> = serde_json::from_str(include_str!("../vectors/jarm.json")).unwrap();
    let keys = keys();
    for case in &cases {
        let (id, text) = (&case["id"], |name: &str| case[name].as_str());
        let server = server().issuer(text("issuer").unwrap()).unwrap();
        let client = Client::new(server, text("client_id").unwrap(), ClientAuth::none()).unwrap();
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(case["now"].as_u64().unwrap());
        let mut pending = pending_of(&client, case, now);
        let verification = match text("signature").unwrap() {
            "verifier-accepts" => Verification::by(&keys, &SIGNATURE),
            "verifier-rejects" => Verification::by(&keys, &NO_SIGNATURE),
            "tls" => Verification::left_to_tls(),
            other => panic!("{id}: {other}"),
        };
        let algorithms = case["allowed_algs"].as_array().unwrap().iter();
        let algorithms = algorithms.map(|name| Algorithm::from_name(name.as_str().unwrap()).unwrap());
        let skew = Duration::from_secs(case["clock_skew"].as_u64().unwrap());
        let verification = verification.algorithms(algorithms).clock_skew(skew);
        let callback = match text("query") {
            Some(query) => Callback::query(query),
            None => Callback::url(text("url").unwrap()),
        };
        match pending.receive_signed(&client, callback, &verification, now) {
            Ok(call) => {
                assert_eq!(case["expect"], "code", "{id}");
                let code = ("code".to_owned(), text("code").unwrap().to_owned());
                assert!(call.request().form().contains(&code), "{id}");
            }
            Err(error) => {
                let expected = match error.kind() {
                    ErrorKind::Refused => "refused",
                    ErrorKind::Suspect => "suspect",
                    ErrorKind::Invalid => "invalid",
                    ErrorKind::Misuse => "misuse",
                    other => panic!("{id}: {other:?}"),
                };
                assert_eq!(case["expect"], expected, "{id}: {error}");
                assert_eq!(text("reason"), error.reason(), "{id}: {error}");
                assert_eq!(text("error"), error.code(), "{id}");
                assert_eq!(text("error_description"), error.description(), "{id}");
                assert_eq!(text("error_uri"), error.uri(), "{id}");
            }
        }
    }
    assert_eq!(cases.len(), 27);
}

#[test]
fn jarm_section_2_3_the_response_mode_follows_the_request_and_the_server() {
    let mode = |listed: Value, form_post: bool| {
        let mut document = serde_json::to_value(issuing_server()).unwrap();
        document["response_modes_supported"] = listed;
        let client = client_of(serde_json::from_value(document).unwrap());
        let request = client.authorize(REDIRECT_URI).signed_response();
        let request = if form_post { request.form_post() } else { request };
        let (url, _) = request.start_with(entropy(), now())?;
        Ok::<_, Error>(url.split_once("&response_mode=").unwrap().1.to_owned())
    };
    for (listed, form_post, expected) in [
        (json!(null), false, "query.jwt"),
        (json!(null), true, "form_post.jwt"),
        (json!(["query", "query.jwt", "form_post.jwt"]), false, "query.jwt"),
        (json!(["query", "query.jwt", "form_post.jwt"]), true, "form_post.jwt"),
        (json!(["query", "jwt"]), false, "jwt"),
    ] {
        assert_eq!(mode(listed, form_post).unwrap(), expected);
    }
    for (listed, form_post) in
        [(json!(["query", "form_post"]), false), (json!(["jwt"]), true), (json!(["form_post.jwt"]), false)]
    {
        let error = mode(listed, form_post).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Misuse);
        assert!(error.to_string().contains("supports the response modes"), "{error}");
    }
}

#[test]
fn a_signed_response_in_a_fragment_is_not_asked_for() {
    let client = client_of(issuing_server());
    let start = |mode: &'static str, signed: bool| {
        let request = client.authorize(REDIRECT_URI).parameter("response_mode", mode);
        let request = if signed { request.signed_response() } else { request };
        request
            .start_with(entropy(), now())
            .map(|(url, _)| url.split_once("&response_mode=").unwrap().1.to_owned())
    };
    assert_eq!(start("query", true).unwrap(), "query.jwt");
    assert_eq!(start("form_post", true).unwrap(), "form_post.jwt");
    assert_eq!(start("query.jwt", true).unwrap(), "query.jwt");
    for (mode, signed) in [
        ("fragment.jwt", true),
        ("fragment", true),
        ("query.jwt", false),
        ("jwt", false),
        ("fragment.jwt", false),
    ] {
        assert_eq!(start(mode, signed).unwrap_err().kind(), ErrorKind::Misuse, "{mode}");
    }
    // The endpoint's own query would be the second one.
    let server = AuthorizationServer::new("https://as.example/a?response_mode=query", "https://as.example/t");
    let client = client_of(server.unwrap().issuer(ISSUER).unwrap());
    let request = client.authorize(REDIRECT_URI).signed_response();
    assert_eq!(request.start_with(entropy(), now()).unwrap_err().kind(), ErrorKind::Misuse);
}

#[test]
fn a_whole_address_in_place_of_a_query_is_told_from_a_callback_without_a_response() {
    let client = client_of(issuing_server());
    let (_, mut pending) = start(&client);
    let address = format!("{REDIRECT_URI}?{}", response(&claims(&pending)));
    let error = receive(&client, &mut pending, address.as_str()).unwrap_err();
    assert!(error.to_string().contains("pass it by Callback::url"), "{error}");
    let error = receive(&client, &mut pending, "unknown=1").unwrap_err();
    assert!(error.to_string().contains("no signed response"), "{error}");
}

#[test]
fn a_signed_response_needs_an_issuer_to_compare_with() {
    let client = client_of(server());
    let error = client.authorize(REDIRECT_URI).signed_response().start_with(entropy(), now()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Misuse);
    assert!(error.to_string().contains("AuthorizationServer::issuer"), "{error}");
}

#[test]
fn what_was_asked_for_is_remembered_over_the_store() {
    let client = client_of(issuing_server());
    let (_, pending) = start(&client);
    let mut stored = serde_json::to_value(&pending).unwrap();
    assert_eq!((&stored["version"], &stored["signed_response"]), (&json!(2), &json!(true)));
    let mut restored: PendingAuthorization = serde_json::from_value(stored.clone()).unwrap();
    assert_eq!(serde_json::to_value(&restored).unwrap(), stored);
    let signed = response(&claims(&pending));
    assert!(receive(&client, &mut restored, signed.as_str()).is_ok());

    let (_, plain) = client.authorize(REDIRECT_URI).start_with(entropy(), now()).unwrap();
    stored["version"] = json!(1);
    stored.as_object_mut().unwrap().remove("signed_response");
    assert_eq!(serde_json::to_value(&plain).unwrap(), stored);
}

/// No single change to what is stored makes an authorization take a response without a signature.
#[test]
fn a_stored_authorization_is_not_downgraded_by_one_change() {
    let client = client_of(issuing_server());
    let (_, pending) = start(&client);
    let stored = serde_json::to_value(&pending).unwrap();
    let text = stored.to_string();
    let without = |name: &str| {
        let mut stored = stored.clone();
        stored.as_object_mut().unwrap().remove(name);
        stored.to_string()
    };
    let with = |name: &str, value: Value| {
        let mut stored = stored.clone();
        stored[name] = value;
        stored.to_string()
    };
    assert!(serde_json::from_str::<PendingAuthorization>(&text).is_ok());
    for changed in [
        without("signed_response"),
        with("signed_response", json!(false)),
        with("signed_response", Value::Null),
        with("signed_response", json!("false")),
        with("signed_response", json!(0)),
        without("version"),
        with("version", json!(0)),
        with("version", json!(1)),
        with("version", json!(3)),
        text.replacen('{', r#"{"signed_response":false,"#, 1),
        text.replacen('{', r#"{"version":1,"#, 1),
    ] {
        assert!(serde_json::from_str::<PendingAuthorization>(&changed).is_err(), "{changed}");
    }
}

#[test]
fn each_authorization_takes_the_kind_of_response_that_it_asked_for() {
    let client = client_of(issuing_server());
    let (_, mut signed) = start(&client);
    let (_, mut plain) = client.authorize(REDIRECT_URI).start_with(entropy(), now()).unwrap();
    let plain_callback = format!("code=fake-code&state={}", plain.state());
    let signed_callback = response(&claims(&signed));

    for callback in [&plain_callback, &signed_callback] {
        let error = signed.receive(&client, callback.as_str(), now()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Misuse);
        assert!(error.to_string().contains("`receive_signed`"), "{error}");
        let error = receive(&client, &mut plain, callback.as_str()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Misuse);
        assert!(error.to_string().contains("`receive`"), "{error}");
    }
    assert_eq!(
        plain.receive(&client, signed_callback.as_str(), now()).unwrap_err().kind(),
        ErrorKind::Suspect
    );
    assert_eq!(
        receive(&client, &mut signed, plain_callback.as_str()).unwrap_err().reason(),
        Some("response")
    );
    assert!(plain.receive(&client, plain_callback.as_str(), now()).is_ok());
    assert!(receive(&client, &mut signed, signed_callback.as_str()).is_ok());
}

#[test]
fn a_signed_response_is_received_by_the_client_that_asked() {
    let client = client_of(issuing_server());
    let (_, mut pending) = start(&client);
    let other = Client::new(issuing_server(), "fake-other", ClientAuth::none()).unwrap();
    let callback = response(&claims(&pending));
    assert_eq!(receive(&other, &mut pending, callback.as_str()).unwrap_err().kind(), ErrorKind::Misuse);
}

/// JARM §2.3.3: the form that the browser posts.
#[test]
fn a_signed_response_is_received_by_post() {
    let client = client_of(issuing_server());
    let (_, mut pending) =
        client.authorize(REDIRECT_URI).form_post().signed_response().start_with(entropy(), now()).unwrap();
    let form = response(&claims(&pending));
    assert!(receive(&client, &mut pending, Callback::form(&form)).is_ok());
}

#[test]
fn a_code_that_comes_after_the_end_starts_again() {
    let client = client_of(issuing_server());
    let (_, mut pending) = start(&client);
    let mut late = claims(&pending);
    late["exp"] = json!(1_700_009_999);
    let (keys, late) = (keys(), response(&late));
    let verification = Verification::by(&keys, &SIGNATURE);
    let error = pending.receive_signed(&client, late.as_str(), &verification, later(600)).unwrap_err();
    assert_eq!(error.advice(), Advice::Reauthorize);
}

#[test]
fn a_signed_refusal_advises_like_a_plain_one() {
    let client = client_of(issuing_server());
    for (code, advice) in [
        ("access_denied", Advice::Declined),
        ("login_required", Advice::Reauthorize),
        ("temporarily_unavailable", Advice::RetryLater),
        ("invalid_scope", Advice::FixConfiguration),
    ] {
        let (_, mut pending) = start(&client);
        let mut refused = claims(&pending);
        refused["code"] = Value::Null;
        refused["error"] = json!(code);
        let error = receive(&client, &mut pending, response(&refused).as_str()).unwrap_err();
        assert_eq!((error.kind(), error.code(), error.advice()), (ErrorKind::Refused, Some(code), advice));
    }
}

/// RFC 8725 §3.1 and §2.1: the token chooses neither `none` nor another algorithm than those allowed, and a
/// public key is no shared secret.
#[test]
fn algorithm_confusion_with_a_signed_response() {
    let client = client_of(issuing_server());
    let (_, pending) = start(&client);
    let with = |alg: Value| {
        let token = token(&json!({"alg": alg, "kid": "fake"}), &claims(&pending));
        format!("response={token}")
    };
    let names = ["none", "None", "NONE", "HS256", "HS512", "rs256", "fake", ""];
    let mut forged: Vec<_> = names.map(|name| (with(json!(name)), ErrorKind::Suspect, "alg")).into();
    forged.push((with(json!(["RS256"])), ErrorKind::Invalid, "alg"));
    forged.push((with(json!(null)), ErrorKind::Invalid, "alg"));
    // Without its signature, whatever `alg` says.
    let real = response(&claims(&pending));
    let cut = real.rsplit_once('.').unwrap().0;
    forged.push((format!("{cut}."), ErrorKind::Invalid, "format"));
    forged.push((cut.to_owned(), ErrorKind::Invalid, "format"));
    forged.push((format!("{cut}.ZmFrZS1vdGhlcg"), ErrorKind::Suspect, "signature"));
    only_the_real_response_is_taken(&client, forged);
}

/// JARM §4: `authorization_signing_alg_values_supported`.
#[test]
fn a_response_with_an_algorithm_that_the_server_does_not_list_is_refused() {
    let mut document = serde_json::to_value(issuing_server()).unwrap();
    document["authorization_signing_alg_values_supported"] = json!(["RS256"]);
    let client = client_of(serde_json::from_value(document).unwrap());
    let (_, pending) = start(&client);
    let token = token(&json!({"alg": "ES256", "kid": "fake"}), &claims(&pending));
    let forged = [(format!("response={token}"), ErrorKind::Suspect, "alg")];
    only_the_real_response_is_taken(&client, forged);
}

/// RFC 7515 §4.1.11, RFC 8725 §3.10: no extension is ignored, and no key comes with the token.
#[test]
fn a_signed_response_brings_neither_extensions_nor_keys() {
    let client = client_of(issuing_server());
    let (_, pending) = start(&client);
    let with = |header: Value| format!("response={}", token(&header, &claims(&pending)));
    let embedded = json!({"kty": "OKP", "crv": "Ed25519", "x": URL_SAFE_NO_PAD.encode([7; 32])});
    only_the_real_response_is_taken(
        &client,
        [
            (with(json!({"alg": "RS256", "crit": ["exp"]})), ErrorKind::Invalid, "crit"),
            (with(json!({"alg": "RS256", "b64": false})), ErrorKind::Invalid, "crit"),
            (with(json!({"alg": "RS256", "kid": "evil", "jwk": embedded})), ErrorKind::Suspect, "kid"),
        ],
    );
}

/// The signature counts before any parameter: a forged response shows neither its code nor its error.
#[test]
fn jarm_section_2_4_the_signature_comes_before_every_parameter() {
    struct Recorder(RefCell<usize>);
    impl Verifier for Recorder {
        fn verifies(&self, _: Algorithm, _: &PublicKey, _: &[u8], _: &[u8]) -> bool {
            *self.0.borrow_mut() += 1;
            false
        }
    }
    let client = client_of(issuing_server());
    let (_, mut pending) = start(&client);
    let forged = json!({"iss": "https://evil.example", "error": "access_denied", "state": "fake-other"});
    let (recorder, keys) = (Recorder(RefCell::new(0)), keys());
    let verification = Verification::by(&keys, &recorder);
    let error =
        pending.receive_signed(&client, response(&forged).as_str(), &verification, now()).unwrap_err();
    assert_eq!((error.kind(), error.reason(), error.code()), (ErrorKind::Suspect, Some("signature"), None));
    assert_eq!(*recorder.0.borrow(), 1);
}

#[test]
fn a_response_of_another_server_or_client_is_refused() {
    refuses_claims(
        ErrorKind::Suspect,
        &[
            (json!({"iss": "https://evil.example"}), "iss"),
            (json!({"iss": "https://as.example/"}), "iss"),
            (json!({"iss": "https://AS.example"}), "iss"),
            (json!({"iss": ""}), "iss"),
            (json!({"aud": "fake-other"}), "aud"),
            (json!({"aud": ["fake-client", "fake-other"]}), "aud"),
            (json!({"aud": []}), "aud"),
            (json!({"aud": "Fake-Client"}), "aud"),
        ],
    );
}

#[test]
fn an_old_or_a_foreign_response_is_not_replayed() {
    refuses_claims(
        ErrorKind::Suspect,
        &[
            (json!({"exp": 1_699_999_940}), "exp"),
            (json!({"exp": 0}), "exp"),
            (json!({"exp": -1}), "exp"),
            (json!({"iat": 1_700_000_061}), "iat"),
            (json!({"nbf": 1_700_000_061}), "nbf"),
            (json!({"state": "fake-state-of-another-sign-in"}), "state"),
            (json!({"state": ""}), "state"),
            (json!({"state": null}), "state"),
            (json!({"access_token": "fake"}), "token"),
            (json!({"id_token": {}}), "token"),
            (json!({"error": "access_denied"}), "code"),
            (json!({"error": ""}), "code"),
        ],
    );
}

#[test]
fn a_malformed_response_is_named_after_its_claim() {
    refuses_claims(
        ErrorKind::Invalid,
        &[
            (json!({"iss": null}), "iss"),
            (json!({"iss": 7}), "iss"),
            (json!({"aud": null}), "aud"),
            (json!({"aud": {}}), "aud"),
            (json!({"aud": ["fake-client", 7]}), "aud"),
            (json!({"exp": null}), "exp"),
            (json!({"exp": "1700000600"}), "exp"),
            (json!({"iat": "1700000000"}), "iat"),
            (json!({"state": 7}), "state"),
            (json!({"code": ["fake-code"]}), "code"),
            (json!({"code": null}), "code"),
            (json!({"code": ""}), "code"),
            (json!({"code": null, "error": ""}), "code"),
            (json!({"code": null, "error": 7}), "error"),
            (json!({"code": null, "error": "a", "error_description": 7}), "error_description"),
            (json!({"code": null, "error": "a", "error_uri": []}), "error_uri"),
        ],
    );
}

#[test]
fn jarm_section_2_4_nothing_stands_beside_a_signed_response() {
    let client = client_of(issuing_server());
    let (_, pending) = start(&client);
    let (real, state) = (response(&claims(&pending)), pending.state().to_owned());
    let beside = |other: &str| (format!("{real}&{other}"), ErrorKind::Suspect, "response");
    only_the_real_response_is_taken(
        &client,
        [
            beside("code=fake-attacker"),
            beside(&format!("state={state}")),
            beside("error=access_denied"),
            beside("error_description=fake"),
            beside("access_token=fake"),
            beside("id_token=fake"),
            beside("iss=https%3A%2F%2Fevil.example"),
            beside("iss="),
            beside("response=fake"),
            beside(&real),
            (format!("code=fake&state={state}"), ErrorKind::Suspect, "response"),
            (format!("error=access_denied&state={state}"), ErrorKind::Suspect, "response"),
            ("iss=https%3A%2F%2Fevil.example".to_owned(), ErrorKind::Suspect, "response"),
            (String::new(), ErrorKind::Invalid, "response"),
            ("other=1".to_owned(), ErrorKind::Invalid, "response"),
            ("response=%FF".to_owned(), ErrorKind::Invalid, "response"),
            (format!("https://app.example/callback?{real}"), ErrorKind::Invalid, "response"),
            ("response=".to_owned(), ErrorKind::Invalid, "format"),
            ("response=fake".to_owned(), ErrorKind::Invalid, "format"),
        ],
    );
    // These say nothing else than the response.
    for other in ["iss=https%3A%2F%2Fas.example", "utm_source=fake", "error_uri=fake", "%FF=%FF"] {
        let (_, mut pending) = start(&client);
        assert!(receive(&client, &mut pending, format!("{real}&{other}").as_str()).is_ok(), "{other}");
    }
}

/// RFC 8725 §3.11: a token of another kind is no response, although the same server signed it for the same
/// client.
#[test]
fn an_id_token_is_no_signed_response() {
    refuses_claims(
        ErrorKind::Suspect,
        &[(json!({"code": null, "state": null, "sub": "fake-user", "nonce": "fake-nonce"}), "state")],
    );
}

/// RFC 8725 §3.11: the type of a token says what it is, whatever claims somebody brought into it.
#[test]
fn a_token_of_another_kind_is_no_signed_response() {
    let client = client_of(issuing_server());
    let (_, pending) = start(&client);
    let with = |typ: &str| {
        let token = token(&json!({"alg": "RS256", "kid": "fake", "typ": typ}), &claims(&pending));
        format!("response={token}")
    };
    let others = ["at+jwt", "application/at+JWT", "logout+jwt", "secevent+jwt", "id_token+jwt", "dpop+jwt"];
    let forged = others.map(|typ| (with(typ), ErrorKind::Suspect, "typ"));
    only_the_real_response_is_taken(&client, forged);
    for typ in ["JWT", "jwt", "oauth-authz-resp+jwt"] {
        let (_, mut pending) = start(&client);
        assert!(receive(&client, &mut pending, with(typ).as_str()).is_ok(), "{typ}");
    }
}

/// RFC 9700 §4.4: the keys of one server sign no response of another one.
#[test]
fn the_keys_of_another_server_sign_no_response() {
    let fetched = |issuer: &str| {
        let server = server().issuer(issuer).unwrap().jwks_uri("https://as.example/keys").unwrap();
        let set = serde_json::to_string(&keys()).unwrap();
        let call = client_of(server).fetch_keys(now()).unwrap();
        call.read(Response::new(200, [("content-type", "application/json")], set.as_bytes())).unwrap()
    };
    let client = client_of(issuing_server());
    let (_, mut pending) = start(&client);
    let real = response(&claims(&pending));
    let (evil, honest) = (fetched("https://evil.example"), fetched(ISSUER));
    let mut receive = |keys: &KeySet| {
        pending.receive_signed(&client, real.as_str(), &Verification::by(keys, &SIGNATURE), now())
    };
    assert_eq!(receive(&evil).unwrap_err().kind(), ErrorKind::Misuse);
    assert!(receive(&honest).is_ok());
}

/// RFC 7518 §3.2: a client that is registered for `HS256` checks with its secret.
#[test]
fn a_response_may_be_signed_with_the_client_secret() {
    let client = client_of(issuing_server());
    let (_, mut pending) = start(&client);
    let secret = Secret::new("fake-secret-of-32-octets-exactly");
    let forged = format!("response={}", token(&json!({"alg": "HS256"}), &claims(&pending)));
    let verification = Verification::by_client_secret(&secret);
    let error = pending.receive_signed(&client, forged.as_str(), &verification, now()).unwrap_err();
    assert_eq!(error.reason(), Some("signature"));
    let forged = response(&claims(&pending));
    let error = pending.receive_signed(&client, forged.as_str(), &verification, now()).unwrap_err();
    assert_eq!(error.reason(), Some("alg"));
}

/// OpenID Connect with a signed callback, as FAPI 2.0 Message Signing §5.4 has it.
#[test]
fn a_sign_in_takes_the_signed_response_that_it_asked_for() {
    let client = client_of(issuing_server());
    let request = client.authorize(REDIRECT_URI).signed_response().openid();
    let (url, pending) = request.start_with(entropy(), now()).unwrap();
    assert!(url.contains("response_mode=query.jwt"), "{url}");
    let mut pending: PendingAuthentication =
        serde_json::from_str(&serde_json::to_string(&pending).unwrap()).unwrap();
    let callback = response(&json!({
        "iss": ISSUER, "aud": "fake-client", "exp": 1_700_000_600, "code": "fake-code",
        "state": pending.state(),
    }));
    assert_eq!(pending.receive(&client, callback.as_str(), now()).unwrap_err().kind(), ErrorKind::Misuse);
    let (keys, forged) = (keys(), callback.replace("response=", "response=e"));
    let verification = Verification::by(&keys, &SIGNATURE);
    let error = pending.receive_signed(&client, forged.as_str(), &verification, now()).unwrap_err();
    assert_eq!(error.advice(), Advice::KeepWaiting);
    let call = pending.receive_signed(&client, callback.as_str(), &verification, now()).unwrap();
    assert!(call.request().body().contains("code=fake-code"));
}

/// The server signs with a key that it made after the keys were fetched.
#[test]
fn new_keys_are_fetched_and_the_same_callback_is_received_again() {
    let client = client_of(issuing_server().jwks_uri("https://as.example/keys").unwrap());
    let (_, mut pending) = start(&client);
    let old = json!({"keys": [{"kty": "OKP", "kid": "fake-old", "crv": "Ed25519",
        "x": URL_SAFE_NO_PAD.encode([1; 32])}]});
    let mut old = KeySet::from_json(&old.to_string(), now()).unwrap();
    let callback = response(&claims(&pending));
    let at = later(599);
    let verification = Verification::by(&old, &SIGNATURE);
    let error = pending.receive_signed(&client, callback.as_str(), &verification, at).unwrap_err();
    assert_eq!((error.reason(), error.advice()), (Some("kid"), Advice::KeepWaiting));
    assert!(old.fetch_again(&error, &client, at).unwrap().is_some());
    let new = keys();
    assert!(
        pending.receive_signed(&client, callback.as_str(), &Verification::by(&new, &SIGNATURE), at).is_ok()
    );
}
