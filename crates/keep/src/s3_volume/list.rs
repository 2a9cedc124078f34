//! What is in a bucket.

use manifest::BlockHash;
use object_store::list::{PaginatedListOptions, PaginatedListStore as _};

use super::trash::TRASH;
use super::{S3Volume, status_of};
use crate::error::KeepError;
use crate::volume::StoredBlock;

impl S3Volume {
    /// Blocks whose hashes begin with a digit, those in the trash too; other objects are passed
    /// over.
    pub(super) async fn list_folder(&self, folder: u16) -> Result<Vec<StoredBlock>, KeepError> {
        let mut blocks = Vec::new();
        self.list_below(&format!("{folder:x}"), false, &mut blocks).await?;
        self.list_below(&format!("{TRASH}/{folder:x}"), true, &mut blocks).await?;
        Ok(blocks)
    }

    async fn list_below(
        &self,
        prefix: &str,
        in_trash: bool,
        blocks: &mut Vec<StoredBlock>,
    ) -> Result<(), KeepError> {
        let mut page_token = None;
        loop {
            let options = PaginatedListOptions { page_token, ..PaginatedListOptions::default() };
            let page = self.0.store.list_paginated(Some(prefix), options).await;
            let page = page.map_err(self.failed("list the blocks"))?;
            for object in page.result.objects {
                let Some(name) = object.location.filename() else { continue };
                let Some(hash) = BlockHash::parse(name) else { continue };
                blocks.push(StoredBlock { hash, status: status_of(&object), in_trash });
            }
            page_token = page.page_token;
            if page_token.is_none() {
                return Ok(());
            }
        }
    }
}
