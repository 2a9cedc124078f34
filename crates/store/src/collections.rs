//! Collections: keeping them, their names, their versions. Each step is one transaction.

use manifest::{Manifest, ManifestError, portable_data_hash, strip};
use model::{Collection, CollectionUuid, JsonMap, Timestamp, UserUuid};

use crate::changes::ChangeKind;
use crate::database::Store;
use crate::error::StoreError;
use crate::groups;
use crate::links::later;
use crate::random;
use crate::schema::COLLECTIONS;
use crate::sql;
use crate::writer::Tx;

mod blocks;
mod trash;

pub use trash::CollectionsSwept;
pub(crate) use trash::delete;

/// Characters of a name that stay when the end of the identifier is put behind it (Arvados).
const RENAMED_CHARS_MAX: usize = 237;

/// What a collection consists of: its bare manifest, and what follows from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectionContent {
    manifest_text: String,
    portable_data_hash: String,
    n_files: i64,
    n_bytes: i64,
}

impl CollectionContent {
    /// The content that a manifest describes.
    pub fn of(manifest: &Manifest) -> Self {
        let manifest_text = strip(manifest.text());
        let totals = manifest.totals();
        Self {
            portable_data_hash: portable_data_hash(&manifest_text),
            manifest_text,
            // Within 62 bits for every manifest that could be read.
            n_files: i64::try_from(totals.n_files).unwrap_or(i64::MAX),
            n_bytes: i64::try_from(totals.n_bytes).unwrap_or(i64::MAX),
        }
    }

    /// The content that a manifest's text describes, with permission hints or without.
    ///
    /// # Errors
    /// When the text is no manifest.
    pub fn parse(text: &str) -> Result<Self, ManifestError> {
        Manifest::parse(text).map(|manifest| Self::of(&manifest))
    }

    /// The name of this content.
    pub fn portable_data_hash(&self) -> &str {
        &self.portable_data_hash
    }

    /// The manifest without permission hints.
    pub fn manifest_text(&self) -> &str {
        &self.manifest_text
    }

    /// Makes it the content of a collection.
    pub fn put_into(self, collection: &mut Collection) {
        collection.manifest_text = self.manifest_text;
        collection.portable_data_hash = self.portable_data_hash;
        collection.file_count = self.n_files;
        collection.file_size_total = self.n_bytes;
    }
}

/// What happens when the owner has something of that name already.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum NameClash {
    /// [`StoreError::NameInUse`].
    #[default]
    Refuse,
    /// It gets the end of its identifier behind its name.
    Rename,
}

/// A collection to be made.
#[derive(Debug, Clone)]
pub struct NewCollection {
    /// The user or project it is to belong to.
    pub owner_uuid: String,
    /// Its name, or nothing.
    pub name: String,
    /// Free text.
    pub description: Option<String>,
    /// Free metadata.
    pub properties: JsonMap,
    /// What it consists of.
    pub content: CollectionContent,
    /// Copies wanted of each block.
    pub replication_desired: Option<i64>,
    /// Storage classes wanted; none are the default class.
    pub storage_classes_desired: Vec<String>,
    /// When it goes to the trash.
    pub trash_at: Option<Timestamp>,
    /// When it is deleted; only with `trash_at`, and not before it.
    pub delete_at: Option<Timestamp>,
    /// Whether this first version is kept when the next one comes.
    pub preserve_version: bool,
    /// What happens when the name is in use.
    pub name_clash: NameClash,
}

impl NewCollection {
    /// A collection with this name and content; the rest is as usual.
    pub fn named(
        owner_uuid: impl Into<String>,
        name: impl Into<String>,
        content: CollectionContent,
    ) -> Self {
        Self {
            owner_uuid: owner_uuid.into(),
            name: name.into(),
            description: None,
            properties: JsonMap::new(),
            content,
            replication_desired: None,
            storage_classes_desired: Vec::new(),
            trash_at: None,
            delete_at: None,
            preserve_version: false,
            name_clash: NameClash::default(),
        }
    }
}

/// A change of a collection, checked by the caller.
#[derive(Debug, Clone)]
pub struct CollectionChange {
    /// As it was read.
    pub before: Collection,
    /// As it shall be; version and times are set here.
    pub after: Collection,
    /// Whether `before` stays as an old version.
    pub keep_version: bool,
    /// What happens when the name is in use.
    pub name_clash: NameClash,
}

impl Store {
    /// Keeps a new collection.
    ///
    /// # Errors
    /// [`StoreError::NameInUse`], [`StoreError::BadOwner`], or when the database fails.
    pub async fn create_collection(
        &self,
        new: NewCollection,
        by: UserUuid,
    ) -> Result<Collection, StoreError> {
        self.write(move |tx| Box::pin(create(tx, new, by))).await
    }

    /// Changes a collection. Its old versions follow it to another owner and into the trash.
    ///
    /// # Errors
    /// [`StoreError::Changed`] where it is not as it was read, [`StoreError::NameInUse`].
    pub async fn update_collection(
        &self,
        change: CollectionChange,
        by: UserUuid,
    ) -> Result<Collection, StoreError> {
        // What goes to the trash may be what fills the disk.
        let ends = change.after.is_trashed && !change.before.is_trashed;
        // Long texts are compared before the writer is taken.
        let released = released_by(&change).await?;
        self.write_ending_if(ends, move |tx| Box::pin(update(tx, change, released, by))).await
    }

    /// The collection with this identifier, an old version and one in the trash too.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn collection(&self, uuid: CollectionUuid) -> Result<Option<Collection>, StoreError> {
        sql::by_uuid(&mut self.reader().await?, &COLLECTIONS, uuid.as_str()).await
    }
}

/// Keeps a new collection inside a transaction.
pub(crate) async fn create(
    tx: &mut Tx,
    new: NewCollection,
    by: UserUuid,
) -> Result<Collection, StoreError> {
    groups::check_owner(tx.conn(), &new.owner_uuid, None).await?;
    trash::mark_due(tx).await?;
    let uuid = random::uuid(&tx.options.cluster)?;
    let mut collection = Collection {
        name: new.name,
        description: new.description,
        properties: new.properties,
        replication_desired: new.replication_desired,
        trash_at: new.trash_at,
        delete_at: new.delete_at,
        is_trashed: new.trash_at.is_some_and(|at| at <= tx.now),
        preserve_version: new.preserve_version,
        ..Collection::empty(uuid, new.owner_uuid, by, tx.now)
    };
    if !new.storage_classes_desired.is_empty() {
        collection.storage_classes_desired = new.storage_classes_desired;
    }
    new.content.put_into(&mut collection);
    let refused = sql::insert(&COLLECTIONS, &collection, Vec::new())?.try_execute(tx.conn()).await;
    if let Some(renamed) = clash(refused, &collection, new.name_clash)? {
        collection.name = renamed;
        sql::insert(&COLLECTIONS, &collection, Vec::new())?.execute(tx.conn()).await?;
    }
    changed(tx, &collection, &[]);
    Ok(collection)
}

/// Changes a collection inside a transaction; for small manifests, which others can wait for.
pub(crate) async fn update_within(
    tx: &mut Tx,
    change: CollectionChange,
    by: UserUuid,
) -> Result<Collection, StoreError> {
    let released = released_by(&change).await?;
    update(tx, change, released, by).await
}

/// The blocks that a change takes away.
async fn released_by(change: &CollectionChange) -> Result<String, StoreError> {
    let CollectionChange { before, after, keep_version, .. } = change;
    if *keep_version || before.portable_data_hash == after.portable_data_hash {
        return Ok(String::new());
    }
    let (before, after) = (before.manifest_text.clone(), after.manifest_text.clone());
    let compared = tokio::task::spawn_blocking(move || blocks::dropped(&before, &after)).await;
    compared.map_err(|_going_down| StoreError::Interrupted)
}

async fn update(
    tx: &mut Tx,
    change: CollectionChange,
    released: String,
    by: UserUuid,
) -> Result<Collection, StoreError> {
    let CollectionChange { before, mut after, keep_version, name_clash } = change;
    let uuid = before.uuid;
    let as_read = before.modified_at;
    sql::require_as_read(tx.conn(), &COLLECTIONS, "collection", uuid.as_str(), as_read).await?;
    if after.owner_uuid != before.owner_uuid {
        groups::check_owner(tx.conn(), &after.owner_uuid, None).await?;
    }
    trash::mark_due(tx).await?;
    after.modified_at = later(tx.now, before.modified_at);
    after.modified_by_user_uuid = by;
    if keep_version {
        after.version = before.version + 1;
        let old = Collection { uuid: random::uuid(&tx.options.cluster)?, ..before.clone() };
        sql::insert(&COLLECTIONS, &old, Vec::new())?.execute(tx.conn()).await?;
    }
    trash::release(tx, &released).await?;
    let write =
        |collection: &Collection| sql::update(&COLLECTIONS, uuid.as_str(), collection, Vec::new());
    let refused = write(&after)?.try_execute(tx.conn()).await;
    if let Some(renamed) = clash(refused, &after, name_clash)? {
        after.name = renamed;
        write(&after)?.execute(tx.conn()).await?;
    }
    trash::take_versions_along(tx, &after).await?;
    changed(tx, &after, &[before.owner_uuid.as_str()]);
    Ok(after)
}

/// The name to try next where this one was in use and may be changed.
fn clash(
    written: Result<u64, StoreError>,
    collection: &Collection,
    name_clash: NameClash,
) -> Result<Option<String>, StoreError> {
    match written {
        Ok(_) => Ok(None),
        Err(error) if !error.is_unique_violation() => Err(error),
        Err(_) if name_clash == NameClash::Rename => {
            Ok(Some(renamed(&collection.name, collection.uuid.as_str())))
        }
        Err(_) => Err(StoreError::NameInUse {
            what: "collection",
            owner: collection.owner_uuid.clone(),
            name: collection.name.clone(),
        }),
    }
}

/// A name that nobody else has: with the end of the identifier behind it, as Arvados makes it.
pub(crate) fn renamed(name: &str, uuid: &str) -> String {
    let start: String = name.chars().take(RENAMED_CHARS_MAX).collect();
    format!("{start} ({})", &uuid[uuid.len().saturating_sub(15)..])
}

fn changed(tx: &mut Tx, collection: &Collection, other_owners: &[&str]) {
    let owners = other_owners.iter().copied().chain([collection.owner_uuid.as_str()]);
    tx.changed(ChangeKind::Collection, &collection.uuid, owners);
}
