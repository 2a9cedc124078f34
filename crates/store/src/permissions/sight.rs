//! From one user down to everything it reaches, and that as conditions on lists.
//!
//! What is reached over groups and links is found once for each list and bound as two values: a JSON list of owners whose
//! records are seen, and one of records that links lead to. So the condition on a table is
//! `owner_uuid IN (…) OR uuid IN (…)`, both by index, and its text is the same for everybody.

use std::collections::{HashMap, HashSet};

use model::permission::PERMISSION_CLASS;
use model::service_access::SERVICE_ACCESS_CLASS;
use model::{GroupUuid, Level};
use sea_query::{Alias, Cond, Expr, ExprTrait as _, Query, SelectStatement, SimpleExpr};

use super::{Around, Rights};
use crate::connection::{self, Connection, Row, query};
use crate::dialect::{Dialect, type_code_of};
use crate::error::StoreError;
use crate::list::Reader;
use crate::schema::Resource;

/// What a reader reaches.
#[derive(Debug)]
pub(crate) struct Sight {
    reader: Reader,
    dialect: Dialect,
    now: String,
    all_users: String,
    /// Those whose records are seen, and how much may be done with these.
    owners: HashMap<String, Level>,
    /// Records that links lead to.
    heads: HashMap<String, Level>,
    /// Trashed projects and those in them; empty where the reader asks for trash.
    hidden: HashSet<String>,
    /// Whether lists of collections hold old versions, too.
    pub(crate) include_old_versions: bool,
}

/// `through` is 1 where rights go on from there: not from a user who is not managed. `linked` is 1 where a link led.
/// A step leads to what a project owns, or over a permission link.
macro_rules! reach {
    ($user:literal, $steps:literal) => {
        concat!(
            "WITH RECURSIVE reach (uuid, level, through, linked) AS ( \
                SELECT ",
            $user,
            ", 3, 1, 0 \
                UNION SELECT $2, 2, 1, 0 \
                UNION SELECT $3, 1, 1, 0 \
                UNION ",
            $steps,
            ") SELECT uuid, CAST(MAX(CASE WHEN through = 1 THEN level END) AS BIGINT), \
                CAST(MAX(CASE WHEN linked = 1 THEN level END) AS BIGINT) \
            FROM reach GROUP BY uuid"
        )
    };
}

/// SQLite reads the steps from indexes where each is a term of its own.
const REACH_SQLITE: &str = reach!(
    "$1",
    "SELECT groups.uuid, reach.level, 1, 0 FROM reach \
        JOIN groups ON groups.owner_uuid = reach.uuid \
        WHERE reach.through = 1 AND groups.group_class <> 'role' \
    UNION \
    SELECT links.head_uuid, CASE WHEN links.name = 'can_manage' THEN reach.level \
            WHEN links.name = 'can_write' AND reach.level > 1 THEN 2 ELSE 1 END, \
        links.name = 'can_manage' OR substr(links.head_uuid, 7, 5) <> 'tpzed', 1 FROM reach \
        JOIN links ON links.tail_uuid = reach.uuid \
        WHERE reach.through = 1 AND links.link_class = 'permission' \
        AND links.name IN ('can_read', 'can_write', 'can_manage') \
        AND links.head_uuid IS NOT NULL"
);

/// PostgreSQL takes one term that names what is recursive once.
const REACH_POSTGRES: &str = reach!(
    "$1 COLLATE \"C\"",
    "SELECT step.uuid, step.level, step.through, step.linked FROM reach CROSS JOIN LATERAL ( \
        SELECT groups.uuid, reach.level, 1 AS through, 0 AS linked FROM groups \
            WHERE groups.owner_uuid = reach.uuid AND groups.group_class <> 'role' \
        UNION ALL \
        SELECT links.head_uuid, CASE WHEN links.name = 'can_manage' THEN reach.level \
                WHEN links.name = 'can_write' AND reach.level > 1 THEN 2 ELSE 1 END, \
            CASE WHEN links.name = 'can_manage' OR substr(links.head_uuid, 7, 5) <> 'tpzed' \
                THEN 1 ELSE 0 END, 1 FROM links \
            WHERE links.tail_uuid = reach.uuid AND links.link_class = 'permission' \
            AND links.name IN ('can_read', 'can_write', 'can_manage') \
            AND links.head_uuid IS NOT NULL \
    ) AS step WHERE reach.through = 1"
);

const HIDDEN: &str = "WITH RECURSIVE hidden (uuid) AS ( \
        SELECT uuid FROM groups WHERE trash_at <= $1 \
        UNION \
        SELECT groups.uuid FROM hidden JOIN groups ON groups.owner_uuid = hidden.uuid \
    ) SELECT uuid FROM hidden";

const FROZEN: &str = "WITH RECURSIVE frozen (uuid) AS ( \
        SELECT uuid FROM groups WHERE frozen_by_uuid IS NOT NULL \
        UNION \
        SELECT groups.uuid FROM frozen JOIN groups ON groups.owner_uuid = frozen.uuid \
    ) SELECT uuid FROM frozen";

impl Sight {
    /// What the reader reaches now.
    pub(crate) async fn of(
        conn: &mut Connection,
        around: &Around,
        reader: &Reader,
    ) -> Result<Self, StoreError> {
        let mut sight = Self {
            reader: *reader,
            dialect: conn.dialect(),
            now: around.now.clone(),
            all_users: around.all_users.clone(),
            owners: HashMap::new(),
            heads: HashMap::new(),
            hidden: HashSet::new(),
            include_old_versions: false,
        };
        if !reader.include_trash {
            let rows = query(HIDDEN).bind(around.now.clone()).fetch_all(&mut *conn).await?;
            sight.hidden = rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
        }
        if reader.is_admin {
            return Ok(sight);
        }
        let rows = query(sight.dialect.pick(REACH_SQLITE, REACH_POSTGRES))
            .bind(reader.user.to_string())
            .bind(around.all_users.clone())
            .bind(around.anonymous.clone())
            .fetch_all(conn)
            .await?;
        for row in rows {
            let uuid: String = row.try_get(0)?;
            // Out of sight; or a role, which owns nothing.
            let is_role = uuid == around.all_users || uuid == around.anonymous;
            if is_role || sight.hidden.contains(&uuid) {
                continue;
            }
            let level = |at: usize| -> Result<Option<Level>, StoreError> {
                Ok(row.try_get::<Option<i64>, _>(at)?.and_then(Level::from_number))
            };
            if let Some(level) = level(2)? {
                sight.heads.insert(uuid.clone(), level);
            }
            if let Some(level) = level(1)? {
                sight.owners.insert(uuid, level);
            }
        }
        Ok(sight)
    }

    /// Whom something can be given to so that the reader has it: itself, and the roles that it has.
    pub(crate) fn holders(&self) -> Vec<String> {
        let roles = self.owners.keys().filter(|uuid| GroupUuid::parse(uuid).is_ok()).cloned();
        roles.chain([self.reader.user.to_string(), self.all_users.clone()]).collect()
    }

    /// What the database speaks that it was found in.
    pub(crate) fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Which records of a type exist for the reader.
    pub(crate) fn of_records(&self, resource: Resource) -> Cond {
        match resource {
            Resource::Groups
            | Resource::ContainerRequests
            | Resource::Workflows
            | Resource::Collections => {
                let any = self.ways(resource).into_iter().fold(Cond::any(), Cond::add);
                self.of_anybody(resource).add(any)
            }
            Resource::Containers => self.of_containers(),
            Resource::Links => self.of_links(),
            Resource::Logs => self.of_logs(),
            // Active users see each other, as Arvados does unless told otherwise.
            Resource::Users => Cond::all(),
            Resource::Tokens if self.reader.is_admin => Cond::all(),
            Resource::Tokens => {
                Cond::all().add(column(resource, "owner_uuid").eq(self.reader.user.as_str()))
            }
        }
    }

    /// The same in parts, no record in two of them. Each part can be read from an index in order, which a condition of
    /// one or the other cannot.
    pub(crate) fn parts(&self, resource: Resource) -> Vec<Cond> {
        if !Resource::OWNED.contains(&resource) || resource == Resource::Links {
            return vec![self.of_records(resource)];
        }
        let ways = self.ways(resource);
        (0..ways.len())
            .map(|at| {
                let part = self.of_anybody(resource).add(ways[at].clone());
                ways[..at].iter().fold(part, |part, before| part.add(before.clone().not()))
            })
            .collect()
    }

    /// What every reader's records in homes and projects have in common.
    fn of_anybody(&self, resource: Resource) -> Cond {
        let all = Cond::all().add_option(self.not_trashed(resource));
        if resource != Resource::Collections || self.include_old_versions {
            return all;
        }
        all.add(column(resource, "current_version_uuid").eq(column(resource, "uuid")))
    }

    /// The ways on which the reader may come to records in homes and projects.
    fn ways(&self, resource: Resource) -> Vec<Cond> {
        if self.reader.is_admin {
            return vec![Cond::all().add_option(self.owner_in_sight(resource))];
        }
        let owner = column(resource, "owner_uuid");
        let mut ways = vec![Cond::all().add(self.is_in(owner, self.owners.keys()))];
        let code = resource.type_code();
        let heads = || self.heads.keys().filter(|uuid| uuid.get(6..11) == Some(code));
        if heads().next().is_some() {
            ways.push(self.linked(resource, heads()));
        }
        if resource == Resource::Groups {
            ways.push(Cond::all().add(Expr::cust(
                "\"groups\".\"uuid\" IN \
                 (SELECT roles.uuid FROM groups AS roles WHERE roles.group_class = 'role')",
            )));
        }
        ways
    }

    /// For an administrator, while there are trashed projects: all records, and those of them that are in such projects.
    pub(crate) fn all_and_hidden(&self, resource: Resource) -> Option<(Cond, Cond)> {
        let is_in_projects = Resource::OWNED.contains(&resource) && resource != Resource::Links;
        if !self.reader.is_admin || !is_in_projects || self.hidden.is_empty() {
            return None;
        }
        let hidden = self.is_in(column(resource, "owner_uuid"), self.hidden.iter());
        Some((self.of_anybody(resource), self.of_anybody(resource).add(hidden)))
    }

    /// Records that are among these heads of links. One in a trashed project is out of sight all the same.
    fn linked<'h>(&self, resource: Resource, heads: impl Iterator<Item = &'h String>) -> Cond {
        Cond::all()
            .add(self.is_in(column(resource, "uuid"), heads))
            .add_option(self.owner_in_sight(resource))
    }

    /// Not in the trash itself, where such records can be.
    fn not_trashed(&self, resource: Resource) -> Option<SimpleExpr> {
        let can_be = resource.schema().attribute("trash_at").is_some();
        let trash_at = column(resource, "trash_at");
        (can_be && !self.reader.include_trash)
            .then(|| trash_at.clone().is_null().or(trash_at.gt(self.now.as_str())))
    }

    fn owner_in_sight(&self, resource: Resource) -> Option<SimpleExpr> {
        let owner = column(resource, "owner_uuid");
        (!self.hidden.is_empty()).then(|| self.is_in(owner, self.hidden.iter()).not())
    }

    /// Whether the reader sees what the group in this column owns.
    pub(crate) fn sees_into(&self, column: (Alias, Alias)) -> SimpleExpr {
        let column = Expr::col(column);
        if self.reader.is_admin {
            return self.is_in(column, self.hidden.iter()).not();
        }
        self.is_in(column, self.owners.keys())
    }

    fn of_containers(&self) -> Cond {
        if self.reader.is_admin {
            return Cond::all();
        }
        let requests = Resource::ContainerRequests;
        let mut pointing = Query::select();
        pointing
            .expr(Expr::val(1))
            .from(Alias::new(requests.schema().table))
            .and_where(column(requests, "container_uuid").eq(column(Resource::Containers, "uuid")))
            .cond_where(self.of_records(requests));
        Cond::all().add(Expr::exists(pointing))
    }

    /// Entries about what the reader sees or, where it is gone, saw: by whose it was. What the system writes belongs to
    /// the system user, so an entry of one's own is one that was written by hand.
    fn of_logs(&self) -> Cond {
        if self.reader.is_admin {
            return Cond::all();
        }
        let of = |name: &'static str| column(Resource::Logs, name);
        let user = self.reader.user.as_str();
        let codes = Resource::OWNED.iter().map(|resource| resource.type_code());
        // Tokens, accounts and permissions of others are nobody's business, whoever manages them.
        let is_owned = type_code_of(of("object_uuid")).is_in(codes);
        let in_project =
            Cond::all().add(is_owned).add(self.is_in(of("object_owner_uuid"), self.owners.keys()));
        let linked = Cond::all().add(self.is_in(of("object_uuid"), self.heads.keys()));
        let hidden = (!self.hidden.is_empty())
            .then(|| self.is_in(of("object_owner_uuid"), self.hidden.iter()).not());
        let requests = Resource::ContainerRequests;
        let mut pointing = Query::select();
        pointing
            .expr(Expr::val(1))
            .from(Alias::new(requests.schema().table))
            .and_where(column(requests, "container_uuid").eq(of("object_uuid")))
            .cond_where(self.of_records(requests));
        Cond::any()
            .add(of("owner_uuid").eq(user))
            .add(of("object_owner_uuid").eq(user))
            .add(of("object_uuid").eq(user))
            .add(in_project)
            .add(linked.add_option(hidden))
            .add(Expr::exists(pointing))
    }

    fn of_links(&self) -> Cond {
        let links = Resource::Links;
        if self.reader.is_admin {
            return Cond::all();
        }
        let is_of = |class: &'static str| column(links, "link_class").eq(class);
        let owned = Cond::all()
            .add(self.is_in(column(links, "owner_uuid"), self.owners.keys()))
            .add(is_of(PERMISSION_CLASS).not())
            .add(is_of(SERVICE_ACCESS_CLASS).not());
        // In a query of its own, which goes over links of one class and only where one is met: both sides of the OR
        // are then found by an index.
        let given = |class, is_such| {
            Cond::all()
                .add(is_of(class))
                .add(column(links, "uuid").in_subquery(self.given_in_sight(is_such)))
        };
        // As the indexes have it, to the letter.
        Cond::any()
            .add(owned)
            .add(given(PERMISSION_CLASS, "\"grants\".\"link_class\" = 'permission'"))
            .add(given(SERVICE_ACCESS_CLASS, "\"grants\".\"link_class\" = 'service_access'"))
    }

    /// Links that give something, and whose tail or head the reader is, or whose head it manages: because a link says
    /// so, or because it is in what the reader manages.
    fn given_in_sight(&self, is_such: &'static str) -> SelectStatement {
        let managed = |levels: &HashMap<String, Level>| -> Vec<String> {
            let managed = levels.iter().filter(|(_, level)| **level == Level::Manage);
            managed.map(|(uuid, _)| uuid.clone()).collect()
        };
        let (owners, heads) = (managed(&self.owners), managed(&self.heads));
        let user = self.reader.user.as_str();
        // Groups that one manages are all among these. One's own account is not for oneself to share.
        let holders = owners.iter().chain(&heads).filter(|uuid| {
            matches!(Resource::of_uuid(uuid), Some(Resource::Groups | Resource::Users))
                && *uuid != user
        });
        let of_grant = |name: &'static str| Expr::col((Alias::new("grants"), Alias::new(name)));
        let mut any = Cond::any()
            .add(of_grant("tail_uuid").eq(user))
            .add(of_grant("head_uuid").eq(user))
            .add(self.is_in(of_grant("head_uuid"), holders));
        for resource in Resource::OWNED.iter().copied().filter(|of| *of != Resource::Groups) {
            let table = Alias::new(resource.schema().table);
            let by_owner = self.is_in(column(resource, "owner_uuid"), owners.iter());
            let managed = Cond::any().add(by_owner).add(self.linked(resource, heads.iter()));
            let mut owned = Query::select();
            owned
                .column((table.clone(), Alias::new("uuid")))
                .from(table)
                .and_where(column(resource, "uuid").eq(of_grant("head_uuid")))
                .cond_where(Cond::all().add(managed).add_option(self.not_trashed(resource)));
            let is_such = type_code_of(of_grant("head_uuid")).eq(resource.type_code());
            any = any.add(Cond::all().add(is_such).add(Expr::exists(owned)));
        }
        let mut grants = Query::select();
        grants
            .column((Alias::new("grants"), Alias::new("uuid")))
            .from_as(Alias::new(Resource::Links.schema().table), Alias::new("grants"))
            .and_where(Expr::cust(is_such))
            .cond_where(any);
        grants
    }

    /// Whether a column's value is one of these.
    pub(crate) fn is_in<S: AsRef<str>>(
        &self,
        column: SimpleExpr,
        values: impl Iterator<Item = S>,
    ) -> SimpleExpr {
        is_in(self.dialect, column, values)
    }

    /// What the reader may do with a request of this owner.
    fn level_on_request(&self, uuid: &str, owner_uuid: &str) -> Option<Level> {
        if self.hidden.contains(owner_uuid) {
            return None;
        }
        if self.reader.is_admin {
            return Some(Level::Manage);
        }
        self.owners.get(owner_uuid).into_iter().chain(self.heads.get(uuid)).copied().max()
    }

    /// What the reader may do with a group of this owner.
    fn level_on_group(&self, uuid: &str, owner_uuid: &str, is_role: bool) -> Option<Level> {
        if self.reader.is_admin {
            return Some(Level::Manage);
        }
        let by_owner = self.owners.get(owner_uuid).filter(|_| !is_role);
        let seen = is_role.then_some(Level::Read);
        by_owner.into_iter().chain(self.heads.get(uuid)).copied().chain(seen).max()
    }
}

/// A column of a record type.
pub(crate) fn column(resource: Resource, name: &'static str) -> SimpleExpr {
    Expr::col((Alias::new(resource.schema().table), Alias::new(name)))
}

/// Whether a column's value is one of these.
pub(crate) fn is_in<S: AsRef<str>>(
    dialect: Dialect,
    column: SimpleExpr,
    values: impl Iterator<Item = S>,
) -> SimpleExpr {
    let mut values: Vec<String> = values.map(|value| value.as_ref().to_owned()).collect();
    // One is the home of who shares nothing: an index is then read in its order.
    if values.len() == 1 {
        return column.eq(values.remove(0));
    }
    let list = serde_json::Value::from(values);
    dialect.is_among(column, list.to_string())
}

/// The rights on each of these groups.
pub(super) async fn rights_on_groups(
    conn: &mut Connection,
    around: &Around,
    reader: &Reader,
    uuids: &[&str],
) -> Result<HashMap<String, Rights>, StoreError> {
    // Whoever shows a trashed group has found it by asking for trash.
    let reader = Reader { include_trash: true, ..*reader };
    let sight = Sight::of(conn, around, &reader).await?;
    let frozen = frozen(conn).await?;
    let rows = among(conn, "uuid, owner_uuid, group_class = 'role' FROM groups", uuids).await?;
    let mut rights = HashMap::with_capacity(rows.len());
    for row in rows {
        let (uuid, owner): (String, String) = (row.try_get(0)?, row.try_get(1)?);
        if let Some(level) = sight.level_on_group(&uuid, &owner, row.try_get(2)?) {
            let is_frozen = frozen.contains(&uuid);
            rights.insert(uuid, Rights { level, is_frozen });
        }
    }
    Ok(rights)
}

/// The rights on each of these container requests.
pub(super) async fn rights_on_requests(
    conn: &mut Connection,
    around: &Around,
    reader: &Reader,
    uuids: &[&str],
) -> Result<HashMap<String, Rights>, StoreError> {
    let sight = Sight::of(conn, around, reader).await?;
    let frozen = frozen(conn).await?;
    let rows = among(conn, "uuid, owner_uuid FROM container_requests", uuids).await?;
    let mut rights = HashMap::with_capacity(rows.len());
    for row in rows {
        let (uuid, owner): (String, String) = (row.try_get(0)?, row.try_get(1)?);
        if let Some(level) = sight.level_on_request(&uuid, &owner) {
            rights.insert(uuid, Rights { level, is_frozen: frozen.contains(&owner) });
        }
    }
    Ok(rights)
}

/// What is selected of the records with these identifiers.
async fn among(
    conn: &mut Connection,
    selected: &str,
    uuids: &[&str],
) -> Result<Vec<Row>, StoreError> {
    let text = format!("SELECT {selected} WHERE uuid {}", conn.dialect().among(1));
    let list = serde_json::Value::from_iter(uuids.iter().copied()).to_string();
    connection::Query::made(text, vec![list.into()]).fetch_all(conn).await
}

/// Frozen projects and those in them.
async fn frozen(conn: &mut Connection) -> Result<HashSet<String>, StoreError> {
    let rows = query(FROZEN).fetch_all(conn).await?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}
