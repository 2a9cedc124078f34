//! What the API needs of whoever sees who uses services.

use model::ContainerUuid;
use serde_json::Value;

/// Who uses services, as one process sees it.
pub trait Visitors: Send + Sync {
    /// `{"visits": [...], "refused": [...]}` of a container, the latest first.
    fn of(&self, container: ContainerUuid) -> Value;
}
