//! The authorization request: the URL at which the user signs in.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use oauth2_proto::AuthorizationServer;

use crate::support::{REDIRECT_URI, client, client_of, entropy_of, now, start};

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
    for (endpoint, beginning) in [
        ("https://as.example/a", "https://as.example/a?response_type=code&"),
        ("https://as.example/a?", "https://as.example/a?response_type=code&"),
        ("https://as.example/a?p=q", "https://as.example/a?p=q&response_type=code&"),
        ("https://as.example/a?p=q&", "https://as.example/a?p=q&response_type=code&"),
        ("https://as.example/a?next=/b?", "https://as.example/a?next=/b?&response_type=code&"),
    ] {
        let server = AuthorizationServer::new(endpoint, "https://as.example/token").unwrap();
        let (url, _) = start(&client_of(server));
        assert!(url.starts_with(beginning), "{url}");
    }
}
