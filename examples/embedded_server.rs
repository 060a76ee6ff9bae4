//! Runs the examples' authorization server for programs in other languages and for tests by hand.
//!
//! The program listens on loopback only, and serves until standard input ends. The first line that it
//! prints is the server's base URL; `--help` shows its flags.

#![allow(clippy::disallowed_methods, reason = "a program has arguments; the crate has none")]

#[path = "support/flags.rs"]
mod flags;
#[cfg(all(feature = "keys", feature = "os-random"))]
#[path = "support/openid.rs"]
mod openid;
#[path = "support/server.rs"]
mod server;

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use server::{AuthorizationServer, Config, Failure};

/// The text that `--help` prints.
const USAGE: &str = "\
Usage: embedded_server [options]    serve on 127.0.0.1 until standard input ends

Options:
  --port PORT                       listen on this port (default: any free one)
  --access-token-lifetime SECONDS   default: 3600
  --refresh-token-lifetime SECONDS  default: 30 days, and at least the access token's lifetime
  --redirect-uri URI...             default: http://127.0.0.1:8912/callback; can be repeated
  --scopes SCOPE...                 the scopes of every grant (default: export:read)
  --revoke-on-reuse                 end all tokens of a sign-in when a refresh token is used twice
  --fail-next KIND=N...             let the next N requests to the token endpoint fail, code exchanges too; can be repeated

Kinds of failure:
  503, 429       with Retry-After: 1
  empty-400, empty-401
  html-502       a page, as of a gateway
  unknown-code   an error code that no specification has
  hang           no answer, and nothing is done
  lost           no answer, and the tokens are replaced
  cut-off        the tokens are replaced, and the answer ends in the middle

Built with the feature `keys`, it speaks OpenID Connect; the scope openid brings ID tokens.";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::from(2)
        }
    }
}

fn run() -> Result<(), String> {
    let arguments = flags::arguments()?;
    if arguments.iter().any(|argument| argument == "--help" || argument == "-h") {
        println!("{USAGE}");
        return Ok(());
    }
    let Settings { port, config, failures } = Settings::parse(arguments)?;
    let mut server = AuthorizationServer::new(config.clone());
    failures.into_iter().for_each(|(failure, times)| server.fail_next(failure, times));
    #[cfg(all(feature = "keys", feature = "os-random"))]
    server.add_part(openid_part(&config)?);
    let running = server::spawn(server, port);
    let running = running.map_err(|error| format!("cannot listen on 127.0.0.1:{port}: {error}"))?;
    let base = running.base_url();
    println!("{base}");
    println!("authorization endpoint  {base}/oauth/authorize");
    println!("token endpoint          {base}/oauth/token");
    println!("introspection endpoint  {base}/oauth/token/introspect");
    println!("revocation endpoint     {base}/oauth/revoke");
    println!("device authorization    {base}/oauth/device_authorization");
    println!("API, GET with Bearer    {base}/api/me");
    println!("client_id               {}", config.client_id);
    println!("client secret           {}", config.client_secret);
    for uri in [&config.redirect_uri].into_iter().chain(&config.more_redirect_uris) {
        println!("redirect URI            {uri}");
    }
    println!("scopes                  {}", config.scopes);
    #[cfg(all(feature = "keys", feature = "os-random"))]
    println!("OpenID Connect issuer   {base}");
    io::copy(&mut io::stdin().lock(), &mut io::sink()).map_err(|error| error.to_string())?;
    Ok(())
}

/// Returns the OpenID part. It sends a browser that was signed out to any redirect URI.
#[cfg(all(feature = "keys", feature = "os-random"))]
fn openid_part(config: &Config) -> Result<std::sync::Arc<openid::OpenId>, String> {
    let uris = [&config.redirect_uri].into_iter().chain(&config.more_redirect_uris).cloned();
    openid::OpenId::new(uris).map_err(|error| error.to_string())
}

/// What the flags say.
struct Settings {
    port: u16,
    config: Config,
    failures: Vec<(Failure, usize)>,
}

impl Settings {
    /// Reads the flags; an error tells in one line how to correct them.
    fn parse(arguments: Vec<String>) -> Result<Self, String> {
        let (mut port, mut access, mut refresh) = (None, None, None);
        let (mut redirect_uris, mut scopes, mut failures) = (Vec::new(), Vec::new(), Vec::new());
        let mut revokes_on_reuse = false;
        for (flag, values) in flags::group(arguments.into_iter())? {
            match flag.as_str() {
                "--port" => flags::set(&mut port, &flag, values)?,
                "--access-token-lifetime" => flags::set(&mut access, &flag, values)?,
                "--refresh-token-lifetime" => flags::set(&mut refresh, &flag, values)?,
                "--redirect-uri" => add(&mut redirect_uris, &flag, values)?,
                "--scopes" => {
                    let words = values.iter().flat_map(|value| value.split_whitespace());
                    add(&mut scopes, &flag, words.map(str::to_owned).collect())?;
                }
                "--revoke-on-reuse" if values.is_empty() => revokes_on_reuse = true,
                "--fail-next" => {
                    let mut texts = Vec::new();
                    add(&mut texts, &flag, values)?;
                    for text in texts {
                        failures.push(failure(&text)?);
                    }
                }
                _ => return Err(format!("{flag:?} is not an argument of this program; see --help")),
            }
        }
        let number = |text: Option<String>, flag: &str| {
            let number = text.map(|text| text.parse::<u32>()).transpose();
            number.map_err(|_| format!("{flag} is a whole number; see --help"))
        };
        let seconds = |text, flag| {
            number(text, flag).map(|number| number.map(|seconds| Duration::from_secs(seconds.into())))
        };
        let mut redirect_uris = redirect_uris.into_iter();
        let first = redirect_uris.next().unwrap_or_else(|| "http://127.0.0.1:8912/callback".to_owned());
        let mut config = Config::new(first);
        config.more_redirect_uris = redirect_uris.collect();
        config.revokes_on_reuse = revokes_on_reuse;
        for uri in [&config.redirect_uri].into_iter().chain(&config.more_redirect_uris) {
            url::Url::parse(uri).map_err(|error| format!("--redirect-uri: {error}; see --help"))?;
        }
        config.scopes = if scopes.is_empty() { "export:read".to_owned() } else { scopes.join(" ") };
        config.scopes.parse::<oxide_auth::primitives::scope::Scope>().map_err(|_| "--scopes: no scopes")?;
        if let Some(lifetime) = seconds(access, "--access-token-lifetime")? {
            config.access_token_lifetime = lifetime;
        }
        if let Some(lifetime) = seconds(refresh, "--refresh-token-lifetime")? {
            config.refresh_token_lifetime = lifetime;
        }
        let port = u16::try_from(number(port, "--port")?.unwrap_or(0)).map_err(|_| "--port is too large")?;
        Ok(Self { port, config, failures })
    }
}

fn add(list: &mut Vec<String>, flag: &str, values: Vec<String>) -> Result<(), String> {
    if values.iter().all(String::is_empty) {
        return Err(format!("{flag} needs a value after it; see --help"));
    }
    list.extend(values);
    Ok(())
}

/// Reads a failure and how many requests it is for.
fn failure(text: &str) -> Result<(Failure, usize), String> {
    let (name, times) = text.split_once('=').unwrap_or((text, "1"));
    let known = Failure::NAMES.iter().find(|(known, _)| *known == name);
    match (known, times.parse::<u16>()) {
        (Some((_, failure)), Ok(times)) => Ok((*failure, times.into())),
        _ => Err(format!("--fail-next {text:?} is not KIND=N; see --help for the kinds")),
    }
}
