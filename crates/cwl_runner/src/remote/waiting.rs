//! Waits for the end of a request, told by events; looks now and then, too, as an event may be lost.

use std::time::Duration;

use client::{Client, ClientError, EventStream, LogSelection};
use futures_util::StreamExt as _;
use model::{
    Container, ContainerPort, ContainerRequest, PublishedPort, RequestState, RequestUuid,
    ServiceDomain,
};
use tokio::time::{Instant, sleep, timeout};

use crate::job::Job;

/// An event may be lost; looking again this often costs nothing.
const LOOK_PERIOD: Duration = Duration::from_secs(2);
/// A controller that restarts is back by then.
const OUTAGE_MAX: Duration = Duration::from_secs(30);
/// Between tries while it is away.
const RETRY_WAIT: Duration = Duration::from_millis(500);
/// Lines of a failed program's log that are told.
const LOG_LINES: u64 = 20;

/// How a request ended.
pub(super) struct Over {
    /// Of the program; `None` if it never ran to its end.
    pub(super) exit_code: Option<i32>,
    /// Identifier of the output collection.
    pub(super) output: Option<String>,
    /// Why, where somebody knows.
    pub(super) words: String,
}

/// Waits for the end, and tells of ports that become ready.
pub(super) async fn until_over(
    client: &Client,
    uuid: RequestUuid,
    job: &Job,
    tell: &dyn Fn(&str),
    open: Option<fn(&str)>,
) -> Result<Over, ClientError> {
    let mut events: Option<EventStream> = None;
    let mut told: Vec<ContainerPort> = Vec::new();
    let mut outage: Option<Instant> = None;
    loop {
        match look(client, uuid).await {
            Ok((request, container)) => {
                outage = None;
                if let Some(container) = &container
                    && !job.ports.is_empty()
                {
                    tell_ready(client, &request, container, &mut told, tell, open).await;
                }
                if request.state == RequestState::Final {
                    let words = container
                        .as_ref()
                        .and_then(Container::error_words)
                        .unwrap_or("it was stopped")
                        .to_owned();
                    let exit_code = container.and_then(|container| container.exit_code);
                    return Ok(Over { exit_code, output: request.output_uuid, words });
                }
            }
            Err(error)
                if error.is_retryable()
                    && outage.is_none_or(|since| since.elapsed() < OUTAGE_MAX) =>
            {
                outage.get_or_insert_with(Instant::now);
                sleep(RETRY_WAIT).await;
            }
            Err(error) => return Err(error),
        }
        next_change(client, &mut events).await;
    }
}

async fn look(
    client: &Client,
    uuid: RequestUuid,
) -> Result<(ContainerRequest, Option<Container>), ClientError> {
    let request = client.get_request(uuid).await?;
    let container = match request.container_uuid {
        Some(uuid) => Some(client.get_container(uuid).await?),
        None => None,
    };
    Ok((request, container))
}

/// Returns when something changed, or the period is over. A feed that was only just opened counts as a change.
async fn next_change(client: &Client, events: &mut Option<EventStream>) {
    let change = async {
        let Some(feed) = events else {
            match client.events().await {
                Ok(feed) => *events = Some(feed),
                Err(_not_now) => std::future::pending().await,
            }
            return;
        };
        if !matches!(feed.next().await, Some(Ok(_))) {
            *events = None;
            std::future::pending().await
        }
    };
    // Cancel-safe: a change that is lost here is seen by the look that follows at once.
    let _either = timeout(LOOK_PERIOD, change).await;
}

async fn tell_ready(
    client: &Client,
    request: &ContainerRequest,
    container: &Container,
    told: &mut Vec<ContainerPort>,
    tell: &dyn Fn(&str),
    open: Option<fn(&str)>,
) {
    for (port, entry) in container.published_ports.iter() {
        if !entry.is_ready() || told.contains(&port) {
            continue;
        }
        let url = address(client, request, port, entry).await;
        tell(&format!("{url}  {} ({})", entry.label, entry.access.as_str()));
        if let Some(open) = open.filter(|_| told.is_empty()) {
            match client.handoff(request.uuid.as_str(), Some(port), None).await {
                Ok(url) => open(&url),
                Err(error) => tell(&format!("cannot open it: {error}")),
            }
        }
        told.push(port);
    }
}

/// By the request, which stays the same where a container is tried again; else what the container says.
async fn address(
    client: &Client,
    request: &ContainerRequest,
    port: ContainerPort,
    entry: &PublishedPort,
) -> String {
    let domain = client.service_domain().await.ok().flatten().filter(ServiceDomain::is_wildcard);
    match (domain, &entry.initial_url) {
        (Some(domain), _) => {
            let base = domain.url_of(&format!("{}-{port}", request.uuid));
            model::initial_url(&base, &entry.initial_path)
        }
        (None, Some(url)) => url.clone(),
        (None, None) => format!("port {port}"),
    }
}

/// The end of a program's log, for people.
pub(super) async fn tell_log(client: &Client, uuid: RequestUuid, tell: &dyn Fn(&str)) {
    let selection = LogSelection { tail: Some(LOG_LINES), ..LogSelection::default() };
    let Ok(mut pieces) = client.logs(uuid.as_str(), selection).await else { return };
    let mut text = Vec::new();
    while let Some(Ok(piece)) = pieces.next().await {
        text.extend_from_slice(&piece);
    }
    String::from_utf8_lossy(&text).lines().for_each(tell);
}
