//! Runs the examples' authorization server for programs in other languages.
//!
//! The program prints the server's base URL and serves on a free local port until standard input ends.

#[path = "support/server.rs"]
mod server;

use std::io;

fn main() -> io::Result<()> {
    let config = server::Config {
        scopes: "export:read".into(),
        ..server::Config::new("http://127.0.0.1:8912/callback")
    };
    let running = server::spawn(server::AuthorizationServer::new(config), 0)?;
    println!("{}", running.base_url());
    io::copy(&mut io::stdin().lock(), &mut io::sink())?;
    Ok(())
}
