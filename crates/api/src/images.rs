//! What the API needs of an image store; assembly plugs in who provides it.

use std::io;
use std::pin::Pin;

use bytes::Bytes;
use futures_util::Stream;
use futures_util::future::BoxFuture;
use model::{Timestamp, UserUuid};
use serde::Serialize;

/// Bytes as they arrive.
pub type ByteStream = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

/// An image that a name led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolvedImage {
    /// `sha256:` and 64 hexadecimal digits.
    pub id: String,
    /// All its names.
    pub names: Vec<String>,
}

/// One image, for lists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ImageSummary {
    /// `sha256:` and 64 hexadecimal digits.
    pub id: String,
    /// All its names, `repo:tag`.
    pub names: Vec<String>,
    /// Bytes of its layers, unpacked.
    pub size_bytes: u64,
    /// When it was built, where it says so.
    pub created: Option<Timestamp>,
    /// How many layers it has.
    pub layers: usize,
}

/// Why an archive was not imported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageFault {
    /// The archive is at fault; says how.
    Refused(String),
    /// We are: the disk, say.
    Failed(String),
}

/// An image store.
pub trait Images: Send + Sync {
    /// The image with this name or id. Errors are words for people.
    fn resolve<'a>(
        &'a self,
        image: &'a str,
    ) -> BoxFuture<'a, Result<Option<ResolvedImage>, String>>;

    /// All images.
    fn list(&self) -> BoxFuture<'_, Result<Vec<ImageSummary>, String>>;

    /// Reads an archive to its end and keeps its image, under `name` besides its own names, and records it as `owner`'s.
    fn import<'a>(
        &'a self,
        archive: ByteStream,
        name: Option<&'a str>,
        owner: UserUuid,
    ) -> BoxFuture<'a, Result<ImageSummary, ImageFault>>;

    /// Takes a name away, and the image with its last one; false where there is no such name.
    fn remove<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<bool, String>>;
}
