//! The images of this machine: unpacked layers in the image store of `runtime`, archives as collections in the block
//! store, and the records of both, as the API and the dispatcher ask for them.

mod archives;

use api::{ByteStream, ImageFault, ImageSummary, Images, ResolvedImage};
use dispatch::images::{ImageResolver, LaunchImage};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use keep::Keep;
use model::UserUuid;
use runtime::images::{Image, ImageStore, Imported};
use std::sync::Arc;
use std::time::Duration;
use store::{NewImage, Store};
use tokio::sync::Mutex;
use tokio_util::io::StreamReader;

/// How long the rest of a refused archive is read and thrown away, so that its sender hears why.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);

/// One image store, seen from both sides.
#[derive(Clone, Debug)]
pub(crate) struct LocalImages {
    /// Unpacked images.
    pub(crate) unpacked: Arc<ImageStore>,
    records: Store,
    keep: Keep,
    /// Whether everybody may use what is imported.
    are_for_all: bool,
    /// One image is unpacked from the block store at a time: many containers that wait for the same one get it once.
    unpacking: Arc<Mutex<()>>,
}

impl LocalImages {
    /// Over these three stores.
    pub(crate) fn new(unpacked: ImageStore, records: Store, keep: Keep, are_for_all: bool) -> Self {
        let unpacked = Arc::new(unpacked);
        Self { unpacked, records, keep, are_for_all, unpacking: Arc::default() }
    }

    fn find(&self, image: &str) -> Result<Option<Image>, String> {
        self.unpacked.resolve(image).map_err(|error| chain(&error))
    }

    /// Keeps the archive as Arvados's clients do, so that they find the image, and other machines can have it.
    async fn record(&self, imported: Imported, owner: UserUuid) -> Result<Image, String> {
        let Imported { image, archive } = imported;
        let manifest = archives::store(&self.keep, archive, &image.id).await?;
        let new = NewImage {
            id: image.id.clone(),
            names: image.names.clone(),
            created: image.created.map(|at| at.to_string()),
            manifest,
            owner,
            is_for_all: self.are_for_all,
        };
        self.records.record_image(new).await.map_err(|error| chain(&error))?;
        Ok(image)
    }

    /// The image of a collection, unpacked now if it never was here.
    async fn of_collection(&self, hash: &str) -> Result<Option<Image>, String> {
        let manifest = self.records.manifest_by_hash(hash).await.map_err(|error| chain(&error))?;
        let Some(manifest) = manifest else { return Ok(None) };
        let Some(id) = store::images::image_id(&manifest) else {
            return Err(format!("the collection {hash} holds no image"));
        };
        let _one_at_a_time = self.unpacking.lock().await;
        if let Some(image) = self.find(&id)? {
            return Ok(Some(image));
        }
        let reader = archives::open(self.keep.clone(), &manifest)?;
        let imported = self.unpacked.import(reader, None, |_progress| {}).await;
        let image = imported.map_err(|error| chain(&error))?;
        if image.id == id {
            return Ok(Some(image));
        }
        Err(format!("the archive in the collection {hash} is of the image {}, not {id}", image.id))
    }
}

fn summary(image: runtime::images::ImageSummary) -> ImageSummary {
    ImageSummary {
        id: image.id,
        names: image.names,
        size_bytes: image.size_bytes,
        created: image.created,
        layers: image.layers,
    }
}

fn of_image(image: Image) -> ImageSummary {
    ImageSummary {
        id: image.id,
        names: image.names,
        size_bytes: image.size_bytes,
        created: image.created,
        layers: image.layers.len(),
    }
}

impl Images for LocalImages {
    fn resolve<'a>(
        &'a self,
        image: &'a str,
    ) -> BoxFuture<'a, Result<Option<ResolvedImage>, String>> {
        async move {
            let found = self.find(image)?;
            Ok(found.map(|image| ResolvedImage { id: image.id, names: image.names }))
        }
        .boxed()
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<ImageSummary>, String>> {
        async move {
            let images = self.unpacked.list().map_err(|error| chain(&error))?;
            Ok(images.into_iter().map(summary).collect())
        }
        .boxed()
    }

    fn import<'a>(
        &'a self,
        archive: ByteStream,
        name: Option<&'a str>,
        owner: UserUuid,
    ) -> BoxFuture<'a, Result<ImageSummary, ImageFault>> {
        async move {
            let mut reader = StreamReader::new(archive);
            let imported = self.unpacked.import_and_keep(&mut reader, name, |_progress| {}).await;
            if imported.is_err() {
                // A client that is still sending would see a broken connection and not our words.
                let mut nowhere = tokio::io::sink();
                let rest = tokio::io::copy(&mut reader, &mut nowhere);
                let _sent_or_gone = tokio::time::timeout(DRAIN_TIMEOUT, rest).await;
            }
            let imported = imported.map_err(|error| match error.is_callers_fault() {
                true => ImageFault::Refused(chain(&error)),
                false => ImageFault::Failed(chain(&error)),
            })?;
            self.record(imported, owner).await.map(of_image).map_err(ImageFault::Failed)
        }
        .boxed()
    }

    fn remove<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<bool, String>> {
        async move { self.unpacked.remove(name).map_err(|error| chain(&error)) }.boxed()
    }
}

impl ImageResolver for LocalImages {
    fn resolve<'a>(&'a self, image: &'a str) -> BoxFuture<'a, Result<Option<LaunchImage>, String>> {
        async move {
            let found = if model::container_rules::is_content_hash(image) {
                self.of_collection(image).await?
            } else {
                self.find(image)?
            };
            Ok(found.map(|image| LaunchImage { layers: image.layers, config: image.config }))
        }
        .boxed()
    }
}

/// An error with its causes, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text.push_str(": ");
        text.push_str(&next.to_string());
        cause = next.source();
    }
    text
}
