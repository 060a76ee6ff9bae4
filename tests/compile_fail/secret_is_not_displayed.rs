//! A secret in a format string would end in a log.

use oauth2_proto::Secret;

fn main() {
    let secret = Secret::new("fake-secret");
    let _hidden = format!("{secret:?}");
    let _shown = format!("{secret}"); //~ E0277
}
