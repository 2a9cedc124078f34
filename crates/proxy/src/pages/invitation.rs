//! What somebody sees who was invited: a question, and the way on.

use maud::{Markup, html};

use super::layout::{self, Content};

/// The form goes to the page's own address, which has the secret in it.
pub(super) fn ask(request_id: &str) -> Markup {
    let body = html! {
        p { "Somebody invited you to a service here. Enter it in this browser?" }
        p.soft { "An invitation may be good only a few times, so it is used when you press the button and not before." }
        form.actions method="post" { button type="submit" { "Enter" } }
    };
    page("You are invited", body, Vec::new(), request_id)
}

pub(super) fn lead(path: &str, request_id: &str) -> Markup {
    let body = html! { p { "The service opens by itself." } };
    page("You are in", body, vec![("Go on", path.to_owned())], request_id)
}

fn page(
    title: &str,
    body: Markup,
    actions: Vec<(&'static str, String)>,
    request_id: &str,
) -> Markup {
    let content = Content {
        title: title.to_owned(),
        code: String::new(),
        body,
        actions,
        head: html! {},
        script: None,
    };
    layout::page(&content, request_id)
}
