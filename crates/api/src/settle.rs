//! Writes that begin again where somebody else wrote the same record in between.

use store::StoreError;

use crate::error::ApiError;

/// How often a write is tried.
const TRIES_MAX: u32 = 8;

/// An error that may say that a record is not any more as it was read.
pub(crate) trait Contended: From<ApiError> {
    fn is_contended(&self) -> bool;
}

impl Contended for ApiError {
    fn is_contended(&self) -> bool {
        matches!(self, Self::Store(StoreError::Changed(_)))
    }
}

/// Reads, checks and writes a record by `attempt`, from the start again where it changed in between.
///
/// # Errors
/// What the attempt says; [`StoreError::Busy`] after [`TRIES_MAX`] of them.
pub(crate) async fn settle<T, E, F>(attempt: impl Fn() -> F) -> Result<T, E>
where
    E: Contended,
    F: Future<Output = Result<T, E>>,
{
    for _try in 0..TRIES_MAX {
        match attempt().await {
            Err(error) if error.is_contended() => {}
            other => return other,
        }
    }
    Err(ApiError::Store(StoreError::Busy).into())
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test]
    async fn what_is_not_contended_is_answered_at_once_and_the_rest_a_few_times() {
        let tries = Cell::new(0);
        let attempt = |changes: u32, last: fn() -> Result<(), ApiError>| {
            tries.set(0);
            let tries = &tries;
            settle(move || async move {
                tries.set(tries.get() + 1);
                match tries.get() <= changes {
                    true => Err(ApiError::Store(StoreError::Changed(String::new()))),
                    false => last(),
                }
            })
        };
        assert!(attempt(0, || Ok(())).await.is_ok() && tries.get() == 1);
        assert!(attempt(3, || Ok(())).await.is_ok() && tries.get() == 4);
        let refused = attempt(1, || Err(ApiError::field("name", "is wrong"))).await;
        assert!(matches!(refused, Err(ApiError::Unprocessable(_))) && tries.get() == 2);
        let busy = attempt(u32::MAX, || Ok(())).await;
        assert!(matches!(busy, Err(ApiError::Store(StoreError::Busy))));
        assert_eq!(tries.get(), TRIES_MAX);
    }
}
