//! Progress on a terminal, for anything that can take over a second. Nothing when piped.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Fast enough to look alive.
const TICK: Duration = Duration::from_millis(120);

/// A bar over a known number of bytes, or a counter where it is unknown.
pub(crate) fn bytes_bar(total: Option<u64>, what: &str) -> ProgressBar {
    let (bar, template) = match total {
        Some(total) => (
            ProgressBar::new(total),
            "{msg} {wide_bar} {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec} {eta}",
        ),
        None => {
            (ProgressBar::new_spinner(), "{spinner} {msg} {binary_bytes} {binary_bytes_per_sec}")
        }
    };
    prepare(bar, template, what)
}

/// A spinner with a changing message.
pub(crate) fn spinner(what: &str) -> ProgressBar {
    prepare(ProgressBar::new_spinner(), "{spinner} {msg} {elapsed}", what)
}

fn prepare(bar: ProgressBar, template: &str, what: &str) -> ProgressBar {
    // Draws nothing unless stderr is a terminal.
    bar.set_draw_target(ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.set_message(what.to_owned());
    if !bar.is_hidden() {
        bar.enable_steady_tick(TICK);
    }
    bar
}
