//! Collections and their files.

use bytes::Bytes;
use futures_util::StreamExt as _;
use http::Method;
use model::{JsonMap, Timestamp};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::body::{BodyStream, Pieces, RequestBody};
use crate::call::{Client, read_all, refuse_errors};
use crate::error::ClientError;
use crate::list::{ListQuery, Page};

const COLLECTIONS: &str = "/arvados/v1/collections";
/// What may stand in a path as it is.
const PATH: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// A collection without its content.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct CollectionSummary {
    /// Its identifier.
    pub uuid: String,
    /// The user or project it belongs to.
    pub owner_uuid: String,
    /// Empty where it has none.
    #[serde(default)]
    pub name: String,
    /// When it last changed.
    pub modified_at: Timestamp,
    /// Digest of its manifest.
    #[serde(default)]
    pub portable_data_hash: String,
    /// Files in it.
    #[serde(default)]
    pub file_count: u64,
    /// Their bytes.
    #[serde(default)]
    pub file_size_total: u64,
    /// Which files; only where it was asked for.
    #[serde(default)]
    pub manifest_text: String,
}

/// What is in a collection.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct CollectionContent {
    /// Digest of its manifest.
    #[serde(default)]
    pub portable_data_hash: String,
    /// Which files, with permissions on their blocks.
    #[serde(default)]
    pub manifest_text: String,
}

impl Client {
    /// Collections that the token may read.
    pub async fn list_collections(
        &self,
        query: &ListQuery,
    ) -> Result<Page<CollectionSummary>, ClientError> {
        self.get(&query.path(COLLECTIONS)).await
    }

    /// What is in a collection, by its identifier or the hash of that.
    pub async fn get_content(&self, id: &str) -> Result<CollectionContent, ClientError> {
        self.get(&format!("{COLLECTIONS}/{}", encoded(id))).await
    }

    /// One collection, by its identifier, with its manifest.
    pub async fn get_collection(&self, uuid: &str) -> Result<CollectionSummary, ClientError> {
        self.get(&format!("{COLLECTIONS}/{}", encoded(uuid))).await
    }

    /// Stores a block of at most 64 MiB under its MD5; gives its locator, with the permission to read it.
    pub async fn put_block(&self, hash: &str, bytes: Bytes) -> Result<String, ClientError> {
        let what = format!("PUT /{hash}");
        let bound = self.deadlines.upload;
        let piece: std::io::Result<Bytes> = Ok(bytes);
        let body = RequestBody::Stream(futures_util::stream::iter([piece]).boxed());
        let exchange = async {
            let answer = self.send(Method::PUT, &format!("/{hash}"), body, "*/*").await?;
            let answer = refuse_errors(&what, answer).await?;
            read_all(&what, answer.into_body()).await
        };
        let answer = timeout(bound, exchange)
            .await
            .map_err(|_elapsed| ClientError::TimedOut { what: what.clone(), bound })??;
        Ok(String::from_utf8_lossy(&answer).trim().to_owned())
    }

    /// A collection of the token's user with these files; its blocks are signed in the manifest, an empty one is of no
    /// files. A name that is taken gets a number. With `trash_at` it goes to the trash then.
    pub async fn create_collection(
        &self,
        name: &str,
        properties: &JsonMap,
        manifest_text: &str,
        trash_at: Option<Timestamp>,
    ) -> Result<CollectionSummary, ClientError> {
        let collection = json!({
            "name": name, "properties": properties, "manifest_text": manifest_text, "trash_at": trash_at
        });
        let body = json!({ "collection": collection, "ensure_unique_name": true });
        self.post(COLLECTIONS, &body).await
    }

    /// The bytes of one file.
    pub async fn read_file(&self, uuid: &str, path: &str) -> Result<BodyStream, ClientError> {
        self.stream(&place(uuid, path), "*/*").await
    }

    /// Writes one file, in place of one of the same path.
    pub async fn write_file(
        &self,
        uuid: &str,
        path: &str,
        pieces: Pieces,
    ) -> Result<(), ClientError> {
        self.put_stream(&place(uuid, path), RequestBody::Stream(pieces)).await
    }

    /// Log entries about these records, newest first.
    pub async fn list_log_entries(
        &self,
        uuids: &[&str],
        limit: u32,
    ) -> Result<Vec<LogEntry>, ClientError> {
        let query = ListQuery::default().order("created_at desc").limit(limit);
        let query = match uuids {
            [] => query,
            uuids => query.filter("object_uuid", "in", Value::from(uuids.to_vec())),
        };
        let page: Page<LogEntry> = self.get(&query.path("/arvados/v1/logs")).await?;
        Ok(page.items)
    }
}

/// Something that happened to a record.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct LogEntry {
    /// `create`, `update`, `delete`, or what a client wrote.
    #[serde(default)]
    pub event_type: String,
    /// When.
    pub created_at: Timestamp,
    /// What it happened to.
    #[serde(default)]
    pub object_uuid: Option<String>,
    /// Who did it.
    #[serde(default)]
    pub modified_by_user_uuid: Option<String>,
    /// `old_attributes` and `new_attributes` of a change.
    #[serde(default)]
    pub properties: Value,
}

fn encoded(text: &str) -> impl std::fmt::Display + '_ {
    utf8_percent_encode(text, PATH)
}

fn place(uuid: &str, path: &str) -> String {
    format!("/c={}/{}", encoded(uuid), encoded(path))
}

#[cfg(test)]
mod tests {
    use super::place;

    #[test]
    fn names_are_encoded_and_slashes_stay() {
        assert_eq!(place("x-4zz18-1", "a b/#1%.txt"), "/c=x-4zz18-1/a%20b/%231%25.txt");
    }
}
