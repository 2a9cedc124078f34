//! Parts of a request's address, refused in the API's own form where they are not what is asked for: axum's own refusals are
//! plain text, which clients take for an answer without a reason.

use axum::extract::FromRequestParts;
use axum::extract::rejection::{PathRejection, QueryRejection};
use http::request::Parts;
use serde::de::DeserializeOwned;

use crate::error::ApiError;

/// The named parts of the path.
#[derive(Debug)]
pub(crate) struct Path<T>(pub(crate) T);

impl<S, T> FromRequestParts<S> for Path<T>
where
    S: Send + Sync,
    T: DeserializeOwned + Send,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let parsed = axum::extract::Path::from_request_parts(parts, state).await;
        parsed.map(|path| Self(path.0)).map_err(|why: PathRejection| {
            match why.status().is_server_error() {
                true => ApiError::Failed(why.body_text()),
                // Nothing is at a place that cannot be.
                false => ApiError::NotFound(why.body_text()),
            }
        })
    }
}

/// The query's parameters.
#[derive(Debug)]
pub(crate) struct Query<T>(pub(crate) T);

impl<S, T> FromRequestParts<S> for Query<T>
where
    S: Send + Sync,
    T: DeserializeOwned,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let parsed = axum::extract::Query::from_request_parts(parts, state).await;
        parsed
            .map(|query| Self(query.0))
            .map_err(|why: QueryRejection| ApiError::Unprocessable(vec![why.body_text()]))
    }
}
