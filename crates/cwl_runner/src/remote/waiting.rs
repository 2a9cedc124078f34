//! Waits for the end of a request, told by events; looks now and then, too, as an event may be lost.

use std::time::Duration;

use client::{Client, ClientError, LogSelection};
use cwl::service::{Lifetime, Service};
use futures_util::StreamExt as _;
use model::{
    Container, ContainerPort, ContainerRequest, ContainerState, PublishedPort, RequestState,
    RequestUuid, ServiceDomain,
};
use tokio::time::{Instant, sleep};

use super::Open;
use super::feed::Feed;
use super::patience::patiently;
use super::probes::{LogWatch, succeeds};
use crate::job::Job;
use crate::news::{Listener, News, ProgramState, What};
use crate::probe::is_well;
use crate::serving::{Reach, Serving};

/// An event may be lost; looking again this often costs nothing.
const LOOK_PERIOD: Duration = Duration::from_secs(5);
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
    /// A service that was asked to end.
    pub(super) as_asked: bool,
    /// A service that goes on by itself.
    pub(super) is_left: bool,
}

/// A request that is waited for.
pub(super) struct Watch<'w> {
    pub(super) client: &'w Client,
    pub(super) feed: &'w Feed,
    pub(super) uuid: RequestUuid,
    pub(super) job: &'w Job,
    pub(super) listener: &'w dyn Listener,
    /// Receives the address of the first port that is ready.
    pub(super) open: Option<Open>,
}

/// What is known of the program that is waited for.
#[derive(Default)]
struct Seen {
    told: Vec<ContainerPort>,
    running_since: Option<Instant>,
    /// As a service that others use.
    is_ready: bool,
    log: LogWatch,
    as_asked: bool,
}

impl Watch<'_> {
    /// Waits for the end, and tells of ports that become ready; in words, why it cannot.
    pub(super) async fn until_over(
        self,
        mut serving: Option<&mut Serving<'_>>,
    ) -> Result<Over, String> {
        let mut changes = self.feed.listen();
        changes.add(self.uuid.as_str());
        let mut seen = Seen::default();
        let mut outage: Option<Instant> = None;
        loop {
            match look(self.client, self.uuid).await {
                Ok((request, container)) => {
                    outage = None;
                    if let Some(container) = &container {
                        changes.add(container.uuid.as_str());
                    }
                    let serving = serving.as_deref_mut();
                    if let Some(over) = self.follow(&request, container, &mut seen, serving).await?
                    {
                        return Ok(over);
                    }
                }
                Err(error)
                    if error.is_retryable()
                        && outage.is_none_or(|since| since.elapsed() < OUTAGE_MAX) =>
                {
                    outage.get_or_insert_with(Instant::now);
                    sleep(RETRY_WAIT).await;
                }
                Err(error) => return Err(error.to_string()),
            }
            let period = self.look_again(&seen, serving.as_deref());
            let is_held = serving.as_ref().is_some_and(|it| it.was_ready()) && !seen.as_asked;
            let released = async {
                match serving.as_mut().filter(|_| is_held) {
                    Some(serving) => drop((&mut serving.released).await),
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = changes.next() => {}
                () = sleep(period) => {}
                () = seen.log.found() => {}
                () = released => {
                    seen.as_asked = true;
                    self.cancel().await?;
                }
            }
        }
    }

    /// What the records say now; the end, where it is one.
    async fn follow(
        &self,
        request: &ContainerRequest,
        container: Option<Container>,
        seen: &mut Seen,
        serving: Option<&mut Serving<'_>>,
    ) -> Result<Option<Over>, String> {
        if let Some(container) = &container
            && !self.job.ports.is_empty()
        {
            self.tell_ready(request, container, &mut seen.told).await;
        }
        if request.state == RequestState::Final {
            return Ok(Some(over(request, container, seen.as_asked)));
        }
        let Some(container) = container.filter(|it| it.state == ContainerState::Running) else {
            return Ok(None);
        };
        if seen.running_since.is_none() {
            self.tell(What::Program(self.job.place.number, ProgramState::Running));
        }
        let elapsed = seen.running_since.get_or_insert_with(Instant::now).elapsed();
        if let Some(seconds) = self.job.time_limit
            && elapsed >= Duration::from_secs(seconds)
        {
            self.cancel().await?;
            return Err(format!("it ran longer than its time limit of {seconds} s and was ended"));
        }
        let Some(serving) = serving.filter(|_| !seen.is_ready) else { return Ok(None) };
        if let Some(wanted) = &serving.service.ready.log_line {
            seen.log.watch(self.client, &container, wanted).await;
        }
        if self.is_ready(request, &container, &serving.service, &seen.log).await {
            seen.is_ready = true;
            let outside = self.outside(request, &container).await;
            serving.is_ready_at(Reach::Container(container.uuid), outside);
            if serving.service.lifetime == Lifetime::Detached {
                return Ok(Some(Over { is_left: true, ..over(request, None, true) }));
            }
        } else if elapsed >= serving.service.ready.timeout {
            self.cancel().await?;
            let seconds = serving.service.ready.timeout.as_secs();
            return Err(format!("it was not ready within {seconds} s"));
        }
        Ok(None)
    }

    fn tell(&self, what: What<'_>) {
        self.listener.hear(&News { step: &self.job.step, what });
    }

    /// All ports of endpoints take connections, and what else is asked for holds.
    async fn is_ready(
        &self,
        request: &ContainerRequest,
        container: &Container,
        service: &Service,
        log: &LogWatch,
    ) -> bool {
        let entry = |port: u16| container.published_ports.get(ContainerPort::new(port)?);
        let is_open = |port: u16| entry(port).is_some_and(PublishedPort::is_ready);
        if !service.endpoints.iter().all(|endpoint| is_open(endpoint.port)) {
            return false;
        }
        let wanted = &service.ready;
        if wanted.log_line.is_some() && !log.is_found() {
            return false;
        }
        if !wanted.exec.is_empty() && !succeeds(self.client, container.uuid, &wanted.exec).await {
            return false;
        }
        let Some((number, path)) = &wanted.http_get else { return true };
        let Some((port, entry)) = ContainerPort::new(*number).zip(entry(*number)) else {
            return false;
        };
        let url = self.base(request, port, entry).await;
        match self.client.open_tcp(&url).await {
            Ok(stream) => is_well(stream, path).await,
            Err(_not_yet) => false,
        }
    }

    /// Addresses of ports for people.
    async fn outside(
        &self,
        request: &ContainerRequest,
        container: &Container,
    ) -> Vec<(u16, String)> {
        let mut all = Vec::new();
        for (port, entry) in container.published_ports.iter() {
            all.push((port.get(), self.base(request, port, entry).await));
        }
        all
    }

    async fn cancel(&self) -> Result<(), String> {
        let cancelled = patiently(async || self.client.cancel_request(self.uuid).await).await;
        cancelled.map(drop).map_err(|error| format!("{} could not be stopped: {error}", self.uuid))
    }

    /// At the latest when something is due that no event tells.
    fn look_again(&self, seen: &Seen, serving: Option<&Serving<'_>>) -> Duration {
        let running = seen.running_since.map(|since| since.elapsed()).unwrap_or_default();
        let mut period = LOOK_PERIOD;
        if let Some(seconds) = self.job.time_limit.filter(|_| seen.running_since.is_some()) {
            period = period.min(Duration::from_secs(seconds).saturating_sub(running));
        }
        if let Some(serving) =
            serving.filter(|it| !seen.is_ready && it.service.ready.is_asked_for())
            && seen.running_since.is_some()
        {
            period = period.min(serving.service.ready.interval);
        }
        period
    }

    async fn tell_ready(
        &self,
        request: &ContainerRequest,
        container: &Container,
        told: &mut Vec<ContainerPort>,
    ) {
        for (port, entry) in container.published_ports.iter() {
            if !entry.is_ready() || told.contains(&port) {
                continue;
            }
            let base = self.base(request, port, entry).await;
            let url = model::initial_url(&base, &entry.initial_path);
            let program = self.job.place.number;
            self.tell(What::Address { program, label: &entry.label, url: &url });
            self.listener.say(&format!("{url}  {} ({})", entry.label, entry.access.as_str()));
            if let Some(open) = self.open.filter(|_| told.is_empty()) {
                self.open_with(open, request, port).await;
            }
            told.push(port);
        }
    }

    /// Where no browser takes the address, a person can.
    async fn open_with(&self, open: Open, request: &ContainerRequest, port: ContainerPort) {
        match self.client.handoff(request.uuid.as_str(), Some(port), None).await {
            Ok(url) => {
                if let Err(reason) = open(url.clone()).await {
                    self.listener.say(&format!(
                        "Not opened in a browser: {reason}. This address works once, within a minute:\n{url}"
                    ));
                }
            }
            Err(error) => self.listener.say(&format!("cannot open it: {error}")),
        }
    }

    /// By the request, which stays the same where a container is tried again; else what the container says.
    async fn base(
        &self,
        request: &ContainerRequest,
        port: ContainerPort,
        entry: &PublishedPort,
    ) -> String {
        let domain = self.client.service_domain().await.ok().flatten();
        match (domain.filter(ServiceDomain::is_wildcard), &entry.base_url) {
            (Some(domain), _) => domain.url_of(&format!("{}-{port}", request.uuid)),
            (None, Some(url)) => url.clone(),
            (None, None) => format!("port {port}"),
        }
    }
}

fn over(request: &ContainerRequest, container: Option<Container>, as_asked: bool) -> Over {
    let words = container.as_ref().and_then(Container::error_words);
    Over {
        words: words.unwrap_or("it was stopped").to_owned(),
        exit_code: container.and_then(|container| container.exit_code),
        output: request.output_uuid.clone(),
        as_asked,
        is_left: false,
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

/// The end of a program's log, for people.
pub(super) async fn tell_log(client: &Client, uuid: RequestUuid, listener: &dyn Listener) {
    let selection = LogSelection { tail: Some(LOG_LINES), ..LogSelection::default() };
    let Ok(mut pieces) = client.logs(uuid.as_str(), selection).await else { return };
    let mut text = Vec::new();
    while let Some(Ok(piece)) = pieces.next().await {
        text.extend_from_slice(&piece);
    }
    let text = String::from_utf8_lossy(&text);
    if !text.trim_end().is_empty() {
        listener.say(text.trim_end());
    }
}
