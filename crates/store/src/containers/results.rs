//! What containers leave, as collections of their requests: logs from the start on, outputs at the end.

use manifest::{Manifest, Tree, portable_data_hash};
use model::{Collection, Container, ContainerRequest, ContainerUuid, JsonMap, Timestamp};
use serde_json::Value;

use super::finish::Leavings;
use super::open_requests;
use crate::changes::ChangeKind;
use crate::collections::{self, CollectionChange, CollectionContent, NameClash, NewCollection};
use crate::connection::{Connection, query};
use crate::database::Store;
use crate::error::StoreError;
use crate::links::later;
use crate::schema::{COLLECTIONS, CONTAINER_REQUESTS};
use crate::sql;
use crate::writer::Tx;

/// How long what went to the trash stays there (Arvados: `Collections.DefaultTrashLifetime`).
const TRASH_LIFETIME_HOURS: i64 = 336;
/// The portable data hash of nothing.
const EMPTY_HASH: &str = "d41d8cd98f00b204e9800998ecf8427e+0";

/// The manifests behind a container's `log` and `output`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Manifests {
    log: Option<String>,
    output: Option<String>,
}

/// Sets a container's `log` and `output` from what it left. An output that its program has set stays, where the
/// collection is still there, be it in the trash.
pub(super) async fn settle(
    tx: &mut Tx,
    container: &mut Container,
    leavings: &Leavings,
) -> Result<Manifests, StoreError> {
    let mut manifests = Manifests { log: leavings.log.clone(), output: None };
    if let Some(hash) = &container.output {
        manifests.output = find(tx, hash).await?;
    }
    if manifests.output.is_none() {
        manifests.output.clone_from(&leavings.output);
    }
    if let (None, Some(hash)) = (&manifests.log, &container.log) {
        manifests.log = find(tx, hash).await?;
    }
    if let Some(log) = &leavings.log {
        create(tx, kept_log_of(container, log.clone())).await?;
    }
    container.log = manifests.log.as_deref().map(portable_data_hash);
    container.output = manifests.output.as_deref().map(portable_data_hash);
    Ok(manifests)
}

/// Gives a request its collections. The request is not written.
pub(super) async fn give(
    tx: &mut Tx,
    request: &mut ContainerRequest,
    container: &Container,
    manifests: &Manifests,
) -> Result<(), StoreError> {
    give_log(tx, request, container, manifests).await?;
    let Some(output) = &manifests.output else { return Ok(()) };
    let made = create(tx, output_of(request, container, output.clone(), tx.now)).await?;
    request.output_uuid = Some(made);
    Ok(())
}

/// Adds a container's logs to those of a request: at the top, in the place of an earlier container's, and once more in
/// a directory of its own (Arvados).
pub(super) async fn give_log(
    tx: &mut Tx,
    request: &mut ContainerRequest,
    container: &Container,
    manifests: &Manifests,
) -> Result<(), StoreError> {
    let Some(log) = &manifests.log else { return Ok(()) };
    begin_log(tx, request).await?;
    let Some(uuid) = request.log_uuid.clone() else { return Ok(()) };
    let Some(before) = collection(tx, &uuid).await? else { return Ok(()) };
    let merged = merged(&before.manifest_text, log, container.uuid);
    replace_manifest(tx, before, &merged).await
}

/// Gives a request the collections of a finished container that was found for it.
pub(crate) async fn give_found(
    tx: &mut Tx,
    request: &mut ContainerRequest,
    container: &Container,
) -> Result<(), StoreError> {
    let mut manifests = Manifests::default();
    if let Some(hash) = &container.log {
        manifests.log = find(tx, hash).await?;
    }
    if let Some(hash) = &container.output {
        manifests.output = find(tx, hash).await?;
    }
    give(tx, request, container, &manifests).await
}

/// Whether a finished container's logs and output can still be had.
pub(crate) async fn are_kept(tx: &mut Tx, container: &Container) -> Result<bool, StoreError> {
    let (Some(log), Some(output)) = (&container.log, &container.output) else { return Ok(false) };
    Ok(is_there(tx, log).await? && is_there(tx, output).await?)
}

/// An empty collection for the logs of each request of a container that begins to run.
pub(super) async fn begin_logs(tx: &mut Tx, uuid: ContainerUuid) -> Result<(), StoreError> {
    for mut request in open_requests(tx, uuid).await? {
        if request.log_uuid.is_some() {
            continue;
        }
        begin_log(tx, &mut request).await?;
        request.modified_at = later(tx.now, request.modified_at);
        let uuid = request.uuid;
        let statement = sql::update(&CONTAINER_REQUESTS, uuid.as_str(), &request, Vec::new())?;
        statement.execute(tx.conn()).await?;
        tx.changed(ChangeKind::Request, &uuid, [&request.owner_uuid]);
    }
    Ok(())
}

/// An empty collection for a request's logs, where it has none. The request is not written.
pub(crate) async fn begin_log(
    tx: &mut Tx,
    request: &mut ContainerRequest,
) -> Result<(), StoreError> {
    if request.log_uuid.is_none() {
        request.log_uuid = Some(create(tx, log_of(request)).await?);
    }
    Ok(())
}

/// A collection to be made for a request.
struct Made {
    owner_uuid: String,
    name: String,
    manifest: String,
    properties: JsonMap,
    storage_classes: Vec<String>,
    trash_at: Option<Timestamp>,
}

/// A container's logs as they were, whatever its requests' owners make of theirs: for requests that will be given the
/// container when it has long finished.
fn kept_log_of(container: &Container, manifest: String) -> Made {
    let container_uuid = Value::from(container.uuid.to_string());
    Made {
        owner_uuid: container.owner_uuid.clone(),
        name: String::new(),
        manifest,
        properties: [("type".to_owned(), "log".into()), ("container".to_owned(), container_uuid)]
            .into_iter()
            .collect(),
        storage_classes: container.output_storage_classes.clone(),
        trash_at: None,
    }
}

fn log_of(request: &ContainerRequest) -> Made {
    Made {
        owner_uuid: request.owner_uuid.clone(),
        name: format!("Container log for request {}", request.uuid),
        manifest: String::new(),
        properties: properties_of(request, "log"),
        storage_classes: request.output_storage_classes.clone(),
        trash_at: None,
    }
}

fn output_of(
    request: &ContainerRequest,
    container: &Container,
    manifest: String,
    now: Timestamp,
) -> Made {
    // What a step of a workflow makes is only on its way to the workflow's own output.
    let kind = match request.requesting_container_uuid {
        Some(_) => "intermediate",
        None => "output",
    };
    let mut properties = properties_of(request, kind);
    properties.extend(container.output_properties.clone());
    properties.extend(request.output_properties.clone());
    let named = request.output_name.clone();
    let ttl = jiff::SignedDuration::from_secs(request.output_ttl);
    let trash_at = now.as_jiff().checked_add(ttl).ok().map(Timestamp::from_jiff);
    Made {
        owner_uuid: request.owner_uuid.clone(),
        name: named.unwrap_or_else(|| format!("Container output for request {}", request.uuid)),
        manifest,
        properties,
        storage_classes: container.output_storage_classes.clone(),
        trash_at: trash_at.filter(|_| request.output_ttl > 0),
    }
}

fn properties_of(request: &ContainerRequest, kind: &str) -> JsonMap {
    let request = Value::from(request.uuid.to_string());
    [("type".to_owned(), kind.into()), ("container_request".to_owned(), request)]
        .into_iter()
        .collect()
}

/// Both logs in one manifest. One that cannot be read, though it is ours, makes way for the new one.
fn merged(before: &str, log: &str, container: ContainerUuid) -> String {
    let merge = || {
        let mut tree = Tree::of(&Manifest::parse(before).ok()?).ok()?;
        let new = Tree::of(&Manifest::parse(log).ok()?).ok()?;
        let top = new.get("")?;
        for (name, node) in top.entries() {
            tree.put(name, node.clone()).ok()?;
        }
        tree.put(&format!("log for container {container}"), top.clone()).ok()?;
        Some(tree.text())
    };
    merge().unwrap_or_else(|| log.to_owned())
}

/// The manifest with this hash, of any collection there is, in the trash too.
async fn find(tx: &mut Tx, hash: &str) -> Result<Option<String>, StoreError> {
    by_hash(tx.conn(), hash).await
}

async fn by_hash(conn: &mut Connection, hash: &str) -> Result<Option<String>, StoreError> {
    let row = query("SELECT manifest_text FROM collections WHERE portable_data_hash = $1 LIMIT 1")
        .bind(hash.to_owned())
        .fetch_optional(conn)
        .await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?)
}

/// Whether a collection with this content is there, and not in the trash.
async fn is_there(tx: &mut Tx, hash: &str) -> Result<bool, StoreError> {
    let row = query(
        "SELECT 1 FROM collections WHERE portable_data_hash = $1 AND NOT is_trashed \
         AND (trash_at IS NULL OR trash_at > $2) LIMIT 1",
    )
    .bind(hash.to_owned())
    .bind(tx.now.to_string())
    .fetch_optional(tx.conn())
    .await?;
    Ok(row.is_some())
}

async fn create(tx: &mut Tx, made: Made) -> Result<String, StoreError> {
    let content = CollectionContent::parse(&made.manifest)
        .map_err(|error| StoreError::Manifest(error.to_string()))?;
    // A name that no collection can have is no reason to lose what is in it.
    let name = match made.name.replace('/', " ") {
        name if matches!(name.as_str(), "." | "..") => String::new(),
        name => name,
    };
    let lifetime = jiff::SignedDuration::from_hours(TRASH_LIFETIME_HOURS);
    let delete_at = made.trash_at.and_then(|at| at.as_jiff().checked_add(lifetime).ok());
    let new = NewCollection {
        properties: made.properties,
        storage_classes_desired: made.storage_classes,
        trash_at: made.trash_at.filter(|_| delete_at.is_some()),
        delete_at: delete_at.map(Timestamp::from_jiff),
        name_clash: NameClash::Rename,
        ..NewCollection::named(made.owner_uuid, name, content)
    };
    let by = crate::users::system_user(&tx.options);
    Ok(collections::create(tx, new, by).await?.uuid.to_string())
}

async fn collection(tx: &mut Tx, uuid: &str) -> Result<Option<Collection>, StoreError> {
    sql::by_uuid(tx.conn(), &COLLECTIONS, uuid).await
}

/// Gives a log collection another content; one that its owner has deleted meanwhile stays deleted.
async fn replace_manifest(tx: &mut Tx, before: Collection, text: &str) -> Result<(), StoreError> {
    let content =
        CollectionContent::parse(text).map_err(|error| StoreError::Manifest(error.to_string()))?;
    let mut after = before.clone();
    content.put_into(&mut after);
    let by = crate::users::system_user(&tx.options);
    let change =
        CollectionChange { before, after, keep_version: false, name_clash: NameClash::Rename };
    collections::update_within(tx, change, by).await.map(drop)
}

impl Store {
    /// The manifest with this portable data hash, without signatures, of any collection there is. The caller asks
    /// whether its reader may see it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn manifest_by_hash(&self, hash: &str) -> Result<Option<String>, StoreError> {
        if hash == EMPTY_HASH {
            return Ok(Some(String::new()));
        }
        by_hash(&mut self.reader().await?, hash).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCK: &str = "900150983cd24fb0d6963f7d28e17f72+3";

    #[test]
    fn a_second_containers_logs_stand_at_the_top_and_the_first_ones_stay() {
        let one = ContainerUuid::parse("wharf-dz642-000000000000001").expect("a uuid");
        let two = ContainerUuid::parse("wharf-dz642-000000000000002").expect("a uuid");
        let first = merged("", &format!(". {BLOCK} 0:1:stderr.txt\n"), one);
        let second = merged(&first, &format!(". {BLOCK} 0:3:stderr.txt 0:2:stdout.txt\n"), two);
        let manifest = Manifest::parse(&second).expect("a manifest");
        let sizes: Vec<_> = manifest.files().map(|file| (file.path, file.size)).collect();
        let path = |uuid, name| format!("log for container {uuid}/{name}");
        assert_eq!(
            sizes,
            [
                ("stderr.txt".to_owned(), 3),
                ("stdout.txt".to_owned(), 2),
                (path(one, "stderr.txt"), 1),
                (path(two, "stderr.txt"), 3),
                (path(two, "stdout.txt"), 2),
            ]
        );
    }
}
