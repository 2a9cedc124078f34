//! Images: import, list, remove.

use std::path::Path;
use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt};
use http::Method;
use model::Timestamp;
use serde::{Deserialize, Serialize};
use tokio_util::io::ReaderStream;

use crate::body::RequestBody;
use crate::call::{Client, Ignored};
use crate::error::ClientError;
use crate::list::Page;

/// Bytes read from the file at once: few calls, little memory.
const PIECE_BYTES: usize = 256 << 10;

/// One image in the store.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ImageSummary {
    /// `sha256:` and 64 hexadecimal digits.
    pub id: String,
    /// `REPO:TAG`; may be empty.
    pub names: Vec<String>,
    /// Unpacked size of all layers.
    pub size_bytes: u64,
    /// When it was made, where the image says so.
    #[serde(default)]
    pub created: Option<Timestamp>,
    /// Number of layers.
    #[serde(default)]
    pub layers: usize,
}

/// Called with the bytes sent so far, from the task that sends.
pub type UploadProgress = Arc<dyn Fn(u64) + Send + Sync>;

const IMAGES: &str = "/wharf/v1/images";

impl Client {
    /// Images in the store.
    pub async fn list_images(&self) -> Result<Vec<ImageSummary>, ClientError> {
        let page: Page<ImageSummary> = self.get(IMAGES).await?;
        Ok(page.items)
    }

    /// Sends an archive from a file; `name` (`REPO:TAG`) goes before the names inside it.
    pub async fn import_image_file(
        &self,
        file: tokio::fs::File,
        name: Option<&str>,
        progress: UploadProgress,
    ) -> Result<ImageSummary, ClientError> {
        let mut sent: u64 = 0;
        let pieces = ReaderStream::with_capacity(file, PIECE_BYTES).inspect_ok(move |piece| {
            sent += piece.len() as u64;
            progress(sent);
        });
        self.import_image(RequestBody::Stream(pieces.boxed()), name).await
    }

    /// As [`Client::import_image_file`] for a path, without progress.
    pub async fn import_image_path(
        &self,
        path: &Path,
        name: Option<&str>,
    ) -> Result<ImageSummary, ClientError> {
        let file = tokio::fs::File::open(path).await.map_err(|source| ClientError::Broken {
            what: format!("reading {}", path.display()),
            source: source.into(),
        })?;
        self.import_image_file(file, name, Arc::new(|_sent| {})).await
    }

    /// Sends an archive from anywhere.
    pub async fn import_image(
        &self,
        archive: RequestBody,
        name: Option<&str>,
    ) -> Result<ImageSummary, ClientError> {
        self.upload(Method::POST, &named(name), archive).await
    }

    /// Removes a name, and the image with its last one. Errs with 404 if there is none.
    pub async fn remove_image(&self, name: &str) -> Result<(), ClientError> {
        let Ignored {} = self.delete(&named(Some(name))).await?;
        Ok(())
    }
}

fn named(name: Option<&str>) -> String {
    let Some(name) = name else { return IMAGES.to_owned() };
    let query = form_urlencoded::Serializer::new(String::new()).append_pair("name", name).finish();
    format!("{IMAGES}?{query}")
}
