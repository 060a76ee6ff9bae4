//! Prints the steps of a sign-in, without the secrets.

#![allow(dead_code, reason = "each file that includes this one uses a part of it")]

use std::sync::atomic::{AtomicUsize, Ordering};

use oauth2_proto::{Advice, Error, Request, TokenResponse};
use url::Url;

/// Prints a numbered heading.
pub fn step(title: &str) {
    static STEP: AtomicUsize = AtomicUsize::new(1);
    println!("\n{}. {title}\n", STEP.fetch_add(1, Ordering::Relaxed));
}

/// Prints a URL with one line per parameter and its meaning.
pub fn url(url: &str) {
    let (address, _) = url.split_once('?').unwrap_or((url, ""));
    println!("{address}");
    if let Ok(url) = Url::parse(url) {
        url.query_pairs().for_each(|(name, value)| parameter(&name, &value));
    }
}

/// Prints a request and hides its secrets.
pub fn request(request: &Request) {
    println!("{} {}", request.method(), request.url());
    for (name, value) in request.headers() {
        match (name, value.split_once(' ')) {
            ("content-type" | "accept", _) => println!("  {name}: {value}"),
            ("authorization", Some((scheme, _))) => println!("  {name}: {scheme} [hidden]"),
            _ => println!("  {name}: [hidden]"),
        }
    }
    println!();
    request.form().iter().for_each(|(name, value)| parameter(name, value));
}

/// Prints the members of a token response, without the tokens.
pub fn tokens(tokens: &TokenResponse) {
    let lifetime = tokens.expires_in().map(|seconds| format!("{} s", seconds.as_secs()));
    println!("  token type      {}", tokens.token_type());
    println!("  expires in      {}", lifetime.as_deref().unwrap_or("not given"));
    println!("  refresh token   {}", if tokens.refresh_token().is_some() { "yes" } else { "no" });
    println!("  scopes granted  {}", list(tokens.granted_scopes()));
    println!("  scopes missing  {}", list(tokens.missing_scopes()));
}

/// Prints an error and the crate's advice.
pub fn refusal(error: &Error) {
    let advice = match error.advice() {
        Advice::KeepWaiting => "keep waiting for the genuine callback",
        Advice::RetryLater => "send the same request again later",
        Advice::Reauthorize => "send the user to the authorization server again",
        Advice::Declined => "tell the user, who may start again",
        Advice::FixConfiguration => "change the code, the configuration or the registration",
        Advice::Stop => "stop; the same request will fail again",
    };
    println!("  error   {error}\n  advice  {:?}: {advice}", error.advice());
}

/// Prints whether a refresh replaced the refresh token.
pub fn replaced(tokens: &TokenResponse) {
    println!(
        "\n{}",
        match tokens.refresh_token_is_new() {
            true => "Both tokens were replaced. A real program stores the new ones before it uses them.",
            false => "The access token was replaced; the refresh token stays valid.",
        }
    );
}

fn parameter(name: &str, value: &str) {
    let (value, meaning) = match name {
        "response_type" => (value, "the authorization code grant"),
        "client_id" => (value, "the client"),
        "redirect_uri" => (value, "receives the response"),
        "scope" => (value, "the requested scopes"),
        "state" => (value, "ties the callback to the browser"),
        "code_challenge" => (value, "SHA-256 of the code verifier"),
        "code_challenge_method" => (value, "always S256"),
        "grant_type" => (value, "the credential to exchange"),
        "code" => ("[hidden]", "works once, with the verifier"),
        "code_verifier" => ("[hidden]", "proves who asked for the code"),
        "refresh_token" => ("[hidden]", "works once"),
        "device_code" => ("[hidden]", "for the tokens, once allowed"),
        "iss" => (value, "the issuer"),
        "max_age" => (value, "the oldest sign-in, in seconds"),
        "nonce" => (value, "ties the ID token to the sign-in"),
        "post_logout_redirect_uri" => (value, "receives the browser"),
        // Any other parameter may be a secret.
        _ => ("[hidden]", ""),
    };
    println!("{}", format!("  {name:21} {value:43} {meaning}").trim_end());
}

fn list<'a>(scopes: impl Iterator<Item = &'a str>) -> String {
    // Escapes control characters: a scope is the server's text, and may attack the terminal.
    let scopes: Vec<_> = scopes.map(|scope| scope.escape_debug().to_string()).collect();
    if scopes.is_empty() { "none".to_owned() } else { scopes.join(", ") }
}
