//! Projects, roles and filter groups: keeping them, and who may own what.

use std::time::Duration;

use model::permission::PERMISSION_CLASS;
use model::{
    Group, GroupClass, GroupUuid, JsonMap, Level, Link, Timestamp, UserUuid, WellKnownGroup,
};

use crate::changes::ChangeKind;
use crate::collections::{NameClash, renamed};
use crate::connection::{Connection, query};
use crate::database::Store;
use crate::error::StoreError;
use crate::links::{self, later};
use crate::random;
use crate::schema::{GROUPS, LINKS};
use crate::sql;
use crate::users::system_user;
use crate::writer::Tx;

mod trash;

impl Store {
    /// A new group's identifier.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn new_group_uuid(&self) -> Result<GroupUuid, StoreError> {
        random::uuid(&self.options.cluster)
    }

    /// Keeps a new group, checked by the caller. A role is managed by who made it.
    ///
    /// # Errors
    /// [`StoreError::NameInUse`], [`StoreError::BadOwner`], or when the database fails.
    pub async fn create_group(
        &self,
        mut group: Group,
        clash: NameClash,
        by: UserUuid,
    ) -> Result<Group, StoreError> {
        let manager: model::LinkUuid = random::uuid(&self.options.cluster)?;
        self.write(move |tx| {
            Box::pin(async move {
                (group.created_at, group.modified_at) = (tx.now, tx.now);
                group.modified_by_user_uuid = by;
                check_owner(tx.conn(), &group.owner_uuid, Some(group.uuid)).await?;
                complete_trash(tx, &mut group);
                save(tx, &mut group, clash, Saving::New).await?;
                if group.group_class == GroupClass::Role {
                    let link = grant(tx, manager, by.as_str(), group.uuid.as_str(), Level::Manage);
                    sql::insert(&LINKS, &link, Vec::new())?.execute(tx.conn()).await?;
                    tx.changed(ChangeKind::Link, &link.uuid, links::audience(&link));
                }
                tx.changed(ChangeKind::Group, &group.uuid, [&group.owner_uuid]);
                Ok(group)
            })
        })
        .await
    }

    /// Replaces `before`, as it was read, by `after`, whose changes the caller has checked.
    ///
    /// # Errors
    /// [`StoreError::Changed`] where the group is not as it was read; else as [`Store::create_group`].
    pub async fn update_group(
        &self,
        before: Group,
        mut after: Group,
        clash: NameClash,
        by: UserUuid,
    ) -> Result<Group, StoreError> {
        let takes_away = !before.is_trashed && after.is_trashed;
        self.write_ending_if(takes_away, move |tx| {
            Box::pin(async move {
                let as_read = before.modified_at;
                sql::require_as_read(tx.conn(), &GROUPS, "group", before.uuid.as_str(), as_read)
                    .await?;
                if after.owner_uuid != before.owner_uuid {
                    check_owner(tx.conn(), &after.owner_uuid, Some(after.uuid)).await?;
                }
                after.modified_at = later(tx.now, before.modified_at);
                after.modified_by_user_uuid = by;
                complete_trash(tx, &mut after);
                save(tx, &mut after, clash, Saving::Known).await?;
                tx.changed(
                    ChangeKind::Group,
                    &after.uuid,
                    [&before.owner_uuid, &after.owner_uuid, &after.uuid.to_string()],
                );
                Ok(after)
            })
        })
        .await
    }

    /// Deletes a role, and the links from and to it; false where there was none.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn delete_role(&self, uuid: GroupUuid) -> Result<bool, StoreError> {
        self.write_ending(move |tx| {
            Box::pin(async move {
                let group = load(tx.conn(), uuid).await?;
                let Some(group) = group.filter(|group| group.group_class == GroupClass::Role)
                else {
                    return Ok(false);
                };
                delete(tx, &group).await.map(|()| true)
            })
        })
        .await
    }

    /// The group with this identifier.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn group(&self, uuid: GroupUuid) -> Result<Option<Group>, StoreError> {
        load(&mut self.reader().await?, uuid).await
    }

    /// The permission links to a record.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn permissions_on(&self, head_uuid: &str) -> Result<Vec<Link>, StoreError> {
        sql::select_where(
            &mut self.reader().await?,
            &LINKS,
            "WHERE head_uuid = $1 AND link_class = 'permission' ORDER BY created_at, uuid",
            &[head_uuid],
        )
        .await
    }
}

pub(crate) async fn load(
    conn: &mut Connection,
    uuid: GroupUuid,
) -> Result<Option<Group>, StoreError> {
    sql::by_uuid(conn, &GROUPS, uuid.as_str()).await
}

/// What is trashed may be deleted for good some time later, unless it says when.
fn complete_trash(tx: &Tx, group: &mut Group) {
    if let (Some(trash_at), None) = (group.trash_at, group.delete_at) {
        group.delete_at = Some(after(trash_at, tx.options.trash_lifetime));
    }
}

fn after(at: Timestamp, time: Duration) -> Timestamp {
    let time = jiff::SignedDuration::try_from(time).unwrap_or(jiff::SignedDuration::MAX);
    Timestamp::from_jiff(at.as_jiff().checked_add(time).unwrap_or(jiff::Timestamp::MAX))
}

enum Saving {
    New,
    Known,
}

/// Writes the row. Whether the name can be had is the database's unique index to say.
async fn save(
    tx: &mut Tx,
    group: &mut Group,
    clash: NameClash,
    saving: Saving,
) -> Result<(), StoreError> {
    for may_rename in [clash == NameClash::Rename, false] {
        let statement = match saving {
            Saving::New => sql::insert(&GROUPS, group, Vec::new())?,
            Saving::Known => sql::update(&GROUPS, group.uuid.as_str(), group, Vec::new())?,
        };
        let written = if may_rename {
            statement.try_execute(tx.conn()).await
        } else {
            statement.execute(tx.conn()).await
        };
        match written {
            Err(error) if error.is_unique_violation() && may_rename => {
                group.name = renamed(&group.name, group.uuid.as_str());
            }
            Err(error) if error.is_unique_violation() => break,
            other => return other.map(drop),
        }
    }
    Err(StoreError::NameInUse {
        what: "group",
        owner: group.owner_uuid.clone(),
        name: group.name.clone(),
    })
}

/// A permission link of the system's, as all are.
pub(crate) fn grant(tx: &Tx, uuid: model::LinkUuid, tail: &str, head: &str, level: Level) -> Link {
    let system = system_user(&tx.options);
    Link {
        uuid,
        owner_uuid: system.to_string(),
        created_at: tx.now,
        modified_at: tx.now,
        modified_by_user_uuid: system,
        link_class: PERMISSION_CLASS.to_owned(),
        name: level.as_str().to_owned(),
        tail_uuid: Some(tail.to_owned()),
        head_uuid: Some(head.to_owned()),
        properties: JsonMap::new(),
    }
}

/// What owns records: a user, or a project, and no project itself over others.
///
/// # Errors
/// [`StoreError::BadOwner`] with the reason.
pub(crate) async fn check_owner(
    conn: &mut Connection,
    owner_uuid: &str,
    owned: Option<GroupUuid>,
) -> Result<(), StoreError> {
    let refuse = |why: String| Err(StoreError::BadOwner(why));
    if UserUuid::parse(owner_uuid).is_ok() {
        let found = query("SELECT 1 FROM users WHERE uuid = $1")
            .bind(owner_uuid.to_owned())
            .fetch_optional(conn)
            .await?;
        return match found {
            Some(_) => Ok(()),
            None => refuse(format!("{owner_uuid} does not exist")),
        };
    }
    let Ok(uuid) = GroupUuid::parse(owner_uuid) else {
        return refuse(format!("{owner_uuid:?} is no user and no project"));
    };
    match load(conn, uuid).await? {
        None => return refuse(format!("{owner_uuid} does not exist")),
        Some(group) if group.group_class != GroupClass::Project => {
            let class = group.group_class.as_str();
            return refuse(format!("{owner_uuid} is a {class}: only users and projects own"));
        }
        Some(_) => {}
    }
    let Some(owned) = owned else { return Ok(()) };
    if is_within(conn, owner_uuid, owned.as_str()).await? {
        return refuse(format!("{owner_uuid} is in the project that it would own"));
    }
    Ok(())
}

/// Whether something is this user or group, or belongs to it over any number of groups.
pub(crate) async fn is_within(
    conn: &mut Connection,
    uuid: &str,
    above: &str,
) -> Result<bool, StoreError> {
    macro_rules! is_in_chain {
        ($owner:literal) => {
            concat!(
                "WITH RECURSIVE chain (uuid) AS ( SELECT ",
                $owner,
                " UNION SELECT groups.owner_uuid FROM chain \
                    JOIN groups ON groups.uuid = chain.uuid \
                ) SELECT EXISTS (SELECT 1 FROM chain WHERE uuid = $2)"
            )
        };
    }
    let row = query(conn.dialect().pick(is_in_chain!("$1"), is_in_chain!("$1 COLLATE \"C\"")))
        .bind(uuid.to_owned())
        .bind(above.to_owned())
        .fetch_one(conn)
        .await?;
    Ok(row.try_get(0)?)
}

/// Deletes a group's row and the links from and to it.
async fn delete(tx: &mut Tx, group: &Group) -> Result<(), StoreError> {
    let uuid = group.uuid.to_string();
    let ends: Vec<Link> = sql::select_where(
        tx.conn(),
        &LINKS,
        "WHERE head_uuid = $1 \
         OR (tail_uuid = $1 AND link_class IN ('permission', 'service_access'))",
        &[&uuid],
    )
    .await?;
    for link in &ends {
        links::delete(tx, link).await?;
    }
    query("DELETE FROM groups WHERE uuid = $1").bind(uuid).execute(tx.conn()).await?;
    tx.changed(ChangeKind::Group, &group.uuid, [&group.owner_uuid]);
    Ok(())
}

/// Makes a group that belongs to the system.
pub(crate) async fn of_system(
    tx: &mut Tx,
    uuid: GroupUuid,
    name: &str,
    class: GroupClass,
) -> Result<Group, StoreError> {
    let system = system_user(&tx.options);
    let group = Group {
        uuid,
        owner_uuid: system.to_string(),
        created_at: tx.now,
        modified_at: tx.now,
        modified_by_user_uuid: system,
        name: name.to_owned(),
        group_class: class,
        description: None,
        properties: JsonMap::new(),
        trash_at: None,
        delete_at: None,
        is_trashed: false,
        frozen_by_uuid: None,
    };
    sql::insert(&GROUPS, &group, Vec::new())?.execute(tx.conn()).await?;
    Ok(group)
}

/// Lets all who have this role read a group; the link that says so.
pub(crate) async fn show_to(
    tx: &mut Tx,
    role: WellKnownGroup,
    uuid: GroupUuid,
) -> Result<Link, StoreError> {
    let role = role.uuid(&tx.options.cluster);
    let link_uuid = random::uuid(&tx.options.cluster)?;
    let link = grant(tx, link_uuid, role.as_str(), uuid.as_str(), Level::Read);
    sql::insert(&LINKS, &link, Vec::new())?.execute(tx.conn()).await?;
    Ok(link)
}

/// Makes the groups that every cluster has, where they are missing.
pub(crate) async fn ensure_well_known(tx: &mut Tx) -> Result<(), StoreError> {
    for known in WellKnownGroup::ALL {
        let uuid = known.uuid(&tx.options.cluster);
        if load(tx.conn(), uuid).await?.is_some() {
            continue;
        }
        of_system(tx, uuid, known.name(), known.class()).await?;
        if known == WellKnownGroup::PublicFavorites {
            show_to(tx, WellKnownGroup::Anonymous, uuid).await?;
        }
    }
    Ok(())
}
