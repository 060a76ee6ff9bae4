//! The secrets of a request, which no error may repeat.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::{HeaderValue, Request};
use crate::text::form;
use crate::text::json;
use crate::text::secret::Secret;

impl Request {
    /// Returns the secrets of this request that a server could repeat in an error text, as sent and decoded:
    /// the parameters that are known to be secret, and every longer value that your program added.
    pub(in crate::call) fn secrets(&self) -> Vec<Secret> {
        let mut secrets = match secret_members(self.body()) {
            Some(secrets) => secrets,
            None => secret_parameters(self.body()),
        };
        for (_, value) in &*self.headers {
            if let HeaderValue::Secret(value) = value
                && value.expose().len() >= MIN_ADDED_SECRET
            {
                secrets.push(value.clone());
            }
        }
        if let Some(value) = &self.authorization {
            let credentials =
                value.expose().split_once(' ').map_or(value.expose(), |(_, credentials)| credentials);
            secrets.push(Secret::new(credentials));
            secrets.extend(basic_secret(credentials));
        }
        let decoded = secrets.iter().filter_map(|sent| {
            let decoded = form::unescape(sent.expose())?;
            (decoded != sent.expose()).then(|| Secret::new(decoded))
        });
        let decoded: Vec<Secret> = decoded.collect();
        secrets.extend(decoded);
        secrets
    }
}

/// Returns the values in a form body that are secret.
fn secret_parameters(body: &str) -> Vec<Secret> {
    let form = body.split('&').map(|pair| pair.split_once('=').unwrap_or(("", pair)));
    let form = form.filter(|(name, value)| match form::unescape(name).as_deref() {
        Some("code" | "code_verifier" | "refresh_token" | "client_secret" | "token" | "device_code") => true,
        Some("assertion" | "client_assertion" | "subject_token" | "actor_token") => true,
        Some(
            "grant_type" | "redirect_uri" | "scope" | "client_id" | "resource" | "audience"
            | "token_type_hint" | "prompt" | "acr_values" | "response_mode",
        ) => false,
        // The value names a kind, as in `client_assertion_type`.
        Some(name) if name.ends_with("_type") => false,
        _ => value.len() >= MIN_ADDED_SECRET,
    });
    form.map(|(_, value)| Secret::new(value)).collect()
}

/// Returns the texts in a JSON body that are secret; `None` if the body is no JSON object.
fn secret_members(body: &str) -> Option<Vec<Secret>> {
    if !body.trim_start().starts_with('{') {
        return None;
    }
    let members = json::read(body.as_bytes(), &[], &mut [])?;
    let is_known =
        |name: &str| matches!(name, "client_secret" | "registration_access_token" | "software_statement");
    // A name may end in the language of its value (RFC 7591 §2.2).
    let members = members.iter().map(|(name, value)| (name.split('#').next().unwrap_or_default(), value));
    let mut members: Vec<_> = members.filter(|(name, _)| !PUBLIC_MEMBERS.contains(name)).collect();
    members.sort_by_key(|(name, _)| !is_known(name));
    let mut secrets = Vec::new();
    // An update repeats what the server answered, which may be many texts, and each search costs time.
    let mut others = Zeroizing::new(String::with_capacity(body.len()));
    for (name, value) in members {
        json::visit_texts(value, &mut |text| {
            if !is_known(name) && text.len() < MIN_ADDED_SECRET {
                return;
            }
            if secrets.len() < MOST_MEMBERS {
                secrets.push(Secret::new(text));
            } else if others.len() + text.len() < body.len() {
                others.push_str(text);
                others.push('\n');
            }
        });
    }
    if !others.is_empty() {
        secrets.push(Secret::new(others.as_str()));
    }
    Some(secrets)
}

/// The number of secret texts in a JSON body that are searched for one by one; the others are one long
/// secret, of which eight letters and digits in a row count, too.
const MOST_MEMBERS: usize = 16;

/// The members of client metadata that are no secrets (RFC 7591 §2, RFC 7592 §3, OpenID Connect Dynamic
/// Client Registration §2).
const PUBLIC_MEMBERS: &[&str] = &[
    "application_type",
    "client_id",
    "client_name",
    "client_uri",
    "contacts",
    "grant_types",
    "jwks",
    "jwks_uri",
    "logo_uri",
    "policy_uri",
    "redirect_uris",
    "response_types",
    "scope",
    "software_id",
    "software_version",
    "tls_client_auth_subject_dn",
    "token_endpoint_auth_method",
    "token_endpoint_auth_signing_alg",
    "tos_uri",
];

/// The minimum length in bytes of an added value that counts as a secret. A shorter one may occur by chance.
const MIN_ADDED_SECRET: usize = 8;

/// Returns the client secret in the credentials of HTTP Basic, as it was escaped.
fn basic_secret(credentials: &str) -> Option<Secret> {
    let pair = Secret::new(String::from_utf8(STANDARD.decode(credentials).ok()?).ok()?);
    pair.expose().split_once(':').map(|(_, secret)| Secret::new(secret))
}
