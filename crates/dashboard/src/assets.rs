//! The static files, inside the executable. Their addresses carry a digest of the content, so
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

const ASSETS: [Asset; 9] = [
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
    // For the page with the terminal alone.
    Asset {
        name: "terminal.js",
        kind: "text/javascript; charset=utf-8",
        content: include_str!("assets/terminal.js"),
    },
    Asset {
        name: "xterm.mjs",
        kind: "text/javascript; charset=utf-8",
        content: include_str!("assets/vendor/xterm/xterm.mjs"),
    },
    Asset {
        name: "xterm-fit.mjs",
        kind: "text/javascript; charset=utf-8",
        content: include_str!("assets/vendor/xterm/addon-fit.mjs"),
    },
    Asset {
        name: "xterm.css",
        kind: "text/css; charset=utf-8",
        content: include_str!("assets/vendor/xterm/xterm.css"),
    },
    Asset {
        name: "terminal.css",
        kind: "text/css; charset=utf-8",
        content: include_str!("assets/terminal.css"),
    },
    // For the page with a whole log alone.
    Asset {
        name: "log.js",
        kind: "text/javascript; charset=utf-8",
        content: include_str!("assets/log.js"),
    },
];

/// Digits of the digest in an address.
const DIGEST_CHARS: usize = 12;

/// `/assets/wharf.css?0123456789ab`, in the order of [`ASSETS`].
static ADDRESSES: LazyLock<[String; 9]> = LazyLock::new(|| {
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

/// The terminal's script.
pub(crate) fn terminal_script() -> &'static str {
    &ADDRESSES[3]
}

/// The library that draws a terminal.
pub(crate) fn xterm() -> &'static str {
    &ADDRESSES[4]
}

/// Its part that finds how many characters fit.
pub(crate) fn xterm_fit() -> &'static str {
    &ADDRESSES[5]
}

/// The style sheets of the page with the terminal: the library's, and ours.
pub(crate) fn terminal_styles() -> [&'static str; 2] {
    [&ADDRESSES[6], &ADDRESSES[7]]
}

/// The script of the page with a whole log.
pub(crate) fn log_script() -> &'static str {
    &ADDRESSES[8]
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

#[cfg(test)]
mod tests {
    use super::*;

    /// `assets/vendor/xterm/SOURCE.md` says where they are from.
    #[test]
    fn what_others_made_is_as_they_made_it() {
        let digests = [
            ("xterm.mjs", "3fd3d0046d2604ea5860235e2f96625a2fab158dcf3d4cfb0f7c1655559a5d9a"),
            ("xterm-fit.mjs", "aa22c5f28e4d64118ac0e7d60276b3384188e59dd104c96e43760d6e2cedd771"),
            ("xterm.css", "854a7c0fb70e8b1a083c16797ab827299fb18744f5ad34f227b48337e33293c6"),
        ];
        for (name, expected) in digests {
            let asset = ASSETS.iter().find(|asset| asset.name == name).unwrap();
            let digest = digest::digest(&digest::SHA256, asset.content.as_bytes());
            let hex: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(hex, expected, "{name}");
        }
    }
}
