//! The frame: head, skip link, navigation, main, foot.

use axum::response::{Html, IntoResponse as _, Response};
use maud::{DOCTYPE, Markup, html};

use super::icons;
use crate::app::App;
use crate::assets;
use crate::view::time;

/// Where a page stands in the navigation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Services,
    Launch,
    HostNames,
    Data,
    Account,
    Admin,
    /// Sign-in and problems: not in the navigation.
    Outside,
}

/// Whether a page follows changes while it is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Live {
    No,
    /// On each change event; without script every 15 s.
    Events,
    /// The same, but without script not at all: a reader has typed or scrolled here.
    Page,
    /// Also every few seconds, for what makes no event (log lines).
    EventsAndBeat,
}

/// Who is signed in, as the head shows it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Person<'p> {
    pub(crate) name: &'p str,
    pub(crate) is_admin: bool,
}

/// One page.
pub(crate) struct Page<'p> {
    pub(crate) title: &'p str,
    pub(crate) place: Place,
    pub(crate) live: Live,
    /// Who is signed in; `None` leaves the navigation out.
    pub(crate) person: Option<Person<'p>>,
    pub(crate) body: Markup,
}

impl Page<'_> {
    /// The whole document.
    pub(crate) fn render(self) -> Markup {
        let beat = (self.live == Live::EventsAndBeat).then_some("4");
        let live = (self.live != Live::No).then_some("/events");
        // The browser's clock may be wrong. Pages for strangers are the same at any time.
        let now = self.person.map(|_signed_in| time::machine(&App::now()));
        html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    meta name="robots" content="noindex";
                    title { (self.title) " · Wharf" }
                    link rel="icon" href=(assets::icon()) type="image/svg+xml";
                    link rel="stylesheet" href=(assets::style());
                    script src=(assets::script()) defer {}
                    @if matches!(self.live, Live::Events | Live::EventsAndBeat) {
                        noscript { meta http-equiv="refresh" content="15"; }
                    }
                }
                body data-events=[live] data-beat=[beat] data-now=[now] {
                    a.skip href="#main" { "Skip to the content" }
                    (header(self.place, self.person))
                    main #main tabindex="-1" { (self.body) }
                    footer.foot { p { "Wharf " (env!("CARGO_PKG_VERSION")) } }
                    p #announcer.unseen role="status" aria-live="polite" {}
                }
            }
        }
    }
}

fn header(place: Place, person: Option<Person<'_>>) -> Markup {
    let links = [
        (Place::Services, "/", "Services"),
        (Place::Launch, "/launch", "Launch"),
        (Place::HostNames, "/host-names", "Host names"),
        (Place::Data, "/data", "Data"),
        (Place::Account, "/account", "Account"),
        (Place::Admin, "/admin", "Admin"),
    ];
    let shown = |at| at != Place::Admin || person.is_some_and(|person| person.is_admin);
    html! {
        header.top {
            div.top-inner {
                a.brand href="/" { (icons::mark()) span { "Wharf" } }
                @if let Some(person) = person {
                    nav aria-label="Main" {
                        ul {
                            @for (at, href, text) in links.into_iter().filter(|(at, ..)| shown(*at)) {
                                li { a href=(href) aria-current=[(at == place).then_some("page")] { (text) } }
                            }
                        }
                    }
                    p.person title=(person.name) { span.unseen { "Signed in as " } (person.name) }
                }
            }
        }
        div #connection.banner hidden {
            span role="status" {} " " span {} " "
            button.plain.small type="button" { "Try again" }
        }
    }
}

/// A page as an answer.
pub(crate) fn respond(markup: Markup) -> Response {
    Html(markup.into_string()).into_response()
}
