//! Who may do what: the one place that knows (Arvados's permission model).
//!
//! A right leads from a user to a record over owners and permission links:
//!
//! ```text
//! user ─owns─► project ─owns─► project ─owns─► record          owning is can_manage
//!   └─link─► role ─link─► project or record                    a link's name is its level
//!   └─can_manage─► another user ─► all that one has
//! ```
//!
//! - Along a path the least level counts, over several paths the greatest.
//! - Rights go on through projects (what they own), roles (what they may) and users that one manages. A link to a user of
//!   a lower level is about the user's record alone.
//! - Everybody has the role of all users as if by `can_write` and that of anonymous users as if by `can_read`; roles can be
//!   seen by all users, which does not give them.
//! - What is in a trashed project is out of sight on every path, unless the reader asks for trash.
//! - In a frozen project nothing can be written, by nobody.
//! - A filter group gives no rights: it shows what the reader may see anyway.
//! - A container is read by who reads one of its requests; a link of permission or `service_access` by its tail, its head
//!   and who manages the head.
//! - Administrators may everything else that is possible.
//!
//! Two queries answer it: [`upward`] begins at one record and finds who reaches it, for a check; [`sight`] begins at a
//! user and finds what it reaches, for a list; [`computed`] does that from many users. A test compares them with a naive
//! model on random graphs.
//!
//! A new record type joins in [`Resource::OWNED`] and in the two matches below and in [`sight`].

use std::collections::HashMap;

use model::{Level, Link, UserUuid};

use crate::changes::{Change, ChangeKind};
use crate::connection::{Connection, query};
use crate::database::{Store, StoreOptions};
use crate::error::StoreError;
use crate::list::Reader;
use crate::schema::{LINKS, Resource};
use crate::sql;

mod computed;
pub(crate) mod sight;
mod upward;

pub(crate) use upward::{has, trail, trail_of_holder};

/// What a reader may do with a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rights {
    /// By owners and links.
    pub level: Level,
    /// Whether it is in a frozen project, or one itself: then it cannot be written, whatever the level.
    pub is_frozen: bool,
}

impl Rights {
    /// Whether it may be changed.
    pub fn can_write(self) -> bool {
        self.level >= Level::Write && !self.is_frozen
    }

    /// Whether permissions on it may be given and taken.
    pub fn can_manage(self) -> bool {
        self.level == Level::Manage
    }

    fn of(level: Level) -> Self {
        Self { level, is_frozen: false }
    }
}

/// The clock and the names that every question needs.
#[derive(Debug, Clone)]
pub(crate) struct Around {
    pub(crate) now: String,
    pub(crate) all_users: String,
    pub(crate) anonymous: String,
}

impl Around {
    pub(crate) fn of(options: &StoreOptions) -> Self {
        use model::WellKnownGroup::{AllUsers, Anonymous};
        Self {
            now: options.clock.now().to_string(),
            all_users: AllUsers.uuid(&options.cluster).to_string(),
            anonymous: Anonymous.uuid(&options.cluster).to_string(),
        }
    }
}

impl Store {
    /// What the reader may do with a record; none where it may not see it, or there is none.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn rights(&self, reader: &Reader, uuid: &str) -> Result<Option<Rights>, StoreError> {
        let around = Around::of(&self.options);
        rights(&mut self.reader().await?, &around, reader, uuid).await
    }

    /// The rights on each of these groups, those without any left out.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn rights_on_groups(
        &self,
        reader: &Reader,
        uuids: &[&str],
    ) -> Result<HashMap<String, Rights>, StoreError> {
        let around = Around::of(&self.options);
        sight::rights_on_groups(&mut self.reader().await?, &around, reader, uuids).await
    }

    /// The rights on each of these container requests, those without any left out. Costs as much as a list, however many
    /// they are.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn rights_on_requests(
        &self,
        reader: &Reader,
        uuids: &[&str],
    ) -> Result<HashMap<String, Rights>, StoreError> {
        let around = Around::of(&self.options);
        sight::rights_on_requests(&mut self.reader().await?, &around, reader, uuids).await
    }

    /// Whether the reader may know of a change: it belongs or belonged to it or to a project or role that it has, or
    /// it may see the record.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn may_hear(&self, change: &Change, reader: &Reader) -> Result<bool, StoreError> {
        let user = reader.user.as_str();
        if reader.is_admin || change.owners.iter().any(|owner| owner == user) {
            return Ok(true);
        }
        // Others' accounts and tokens are nobody's business.
        if matches!(change.kind, ChangeKind::User | ChangeKind::Token) {
            return Ok(false);
        }
        let around = Around::of(&self.options);
        let mut conn = self.reader().await?;
        for owner in change.owners.iter() {
            if upward::has(&mut conn, &around, reader, owner).await? {
                return Ok(true);
            }
        }
        let reader = Reader { include_trash: true, ..*reader };
        Ok(rights(&mut conn, &around, &reader, &change.uuid).await?.is_some())
    }
}

/// What the reader may do with the record with this identifier.
pub(crate) async fn rights(
    conn: &mut Connection,
    around: &Around,
    reader: &Reader,
    uuid: &str,
) -> Result<Option<Rights>, StoreError> {
    let Some(resource) = Resource::of_uuid(uuid) else { return Ok(None) };
    let Some(found) = find(conn, resource, uuid).await? else { return Ok(None) };
    rights_on(conn, around, reader, resource, &found).await
}

/// What a question about a record needs of it.
pub(crate) struct Found {
    pub(crate) uuid: String,
    pub(crate) owner_uuid: String,
    /// Where such records have it.
    pub(crate) trash_at: Option<String>,
}

async fn find(
    conn: &mut Connection,
    resource: Resource,
    uuid: &str,
) -> Result<Option<Found>, StoreError> {
    let row = {
        use sea_query::{Alias, Expr, ExprTrait as _, Query};
        let schema = resource.schema();
        let mut statement = Query::select();
        statement.column(Alias::new("owner_uuid")).from(Alias::new(schema.table));
        if schema.attribute("trash_at").is_some() {
            statement.column(Alias::new("trash_at"));
        }
        statement.and_where(Expr::col(Alias::new("uuid")).eq(uuid));
        sql::build(conn.dialect(), &statement)
    };
    let rows = row.fetch_all(conn).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let trash_at = if row.len() > 1 { row.try_get(1)? } else { None };
    Ok(Some(Found { uuid: uuid.to_owned(), owner_uuid: row.try_get(0)?, trash_at }))
}

/// What the reader may do with a record that was found.
pub(crate) async fn rights_on(
    conn: &mut Connection,
    around: &Around,
    reader: &Reader,
    resource: Resource,
    found: &Found,
) -> Result<Option<Rights>, StoreError> {
    let user = reader.user.as_str();
    match resource {
        Resource::Groups
        | Resource::ContainerRequests
        | Resource::Collections
        | Resource::Workflows => {
            let is_trashed = found.trash_at.as_deref().is_some_and(|at| at <= around.now.as_str());
            if is_trashed && !reader.include_trash {
                return Ok(None);
            }
            upward::rights(conn, around, reader, resource, found).await
        }
        Resource::Links => on_link(conn, around, reader, found).await,
        Resource::Logs => on_log(conn, around, reader, &found.uuid).await,
        Resource::Containers => on_container(conn, around, reader, &found.uuid).await,
        Resource::Users if reader.is_admin || found.uuid == user => {
            Ok(Some(Rights::of(Level::Manage)))
        }
        // Active users see each other, as Arvados does unless told otherwise.
        Resource::Users => {
            let rights = upward::rights(conn, around, reader, resource, found).await?;
            Ok(rights.or(Some(Rights::of(Level::Read))))
        }
        Resource::Tokens => {
            let own = reader.is_admin || found.owner_uuid == user;
            Ok(own.then_some(Rights::of(Level::Manage)))
        }
    }
}

/// A container is read by who reads one of its requests; only the system writes it.
async fn on_container(
    conn: &mut Connection,
    around: &Around,
    reader: &Reader,
    uuid: &str,
) -> Result<Option<Rights>, StoreError> {
    if reader.is_admin {
        return Ok(Some(Rights::of(Level::Manage)));
    }
    let rows = query("SELECT uuid, owner_uuid FROM container_requests WHERE container_uuid = $1")
        .bind(uuid.to_owned())
        .fetch_all(&mut *conn)
        .await?;
    for row in rows {
        let found = Found { uuid: row.try_get(0)?, owner_uuid: row.try_get(1)?, trash_at: None };
        let resource = Resource::ContainerRequests;
        if upward::rights(conn, around, reader, resource, &found).await?.is_some() {
            return Ok(Some(Rights::of(Level::Read)));
        }
    }
    Ok(None)
}

/// An entry is read by who sees it in a list; nobody writes one again.
async fn on_log(
    conn: &mut Connection,
    around: &Around,
    reader: &Reader,
    uuid: &str,
) -> Result<Option<Rights>, StoreError> {
    use sea_query::{Alias, Expr, ExprTrait as _, Query};
    let sight = sight::Sight::of(conn, around, reader).await?;
    let built = {
        let table = Alias::new(Resource::Logs.schema().table);
        let mut statement = Query::select();
        statement.expr(Expr::val(1)).from(table.clone());
        statement.and_where(Expr::col((table, Alias::new("uuid"))).eq(uuid));
        statement.cond_where(sight.of_records(Resource::Logs));
        sql::build(conn.dialect(), &statement)
    };
    let is_seen = !built.fetch_all(conn).await?.is_empty();
    Ok(is_seen.then_some(Rights::of(Level::Read)))
}

/// A link that gives something belongs to who manages its head, and is seen by its two ends; others belong to their
/// owner.
async fn on_link(
    conn: &mut Connection,
    around: &Around,
    reader: &Reader,
    found: &Found,
) -> Result<Option<Rights>, StoreError> {
    let link: Option<Link> = sql::by_uuid(conn, &LINKS, &found.uuid).await?;
    let Some(link) = link else { return Ok(None) };
    if reader.is_admin {
        return Ok(Some(Rights::of(Level::Manage)));
    }
    if !link.gives() {
        return upward::rights(conn, around, reader, Resource::Links, found).await;
    }
    let user = Some(reader.user.as_str());
    let head = link.head_uuid.as_deref();
    if let Some(head) = head
        && manages(conn, around, reader, head).await?
    {
        return Ok(Some(Rights::of(Level::Manage)));
    }
    let is_end = link.tail_uuid.as_deref() == user || head == user;
    Ok(is_end.then_some(Rights::of(Level::Read)))
}

/// Whether the reader may say who else may do what with the head of a link. One's own account is not for
/// oneself to give away.
async fn manages(
    conn: &mut Connection,
    around: &Around,
    reader: &Reader,
    head: &str,
) -> Result<bool, StoreError> {
    let resource = Resource::of_uuid(head)
        .filter(|resource| *resource == Resource::Users || Resource::OWNED.contains(resource));
    let Some(resource) = resource.filter(|_| head != reader.user.as_str()) else {
        return Ok(false);
    };
    let Some(found) = find(conn, resource, head).await? else { return Ok(false) };
    let rights = upward::rights(conn, around, reader, resource, &found).await?;
    Ok(rights.is_some_and(Rights::can_manage))
}

/// Whether this user may write a request by owners and links, frozen or not: for who submitted it.
pub(crate) async fn submitter_has(
    conn: &mut Connection,
    around: &Around,
    user: UserUuid,
    request: &str,
    owner_uuid: &str,
) -> Result<bool, StoreError> {
    let reader = Reader::new(user, false);
    let found =
        Found { uuid: request.to_owned(), owner_uuid: owner_uuid.to_owned(), trash_at: None };
    let resource = Resource::ContainerRequests;
    let rights = upward::rights(conn, around, &reader, resource, &found).await?;
    Ok(rights.is_some_and(|rights| rights.level >= Level::Write))
}
