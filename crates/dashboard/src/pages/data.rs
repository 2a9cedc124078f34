//! Data: collections to look for, and the files of one.

use axum::Form;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use client::{CollectionSummary, ListQuery};
use manifest::{Manifest, Node, Tree};
use maud::{Markup, html};
use model::{JsonMap, Timestamp};
use serde::Deserialize;

use super::files::address;
use super::problem::{NoPage, Problem};
use super::signed_in::SignedIn;
use crate::app::App;
use crate::html::layout::{Live, Place};
use crate::html::parts;
use crate::view::size;

/// Collections on one page.
const PAGE_ROWS: u32 = 50;
/// Entries of a directory that are listed.
const ENTRIES_MAX: usize = 1000;

#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct DataQuery {
    q: String,
    page: String,
}

#[derive(Deserialize)]
pub(crate) struct NewCollectionForm {
    form_token: String,
    name: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct BrowseQuery {
    /// Directory, without slashes at its ends.
    dir: String,
}

pub(crate) async fn list(me: SignedIn, Query(query): Query<DataQuery>) -> Result<Response, NoPage> {
    let page = query.page.parse::<u32>().unwrap_or(1).clamp(1, 10_000);
    let mut wanted = ListQuery::default()
        .order("modified_at desc")
        .limit(PAGE_ROWS)
        .offset(u64::from((page - 1) * PAGE_ROWS))
        .count();
    let text = query.q.trim();
    if !text.is_empty() {
        wanted = wanted.filter("name", "ilike", format!("%{text}%"));
    }
    let found = me.api.client.list_collections(&wanted).await;
    let found = found.map_err(|error| me.no_page(error.into(), "list of collections"))?;
    let n = found.items_available.unwrap_or(found.items.len() as u64);
    let now = App::now();
    let body = html! {
        div.title { h1 { "Data" } p.counts { (n) " collection" @if n != 1 { "s" } } }
        div.tools {
            form.search method="get" action="/data" role="search" {
                input type="search" name="q" value=(query.q) placeholder="Name" aria-label="Find collections";
                button.plain type="submit" { "Find" }
            }
        }
        @if found.items.is_empty() {
            div.empty { p.lead { @if text.is_empty() { "There are no collections that you may read." } @else { "No collection has that in its name." } } }
        } @else {
            ul.rows { @for collection in &found.items { (row(collection, &now)) } }
        }
        (pages(text, page, n))
        section aria-labelledby="new-title" {
            h2 #new-title { "A new collection" }
            form.inline.two method="post" action="/data" {
                (parts::form_token(&me.session.form_token))
                label { span { "Name" } input name="name" required maxlength="200" autocomplete="off"; }
                button type="submit" { "Make it" }
            }
        }
    };
    Ok(me.page("Data", Place::Data, Live::No, body))
}

fn row(collection: &CollectionSummary, now: &Timestamp) -> Markup {
    let name = name_of(collection);
    html! {
        li.row {
            a.row-name href=(format!("/data/{}", collection.uuid)) { (name) }
            p.state {
                span.since { (collection.file_count) " file" @if collection.file_count != 1 { "s" } ", " (size::words(collection.file_size_total)) }
                span.since { "changed " (parts::ago(&collection.modified_at, now)) }
            }
        }
    }
}

fn name_of(collection: &CollectionSummary) -> &str {
    match collection.name.trim() {
        "" => &collection.uuid,
        name => name,
    }
}

fn pages(text: &str, page: u32, n: u64) -> Markup {
    let address = |page: u32| {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("q", text).append_pair("page", &page.to_string());
        format!("/data?{}", query.finish())
    };
    let is_last = u64::from(page * PAGE_ROWS) >= n;
    html! {
        @if page > 1 || !is_last {
            nav.pages aria-label="Pages" {
                @if page > 1 { a.button.plain rel="prev" href=(address(page - 1)) { "Before" } }
                span { "Page " (page) }
                @if !is_last { a.button.plain rel="next" href=(address(page + 1)) { "Next" } }
            }
        }
    }
}

pub(crate) async fn create(
    me: SignedIn,
    Form(form): Form<NewCollectionForm>,
) -> Result<Response, NoPage> {
    me.check_form(&form.form_token)?;
    let made = me.api.client.create_collection(form.name.trim(), &JsonMap::new(), "", None).await;
    let made = made.map_err(|error| me.no_page(error.into(), "collection"))?;
    Ok(Redirect::to(&format!("/data/{}", made.uuid)).into_response())
}

pub(crate) async fn browse(
    State(_app): State<App>,
    me: SignedIn,
    Path(uuid): Path<String>,
    Query(query): Query<BrowseQuery>,
) -> Result<Response, NoPage> {
    if !model::uuid::looks_like_uuid(&uuid) {
        return Err(Problem::not_found("collection").into());
    }
    let found = me.api.client.get_collection(&uuid).await;
    let collection = found.map_err(|error| me.no_page(error.into(), "collection"))?;
    let manifest = Manifest::parse(&collection.manifest_text).ok();
    let tree = manifest.as_ref().and_then(|manifest| Tree::of(manifest).ok());
    let tree = tree.ok_or_else(|| Problem::unreadable("collection"))?;
    let dir = query.dir.trim_matches('/');
    let root = Node::directory();
    let node = match dir {
        "" => tree.get("").or(Some(&root)),
        dir => tree.get(dir),
    };
    let node = node.filter(|node| node.is_directory());
    let node = node.ok_or_else(|| Problem::not_found("directory"))?;
    let now = App::now();
    let body = html! {
        p.trail { a href="/data" { "Data" } (trail(&collection, dir)) }
        div.title {
            h1 { (name_of(&collection)) }
            p.counts { (collection.file_count) " files, " (size::words(collection.file_size_total)) ", changed " (parts::ago(&collection.modified_at, &now)) }
        }
        (entries(&uuid, dir, node))
        (upload(&uuid, dir, &me.session.form_token))
        section aria-labelledby="facts-title" {
            h2 #facts-title { "What it is" }
            dl.facts {
                dt { "Identifier" } dd { (parts::copyable(&collection.uuid, &collection.uuid)) }
                dt { "Content" } dd { (parts::copyable(&collection.portable_data_hash, &collection.portable_data_hash)) }
                dt { "Owner" } dd { code { (collection.owner_uuid) } }
            }
        }
    };
    Ok(me.page(name_of(&collection), Place::Data, Live::No, body))
}

/// The directories down to this one, each a link.
fn trail(collection: &CollectionSummary, dir: &str) -> Markup {
    let mut so_far = String::new();
    let steps: Vec<(String, &str)> = dir
        .split('/')
        .filter(|name| !name.is_empty())
        .map(|name| {
            if !so_far.is_empty() {
                so_far.push('/');
            }
            so_far.push_str(name);
            (so_far.clone(), name)
        })
        .collect();
    html! {
        @if !dir.is_empty() { " / " a href=(format!("/data/{}", collection.uuid)) { (name_of(collection)) } }
        @for (path, name) in &steps { " / " a href=(directory(&collection.uuid, path)) { (name) } }
    }
}

fn directory(uuid: &str, dir: &str) -> String {
    let query = form_urlencoded::Serializer::new(String::new()).append_pair("dir", dir).finish();
    format!("/data/{uuid}?{query}")
}

fn entries(uuid: &str, dir: &str, node: &Node) -> Markup {
    let path_of =
        |name: &str| if dir.is_empty() { name.to_owned() } else { format!("{dir}/{name}") };
    let mut entries: Vec<(&str, &Node)> = node.entries().collect();
    entries.sort_by_key(|(name, node)| (!node.is_directory(), name.to_lowercase()));
    let n = entries.len();
    html! {
        @if n == 0 { div.empty { p.lead { "There is no file here yet." } } }
        @else {
            ul.rows.files {
                @for (name, node) in entries.into_iter().take(ENTRIES_MAX) {
                    li.row {
                        @if node.is_directory() {
                            a.row-name href=(directory(uuid, &path_of(name))) { (name) "/" }
                        } @else {
                            a.row-name href=(address(uuid, &path_of(name))) download { (name) }
                            span.since { (size::words(node.size())) }
                        }
                    }
                }
            }
            @if n > ENTRIES_MAX { p.note { (n - ENTRIES_MAX) " more are not shown." } }
        }
    }
}

/// Files are sent one by one as they are, by script: a form would have to be taken apart on the way.
fn upload(uuid: &str, dir: &str, form_token: &str) -> Markup {
    html! {
        section aria-labelledby="upload-title" {
            h2 #upload-title { "Upload files" }
            noscript { p.note { "This needs the page's script. Any WebDAV client and `arv-put` can do it too." } }
            form.inline.two data-upload=(format!("/data/{uuid}/files/")) data-dir=(dir) data-token=(form_token) hidden {
                label { span { "Files" @if !dir.is_empty() { " for " (dir) } } input type="file" multiple; }
                button type="submit" { "Upload" }
                p.note role="status" data-upload-state {}
            }
        }
    }
}
