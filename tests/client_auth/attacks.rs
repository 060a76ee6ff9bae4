//! Attacks on assertions: replay, another server, another algorithm.

use std::sync::Barrier;
use std::thread;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use oauth2_proto::client_auth::Audience;
use oauth2_proto::error::ErrorKind;
use oauth2_proto::jose::Algorithm;
use oauth2_proto::{AuthorizationServer, Client, ClientAuth, Secret};

use crate::keys::{assertion, client, jti, local_key, parameter, remote_key, server};
use crate::operations;
use crate::support::{later, now};

/// A second server with which the client shares its key and its name, as a client metadata document does.
#[track_caller]
fn other_server() -> AuthorizationServer {
    AuthorizationServer::new("https://evil.example/authorize", "https://evil.example/token")
        .unwrap()
        .issuer("https://evil.example")
        .unwrap()
}

#[test]
fn rfc7523bis_section_4_an_assertion_names_one_server_as_its_only_audience() {
    let key = local_key();
    let at = |server| Client::new(server, "fake-client", ClientAuth::private_key_jwt(key.clone())).unwrap();
    for (client, issuer) in
        [(at(server()), "https://as.example"), (at(other_server()), "https://evil.example")]
    {
        let call = client.client_credentials().start(now()).unwrap();
        // One text, written as the issuer is: no list, no slash, no second server.
        assert_eq!(assertion(call.request()).1["aud"].as_str(), Some(issuer));
    }
}

/// A server that sees an assertion for another one can use it there (draft-ietf-oauth-rfc7523bis §2).
#[test]
fn a_call_is_not_renewed_with_an_assertion_for_another_server() {
    let key = local_key();
    let at = |server| Client::new(server, "fake-client", ClientAuth::private_key_jwt(key.clone())).unwrap();
    let (ours, theirs) = (at(server()), at(other_server()));
    let mut call = ours.client_credentials().start(now()).unwrap();
    let before = call.request().body().to_owned();
    let error = call.renew(&theirs, later(1)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Misuse);
    assert!(error.to_string().contains("another client made this call"), "{error}");
    assert_eq!(call.request().body(), before);
    // Nor by another client of the same server, nor to another address.
    let named = Client::new(server(), "fake-other", ClientAuth::private_key_jwt(key.clone())).unwrap();
    assert!(call.renew(&named, later(1)).is_err());
    call.request_mut().set_url("https://evil.example/token");
    assert!(call.renew(&ours, later(1)).is_err());
    call.request_mut().set_url("https://as.example/token");
    call.renew(&ours, later(1)).unwrap();
    assert_ne!(call.request().body(), before);
}

/// A server's metadata that names the token endpoint of another server, where clients without a certificate go,
/// and an alias of its own, where clients with a certificate go.
#[test]
fn tokens_of_one_server_do_not_go_to_the_alias_that_another_one_names() {
    let honest = Client::new(server(), "fake-client", ClientAuth::tls_client_auth()).unwrap();
    let evil = AuthorizationServer::new("https://evil.example/authorize", "https://as.example/token")
        .unwrap()
        .mtls_endpoint_alias("token_endpoint", "https://evil.example/token")
        .unwrap();
    let evil = Client::new(evil, "fake-client", ClientAuth::tls_client_auth()).unwrap();
    let mut session = operations::session(&honest);
    let error = session.send(&evil, later(600)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Misuse);
    assert!(session.send(&honest, later(600)).unwrap().is_some());
}

#[test]
fn no_two_requests_share_an_identifier_however_many_threads_make_them() {
    let client = client(ClientAuth::private_key_jwt(local_key()));
    let barrier = Barrier::new(8);
    let mut seen: Vec<String> = thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    barrier.wait();
                    let start = || client.client_credentials().start(now()).unwrap();
                    (0..50).map(|_| jti(start().request())).collect::<Vec<_>>()
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 400);
}

#[test]
fn signatures_that_were_made_elsewhere_serve_one_request_also_in_clones() {
    let client = client(ClientAuth::private_key_jwt(remote_key()));
    let mut signing = client.signing(now()).unwrap();
    signing.signed(&[7; 64]).unwrap();
    let signed = signing.client().unwrap();
    let clone = signed.clone();
    let mut call = signed.client_credentials().start(now()).unwrap();
    let refresh_token = Secret::new("fake-token");
    for error in [
        clone.refresh(&refresh_token).start(now()).unwrap_err(),
        clone.revoke(&refresh_token).start(now()).unwrap_err(),
        call.renew(&signed, now()).unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Misuse);
        assert!(error.to_string().contains("served one request already"), "{error}");
    }
}

/// A key pair never makes an HMAC or an unsigned token, because no algorithm of those is a value of the type.
#[test]
fn rfc8725_section_3_1_a_key_signs_by_its_own_algorithm_only() {
    for name in ["none", "None", "NONE", "HS256", "HS384", "HS512", ""] {
        assert_eq!(Algorithm::from_name(name), None, "{name}");
    }
    let key = client(ClientAuth::private_key_jwt(local_key()).assertion_audience(Audience::TokenEndpoint));
    for (operation, _, start) in operations::ALL {
        let request = start(&|| key.clone()).unwrap();
        assert_eq!(assertion(&request).0["alg"], "ES256", "{operation}");
        let jwt = parameter(&request, "client_assertion").unwrap();
        let signature = URL_SAFE_NO_PAD.decode(jwt.rsplit('.').next().unwrap()).unwrap();
        assert_eq!(signature.len(), 64, "{operation}");
    }
}
