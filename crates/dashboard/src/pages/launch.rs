//! Launch: a form to fill in, from nothing, a template or another service, with what it will ask for beside it.
//!
//! The whole draft stands in the address of a preview, so that it can be sent on, and without script the button Preview
//! does what the script does while somebody types.

use axum::extract::{RawForm, RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use maud::{Markup, html};
use model::ContainerRequest;
use model::site::{Capacity, Share};

use super::problem::NoPage;
use super::signed_in::SignedIn;
use crate::app::App;
use crate::config::Template;
use crate::html::layout::{Live, Place};
use crate::html::parts;
use crate::view::draft::{Draft, PORT_ROWS_MAX, PortDraft, Wrong};
use crate::view::size;

/// Empty rows of ports below those that are filled in.
const PORT_ROWS_SPARE: usize = 1;

/// Everything that the page is made of.
struct Launch<'l> {
    draft: Draft,
    original: Option<ContainerRequest>,
    wrong: Vec<Wrong>,
    images: Vec<String>,
    templates: &'l [Template],
    /// The template that the draft began with.
    chosen: Option<String>,
    /// What there is for containers.
    room: Capacity,
}

pub(crate) async fn page(
    State(app): State<App>,
    me: SignedIn,
    RawQuery(query): RawQuery,
) -> Result<Response, NoPage> {
    let query = query.unwrap_or_default();
    let pairs = || form_urlencoded::parse(query.as_bytes());
    let templates = &app.0.config.templates;
    let value = |wanted| pairs().find(|(name, _)| name == wanted).map(|(_, value)| value);
    let chosen = value("template").map(std::borrow::Cow::into_owned);
    let template = templates.iter().find(|it| Some(&it.name) == chosen.as_ref());
    let typed = Draft::of_pairs(pairs());
    let original = original(&me, &typed).await?;
    let is_filled_in = value("image").is_some();
    let draft = match (is_filled_in, template, &original) {
        (true, ..) => typed,
        (false, Some(template), _) => Draft::of_template(template),
        (false, None, Some(original)) => Draft::of_request(original),
        (false, None, None) => Draft::blank(),
    };
    let room = room(&me).await;
    let launch = Launch {
        wrong: if is_filled_in {
            let mut wrong = draft.request(original.as_ref()).err().unwrap_or_default();
            wrong.extend(draft.too_much(&room));
            wrong
        } else {
            Vec::new()
        },
        room,
        images: images(&me).await,
        draft,
        original,
        templates,
        chosen: template.map(|it| it.name.clone()),
    };
    Ok(me.page(
        "Launch a service",
        Place::Launch,
        Live::No,
        render(&launch, &me.session.form_token),
    ))
}

pub(crate) async fn launch(
    State(app): State<App>,
    me: SignedIn,
    RawForm(form): RawForm,
) -> Result<Response, NoPage> {
    let pairs = || form_urlencoded::parse(&form);
    let form_token = pairs().find(|(name, _)| name == "form_token").map(|(_, value)| value);
    me.check_form(&form_token.unwrap_or_default())?;
    let draft = Draft::of_pairs(pairs());
    let original = original(&me, &draft).await?;
    let room = room(&me).await;
    let too_much = draft.too_much(&room);
    let wrong = match draft.request(original.as_ref()) {
        Err(wrong) => wrong.into_iter().chain(too_much).collect(),
        Ok(_) if !too_much.is_empty() => too_much,
        Ok(attributes) => match me.api.client.create_request_of(&attributes).await {
            Ok(request) => {
                if let Some(original) = &original {
                    keep_access(&me, original, &request).await?;
                }
                return Ok(name_it(&me, &draft, &request).await);
            }
            Err(error) if error.status().is_some_and(is_the_form_s) => {
                error.api_errors().iter().map(|text| draft.place_wrong(text)).collect()
            }
            Err(error) => return Err(me.no_page(error.into(), "service")),
        },
    };
    let images = images(&me).await;
    let templates = &app.0.config.templates;
    let launch = Launch { draft, original, wrong, images, templates, chosen: None, room };
    let body = render(&launch, &me.session.form_token);
    let mut response = me.page("Launch a service", Place::Launch, Live::No, body);
    *response.status_mut() = StatusCode::UNPROCESSABLE_ENTITY;
    Ok(response)
}

fn is_the_form_s(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::UNPROCESSABLE_ENTITY | StatusCode::FORBIDDEN | StatusCode::CONFLICT
    )
}

/// Opens a copy's ports to those who may open the original's.
async fn keep_access(
    me: &SignedIn,
    original: &ContainerRequest,
    copy: &ContainerRequest,
) -> Result<(), NoPage> {
    let no_page = |error| me.no_page(error, "service");
    let links = me.api.client.list_access(Some(original.uuid)).await;
    let links = links.map_err(|error| no_page(error.into()))?;
    // What the copy's maker was let in to is not the maker's to pass on; the copy's ports are.
    me.api.copy_access(&links, copy).await.map_err(no_page)
}

/// Sets the host name, and goes to the service either way: it runs, and its page can set another name.
async fn name_it(me: &SignedIn, draft: &Draft, request: &ContainerRequest) -> Response {
    let page = format!("/services/{}", request.uuid);
    let name = draft.host_name.trim().to_ascii_lowercase();
    let Some((port, _)) = request.published_ports.iter().next() else {
        return Redirect::to(&page).into_response();
    };
    if name.is_empty() || me.api.set_host_name(&name, request.uuid, port).await.is_ok() {
        return Redirect::to(&page).into_response();
    }
    Redirect::to(&format!("{page}/access?name={name}")).into_response()
}

async fn original(me: &SignedIn, draft: &Draft) -> Result<Option<ContainerRequest>, NoPage> {
    match draft.from {
        None => Ok(None),
        Some(uuid) => {
            let found = me.api.client.get_request(uuid).await;
            found.map(Some).map_err(|error| me.no_page(error.into(), "service"))
        }
    }
}

/// What there is for containers; nothing where that is not said.
async fn room(me: &SignedIn) -> Capacity {
    me.api.client.status().await.map(|status| status.capacity).unwrap_or_default()
}

/// Names to choose from; any other text may be typed, so none is no harm.
async fn images(me: &SignedIn) -> Vec<String> {
    let images = me.api.client.list_images().await.unwrap_or_default();
    images.into_iter().flat_map(|image| image.names).collect()
}

fn render(launch: &Launch<'_>, form_token: &str) -> Markup {
    let Launch { draft, original, wrong, .. } = launch;
    html! {
        div.title { h1 { @if original.is_some() { "Duplicate a service" } @else { "Launch a service" } } }
        @if let Some(original) = original {
            p.lead { "A copy of " a href=(format!("/services/{}", original.uuid)) { (if original.name.is_empty() { original.uuid.as_str() } else { &original.name }) }
                ". What the form does not show is kept too: mounts, properties, project, limits. Secret mounts cannot be read back." }
        } @else if !launch.templates.is_empty() { (templates(launch)) }
        @for wrong in wrong.iter().filter(|wrong| wrong.field.is_empty()) { p.notice role="alert" { (wrong.words) } }
        @if wrong.iter().any(|wrong| !wrong.field.is_empty()) {
            p.notice role="alert" { "Not launched yet: what is wrong stands at its field." }
        }
        form.launch method="post" action="/launch" data-preview="/launch" {
            (parts::form_token(form_token))
            @if let Some(uuid) = draft.from { input type="hidden" name="from" value=(uuid); }
            div.launch-form {
                (what(launch))
                (ports(launch))
                (resources(launch))
                div.choices {
                    button type="submit" { "Launch" }
                    button.plain type="submit" formmethod="get" formnovalidate data-no-script { "Preview" }
                    a.button.plain href="/" { "Cancel" }
                }
            }
            (preview(launch))
        }
    }
}

fn templates(launch: &Launch<'_>) -> Markup {
    html! {
        ul.templates aria-label="Templates" {
            @for template in launch.templates {
                @let query = form_urlencoded::Serializer::new(String::new()).append_pair("template", &template.name).finish();
                li {
                    a.template href=(format!("/launch?{query}")) aria-current=[(launch.chosen.as_ref() == Some(&template.name)).then_some("true")] {
                        strong { (template.name) }
                        span { @if template.description.is_empty() { (template.image) } @else { (template.description) } }
                    }
                }
            }
            li {
                a.template href="/launch" aria-current=[launch.chosen.is_none().then_some("true")] {
                    strong { "Something else" }
                    span { "Any image and command" }
                }
            }
        }
    }
}

impl Launch<'_> {
    fn wrong_at(&self, field: &str) -> Option<&str> {
        let found = self.wrong.iter().find(|wrong| wrong.field == field);
        found.map(|wrong| wrong.words.as_str())
    }
}

/// A label with its input, help and what is wrong.
fn field(
    launch: &Launch<'_>,
    name: &str,
    label: &str,
    help: &str,
    input: impl FnOnce(Attributes) -> Markup,
) -> Markup {
    let wrong = launch.wrong_at(name);
    let ids: Vec<String> = [
        wrong.map(|_| format!("wrong-{name}")),
        (!help.is_empty()).then(|| format!("help-{name}")),
    ]
    .into_iter()
    .flatten()
    .collect();
    let attributes = Attributes {
        id: format!("f-{name}"),
        described_by: (!ids.is_empty()).then(|| ids.join(" ")),
        invalid: wrong.map(|_| "true"),
    };
    html! {
        div.field {
            label for=(format!("f-{name}")) { (label) }
            (input(attributes))
            @if let Some(wrong) = wrong { p.wrong id=(format!("wrong-{name}")) { (label) " " (wrong) "." } }
            @if !help.is_empty() { p.note id=(format!("help-{name}")) { (help) } }
        }
    }
}

/// What each input carries.
struct Attributes {
    id: String,
    described_by: Option<String>,
    invalid: Option<&'static str>,
}

fn what(launch: &Launch<'_>) -> Markup {
    let draft = &launch.draft;
    html! {
        fieldset {
            legend { "What to run" }
            (field(launch, "name", "Name", "", |it| html! {
                input id=(it.id) name="name" value=(draft.name) maxlength="200" autocomplete="off" aria-describedby=[it.described_by] aria-invalid=[it.invalid];
            }))
            (field(launch, "image", "Image", "", |it| html! {
                input id=(it.id) name="image" value=(draft.image) required list="images" autocomplete="off" autocapitalize="none" spellcheck="false" aria-describedby=[it.described_by] aria-invalid=[it.invalid];
                datalist #images { @for image in &launch.images { option value=(image) {} } }
            }))
            (field(launch, "command", "Command", "Empty for the image's own. Quotes work as in a shell; variables do not.", |it| html! {
                input.mono id=(it.id) name="command" value=(draft.command) autocomplete="off" autocapitalize="none" spellcheck="false" aria-describedby=[it.described_by] aria-invalid=[it.invalid];
            }))
            (field(launch, "environment", "Environment", "One NAME=value a line.", |it| html! {
                textarea.mono id=(it.id) name="environment" rows="3" autocapitalize="none" spellcheck="false" aria-describedby=[it.described_by] aria-invalid=[it.invalid] { (draft.environment) }
            }))
        }
    }
}

fn ports(launch: &Launch<'_>) -> Markup {
    let draft = &launch.draft;
    let rows = (draft.ports.len() + PORT_ROWS_SPARE).clamp(2, PORT_ROWS_MAX);
    let blank = PortDraft::default();
    html! {
        fieldset {
            legend { "Ports people open" }
            p.note { "Each port is a button with an address of its own. The program may listen on 127.0.0.1." }
            @for index in 0..rows { (port_row(launch, index, draft.ports.get(index).unwrap_or(&blank))) }
            (field(launch, "host_name", "Host name", "A name people remember, for the first port. It can be moved to another service later.", |it| html! {
                input id=(it.id) name="host_name" value=(draft.host_name) maxlength="63" autocomplete="off" autocapitalize="none" spellcheck="false" aria-describedby=[it.described_by] aria-invalid=[it.invalid];
            }))
        }
    }
}

fn port_row(launch: &Launch<'_>, index: usize, row: &PortDraft) -> Markup {
    let part = |name: &str| {
        let wrong = launch.wrong_at(&format!("{name}-{index}"));
        (wrong.map(|_| "true"), wrong.map(|_| format!("wrong-{name}-{index}")))
    };
    let ((port_bad, port_by), (label_bad, label_by), (path_bad, path_by)) =
        (part("port"), part("label"), part("path"));
    html! {
        div.port-row role="group" aria-label=(format!("Port {}", index + 1)) {
            label { span { "Port" } input name="port" value=(row.port) inputmode="numeric" maxlength="5" autocomplete="off" aria-invalid=[port_bad] aria-describedby=[port_by]; }
            label { span { "Label" } input name="label" value=(row.label) maxlength="200" autocomplete="off" aria-invalid=[label_bad] aria-describedby=[label_by]; }
            label { span { "Who may enter" }
                select name="access" {
                    option value="private" selected[!row.is_public] { "Only me" }
                    option value="public" selected[row.is_public] { "Everyone" }
                }
            }
            label { span { "Opens at" } input.mono name="path" value=(row.path) placeholder="/" autocomplete="off" autocapitalize="none" spellcheck="false" aria-invalid=[path_bad] aria-describedby=[path_by]; }
            @for name in ["port", "label", "path"] {
                @if let Some(wrong) = launch.wrong_at(&format!("{name}-{index}")) {
                    p.wrong id=(format!("wrong-{name}-{index}")) { @if name == "label" { "The label " } @else if name == "path" { "Where it opens " } @else { "The port " } (wrong) "." }
                }
            }
        }
    }
}

fn resources(launch: &Launch<'_>) -> Markup {
    let Launch { draft, room, .. } = launch;
    html! {
        fieldset.pair {
            legend { "Resources and limits" }
            (field(launch, "cpus", "CPUs", &free("", room.vcpus, |n| n.to_string()), |it| html! {
                input id=(it.id) name="cpus" value=(draft.cpus) inputmode="numeric" required autocomplete="off" aria-describedby=[it.described_by] aria-invalid=[it.invalid];
            }))
            (field(launch, "ram", "Memory", &free("More than that ends it.", room.ram_bytes, size::words), |it| html! {
                input id=(it.id) name="ram" value=(draft.ram) required autocomplete="off" aria-describedby=[it.described_by] aria-invalid=[it.invalid];
            }))
            (field(launch, "idle", "Stop when nobody used it for", "Such as 2 h. Requests, what people type, and work of its programs are use; an open page is none.", |it| html! {
                input id=(it.id) name="idle" value=(draft.idle) autocomplete="off" aria-describedby=[it.described_by] aria-invalid=[it.invalid];
            }))
            (field(launch, "max_life", "Stop when it has run for", "Such as 3 d. It can be extended while it runs.", |it| html! {
                input id=(it.id) name="max_life" value=(draft.max_life) autocomplete="off" aria-describedby=[it.described_by] aria-invalid=[it.invalid];
            }))
        }
    }
}

/// A help that ends with what is not promised to others.
fn free(help: &str, share: Share, words: impl Fn(u64) -> String) -> String {
    if share.most == 0 {
        return help.to_owned();
    }
    let text = format!("{help} {} of {} are free now.", words(share.free()), words(share.most));
    text.trim_start().to_owned()
}

/// What the form asks for, as the API gets it and as a command.
fn preview(launch: &Launch<'_>) -> Markup {
    let request = launch.draft.request(launch.original.as_ref());
    html! {
        aside.preview #preview aria-labelledby="preview-title" {
            h2 #preview-title { "What will be asked for" }
            @match request {
                Ok(attributes) => {
                    h3 { "From a terminal" }
                    (parts::command(&launch.draft.command_line()))
                    h3 { "Container request" }
                    @let json = serde_json::to_string_pretty(&attributes).unwrap_or_default();
                    (parts::command(&json))
                }
                Err(wrong) => {
                    p.note { "Complete the form to see the request:" }
                    ul.changes { @for wrong in wrong { li { (wrong.field.split('-').next().unwrap_or_default()) " " (wrong.words) } } }
                }
            }
        }
    }
}
