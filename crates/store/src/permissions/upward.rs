//! From one record up to those who reach it: over owners, and over permission links from head to tail.
//!
//! Both are indexed and a record has few of either, so that a check costs the same whatever else there is.

use model::Level;

use super::{Around, Found, Rights};
use crate::connection::{Connection, query};
use crate::error::StoreError;
use crate::list::Reader;
use crate::schema::Resource;

/// `chain` are the owners of `$1`, of which `$2` is the first.
macro_rules! chain {
    ($record:literal) => {
        concat!(
            "chain (uuid) AS ( \
                SELECT ",
            $record,
            " UNION \
                SELECT $2 WHERE $2 IS NOT NULL \
                UNION \
                SELECT groups.owner_uuid FROM chain \
                    JOIN groups ON groups.uuid = chain.uuid WHERE groups.group_class <> 'role' \
            ) "
        )
    };
}

/// Whether one of `chain` was trashed before `$3`, and whether one is frozen.
macro_rules! hidden_and_frozen {
    ($record:literal) => {
        concat!(
            "WITH RECURSIVE ",
            chain!($record),
            "SELECT \
            EXISTS (SELECT 1 FROM chain JOIN groups ON groups.uuid = chain.uuid \
                WHERE groups.trash_at <= $3), \
            EXISTS (SELECT 1 FROM chain JOIN groups ON groups.uuid = chain.uuid \
                WHERE groups.frozen_by_uuid IS NOT NULL)"
        )
    };
}

/// `up` are the holders of rights on `$1`, which `$2` owns; `chain` are its owners alone.
///
/// `itself` is 1 for the record that the question is about: any link to it counts. From a user who is met on the way
/// only a link that manages it leads on.
macro_rules! upward_by {
    ($record:literal, $steps:literal, $answer:literal) => {
        concat!(
            "WITH RECURSIVE up (uuid, level, itself) AS ( \
                SELECT ",
            $record,
            ", 3, $3 \
                UNION \
                SELECT $2, 3, 0 WHERE $2 IS NOT NULL \
                UNION ",
            $steps,
            "), ",
            chain!($record),
            $answer
        )
    };
}

/// The question for a database: a step leads to an owner, or over a permission link to its tail. SQLite reads the steps
/// from indexes where each is a term of its own; PostgreSQL takes one term that names what is recursive once.
macro_rules! upward {
    ($dialect:expr, $answer:literal) => {
        $dialect.pick(
            upward_by!(
                "$1",
                "SELECT groups.owner_uuid, up.level, 0 FROM up \
                    JOIN groups ON groups.uuid = up.uuid \
                    WHERE groups.group_class <> 'role' \
                UNION \
                SELECT links.tail_uuid, CASE WHEN links.name = 'can_manage' THEN up.level \
                        WHEN links.name = 'can_write' AND up.level > 1 THEN 2 ELSE 1 END, 0 FROM up \
                    JOIN links ON links.head_uuid = up.uuid \
                    WHERE links.link_class = 'permission' AND links.tail_uuid IS NOT NULL \
                    AND links.name IN ('can_read', 'can_write', 'can_manage') \
                    AND (up.itself = 1 OR links.name = 'can_manage' \
                        OR substr(up.uuid, 7, 5) <> 'tpzed')",
                $answer
            ),
            upward_by!(
                "$1 COLLATE \"C\"",
                "SELECT step.uuid, step.level, 0 FROM up CROSS JOIN LATERAL ( \
                    SELECT groups.owner_uuid AS uuid, up.level FROM groups \
                        WHERE groups.uuid = up.uuid AND groups.group_class <> 'role' \
                    UNION ALL \
                    SELECT links.tail_uuid, CASE WHEN links.name = 'can_manage' THEN up.level \
                            WHEN links.name = 'can_write' AND up.level > 1 THEN 2 ELSE 1 END \
                        FROM links WHERE links.head_uuid = up.uuid \
                        AND links.link_class = 'permission' AND links.tail_uuid IS NOT NULL \
                        AND links.name IN ('can_read', 'can_write', 'can_manage') \
                        AND (up.itself = 1 OR links.name = 'can_manage' \
                            OR substr(up.uuid, 7, 5) <> 'tpzed') \
                ) AS step",
                $answer
            ),
        )
    };
}

/// The rights on a record by owners and links.
pub(super) async fn rights(
    conn: &mut Connection,
    around: &Around,
    reader: &Reader,
    resource: Resource,
    found: &Found,
) -> Result<Option<Rights>, StoreError> {
    let user = reader.user.as_str();
    let is_in_home = found.owner_uuid == user
        || reader.is_admin && model::UserUuid::parse(&found.owner_uuid).is_ok();
    // What is in one's own home, the most of all, needs no question: only groups hide or freeze.
    if resource != Resource::Groups && is_in_home {
        return Ok(Some(Rights { level: Level::Manage, is_frozen: false }));
    }
    // The system owns users, which makes nobody their manager.
    let owner = (resource != Resource::Users).then(|| found.owner_uuid.clone());
    if reader.is_admin {
        return of_administrator(conn, around, reader, &found.uuid, owner).await;
    }
    let row = query(upward!(
        conn.dialect(),
        "SELECT (SELECT CAST(MAX(CASE WHEN up.uuid = $4 THEN up.level \
                WHEN up.uuid = $5 AND up.level > 1 THEN 2 ELSE 1 END) AS BIGINT) \
            FROM up WHERE up.uuid IN ($4, $5, $6)), \
        EXISTS (SELECT 1 FROM chain JOIN groups ON groups.uuid = chain.uuid \
            WHERE groups.trash_at <= $7), \
        EXISTS (SELECT 1 FROM chain JOIN groups ON groups.uuid = chain.uuid \
            WHERE groups.frozen_by_uuid IS NOT NULL), \
        EXISTS (SELECT 1 FROM groups WHERE uuid = $1 AND group_class = 'role')"
    ))
    .bind(found.uuid.clone())
    .bind(owner)
    .bind(1)
    .bind(user.to_owned())
    .bind(around.all_users.clone())
    .bind(around.anonymous.clone())
    .bind(around.now.clone())
    .fetch_one(conn)
    .await?;
    let number: Option<i64> = row.try_get(0)?;
    let (is_hidden, is_frozen): (bool, bool) = (row.try_get(1)?, row.try_get(2)?);
    let is_role: bool = row.try_get(3)?;
    if is_hidden && !reader.include_trash {
        return Ok(None);
    }
    // Roles can be seen by everybody.
    let level = number.and_then(Level::from_number).or(is_role.then_some(Level::Read));
    Ok(level.map(|level| Rights { level, is_frozen }))
}

/// No link gives an administrator more: only owners are asked, for a tenth of the time.
async fn of_administrator(
    conn: &mut Connection,
    around: &Around,
    reader: &Reader,
    uuid: &str,
    owner: Option<String>,
) -> Result<Option<Rights>, StoreError> {
    let by_owners =
        conn.dialect().pick(hidden_and_frozen!("$1"), hidden_and_frozen!("$1 COLLATE \"C\""));
    let row = query(by_owners)
        .bind(uuid.to_owned())
        .bind(owner)
        .bind(around.now.clone())
        .fetch_one(conn)
        .await?;
    let (is_hidden, is_frozen): (bool, bool) = (row.try_get(0)?, row.try_get(1)?);
    let is_seen = !is_hidden || reader.include_trash;
    Ok(is_seen.then_some(Rights { level: Level::Manage, is_frozen }))
}

/// Whether the reader has what this holder of rights has: is this user or manages it, has this role, or sees into
/// this project.
pub(crate) async fn has(
    conn: &mut Connection,
    around: &Around,
    reader: &Reader,
    holder: &str,
) -> Result<bool, StoreError> {
    let row = query(upward!(
        conn.dialect(),
        "SELECT EXISTS (SELECT 1 FROM up WHERE up.uuid IN ($4, $5, $6))"
    ))
    .bind(holder.to_owned())
    .bind(None::<String>)
    .bind(0)
    .bind(reader.user.to_string())
    .bind(around.all_users.clone())
    .bind(around.anonymous.clone())
    .fetch_one(conn)
    .await?;
    Ok(row.try_get(0)?)
}

/// The groups and permission links over which rights on a record lead: it is as it is until one of them changes.
pub(crate) async fn trail(
    conn: &mut Connection,
    uuid: &str,
    owner_uuid: &str,
) -> Result<Vec<String>, StoreError> {
    steps(conn, uuid, Some(owner_uuid.to_owned()), 1).await
}

/// The same for who has what this holder of rights has ([`has`]).
pub(crate) async fn trail_of_holder(
    conn: &mut Connection,
    holder: &str,
) -> Result<Vec<String>, StoreError> {
    steps(conn, holder, None, 0).await
}

async fn steps(
    conn: &mut Connection,
    uuid: &str,
    owner_uuid: Option<String>,
    itself: i32,
) -> Result<Vec<String>, StoreError> {
    let rows = query(upward!(
        conn.dialect(),
        "SELECT groups.uuid FROM up JOIN groups ON groups.uuid = up.uuid \
        UNION \
        SELECT links.uuid FROM up JOIN links ON links.head_uuid = up.uuid \
            WHERE links.link_class = 'permission'"
    ))
    .bind(uuid.to_owned())
    .bind(owner_uuid)
    .bind(itself)
    .fetch_all(conn)
    .await?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}
