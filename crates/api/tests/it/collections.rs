//! Collections over HTTP: manifests checked, signed and hidden, versions, trash, files replaced.

use http::Method;
use serde_json::{Value, json};

use crate::fixture::{Fixture, Person};

const PATH: &str = "/arvados/v1/collections";
const EMPTY: &str = "d41d8cd98f00b204e9800998ecf8427e+0";

impl Fixture {
    /// A collection of one file of this person's.
    pub(crate) async fn collection(&self, person: &Person, name: &str, bytes: &str) -> Value {
        let locator = self.stored(person, bytes.as_bytes()).await;
        let manifest = format!(". {locator} 0:{}:file.txt\n", bytes.len());
        let body = json!({"collection": {"name": name, "manifest_text": manifest}});
        self.post(person, PATH, body).await.ok()
    }
}

fn uuid(record: &Value) -> &str {
    record["uuid"].as_str().unwrap()
}

fn path(record: &Value) -> String {
    format!("{PATH}/{}", uuid(record))
}

#[tokio::test]
async fn a_collection_is_made_read_and_listed_as_clients_expect() {
    let fixture = Fixture::new().await;
    let made = fixture.collection(&fixture.ada, "a", "hello").await;
    assert_eq!(&uuid(&made)[5..12], "-4zz18-");
    assert_eq!(made["kind"], "arvados#collection");
    assert!(made["manifest_text"].as_str().unwrap().contains("+5+A"), "{made}");
    assert_eq!((&made["file_count"], &made["file_size_total"]), (&json!(1), &json!(5)));
    assert_eq!(made["current_version_uuid"], made["uuid"]);
    assert!(made.get("unsigned_manifest_text").is_none());
    let read = fixture.get(&fixture.ada, &path(&made)).await.ok();
    assert_eq!(read["portable_data_hash"], made["portable_data_hash"]);
    let hash = made["portable_data_hash"].as_str().unwrap();
    let by_hash =
        fixture.get(&fixture.ada, &format!("{PATH}/{}", hash.replace('+', "%2B"))).await.ok();
    assert_eq!(by_hash["uuid"], hash);
    assert!(by_hash["manifest_text"].as_str().unwrap().contains("+A"));
    assert!(by_hash.get("name").is_none());
    let list = fixture.get(&fixture.ada, PATH).await.ok();
    assert_eq!(list["items_available"], 1);
    assert!(list["items"][0].get("manifest_text").is_none());
    let select = "select=%5B%22uuid%22,%22manifest_text%22,%22unsigned_manifest_text%22%5D";
    let item =
        fixture.get(&fixture.ada, &format!("{PATH}?{select}")).await.ok()["items"][0].clone();
    assert!(item["manifest_text"].as_str().unwrap().contains("+A"));
    assert!(!item["unsigned_manifest_text"].as_str().unwrap().contains("+A"));
    assert!(item.get("trash_at").is_none(), "{item}");
    fixture.get(&fixture.bob, &path(&made)).await.refused(404);
    fixture.get(&fixture.bob, &format!("{PATH}/{hash}")).await.refused(404);
}

#[tokio::test]
async fn only_blocks_with_permission_are_taken() {
    let fixture = Fixture::new().await;
    let locator = fixture.stored(&fixture.ada, b"secret").await;
    let bare = locator.split("+A").next().unwrap();
    let of = |locator: &str| json!({"manifest_text": format!(". {locator} 0:6:x\n")});
    for stolen in [bare, &locator] {
        let words = fixture.post(&fixture.bob, PATH, of(stolen)).await.refused(403);
        assert!(words.contains("manifest_text"), "{words}");
    }
    fixture.post(&fixture.ada, PATH, of(bare)).await.refused(403);
    let made = fixture.post(&fixture.ada, PATH, of(&locator)).await.ok();
    // What is in a collection that they may read, they may copy and keep.
    fixture.post(&fixture.ada, PATH, of(bare)).await.ok();
    let same = fixture.put(&fixture.ada, &path(&made), of(bare)).await.ok();
    assert_eq!(same["version"], 1);
    fixture.post(&fixture.admin, PATH, of(bare)).await.ok();
}

#[tokio::test]
async fn what_is_no_manifest_is_refused_with_its_line() {
    let fixture = Fixture::new().await;
    let refused =
        async |attributes: Value| fixture.post(&fixture.ada, PATH, attributes).await.refused(422);
    let words = refused(json!({"manifest_text": format!(". {EMPTY} 0:0:a\n. x\n")})).await;
    assert!(words.contains("manifest_text") && words.contains("line 2"), "{words}");
    let words = refused(json!({"manifest_text": "", "portable_data_hash": "0123+4"})).await;
    assert!(words.contains("portable_data_hash"), "{words}");
    for (name, value) in [
        ("name", json!("a/b")),
        ("name", json!("..")),
        ("name", json!("x".repeat(256))),
        ("properties", json!([])),
        ("trash_at", json!("soon")),
        ("storage_classes_desired", json!("default")),
        ("colour", json!(1)),
    ] {
        let words = refused(json!({ name: value })).await;
        assert!(words.starts_with(name), "{words}");
    }
    let empty = fixture.post(&fixture.ada, PATH, json!({})).await.ok();
    assert_eq!((&empty["portable_data_hash"], &empty["name"]), (&json!(EMPTY), &json!("")));
    // As a record that was read comes back.
    let again = json!({"collection": empty});
    fixture.put(&fixture.ada, &path(&empty), again).await.ok();
}

#[tokio::test]
async fn a_name_in_use_is_refused_or_changed() {
    let fixture = Fixture::new().await;
    let first = fixture.collection(&fixture.ada, "same", "1").await;
    let words = fixture.post(&fixture.ada, PATH, json!({"name": "same"})).await.refused(422);
    assert!(words.starts_with("name:"), "{words}");
    let unique = format!("{PATH}?ensure_unique_name=true");
    let other = fixture.post(&fixture.ada, &unique, json!({"name": "same"})).await.ok();
    assert_eq!(other["name"], format!("same ({})", &uuid(&other)[12..]));
    fixture.delete(&fixture.ada, &path(&first)).await.ok();
    fixture.post(&fixture.ada, PATH, json!({"name": "same"})).await.ok();
    let untrash = format!("{}/untrash", path(&first));
    fixture.post(&fixture.ada, &untrash, Value::Null).await.refused(422);
    let renaming = format!("{untrash}?ensure_unique_name=true");
    let back = fixture.post(&fixture.ada, &renaming, Value::Null).await.ok();
    assert_ne!(back["name"], "same");
}

#[tokio::test]
async fn the_trash_hides_and_gives_back() {
    let fixture = Fixture::new().await;
    let made = fixture.collection(&fixture.ada, "a", "hello").await;
    let trashed = fixture.delete(&fixture.ada, &path(&made)).await.ok();
    assert_eq!(trashed["is_trashed"], true);
    assert!(!trashed["manifest_text"].as_str().unwrap().contains("+A"), "{trashed}");
    assert!(trashed["delete_at"].as_str() > trashed["trash_at"].as_str());
    fixture.get(&fixture.ada, &path(&made)).await.refused(404);
    assert_eq!(fixture.get(&fixture.ada, PATH).await.ok()["items_available"], 0);
    let with_trash = format!("{}?include_trash=true", path(&made));
    assert_eq!(fixture.get(&fixture.ada, &with_trash).await.ok()["is_trashed"], true);
    let filter = "filters=%5B%5B%22is_trashed%22,%22=%22,true%5D%5D&include_trash=true";
    let list = fixture.get(&fixture.ada, &format!("{PATH}?{filter}")).await.ok();
    assert_eq!(list["items_available"], 1);
    let back = fixture.put(&fixture.ada, &path(&made), json!({"is_trashed": false})).await.ok();
    assert_eq!((&back["is_trashed"], &back["trash_at"]), (&json!(false), &Value::Null));
    // A time in the future is no trash yet, and permissions end with it.
    let soon = json!({"trash_at": "2199-01-01T00:00:00.000000Z"});
    let due = fixture.put(&fixture.ada, &path(&made), soon).await.ok();
    assert_eq!(due["is_trashed"], false);
    assert!(due["delete_at"].as_str() > due["trash_at"].as_str());
    let past = json!({"trash_at": "2001-01-01T00:00:00Z"});
    let gone = fixture.put(&fixture.ada, &path(&made), past).await.ok();
    assert_eq!(gone["is_trashed"], true);
    fixture.post(&fixture.ada, &format!("{}/untrash", path(&made)), Value::Null).await.ok();
    fixture.get(&fixture.ada, &path(&made)).await.ok();
}

#[tokio::test]
async fn versions_are_kept_when_wanted() {
    let fixture = Fixture::new().await;
    let first = fixture.collection(&fixture.ada, "a", "one").await;
    let locator = fixture.stored(&fixture.ada, b"two").await;
    let body = json!({
        "manifest_text": format!(". {locator} 0:3:file.txt\n"), "preserve_version": true,
    });
    let second = fixture.put(&fixture.ada, &path(&first), body.clone()).await.ok();
    assert_eq!((&second["version"], &second["uuid"]), (&json!(2), &first["uuid"]));
    // The same again is no change.
    let same = fixture.put(&fixture.ada, &path(&first), body).await.ok();
    assert_eq!(same["version"], 2);
    let list = fixture.get(&fixture.ada, &format!("{PATH}?include_old_versions=true")).await.ok();
    let old = list["items"].as_array().unwrap().iter().find(|it| it["version"] == 1).unwrap();
    assert_eq!(old["current_version_uuid"], first["uuid"]);
    assert_eq!(old["portable_data_hash"], first["portable_data_hash"]);
    assert_eq!(fixture.get(&fixture.ada, PATH).await.ok()["items_available"], 1);
    fixture.get(&fixture.ada, &path(old)).await.ok();
    fixture.put(&fixture.ada, &path(old), json!({"name": "x"})).await.refused(422);
}

#[tokio::test]
async fn files_are_replaced_without_a_manifest() {
    let fixture = Fixture::new().await;
    let one = fixture.collection(&fixture.ada, "one", "hello").await;
    let hash = one["portable_data_hash"].as_str().unwrap();
    let body = json!({"collection": {"name": "made"}, "replace_files": {
        "/a.txt": format!("{hash}/file.txt"), "/sub": format!("{hash}/"),
    }});
    let made = fixture.post(&fixture.ada, PATH, body).await.ok();
    assert_eq!(made["file_count"], 2);
    let body = json!({"collection": {}, "replace_files": {
        "/a.txt": "", "/moved/b.txt": "current/a.txt", "/sub/c.txt": format!("{hash}/file.txt"),
    }});
    let changed = fixture.put(&fixture.ada, &path(&made), body).await.ok();
    let text = changed["manifest_text"].as_str().unwrap();
    assert!(
        text.contains("./moved ") && text.contains(":b.txt") && text.contains(":c.txt"),
        "{text}"
    );
    assert!(!text.contains(":a.txt"), "{text}");
    for wrong in [
        json!({"a": "current/x"}),
        json!({"/a": "current/nothing"}),
        json!({"/a": "elsewhere/x"}),
        json!({"/sub": "current/sub", "/sub/x": ""}),
        json!({"/": "current/", "/x": "current/sub"}),
        json!({"/..": "current/sub"}),
        json!({"/sub/": ""}),
        json!({"/a//b": ""}),
    ] {
        let body = json!({"replace_files": wrong});
        let words = fixture.put(&fixture.ada, &path(&made), body).await.refused(422);
        assert!(words.contains("replace_files"), "{words}");
    }
    // What is deleted makes room for what comes out of it.
    let body = json!({"replace_files": {"/": "", "/all/c.txt": "current/sub/c.txt"}});
    let changed = fixture.put(&fixture.ada, &path(&made), body).await.ok();
    assert_eq!(changed["file_count"], 1, "{changed}");
    assert!(changed["manifest_text"].as_str().unwrap().starts_with("./all "), "{changed}");
    // Nobody gets at another's files by naming their content.
    let body = json!({"collection": {}, "replace_files": {"/x": format!("{hash}/file.txt")}});
    fixture.post(&fixture.bob, PATH, body).await.refused(422);
}

#[tokio::test]
async fn files_of_a_manifest_are_put_beside_those_that_are_there() {
    let fixture = Fixture::new().await;
    let one = fixture.collection(&fixture.ada, "one", "hello").await;
    let locator = fixture.stored(&fixture.ada, b"new").await;
    let of = |locator: &str, files: Value| {
        let manifest = format!("./deep {locator} 0:3:new.txt\n");
        json!({"collection": {"manifest_text": manifest}, "replace_files": files})
    };
    let files = json!({
        "/file.txt": "manifest_text/deep/new.txt", "/old/file.txt": "current/file.txt",
        "/whole": "manifest_text/",
    });
    let changed = fixture.put(&fixture.ada, &path(&one), of(&locator, files)).await.ok();
    let text = changed["manifest_text"].as_str().unwrap();
    let parts = [":3:file.txt", "./old ", ":5:file.txt", "./whole/deep ", ":3:new.txt"];
    assert!(parts.iter().all(|part| text.contains(part)), "{text}");
    // One that nothing is taken from was sent by mistake.
    let unused = of(&locator, json!({"/x": "current/file.txt"}));
    let words = fixture.put(&fixture.ada, &path(&one), unused).await.refused(422);
    assert!(words.starts_with("manifest_text "), "{words}");
    // Its blocks have to be theirs in any case.
    let foreign = of(&fixture.stored(&fixture.bob, b"his").await, json!({"/x": "manifest_text/"}));
    fixture.put(&fixture.ada, &path(&one), foreign).await.refused(403);
    // A whole that is said to be this, and is.
    let hash = changed["portable_data_hash"].as_str().unwrap();
    let body = json!({"collection": {"name": "same", "portable_data_hash": hash},
        "replace_files": {"/": format!("{hash}/")}});
    let same = fixture.post(&fixture.ada, PATH, body).await.ok();
    assert_eq!(same["portable_data_hash"], changed["portable_data_hash"]);
}

#[tokio::test]
async fn small_blocks_are_replaced_by_one_that_the_caller_wrote() {
    let fixture = Fixture::new().await;
    let small =
        [fixture.stored(&fixture.ada, b"ab").await, fixture.stored(&fixture.ada, b"cde").await];
    let large = fixture.stored(&fixture.ada, b"abcde").await;
    let manifest = format!(". {} {} 0:2:a.txt 2:3:b.txt\n", small[0], small[1]);
    let both = json!({
        format!("{} 0 2", small[0]): format!("{large} 0 2"),
        format!("{} 0 3", small[1]): format!("{large} 2 3"),
    });
    // With the manifest, and of what is stored.
    let body = json!({"collection": {"manifest_text": &manifest}, "replace_segments": &both});
    let packed = fixture.post(&fixture.ada, PATH, body).await.ok();
    let made = fixture.post(&fixture.ada, PATH, json!({"manifest_text": &manifest})).await.ok();
    assert_ne!(made["portable_data_hash"], packed["portable_data_hash"]);
    let repack = |pairs: Value| json!({"replace_segments": pairs});
    let stale = json!({
        format!("{} 0 2", small[0]): format!("{large} 0 2"),
        format!("{} 0 2", small[1]): format!("{large} 2 2"),
    });
    let same = fixture.put(&fixture.ada, &path(&made), repack(stale)).await.ok();
    assert_eq!(
        (&same["portable_data_hash"], &same["version"]),
        (&made["portable_data_hash"], &json!(1))
    );
    let changed = fixture.put(&fixture.ada, &path(&made), repack(both.clone())).await.ok();
    assert_eq!(changed["portable_data_hash"], packed["portable_data_hash"]);
    let text = changed["manifest_text"].as_str().unwrap();
    let bare = large.split("+A").next().unwrap();
    assert!(
        text.starts_with(&format!(". {bare}+A")) && text.ends_with(" 0:2:a.txt 2:3:b.txt\n"),
        "{text}"
    );
    // Somebody did it already: nothing to do.
    let again = fixture.put(&fixture.ada, &path(&made), repack(both)).await.ok();
    assert_eq!(again["version"], changed["version"]);
    // Nobody gets at a block by putting it into a collection of their own.
    let secret = fixture.stored(&fixture.bob, b"pq").await;
    for stolen in [secret.as_str(), secret.split("+A").next().unwrap()] {
        let pairs = json!({ format!("{bare} 0 2"): format!("{stolen} 0 2") });
        let words = fixture.put(&fixture.ada, &path(&made), repack(pairs)).await.refused(403);
        assert!(words.starts_with("replace_segments:"), "{words}");
    }
    for wrong in [
        json!([]),
        json!({"x": "y"}),
        json!({ format!("{bare} 0 2"): 7 }),
        json!({ format!("{bare} 0 2"): format!("{large} 0 3") }),
        json!({ format!("{bare} 0 2"): format!("{large} 4 2") }),
    ] {
        let words = fixture.put(&fixture.ada, &path(&made), repack(wrong)).await.refused(422);
        assert!(words.starts_with("replace_segments "), "{words}");
    }
}

#[tokio::test]
async fn nobody_writes_what_is_anothers() {
    let fixture = Fixture::new().await;
    let made = fixture.collection(&fixture.ada, "a", "hello").await;
    for method in [Method::PUT, Method::DELETE] {
        let answer = fixture.call(method, &fixture.bob, &path(&made), json!({"name": "b"})).await;
        answer.refused(404);
    }
    let given = json!({"owner_uuid": fixture.bob.user.uuid});
    fixture.put(&fixture.ada, &path(&made), given.clone()).await.refused(403);
    let moved = fixture.put(&fixture.admin, &path(&made), given).await.ok();
    assert_eq!(moved["owner_uuid"], fixture.bob.user.uuid.as_str());
    fixture.get(&fixture.bob, &path(&made)).await.ok();
}
