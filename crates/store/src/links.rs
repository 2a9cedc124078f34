//! Links; those of the classes `hostname` and `published_port` are service host names.

use model::{ContainerRequest, Link, LinkUuid, RequestUuid, Timestamp, UserUuid};

use crate::access;
use crate::changes::ChangeKind;
use crate::connection::query;
use crate::database::Store;
use crate::error::StoreError;
use crate::groups;
use crate::random;
use crate::schema::{CONTAINER_REQUESTS, LINKS};
use crate::sql;
use crate::writer::Tx;

impl Store {
    /// A new link's identifier.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn new_link_uuid(&self) -> Result<LinkUuid, StoreError> {
        random::uuid(&self.options.cluster)
    }

    /// Keeps a new link. Its name, as a host name, is claimed by the database's unique index: of
    /// any number of claims at the same time exactly one wins.
    ///
    /// # Errors
    /// [`StoreError::NameTaken`], [`StoreError::NameResting`], [`StoreError::NamesMax`],
    /// [`StoreError::NotFound`] where the request that it is about is gone, [`StoreError::BadOwner`].
    pub async fn create_link(&self, mut link: Link, by: UserUuid) -> Result<Link, StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                (link.created_at, link.modified_at) = (tx.now, tx.now);
                link.modified_by_user_uuid = by;
                groups::check_owner(tx.conn(), &link.owner_uuid, None).await?;
                if link.is_hostname() {
                    check_hostname(tx, &link, true).await?;
                }
                if link.is_service_access()
                    && let Some(known) = access::prepare(tx, &link).await?
                {
                    return Ok(known);
                }
                let statement = sql::insert(&LINKS, &link, Vec::new())?;
                claimed(statement.execute(tx.conn()).await, &link)?;
                tx.changed(ChangeKind::Link, &link.uuid, audience(&link));
                Ok(link)
            })
        })
        .await
    }

    /// Replaces `before`, as it was read, by `after`.
    ///
    /// # Errors
    /// As [`Store::create_link`]; [`StoreError::Changed`] where the link is not as it was read.
    pub async fn update_link(
        &self,
        before: Link,
        mut after: Link,
        by: UserUuid,
    ) -> Result<Link, StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                let as_read = before.modified_at;
                sql::require_as_read(tx.conn(), &LINKS, "link", before.uuid.as_str(), as_read)
                    .await?;
                after.modified_at = later(tx.now, before.modified_at);
                after.modified_by_user_uuid = by;
                if after.owner_uuid != before.owner_uuid {
                    groups::check_owner(tx.conn(), &after.owner_uuid, None).await?;
                }
                let renamed = before.name != after.name || !before.is_hostname();
                if after.is_hostname() {
                    check_hostname(tx, &after, renamed).await?;
                }
                if before.is_hostname() && before.name != after.name {
                    rest_name(tx, &before).await?;
                }
                let statement = sql::update(&LINKS, after.uuid.as_str(), &after, Vec::new())?;
                claimed(statement.execute(tx.conn()).await, &after)?;
                let owners = audience(&before).chain(audience(&after));
                tx.changed(ChangeKind::Link, &after.uuid, owners);
                Ok(after)
            })
        })
        .await
    }

    /// Deletes a link, which frees its name; false where there was none.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn delete_link(&self, uuid: LinkUuid) -> Result<bool, StoreError> {
        self.write_ending(move |tx| {
            Box::pin(async move {
                let link: Option<Link> = sql::by_uuid(tx.conn(), &LINKS, uuid.as_str()).await?;
                match link {
                    Some(link) => delete(tx, &link).await.map(|()| true),
                    None => Ok(false),
                }
            })
        })
        .await
    }

    /// The link with this identifier.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn link(&self, uuid: LinkUuid) -> Result<Option<Link>, StoreError> {
        sql::by_uuid(&mut self.reader().await?, &LINKS, uuid.as_str()).await
    }

    /// The host names that lead to a request, oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn hostnames_of(&self, request: RequestUuid) -> Result<Vec<Link>, StoreError> {
        sql::select_where(
            &mut self.reader().await?,
            &LINKS,
            "WHERE head_uuid = $1 AND link_class IN ('hostname', 'published_port') \
             ORDER BY created_at, uuid",
            &[request.as_str()],
        )
        .await
    }

    /// Who has a host name: a user or a project.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn hostname_owner(&self, name: &str) -> Result<Option<String>, StoreError> {
        let row = query(
            "SELECT owner_uuid FROM links \
             WHERE name = $1 AND link_class IN ('hostname', 'published_port')",
        )
        .bind(name)
        .fetch_optional(&mut self.reader().await?)
        .await?;
        Ok(row.map(|row| row.try_get(0)).transpose()?)
    }
}

/// A time after `before`, so that each change can be told from the one before it.
pub(crate) fn later(now: Timestamp, before: Timestamp) -> Timestamp {
    let tick = jiff::SignedDuration::from_nanos(1);
    now.max(Timestamp::from_jiff(before.as_jiff().checked_add(tick).unwrap_or(before.as_jiff())))
}

/// The links that a user owns, and those from and to it.
pub(crate) async fn of_user(tx: &mut Tx, user: UserUuid) -> Result<Vec<Link>, StoreError> {
    let ends = "WHERE owner_uuid = $1 OR tail_uuid = $1 OR head_uuid = $1";
    sql::select_where(tx.conn(), &LINKS, ends, &[user.as_str()]).await
}

/// Deletes a link and lets its name rest, or takes back what came with it.
pub(crate) async fn delete(tx: &mut Tx, link: &Link) -> Result<(), StoreError> {
    remove(tx, link).await?;
    if link.is_service_access() {
        for reading in access::left_behind(tx, link).await? {
            remove(tx, &reading).await?;
        }
    }
    Ok(())
}

async fn remove(tx: &mut Tx, link: &Link) -> Result<(), StoreError> {
    query("DELETE FROM links WHERE uuid = $1")
        .bind(link.uuid.to_string())
        .execute(tx.conn())
        .await?;
    if link.is_hostname() {
        rest_name(tx, link).await?;
    }
    tx.changed(ChangeKind::Link, &link.uuid, audience(link));
    Ok(())
}

/// Who hears of a link: its owner, and where it gives something those at both its ends.
pub(crate) fn audience(link: &Link) -> impl Iterator<Item = String> + use<> {
    let gives = link.gives();
    let ends = [link.tail_uuid.clone(), link.head_uuid.clone()];
    let ends = ends.into_iter().flatten().filter(move |_| gives);
    std::iter::once(link.owner_uuid.clone()).chain(ends)
}

fn claimed(written: Result<u64, StoreError>, link: &Link) -> Result<(), StoreError> {
    match written {
        Err(error) if error.is_unique_violation() => Err(StoreError::NameTaken(link.name.clone())),
        other => other.map(drop),
    }
}

/// What holds for a host name beyond its form: its request exists, nobody else gave the name up a
/// moment ago, and the owner has not too many.
async fn check_hostname(tx: &mut Tx, link: &Link, new_name: bool) -> Result<(), StoreError> {
    let head = link.head_uuid.as_deref().unwrap_or_default();
    let request: Option<ContainerRequest> =
        sql::by_uuid(tx.conn(), &CONTAINER_REQUESTS, head).await?;
    if request.is_none() {
        return Err(StoreError::NotFound(format!("container request {head}")));
    }
    if !new_name {
        return Ok(());
    }
    check_resting(tx, link).await?;
    let max = tx.options.names_per_user_max;
    let count: i64 = query(
        "SELECT COUNT(*) FROM links WHERE owner_uuid = $1 AND uuid <> $2 \
         AND link_class IN ('hostname', 'published_port')",
    )
    .bind(link.owner_uuid.clone())
    .bind(link.uuid.to_string())
    .fetch_one(tx.conn())
    .await?
    .try_get(0)?;
    if count >= i64::from(max) { Err(StoreError::NamesMax(max)) } else { Ok(()) }
}

async fn check_resting(tx: &mut Tx, link: &Link) -> Result<(), StoreError> {
    let row = query("SELECT owner_uuid, released_at FROM released_names WHERE name = $1")
        .bind(link.name.clone())
        .fetch_optional(tx.conn())
        .await?;
    let Some(row) = row else { return Ok(()) };
    let owner: String = row.try_get(0)?;
    let released = row.try_get::<String, _>(1)?.parse::<Timestamp>().unwrap_or(tx.now);
    let period = jiff::SignedDuration::try_from(tx.options.tombstone).unwrap_or_default();
    let free_at =
        Timestamp::from_jiff(released.as_jiff().checked_add(period).unwrap_or(released.as_jiff()));
    if owner != link.owner_uuid && free_at > tx.now {
        return Err(StoreError::NameResting(link.name.clone(), free_at.to_string()));
    }
    query("DELETE FROM released_names WHERE name = $1")
        .bind(link.name.clone())
        .execute(tx.conn())
        .await?;
    Ok(())
}

async fn rest_name(tx: &mut Tx, link: &Link) -> Result<(), StoreError> {
    if tx.options.tombstone.is_zero() {
        return Ok(());
    }
    let now = tx.now.to_string();
    query(
        "INSERT INTO released_names (name, owner_uuid, released_at) VALUES ($1, $2, $3) \
         ON CONFLICT (name) DO UPDATE SET owner_uuid = excluded.owner_uuid, \
         released_at = excluded.released_at",
    )
    .bind(link.name.clone())
    .bind(link.owner_uuid.clone())
    .bind(now)
    .execute(tx.conn())
    .await?;
    Ok(())
}
