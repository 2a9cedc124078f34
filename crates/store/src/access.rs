//! Who may open private ports of a service besides who started it: links of class `service_access`.
//!
//! They count only while the service opens to who started it ([`crate::TargetRecord::submitters`]), so that it never opens
//! further than that person could open it. Opening a port to somebody also lets them read the request, by a
//! permission link that goes with the last link of this kind.

use std::collections::{BTreeMap, BTreeSet};

use model::service_access::SERVICE_ACCESS_CLASS;
use model::{
    ContainerPort, ContainerRequest, ContainerUuid, GroupClass, GroupUuid, Level, Link,
    RequestUuid, UserUuid,
};

use crate::changes::ChangeKind;
use crate::connection::{Connection, query};
use crate::database::Store;
use crate::error::StoreError;
use crate::groups;
use crate::links::audience;
use crate::list::Reader;
use crate::permissions::sight::Sight;
use crate::permissions::{self, Around};
use crate::random;
use crate::schema::{CONTAINER_REQUESTS, LINKS};
use crate::sql;
use crate::targets::TargetKey;
use crate::writer::Tx;

/// In the properties of the permission to read that came with a link of ours.
const CAME_WITH: &str = "came_with";

/// Ports that a user may open because somebody opened them to it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OpenedPorts {
    /// Whether it is every port of the request.
    pub every_port: bool,
    /// The ports that are named.
    pub ports: BTreeSet<ContainerPort>,
}

impl Store {
    /// Whether a port of a service was opened to this user: the identifiers of all records that this rests on, or none.
    /// Only to be asked where the service opens to who started it ([`crate::TargetRecord::submitters`]).
    ///
    /// # Errors
    /// When the database fails.
    pub async fn opened_to(
        &self,
        (container, request): (Option<ContainerUuid>, Option<RequestUuid>),
        port: ContainerPort,
        user: UserUuid,
    ) -> Result<Option<Vec<String>>, StoreError> {
        let around = Around::of(&self.options);
        let mut conn = self.reader().await?;
        let mut rests_on = Vec::new();
        for link in links_of(&mut conn, container, request).await? {
            if link.opens(port) {
                let tail = link.tail_uuid.as_deref().unwrap_or_default();
                if let Some(trail) = held(&mut conn, &around, user, tail).await? {
                    rests_on.extend(trail);
                    rests_on.push(link.uuid.to_string());
                }
            }
        }
        Ok((!rests_on.is_empty()).then_some(rests_on))
    }

    /// What was opened to this user, by request; what counts for nothing now is left out.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn opened_ports(
        &self,
        user: UserUuid,
    ) -> Result<BTreeMap<RequestUuid, OpenedPorts>, StoreError> {
        let around = Around::of(&self.options);
        let mut conn = self.reader().await?;
        let holders = Sight::of(&mut conn, &around, &Reader::new(user, false)).await?.holders();
        let holders = serde_json::Value::from_iter(holders).to_string();
        let of_holders = conn.dialect().pick(
            "WHERE link_class = 'service_access' \
             AND tail_uuid IN (SELECT value FROM json_each($1))",
            "WHERE link_class = 'service_access' \
             AND tail_uuid = ANY(ARRAY(SELECT jsonb_array_elements_text($1::jsonb)))",
        );
        let links: Vec<Link> =
            sql::select_where(&mut conn, &LINKS, of_holders, &[&holders]).await?;
        let mut opened: BTreeMap<RequestUuid, OpenedPorts> = BTreeMap::new();
        for link in links {
            let head = link.head_uuid.as_deref().unwrap_or_default();
            let Ok(request) = RequestUuid::parse(head) else { continue };
            let entry = opened.entry(request).or_default();
            match link.port() {
                Some(port) => drop(entry.ports.insert(port)),
                None => entry.every_port = true,
            }
        }
        drop(conn);
        let mut kept = BTreeMap::new();
        for (request, ports) in opened {
            let target = self.find_target(&TargetKey::Request(request)).await?;
            if target.is_some_and(|target| !target.submitters.is_empty()) {
                kept.insert(request, ports);
            }
        }
        Ok(kept)
    }

    /// The links that open ports of a request, oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn access_links(&self, request: RequestUuid) -> Result<Vec<Link>, StoreError> {
        let of = "WHERE head_uuid = $1 AND link_class = 'service_access' ORDER BY created_at, uuid";
        sql::select_where(&mut self.reader().await?, &LINKS, of, &[request.as_str()]).await
    }
}

/// Those to any request behind a container, which one person submitted.
async fn links_of(
    conn: &mut Connection,
    container: Option<ContainerUuid>,
    request: Option<RequestUuid>,
) -> Result<Vec<Link>, StoreError> {
    let container = container.map(|uuid| uuid.to_string()).unwrap_or_default();
    let request = request.map(|uuid| uuid.to_string()).unwrap_or_default();
    let of = "WHERE link_class = 'service_access' AND head_uuid IN \
        (SELECT uuid FROM container_requests WHERE container_uuid = $1 OR uuid = $2)";
    sql::select_where(conn, &LINKS, of, &[&container, &request]).await
}

/// What it rests on that a user is the holder of rights, or has the role; none where it is not.
async fn held(
    conn: &mut Connection,
    around: &Around,
    user: UserUuid,
    holder: &str,
) -> Result<Option<Vec<String>>, StoreError> {
    if holder == user.as_str() {
        return Ok(Some(Vec::new()));
    }
    // Who manages another user is not that user here: a port is opened to a person.
    if GroupUuid::parse(holder).is_err() || holder == around.anonymous {
        return Ok(None);
    }
    let reader = Reader::new(user, false);
    if !permissions::has(conn, around, &reader, holder).await? {
        return Ok(None);
    }
    let mut trail = permissions::trail_of_holder(conn, holder).await?;
    trail.push(holder.to_owned());
    Ok(Some(trail))
}

/// Looks whether a new link has two ends, and lets its tail read its head. The one that is there already, if any.
pub(crate) async fn prepare(tx: &mut Tx, link: &Link) -> Result<Option<Link>, StoreError> {
    let head = link.head_uuid.clone().unwrap_or_default();
    let tail = link.tail_uuid.clone().unwrap_or_default();
    let request: Option<ContainerRequest> =
        sql::by_uuid(tx.conn(), &CONTAINER_REQUESTS, &head).await?;
    let Some(request) = request else {
        return Err(StoreError::NotFound(format!("container request {head}")));
    };
    if !is_holder(tx, &tail).await? {
        return Err(StoreError::NotFound(format!("user or role {tail}")));
    }
    let between = "WHERE head_uuid = $1 AND tail_uuid = $2 AND link_class = $3";
    let known: Vec<Link> =
        sql::select_where(tx.conn(), &LINKS, between, &[&head, &tail, SERVICE_ACCESS_CLASS])
            .await?;
    if let Some(same) = known.into_iter().find(|known| known.name == link.name) {
        return Ok(Some(same));
    }
    let permission = model::permission::PERMISSION_CLASS;
    let reading: Vec<Link> =
        sql::select_where(tx.conn(), &LINKS, between, &[&head, &tail, permission]).await?;
    if reading.is_empty() && request.owner_uuid != tail {
        let uuid = random::uuid(&tx.options.cluster)?;
        let mut reading = groups::grant(tx, uuid, &tail, &head, Level::Read);
        reading.properties.insert(CAME_WITH.to_owned(), SERVICE_ACCESS_CLASS.into());
        sql::insert(&LINKS, &reading, Vec::new())?.execute(tx.conn()).await?;
        tx.changed(ChangeKind::Link, &reading.uuid, audience(&reading));
    }
    Ok(None)
}

async fn is_holder(tx: &mut Tx, tail: &str) -> Result<bool, StoreError> {
    if let Ok(group) = GroupUuid::parse(tail) {
        let group = groups::load(tx.conn(), group).await?;
        return Ok(group.is_some_and(|group| group.group_class == GroupClass::Role));
    }
    let found = query("SELECT 1 FROM users WHERE uuid = $1").bind(tail.to_owned());
    Ok(found.fetch_optional(tx.conn()).await?.is_some())
}

/// The permissions to read that came with a deleted link, where no other keeps them.
pub(crate) async fn left_behind(tx: &mut Tx, link: &Link) -> Result<Vec<Link>, StoreError> {
    let (Some(head), Some(tail)) = (&link.head_uuid, &link.tail_uuid) else {
        return Ok(Vec::new());
    };
    let between = "WHERE head_uuid = $1 AND tail_uuid = $2 \
        AND link_class IN ('service_access', 'permission')";
    let links: Vec<Link> = sql::select_where(tx.conn(), &LINKS, between, &[head, tail]).await?;
    if links.iter().any(Link::is_service_access) {
        return Ok(Vec::new());
    }
    let came_with =
        |link: &Link| link.name == Level::Read.as_str() && link.properties.contains_key(CAME_WITH);
    Ok(links.into_iter().filter(came_with).collect())
}
