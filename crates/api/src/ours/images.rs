//! `GET`, `POST`, `DELETE images`: the image store over HTTP.

use std::io;

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use futures_util::StreamExt as _;
use serde_json::{Value, json};

use crate::call::{Call, Parameters};
use crate::caller::authenticate;
use crate::error::ApiError;
use crate::images::{ByteStream, ImageFault};
use crate::router::Api;

/// Longest image name.
const NAME_BYTES_MAX: usize = 512;

pub(crate) async fn list(State(api): State<Api>, _call: Call) -> Result<Json<Value>, ApiError> {
    let images = api.images().list().await.map_err(ApiError::Failed)?;
    Ok(Json(json!({ "items": images })))
}

/// The body is the archive; it is never held in memory.
pub(crate) async fn import(State(api): State<Api>, request: Request) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let caller = authenticate(api.store(), &parts.headers, &parts.method, parts.uri.path()).await?;
    // Names are shared by all users: whoever may set them decides what others run.
    caller.require_admin("import images")?;
    let parameters = Parameters::parse(parts.uri.query().unwrap_or_default());
    let name = parameters.text("name");
    if let Some(name) = name {
        check_name(name)?;
    }
    let archive = limited(body.into_data_stream(), api.config().image_bytes_max);
    match api.images().import(archive, name, caller.user.uuid).await {
        Ok(image) => Ok(Json(image).into_response()),
        Err(ImageFault::Refused(words)) => {
            Err(ApiError::Unprocessable(vec![format!("the archive cannot be imported: {words}")]))
        }
        Err(ImageFault::Failed(words)) => Err(ApiError::Failed(words)),
    }
}

pub(crate) async fn remove(State(api): State<Api>, call: Call) -> Result<Json<Value>, ApiError> {
    call.caller.require_admin("remove images")?;
    let name = call.parameters.text("name");
    let name = name.ok_or_else(|| ApiError::field("name", "must say which image"))?;
    if api.images().remove(name).await.map_err(ApiError::Failed)? {
        Ok(Json(json!({ "name": name, "removed": true })))
    } else {
        Err(ApiError::no_such("image", name))
    }
}

fn check_name(name: &str) -> Result<(), ApiError> {
    let plain = |c: char| !c.is_whitespace() && !c.is_control();
    if name.len() > NAME_BYTES_MAX || !name.chars().all(plain) {
        let problem = format!(
            "must be a name such as repo:tag, at most {NAME_BYTES_MAX} bytes, without spaces"
        );
        return Err(ApiError::field("name", problem));
    }
    Ok(())
}

/// The archive up to the limit, which the error names.
fn limited(body: axum::body::BodyDataStream, bytes_max: u64) -> ByteStream {
    let mut n_bytes: u64 = 0;
    Box::pin(body.map(move |piece| {
        let piece = piece.map_err(io::Error::other)?;
        n_bytes += piece.len() as u64;
        if n_bytes > bytes_max {
            let words = format!("the archive is larger than image_bytes_max ({bytes_max} bytes)");
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, words));
        }
        Ok(piece)
    }))
}
