//! Collections: names, versions, the trash, and which blocks are theirs.

use manifest::BlockHash;
use model::filter::ListQuery;
use model::{Collection, Timestamp, User};
use serde_json::json;
use store::{
    CollectionChange, CollectionContent, NameClash, NewCollection, Reader, Resource, StoreError,
};

use crate::fixture::{Fixture, object};

const FOO: &str = "acbd18db4cc2f85cedef654fccc4a4d8+3";
const BAR: &str = "37b51d194a7513e45b56f6524f2d51f2+3";

fn content(locator: &str) -> CollectionContent {
    CollectionContent::parse(&format!(". {locator} 0:3:x\n")).unwrap()
}

impl Fixture {
    async fn collection(&self, user: &User, name: &str) -> Result<Collection, StoreError> {
        let new = NewCollection::named(user.uuid.to_string(), name, content(FOO));
        self.store.create_collection(new, user.uuid).await
    }

    async fn change(
        &self,
        before: &Collection,
        keep_version: bool,
        change: impl FnOnce(&mut Collection),
    ) -> Result<Collection, StoreError> {
        let mut after = before.clone();
        change(&mut after);
        let name_clash = NameClash::Refuse;
        let change = CollectionChange { before: before.clone(), after, keep_version, name_clash };
        self.store.update_collection(change, self.ada.uuid).await
    }

    async fn listed(&self, user: &User, trash: bool, old_versions: bool) -> Vec<String> {
        let query = ListQuery {
            include_trash: trash,
            include_old_versions: old_versions,
            ..ListQuery::all(Resource::Collections.schema())
        };
        let reader = Reader::new(user.uuid, false);
        let page = self.store.list(Resource::Collections, &query, &reader).await.unwrap();
        let name = |item: &model::JsonMap| {
            format!("{} v{}", item["name"].as_str().unwrap(), item["version"])
        };
        let mut names: Vec<String> = page.items.iter().map(name).collect();
        names.sort();
        names
    }

    fn later(&self, seconds: i64) -> Timestamp {
        let now = self.store.now().as_jiff();
        Timestamp::from_jiff(now + jiff::SignedDuration::from_secs(seconds))
    }
}

#[tokio::test]
async fn a_collection_is_kept_without_permissions_and_read_back() {
    let fixture = Fixture::new().await;
    let signed = format!(". {FOO}+Kx+A{}@12345678 0:3:x\n", "0".repeat(40));
    let new = NewCollection {
        properties: object(json!({"k": ["v"]})),
        description: Some("words".to_owned()),
        ..NewCollection::named(
            fixture.ada.uuid.to_string(),
            "a",
            CollectionContent::parse(&signed).unwrap(),
        )
    };
    let made = fixture.store.create_collection(new, fixture.ada.uuid).await.unwrap();
    assert_eq!(made.manifest_text, format!(". {FOO}+Kx 0:3:x\n"));
    assert_eq!(made.portable_data_hash, manifest::portable_data_hash(&signed));
    assert_eq!((made.file_count, made.file_size_total, made.version), (1, 3, 1));
    assert_eq!(made.storage_classes_desired, ["default"]);
    let found = fixture.store.collection(made.uuid).await.unwrap();
    assert_eq!(found, Some(made));
}

#[tokio::test]
async fn a_name_exists_once_for_each_owner() {
    let fixture = Fixture::in_memory().await;
    fixture.collection(&fixture.ada, "same").await.unwrap();
    let refused = fixture.collection(&fixture.ada, "same").await;
    assert!(matches!(refused, Err(StoreError::NameInUse { .. })), "{refused:?}");
    fixture.collection(&fixture.bob, "same").await.unwrap();
    // No name is no name.
    fixture.collection(&fixture.ada, "").await.unwrap();
    fixture.collection(&fixture.ada, "").await.unwrap();
    let new = NewCollection {
        name_clash: NameClash::Rename,
        ..NewCollection::named(fixture.ada.uuid.to_string(), "same", content(FOO))
    };
    let other = fixture.store.create_collection(new, fixture.ada.uuid).await.unwrap();
    assert_eq!(other.name, format!("same ({})", &other.uuid.as_str()[12..]));
    let clash = fixture.change(&other, false, |it| it.name = "same".to_owned()).await;
    assert!(matches!(clash, Err(StoreError::NameInUse { .. })), "{clash:?}");
}

#[tokio::test]
async fn the_trash_frees_a_name_and_hides_its_content() {
    let fixture = Fixture::in_memory().await;
    let first = fixture.collection(&fixture.ada, "same").await.unwrap();
    let at = fixture.later(100);
    let due = fixture.change(&first, false, |it| it.trash_at = Some(at)).await.unwrap();
    assert!(!due.is_trashed);
    assert_eq!(fixture.listed(&fixture.ada, false, false).await, ["same v1"]);
    fixture.advance(200);
    // Due and not marked yet: not there, and the name is free.
    assert_eq!(fixture.listed(&fixture.ada, false, false).await, [""; 0]);
    assert_eq!(fixture.listed(&fixture.ada, true, false).await, ["same v1"]);
    fixture.collection(&fixture.ada, "same").await.unwrap();
    assert!(fixture.store.collection(first.uuid).await.unwrap().unwrap().is_trashed);
    assert_eq!(fixture.listed(&fixture.ada, true, false).await, ["same v1", "same v1"]);
    let trashed = fixture.store.collection(first.uuid).await.unwrap().unwrap();
    let back = fixture.change(&trashed, false, |it| {
        it.trash_at = None;
        it.is_trashed = false;
    });
    assert!(matches!(back.await, Err(StoreError::NameInUse { .. })));
}

#[tokio::test]
async fn old_versions_stay_and_follow_the_newest() {
    let fixture = Fixture::in_memory().await;
    let first = fixture.collection(&fixture.ada, "a").await.unwrap();
    let second = fixture.change(&first, true, |it| content(BAR).put_into(it)).await.unwrap();
    assert_eq!((second.uuid, second.version), (first.uuid, 2));
    assert_eq!(fixture.listed(&fixture.ada, false, false).await, ["a v2"]);
    assert_eq!(fixture.listed(&fixture.ada, false, true).await, ["a v1", "a v2"]);
    let owner = fixture.bob.uuid.to_string();
    fixture.change(&second, false, |it| it.owner_uuid = owner).await.unwrap();
    assert_eq!(fixture.listed(&fixture.ada, true, true).await, [""; 0]);
    assert_eq!(fixture.listed(&fixture.bob, false, true).await, ["a v1", "a v2"]);
}

#[tokio::test]
async fn a_change_of_what_somebody_else_changed_is_refused() {
    let fixture = Fixture::in_memory().await;
    let first = fixture.collection(&fixture.ada, "a").await.unwrap();
    fixture.change(&first, false, |it| it.name = "b".to_owned()).await.unwrap();
    let late = fixture.change(&first, false, |it| it.name = "c".to_owned()).await;
    assert!(matches!(late, Err(StoreError::Changed(_))), "{late:?}");
}

#[tokio::test]
async fn the_sweep_marks_and_deletes_what_is_due_with_its_versions() {
    let fixture = Fixture::in_memory().await;
    let first = fixture.collection(&fixture.ada, "a").await.unwrap();
    let second = fixture.change(&first, true, |it| content(BAR).put_into(it)).await.unwrap();
    fixture.collection(&fixture.ada, "stays").await.unwrap();
    let (trash_at, delete_at) = (fixture.later(10), fixture.later(20));
    let due = |it: &mut Collection| {
        it.trash_at = Some(trash_at);
        it.delete_at = Some(delete_at);
    };
    fixture.change(&second, false, due).await.unwrap();
    fixture.advance(15);
    let swept = fixture.store.sweep_collections().await.unwrap();
    assert_eq!((swept.n_trashed, swept.n_deleted), (1, 0));
    assert_eq!(fixture.listed(&fixture.ada, true, true).await, ["a v1", "a v2", "stays v1"]);
    fixture.advance(10);
    let swept = fixture.store.sweep_collections().await.unwrap();
    assert_eq!((swept.n_trashed, swept.n_deleted), (0, 1));
    assert_eq!(fixture.listed(&fixture.ada, true, true).await, ["stays v1"]);
}

#[tokio::test]
async fn blocks_are_referenced_until_nobody_can_have_permission() {
    let fixture = Fixture::in_memory().await;
    let (foo, bar) = (BlockHash::of(b"foo"), BlockHash::of(b"bar"));
    let first = fixture.collection(&fixture.ada, "a").await.unwrap();
    fixture.change(&first, false, |it| content(BAR).put_into(it)).await.unwrap();
    let blocks = fixture.store.referenced_blocks().await.unwrap();
    assert!(blocks.contains(&foo) && blocks.contains(&bar) && blocks.len() == 2);
    assert_eq!(fixture.store.forget_released(fixture.later(-10)).await.unwrap(), 0);
    assert_eq!(fixture.store.forget_released(fixture.later(10)).await.unwrap(), 1);
    let blocks = fixture.store.referenced_blocks().await.unwrap();
    assert!(!blocks.contains(&foo) && blocks.contains(&bar));
}

#[tokio::test]
async fn of_equal_names_at_the_same_moment_one_wins() {
    let fixture = std::sync::Arc::new(Fixture::new().await);
    let tries = (0..8).map(|_| {
        let fixture = std::sync::Arc::clone(&fixture);
        tokio::spawn(async move { fixture.collection(&fixture.ada, "same").await.is_ok() })
    });
    let won = futures_util::future::join_all(tries.collect::<Vec<_>>()).await;
    assert_eq!(won.into_iter().filter(|won| *won.as_ref().unwrap()).count(), 1);
}
