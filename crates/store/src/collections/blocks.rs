//! Which blocks collections consist of: what the sweep of blocks must leave alone.

use std::collections::HashSet;

use manifest::BlockHash;
use sqlx::Row as _;

use crate::database::Store;
use crate::error::StoreError;

/// Manifests read at a time; each has some kilobytes, or a hundred megabytes.
const PAGE: i64 = 8;

impl Store {
    /// The blocks of every collection, old version and collection in the trash, and of what they
    /// consisted of until a short while ago.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn referenced_blocks(&self) -> Result<HashSet<BlockHash>, StoreError> {
        let mut blocks = HashSet::new();
        let mut last = String::new();
        loop {
            let rows = sqlx::query(
                "SELECT uuid, manifest_text FROM collections WHERE uuid > $1 ORDER BY uuid LIMIT $2",
            )
            .bind(last.clone())
            .bind(PAGE)
            .fetch_all(&mut *self.reader().await?)
            .await?;
            let Some(row) = rows.last() else { break };
            last = row.try_get(0)?;
            for row in &rows {
                blocks.extend(manifest::hashes(row.try_get(1)?));
            }
        }
        // Last: what left a collection that was not read yet, to one that had been, is in here.
        let mut last = 0_i64;
        loop {
            let rows = sqlx::query(
                "SELECT id, manifest_text FROM released_manifests WHERE id > $1 ORDER BY id LIMIT $2",
            )
            .bind(last)
            .bind(PAGE)
            .fetch_all(&mut *self.reader().await?)
            .await?;
            let Some(row) = rows.last() else { return Ok(blocks) };
            last = row.try_get(0)?;
            for row in &rows {
                blocks.extend(manifest::hashes(row.try_get(1)?));
            }
        }
    }
}
