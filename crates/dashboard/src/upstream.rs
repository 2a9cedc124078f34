//! The API as one signed-in person sees it: the few questions that pages ask, with a deadline each.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use axum::http::StatusCode;
use client::{
    BodyStream, Client, ClientError, ContainerLife, Deadlines, Holder, ListQuery, LogSelection,
    LogStreamName, NewToken, OpenedPorts,
};
use futures_util::future::{join, try_join, try_join4, try_join5};
use futures_util::{Stream, StreamExt as _};
use model::metrics::{ContainerMetrics, RecentUsage};
use model::{
    ApiToken, Container, ContainerPort, ContainerRequest, ContainerUuid, Link, LinkUuid,
    RequestState, RequestUuid, ServiceDomain, Timestamp, TokenUuid, User, UserUuid,
};
use tokio::time::timeout;

use crate::view::log_lines::{self, LogLine};
use crate::view::service::{Service, Viewer};

/// How many running requests the home page looks at.
pub(crate) const REQUESTS_MAX: usize = 1000;
/// Requests of others that are asked about, whether they may be stopped.
const WRITABLE_MAX: usize = 100;
/// States of containers that are not over.
const LIVE: [&str; 3] = ["Queued", "Locked", "Running"];
/// How many that are over.
const OVER_MAX: u32 = 50;
/// Lines of a log that the service page shows.
pub(crate) const LOG_LINES: usize = 12;
/// Lines that the log's own page begins with.
pub(crate) const LOG_PAGE_LINES: usize = 500;
/// Bytes of a log that are read for them.
const LOG_BYTES_MAX: usize = 256 * 1024;
/// How long a page waits for the log; it is shown without it afterwards.
const LOG_PATIENCE: Duration = Duration::from_secs(2);
/// How long a page waits for the API: a person reloads long before a minute is over.
const ANSWER_PATIENCE: Duration = Duration::from_secs(10);

/// Why the API gave no answer to show.
#[derive(Debug)]
pub(crate) enum UpstreamError {
    /// The session's token is not accepted any more.
    SignedOut,
    /// There is no such record, or not for this person.
    NotFound,
    /// Refused, in the API's own words.
    Refused(String),
    /// No usable answer.
    Unavailable(String),
}

impl UpstreamError {
    /// For a sentence.
    pub(crate) fn words(&self) -> &str {
        match self {
            Self::SignedOut => "you are signed out",
            Self::NotFound => "it is not there, or you may not see it",
            Self::Refused(words) | Self::Unavailable(words) => words,
        }
    }
}

impl From<ClientError> for UpstreamError {
    fn from(error: ClientError) -> Self {
        match error.status() {
            Some(StatusCode::UNAUTHORIZED) => Self::SignedOut,
            Some(StatusCode::NOT_FOUND) => Self::NotFound,
            Some(status) if status.is_client_error() => Self::Refused(error.to_string()),
            _ => Self::Unavailable(error.to_string()),
        }
    }
}

/// The API with one person's token.
pub(crate) struct Upstream {
    pub(crate) client: Client,
}

/// Records as they came, to be put together.
#[derive(Debug)]
pub(crate) struct Records {
    requests: Vec<ContainerRequest>,
    containers: Vec<Container>,
    /// Host names, and to whom ports were opened.
    links: Vec<Link>,
    /// What others opened to who asks.
    opened: Vec<OpenedPorts>,
    /// Of the only container, where there is one that runs.
    life: Option<ContainerLife>,
}

impl Records {
    /// One service for each request, in the order of the requests.
    pub(crate) fn put_together(self, domain: &ServiceDomain, me: &User) -> Vec<Service> {
        let viewer = Viewer { uuid: me.uuid, is_admin: me.is_admin, opened: &self.opened };
        let mut containers: HashMap<ContainerUuid, Container> =
            self.containers.into_iter().map(|container| (container.uuid, container)).collect();
        let links = &self.links;
        self.requests
            .into_iter()
            .map(|request| {
                // Several requests can share one container, so it is copied, not taken.
                let container = request.container_uuid.and_then(|uuid| containers.get_mut(&uuid));
                let service = Service::new(request, container.cloned(), links, domain, &viewer);
                Service { life: self.life.clone(), ..service }
            })
            .collect()
    }
}

impl Upstream {
    /// For one person.
    pub(crate) fn of(client: &Client, token: &ApiToken) -> Self {
        let deadlines = Deadlines {
            answer: ANSWER_PATIENCE,
            stream_head: ANSWER_PATIENCE,
            ..Deadlines::default()
        };
        Self { client: client.with_token(token).with_deadlines(deadlines) }
    }

    pub(crate) async fn me(&self) -> Result<User, UpstreamError> {
        Ok(self.client.current_user().await?)
    }

    /// Names of the people that this person may know of; none where they cannot be asked for.
    pub(crate) async fn people(&self) -> HashMap<UserUuid, String> {
        let users = self.client.list_users().await.unwrap_or_default();
        users
            .into_iter()
            .map(|user| {
                let name = user.full_name();
                (user.uuid, if name.trim().is_empty() { user.username } else { name })
            })
            .collect()
    }

    /// What runs and what ended lately.
    pub(crate) async fn services(&self) -> Result<Records, UpstreamError> {
        let limit = u32::try_from(REQUESTS_MAX).unwrap_or(u32::MAX);
        let live = ListQuery::newest_first().filter("state", "=", "Committed").limit(limit);
        let over = ListQuery::default()
            .order("modified_at desc")
            .filter("state", "=", "Final")
            .limit(OVER_MAX);
        // Those that live in one question, whatever their number; of the others only those that are shown.
        let alive = ListQuery::default().filter("state", "in", LIVE.to_vec()).limit(limit);
        let client = &self.client;
        let who = try_join(client.list_access(None), client.opened_ports());
        let (mut requests, over, mut containers, mut links, (access, opened)) =
            Box::pin(try_join5(
                client.list_requests_briefly(live),
                client.list_requests_briefly(over),
                client.list_containers_briefly(alive),
                client.list_hostnames(),
                who,
            ))
            .await?;
        requests.extend(over);
        links.extend(access);
        let known: HashSet<ContainerUuid> = containers.iter().map(|it| it.uuid).collect();
        let missing: Vec<&str> = requests
            .iter()
            .filter_map(|request| request.container_uuid.as_ref())
            .filter(|uuid| !known.contains(*uuid))
            .map(ContainerUuid::as_str)
            .collect();
        for missing in missing.chunks(100) {
            let query = ListQuery::default().filter("uuid", "in", missing.to_vec()).limit(100);
            containers.extend(client.list_containers_briefly(query).await?);
        }
        Ok(Records { requests, containers, links, opened, life: None })
    }

    /// One request and what belongs to it.
    pub(crate) async fn service(&self, uuid: RequestUuid) -> Result<Records, UpstreamError> {
        let request = self.client.get_request(uuid).await?;
        let container = async {
            match request.container_uuid {
                Some(uuid) => self.client.list_containers(&[uuid]).await,
                None => Ok(Vec::new()),
            }
        };
        let client = &self.client;
        let life = async {
            let alive = request.container_uuid.filter(|_| request.state == RequestState::Committed);
            // A page without it is better than no page.
            client.get_life(alive?).await.ok()
        };
        let uuids = [uuid];
        let others = try_join4(
            container,
            client.hostnames_of(&uuids),
            client.list_access(Some(uuid)),
            client.opened_ports(),
        );
        let (others, life) = join(Box::pin(others), Box::pin(life)).await;
        let (containers, mut links, access, opened) = others?;
        links.extend(access);
        Ok(Records { requests: vec![request], containers, links, opened, life })
    }

    /// Asks which of those that run are this person's to change, where that is not plain: what a project or a permission
    /// gives.
    pub(crate) async fn note_writable(&self, services: &mut [Service]) {
        let asked: Vec<RequestUuid> = services
            .iter()
            .filter(|it| !it.may_write && it.state.can_stop())
            .map(|it| it.request.uuid)
            .take(WRITABLE_MAX)
            .collect();
        if asked.is_empty() {
            return;
        }
        // A page without these buttons is better than no page.
        let writable = self.client.writable_requests(&asked).await.unwrap_or_default();
        for service in services.iter_mut().filter(|it| writable.contains(&it.request.uuid)) {
            service.may_write = true;
        }
    }

    /// A log, to its end or as it comes.
    pub(crate) async fn log(
        &self,
        uuid: RequestUuid,
        selection: LogSelection,
    ) -> Result<BodyStream, UpstreamError> {
        Ok(self.client.logs(uuid.as_str(), selection).await?)
    }

    /// Says that a service is not wanted any more.
    pub(crate) async fn stop(&self, uuid: RequestUuid) -> Result<(), UpstreamError> {
        self.client.cancel_request(uuid).await?;
        Ok(())
    }

    /// WebSockets and raw connections that are open to a service; `None` where that cannot be said.
    pub(crate) async fn n_sockets(&self, uuid: RequestUuid) -> Option<u64> {
        self.client.connections(uuid).await.ok().map(|open| open.sockets)
    }

    /// The last lines of a request's log; `None` when it cannot be read in time.
    pub(crate) async fn log_tail(&self, uuid: RequestUuid, lines: usize) -> Option<Vec<LogLine>> {
        let read = async {
            let selection = LogSelection {
                stream: LogStreamName::All,
                follow: false,
                tail: u64::try_from(lines).ok(),
            };
            let mut stream = match self.client.logs(uuid.as_str(), selection).await {
                Ok(stream) => stream,
                // Nothing was written yet, or nothing was kept.
                Err(error) if error.is_not_found() => return Some(Vec::new()),
                Err(_unreadable) => return None,
            };
            let mut bytes = Vec::new();
            while let Some(piece) = stream.next().await {
                bytes.extend_from_slice(&piece.ok()?);
                // Only the end is shown; what came before it may go.
                if bytes.len() > 2 * LOG_BYTES_MAX {
                    bytes.drain(..bytes.len() - LOG_BYTES_MAX);
                }
            }
            Some(log_lines::last_lines(&String::from_utf8_lossy(&bytes), lines))
        };
        timeout(LOG_PATIENCE, read).await.ok().flatten()
    }

    /// A service's figures over a range.
    pub(crate) async fn metrics(
        &self,
        uuid: RequestUuid,
        range: &str,
    ) -> Result<ContainerMetrics, UpstreamError> {
        Ok(self.client.container_metrics(uuid.as_str(), range).await?)
    }

    /// What running containers used lately; none where it cannot be asked for.
    pub(crate) async fn recent_usage(&self) -> HashMap<ContainerUuid, RecentUsage> {
        let recent = timeout(LOG_PATIENCE, self.client.recent_usage()).await;
        let recent = recent.ok().and_then(Result::ok).unwrap_or_default();
        recent.into_iter().map(|usage| (usage.container_uuid, usage)).collect()
    }

    /// The address of a path on one service host, with a single-use code for one browser.
    pub(crate) async fn hand_off_to_host(
        &self,
        host: &str,
        path: &str,
        browser: &str,
    ) -> Result<String, UpstreamError> {
        Ok(self.client.handoff_to_host(host, path, browser).await?)
    }

    /// Host names this person may see.
    pub(crate) async fn host_names(&self) -> Result<Vec<Link>, UpstreamError> {
        Ok(self.client.list_hostnames().await?)
    }

    /// One host name.
    pub(crate) async fn host_name(&self, name: &str) -> Result<Option<Link>, UpstreamError> {
        Ok(self.client.find_hostname(name).await?)
    }

    /// Makes a host name, or moves the one this person has.
    pub(crate) async fn set_host_name(
        &self,
        name: &str,
        request: RequestUuid,
        port: ContainerPort,
    ) -> Result<(), UpstreamError> {
        match self.client.find_hostname(name).await? {
            Some(link) => self.client.move_hostname(link.uuid, request, port).await?,
            None => self.client.create_hostname(name, request, port).await?,
        };
        Ok(())
    }

    /// Frees a host name.
    pub(crate) async fn remove_host_name(&self, link: LinkUuid) -> Result<(), UpstreamError> {
        Ok(self.client.delete_link(link).await?)
    }

    /// Whom ports can be opened to.
    pub(crate) async fn holders(&self) -> Result<Vec<Holder>, UpstreamError> {
        Ok(self.client.list_holders().await?)
    }

    /// Opens to the same people what of their ports another request has, too.
    pub(crate) async fn copy_access(
        &self,
        from: &[Link],
        to: &ContainerRequest,
    ) -> Result<(), UpstreamError> {
        for link in from {
            let Some(holder) = &link.tail_uuid else { continue };
            let port = link.port();
            if port.is_none_or(|port| to.published_ports.get(port).is_some()) {
                self.client.open_port_to(to.uuid, port, holder).await?;
            }
        }
        Ok(())
    }

    /// One `()` for each change; ends when the API's feed does.
    pub(crate) async fn changes(
        &self,
    ) -> Result<impl Stream<Item = ()> + Send + use<>, UpstreamError> {
        let events = self.client.events().await?;
        Ok(events.take_while(|event| std::future::ready(event.is_ok())).map(|_event| ()))
    }

    /// A token of its own for a session, made with a token that a person pasted.
    pub(crate) async fn make_session_token(
        &self,
        expires_at: Timestamp,
    ) -> Result<(ApiToken, Option<Timestamp>), UpstreamError> {
        let new = NewToken { expires_at: Some(expires_at), ..NewToken::default() };
        let (token, record) = self.client.create_token(&new).await?;
        Ok((token, record.expires_at))
    }

    /// Ends the session at the API.
    pub(crate) async fn delete_token(&self, uuid: TokenUuid) -> Result<(), UpstreamError> {
        Ok(self.client.delete_token(uuid).await?)
    }
}
