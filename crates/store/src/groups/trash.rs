//! What time does to groups: those whose `trash_at` came are trashed, those whose `delete_at` came are deleted for good
//! with all that is in them.

use std::time::Duration;

use model::{Collection, ContainerRequest, Group, Link, Workflow};

use crate::changes::ChangeKind;
use crate::collections;
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
        let row = sqlx::query(
            "SELECT 1 FROM groups WHERE trash_at <= $1 \
             AND (NOT is_trashed OR delete_at <= $1) LIMIT 1",
        )
        .bind(self.now().to_string())
        .fetch_optional(&mut *self.reader().await?)
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
    let owner = group.uuid.to_string();
    for resource in Resource::OWNED {
        match resource {
            // Each is deleted as a leaf itself.
            Resource::Groups => {}
            Resource::ContainerRequests => {
                let owned: Vec<ContainerRequest> = sql::select_where(
                    tx.conn(),
                    &CONTAINER_REQUESTS,
                    "WHERE owner_uuid = $1 LIMIT 100",
                    &[&owner],
                )
                .await?;
                for request in owned {
                    if *left == 0 {
                        return Ok(false);
                    }
                    requests::delete(tx, &request).await?;
                    *left -= 1;
                }
            }
            Resource::Collections => {
                if !empty_of_collections(tx, &owner, left).await? {
                    return Ok(false);
                }
            }
            Resource::Workflows => {
                if !empty_of_workflows(tx, &owner, left).await? {
                    return Ok(false);
                }
            }
            // None of them belongs to a project.
            Resource::Containers
            | Resource::Users
            | Resource::Tokens
            | Resource::Links
            | Resource::Logs => {}
        }
    }
    let links: Vec<Link> =
        sql::select_where(tx.conn(), &LINKS, "WHERE owner_uuid = $1 LIMIT 100", &[&owner]).await?;
    for link in links {
        if *left == 0 {
            return Ok(false);
        }
        links::delete(tx, &link).await?;
        *left -= 1;
    }
    Ok(*left > 0)
}

/// As [`empty`], for collections alone, with their old versions.
async fn empty_of_collections(
    tx: &mut Tx,
    owner: &str,
    left: &mut usize,
) -> Result<bool, StoreError> {
    let owned: Vec<Collection> = sql::select_where(
        tx.conn(),
        &COLLECTIONS,
        "WHERE owner_uuid = $1 AND current_version_uuid = uuid LIMIT 100",
        &[owner],
    )
    .await?;
    for collection in owned {
        if *left == 0 {
            return Ok(false);
        }
        collections::delete(tx, collection.uuid).await?;
        *left -= 1;
    }
    Ok(true)
}

/// As [`empty`], for workflows alone.
async fn empty_of_workflows(
    tx: &mut Tx,
    owner: &str,
    left: &mut usize,
) -> Result<bool, StoreError> {
    let tail = "WHERE owner_uuid = $1 LIMIT 100";
    let owned: Vec<Workflow> = sql::select_where(tx.conn(), &WORKFLOWS, tail, &[owner]).await?;
    for workflow in owned {
        if *left == 0 {
            return Ok(false);
        }
        workflows::delete(tx, &workflow).await?;
        *left -= 1;
    }
    Ok(true)
}
