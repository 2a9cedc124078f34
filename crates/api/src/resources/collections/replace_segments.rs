//! `replace_segments`: ranges of blocks that files consist of, replaced by others with the same bytes, as
//! when a client has written many small blocks as one.
//!
//! `{"locator offset length": "locator offset length"}`; applied to what `manifest_text` and
//! `replace_files` of the same call leave.

use std::collections::HashSet;

use manifest::{BlockHash, Segment, Tree};
use model::Collection;
use serde_json::Value;
use store::CollectionContent;

use super::content::{parsed, refused_block};
use crate::call::Call;
use crate::error::ApiError;
use crate::heavy::heavy;
use crate::router::Api;

const FIELD: &str = "replace_segments";

/// What is replaced, and by what.
#[derive(Debug)]
pub(super) struct Repacking(Vec<(Segment, Segment)>);

impl Repacking {
    /// That of a call.
    ///
    /// # Errors
    /// 422 for other forms, and for pairs of different lengths.
    pub(super) fn of(call: &Call) -> Result<Option<Self>, ApiError> {
        let wrong = |problem: String| ApiError::field(FIELD, problem);
        let sent = match call.option(FIELD)? {
            Value::Null => return Ok(None),
            Value::Object(map) if map.is_empty() => return Ok(None),
            Value::Object(map) => map,
            _ => {
                return Err(wrong(
                    "must be an object of segments and what replaces them".to_owned(),
                ));
            }
        };
        let mut pairs = Vec::with_capacity(sent.len());
        for (from, to) in &sent {
            let segment = |text| Segment::parse(text).map_err(|error| wrong(error.to_string()));
            let to =
                to.as_str().ok_or_else(|| wrong("what replaces a segment is text".to_owned()))?;
            let (from, to) = (segment(from)?, segment(to)?);
            if from.len != to.len {
                let words = format!(
                    "{} bytes of {:?} cannot be replaced by {} of {:?}",
                    from.len, from.locator, to.len, to.locator
                );
                return Err(wrong(words));
            }
            pairs.push((from, to));
        }
        Ok(Some(Self(pairs)))
    }

    /// The content with the replacements; none where no file had any of the segments.
    ///
    /// # Errors
    /// 403 for blocks that the caller has no permission for.
    pub(super) async fn apply(
        self,
        api: &Api,
        call: &Call,
        before: Option<&Collection>,
        manifest_text: String,
    ) -> Result<Option<CollectionContent>, ApiError> {
        let known = before.map(|it| manifest::hashes(&it.manifest_text).collect());
        self.check_permissions(api, call, &known.unwrap_or_default())?;
        let n_bytes = manifest_text.len() + 100 * self.0.len();
        let manifest = parsed(manifest_text).await?;
        let repacked = heavy(n_bytes, move || {
            let mut tree = Tree::of(&manifest).map_err(|error| error.to_string())?;
            match tree.replace_segments(&self.0) {
                0 => Ok(None),
                _ => CollectionContent::parse(&tree.text())
                    .map(Some)
                    .map_err(|error| format!("make no manifest: {error}")),
            }
        });
        repacked.await?.map_err(|words| ApiError::field(FIELD, words))
    }

    fn check_permissions(
        &self,
        api: &Api,
        call: &Call,
        known: &HashSet<BlockHash>,
    ) -> Result<(), ApiError> {
        if call.caller.user.is_admin {
            return Ok(());
        }
        let blocks = self.0.iter().map(|(_, to)| &to.locator);
        match refused_block(api, &call.caller, blocks, known) {
            Some(words) => Err(ApiError::Forbidden(format!("{FIELD}: {words}"))),
            None => Ok(()),
        }
    }
}
