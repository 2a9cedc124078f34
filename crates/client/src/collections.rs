//! Collections: trees of files, written as blocks and a manifest, read by WebDAV.

use bytes::Bytes;
use futures_util::StreamExt as _;
use http::Method;
use model::{Collection, JsonMap};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;
use tokio::time::timeout;

use crate::body::{BodyStream, RequestBody};
use crate::call::{Client, read_all, refuse_errors};
use crate::error::ClientError;

const COLLECTIONS: &str = "/arvados/v1/collections";
/// What stays as it is in a path.
const PATH: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.').remove(b'~');

impl Client {
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

    /// Makes a collection of a manifest whose blocks are signed. A name that is taken gets a number.
    pub async fn create_collection(
        &self,
        name: &str,
        properties: &JsonMap,
        manifest_text: &str,
    ) -> Result<Collection, ClientError> {
        let collection =
            json!({ "name": name, "properties": properties, "manifest_text": manifest_text });
        let body = json!({ "collection": collection, "ensure_unique_name": true });
        self.post(COLLECTIONS, &body).await
    }

    /// A collection by its identifier or the hash of its content, with its manifest.
    pub async fn get_collection(&self, id: &str) -> Result<Collection, ClientError> {
        self.get(&format!("{COLLECTIONS}/{}", utf8_percent_encode(id, PATH))).await
    }

    /// The bytes of a file of a collection, as they come.
    pub async fn read_collection_file(
        &self,
        id: &str,
        path: &str,
    ) -> Result<BodyStream, ClientError> {
        self.stream(&file_path(id, path), "*/*").await
    }
}

fn file_path(id: &str, path: &str) -> String {
    format!("/c={}/{}", utf8_percent_encode(id, PATH), utf8_percent_encode(path, PATH))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_encoded_and_slashes_stay() {
        assert_eq!(file_path("x-4zz18-1", "a b/#1%.txt"), "/c=x-4zz18-1/a%20b/%231%25.txt");
    }
}
