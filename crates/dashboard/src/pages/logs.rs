//! The log of a service: the last lines, more as they come where there is script, all of it to download.

use axum::body::Body;
use axum::extract::{Path, Query};
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use client::{LogSelection, LogStreamName};
use maud::html;
use serde::Deserialize;

use super::problem::NoPage;
use super::service::{Asked, Tab, framed, lines_of, request_uuid};
use super::signed_in::SignedIn;
use crate::assets;
use crate::html::layout::Live;
use crate::html::parts;
use crate::upstream::LOG_PAGE_LINES;

/// Lines that a stream begins with.
const FOLLOW_LINES: u64 = 2000;

#[derive(Deserialize)]
pub(crate) struct LogQuery {
    /// Only lines with this text; also works without script, on the last lines.
    #[serde(default)]
    q: String,
}

pub(crate) async fn page(
    Asked { me, service }: Asked,
    Query(query): Query<LogQuery>,
) -> Result<Response, NoPage> {
    let uuid = service.request.uuid;
    let log = me.api.log_tail(uuid, LOG_PAGE_LINES).await;
    let wanted = query.q.to_lowercase();
    let lines = log.map(|lines| {
        let has = |text: &str| text.to_lowercase().contains(&wanted);
        lines.into_iter().filter(|line| has(&line.text)).collect::<Vec<_>>()
    });
    let body = html! {
        section aria-labelledby="log-title" {
            h2.unseen #log-title { "Log" }
            form.log-tools method="get" {
                input type="search" name="q" value=(query.q) placeholder="Find in the log" aria-label="Find in the log" data-log-find;
                button.plain type="submit" data-no-script { "Find" }
                span.log-count role="status" data-log-count {}
                label.check hidden data-log-tool { input type="checkbox" data-log-wrap checked; "Wrap" }
                button.plain type="button" hidden data-log-tool data-log-pause aria-pressed="false" { "Pause" }
                a.button.plain href=(format!("/services/{uuid}/logs/download")) { "Download" }
            }
            @match &lines {
                None => p.note { "The log cannot be read right now." },
                Some(lines) => {
                    pre.log.tall #log tabindex="0" role="region" aria-label="Log lines"
                        data-follow=[(!service.state.is_over()).then(|| format!("/services/{uuid}/logs/follow"))] { (lines_of(lines)) }
                    @if lines.is_empty() { p.note #log-empty { @if wanted.is_empty() { "Nothing written yet." } @else { "No line of the last " (LOG_PAGE_LINES) " has that text." } } }
                    p.note { "Times are UTC. " b { "err" } " marks standard error, " b { "wharf" } " what the supervisor says. The page begins with the last " (LOG_PAGE_LINES) " lines; the download has all." }
                }
            }
            (parts::command(&format!("wharf logs -f {uuid}")))
        }
    };
    let body = html! { (body) script src=(assets::log_script()) defer {} };
    Ok(framed(&me, &service, Tab::Logs, Live::Page, &body))
}

/// The log as it comes, for the page's script.
pub(crate) async fn follow(me: SignedIn, Path(uuid): Path<String>) -> Result<Response, NoPage> {
    let uuid = request_uuid(&uuid)?;
    let selection =
        LogSelection { stream: LogStreamName::All, follow: true, tail: Some(FOLLOW_LINES) };
    let stream = me.api.log(uuid, selection).await.map_err(|error| me.no_page(error, "log"))?;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    Ok(([(header::CONTENT_TYPE, plain)], Body::from_stream(stream)).into_response())
}

pub(crate) async fn download(me: SignedIn, Path(uuid): Path<String>) -> Result<Response, NoPage> {
    let uuid = request_uuid(&uuid)?;
    let selection = LogSelection { stream: LogStreamName::All, follow: false, tail: None };
    let stream = me.api.log(uuid, selection).await.map_err(|error| me.no_page(error, "log"))?;
    let headers: [(HeaderName, String); 2] = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{uuid}.log\"")),
    ];
    Ok((headers, Body::from_stream(stream)).into_response())
}
