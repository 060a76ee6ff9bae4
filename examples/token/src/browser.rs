//! Opens the user's browser.

use std::process::{Command, Stdio};

/// Opens an address in the browser, without a shell that would read the address as a command. Returns whether
/// a program was started for it; whether the user sees a page is unknown.
pub fn open(url: &str) -> bool {
    let program = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let mut command = Command::new(program);
    command.arg(url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().is_ok()
}
