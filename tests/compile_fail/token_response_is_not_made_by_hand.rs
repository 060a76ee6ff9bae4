//! Tokens come from a response that was checked.

use oauth2_proto::{Secret, TokenResponse};

fn replace(tokens: TokenResponse) -> TokenResponse {
    let _ = Secret::new("fake-token");
    TokenResponse { access_token: Secret::new("fake-token"), ..tokens } //~ E0451
}

fn main() {}
