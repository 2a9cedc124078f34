//! Collections that go: into the trash when their time has come, and later for good.

use model::{Collection, CollectionUuid, Link, Timestamp};

use super::{blocks, changed};
use crate::connection::query;
use crate::database::Store;
use crate::error::StoreError;
use crate::links;
use crate::schema::{COLLECTIONS, LINKS};
use crate::sql;
use crate::writer::Tx;

/// Collections deleted in one transaction: others want to write too.
const DELETED_AT_ONCE: usize = 50;

/// What a sweep of collections did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CollectionsSwept {
    /// Collections marked as being in the trash.
    pub n_trashed: u64,
    /// Collections deleted, with all their versions.
    pub n_deleted: u64,
}

impl Store {
    /// Marks collections whose time to go to the trash has come, and deletes those whose time to be
    /// deleted has.
    ///
    /// # Errors
    /// When the database fails; what was done until then stays done.
    pub async fn sweep_collections(&self) -> Result<CollectionsSwept, StoreError> {
        let mut swept = CollectionsSwept {
            n_trashed: self.write_ending(|tx| Box::pin(mark_due(tx))).await?,
            n_deleted: 0,
        };
        loop {
            let n_deleted = self.write_ending(|tx| Box::pin(delete_due(tx))).await?;
            swept.n_deleted += n_deleted;
            if n_deleted < DELETED_AT_ONCE as u64 {
                return Ok(swept);
            }
        }
    }

    /// Forgets blocks that collections had until before `before`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn forget_released(&self, before: Timestamp) -> Result<u64, StoreError> {
        self.write_ending(move |tx| {
            Box::pin(async move {
                query("DELETE FROM released_blocks WHERE released_at < $1")
                    .bind(before.to_string())
                    .execute(tx.conn())
                    .await
            })
        })
        .await
    }
}

/// Marks what is due as being in the trash, which frees its name.
pub(super) async fn mark_due(tx: &mut Tx) -> Result<u64, StoreError> {
    let now = tx.now.to_string();
    let due: Vec<Collection> = sql::select_where(
        tx.conn(),
        &COLLECTIONS,
        "WHERE trash_at <= $1 AND NOT is_trashed AND current_version_uuid = uuid",
        &[now.as_str()],
    )
    .await?;
    for collection in &due {
        changed(tx, collection, &[]);
    }
    if !due.is_empty() {
        query("UPDATE collections SET is_trashed = TRUE WHERE trash_at <= $1 AND NOT is_trashed")
            .bind(now)
            .execute(tx.conn())
            .await?;
    }
    Ok(due.len() as u64)
}

async fn delete_due(tx: &mut Tx) -> Result<u64, StoreError> {
    let rows = query(
        "SELECT uuid FROM collections WHERE delete_at <= $1 AND current_version_uuid = uuid LIMIT $2",
    )
    .bind(tx.now.to_string())
    .bind(i64::try_from(DELETED_AT_ONCE).unwrap_or(i64::MAX))
    .fetch_all(tx.conn())
    .await?;
    for row in &rows {
        let uuid: String = row.try_get(0)?;
        if let Ok(uuid) = CollectionUuid::parse(&uuid) {
            delete(tx, uuid).await?;
        }
    }
    Ok(rows.len() as u64)
}

/// Deletes a collection with its versions and the links to it. Their blocks stay for as long as anybody may have
/// permission to read them.
pub(crate) async fn delete(tx: &mut Tx, uuid: CollectionUuid) -> Result<(), StoreError> {
    let versions: Vec<Collection> = sql::select_where(
        tx.conn(),
        &COLLECTIONS,
        "WHERE current_version_uuid = $1",
        &[uuid.as_str()],
    )
    .await?;
    for version in &versions {
        release(tx, &blocks::dropped(&version.manifest_text, "")).await?;
        if version.is_current() {
            changed(tx, version, &[]);
        }
    }
    let links: Vec<Link> =
        sql::select_where(tx.conn(), &LINKS, "WHERE head_uuid = $1", &[uuid.as_str()]).await?;
    for link in &links {
        links::delete(tx, link).await?;
    }
    query("DELETE FROM collections WHERE current_version_uuid = $1")
        .bind(uuid.to_string())
        .execute(tx.conn())
        .await?;
    Ok(())
}

/// Notes that a collection no longer has these blocks.
pub(super) async fn release(tx: &mut Tx, locators: &str) -> Result<(), StoreError> {
    if locators.is_empty() {
        return Ok(());
    }
    let now = tx.now.to_string();
    query("INSERT INTO released_blocks (locators, released_at) VALUES ($1, $2)")
        .bind(locators.to_owned())
        .bind(now)
        .execute(tx.conn())
        .await?;
    Ok(())
}

/// Old versions belong to whom the newest one does, and are in the trash when it is.
pub(super) async fn take_versions_along(
    tx: &mut Tx,
    collection: &Collection,
) -> Result<(), StoreError> {
    if collection.version == 1 {
        return Ok(());
    }
    query(
        "UPDATE collections SET owner_uuid = $1, trash_at = $2, delete_at = $3, is_trashed = $4 \
         WHERE current_version_uuid = $5 AND uuid <> $5",
    )
    .bind(collection.owner_uuid.clone())
    .bind(collection.trash_at.map(|at| at.to_string()))
    .bind(collection.delete_at.map(|at| at.to_string()))
    .bind(collection.is_trashed)
    .bind(collection.uuid.to_string())
    .execute(tx.conn())
    .await?;
    Ok(())
}
