//! What the API needs of whoever knows the machine.

use futures_util::future::BoxFuture;
use model::site::{Capacity, Site};
use store::StoreError;

/// The machine, its volumes, and what this process carries.
pub trait SiteSource: Send + Sync {
    /// What the machine is called.
    fn node(&self) -> &str;
    /// What there is for containers, and what of it is promised.
    fn capacity(&self) -> BoxFuture<'_, Result<Capacity, StoreError>>;
    /// Everything, for administrators.
    fn site(&self) -> BoxFuture<'_, Result<Site, StoreError>>;
}
