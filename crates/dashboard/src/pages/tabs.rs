//! The smaller tabs of a service: what happened, what exactly runs.

use axum::response::Response;
use client::LogEntry;
use maud::{Markup, html};
use model::Timestamp;
use serde_json::Value;

use super::problem::NoPage;
use super::service::{Asked, Tab, framed};
use crate::app::App;
use crate::html::layout::Live;
use crate::html::parts;
use crate::view::draft::image_of;
use crate::view::{shell, size};

/// Events that are listed.
const EVENTS_MAX: u32 = 200;

pub(crate) async fn events(Asked { me, service }: Asked) -> Result<Response, NoPage> {
    let uuid = service.request.uuid;
    let container = service.container.as_ref().map(|it| it.uuid.to_string());
    let mut about = vec![uuid.as_str()];
    about.extend(container.as_deref());
    about.extend(service.host_names.iter().map(|link| link.uuid.as_str()));
    let entries = me.api.client.list_log_entries(&about, EVENTS_MAX).await;
    let entries = entries.map_err(|error| me.no_page(error.into(), "list of events"))?;
    // Of some changes nothing is left that people would see.
    let n = entries.len();
    let entries: Vec<LogEntry> = entries
        .into_iter()
        .filter(|entry| entry.event_type != "update" || !changed(&entry.properties).is_empty())
        .collect();
    let people = me.api.people().await;
    let now = App::now();
    let name_of =
        |uuid: &str| model::UserUuid::parse(uuid).ok().and_then(|uuid| people.get(&uuid).cloned());
    let body = html! {
        section aria-labelledby="events-title" #events data-live {
            h2 #events-title { "What happened" }
            @if entries.is_empty() { p.note { "Nothing is kept of it any more, or nothing that you may see." } }
            @else {
                ol.events {
                    @for entry in &entries { (event(entry, &now, &name_of)) }
                }
                @if n >= EVENTS_MAX as usize { p.note { "Only the newest " (EVENTS_MAX) " are shown." } }
            }
        }
    };
    Ok(framed(&me, &service, Tab::Events, Live::Events, &body))
}

/// `Request made`.
pub(super) fn what_happened(entry: &LogEntry) -> String {
    let what = match entry.object_uuid.as_deref().and_then(|uuid| uuid.get(6..11)) {
        Some("xvhdp") => "Request",
        Some("dz642") => "Container",
        Some("o0j2j") => "Link",
        Some("tpzed") => "User",
        Some("j7d0g") => "Group",
        Some("4zz18") => "Collection",
        Some("gj3su") => "Token",
        Some("7fd4e") => "Workflow",
        None if entry.properties["node"].is_string() => "Machine",
        _ => "Record",
    };
    let verb = match entry.event_type.as_str() {
        "create" => "made",
        "update" => "changed",
        "delete" => "deleted",
        "trash" => "put in the trash",
        "shell_start" => "entered by a shell",
        "shell_resume" => "entered again by a shell",
        "shell_end" => "left by a shell",
        "cordon" => "takes no new containers",
        "uncordon" => "takes new containers again",
        other => other,
    };
    format!("{what} {verb}")
}

fn event(entry: &LogEntry, now: &Timestamp, name_of: &dyn Fn(&str) -> Option<String>) -> Markup {
    let by = entry.modified_by_user_uuid.as_deref().and_then(name_of);
    html! {
        li {
            p {
                strong { (what_happened(entry)) }
                @if let Some(by) = by { " by " (by) }
                @if let Some(how) = entry.properties["how"].as_str().filter(|_| entry.event_type == "shell_end") { ": " (how) }
                " " span.since { (parts::ago(&entry.created_at, now)) }
            }
            @let changes = if entry.event_type == "update" { changed(&entry.properties) } else { Vec::new() };
            @if !changes.is_empty() {
                ul.changes { @for (name, from, to) in changes { li { code { (name) } " " (from) " → " (to) } } }
            }
        }
    }
}

/// What differs between the old and the new attributes, without what changes each time.
fn changed(properties: &Value) -> Vec<(String, String, String)> {
    let (Some(old), Some(new)) =
        (properties["old_attributes"].as_object(), properties["new_attributes"].as_object())
    else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for (name, value) in new {
        if !matches!(name.as_str(), "modified_at" | "modified_by_user_uuid" | "etag") {
            compare(name.clone(), old.get(name), value, &mut found);
        }
    }
    found
}

/// Goes down where both are objects, so that of a port only what changed is said.
fn compare(
    name: String,
    old: Option<&Value>,
    new: &Value,
    found: &mut Vec<(String, String, String)>,
) {
    match (old, new) {
        (Some(Value::Object(old)), Value::Object(new)) => {
            for (key, value) in new {
                compare(format!("{name}.{key}"), old.get(key), value, found);
            }
            for (key, value) in old.iter().filter(|(key, _)| !new.contains_key(*key)) {
                found.push((format!("{name}.{key}"), shown(Some(value)), shown(None)));
            }
        }
        (old, new) if old.unwrap_or(&Value::Null) != new => {
            found.push((name, shown(old), shown(Some(new))));
        }
        _ => {}
    }
}

/// A value on one short line.
fn shown(value: Option<&Value>) -> String {
    const CHARS_MAX: usize = 80;
    let text = match value {
        None | Some(Value::Null) => "none".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    match text.char_indices().nth(CHARS_MAX) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

pub(crate) async fn details(Asked { me, service }: Asked) -> Result<Response, NoPage> {
    let request = &service.request;
    let json = serde_json::to_string_pretty(request).unwrap_or_default();
    let container_json =
        service.container.as_ref().and_then(|it| serde_json::to_string_pretty(it).ok());
    let body = html! {
        div.columns #details data-live {
            section aria-labelledby="request-title" {
                h2 #request-title { "Request" }
                dl.facts {
                    dt { "Identifier" } dd { (parts::copyable(request.uuid.as_str(), request.uuid.as_str())) }
                    dt { "Owner" } dd { code { (request.owner_uuid) } }
                    dt { "Image" } dd { code { (image_of(request)) } }
                    dt { "Command" } dd { @if request.command.is_empty() { "the image's own" } @else { code { (shell::join(&request.command)) } } }
                    dt { "Directory" } dd { @if request.cwd == "." { "the image's own" } @else { code { (request.cwd) } } }
                    dt { "Output" } dd { code { (request.output_path) } }
                    dt { "Priority" } dd { (request.priority) }
                    dt { "Life" } dd { @if request.service { "a service: runs until it is stopped" } @else { "once through" } }
                }
            }
            section aria-labelledby="container-title" {
                h2 #container-title { "Container" }
                @match &service.container {
                    None => p.note { "There is none yet." },
                    Some(container) => {
                        dl.facts {
                            dt { "Identifier" } dd { (parts::copyable(container.uuid.as_str(), container.uuid.as_str())) }
                            dt { "State" } dd { (container.state.as_str()) }
                            dt { "Image" } dd { code { (container.container_image) } }
                            dt { "CPUs" } dd { (container.runtime_constraints.vcpus) }
                            dt { "Memory" } dd { (size::words(container.runtime_constraints.ram)) " at most" }
                            @if let Some(code) = container.exit_code { dt { "Exit code" } dd { (code) } }
                            dt { "Tries" } dd { (request.container_count) " of " (request.container_count_max) " containers" }
                        }
                    }
                }
            }
        }
        (mapping("Environment", "environment", request.environment.iter().map(|(name, value)| (name.as_str(), value.as_str().unwrap_or_default().to_owned()))))
        (mapping("Mounts", "mounts", request.mounts.iter().map(|(path, mount)| (path.as_str(), mount.to_string()))))
        section aria-labelledby="records-title" {
            h2 #records-title { "Records" }
            details { summary { "Request as the API has it" } pre.json tabindex="0" { (json) } }
            @if let Some(json) = container_json { details { summary { "Container as the API has it" } pre.json tabindex="0" { (json) } } }
        }
    };
    Ok(framed(&me, &service, Tab::Details, Live::Events, &body))
}

fn mapping<'m>(title: &str, id: &str, entries: impl Iterator<Item = (&'m str, String)>) -> Markup {
    let entries: Vec<(&str, String)> = entries.collect();
    html! {
        @if !entries.is_empty() {
            section aria-labelledby=(format!("{id}-title")) {
                h2 id=(format!("{id}-title")) { (title) }
                dl.facts { @for (name, value) in entries { dt { code { (name) } } dd { code { (value) } } } }
            }
        }
    }
}
