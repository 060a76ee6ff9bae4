//! A code that did not come through `PendingAuthorization::receive` reaches no token request.

use oauth2_proto::Client;

fn exchange(client: &Client, code: &str) {
    let parameters = [("grant_type", "authorization_code"), ("code", code)];
    let _call = client.token_request(&parameters, &[""], todo!()); //~ E0624
}

fn main() {}
