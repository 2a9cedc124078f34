//! Whether a machine takes new containers: what is said of it, and the button that changes it.

use axum::Form;
use axum::response::{IntoResponse as _, Redirect, Response};
use maud::{Markup, html};
use model::site::Node;
use model::{Timestamp, User};
use serde::Deserialize;

use crate::html::parts;
use crate::pages::problem::NoPage;
use crate::pages::signed_in::SignedIn;

/// Where the card of a machine is.
const MACHINES: &str = "/admin#nodes-title";

#[derive(Deserialize)]
pub(crate) struct CordonForm {
    form_token: String,
    node: String,
}

pub(super) fn part(node: &Node, users: &[User], form_token: &str, now: &Timestamp) -> Markup {
    let (action, word) = match &node.cordon {
        None => ("/admin/cordon", "Take no new containers"),
        Some(_) => ("/admin/uncordon", "Take new containers again"),
    };
    html! {
        @if let Some(cordon) = &node.cordon {
            p.note {
                strong { "It takes no new containers" } ", since " (parts::ago(&cordon.since, now))
                @if let Some(by) = users.iter().find(|user| user.uuid == cordon.by_user_uuid) { " by " (by.full_name()) }
                ". What runs goes on; what is submitted waits."
            }
        }
        form.choices method="post" action=(action) {
            (parts::form_token(form_token))
            input type="hidden" name="node" value=(node.name);
            button.plain type="submit" { (word) }
        }
    }
}

pub(crate) async fn set(me: SignedIn, Form(form): Form<CordonForm>) -> Result<Response, NoPage> {
    me.check_form(&form.form_token)?;
    let set = me.api.client.cordon(&form.node).await;
    set.map_err(|error| me.no_page(error.into(), "machine"))?;
    Ok(Redirect::to(MACHINES).into_response())
}

pub(crate) async fn lift(me: SignedIn, Form(form): Form<CordonForm>) -> Result<Response, NoPage> {
    me.check_form(&form.form_token)?;
    let lifted = me.api.client.uncordon(&form.node).await;
    lifted.map_err(|error| me.no_page(error.into(), "machine"))?;
    Ok(Redirect::to(MACHINES).into_response())
}
