//! What time does to groups: those whose `trash_at` came are trashed, those whose `delete_at` came are deleted for good
//! with all that is in them.

use std::time::Duration;

use model::filter::Schema;
use model::{Collection, Group};
use serde::de::DeserializeOwned;

use crate::changes::ChangeKind;
use crate::collections;
use crate::connection::query;
use crate::database::Store;
use crate::error::StoreError;
use crate::links::{self, later};
use crate::requests;
use crate::schema::{COLLECTIONS, CONTAINER_REQUESTS, GROUPS, LINKS, Resource, WORKFLOWS};
use crate::sql;
use crate::workflows;
use crate::writer::Tx;

/// Records deleted in one transaction: others wait for it.
const BATCH: usize = 100;

/// How often it is looked whether something is due. Lists go by the time itself and need no sweep.
const PERIOD: Duration = Duration::from_secs(60);

impl Store {
    /// Sweeps from time to time, until the store is closed. A process runs it once; of several it does not matter who.
    pub async fn keep_trash(&self) {
        while !self.is_closed() {
            if let Err(error) = self.sweep_groups().await {
                tracing::warn!(%error, "trashed projects cannot be swept now; trying again");
            }
            tokio::time::sleep(PERIOD).await;
        }
    }

    /// Does to groups what time has made due. Repeating it does nothing.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn sweep_groups(&self) -> Result<(), StoreError> {
        if !self.is_group_due().await? {
            return Ok(());
        }
        self.write(|tx| Box::pin(trash_due(tx))).await?;
        while self.write_ending(|tx| Box::pin(delete_due(tx))).await? {}
        Ok(())
    }

    /// Asked without the writer: mostly nothing is.
    async fn is_group_due(&self) -> Result<bool, StoreError> {
        let row = query(
            "SELECT 1 FROM groups WHERE trash_at <= $1 \
             AND (NOT is_trashed OR delete_at <= $1) LIMIT 1",
        )
        .bind(self.now().to_string())
        .fetch_optional(&mut self.reader().await?)
        .await?;
        Ok(row.is_some())
    }
}

async fn trash_due(tx: &mut Tx) -> Result<(), StoreError> {
    let now = tx.now.to_string();
    let due: Vec<Group> = sql::select_where(
        tx.conn(),
        &GROUPS,
        "WHERE trash_at <= $1 AND NOT is_trashed LIMIT 1000",
        &[&now],
    )
    .await?;
    for mut group in due {
        group.is_trashed = true;
        group.modified_at = later(tx.now, group.modified_at);
        sql::update(&GROUPS, group.uuid.as_str(), &group, Vec::new())?.execute(tx.conn()).await?;
        tx.changed(ChangeKind::Group, &group.uuid, [&group.owner_uuid, &group.uuid.to_string()]);
    }
    Ok(())
}

/// The groups to delete: due ones, and what is in them. Deepest last, so that owners go after what they own.
const DOOMED: &str = "WHERE groups.uuid IN ( \
        WITH RECURSIVE doomed (uuid) AS ( \
            SELECT uuid FROM groups WHERE trash_at <= $1 AND delete_at <= $1 \
            UNION \
            SELECT below.uuid FROM doomed JOIN groups AS below ON below.owner_uuid = doomed.uuid \
        ) SELECT uuid FROM doomed) \
    AND NOT EXISTS (SELECT 1 FROM groups AS inside WHERE inside.owner_uuid = groups.uuid) \
    LIMIT 100";

/// Deletes a batch of what is due; false where nothing was.
async fn delete_due(tx: &mut Tx) -> Result<bool, StoreError> {
    let now = tx.now.to_string();
    let leaves: Vec<Group> = sql::select_where(tx.conn(), &GROUPS, DOOMED, &[&now]).await?;
    let mut left = BATCH;
    for group in &leaves {
        if left == 0 {
            break;
        }
        if empty(tx, group, &mut left).await? {
            super::delete(tx, group).await?;
            left = left.saturating_sub(1);
        }
    }
    Ok(!leaves.is_empty())
}

/// Deletes what a project without projects in it owns, at most `left` records; whether all is gone.
async fn empty(tx: &mut Tx, group: &Group, left: &mut usize) -> Result<bool, StoreError> {
    for resource in Resource::OWNED {
        match resource {
            // Each is deleted as a leaf itself.
            Resource::Groups => {}
            Resource::ContainerRequests => {
                for request in &owned_by(tx, group, &CONTAINER_REQUESTS, left).await? {
                    requests::delete(tx, request).await?;
                }
            }
            Resource::Collections => {
                for collection in owned_by::<Collection>(tx, group, &COLLECTIONS, left).await? {
                    // Old versions go with the newest one.
                    collections::delete(tx, collection.current_version_uuid).await?;
                }
            }
            Resource::Workflows => {
                for workflow in &owned_by(tx, group, &WORKFLOWS, left).await? {
                    workflows::delete(tx, workflow).await?;
                }
            }
            // These belong to no project.
            Resource::Logs
            | Resource::Containers
            | Resource::Users
            | Resource::Tokens
            | Resource::Links => {}
        }
    }
    for link in &owned_by(tx, group, &LINKS, left).await? {
        links::delete(tx, link).await?;
    }
    Ok(*left > 0)
}

/// Records of the group, as many as `left` says at most, and that many less are left.
async fn owned_by<R: DeserializeOwned>(
    tx: &mut Tx,
    group: &Group,
    schema: &'static Schema,
    left: &mut usize,
) -> Result<Vec<R>, StoreError> {
    let tail = "WHERE owner_uuid = $1 LIMIT 100";
    let mut owned = sql::select_where(tx.conn(), schema, tail, &[group.uuid.as_str()]).await?;
    owned.truncate(*left);
    *left -= owned.len();
    Ok(owned)
}
