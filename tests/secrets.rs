//! Fills every public type with marked secrets, and searches everything that it can print for the mark.

#![allow(clippy::disallowed_methods, reason = "a test measures its time")]

#[allow(dead_code, reason = "this program needs a part of it")]
#[path = "support/bound.rs"]
mod bound;
#[path = "support/responses.rs"]
mod responses;
mod support;

use std::error::Error as StdError;
use std::fmt::{Debug, Display};
use std::time::{Instant, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use oauth2_proto::challenge::{Challenges, ProtectedApi, StepUp, StepUpPolicy};
use oauth2_proto::client_auth::Audience;
use oauth2_proto::discovery::{ResourceDiscovery, ServerDiscovery};
use oauth2_proto::dpop::DpopKey;
use oauth2_proto::grants::device::{self, PendingDevice};
use oauth2_proto::grants::token_type;
use oauth2_proto::jose::{Algorithm, KeySet, PublicKey, SigningKey, Verification, Verifier};
use oauth2_proto::keeper::{Errand, Errands, Keeper, KeeperError, Refreshed, Runtime, Store, blocking};
use oauth2_proto::management::TokenKind;
use oauth2_proto::{
    Advice, AuthorizationServer, Callback, Client, ClientAuth, Entropy, Error, PendingAuthorization,
    RefreshPolicy, Request, Response, Secret, Session, Snapshot, Step,
    authorization::CodeVerifier,
    pleo,
    registration::{self, ClientIdUrl, ClientMetadata, Registered},
    server::Leniency,
    session::Reason,
    session::Save,
    token::TokenType,
};

use responses::json;
use support::{REDIRECT_URI, client, client_of, entropy, later, now, server, token_call};

const MARK: &str = "planted";

/// The note that replaces a server's text that repeats a secret.
const WITHHELD: &str = "[withheld: it repeats a secret of the request]";

/// The texts that were printed, each with the value it came from.
#[derive(Default)]
struct Printed(Vec<(&'static str, String)>);

impl Printed {
    fn debug(&mut self, what: &'static str, value: &dyn Debug) {
        self.0.push((what, format!("{value:?} {value:#?}")));
    }

    fn display(&mut self, what: &'static str, value: &dyn Display) {
        self.0.push((what, format!("{value} {value:#}")));
    }

    /// An error with all its sources.
    fn error(&mut self, what: &'static str, error: &(impl StdError + 'static)) {
        self.debug(what, error);
        self.display(what, error);
        let mut source = error.source();
        while let Some(error) = source {
            self.debug(what, &error);
            self.display(what, &error);
            source = error.source();
        }
    }

    #[track_caller]
    fn holds_no_secret(&self) {
        for (what, text) in &self.0 {
            assert!(!text.trim().is_empty(), "{what} prints nothing");
            assert!(!text.contains(MARK), "{what} prints a secret: {text}");
            // The mark in base64, as in the Basic header.
            assert!(!text.contains("cGxhbnRlZ"), "{what} prints an encoded secret: {text}");
        }
    }
}

#[test]
fn no_public_type_prints_a_secret() {
    let mut printed = Printed::default();

    for auth in [
        ClientAuth::basic("planted-client-secret"),
        ClientAuth::basic_unencoded("planted-client-secret"),
        ClientAuth::post("planted-client-secret"),
        ClientAuth::client_secret_jwt_with("planted-client-secret-of-32-octets", entropy())
            .unwrap()
            .assertion_audience(Audience::TokenEndpoint),
        ClientAuth::tls_client_auth(),
        ClientAuth::none(),
    ] {
        printed.debug("ClientAuth", &auth);
        let client = Client::new(server(), "fake-client", auth).unwrap();
        printed.debug("Client", &client);
        let refresh_token = Secret::new("planted-refresh-token");
        printed.debug("Secret", &refresh_token);
        let refresh = client.refresh(&refresh_token);
        printed.debug("RefreshRequest", &refresh);
        let call = refresh.start(SystemTime::UNIX_EPOCH).unwrap();
        printed.debug("Call", &call);
        printed.debug("Request", call.request());
        let mut request = call.request().clone();
        request.set_header("X-Secret", "planted-header");
        request.set_body("planted-body");
        printed.debug("Request, changed", &request);
        printed.debug("header names and values", &Request::new("POST", "https://as.example/token"));
    }

    let client = Client::new(server(), "fake-client", ClientAuth::basic("planted-client-secret")).unwrap();
    let request =
        client.authorize(REDIRECT_URI).scopes(["export:read"]).parameter("login_hint", "planted-hint");
    let details = [serde_json::json!({"type": "fake", "account": "planted-account"})];
    let request = request.authorization_details(&details).claims(&serde_json::json!({"planted": null}));
    printed.debug("AuthorizationRequest", &request);
    let entropy = Entropy::from_bytes(std::array::from_fn(|index| b"planted-"[index % 8]));
    printed.debug("Entropy", &entropy);
    let (_, mut pending) = request.start_with(entropy, now()).unwrap();
    printed.debug("PendingAuthorization", &pending);
    let stored = serde_json::to_value(&pending).unwrap();
    for secret in ["state", "code_verifier"] {
        let text = format!("{pending:?}");
        assert!(!text.contains(stored[secret].as_str().unwrap()), "PendingAuthorization prints its {secret}");
    }
    let verifier = CodeVerifier::new(&"planted-".repeat(8)).unwrap();
    printed.debug("CodeVerifier", &verifier);
    printed.error("CodeVerifier::new", &CodeVerifier::new("planted").unwrap_err());

    let callback = format!("code=planted-code&state={}", pending.state());
    printed.debug("Callback", &Callback::query(&callback));
    printed.debug("Callback", &Callback::pairs([("code", "planted-code")]));
    printed.debug("Callback", &Callback::form(&callback));
    for forged in
        ["code=planted-code&state=planted-state", "code=planted-code", "state=%FFplanted", "planted=1"]
    {
        printed.error("receive", &pending.receive(&client, forged, now()).unwrap_err());
    }
    let call = pending.receive(&client, callback.as_str(), now()).unwrap();
    printed.debug("Call", &call);
    printed.debug("PendingAuthorization, used", &pending);
    printed.display("PendingAuthorization, used", &serde_json::to_string(&pending).unwrap_err());

    let body = r#"{"access_token":"planted-access","token_type":"Bearer","refresh_token":"planted-refresh",
                   "id_token":"planted-id-token","nested":{"deep":["planted"]},
                   "authorization_details":[{"type":"fake","planted":"planted"}]}"#;
    printed.debug("Response", &json(body));
    printed.debug("Response, owned", &json(body).into_owned());
    let tokens = call.read(json(body)).unwrap();
    printed.debug("TokenResponse", &tokens);
    printed.debug("AuthorizationDetail", &tokens.authorization_details().unwrap());
    printed.debug("TokenType", tokens.token_type());
    printed.display("TokenType", tokens.token_type());

    let broken = [
        r#"{"access_token":"planted","token_type":"planted"}"#,
        r#"{"access_token":"planted\n","token_type":"Bearer"}"#,
        r#"{"access_token":["planted"],"token_type":"Bearer"}"#,
        r#"{"access_token":"planted","token_type":"Bearer","expires_in":"planted"}"#,
        r#"{"access_token":"planted","token_type":"Bearer","scope":["planted"]}"#,
        r#"{"access_token":"planted","access_token":"planted"}"#,
        r#"{"error":["planted"]}"#,
        r#"{"access_token":"planted"#,
        "planted",
        "\"planted\"",
        "<html>planted</html>",
    ];
    for body in broken {
        for status in [200, 400, 503] {
            let headers = [("content-type", "application/json"), ("x-planted", "planted")];
            let response = Response::new(status, headers, body.as_bytes());
            printed.error("finish", &call.read(response).unwrap_err());
        }
    }

    printed.debug("AuthorizationServer", &pleo::staging());
    printed.debug("Leniency", &Leniency::FormEncoded);
    printed.holds_no_secret();
}

#[test]
fn no_part_of_a_registration_prints_a_secret() {
    let mut printed = Printed::default();
    let server = server()
        .registration_endpoint("https://as.example/register?key=planted")
        .unwrap()
        .client_id_metadata_document_supported(true);
    let metadata = ClientMetadata::new()
        .redirect_uris([REDIRECT_URI])
        .software_statement(&Secret::new("planted-statement"))
        .member("vendor_key", "planted-key");
    printed.debug("ClientMetadata", &metadata);
    let token = Secret::new("planted-initial-token");
    let request = registration::register(&server, &metadata).initial_access_token(&token);
    printed.debug("RegistrationRequest", &request);
    let call = request.start().unwrap();
    printed.debug("Call", &call);
    let wrong = metadata.clone().member("client_secret", "planted-secret");
    printed.error("start", &registration::register(&server, &wrong).start().unwrap_err());
    printed.error("Serialize", &serde_json::to_string(&wrong).unwrap_err());

    let body = r#"{"client_id":"fake-client","client_secret":"planted-secret","registration_access_token":"planted-token",
        "registration_client_uri":"https://as.example/r?key=planted","software_statement":"planted-statement"}"#;
    let registered = call.read(json(body)).unwrap();
    printed.debug("Registered", &registered);
    printed.debug("Client", &registered.client(server.clone()).unwrap());
    let stored = serde_json::to_value(&registered).unwrap();
    let restored: Registered = serde_json::from_value(stored.clone()).unwrap();
    printed.debug("Registered, read", &restored);
    for name in
        ["issuer", "token_endpoint", "client_id", "client_secret", "metadata", "registration_client_uri"]
    {
        let mut damaged = stored.clone();
        damaged[name] = serde_json::json!(["planted"]);
        printed.error("Deserialize", &serde_json::from_value::<Registered>(damaged).unwrap_err());
        let mut damaged = stored.clone();
        damaged[name] = "planted\n".into();
        if let Err(error) = serde_json::from_value::<Registered>(damaged) {
            printed.error("Deserialize", &error);
        }
    }

    let update = restored.update(&metadata).unwrap();
    let deletion = restored.delete().unwrap();
    printed.debug("Call, delete", &deletion);
    for call in [call, restored.read().unwrap(), update] {
        printed.debug("Call", &call);
        for body in [
            r#"{"client_id":"planted","client_secret":1}"#,
            r#"{"client_id":"fake-client","client_secret":"planted\n"}"#,
            r#"{"client_id":"fake-client","client_secret_expires_at":"planted"}"#,
            r#"{"client_id":"fake-client","registration_client_uri":"http://as.example/r?planted"}"#,
            r#"{"client_secret":"planted","client_secret":"planted"}"#,
            r#"{"error":"invalid_client_metadata","error_description":"planted-token planted-initial-token"}"#,
            r#"{"client_secret":"planted"#,
            "planted",
        ] {
            let response = Response::new(200, [("x-planted", "planted")], body.as_bytes());
            printed.error("read", &call.read(response).unwrap_err());
        }
    }

    let client_id = ClientIdUrl::new("https://app.example/client?key=planted").unwrap();
    printed.debug("ClientIdUrl", &client_id);
    printed
        .error("ClientIdUrl::new", &ClientIdUrl::new("http://app.example/client?key=planted").unwrap_err());
    printed.error("check", &client_id.check(r#"{"client_id":"planted"}"#).unwrap_err());
    printed.holds_no_secret();
}

#[test]
fn no_grant_prints_a_secret() {
    let mut printed = Printed::default();
    let client = Client::new(server(), "fake-client", ClientAuth::basic("planted-client-secret")).unwrap();
    let token = Secret::new("planted-token");

    let request =
        client.client_credentials().scopes(["reports:read"]).parameter("audience_key", "planted-parameter");
    printed.debug("ClientCredentialsRequest", &request);
    let own = request.start(SystemTime::UNIX_EPOCH).unwrap();
    printed.debug("Call", &own);
    let body = r#"{"access_token":"planted-own","token_type":"Bearer","refresh_token":"planted-refresh"}"#;
    let tokens = own.read(json(body)).unwrap();
    printed.debug("TokenResponse", &tokens);
    let mut session = Session::new(tokens, RefreshPolicy::default(), now());
    let stored = print_and_save(&mut printed, &mut session, now()).unwrap();
    assert!(stored.contains("planted-own") && stored.contains("planted-parameter"));
    for kept in ["audience_key", "planted-own"] {
        let damaged = stored.replace(kept, "planted\\n");
        printed.error("damaged snapshot", &serde_json::from_str::<Snapshot>(&damaged).unwrap_err());
    }
    session.access_token_rejected(&Secret::new("planted-own"));
    let _ = print_and_save(&mut printed, &mut session, later(60));
    let call = session.send(&client, later(60)).unwrap().unwrap();
    printed.debug("Call<SessionRefresh>", &call);
    let mut errands = Errands::new(client.clone(), RefreshPolicy::default());
    let request = client.client_credentials().parameter("audience_key", "planted-parameter");
    errands.start_from_client_credentials(request).unwrap();
    printed.debug("Errands", &errands);
    let no_user =
        KeeperError::NoUser { reason: Reason::GaveUp, trouble: session.trouble().cloned().map(Box::new) };
    printed.error("KeeperError::NoUser", &no_user);

    let bearer = client.jwt_bearer(&token);
    printed.debug("JwtBearerRequest", &bearer);
    let bearer = bearer.start(SystemTime::UNIX_EPOCH).unwrap();
    printed.debug("Call", &bearer);

    let extension = client.extension_grant("urn:example:grant").parameter("assertion", "planted-assertion");
    printed.debug("ExtensionGrantRequest", &extension);
    printed.debug("Call", &extension.start(SystemTime::UNIX_EPOCH).unwrap());

    let exchange = client
        .token_exchange(&token, token_type::ACCESS_TOKEN)
        .actor_token(&token, token_type::ACCESS_TOKEN)
        .audience("fake-audience");
    printed.debug("TokenExchangeRequest", &exchange);
    let exchange = exchange.start(SystemTime::UNIX_EPOCH).unwrap();
    printed.debug("Call", &exchange);
    let body = |issued: &str| {
        format!(
            r#"{{"access_token":"planted-new","token_type":"N_A","refresh_token":"planted-refresh","scope":"a",
                 "issued_token_type":"{issued}","x":"planted"}}"#
        )
    };
    // A server may repeat a secret where a type belongs.
    for issued in [token_type::SAML2, "planted-token"] {
        printed.debug("ExchangedToken", &exchange.read(json(&body(issued))).unwrap());
    }

    let assertion = client.identity_assertion(&token, "https://other.example");
    printed.debug("IdentityAssertionRequest", &assertion);
    let assertion = assertion.start(SystemTime::UNIX_EPOCH).unwrap();
    printed.debug("Call", &assertion);
    printed.error("IdentityAssertion", &assertion.read(json(&body("planted-token"))).unwrap_err());
    let assertion = assertion.read(json(&body(token_type::ID_JAG))).unwrap();
    printed.debug("IdentityAssertion", &assertion);
    let redeeming = client_of(server().issuer("https://other.example").unwrap());
    printed.debug("Call", &redeeming.redeem(&assertion, SystemTime::UNIX_EPOCH).unwrap());

    let misuse = client.jwt_bearer(&Secret::new("planted\n")).start(SystemTime::UNIX_EPOCH).unwrap_err();
    printed.error("misuse", &misuse);
    let echo = |secret: &str| format!(r#"{{"error":"invalid_grant","error_description":"bad {secret}!"}}"#);
    for error in [
        bearer.read(json(&echo("planted-token"))).unwrap_err(),
        exchange.read(json(&echo("planted-token"))).unwrap_err(),
        redeeming
            .redeem(&assertion, SystemTime::UNIX_EPOCH)
            .unwrap()
            .read(json(&echo("planted-new")))
            .unwrap_err(),
        own.read(json(&echo("planted-parameter"))).unwrap_err(),
    ] {
        assert_eq!(error.description(), Some(WITHHELD));
        printed.error("echo", &error);
    }
    // Short secrets, too, where they are known to be some.
    let short = Secret::new("s3cr3t");
    let error = client
        .jwt_bearer(&short)
        .start(SystemTime::UNIX_EPOCH)
        .unwrap()
        .read(json(&echo("s3cr3t")))
        .unwrap_err();
    assert_eq!(error.description(), Some(WITHHELD));
    // An audience is no secret.
    let exchange = client
        .token_exchange(&token, token_type::JWT)
        .audience("https://api.example")
        .start(SystemTime::UNIX_EPOCH);
    let error = exchange.unwrap().read(json(&echo("https://api.example"))).unwrap_err();
    assert_eq!(error.description(), Some("bad https://api.example!"));
    printed.holds_no_secret();
}

#[test]
fn a_server_that_echoes_a_secret_is_not_repeated() {
    let auth = ClientAuth::basic("planted client/secret");
    let client = Client::new(server(), "fake-client", auth).unwrap();
    let mut printed = Printed::default();
    let echo = |secret: &str| {
        format!(
            r#"{{"error":"invalid_grant","error_description":"bad {secret}!","error_uri":"https://as.example/{secret}"}}"#
        )
    };

    let (_, mut pending) = client.authorize(REDIRECT_URI).start_with(entropy(), now()).unwrap();
    let verifier = serde_json::to_value(&pending).unwrap()["code_verifier"].as_str().unwrap().to_owned();
    let callback = format!("code=planted-code&state={}", pending.state());
    let exchange = pending.receive(&client, callback.as_str(), now()).unwrap();
    let refresh = client.refresh(&Secret::new("planted-refresh")).start(SystemTime::UNIX_EPOCH).unwrap();
    let echoed = |secret: &str, read: &dyn Fn(Response<'_>) -> Option<Error>| {
        read(Response::new(400, [("a", "b")], echo(secret).as_bytes())).unwrap()
    };
    let read_exchange = |response: Response<'_>| exchange.read(response).err();
    let read_refresh = |response: Response<'_>| refresh.read(response).err();
    for (error, secret) in [
        (echoed("planted-code", &read_exchange), "planted-code"),
        (echoed(&verifier, &read_exchange), verifier.as_str()),
        (echoed("planted client/secret", &read_exchange), "planted client/secret"),
        (echoed("planted-refresh", &read_refresh), "planted-refresh"),
    ] {
        assert_eq!((error.code(), error.advice()), (Some("invalid_grant"), Advice::Reauthorize));
        assert_eq!((error.description(), error.uri()), (Some(WITHHELD), Some(WITHHELD)));
        assert!(!format!("{error} {error:?}").contains(secret), "{error:?}");
        printed.error("echo", &error);
    }
    printed.holds_no_secret();
}

/// An assertion and a proof are random, so each part of them is the mark.
#[test]
fn neither_an_assertion_nor_a_proof_nor_a_signature_is_printed() {
    let public_key = PublicKey::from_jwk(
        r#"{"kty":"EC","crv":"P-256","x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs",
            "y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA"}"#,
    );
    let key = SigningKey::remote_with(Algorithm::ES256, public_key.unwrap(), entropy()).unwrap();
    let server = server().issuer("https://as.example").unwrap();
    let by_secret =
        ClientAuth::client_secret_jwt_with("planted-client-secret-of-32-octets", entropy()).unwrap();
    for auth in [ClientAuth::private_key_jwt(key.clone()), by_secret] {
        let client = Client::new(server.clone(), "fake-client", auth).unwrap();
        let client = client.dpop(DpopKey::new(key.clone()));
        let mut printed = Printed::default();
        let mut marks = Vec::new();
        let mut signing = client.signing(now()).unwrap();
        while let Some(unsigned) = signing.next() {
            printed.debug("Unsigned", unsigned);
            printed.debug("SigningKey", unsigned.key());
            printed.debug("PublicKey", unsigned.key().public_key());
            marks.extend(parts(std::str::from_utf8(unsigned.message()).unwrap()));
            printed.debug("Signing", &signing);
            printed.error("wrong length", &signing.signed(&[0x5a; 63]).unwrap_err());
            signing.signed(&[0x5a; 64]).unwrap();
        }
        printed.debug("Signing, signed", &signing);
        let client = signing.client().unwrap();
        printed.debug("Client, signed", &client);
        let token = Secret::new("planted-token");
        let call = client.refresh(&token).start(now()).unwrap();
        printed.debug("Call", &call);
        printed.debug("Request", call.request());
        printed.error("used twice", &client.refresh(&token).start(now()).unwrap_err());
        let form = call.request().form();
        let assertion = form.iter().find(|(name, _)| name == "client_assertion").unwrap();
        let proof = call.request().header("dpop").unwrap();
        for secret in [assertion.1.as_str(), proof] {
            marks.extend(parts(secret));
            for part in std::iter::once(secret.to_owned()).chain(parts(secret)) {
                let body = serde_json::json!({
                    "error": "invalid_client", "error_description": format!("bad {part}"),
                    "error_uri": format!("https://as.example/?{part}"), "extra": part,
                });
                let body = body.to_string();
                printed.error(
                    "echo",
                    &call.read(Response::new(401, [("a", "b")], body.as_bytes())).unwrap_err(),
                );
            }
        }
        assert!(marks.len() >= 5, "there are assertions and proofs");
        printed.holds_no_secret();
        for (what, text) in &printed.0 {
            for mark in &marks {
                assert!(!text.contains(mark.as_str()), "{what} prints {mark}: {text}");
            }
        }
    }
}

/// The parts of a token that are secret: its claims, and its signature if there is one.
fn parts(jwt: &str) -> Vec<String> {
    jwt.split('.').skip(1).map(str::to_owned).collect()
}

#[test]
fn neither_a_revocation_nor_an_introspection_prints_a_secret() {
    let mut printed = Printed::default();
    let server = server().revocation_endpoint("https://as.example/revoke").unwrap();
    let server = server.introspection_endpoint("https://as.example/introspect").unwrap();
    let client = Client::new(server, "fake-client", ClientAuth::post("planted-client-secret")).unwrap();
    let (token, own) = (Secret::new("planted-token"), Secret::new("planted-own-token"));
    let revocation = client.revoke(&token).hint(TokenKind::RefreshToken);
    printed.debug("RevocationRequest", &revocation);
    let revocation = revocation.start(SystemTime::UNIX_EPOCH).unwrap();
    printed.debug("Call<Revocation>", &revocation);
    let request = client.introspect(&token).authorize_with(&own).hint(TokenKind::AccessToken);
    printed.debug("IntrospectionRequest", &request);
    let introspection = request.start(SystemTime::UNIX_EPOCH).unwrap();
    printed.debug("Call<Introspection>", &introspection);
    for broken in ["planted\n", "planted\0"] {
        let broken = Secret::new(broken);
        printed.error("revoke", &client.revoke(&broken).start(SystemTime::UNIX_EPOCH).unwrap_err());
        printed.error("introspect", &client.introspect(&broken).start(SystemTime::UNIX_EPOCH).unwrap_err());
        let request = client.introspect(&token).authorize_with(&broken);
        printed.error("authorize_with", &request.start(SystemTime::UNIX_EPOCH).unwrap_err());
    }

    let body = r#"{"active":true,"username":"planted","sub":"planted","jti":"planted","client_id":"planted",
                   "iss":"planted","aud":["planted"],"token_type":"planted","other":{"deep":["planted"]}}"#;
    let answer = introspection.read(json(body)).unwrap();
    printed.debug("Introspection", &answer);
    assert_eq!((answer.username(), answer.token_id()), (Some(MARK), Some(MARK)));

    for body in [
        r#"{"error":"invalid_client","error_description":"planted-token of planted-own-token"}"#,
        r#"{"error":"planted-token","error_uri":"https://as.example/planted-client-secret"}"#,
        r#"{"error":"access_denied","token":"planted-token","planted-token":1}"#,
        r#"{"active":"planted"}"#,
        r#"{"active":true,"sub":["planted"]}"#,
        r#"{"active":true,"exp":"planted"}"#,
        r#"{"active":true,"scope":["planted"]}"#,
        r#"{"active":true,"aud":["planted",7]}"#,
        r#"{"active":true,"sub":"planted"#,
        "<html>planted</html>",
    ] {
        for status in [200, 400, 503] {
            let response = || Response::new(status, [("x-planted", "planted")], body.as_bytes());
            printed.error("Introspection", &introspection.read(response()).unwrap_err());
            if let Err(error) = revocation.read(response()) {
                printed.error("Revocation", &error);
            }
        }
    }
    printed.holds_no_secret();
}

#[test]
fn no_part_of_a_sign_in_prints_a_secret() {
    let mut printed = Printed::default();
    let server = server().issuer("https://as.example").unwrap();
    let server = server.jwks_uri("https://as.example/keys?key=planted").unwrap();
    let server = server.userinfo_endpoint("https://as.example/userinfo?key=planted").unwrap();
    let client = client_of(server.end_session_endpoint("https://as.example/logout?key=planted").unwrap());
    let request = client.authorize(REDIRECT_URI).parameter("login_hint", "planted-hint").openid();
    printed.debug("AuthenticationRequest", &request);
    let (_, mut pending) = request.start_with(entropy(), now()).unwrap();
    printed.debug("PendingAuthentication", &pending);
    let stored = serde_json::to_value(&pending).unwrap();
    let nonce = stored["nonce"].as_str().unwrap();
    let callback = format!("code=planted-code&state={}", pending.state());
    let call = pending.receive(&client, callback.as_str(), now()).unwrap();
    printed.debug("Call", &call);
    for printed in [format!("{pending:?}"), format!("{call:?}")] {
        assert!(!printed.contains(nonce), "{printed}");
    }

    let claims = serde_json::json!({"iss": "https://as.example", "sub": "planted-user", "aud": ["fake-client"],
        "exp": 1_700_000_300, "iat": 1_700_000_000, "nonce": nonce, "sid": "planted-session",
        "email": "planted@example.com", "acr": "planted-acr", "amr": ["planted-amr"]});
    let with = |name: &str, value: serde_json::Value| {
        let mut claims = claims.clone();
        claims[name] = value;
        claims
    };
    let token = |claims: &serde_json::Value| {
        let part = |json: &str| URL_SAFE_NO_PAD.encode(json);
        format!("{}.{}.cGxhbnRlZA", part(r#"{"alg":"RS256","planted":"planted"}"#), part(&claims.to_string()))
    };
    let body = |id_token: &str| {
        serde_json::json!({"access_token": "planted-access", "token_type": "Bearer", "id_token": id_token})
            .to_string()
    };
    let tls = Verification::left_to_tls();
    printed.debug("Verification", &tls);
    let read = |id_token: &str| call.authenticate(json(&body(id_token)), &tls, now());
    let authentication = read(&token(&claims)).unwrap();
    printed.debug("Authentication", &authentication);
    printed.debug("TokenResponse", authentication.tokens());
    printed.debug("UncheckedIdToken", &authentication.tokens().id_token().unwrap());
    let id_token = authentication.id_token();
    printed.debug("IdToken", id_token);
    printed.debug("PreviousIdToken", &id_token.to_previous());
    for (name, value) in [
        ("iss", "https://planted@evil.example/?planted"),
        ("sub", ""),
        ("aud", "planted"),
        ("exp", "planted"),
        ("nonce", "planted"),
        ("azp", "planted"),
        ("amr", "planted"),
        ("auth_time", "planted"),
        ("at_hash", "planted"),
    ] {
        printed.error("authenticate", &read(&token(&with(name, value.into()))).unwrap_err());
    }
    for broken in ["planted", "planted.planted.planted", ""] {
        printed.error("authenticate", &read(broken).unwrap_err());
    }

    let access_token = Secret::new("planted-access");
    let request = client.userinfo(&access_token, id_token);
    printed.debug("UserInfoRequest", &request);
    let call = request.start(now()).unwrap();
    printed.debug("Call", &call);
    let user = call.read(json(r#"{"sub":"planted-user","email":"planted@example.com"}"#)).unwrap();
    printed.debug("UserInfo", &user);
    for body in [
        r#"{"sub":"planted-other"}"#,
        r#"{"sub":["planted"]}"#,
        r#"{"error":"invalid_token","error_description":"planted-access"}"#,
        "planted",
    ] {
        printed.error("read", &call.read(json(body)).unwrap_err());
        printed.error("read_signed", &call.read_signed(json(body), &tls, now()).unwrap_err());
    }
    let signed = token(&with("iss", "https://planted@evil.example".into()));
    printed.error("read_signed", &call.read_signed(json(&signed), &tls, now()).unwrap_err());

    let request = client
        .logout()
        .id_token_hint(id_token.as_secret())
        .parameter("logout_hint", "planted")
        .post_logout_redirect_uri("https://app.example/bye?key=planted");
    printed.debug("LogoutRequest", &request);
    let (_, pending) = request.start_with(entropy()).unwrap();
    printed.debug("PendingLogout", &pending);
    assert!(!format!("{pending:?}").contains("CQkJ"), "it prints its state");
    printed.error("receive", &pending.receive("state=planted").unwrap_err());
    let hint = client.logout().id_token_hint(id_token.as_secret());
    printed.error("start", &hint.parameter("state", "planted").start_with(entropy()).unwrap_err());

    let secret = Secret::new("planted-client-secret-of-32-bytes-or-more");
    let by_secret = Verification::by_client_secret(&secret);
    printed.debug("Verification", &by_secret);
    for body in ["logout_token=planted", "logout_token=a.b.planted", "planted"] {
        printed.error("logout token", &client.read_logout_token(body, &by_secret, now()).unwrap_err());
    }
    let set = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"planted","d":"planted"}],"planted":"planted"}"#;
    printed.debug("KeySet", &KeySet::from_json(set, now()).unwrap());
    printed.error("KeySet", &KeySet::from_json("planted", now()).unwrap_err());
    let call = client.fetch_keys(now()).unwrap();
    printed.debug("Call", &call);
    printed.error("fetch_keys", &call.read(json(r#"{"keys":"planted"}"#)).unwrap_err());
    printed.holds_no_secret();
}

/// Neither does the token that ends sessions.
#[test]
fn no_logout_token_prints_whom_it_names() {
    let mut printed = Printed::default();
    let claims = serde_json::json!({"iss": "https://as.example", "sub": "planted-user", "aud": "fake-client",
        "exp": 1_700_000_300, "iat": 1_700_000_000, "jti": "planted-id", "sid": "planted-session",
        "events": {"http://schemas.openid.net/event/backchannel-logout": {}}});
    let part = |json: &str| URL_SAFE_NO_PAD.encode(json);
    let body = format!("logout_token={}.{}.ZmFrZQ", part(r#"{"alg":"EdDSA"}"#), part(&claims.to_string()));
    struct Accepts;
    impl Verifier for Accepts {
        fn verifies(&self, _: Algorithm, _: &PublicKey, _: &[u8], _: &[u8]) -> bool {
            true
        }
    }
    let keys = r#"{"keys":[{"kty":"OKP","crv":"Ed25519",
        "x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs"}]}"#;
    let keys = KeySet::from_json(keys, now()).unwrap();
    let client = client_of(server().issuer("https://as.example").unwrap());
    let logout = client.read_logout_token(&body, &Verification::by(&keys, &Accepts), now()).unwrap();
    printed.debug("LogoutToken", &logout);
    printed.holds_no_secret();
}

#[test]
fn no_part_of_a_token_in_use_prints_a_secret() {
    let mut printed = Printed::default();
    let token = Secret::new("planted-7Token");
    let api = ProtectedApi::new(["https://api.example/v1"]).unwrap();
    printed.debug("ProtectedApi", &api);
    let (bearer, url) = (TokenType::Bearer, "https://api.example/v1/me");
    let header = api.authorization(&bearer, &token, url).unwrap();
    assert_eq!(header.expose(), "Bearer planted-7Token");
    printed.debug("ProtectedApi::authorization", &header);
    for (token_type, token, url) in [
        (&bearer, "planted-7Token", "https://evil.example/v1"),
        (&bearer, "planted-7Token", "https://planted:planted@api.example/v1"),
        (&bearer, "planted-7Token", "https://api.example/v1?access_token=planted"),
        (&bearer, "planted-7Token\n", url),
        (&TokenType::DPoP, "planted-7Token", url),
    ] {
        let error = api.authorization(token_type, &Secret::new(token), url).unwrap_err();
        printed.error("ProtectedApi::authorization", &error);
    }
    printed.error("authorization_as", &api.authorization_as("DPoP", &token, url).unwrap_err());

    // The API repeats the token that it got.
    let echoes = [
        "Bearer error=insufficient_scope, scope=\"planted-7Token\", acr_values=\"planted-7Token\"",
        "Bearer realm=\"planted-7Token\", error=\"planted-7Token\", planted-7Token=planted-7Token",
        "Negotiate planted==, planted-7Token",
    ];
    for status in [400, 401, 403] {
        let challenges = Challenges::parse(echoes);
        printed.debug("Challenges", &challenges);
        printed.debug("Verdict", &challenges.verdict(status, true));
        for challenge in challenges.iter() {
            printed.debug("Challenge", challenge);
            let mut step_up = StepUp::default();
            for policy in [StepUpPolicy::within(["a"]), StepUpPolicy::any_scope(), StepUpPolicy::any_scope()]
            {
                if let Err(error) = step_up.demanded(challenge, [""; 0], &policy) {
                    printed.error("StepUp::demanded", &error);
                }
            }
            printed.debug("StepUp", &step_up);
        }
    }
    printed.holds_no_secret();
}

/// A proof is a secret: whoever has it and the token makes one request.
#[test]
fn no_part_of_a_bound_token_prints_a_secret() {
    let mut printed = Printed::default();
    let key = bound::key(0);
    let client = client().dpop(key.clone());
    printed.debug("Client with a key", &client);
    let call = client.refresh(&Secret::new("planted-7Refresh")).start(now()).unwrap();
    let proof = call.request().header("dpop").unwrap().to_owned();
    printed.debug("Call with a proof", &call);
    printed.debug("Request with a proof", call.request());

    // The server repeats the proof, and sends a nonce.
    let body = format!(r#"{{"error":"invalid_dpop_proof","error_description":"{proof}"}}"#);
    let response = Response::new(400, [("dpop-nonce", "planted-7Nonce")], body.as_bytes());
    printed.debug("Response with a nonce", &response);
    let error = call.read(response).unwrap_err();
    assert_eq!(error.description(), Some(WITHHELD));
    printed.error("a proof in an error", &error);
    printed.debug("DpopKey with a nonce", &key);

    let api = ProtectedApi::new(["https://api.example"]).unwrap();
    let token = Secret::new("planted-7Token");
    let url = "https://api.example/v1?planted=planted";
    let mut request = api.bound_request(&key, &token, "GET", url).unwrap();
    printed.debug("BoundRequest", &request);
    let headers = request.headers(now()).unwrap();
    printed.debug("BoundRequest::headers", &headers);
    printed.debug("BoundRequest::unsigned", &request.unsigned(now()).unwrap());
    printed.error("BoundRequest::signed", &request.signed(b"planted").unwrap_err());
    let asks =
        [("www-authenticate", "DPoP error=use_dpop_nonce, planted=planted"), ("dpop-nonce", "planted")];
    assert!(request.received(401, asks).unwrap());
    printed.error("BoundRequest::received", &request.received(401, asks).unwrap_err());
    for (token, url) in [("planted\n", url), ("planted", "https://planted.example/planted")] {
        let error = api.bound_request(&key, &Secret::new(token), "GET", url).unwrap_err();
        // An address that the program passed is shown, without its query.
        let shown = format!("{error} {error:?}").replace("https://planted.example/planted", "");
        printed.display("ProtectedApi::bound_request", &shown);
    }
    let headers: Vec<_> = headers.iter().map(|(_, value)| value.expose().to_owned()).collect();
    for secret in headers.iter().chain([&proof]) {
        let secret = secret.rsplit(' ').next().unwrap();
        assert!(printed.0.iter().all(|(_, text)| !text.contains(secret)), "{secret}");
    }
    printed.holds_no_secret();
}

/// Prints the session and its next step. A save is reported as saved, and its snapshot returned as JSON.
#[track_caller]
fn print_and_save(printed: &mut Printed, session: &mut Session, now: SystemTime) -> Option<String> {
    printed.debug("Session", session);
    let step = session.poll(now);
    printed.debug("Step", &step);
    match step {
        Step::Save(save) => {
            printed.debug("Save", &save);
            printed.debug("Snapshot", save.snapshot());
            let stored = serde_json::to_string(save.snapshot()).unwrap();
            session.saved(save);
            Some(stored)
        }
        Step::Reauthorize(reason) => {
            printed.debug("Reason", &reason);
            printed.display("Reason", &reason);
            None
        }
        _ => None,
    }
}

#[test]
fn no_part_of_a_session_prints_a_secret() {
    let mut printed = Printed::default();
    printed.debug("RefreshPolicy", &RefreshPolicy::default());
    for reason in [Reason::Refused, Reason::NoRefreshToken, Reason::GaveUp] {
        printed.display("Reason", &reason);
    }
    let auth = ClientAuth::basic("planted-client-secret");
    let client = Client::new(server(), "fake-client", auth).unwrap();
    let other =
        Client::new(server(), "fake-other-client", ClientAuth::post("planted-client-secret")).unwrap();
    let body = |name: &str| {
        format!(
            r#"{{"access_token":"planted-access-{name}","token_type":"Bearer","expires_in":60,
                 "refresh_token":"planted-refresh-{name}","id_token":"planted-id-token"}}"#
        )
    };
    let tokens = |name: &str| token_call(&client).read(json(&body(name))).unwrap();
    let mut answers = [
        r#"{"error":"invalid_client","error_description":"planted-refresh-1 of planted-client-secret"}"#,
        r#"{"access_token":"planted","token_type":"planted"}"#,
        r#"{"access_token":"planted"#,
        "<html>planted</html>",
        r#"{"error":"invalid_grant","error_description":"planted-refresh-1"}"#,
    ]
    .into_iter();

    let mut session = Session::new(tokens("1"), RefreshPolicy::default(), now());
    let mut stored = print_and_save(&mut printed, &mut session, now()).expect("the tokens of the sign-in");
    let mut time = 0;
    while answers.len() > 0 {
        time += 1000;
        assert!(time < 100_000, "{session:?} never sends");
        if let Some(claim) = print_and_save(&mut printed, &mut session, later(time)) {
            stored = claim;
        }
        printed.error("send", &session.send(&other, later(time)).unwrap_err());
        let Some(call) = session.send(&client, later(time)).unwrap() else { continue };
        printed.debug("Call, sent", &call);
        printed.debug("Request", call.request());
        printed.debug("Session, sent", &session);
        let answer = answers.next().unwrap();
        let response = Response::new(400, [("x-planted", "planted")], answer.as_bytes());
        printed.error("received", &session.received(call, response, later(time)).unwrap_err());
        assert!(
            print_and_save(&mut printed, &mut session, later(time)).is_some(),
            "the failure is to be saved"
        );
    }
    print_and_save(&mut printed, &mut session, later(time));
    session.reauthorized(tokens("2"), later(time));
    printed.debug("Session, with tokens that are not saved", &session);
    assert!(print_and_save(&mut printed, &mut session, later(time)).is_some());
    printed.debug("Session::access_token", &session.access_token(later(time)));
    assert_eq!(session.access_token(later(time)).unwrap().expose(), "planted-access-2");

    let mut stranger = Session::new(tokens("3"), RefreshPolicy::default(), now());
    let Step::Save(save) = stranger.poll(now()) else { panic!("new tokens are saved first") };
    stranger.saved(save);
    let snapshot: Snapshot = serde_json::from_str(&stored).unwrap();
    printed.debug("Snapshot, read", &snapshot);
    printed.error("adopt", &stranger.adopt(snapshot, now()).unwrap_err());
    printed.holds_no_secret();
    assert!(stored.contains("planted-refresh-1"), "the mark was in the session");
}

#[test]
fn no_part_of_a_device_authorization_prints_a_secret() {
    let mut printed = Printed::default();
    let server = server().device_authorization_endpoint("https://as.example/device_authorization").unwrap();
    let client = Client::new(server, "fake-client", ClientAuth::basic("planted-client-secret")).unwrap();
    let request = client.device_authorization().scopes(["export:read"]);
    printed.debug("DeviceAuthorizationRequest", &request);
    let start = request.start(SystemTime::UNIX_EPOCH).unwrap();
    printed.debug("Call", &start);

    let body = |member: &str, value: &str| {
        let answer = r#"{"device_code":"planted-device-code","user_code":"planted-user-code",
            "verification_uri":"https://as.example/device",
            "verification_uri_complete":"https://as.example/device?user_code=planted-user-code",
            "expires_in":600,"extra":"planted"}"#;
        let mut answer: serde_json::Value = serde_json::from_str(answer).unwrap();
        answer[member] = value.into();
        answer.to_string()
    };
    for (member, value) in [
        ("device_code", "planted\n"),
        ("user_code", "planted\n"),
        ("verification_uri_complete", "ftp://as.example/planted"),
        ("verification_uri", "ftp://as.example/?planted"),
        ("expires_in", "planted"),
        ("interval", "planted"),
        ("error", "planted-client-secret"),
    ] {
        printed.error("DeviceAuthorization", &start.read(json(&body(member, value))).unwrap_err());
    }
    let authorization = start.read(json(&body("extra", "planted"))).unwrap();
    printed.debug("DeviceAuthorization", &authorization);
    let mut device = authorization.begin(now());
    let other = Client::new(support::server(), "fake-other-client", ClientAuth::none()).unwrap();
    let mut time = 0;
    for answer in [
        r#"{"error":"authorization_pending","error_description":"planted-device-code"}"#,
        r#"{"error":"slow_down","error_description":"planted-client-secret"}"#,
        "<html>planted</html>",
        r#"{"error":"invalid_grant","error_description":"no planted-device-code"}"#,
    ] {
        time += 60;
        printed.debug("PendingDevice", &device);
        printed.debug("Step", &device.poll(later(time)));
        printed.error("send", &device.send(&other, later(time)).unwrap_err());
        let call = device.send(&client, later(time)).unwrap().unwrap();
        printed.debug("Call<DevicePoll>", &call);
        printed.debug("Request", call.request());
        printed.debug("PendingDevice, sent", &device);
        let stored = serde_json::to_string(&device).unwrap();
        assert!(stored.contains("planted-device-code"), "the mark is in the stored form");
        let damaged = stored.replace("\"version\":1", "\"version\":\"planted\"");
        let error = serde_json::from_str::<PendingDevice>(&damaged).unwrap_err();
        printed.error("PendingDevice, damaged", &error);
        let status = if answer.starts_with('<') { 503 } else { 400 };
        let response = Response::new(status, [("x-planted", "planted")], answer.as_bytes());
        if let Err(error) = device.received(call, response, later(time)) {
            printed.error("received", &error);
        }
        printed.debug("PendingDevice, answered", &device);
    }
    let step = device.poll(later(time));
    printed.debug("Step", &step);
    assert_eq!(step, device::Step::Ended(device::End::Failed));
    printed.display("End", &device::End::Failed);
    printed.display("PendingDevice, ended", &serde_json::to_string(&device).unwrap_err());
    printed.holds_no_secret();
}

/// A machine of errands, printed at each step, with a store of one row.
struct Machine {
    printed: Printed,
    errands: Errands,
    row: Option<Snapshot>,
}

impl Machine {
    /// Does the errands until one ends the wait, with this answer to a refresh, and returns the last one.
    #[track_caller]
    fn until_done(&mut self, answer: Option<(u16, &str)>, now: SystemTime) -> Errand {
        for _ in 0..100 {
            let errand = self.errands.next(now);
            self.printed.debug("Errand", &errand);
            match errand {
                Errand::Load => self.errands.loaded(self.row.clone(), now),
                Errand::Swap(save) => {
                    self.row = Some(save.snapshot().clone());
                    self.errands.swapped(save, true, now);
                }
                Errand::Send { call, .. } => {
                    let response = answer.map(|(status, body)| {
                        Response::new(status, [("x-planted", "planted")], body.as_bytes()).into_owned()
                    });
                    self.printed.debug("Option<Response>", &response);
                    let refreshed = self.errands.answered(call, response, now);
                    self.refreshed(&refreshed);
                }
                last => return last,
            }
            self.printed.debug("Errands", &self.errands);
        }
        panic!("the errands have no end")
    }

    fn refreshed(&mut self, refreshed: &Refreshed) {
        self.printed.debug("Refreshed", refreshed);
        self.printed.display("Refreshed", refreshed);
        if let Refreshed::Failed(error) = refreshed {
            self.printed.error("Refreshed::Failed", error);
        }
    }
}

#[test]
fn no_part_of_a_machine_of_errands_prints_a_secret() {
    let auth = || ClientAuth::basic("planted-client-secret");
    let client = Client::new(server(), "fake-client", auth()).unwrap();
    let body = |name: &str| {
        format!(
            r#"{{"access_token":"planted-access-{name}","token_type":"Bearer","expires_in":60,
                 "refresh_token":"planted-refresh-{name}","id_token":"planted-id-token","extra":"planted"}}"#
        )
    };
    let tokens = token_call(&client).read(json(&body("1"))).unwrap();
    let errands = Errands::new(client.clone(), RefreshPolicy::default());
    let mut machine = Machine { printed: Printed::default(), errands, row: None };
    machine.errands.signed_in(tokens.clone(), now()).unwrap();
    let Errand::Token(token) = machine.until_done(None, now()) else { panic!("a user has signed in") };
    assert_eq!(token.secret().expose(), "planted-access-1");
    machine.printed.debug("AccessToken", &token);
    machine.errands.access_token_rejected(token.secret(), now());
    machine.printed.debug("Errands, with a rejected token", &machine.errands);

    let (mut time, mut errors) = (0, Vec::new());
    for answer in [
        Some((503, "<html>planted</html>")),
        Some((200, r#"{"access_token":"planted"#)),
        Some((401, r#"{"error":"invalid_client","error_description":"planted-client-secret"}"#)),
        None,
        Some((200, body("2").as_str())),
        Some((400, r#"{"error":"invalid_grant","error_description":"planted-refresh-2"}"#)),
    ] {
        time += 10_000;
        match machine.until_done(answer, later(time)) {
            Errand::Token(token) => assert_eq!(token.secret().expose(), "planted-access-2"),
            Errand::NoToken(error) => errors.push(error),
            Errand::Sleep(_) => {}
            other => panic!("{other:?}"),
        }
    }
    assert!(matches!(errors.last(), Some(KeeperError::SignIn(Reason::Refused))), "{errors:?}");
    assert!(errors.iter().any(|error| matches!(error, KeeperError::NotNow { .. })), "{errors:?}");

    let other = Client::new(server(), "fake-other-client", auth()).unwrap();
    let mut other = Errands::new(other, RefreshPolicy::default());
    let misuse = other.signed_in(tokens, now()).unwrap_err();
    errors.push(KeeperError::Misuse(misuse));
    let control = other.start_from_refresh_token(Secret::new("planted\n")).unwrap_err();
    errors.push(KeeperError::Misuse(control));
    let mut waiting = Errands::new(client, RefreshPolicy::default());
    waiting.start_from_refresh_token(Secret::new("planted-refresh")).unwrap();
    waiting.access_token_rejected(&Secret::new("planted-access"), now());
    machine.printed.debug("Errands, with wishes", &waiting);
    errors.extend([KeeperError::Panicked, KeeperError::Stopped]);
    for error in &errors {
        machine.printed.error("KeeperError", error);
    }
    machine.printed.holds_no_secret();
}

/// A program without a store, an HTTP client and a timer.
struct Nothing;

impl Store for Nothing {
    type Error = String;

    async fn load(&self, _: &str) -> Result<Option<Snapshot>, String> {
        Ok(None)
    }

    async fn compare_and_swap(&self, _: &str, _: &Save) -> Result<bool, String> {
        Err("the database is away".to_owned())
    }
}

impl Runtime for Nothing {
    async fn send(&self, _: &Request, _: SystemTime) -> Option<Response<'static>> {
        None
    }

    async fn sleep(&self, _: SystemTime) {}
}

impl blocking::Store for Nothing {
    type Error = String;

    fn load(&self, _: &str) -> Result<Option<Snapshot>, String> {
        Ok(None)
    }

    fn compare_and_swap(&self, _: &str, _: &Save) -> Result<bool, String> {
        Err("the database is away".to_owned())
    }
}

impl blocking::Runtime for Nothing {
    fn send(&self, _: &Request, _: SystemTime) -> Option<Response<'static>> {
        None
    }

    fn sleep(&self, _: SystemTime) {}
}

/// Each keeper holds tokens that it could not save.
#[test]
fn no_keeper_prints_a_secret() {
    let client = Client::new(server(), "fake-client", ClientAuth::basic("planted-client-secret")).unwrap();
    let body = r#"{"access_token":"planted-access","token_type":"Bearer","refresh_token":"planted-refresh"}"#;
    let tokens = token_call(&client).read(json(body)).unwrap();
    let mut printed = Printed::default();

    let (keeper, driver) = Keeper::new(client.clone(), RefreshPolicy::default(), now, Nothing, Nothing);
    drop(keeper.signed_in("fake-key", tokens.clone()));
    printed.debug("Keeper", &keeper);
    printed.debug("Driver", &driver);

    let keeper = blocking::Keeper::new(client, RefreshPolicy::default(), now, Nothing, Nothing);
    let error = keeper.signed_in("fake-key", tokens).unwrap_err();
    printed.error("KeeperError", &error);
    assert_eq!(error.to_string(), "the store failed: the database is away");
    printed.debug("blocking::Keeper", &keeper);
    printed.holds_no_secret();
}

/// Found by fuzzing: a secret that is sent unencoded was searched for in its decoded form only.
#[test]
fn an_echo_is_not_repeated_in_the_form_that_was_sent_either() {
    for (auth, echo) in [
        (ClientAuth::basic_unencoded("planted/1_2+3"), "planted/1_2+3"),
        (ClientAuth::basic("planted/1_2+3"), "planted/1_2+3"),
        (ClientAuth::basic("planted/1_2+3"), "planted%2F1_2%2B3"),
        (ClientAuth::post("planted/1_2+3"), "planted%2F1_2%2B3"),
        // The credentials of the Authorization header, encoded as they are sent.
        (ClientAuth::basic("planted"), "ZmFrZS1jbGllbnQ6cGxhbnRlZA=="),
    ] {
        let client = Client::new(server(), "fake-client", auth).unwrap();
        let call = client.refresh(&Secret::new("fake-refresh")).start(SystemTime::UNIX_EPOCH).unwrap();
        let body = format!(r#"{{"error":"invalid_client","error_description":"{echo}"}}"#);
        let error = call.read(Response::new(401, [("a", "b")], body.as_bytes())).unwrap_err();
        assert_eq!(error.description(), Some(WITHHELD), "{echo}");
    }
}

/// The description of the error that a refresh returns, where the server gives this one.
#[track_caller]
fn described(client: &Client, refresh_token: &str, description: &str) -> String {
    let call = client.refresh(&Secret::new(refresh_token)).start(SystemTime::UNIX_EPOCH).unwrap();
    let body = serde_json::json!({ "error": "invalid_request", "error_description": description });
    let error = call.read(Response::new(400, [("a", "b")], body.to_string().as_bytes())).unwrap_err();
    assert_eq!((error.code(), error.advice()), (Some("invalid_request"), Advice::FixConfiguration));
    error.description().unwrap().to_owned()
}

#[test]
fn an_echo_is_not_repeated_in_another_spelling() {
    const TOKEN: &str = "planted/Tok.en_1+2 3-planted?ABCDEFGHIJ";
    let client = Client::new(server(), "fake-client", ClientAuth::basic("planted=4/s e+c")).unwrap();
    for echo in [
        "planted%2fTok.en_1%2b2+3-planted%3fABCDEFGHIJ",
        "planted%2FTok.en_1%2B2%203-planted%3FABCDEFGHIJ",
        "planted%252FTok.en_1%25252B2%25203",
        "%70%6c%61%6e%74%65%64%2f%54%6f%6b",
        r"planted\/Tok.en_1+2",
        r"planted\\\/Tok.en_1",
        r"planted\u002FTok.en_1",
        r"planted\x2fTok.en_1",
        "planted&#x2F;Tok.en",
        "planted&amp;#47;Tok.en",
        "planted/Tok.\nen_1",
        "planted/T\r\n\tok",
        "planted/\u{200b}Tok",
        "PLANTED/TOK.EN_1",
        "planted/T",
        "ABCDEFGH...",
        "...BCDEFGHI...",
        "CDEFGHIJ",
        // "planted/Tok.en" in base64, at each place among three bytes, and for URLs.
        "cGxhbnRlZC9Ub2suZW4=",
        "eHBsYW50ZWQvVG9rLmVu",
        "eHhwbGFudGVkL1Rvay5lbg",
        // The client secret.
        "planted=4/s",
        "planted%3d4%2fs",
        "cGxhbnRlZD00L3MgZStj",
    ] {
        let description = format!("token {echo}, try again");
        assert_eq!(described(&client, TOKEN, &description), WITHHELD, "{echo}");
    }
    for harmless in ["token is gone", "planted", "the token ends in HIJ", "invalid refresh token 17"] {
        assert_eq!(described(&client, TOKEN, harmless), harmless);
    }
}

#[test]
fn an_echo_of_a_short_or_odd_secret_is_not_repeated() {
    for (secret, echo) in
        [("s3Cr", "S3%43r"), ("%&+=!", "%&+=!"), ("ключ-ключ", "%d0%ba%d0%bb%d1%8e%d1%87КЛЮЧ"), ("a", "a")]
    {
        let client = Client::new(server(), "fake-client", ClientAuth::basic(secret)).unwrap();
        assert_eq!(described(&client, "fake-refresh", &format!("9 {echo} 9")), WITHHELD, "{echo}");
        assert_eq!(described(&client, "fake-refresh", "9 9"), "9 9");
    }
}

/// A secret may contain an error code of the specifications, which is shown nevertheless.
#[test]
fn an_error_code_is_withheld_only_if_it_is_the_servers_own() {
    let client = Client::new(server(), "fake-client", ClientAuth::post("client-secret")).unwrap();
    let call = client.refresh(&Secret::new("invalid-client-token")).start(SystemTime::UNIX_EPOCH).unwrap();
    for (code, shown) in [("invalid_client", "invalid_client"), ("client-secret", WITHHELD)] {
        let body = serde_json::json!({ "error": code }).to_string();
        let error = call.read(Response::new(401, [("a", "b")], body.as_bytes())).unwrap_err();
        assert_eq!(error.code(), Some(shown));
    }
}

#[test]
fn debug_shows_what_is_no_secret() {
    let client = client();
    let request = client.authorize(REDIRECT_URI).scopes(["export:read"]);
    let authorization_request = format!("{request:?}");
    let (_, mut pending) = request.start_with(entropy(), now()).unwrap();
    let pending_authorization = format!("{pending:?}");
    let refused = format!("error=access_denied&state={}", pending.state());
    let refused = pending.receive(&client, refused.as_str(), now()).unwrap_err();
    let callback = format!("code=fake-code&state={}", pending.state());
    let call = pending.receive(&client, callback.as_str(), now()).unwrap();
    let body = r#"{"access_token":"fake","token_type":"Bearer","id_token":"fake"}"#;
    let token = Secret::new("fake-token");
    let tokens = call.read(json(body)).unwrap();
    let mut session = Session::new(tokens.clone(), RefreshPolicy::default(), now());
    let Step::Save(save) = session.poll(now()) else { panic!("new tokens are not saved") };
    let public_key =
        r#"{"kty":"OKP","crv":"Ed25519","kid":"fake-key","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
    let public_key = PublicKey::from_jwk(public_key).unwrap();
    let key = SigningKey::remote_with(Algorithm::EdDSA, public_key, entropy()).unwrap();
    let by_secret =
        ClientAuth::client_secret_jwt_with("fake-secret-of-at-least-32-bytes", entropy()).unwrap();
    for (printed, shown) in [
        (format!("{:?}", ClientAuth::private_key_jwt(key)), "fake-key"),
        (format!("{by_secret:?}"), "Secret([redacted])"),
        (format!("{client:?}"), "fake-client"),
        (authorization_request, REDIRECT_URI),
        (pending_authorization, "export:read"),
        (format!("{refused:?}"), "access_denied"),
        (format!("{:?}", Callback::query(&callback)), "Callback([redacted])"),
        (format!("{call:?}"), "https://as.example/token"),
        (format!("{:?}", call.request()), "application/x-www-form-urlencoded"),
        (format!("{:?}", call.request()), "Secret([redacted])"),
        (format!("{:?}", json(body)), "200"),
        (format!("{tokens:?}"), "\"id_token\": \"[redacted]\""),
        (format!("{:?}", client.refresh(&token).scopes(["export:read"])), "export:read"),
        (format!("{:?}", client.client_credentials().scopes(["export:read"])), "export:read"),
        (format!("{:?}", client.jwt_bearer(&token).scopes(["export:read"])), "export:read"),
        (format!("{:?}", client.extension_grant("urn:example:grant")), "urn:example:grant"),
        (format!("{:?}", client.token_exchange(&token, token_type::JWT).audience("api")), "api"),
        (format!("{:?}", client.identity_assertion(&token, "https://as.example")), "https://as.example"),
        (format!("{:?}", CodeVerifier::new(&"fake".repeat(11)).unwrap()), "CodeVerifier([redacted])"),
        (format!("{:?}", entropy()), "Entropy([redacted])"),
        (format!("{session:?}"), "Session {"),
        (format!("{:?}", save.snapshot()), "Snapshot(Record {"),
    ] {
        assert!(printed.contains(shown), "{printed} does not show {shown}");
    }
}

/// A search whose time grows with the square of the length takes hours here.
#[test]
fn a_long_description_is_searched_in_a_time_by_its_length() {
    let client = client();
    let token = "fake-refresh-".repeat(1000);
    let started = Instant::now();
    for repeated in ["%25", "&amp;", "%", "fake-ref-"] {
        let description = repeated.repeat(1_000_000 / repeated.len());
        assert_eq!(described(&client, &token, &description).len(), description.len());
    }
    assert!(started.elapsed().as_secs() < 60, "{:?}", started.elapsed());
}

#[test]
fn a_damaged_store_is_not_repeated() {
    let client = Client::new(server(), "fake-client", ClientAuth::none()).unwrap();
    let (_, pending) = client.authorize(REDIRECT_URI).start_with(entropy(), now()).unwrap();
    let stored = serde_json::to_value(&pending).unwrap();
    let mut printed = Printed::default();
    for member in [
        "version",
        "client",
        "started_at",
        "expires_at",
        "state",
        "code_verifier",
        "redirect_uri",
        "scope",
        "resources",
    ] {
        for value in [
            serde_json::json!("planted \u{7}"),
            serde_json::json!(["planted"]),
            serde_json::json!({"planted": 1}),
        ] {
            let mut damaged = stored.clone();
            damaged[member] = value;
            let text = serde_json::to_string(&damaged).unwrap();
            if let Err(error) = serde_json::from_str::<PendingAuthorization>(&text) {
                printed.display("restore", &error);
                printed.debug("restore", &error);
            }
        }
    }
    assert!(printed.0.len() > 20, "most of these are damaged");
    let encoded_twice = serde_json::to_string("{\"code_verifier\":\"planted\"}").unwrap();
    let error = serde_json::from_str::<PendingAuthorization>(&encoded_twice).unwrap_err();
    printed.display("restore", &error);
    printed.holds_no_secret();
}

#[test]
fn a_damaged_snapshot_is_not_repeated() {
    let client = client();
    let body = r#"{"access_token":"planted-access","token_type":"Bearer","refresh_token":"planted-refresh"}"#;
    let tokens = token_call(&client).read(json(body)).unwrap();
    let mut session = Session::new(tokens, RefreshPolicy::default(), now());
    let Step::Save(save) = session.poll(now()) else { panic!("new tokens are to be saved") };
    let stored = serde_json::to_value(save.snapshot()).unwrap();
    let mut printed = Printed::default();
    for member in stored.as_object().unwrap().keys().cloned().chain(["planted".to_owned()]) {
        for value in [
            serde_json::json!("planted \u{7}"),
            serde_json::json!(["planted"]),
            serde_json::json!({"planted": 1}),
            serde_json::json!(-1),
        ] {
            let mut damaged = stored.clone();
            damaged[&member] = value;
            match serde_json::from_str::<Snapshot>(&damaged.to_string()) {
                Ok(snapshot) => printed.debug("Snapshot", &snapshot),
                Err(error) => {
                    printed.display("Snapshot, refused", &error);
                    printed.debug("Snapshot, refused", &error);
                }
            }
        }
    }
    assert!(printed.0.len() > 100, "most of these are damaged");
    let encoded_twice = serde_json::to_string(&stored.to_string()).unwrap();
    printed.display("Snapshot, refused", &serde_json::from_str::<Snapshot>(&encoded_twice).unwrap_err());
    printed.holds_no_secret();
}

#[test]
fn no_part_of_a_discovery_prints_a_secret() {
    let mut printed = Printed::default();
    let mut server_discovery = ServerDiscovery::new("https://as.example").unwrap();
    let mut resource_discovery =
        ResourceDiscovery::from_challenge("https://api.example?planted", Some("https://m.example?planted"))
            .unwrap();
    printed.debug("ResourceDiscovery", &resource_discovery);
    let body = r#"{"issuer":"https://as.example","authorization_endpoint":"https://as.example?planted",
        "token_endpoint":"https://as.example?planted","registration_endpoint":"https://planted@as.example",
        "x":"planted","jwks_uri":"https://as.example?planted","resource":"https://api.example?planted"}"#;
    let server = server_discovery.call().read(json(body)).unwrap();
    printed.debug("AuthorizationServer", &server);
    printed.debug("Metadata", &server.metadata());
    let resource = resource_discovery.call().read(json(body)).unwrap();
    printed.debug("ProtectedResource", &resource);

    for (known, broken) in [
        ("\"https://as.example\"", "\"https://planted@evil.example\""),
        ("\"https://as.example\"", "[\"planted\"]"),
        (
            "\"token_endpoint\":\"https://as.example?planted\"",
            "\"token_endpoint\":\"http://as.example?planted\"",
        ),
        ("\"x\":\"planted\"", "\"grant_types_supported\":[[\"planted\"]]"),
        ("\"x\":\"planted\"", "\"oauth2_proto\":{\"planted\":\"planted\"}"),
        ("\"https://api.example?planted\"", "\"https://planted@evil.example?planted\""),
        ("}", "planted"),
        ("{", "\"planted\""),
    ] {
        let broken = body.replace(known, broken);
        assert_ne!(body, broken);
        for status in [200, 404, 503] {
            let answer = || Response::new(status, [("x-planted", "planted")], broken.as_bytes());
            if let Err(error) = server_discovery.call().read(answer()) {
                printed.error("ServerMetadata", &error);
                let _ = server_discovery.next_address(error);
            }
            if let Err(error) = resource_discovery.call().read(answer()) {
                printed.error("ResourceMetadata", &error);
                let _ = resource_discovery.next_address(error);
            }
        }
        if let Err(error) = serde_json::from_str::<AuthorizationServer>(&broken) {
            printed.error("AuthorizationServer, refused", &error);
        }
    }
    printed.debug("ServerDiscovery", &server_discovery);
    printed.debug("ResourceDiscovery", &resource_discovery);
    for url in ["https://planted@api.example", "http://api.example?planted", "https://a.example#planted"] {
        printed.error("ServerDiscovery::new", &ServerDiscovery::new(url).unwrap_err());
        printed.error("ResourceDiscovery::new", &ResourceDiscovery::new(url).unwrap_err());
        let challenged = ResourceDiscovery::from_challenge("https://api.example", Some(url));
        printed.error("ResourceDiscovery::from_challenge", &challenged.unwrap_err());
    }
    let server = AuthorizationServer::without_authorization_endpoint("https://as.example?planted").unwrap();
    printed.debug("AuthorizationServer", &server);
    assert!(printed.0.len() > 60, "most of these are broken");
    printed.holds_no_secret();
}

/// Each private member is `planted`, again and again, which is lawful base64url.
#[cfg(feature = "keys")]
#[test]
fn no_ready_made_key_prints_its_private_part() {
    use oauth2_proto::dpop::DpopKey;
    use oauth2_proto::jose::{Algorithm, LocalKey, SigningKey};
    use serde_json::{Value, json};

    let d = format!("{}A", "planted".repeat(6));
    let p256 = json!({"kty": "EC", "crv": "P-256", "d": d,
        "x": "cdGGSddKiCGPPPBCg8GGeiUyh4SJYogFazIdIPMIYgU", "y": "3H1F2rAMHH1TTgbwdshNDyWgcpMFflRq15_v6AR5Etc"});
    let ed25519 =
        json!({"kty": "OKP", "crv": "Ed25519", "d": d, "x": "X_2Fv4mpaFI4KStLjhDElZdE8UoqSO-uoD2vdAAyqGQ"});
    let mut printed = Printed::default();
    for (jwk, algorithm) in [(&p256, Algorithm::ES256), (&ed25519, Algorithm::EdDSA)] {
        let read = || LocalKey::from_jwk(&jwk.to_string(), algorithm).unwrap();
        printed.debug("LocalKey", &read());
        printed.debug("LocalKey::to_pem", &read().to_pem().unwrap());
        let key = SigningKey::new_with(read(), entropy()).unwrap();
        printed.debug("SigningKey", &key);
        printed.debug("DpopKey", &DpopKey::new(key.clone()));
        printed.debug("ClientAuth", &ClientAuth::private_key_jwt(key));
        // In a list of numbers, as a derived `Debug` of the bytes would print it.
        for (what, text) in &printed.0 {
            assert!(!text.contains("166, 86, 167, 181"), "{what} prints a private number: {text}");
        }
        let pem = read().to_pem().unwrap();
        let block: Vec<_> = pem.expose().lines().collect();
        for (name, value) in [
            ("d", json!("planted=")),
            ("d", json!(["planted"])),
            ("d", json!("planted")),
            ("x", json!("planted")),
            ("y", json!(["planted"])),
            ("kty", json!("RSA")),
            ("kty", json!(["planted"])),
            ("oth", json!("planted")),
            ("use", json!("planted")),
            ("key_ops", json!(["planted"])),
            ("alg", json!("planted")),
        ] {
            let mut changed = jwk.clone();
            changed[name] = value;
            for text in [changed.to_string(), changed.to_string().replace('}', "")] {
                if let Err(error) = LocalKey::from_jwk(&text, algorithm) {
                    printed.error("LocalKey::from_jwk", &error);
                }
            }
        }
        for text in [
            jwk.to_string(),
            format!("{}\nplanted\n{}", block[0], block[block.len() - 1]),
            format!("{}\nplanted", block[0]),
            "-----BEGIN planted-----\nplanted\n-----END planted-----".to_owned(),
            "-----BEGIN EC PRIVATE KEY-----\nProc-Type: planted\n\n-----END EC PRIVATE KEY-----".to_owned(),
        ] {
            printed.error("LocalKey::from_pem", &LocalKey::from_pem(&text, algorithm).unwrap_err());
        }
        let wrong = LocalKey::from_pem(pem.expose(), Algorithm::RS256).unwrap_err();
        assert!(block[1..block.len() - 1].iter().all(|line| !wrong.to_string().contains(line)));
    }
    assert!(matches!(p256["d"], Value::String(_)) && printed.0.len() > 40);
    printed.holds_no_secret();
}

/// Pushed and signed requests, and signed responses.
#[test]
fn no_way_of_an_authorization_prints_a_secret() {
    let mut printed = Printed::default();
    let public_key = PublicKey::from_jwk(
        r#"{"kty":"EC","crv":"P-256","x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs",
            "y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA"}"#,
    );
    let key = SigningKey::remote_with(Algorithm::ES256, public_key.unwrap(), entropy()).unwrap();
    let server = server().issuer("https://as.example").unwrap();
    let server = server.pushed_authorization_request_endpoint("https://as.example/par").unwrap();
    let client = Client::new(server, "fake-client", ClientAuth::post("planted-client-secret")).unwrap();
    let planted = || Entropy::from_bytes(std::array::from_fn(|index| b"planted-"[index % 8]));
    let request = || client.authorize(REDIRECT_URI).login_hint("planted-hint").signed_response();
    printed.debug("AuthorizationRequest", &request().signed(&key));

    let (call, mut pending) = request().push_with(planted(), now()).unwrap();
    printed.debug("Call, pushed", &call);
    printed.debug("PendingAuthorization", &pending);
    let body = r#"{"request_uri":"urn:planted:planted","expires_in":60,"other":"planted"}"#;
    printed.debug("PushedAuthorization", &call.read(json(body)).unwrap());
    for (known, broken) in [
        ("urn:planted:planted", "/planted?planted"),
        ("urn:planted:planted", "planted planted"),
        ("60", "\"planted\""),
        ("\"request_uri\":\"urn:planted:planted\"", "\"error\":\"planted-client-secret\""),
        ("}", "planted"),
    ] {
        let broken = body.replace(known, broken);
        assert_ne!(body, broken);
        printed.error("PushedAuthorization, refused", &call.read(json(&broken)).unwrap_err());
    }

    let unsigned = || request().signed(&key).prepare_with(planted(), now()).unwrap();
    printed.debug("UnsignedAuthorization", &unsigned());
    printed.debug("Unsigned", unsigned().unsigned());
    printed.error("signed", &unsigned().signed(b"planted").unwrap_err());
    let signed = || unsigned().signed(&[7; 64]).unwrap();
    printed.debug("SignedAuthorization", &signed());
    printed.debug("Call, pushed and signed", &signed().push(now()).unwrap().0);
    for address in ["https://planted@app.example/r", "http://app.example/r?planted", "/r?planted"] {
        printed.error("publish", &signed().publish(address).unwrap_err());
    }

    let secret = Secret::new("planted-secret-of-more-than-32-octets");
    let verification = Verification::by_client_secret(&secret);
    printed.debug("Verification", &verification);
    let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let token = |header: &str, claims: &str| {
        format!("response={}.{}.{}", encode(header), encode(claims), encode("planted"))
    };
    let claims = r#"{"code":"planted","state":"planted"}"#;
    for callback in [
        token(r#"{"alg":"HS256"}"#, claims),
        token(r#"{"alg":"RS256","kid":"planted"}"#, claims),
        token(r#"{"alg":["planted"]}"#, claims),
        token(r#"{"alg":"HS256","crit":["planted"]}"#, claims),
        token("planted", "planted"),
        "response=planted".to_owned(),
        "code=planted&state=planted".to_owned(),
        "response=planted&code=planted".to_owned(),
        "planted".to_owned(),
    ] {
        let received = pending.receive_signed(&client, callback.as_str(), &verification, now());
        printed.error("receive_signed", &received.unwrap_err());
    }
    // The claims count without a signature here, so that each of them is reached.
    struct Anything;
    impl Verifier for Anything {
        fn verifies(&self, _: Algorithm, _: &PublicKey, _: &[u8], _: &[u8]) -> bool {
            true
        }
    }
    let keys = format!(r#"{{"keys":[{}]}}"#, serde_json::to_string(key.public_key()).unwrap());
    let keys = KeySet::from_json(&keys, now()).unwrap();
    let verification = Verification::by(&keys, &Anything);
    let sound = r#"{"iss":"https://as.example","aud":"fake-client","exp":1800000000,"state":"STATE",
        "code":"planted-code","planted":"planted"}"#;
    let sound = sound.replace("STATE", pending.state());
    for (known, broken) in [
        ("\"https://as.example\"", "\"https://planted@evil.example\""),
        ("\"https://as.example\"", "[\"planted\"]"),
        ("\"fake-client\"", "\"planted\""),
        ("\"fake-client\"", "[\"fake-client\",\"planted\"]"),
        ("1800000000", "\"planted\""),
        (pending.state(), "planted"),
        ("\"planted\":", "\"access_token\":"),
        ("\"planted\":", "\"error\":"),
        ("\"code\":\"planted-code\"", "\"code\":[\"planted\"]"),
        ("\"planted\":", "\"code\":"),
    ] {
        let broken = sound.replacen(known, broken, 1);
        assert_ne!(sound, broken);
        let callback = token(r#"{"alg":"ES256"}"#, &broken);
        let received =
            pending_again(&pending).receive_signed(&client, callback.as_str(), &verification, now());
        printed.error("receive_signed", &received.unwrap_err());
    }
    let callback = token(r#"{"alg":"ES256"}"#, &sound);
    let call = pending.receive_signed(&client, callback.as_str(), &verification, now()).unwrap();
    printed.debug("Call, of a signed response", &call);
    printed.debug("PendingAuthorization, used", &pending);
    printed.holds_no_secret();
}

/// A copy of a pending authorization, by way of its store.
fn pending_again(pending: &PendingAuthorization) -> PendingAuthorization {
    serde_json::from_str(&serde_json::to_string(pending).unwrap()).unwrap()
}

#[test]
fn misuse_of_an_endpoint_is_shown_but_escaped() {
    let error = AuthorizationServer::new("http://as.example/\n", "https://as.example/").unwrap_err();
    assert!(error.to_string().contains("http://as.example/\\n"), "{error}");
}
