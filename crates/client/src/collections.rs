//! Collections: trees of files, written and read by WebDAV.

use http::Method;
use model::{Collection, JsonMap};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;
use tokio::time::timeout;

use crate::body::{BodyStream, RequestBody};
use crate::call::{Client, refuse_errors};
use crate::error::ClientError;

const COLLECTIONS: &str = "/arvados/v1/collections";
/// What stays as it is in a path.
const PATH: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.').remove(b'~');

impl Client {
    /// Makes an empty collection.
    pub async fn create_collection(
        &self,
        name: &str,
        properties: &JsonMap,
    ) -> Result<Collection, ClientError> {
        let collection = json!({ "name": name, "properties": properties, "manifest_text": "" });
        self.post(
            &format!("{COLLECTIONS}?ensure_unique_name=true"),
            &json!({ "collection": collection, "ensure_unique_name": true }),
        )
        .await
    }

    /// A collection by its identifier or the hash of its content, with its manifest.
    pub async fn get_collection(&self, id: &str) -> Result<Collection, ClientError> {
        self.get(&format!("{COLLECTIONS}/{}", utf8_percent_encode(id, PATH))).await
    }

    /// Writes a file of a collection; the directory above it must be there. The body is streamed.
    pub async fn put_collection_file(
        &self,
        id: &str,
        path: &str,
        body: RequestBody,
    ) -> Result<(), ClientError> {
        self.write_collection(Method::PUT, id, path, body).await
    }

    /// Makes a directory in a collection; the one above it must be there.
    pub async fn make_collection_directory(&self, id: &str, path: &str) -> Result<(), ClientError> {
        let method = Method::from_bytes(b"MKCOL").expect("letters make a method");
        self.write_collection(method, id, path, RequestBody::Empty).await
    }

    /// The bytes of a file of a collection, as they come.
    pub async fn read_collection_file(
        &self,
        id: &str,
        path: &str,
    ) -> Result<BodyStream, ClientError> {
        self.stream(&file_path(id, path), "*/*").await
    }

    async fn write_collection(
        &self,
        method: Method,
        id: &str,
        path: &str,
        body: RequestBody,
    ) -> Result<(), ClientError> {
        let what = format!("{method} {path} in collection {id}");
        let bound = self.deadlines.upload;
        let exchange = async {
            let answer = self.send(method, &file_path(id, path), body, "*/*").await?;
            refuse_errors(&what, answer).await.map(drop)
        };
        timeout(bound, exchange)
            .await
            .map_err(|_elapsed| ClientError::TimedOut { what: what.clone(), bound })?
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
