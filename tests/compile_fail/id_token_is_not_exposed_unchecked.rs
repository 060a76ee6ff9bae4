//! An ID token that nobody checked would say who signed in.

use oauth2_proto::TokenResponse;

fn main() {}

fn subject(tokens: &TokenResponse) {
    let _printed = tokens.id_token().map(|unchecked| format!("{unchecked:?}"));
    let _subject = tokens.id_token().map(|unchecked| unchecked.subject().to_owned()); //~ E0599
}
