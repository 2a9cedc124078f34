//! What a service host leads to: for the proxy's directory.

use std::collections::BTreeSet;

use model::{
    Container, ContainerPort, ContainerRequest, ContainerUuid, GroupUuid, Link, RequestUuid,
    ServicePort, User, UserUuid,
};

use crate::connection::{Connection, query};
use crate::containers;
use crate::database::Store;
use crate::error::StoreError;
use crate::permissions::{self, Around};
use crate::requests;
use crate::schema::{CONTAINER_REQUESTS, LINKS, USERS};
use crate::sql;

/// The parsed label of a service host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TargetKey {
    /// A container.
    Container(ContainerUuid),
    /// A request.
    Request(RequestUuid),
    /// A host name, lower case.
    Name(String),
    /// A port of the controller's host.
    ExternalPort(u16),
}

/// What is behind a service host.
#[derive(Debug, Clone, PartialEq)]
pub struct TargetRecord {
    /// The container, where there is one yet.
    pub container: Option<Container>,
    /// The request, by the host or else the container's newest.
    pub request: Option<ContainerRequest>,
    /// The port that a host name or an external port leads to.
    pub port: Option<ContainerPort>,
    /// Who may open it, besides administrators: those who submitted all the container's requests
    /// and still own them, or may still write them where projects own them.
    pub submitters: Vec<UserUuid>,
    /// Place in the queue, from 1, while it waits.
    pub queue_place: Option<u64>,
    /// Why it waits, in the dispatcher's words; may be empty.
    pub scheduling_status: String,
    /// Identifiers of all records that this was read from: it stays as it is until one of them changes.
    pub records: Vec<String>,
}

impl Store {
    /// What a service host leads to; none where there is no such container, request or name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn find_target(&self, key: &TargetKey) -> Result<Option<TargetRecord>, StoreError> {
        let mut conn = self.reader().await?;
        let mut records = Vec::new();
        let (request, container, port) = match key {
            TargetKey::Container(uuid) => (None, Some(*uuid), None),
            TargetKey::Request(uuid) => (Some(*uuid), None, None),
            TargetKey::Name(name) => match named(&mut conn, name).await? {
                Some((link, request, port)) => {
                    records.push(link);
                    (Some(request), None, port)
                }
                None => return Ok(None),
            },
            TargetKey::ExternalPort(port) => match at_external(&mut conn, *port).await? {
                Some((container, port)) => (None, Some(container), port),
                None => return Ok(None),
            },
        };
        let request = match request {
            Some(uuid) => requests::load(&mut conn, uuid).await?,
            None => None,
        };
        let uuid = container.or(request.as_ref().and_then(|request| request.container_uuid));
        let container = match uuid {
            Some(uuid) => containers::load(&mut conn, uuid).await?,
            None => None,
        };
        if container.is_none() && request.is_none() {
            return Ok(None);
        }
        records.extend(container.iter().map(|container| container.uuid.to_string()));
        records.extend(request.iter().map(|request| request.uuid.to_string()));
        let around = Around::of(&self.options);
        complete(&mut conn, &around, request, container, port, records).await.map(Some)
    }
}

impl Store {
    /// Whether one of those who submitted a container may open a port of another one now: who started that, or an
    /// administrator, as long as the port is published.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn may_connect(
        &self,
        from: ContainerUuid,
        to: &ServicePort,
    ) -> Result<bool, StoreError> {
        let Some(target) = self.find_target(&TargetKey::Container(to.container)).await? else {
            return Ok(false);
        };
        let publishes =
            target.container.is_some_and(|it| it.published_ports.get(to.port).is_some());
        if !publishes {
            return Ok(false);
        }
        let mut conn = self.reader().await?;
        let rows = query(
            "SELECT DISTINCT submitted_by_uuid FROM container_requests WHERE container_uuid = $1",
        )
        .bind(from.to_string())
        .fetch_all(&mut conn)
        .await?;
        for row in &rows {
            let user: Option<String> = row.try_get(0)?;
            let Some(user) = user.and_then(|user| UserUuid::parse(&user).ok()) else { continue };
            let user = sql::by_uuid::<User>(&mut conn, &USERS, user.as_str())
                .await?
                .filter(|it| it.is_active);
            if user.is_some_and(|it| it.is_admin || target.submitters.contains(&it.uuid)) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

async fn complete(
    conn: &mut Connection,
    around: &Around,
    request: Option<ContainerRequest>,
    container: Option<Container>,
    port: Option<ContainerPort>,
    mut records: Vec<String>,
) -> Result<TargetRecord, StoreError> {
    let Some(container) = container else {
        // A draft: only its owner may know that it is one.
        let owner = request.as_ref().and_then(|r| UserUuid::parse(&r.owner_uuid).ok());
        let submitters = owner.into_iter().collect();
        return Ok(TargetRecord {
            container: None,
            request,
            port,
            submitters,
            queue_place: None,
            scheduling_status: String::new(),
            records,
        });
    };
    let request = match request {
        Some(request) => Some(request),
        None => newest_request(conn, container.uuid).await?,
    };
    let submitters = submitters(conn, around, container.uuid, &mut records).await?;
    let (queue_place, scheduling_status) = waiting(conn, &container).await?;
    let container = Some(container);
    records.sort_unstable();
    records.dedup();
    Ok(TargetRecord {
        container,
        request,
        port,
        submitters,
        queue_place,
        scheduling_status,
        records,
    })
}

async fn named(
    conn: &mut Connection,
    name: &str,
) -> Result<Option<(String, RequestUuid, Option<ContainerPort>)>, StoreError> {
    let links: Vec<Link> = sql::select_where(
        conn,
        &LINKS,
        "WHERE name = $1 AND link_class IN ('hostname', 'published_port')",
        &[name],
    )
    .await?;
    Ok(links.first().and_then(|link| {
        let request = RequestUuid::parse(link.head_uuid.as_deref()?).ok()?;
        Some((link.uuid.to_string(), request, link.port()))
    }))
}

async fn at_external(
    conn: &mut Connection,
    port: u16,
) -> Result<Option<(ContainerUuid, Option<ContainerPort>)>, StoreError> {
    let row = query("SELECT container_uuid, container_port FROM external_ports WHERE port = $1")
        .bind(i64::from(port))
        .fetch_optional(conn)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let port = u16::try_from(row.try_get::<i64, _>(1)?).ok().and_then(ContainerPort::new);
    let uuid = ContainerUuid::parse(&row.try_get::<String, _>(0)?).ok();
    Ok(uuid.map(|uuid| (uuid, port)))
}

async fn newest_request(
    conn: &mut Connection,
    uuid: ContainerUuid,
) -> Result<Option<ContainerRequest>, StoreError> {
    let mut requests = sql::select_where(
        conn,
        &CONTAINER_REQUESTS,
        "WHERE container_uuid = $1 ORDER BY created_at DESC, uuid DESC LIMIT 1",
        &[uuid.as_str()],
    )
    .await?;
    Ok(requests.pop())
}

/// The user who submitted all of a container's requests, while they belong to that user, or to projects in which that
/// user may still write. Adds the requests to `records`, and what the right to write depends on.
async fn submitters(
    conn: &mut Connection,
    around: &Around,
    uuid: ContainerUuid,
    records: &mut Vec<String>,
) -> Result<Vec<UserUuid>, StoreError> {
    let rows = query(
        "SELECT uuid, submitted_by_uuid, owner_uuid FROM container_requests \
         WHERE container_uuid = $1",
    )
    .bind(uuid.to_string())
    .fetch_all(&mut *conn)
    .await?;
    let mut belongs_to = BTreeSet::new();
    for row in &rows {
        let (request, owner): (String, String) = (row.try_get(0)?, row.try_get(2)?);
        let submitter: Option<String> = row.try_get(1)?;
        let submitter = submitter.and_then(|user| UserUuid::parse(&user).ok());
        let holds = match submitter {
            Some(user) if user.as_str() == owner => true,
            // Another user's: only a project is shared with who submitted to it.
            Some(user) if GroupUuid::parse(&owner).is_ok() => {
                records.extend(permissions::trail(conn, &request, &owner).await?);
                permissions::submitter_has(conn, around, user, &request, &owner).await?
            }
            _ => false,
        };
        belongs_to.insert(submitter.filter(|_| holds));
        records.push(request);
    }
    match belongs_to.pop_first() {
        Some(Some(user)) if belongs_to.is_empty() => Ok(vec![user]),
        Some(_) | None => Ok(Vec::new()),
    }
}

async fn waiting(
    conn: &mut Connection,
    container: &Container,
) -> Result<(Option<u64>, String), StoreError> {
    let row = query(
        "SELECT scheduling_status, (SELECT COUNT(*) FROM containers AS other \
         WHERE other.state = 'Queued' AND other.priority > containers.priority) \
         FROM containers WHERE uuid = $1",
    )
    .bind(container.uuid.to_string())
    .fetch_one(conn)
    .await?;
    let ahead: i64 = row.try_get(1)?;
    let waits = container.state == model::ContainerState::Queued && container.priority > 0;
    let place = if waits { u64::try_from(ahead + 1).ok() } else { None };
    Ok((place, row.try_get(0)?))
}
