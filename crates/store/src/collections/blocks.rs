//! Which blocks collections consist of: what the sweep of blocks must leave alone.

use std::collections::HashSet;

use manifest::BlockHash;

use crate::connection::query;
use crate::database::Store;
use crate::error::StoreError;

/// Manifests read at a time; each has some kilobytes, or a hundred megabytes.
const PAGE: i64 = 8;

/// The blocks of one manifest that another one has not, as locators with spaces between them. What is only added
/// to or put in another order leaves none.
pub(super) fn dropped(before: &str, after: &str) -> String {
    let mut known: HashSet<BlockHash> = manifest::hashes(after).collect();
    let dropped = manifest::hashes(before).filter(|hash| known.insert(*hash));
    // The size is of no interest here; without one it would be no locator.
    dropped.map(|hash| format!("{hash}+0 ")).collect()
}

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
            let rows = query(
                "SELECT uuid, manifest_text FROM collections WHERE uuid > $1 ORDER BY uuid LIMIT $2",
            )
            .bind(last.clone())
            .bind(PAGE)
            .fetch_all(&mut self.reader().await?)
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
            let rows = query(
                "SELECT id, locators FROM released_blocks WHERE id > $1 ORDER BY id LIMIT $2",
            )
            .bind(last)
            .bind(PAGE)
            .fetch_all(&mut self.reader().await?)
            .await?;
            let Some(row) = rows.last() else { return Ok(blocks) };
            last = row.try_get(0)?;
            for row in &rows {
                blocks.extend(manifest::hashes(row.try_get(1)?));
            }
        }
    }
}
