//! Drawings, all our own: the mark, and one shape per state so that colour is never alone.

use maud::{Markup, html};

use crate::view::state::State;

/// The mark in the page's head: a jetty over water.
pub(crate) fn mark() -> Markup {
    html! {
        svg.mark viewBox="0 0 32 32" aria-hidden="true" focusable="false" {
            rect.mark-ground width="32" height="32" rx="8" {}
            path.mark-jetty d="M6 12h20M9 12v9M16 12v9M23 12v9" {}
            path.mark-water d="M5 25c2-1.6 3.6-1.6 5.5 0s3.6 1.6 5.5 0 3.6-1.6 5.5 0 3.6 1.6 5.5 0" {}
        }
    }
}

/// The shape of a state, 16 units square.
pub(crate) fn state(state: &State) -> Markup {
    html! {
        svg.shape viewBox="0 0 16 16" aria-hidden="true" focusable="false" {
            @match state {
                State::Draft => { circle.line cx="8" cy="8" r="6" stroke-dasharray="2.5 2.5" {} }
                State::Queued => {
                    circle.line cx="8" cy="8" r="6" {}
                    path.line d="M8 4.8V8l2.2 1.6" {}
                }
                State::Starting => {
                    circle.faint cx="8" cy="8" r="6" {}
                    path.line.turning d="M8 2a6 6 0 0 1 6 6" {}
                }
                State::Ready | State::Running => {
                    circle.full cx="8" cy="8" r="7" {}
                    path.cut d="M4.8 8.3l2.2 2.2 4.2-4.6" {}
                }
                State::NotAnswering => {
                    circle.line cx="8" cy="8" r="6" {}
                    path.line d="M8 4.6v4M8 11.2v.1" {}
                }
                State::Stopping => {
                    circle.faint cx="8" cy="8" r="6" {}
                    rect.full x="5.5" y="5.5" width="5" height="5" rx="1" {}
                }
                State::Stopped => { rect.line x="3" y="3" width="10" height="10" rx="2" {} }
                State::Finished => { path.line d="M3 8.5l3.3 3.3L13 5" {} }
                State::Failed(_) => {
                    path.full d="M8 1.2l7 12.8H1z" {}
                    path.cut d="M8 6v3.6M8 11.8v.1" {}
                }
            }
        }
    }
}

/// "Opens in a new tab."
pub(crate) fn new_tab() -> Markup {
    html! {
        svg.arrow viewBox="0 0 16 16" aria-hidden="true" focusable="false" {
            path d="M5 11L11 5M5.5 5H11v5.5" {}
        }
    }
}

/// A lock, open or shut.
pub(crate) fn lock(shut: bool) -> Markup {
    html! {
        svg.lock viewBox="0 0 16 16" aria-hidden="true" focusable="false" {
            rect x="3" y="7.5" width="10" height="6.5" rx="1.5" {}
            @if shut { path d="M5.2 7.5V5a2.8 2.8 0 0 1 5.6 0v2.5" {} }
            @else { circle cx="8" cy="4" r="2" {} }
        }
    }
}
