//! The image store of `runtime`, as the API and the dispatcher ask for it.

use api::{ByteStream, ImageFault, ImageSummary, Images, ResolvedImage};
use dispatch::images::{ImageResolver, LaunchImage};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use runtime::images::{Image, ImageStore};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::io::StreamReader;

/// How long the rest of a refused archive is read and thrown away, so that its sender hears why.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);

/// One image store, seen from both sides.
#[derive(Clone, Debug)]
pub(crate) struct LocalImages(pub(crate) Arc<ImageStore>);

impl LocalImages {
    fn find(&self, image: &str) -> Result<Option<Image>, String> {
        self.0.resolve(image).map_err(|error| chain(&error))
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
            let images = self.0.list().map_err(|error| chain(&error))?;
            Ok(images.into_iter().map(summary).collect())
        }
        .boxed()
    }

    fn import<'a>(
        &'a self,
        archive: ByteStream,
        name: Option<&'a str>,
    ) -> BoxFuture<'a, Result<ImageSummary, ImageFault>> {
        async move {
            let mut reader = StreamReader::new(archive);
            let imported = self.0.import(&mut reader, name, |_progress| {}).await;
            if imported.is_err() {
                // A client that is still sending would see a broken connection and not our words.
                let mut nowhere = tokio::io::sink();
                let rest = tokio::io::copy(&mut reader, &mut nowhere);
                let _sent_or_gone = tokio::time::timeout(DRAIN_TIMEOUT, rest).await;
            }
            match imported {
                Ok(image) => Ok(of_image(image)),
                Err(error) if error.is_callers_fault() => Err(ImageFault::Refused(chain(&error))),
                Err(error) => Err(ImageFault::Failed(chain(&error))),
            }
        }
        .boxed()
    }

    fn remove<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<bool, String>> {
        async move { self.0.remove(name).map_err(|error| chain(&error)) }.boxed()
    }
}

impl ImageResolver for LocalImages {
    fn resolve<'a>(&'a self, image: &'a str) -> BoxFuture<'a, Result<Option<LaunchImage>, String>> {
        async move {
            let found = self.find(image)?;
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
