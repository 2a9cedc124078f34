//! The histories of containers on this machine, for the API.

use api::{ContainerFigures, FigureSource};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use history::{Series, Span, Usage};
use model::ContainerUuid;
use std::io;
use std::path::PathBuf;
use std::time::SystemTime;

/// What a supervisor measures.
const USAGE: &str = "usage.history";
/// What controllers count, all in one.
const TRAFFIC: &str = "traffic.history";

/// Where the histories are.
#[derive(Debug, Clone)]
pub(crate) struct Histories {
    containers: PathBuf,
}

impl Histories {
    /// Those below the `containers` directory of a data directory.
    pub(crate) fn new(containers: PathBuf) -> Self {
        Self { containers }
    }

    /// Where what was asked of a container is counted.
    pub(crate) fn traffic(&self, container: &ContainerUuid) -> PathBuf {
        self.containers.join(container.as_str()).join(TRAFFIC)
    }

    fn usage(&self, container: &ContainerUuid) -> PathBuf {
        self.containers.join(container.as_str()).join(USAGE)
    }
}

/// Seconds since 1970.
pub(crate) fn now_s() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |now| now.as_secs())
}

impl FigureSource for Histories {
    fn of<'a>(
        &'a self,
        container: &'a ContainerUuid,
        span: Span,
    ) -> BoxFuture<'a, Result<ContainerFigures, String>> {
        let (usage, traffic) = (self.usage(container), self.traffic(container));
        read(move || {
            let now_s = now_s();
            let usage = Series::read(&usage, span, now_s)?;
            Ok(ContainerFigures { usage, traffic: Series::read(&traffic, span, now_s)? })
        })
        .boxed()
    }

    fn usages(
        &self,
        containers: Vec<ContainerUuid>,
        span: Span,
    ) -> BoxFuture<'_, Result<Vec<Series<Usage>>, String>> {
        let paths: Vec<PathBuf> = containers.iter().map(|uuid| self.usage(uuid)).collect();
        read(move || {
            let now_s = now_s();
            paths.iter().map(|path| Series::read(path, span, now_s)).collect()
        })
        .boxed()
    }
}

async fn read<T: Send + 'static>(
    reading: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, String> {
    match tokio::task::spawn_blocking(reading).await {
        Ok(read) => read.map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    }
}
