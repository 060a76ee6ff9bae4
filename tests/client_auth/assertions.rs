//! Assertions that authenticate a client (RFC 7521, RFC 7523, OpenID Connect Core §9).

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use oauth2_proto::client_auth::Audience;
use oauth2_proto::error::ErrorKind;
use oauth2_proto::jose::{Algorithm, SigningKey};
use oauth2_proto::{AuthorizationServer, Client, ClientAuth, Response, Secret};
use serde_json::{Value, json};

use crate::keys::{
    Counting, ISSUER, assertion, client, entropy, jti, local_key, parameter, public_key, server,
};
use crate::operations;
use crate::support::{self, later, now};

const SECRET: &str = "fake-secret-of-32-octets-exactly";

#[track_caller]
fn secret_auth() -> ClientAuth {
    ClientAuth::client_secret_jwt_with(SECRET, entropy()).unwrap()
}

/// The seconds of `now`.
const NOW: u64 = 1_700_000_000;

#[test]
fn rfc7523_section_3_and_rfc7521_section_4_2_every_endpoint_gets_an_assertion_of_its_own() {
    for (auth, header) in [
        (
            ClientAuth::private_key_jwt(local_key()),
            json!({"typ": "client-authentication+jwt", "alg": "ES256", "kid": "fake-key-1"}),
        ),
        (secret_auth(), json!({"typ": "client-authentication+jwt", "alg": "HS256"})),
    ] {
        let client = client(auth);
        let mut seen = Vec::new();
        for (operation, _, start) in operations::ALL {
            let request = start(&|| client.clone()).unwrap();
            assert_eq!(request.header("authorization"), None, "{operation}");
            assert_eq!(parameter(&request, "client_secret"), None, "{operation}");
            assert_eq!(parameter(&request, "client_id").as_deref(), Some("fake-client"), "{operation}");
            let (sent, claims, _) = assertion(&request);
            assert_eq!(sent, header, "{operation}");
            let iat = claims["iat"].as_u64().unwrap();
            assert!((NOW..=NOW + 600).contains(&iat), "{operation}");
            let jti = claims["jti"].as_str().unwrap().to_owned();
            assert_eq!(
                claims,
                json!({"iss": "fake-client", "sub": "fake-client", "aud": ISSUER, "jti": jti, "iat": iat,
                    "exp": iat + 60}),
                "{operation}"
            );
            assert!(jti.len() >= 43 && !seen.contains(&jti), "{operation}");
            seen.push(jti);
        }
    }
}

/// RFC 2104 is checked by `hmac_sha256`'s own vectors; here, what is signed, and with which key.
#[test]
fn openid_connect_core_section_9_a_secret_signs_header_and_claims() {
    let call = client(secret_auth()).client_credentials().start(now()).unwrap();
    let jwt = parameter(call.request(), "client_assertion").unwrap();
    let (message, signature) = jwt.rsplit_once('.').unwrap();
    assert_eq!(URL_SAFE_NO_PAD.decode(signature).unwrap(), hmac(SECRET.as_bytes(), message.as_bytes()));
}

/// HMAC by its definition (RFC 2104 §2), for keys of at most one block.
fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    use sha2::{Digest, Sha256};
    let padded =
        |with: u8| -> Vec<u8> { (0..64).map(|index| key.get(index).copied().unwrap_or(0) ^ with).collect() };
    let inner = Sha256::digest([padded(0x36).as_slice(), message].concat());
    Sha256::digest([padded(0x5c).as_slice(), inner.as_slice()].concat()).to_vec()
}

#[test]
fn rfc7523_section_3_the_audience_and_the_lifetime_are_the_programs() {
    let auth = ClientAuth::private_key_jwt(local_key())
        .assertion_audience(Audience::TokenEndpoint)
        .assertion_lifetime(Duration::from_secs(300));
    // A server without an issuer, and an endpoint other than the token endpoint.
    let server = support::server().revocation_endpoint("https://as.example/revoke").unwrap();
    let client = Client::new(server, "fake-client", auth).unwrap();
    let call = client.revoke(&Secret::new("fake-token")).start(now()).unwrap();
    let (header, claims, _) = assertion(call.request());
    assert_eq!(header["typ"], "JWT");
    assert_eq!(claims["aud"], "https://as.example/token");
    assert_eq!((claims["iat"].as_u64(), claims["exp"].as_u64()), (Some(NOW), Some(NOW + 300)));
}

#[test]
fn what_no_assertion_can_be_made_of_is_refused_before_any_request() {
    let key = || ClientAuth::private_key_jwt(local_key());
    for (server, auth, says) in [
        (support::server(), key(), "AuthorizationServer::issuer"),
        (server(), key().assertion_lifetime(Duration::from_millis(999)), "a longer lifetime"),
        (
            server().token_endpoint_auth_methods_supported(["client_secret_jwt", "tls_client_auth"]),
            key(),
            "not private_key_jwt; use ClientAuth::client_secret_jwt or ClientAuth::tls_client_auth",
        ),
    ] {
        let error = Client::new(server, "fake-client", auth).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Misuse);
        assert!(error.to_string().contains(says), "{error}");
    }
    let error = ClientAuth::client_secret_jwt_with(&SECRET[1..], entropy()).unwrap_err();
    assert!(error.to_string().contains("shorter than 32 bytes"), "{error}");
    let from_a_file = ClientAuth::client_secret_jwt_with(format!("{SECRET}\n"), entropy()).unwrap();
    let error = Client::new(server(), "fake-client", from_a_file).unwrap_err();
    assert!(error.to_string().contains("the client secret holds a line break"), "{error}");
}

#[test]
fn rfc8414_section_2_an_algorithm_that_the_server_does_not_list_is_refused() {
    let key = || ClientAuth::private_key_jwt(local_key());
    let at_token = |list: &[&'static str]| {
        server().token_endpoint_auth_signing_alg_values_supported(list.iter().copied())
    };
    for (auth, list, accepted) in [
        (key(), &["PS256", "ES256"][..], true),
        (key(), &["PS256", "es256", "ES384"], false),
        (key(), &[], false),
        (secret_auth(), &["HS256"], true),
        (secret_auth(), &["ES256"], false),
        (ClientAuth::basic("fake-secret"), &["ES256"], true),
        (ClientAuth::tls_client_auth(), &[], true),
    ] {
        let client = Client::new(at_token(list), "fake-client", auth);
        assert_eq!(client.is_ok(), accepted, "{list:?}");
    }
    let error = Client::new(at_token(&["PS256", "ES384"]), "fake-client", key()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "misuse: the server supports the algorithms of assertions \"PS256\" and \"ES384\", not ES256"
    );
    let token = Secret::new("fake-token");
    let lists = ["ES384"];
    let client = |server: AuthorizationServer| Client::new(server, "fake-client", key()).unwrap();
    let revoking = client(server().revocation_endpoint_auth_signing_alg_values_supported(lists));
    let introspecting = client(server().introspection_endpoint_auth_signing_alg_values_supported(lists));
    assert!(revoking.introspect(&token).start(now()).is_ok());
    assert!(introspecting.revoke(&token).start(now()).is_ok());
    for (endpoint, error) in [
        ("revocation", revoking.revoke(&token).start(now()).unwrap_err()),
        ("introspection", introspecting.introspect(&token).start(now()).unwrap_err()),
    ] {
        let says = format!("algorithms of assertions of the {endpoint} endpoint \"ES384\", not ES256");
        assert!(error.to_string().ends_with(&says), "{error}");
    }
    // An access token authorizes the request in place of an assertion.
    let call = introspecting.introspect(&token).authorize_with(&Secret::new("fake-own")).start(now());
    assert_eq!(call.unwrap().request().body(), "token=fake-token");
}

#[test]
fn rfc7523_section_3_a_call_is_renewed_with_a_new_identifier_and_the_time() {
    let counting = Counting::new();
    let signatures = counting.signatures.clone();
    let key = SigningKey::new_with(counting, entropy()).unwrap();
    let client = client(ClientAuth::private_key_jwt(key));
    let mut call = client.refresh(&Secret::new("fake-token")).scopes(["a b"]).start(now());
    assert!(call.is_err(), "a scope holds a space");
    assert_eq!(signatures.load(std::sync::atomic::Ordering::Relaxed), 0, "nothing was signed for it");
    call = client.refresh(&Secret::new("fake-token")).scopes(["a"]).start(now());
    let mut call = call.unwrap();
    let mut seen = vec![jti(call.request())];
    for attempt in 1..=5 {
        call.renew(&client, later(attempt)).unwrap();
        let (_, claims, signature) = assertion(call.request());
        assert_eq!(claims["iat"], NOW + attempt);
        assert_eq!(signature, vec![attempt as u8 + 1; 64]);
        let jti = jti(call.request());
        assert!(!seen.contains(&jti));
        seen.push(jti);
        assert_eq!(parameter(call.request(), "refresh_token").as_deref(), Some("fake-token"));
        assert_eq!(call.request().form().len(), 6);
    }
    // Without keys there is nothing to renew.
    let client = support::client();
    let mut call = client.refresh(&Secret::new("fake-token")).start(now()).unwrap();
    let before = call.request().body().to_owned();
    call.renew(&client, later(1)).unwrap();
    assert_eq!(call.request().body(), before);
}

#[test]
fn a_signer_that_fails_leaves_nothing_half_done() {
    type Why = fn() -> oauth2_proto::jose::SignerError;
    struct Fails(oauth2_proto::jose::PublicKey, Why);
    impl oauth2_proto::jose::Signer for Fails {
        fn algorithm(&self) -> Algorithm {
            Algorithm::ES256
        }
        fn public_key(&self) -> &oauth2_proto::jose::PublicKey {
            &self.0
        }
        fn sign(&self, _: &[u8]) -> Result<Vec<u8>, oauth2_proto::jose::SignerError> {
            Err(self.1())
        }
    }
    let client_of = |why: Why| {
        let key = SigningKey::new_with(Fails(public_key(), why), entropy()).unwrap();
        client(ClientAuth::private_key_jwt(key))
    };
    let failing = client_of(|| "the vault\nis sealed".into());
    let working = client(ClientAuth::private_key_jwt(local_key()));
    let (_, mut pending) =
        failing.authorize(support::REDIRECT_URI).start_with(support::entropy(), now()).unwrap();
    let callback = format!("code=fake-code&state={}&iss={ISSUER}", pending.state());
    let error = pending.receive(&failing, callback.as_str(), now()).unwrap_err();
    assert_eq!(error.to_string(), "misuse: the signer failed: \"the vault\\nis sealed\"");
    // The same callback serves again when the signer works.
    assert!(pending.receive(&working, callback.as_str(), now()).is_ok());
    // A signer may use this crate itself, to reach its vault. Only a misuse is the program's own.
    for (why, says) in [
        (
            (|| oauth2_proto::jose::PublicKey::from_jwk("[]").unwrap_err().into()) as Why,
            "misuse: the public key",
        ),
        (
            || {
                let call =
                    client(ClientAuth::basic("fake-secret")).client_credentials().start(now()).unwrap();
                call.read(Response::new(503, [("", "")], b"")).unwrap_err().into()
            },
            "misuse: the signer failed: ",
        ),
    ] {
        let error = client_of(why).client_credentials().start(now()).unwrap_err();
        assert!(error.to_string().starts_with(says), "{error}");
    }
}

/// What to look at when the server refuses the client, without a secret.
#[test]
fn rfc6749_section_5_2_a_refused_assertion_says_what_may_be_wrong() {
    let client = client(ClientAuth::private_key_jwt(local_key()));
    let call = client.client_credentials().start(now()).unwrap();
    let jwt = parameter(call.request(), "client_assertion").unwrap();
    let body = json!({"error": "invalid_client", "error_description": format!("bad JWT {jwt}")}).to_string();
    let error = call.read(Response::new(401, [] as [(&str, &str); 0], body.as_bytes())).unwrap_err();
    let text = format!("{error} {error:?}");
    assert!(text.contains("ClientAuth::assertion_audience"), "{text}");
    let other = call.read(Response::new(400, [("", "")], br#"{"error":"invalid_scope"}"#)).unwrap_err();
    assert!(!other.to_string().contains("ClientAuth::assertion_audience"), "{other}");
    assert!(!text.contains(&jwt) && !text.contains(jwt.rsplit_once('.').unwrap().1), "{text}");
}

#[test]
fn the_settings_of_assertions_leave_other_methods_alone() {
    let auth = ClientAuth::basic("fake-secret")
        .assertion_audience(Audience::TokenEndpoint)
        .assertion_lifetime(Duration::ZERO);
    let call = client(auth).client_credentials().start(now()).unwrap();
    assert_eq!(call.request().body(), "grant_type=client_credentials");
    assert!(call.request().header("authorization").unwrap().starts_with("Basic "));
    let claims: Value =
        assertion(client(secret_auth()).client_credentials().start(now()).unwrap().request()).1;
    assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 60);
}
