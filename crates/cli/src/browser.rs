//! Opening an address in the person's browser, where there is one.

use std::process::{Command, Stdio};

use config::Environment;

/// Programs that open an address in whatever the person prefers, in order.
const OPENERS: [&str; 3] = ["xdg-open", "wslview", "open"];

/// Hands `url` to the desktop's opener. False where there is no desktop or no opener, so that the
/// caller prints the address instead.
///
/// The address is visible to this machine's users in the process list for a moment: it must hold a
/// single-use code and never a token.
pub fn open(environment: &Environment, url: &str) -> bool {
    if !environment.has_display {
        return false;
    }
    let Some(program) = OPENERS.iter().find_map(|name| environment.find_program(name)) else {
        return false;
    };
    let mut opener = Command::new(program);
    opener.arg(url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // Not waited for: some openers stay until the browser is closed. It ends with its own window.
    opener.spawn().is_ok()
}
