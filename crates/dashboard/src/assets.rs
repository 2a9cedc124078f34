//! The three static files, inside the executable. Their addresses carry a digest of the content, so
//! browsers keep them for good and still get new ones with a new version.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use ring::digest;

struct Asset {
    name: &'static str,
    kind: &'static str,
    content: &'static str,
}

const ASSETS: [Asset; 3] = [
    Asset {
        name: "wharf.css",
        kind: "text/css; charset=utf-8",
        content: include_str!("assets/wharf.css"),
    },
    Asset {
        name: "wharf.js",
        kind: "text/javascript; charset=utf-8",
        content: include_str!("assets/wharf.js"),
    },
    Asset { name: "icon.svg", kind: "image/svg+xml", content: include_str!("assets/icon.svg") },
];

/// Digits of the digest in an address.
const DIGEST_CHARS: usize = 12;

/// `/assets/wharf.css?0123456789ab`, in the order of [`ASSETS`].
static ADDRESSES: LazyLock<[String; 3]> = LazyLock::new(|| {
    ASSETS.map(|asset| {
        let digest = digest::digest(&digest::SHA256, asset.content.as_bytes());
        let hex: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        format!("/assets/{}?{}", asset.name, &hex[..DIGEST_CHARS])
    })
});

/// The style sheet's address.
pub(crate) fn style() -> &'static str {
    &ADDRESSES[0]
}

/// The script's address.
pub(crate) fn script() -> &'static str {
    &ADDRESSES[1]
}

/// The icon's address.
pub(crate) fn icon() -> &'static str {
    &ADDRESSES[2]
}

pub(crate) async fn serve(Path(file): Path<String>) -> Response {
    match ASSETS.iter().find(|asset| asset.name == file) {
        Some(asset) => (
            [
                (header::CONTENT_TYPE, asset.kind),
                (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
            ],
            asset.content,
        )
            .into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
