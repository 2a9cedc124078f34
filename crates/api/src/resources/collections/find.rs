//! Finding collections that a caller may read.

use manifest::BlockHash;
use model::filter::{self, ListQuery};
use model::{Collection, JsonMap, Timestamp};
use serde_json::{Value, json};
use store::StoreError;

use super::RESOURCE;
use crate::caller::Caller;
use crate::error::ApiError;
use crate::router::Api;

/// Collections of equal content that are looked at for the best one.
const COPIES_MAX: u32 = 1000;

/// The collection with this identifier, an old version too; one in the trash where `trash` says so.
pub(crate) async fn find(
    api: &Api,
    caller: &Caller,
    uuid: &str,
    trash: bool,
) -> Result<Option<Collection>, ApiError> {
    let query = ListQuery {
        include_trash: trash,
        include_old_versions: true,
        ..query("uuid", uuid, 1, None)?
    };
    let page = api.store().list(RESOURCE, &query, &caller.reader()).await?;
    page.items.into_iter().next().map(record).transpose()
}

/// A collection with this content, where the caller may read one: of several the one that stays
/// longest.
pub(crate) async fn by_content(
    api: &Api,
    caller: &Caller,
    hash: &str,
    trash: bool,
) -> Result<Option<Collection>, ApiError> {
    let select = Some(vec!["uuid", "trash_at"]);
    let query = ListQuery {
        include_trash: trash,
        ..query("portable_data_hash", hash, COPIES_MAX, select)?
    };
    let page = api.store().list(RESOURCE, &query, &caller.reader()).await?;
    let trash_at = |item: &JsonMap| -> (bool, Option<Timestamp>) {
        let at = item.get("trash_at").and_then(Value::as_str).and_then(|text| text.parse().ok());
        (at.is_none(), at)
    };
    let Some(best) = page.items.iter().max_by_key(|item| trash_at(item)) else { return Ok(None) };
    let uuid = best.get("uuid").and_then(Value::as_str).unwrap_or_default();
    find(api, caller, uuid, trash).await
}

/// Hash and size of a text that is a portable data hash, without the hints it may have.
pub(crate) fn content_hash(text: &str) -> Option<&str> {
    let (hash, rest) = text.split_once('+')?;
    BlockHash::parse(hash)?;
    let size = rest.split('+').next().unwrap_or_default();
    let is_number = !size.is_empty() && size.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| &text[..hash.len() + 1 + size.len()])
}

fn query(
    attribute: &str,
    value: &str,
    limit: u32,
    select: Option<Vec<&'static str>>,
) -> Result<ListQuery, ApiError> {
    let schema = RESOURCE.schema();
    let filters = filter::parse_filters(schema, &json!([[attribute, "=", value]]))?;
    Ok(ListQuery { filters, select, limit, count: false, ..ListQuery::all(schema) })
}

fn record(item: JsonMap) -> Result<Collection, ApiError> {
    let what = format!("collection {}", item.get("uuid").cloned().unwrap_or_default());
    serde_json::from_value(item.into())
        .map_err(|source| ApiError::Store(StoreError::Corrupt { what, source }))
}

#[cfg(test)]
mod tests {
    use super::content_hash;

    #[test]
    fn hints_of_a_content_s_name_are_left_out() {
        let hash = "d41d8cd98f00b204e9800998ecf8427e+0";
        assert_eq!(content_hash(hash), Some(hash));
        assert_eq!(content_hash(&format!("{hash}+Kx+A1@2")), Some(hash));
        for other in
            ["", "d41d", "d41d8cd98f00b204e9800998ecf8427e", "x+0", "wharf-4zz18-000000000000000"]
        {
            assert_eq!(content_hash(other), None, "{other}");
        }
    }
}
