//! A call, which reads tokens, comes from a checked callback or a refresh and not from any request.

use oauth2_proto::{Call, Request, TokenResponse};

fn main() {
    let request = Request::new("POST", "https://as.example/token");
    let _: Call<TokenResponse> = Call::new(request, todo!()); //~ E0624
}
