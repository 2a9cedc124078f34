//! A followed log ends when whoever reads it may not any more: the token ended or was narrowed, or the container went out
//! of sight.

use std::io;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use model::ContainerUuid;
use store::{ChangeKind, Notice, Resource};
use tokio::time::{Instant, sleep_until};

use crate::caller_watch::{CallerWatch, Heard};
use crate::router::Api;

/// Changes that come within this time are asked about together.
const GATHERING: Duration = Duration::from_millis(250);

/// A log that is followed, and who follows it.
struct Followed<S> {
    lines: Pin<Box<S>>,
    api: Api,
    watch: CallerWatch,
    container: ContainerUuid,
    /// When to ask again whether the container is in sight.
    due: Option<Instant>,
}

/// The lines, as long as the caller may have them.
pub(super) fn followed<S>(
    lines: S,
    api: Api,
    watch: CallerWatch,
    container: ContainerUuid,
) -> impl Stream<Item = io::Result<Bytes>>
where
    S: Stream<Item = io::Result<Bytes>>,
{
    let followed = Followed { lines: Box::pin(lines), api, watch, container, due: None };
    stream::unfold(followed, |mut followed| async move {
        let line = followed.next().await?;
        Some((line, followed))
    })
}

impl<S: Stream<Item = io::Result<Bytes>>> Followed<S> {
    async fn next(&mut self) -> Option<io::Result<Bytes>> {
        loop {
            let at = self.due.unwrap_or_else(Instant::now);
            tokio::select! {
                line = self.lines.next() => return line,
                heard = self.watch.hear() => match heard {
                    Heard::Notice(notice) => self.note(&notice).await?,
                    Heard::Silence => {}
                    Heard::Over => return None,
                },
                () = sleep_until(at), if self.due.is_some() => {
                    self.due = None;
                    self.still_in_sight().await?;
                }
            }
        }
    }

    /// None once the token does not hold any more.
    async fn note(&mut self, notice: &Notice) -> Option<()> {
        self.watch.check(notice).await?;
        let decides = match notice {
            Notice::Everything => true,
            Notice::Changed(change) => matches!(
                change.kind,
                ChangeKind::Request | ChangeKind::Group | ChangeKind::Link | ChangeKind::User
            ),
        };
        if decides {
            self.due.get_or_insert_with(|| Instant::now() + GATHERING);
        }
        Some(())
    }

    /// None where the container is not, or cannot be asked about.
    async fn still_in_sight(&mut self) -> Option<()> {
        let reader = self.watch.caller.reader();
        let uuid = self.container.as_str();
        let found = self.api.store().get(Resource::Containers, uuid, &reader).await.ok()?;
        found.map(drop)
    }
}
