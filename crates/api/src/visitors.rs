//! What the API needs of whoever sees who uses services.

use futures_util::future::BoxFuture;
use model::ContainerUuid;
use model::visitors::Visitors as Seen;

/// Who uses services.
pub trait Visitors: Send + Sync {
    /// What all controllers have seen of a container.
    fn of(&self, container: ContainerUuid) -> BoxFuture<'_, Seen>;
}
