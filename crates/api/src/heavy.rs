//! Work on long texts, off the threads that answer others.

use crate::error::ApiError;

/// Texts up to this are worked on at once: it takes less than a millisecond.
const LIGHT_BYTES_MAX: usize = 256 << 10;

/// Does `work` on a text of this many bytes.
///
/// # Errors
/// Where the process is going down, or the work panicked.
pub(crate) async fn heavy<T: Send + 'static>(
    n_bytes: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ApiError> {
    if n_bytes <= LIGHT_BYTES_MAX {
        return Ok(work());
    }
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_going_down| {
        ApiError::Failed("the work on a long text was interrupted".to_owned())
    })
}
