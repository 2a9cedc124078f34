//! What the dispatcher needs to know of images; the assembly plugs in the image store.

use std::fmt;
use std::path::PathBuf;

use futures_util::future::BoxFuture;
use model::ImageConfig;

/// Finds unpacked images.
pub trait ImageResolver: Send + Sync + fmt::Debug {
    /// The image of a record's `container_image`; `None` if it is not here, words if it cannot be read.
    fn resolve<'a>(&'a self, image: &'a str) -> BoxFuture<'a, Result<Option<LaunchImage>, String>>;
}

/// An image ready to be a root file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaunchImage {
    /// Directories of the unpacked layers, top first.
    pub layers: Vec<PathBuf>,
    /// What it says about running it.
    pub config: ImageConfig,
}
