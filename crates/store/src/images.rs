//! Images as Arvados's clients record them: a collection with the archive, and links that name it.
//!
//! `docker_image_hash` (`sha256:<id>`) and `docker_image_repo+tag` (`repo:tag`) links point at a collection whose one
//! file is `sha256:<id>.tar`. Of several, the image that was built last counts, and of equal ones the newest link.

use manifest::Manifest;
use model::{Collection, Group, GroupClass, GroupUuid, JsonMap, Link, UserUuid, WellKnownGroup};

use crate::changes::ChangeKind;
use crate::collections::{self, CollectionContent, NameClash, NewCollection};
use crate::database::Store;
use crate::error::StoreError;
use crate::groups;
use crate::links;
use crate::list::Reader;
use crate::random;
use crate::schema::{COLLECTIONS, GROUPS, LINKS, Resource};
use crate::sql;
use crate::writer::Tx;

/// Links and collections that are looked at for one name.
const CANDIDATES_MAX: usize = 100;
/// The last part of the identifier of the project of the site's images.
const SITE_PROJECT: &str = "imagesofthesite";
const HASH_CLASS: &str = "docker_image_hash";
const NAME_CLASS: &str = "docker_image_repo+tag";

/// An image that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredImage {
    /// The hash of its collection's content.
    pub portable_data_hash: String,
    /// `sha256:` and 64 hexadecimal digits.
    pub id: String,
}

/// An image to be recorded, whose archive lies in blocks already.
#[derive(Debug, Clone)]
pub struct NewImage {
    /// `sha256:` and 64 hexadecimal digits.
    pub id: String,
    /// `repo:tag`; may be none.
    pub names: Vec<String>,
    /// When it was built, as it says.
    pub created: Option<String>,
    /// The manifest of the collection with the archive, named `<id>.tar`.
    pub manifest: String,
    /// Who brought it.
    pub owner: UserUuid,
    /// Whether everybody may use it: it belongs to the project of the site's images then, and else to
    /// who brought it.
    pub is_for_all: bool,
}

impl Store {
    /// The image that a name stands for, as far as the reader may see: a collection by its content or identifier, a
    /// name (`latest` where it has no tag), or the beginning of an image's id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn find_image(
        &self,
        name: &str,
        reader: &Reader,
    ) -> Result<Option<StoredImage>, StoreError> {
        if model::container_rules::is_content_hash(name) {
            return self.image_among(self.collections_of(name).await?, reader).await;
        }
        if let Ok(uuid) = model::CollectionUuid::parse(name) {
            let found = self.collection(uuid).await?.into_iter().collect();
            return self.image_among(found, reader).await;
        }
        let mut links = self.image_links(name).await?;
        links.sort_by_cached_key(|link| {
            let built = link.properties.get("image_timestamp").and_then(|it| it.as_str());
            // A name counts before a part of an id.
            (link.link_class == NAME_CLASS, built.unwrap_or_default().to_owned(), link.created_at)
        });
        for link in links.into_iter().rev() {
            let is_readable =
                self.get(Resource::Links, link.uuid.as_str(), reader).await?.is_some();
            let head = link.head_uuid.and_then(|uuid| model::CollectionUuid::parse(&uuid).ok());
            let (true, Some(head)) = (is_readable, head) else { continue };
            let collection = self.collection(head).await?.into_iter().collect();
            if let Some(image) = self.image_among(collection, reader).await? {
                return Ok(Some(image));
            }
        }
        Ok(None)
    }

    /// Whether the reader may read a collection with this content.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn is_content_readable(
        &self,
        hash: &str,
        reader: &Reader,
    ) -> Result<bool, StoreError> {
        for collection in self.collections_of(hash).await? {
            let own = collection.owner_uuid == reader.user.as_str();
            let uuid = collection.uuid;
            if own || self.get(Resource::Collections, uuid.as_str(), reader).await?.is_some() {
                return Ok(true);
            }
        }
        // Nothing is nobody's secret.
        Ok(hash == "d41d8cd98f00b204e9800998ecf8427e+0")
    }

    /// Records an image as Arvados's clients do. One that is recorded already keeps its collection, and gets the names
    /// that it lacks.
    ///
    /// # Errors
    /// When the manifest is none, or the database fails.
    pub async fn record_image(&self, new: NewImage) -> Result<StoredImage, StoreError> {
        self.write(move |tx| Box::pin(record(tx, new))).await
    }

    /// The collections with this content, current ones that are not in the trash first.
    async fn collections_of(&self, hash: &str) -> Result<Vec<Collection>, StoreError> {
        let mut conn = self.reader().await?;
        let mut found: Vec<Collection> = sql::select_where(
            &mut conn,
            &COLLECTIONS,
            "WHERE portable_data_hash = $1 ORDER BY is_trashed, current_version_uuid <> uuid, created_at LIMIT 100",
            &[hash],
        )
        .await?;
        found.truncate(CANDIDATES_MAX);
        Ok(found)
    }

    async fn image_links(&self, name: &str) -> Result<Vec<Link>, StoreError> {
        let named = if name.rsplit('/').next().unwrap_or(name).contains([':', '@']) {
            name.to_owned()
        } else {
            format!("{name}:latest")
        };
        let digits = name.strip_prefix("sha256:").unwrap_or(name);
        let is_id = (6..=64).contains(&digits.len())
            && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        // A range of text: what begins with these digits. No name begins so where there are none.
        let (from, to) = if is_id {
            (format!("sha256:{digits}"), format!("sha256:{digits}g"))
        } else {
            ("x".to_owned(), "x".to_owned())
        };
        let mut conn = self.reader().await?;
        sql::select_where(
            &mut conn,
            &LINKS,
            "WHERE (link_class = 'docker_image_repo+tag' AND name = $1) \
             OR (link_class = 'docker_image_hash' AND name >= $2 AND name < $3) LIMIT 100",
            &[&named, &from, &to],
        )
        .await
    }

    /// The first that is an image and that the reader sees.
    async fn image_among(
        &self,
        collections: Vec<Collection>,
        reader: &Reader,
    ) -> Result<Option<StoredImage>, StoreError> {
        for collection in collections {
            let Some(id) = image_id(&collection.manifest_text) else { continue };
            let uuid = collection.uuid;
            if self.get(Resource::Collections, uuid.as_str(), reader).await?.is_some() {
                let portable_data_hash = collection.portable_data_hash;
                return Ok(Some(StoredImage { portable_data_hash, id }));
            }
        }
        Ok(None)
    }
}

/// The id of the image that a collection holds: it has one file, whose name is the id and `.tar`.
pub fn image_id(manifest_text: &str) -> Option<String> {
    let manifest = Manifest::parse(manifest_text).ok()?;
    let mut files = manifest.files();
    let (Some(file), None) = (files.next(), files.next()) else { return None };
    let id = file.path.strip_suffix(".tar")?;
    let digits = id.strip_prefix("sha256:").filter(|digits| digits.len() == 64)?;
    digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')).then(|| id.to_owned())
}

async fn record(tx: &mut Tx, new: NewImage) -> Result<StoredImage, StoreError> {
    let owner = match new.is_for_all {
        true => site_project(tx).await?.to_string(),
        false => new.owner.to_string(),
    };
    let links: Vec<Link> = sql::select_where(
        tx.conn(),
        &LINKS,
        "WHERE link_class = 'docker_image_hash' AND name = $1 ORDER BY created_at",
        &[&new.id],
    )
    .await?;
    let mut known = None;
    for link in &links {
        let head = link.head_uuid.clone().unwrap_or_default();
        let found: Option<Collection> = sql::by_uuid(tx.conn(), &COLLECTIONS, &head).await?;
        let now = tx.now;
        // One that not everybody sees is no help where everybody shall.
        known = known.or(found.filter(|it| {
            let is_of_owner = !new.is_for_all || it.owner_uuid == owner;
            is_of_owner && !it.is_trashed_at(now) && image_id(&it.manifest_text).is_some()
        }));
    }
    let collection = match known {
        Some(collection) => collection,
        None => create(tx, &new, owner).await?,
    };
    let named = links_of(tx, &collection).await?;
    let wanted = std::iter::once((HASH_CLASS, &new.id))
        .chain(new.names.iter().map(|name| (NAME_CLASS, name)));
    for (class, name) in wanted {
        if !named.iter().any(|link| link.link_class == class && link.name == *name) {
            insert_link(tx, &new, &collection, class, name).await?;
        }
    }
    Ok(StoredImage { portable_data_hash: collection.portable_data_hash, id: new.id })
}

/// The project of the site's images, which everybody with an account may read; made with the first one.
async fn site_project(tx: &mut Tx) -> Result<GroupUuid, StoreError> {
    let uuid = GroupUuid::well_known(&tx.options.cluster, SITE_PROJECT)
        .expect("fifteen digits of base 36");
    let found: Option<Group> = sql::by_uuid(tx.conn(), &GROUPS, uuid.as_str()).await?;
    if found.is_some() {
        return Ok(uuid);
    }
    let group = groups::of_system(tx, uuid, "Images of the site", GroupClass::Project).await?;
    let link = groups::show_to(tx, WellKnownGroup::AllUsers, uuid).await?;
    tx.changed(ChangeKind::Link, &link.uuid, links::audience(&link));
    tx.changed(ChangeKind::Group, &group.uuid, [&group.owner_uuid]);
    Ok(uuid)
}

async fn links_of(tx: &mut Tx, collection: &Collection) -> Result<Vec<Link>, StoreError> {
    sql::select_where(tx.conn(), &LINKS, "WHERE head_uuid = $1", &[collection.uuid.as_str()]).await
}

async fn create(tx: &mut Tx, new: &NewImage, owner: String) -> Result<Collection, StoreError> {
    let content = CollectionContent::parse(&new.manifest)
        .map_err(|error| StoreError::Manifest(error.to_string()))?;
    let short: String = new.id.chars().take(12).collect();
    let name = match new.names.first() {
        Some(name) => format!("Docker image {} {short}", name.replace('/', " ")),
        None => format!("Docker image {short}"),
    };
    let mut properties = JsonMap::new();
    properties.extend(
        new.names.first().map(|name| ("docker-image-repo-tag".to_owned(), name.clone().into())),
    );
    let collection = NewCollection {
        properties,
        name_clash: NameClash::Rename,
        ..NewCollection::named(owner, name, content)
    };
    collections::create(tx, collection, new.owner).await
}

async fn insert_link(
    tx: &mut Tx,
    new: &NewImage,
    collection: &Collection,
    class: &str,
    name: &str,
) -> Result<(), StoreError> {
    let mut properties = JsonMap::new();
    properties.extend(
        new.created.iter().map(|created| ("image_timestamp".to_owned(), created.clone().into())),
    );
    let link = Link {
        uuid: random::uuid(&tx.options.cluster)?,
        owner_uuid: collection.owner_uuid.clone(),
        created_at: tx.now,
        modified_at: tx.now,
        modified_by_user_uuid: new.owner,
        link_class: class.to_owned(),
        name: name.to_owned(),
        tail_uuid: None,
        head_uuid: Some(collection.uuid.to_string()),
        properties,
    };
    sql::insert(&LINKS, &link, Vec::new())?.execute(tx.conn()).await?;
    tx.changed(ChangeKind::Link, &link.uuid, [&link.owner_uuid]);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_one_file_named_by_its_id() {
        let block = "900150983cd24fb0d6963f7d28e17f72+3";
        let digits = "0123456789abcdef".repeat(4);
        let named = |name: &str| format!(". {block} 0:3:{name}\n");
        let id = format!("sha256:{digits}");
        assert_eq!(image_id(&named(&format!("sha256\\072{digits}.tar"))), Some(id));
        for other in ["a.tar", &format!("{digits}.tar"), "sha256\\072abc.tar"] {
            assert_eq!(image_id(&named(other)), None);
        }
        let two = format!(". {block} 0:3:sha256\\072{digits}.tar 0:1:b\n");
        assert_eq!(image_id(&two), None);
    }
}
