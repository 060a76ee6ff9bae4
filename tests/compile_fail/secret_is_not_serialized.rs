//! A secret in a type with a derived `Serialize` would be stored by accident.

use oauth2_proto::{PendingAuthorization, Secret};

fn store<T: serde::Serialize>(_: &T) {}

fn save(pending: &PendingAuthorization, secret: &Secret) {
    store(pending);
    store(secret); //~ E0277
}

fn main() {}
