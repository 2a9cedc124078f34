//! The content that a call gives a collection, and whether the caller may use its blocks.

use std::collections::HashSet;

use manifest::{BlockHash, Locator, Manifest, Tree, portable_data_hash};
use model::Collection;
use store::CollectionContent;

use super::attributes::Sent;
use super::find::{by_content, content_hash};
use super::replace_files::{Replacements, replaced};
use super::replace_segments::Repacking;
use crate::call::Call;
use crate::caller::Caller;
use crate::error::ApiError;
use crate::heavy::heavy;
use crate::router::Api;

/// The content of a new collection.
///
/// # Errors
/// 422 for what is no manifest or has another hash than was said, 403 for blocks of others.
pub(super) async fn of_new(
    api: &Api,
    call: &Call,
    sent: &Sent,
) -> Result<CollectionContent, ApiError> {
    let replacements = Replacements::of(call)?;
    let given = match sent.portable_data_hash.as_deref().and_then(content_hash) {
        // A known content by its name alone.
        Some(hash) if sent.manifest_text.is_none() && replacements.is_none() => {
            Some(copied(api, &call.caller, hash).await?)
        }
        _ => given(api, call, None, sent).await?,
    };
    let content = match replacements {
        Some(replacements) => {
            let start = Tree::new();
            replaced(api, call, start, given.as_ref(), &replacements).await?
        }
        None => match given {
            Some(manifest) => summed_up(manifest).await?,
            None => CollectionContent::of(&parsed(String::new()).await?),
        },
    };
    let content = match Repacking::of(call)? {
        Some(repacking) => {
            let text = content.manifest_text().to_owned();
            repacking.apply(api, call, None, text).await?.unwrap_or(content)
        }
        None => content,
    };
    checked(content, sent)
}

/// The new content of a collection, none where nothing was said about it.
///
/// # Errors
/// As [`of_new`].
pub(super) async fn of_change(
    api: &Api,
    call: &Call,
    before: &Collection,
    sent: &Sent,
) -> Result<Option<CollectionContent>, ApiError> {
    let given = given(api, call, Some(before), sent).await?;
    let content = match (Replacements::of(call)?, given) {
        (Some(replacements), given) => {
            let start = tree_of(before).await?;
            Some(replaced(api, call, start, given.as_ref(), &replacements).await?)
        }
        (None, Some(manifest)) => Some(summed_up(manifest).await?),
        (None, None) => None,
    };
    let content = match Repacking::of(call)? {
        Some(repacking) => {
            let text =
                content.as_ref().map_or(before.manifest_text.as_str(), |it| it.manifest_text());
            let text = text.to_owned();
            repacking.apply(api, call, Some(before), text).await?.or(content)
        }
        None => content,
    };
    content.map(|content| checked(content, sent)).transpose()
}

/// The tree of a collection that is stored.
pub(crate) async fn tree_of(collection: &Collection) -> Result<Tree, ApiError> {
    let manifest = parsed(collection.manifest_text.clone()).await?;
    heavy(manifest.text().len(), move || Tree::of(&manifest))
        .await?
        .map_err(|error| ApiError::field("manifest_text", error.to_string()))
}

pub(super) async fn parsed(text: String) -> Result<Manifest, ApiError> {
    heavy(text.len(), move || Manifest::parse(&text))
        .await?
        .map_err(|error| ApiError::field("manifest_text", format!("is no manifest: {error}")))
}

async fn summed_up(manifest: Manifest) -> Result<CollectionContent, ApiError> {
    heavy(manifest.text().len(), move || CollectionContent::of(&manifest)).await
}

/// Only the hash of what the client says is compared: sizes of signed manifests differ.
fn checked(content: CollectionContent, sent: &Sent) -> Result<CollectionContent, ApiError> {
    let Some(said) = &sent.portable_data_hash else { return Ok(content) };
    let hash = |text: &str| text.split('+').next().unwrap_or_default().to_owned();
    let found = content.portable_data_hash();
    if hash(said) == hash(found) {
        return Ok(content);
    }
    let said: String = said.chars().take(60).collect();
    let problem = format!("is {said:?}, but the manifest's is {found}");
    Err(ApiError::field("portable_data_hash", problem))
}

/// The manifest that was sent, whose blocks the caller may use.
async fn given(
    api: &Api,
    call: &Call,
    before: Option<&Collection>,
    sent: &Sent,
) -> Result<Option<Manifest>, ApiError> {
    let Some(text) = sent.manifest_text.clone() else { return Ok(None) };
    let manifest = parsed(text).await?;
    if api.blocks().signer.is_none() || call.caller.user.is_admin {
        return Ok(Some(manifest));
    }
    let (checker, caller) = (api.clone(), call.caller.clone());
    let known: HashSet<BlockHash> =
        before.map(|it| manifest::hashes(&it.manifest_text).collect()).unwrap_or_default();
    let n_bytes = manifest.text().len();
    let (manifest, refused) = heavy(n_bytes, move || {
        let refused = refused_block(&checker, &caller, manifest.locators(), &known);
        (manifest, refused)
    })
    .await?;
    let Some(words) = refused else { return Ok(Some(manifest)) };
    let words = format!("manifest_text: {words}");
    let hash = portable_data_hash(manifest.text());
    if by_content(api, &call.caller, &hash, false).await?.is_some() {
        // A copy of what they may read.
        return Ok(Some(manifest));
    }
    Err(ApiError::Forbidden(words))
}

/// Words about the first block that the caller has no permission for, and that is not known to be
/// theirs.
pub(super) fn refused_block<'l>(
    api: &Api,
    caller: &Caller,
    mut blocks: impl Iterator<Item = &'l Locator>,
    known: &HashSet<BlockHash>,
) -> Option<String> {
    blocks.find_map(|locator| {
        let fault = api.check_permission(locator, caller).err()?;
        (!known.contains(&locator.hash())).then(|| format!("{}: {fault}", locator.bare()))
    })
}

async fn copied(api: &Api, caller: &Caller, hash: &str) -> Result<Manifest, ApiError> {
    match by_content(api, caller, hash, false).await? {
        Some(found) => parsed(found.manifest_text).await,
        // Nothing then, which is compared with what was said.
        None => parsed(String::new()).await,
    }
}
