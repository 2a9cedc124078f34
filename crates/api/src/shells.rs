//! What the API needs of whoever reaches shells in containers, and how many each user has open.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::BoxFuture;
use model::{ContainerUuid, UserUuid};
use tokio::io::{AsyncRead, AsyncWrite};

/// Bytes to and from a container's supervisor: frames of `model::shell`, each after its length.
pub trait ShellIo: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> ShellIo for T {}

/// Whoever reaches supervisors.
pub trait Shells: Send + Sync {
    /// A way to the shells of a container; in words for people, why there is none.
    fn open<'a>(
        &'a self,
        container: &'a ContainerUuid,
    ) -> BoxFuture<'a, Result<Box<dyn ShellIo>, String>>;
}

/// How many shells each user has open here.
#[derive(Debug, Clone, Default)]
pub(crate) struct OpenShells(Arc<Mutex<HashMap<UserUuid, usize>>>);

impl OpenShells {
    /// A place for one more, given back when dropped; none where the user has as many as may be.
    pub(crate) fn enter(&self, user: UserUuid, max: usize) -> Option<OpenShell> {
        let mut open = self.lock();
        let n_open = open.entry(user).or_default();
        if *n_open >= max {
            return None;
        }
        *n_open += 1;
        drop(open);
        Some(OpenShell { all: self.clone(), user })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<UserUuid, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One of a user's places.
#[derive(Debug)]
pub(crate) struct OpenShell {
    all: OpenShells,
    user: UserUuid,
}

impl Drop for OpenShell {
    fn drop(&mut self) {
        let mut open = self.all.lock();
        if let Some(n_open) = open.get_mut(&self.user) {
            *n_open -= 1;
            if *n_open == 0 {
                open.remove(&self.user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_for_each_user_and_come_back() {
        let open = OpenShells::default();
        let user = |n: u8| UserUuid::parse(&format!("wharf-tpzed-{n:015}")).unwrap();
        let first = open.enter(user(1), 2);
        let second = open.enter(user(1), 2);
        assert!(first.is_some() && second.is_some() && open.enter(user(1), 2).is_none());
        assert!(open.enter(user(2), 2).is_some());
        drop(first);
        assert!(open.enter(user(1), 2).is_some());
        drop(second);
        assert!(open.lock().is_empty());
    }
}
