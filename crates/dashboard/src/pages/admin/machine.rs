//! What the site runs on: machines, storage, the proxy, the config, and what was changed last.

use client::LogEntry;
use maud::{Markup, html};
use model::site::{Node, ProxyFigures, Share, Site, Volume};
use model::{Timestamp, User};

use super::cordon;
use crate::html::parts;
use crate::pages::tabs::what_happened;
use crate::view::size;
use crate::view::state::State;

/// Of a hundred: from here on little is left.
const NEARLY_FULL: u64 = 90;
/// A dispatcher looks every few seconds; one that did not for so long hangs.
const LATE_S: i64 = 60;
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

pub(super) fn nodes(site: &Site, users: &[User], form_token: &str, now: &Timestamp) -> Markup {
    html! {
        section aria-labelledby="nodes-title" {
            h2 #nodes-title { "Machines" }
            ul.machines { @for node in &site.nodes { (node_card(node, users, form_token, now)) } }
        }
    }
}

fn node_card(node: &Node, users: &[User], form_token: &str, now: &Timestamp) -> Markup {
    let capacity = &node.capacity;
    html! {
        li.machine {
            div.machine-head {
                h3 { (node.name) }
                p.state { (heartbeat(node, now)) }
            }
            (bar("Containers", capacity.containers, |n| n.to_string()))
            (bar("CPUs", capacity.vcpus, |n| n.to_string()))
            (bar("Memory", capacity.ram_bytes, size::words))
            p.note { "What is promised to containers; they use less. More than the machine has may be promised (" code { "Containers.RAMOvercommit" } ", " code { "VCPUOvercommit" } ")." }
            (cordon::part(node, users, form_token, now))
        }
    }
}

/// A sign, a word and an age: who starts containers here, and whether that one is well.
fn heartbeat(node: &Node, now: &Timestamp) -> Markup {
    let age = node.looked_at.map(|at| now.as_jiff().as_second() - at.as_jiff().as_second());
    let sign = match (node.is_dispatching, age) {
        (false, _) => parts::sign(&State::Failed(String::new()), "Nothing dispatches"),
        (true, Some(age)) if age > LATE_S => {
            parts::sign(&State::NotAnswering, "Dispatcher is late")
        }
        (true, _) => parts::sign(&State::Ready, "Dispatching"),
    };
    html! {
        (sign)
        @if node.cordon.is_some() { (parts::sign(&State::Stopped, "Cordoned")) }
        @if let Some(at) = &node.looked_at { span.since { "looked " (parts::ago(at, now)) } }
    }
}

/// How much of something is taken: in words, as a bar, and marked where little is left.
fn bar(what: &str, share: Share, words: impl Fn(u64) -> String) -> Markup {
    let percent = match share.most {
        0 => 100,
        most => share.promised.saturating_mul(100).div_ceil(most).min(100),
    };
    let is_tight = percent >= NEARLY_FULL;
    html! {
        div.bar data-tight[is_tight] {
            span.bar-what { (what) }
            svg.bar-shape viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true" {
                rect.bar-ground width="100" height="8" {}
                rect.bar-fill width=(percent) height="8" {}
            }
            span.bar-words {
                strong { (words(share.promised)) } " of " (words(share.most))
                @if is_tight { ", nearly full" } @else { ", " (words(share.free())) " free" }
            }
        }
    }
}

pub(super) fn storage(site: &Site, now: &Timestamp) -> Markup {
    html! {
        section aria-labelledby="storage-title" {
            h2 #storage-title { "Storage" }
            ul.machines { @for volume in &site.volumes { (volume_card(volume)) } }
            @match &site.blocks {
                Some(blocks) => p.note {
                    (blocks.n_kept) " blocks, " (size::words(blocks.kept_bytes)) ", when they were last swept, "
                    (parts::ago(&blocks.swept_at, now)) "; " (blocks.n_trashed) " went to the trash then, and " (blocks.n_deleted) " were deleted."
                },
                None => p.note { "Blocks are counted when they are swept; they were not yet." },
            }
        }
    }
}

fn volume_card(volume: &Volume) -> Markup {
    let space = volume.free_bytes.zip(volume.size_bytes);
    html! {
        li.machine {
            div.machine-head {
                h3 { (volume.name) @if volume.is_read_only { " (read only)" } }
                p.state { @match &volume.trouble {
                    Some(_) => (parts::sign(&State::Failed(String::new()), "Out of reach")),
                    None => (parts::sign(&State::Ready, "In use")),
                } }
            }
            p.note { code { (volume.place) } }
            @if let Some((free, most)) = space {
                (bar("Space", Share { promised: most.saturating_sub(free), most }, size::words))
            }
            @if let Some(trouble) = &volume.trouble { p.why-line { (trouble) } }
        }
    }
}

pub(super) fn proxy(figures: &ProxyFigures, now: &Timestamp) -> Markup {
    let n_answers: u64 = figures.by_class.iter().sum();
    html! {
        section aria-labelledby="proxy-title" {
            h2 #proxy-title { "Proxy" }
            dl.figures {
                div { dt { "Requests open" } dd { (figures.n_open) } }
                div { dt { "Sockets among them" } dd { (figures.n_sockets) } }
                div { dt { "Answered" } dd { (n_answers) } }
                div { dt { "With an error (5xx)" } dd { (share_of(figures.by_class[4], n_answers)) } }
            }
            p.note {
                "By way of the controller that made this page, since it started " (parts::ago(&figures.since, now)) ": "
                @for (class, n) in CLASSES.into_iter().zip(figures.by_class).filter(|(_, n)| *n > 0) { (n) " × " (class) ", " }
                @if figures.refusals.is_empty() { "nothing refused." } @else { "and refused: " }
                @for (at, (reason, n)) in figures.refusals.iter().enumerate() {
                    @if at > 0 { ", " } (n) " × " (reason.replace('_', " "))
                }
            }
        }
    }
}

/// `0.3 %`.
fn share_of(n: u64, all: u64) -> String {
    let thousandths = n.saturating_mul(1000).checked_div(all).unwrap_or(0);
    format!("{}.{} %", thousandths / 10, thousandths % 10)
}

/// What was changed last, by whom.
pub(super) fn entries(entries: &[LogEntry], users: &[User], now: &Timestamp) -> Markup {
    let name_of = |uuid: &str| {
        let found = users.iter().find(|user| user.uuid.as_str() == uuid);
        found.map(User::full_name)
    };
    html! {
        section aria-labelledby="entries-title" {
            h2 #entries-title { "Changed last" }
            @if entries.is_empty() { p.note { "Nothing yet." } }
            @else { ol.rows { @for entry in entries {
                li.row {
                    span.row-name { (what_happened(entry)) ": " (object(entry)) }
                    span.since {
                        @if let Some(by) = entry.modified_by_user_uuid.as_deref().and_then(name_of) { "by " (by) ", " }
                        (parts::ago(&entry.created_at, now))
                    }
                }
            } } }
        }
    }
}

/// By its name, or the identifier of what has none; a link where there is a page of it.
fn object(entry: &LogEntry) -> Markup {
    let uuid = entry.object_uuid.as_deref().unwrap_or_default();
    let name = entry.properties["new_attributes"]["name"].as_str();
    let name = name.or(entry.properties["node"].as_str()).filter(|it| !it.is_empty());
    let words = html! { @match name { Some(name) => (name), None => code { (uuid) } } };
    let place = match uuid.get(6..11) {
        Some("xvhdp") => "services",
        Some("4zz18") => "data",
        _ => return words,
    };
    html! { a href=(format!("/{place}/{uuid}")) { (words) } }
}

/// As it was understood; there is no secret in it.
pub(super) fn config(text: &str) -> Markup {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    html! {
        section aria-labelledby="config-title" {
            h2 #config-title { "Config" }
            details {
                summary { "Every key as it was understood" }
                pre.json tabindex="0" role="region" aria-label="Config" { @for line in lines { (line) "\n" } }
            }
            (parts::command("wharf config check"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_says_in_words_what_it_shows() {
        let bar = |promised, most| bar("CPUs", Share { promised, most }, |n| n.to_string()).0;
        let half = bar(8, 16);
        assert!(
            half.contains("width=\"50\"") && half.contains("</strong> of 16, 8 free"),
            "{half}"
        );
        assert!(!half.contains("data-tight"));
        let tight = bar(31, 32);
        assert!(tight.contains("data-tight") && tight.contains("nearly full"), "{tight}");
        assert!(bar(0, 0).contains("width=\"100\""));
        assert!(bar(50, 16).contains("width=\"100\""));
        assert_eq!((share_of(3, 1000), share_of(0, 0)), ("0.3 %".to_owned(), "0.0 %".to_owned()));
    }
}
