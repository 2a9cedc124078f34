//! A store in a place of its own, with users and what they submit.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::place::Place;
use model::group_rules::{GroupOrigin, change_group, new_group};
use model::request_rules::{Origin, new_request};
use model::{ContainerRequest, Group, JsonMap, Link, Timestamp, User};
use serde_json::{Value, json};
use store::{Clock, Identity, NameClash, NewToken, NewUser, Reader, Store, StoreOptions};

pub(crate) struct Fixture {
    pub(crate) store: Store,
    pub(crate) place: Place,
    pub(crate) ada: User,
    pub(crate) bob: User,
    /// Seconds that the store's clock is ahead.
    ahead: Arc<AtomicI64>,
}

impl Fixture {
    pub(crate) async fn new() -> Self {
        Self::with(StoreOptions::default()).await
    }

    /// For many writes: a disk syncs each.
    pub(crate) async fn in_memory() -> Self {
        Self::at(Place::quick().await, StoreOptions::default()).await
    }

    pub(crate) async fn with(options: StoreOptions) -> Self {
        Self::at(Place::new().await, options).await
    }

    /// On this disk.
    pub(crate) async fn beside(disk: &std::path::Path) -> Self {
        Self::at(Place::beside(disk), StoreOptions::default()).await
    }

    async fn at(place: Place, options: StoreOptions) -> Self {
        let ahead = Arc::new(AtomicI64::new(0));
        let clock = {
            let ahead = ahead.clone();
            Clock::new(move || {
                let seconds = jiff::SignedDuration::from_secs(ahead.load(Ordering::SeqCst));
                Timestamp::from_jiff(jiff::Timestamp::now() + seconds)
            })
        };
        let options = StoreOptions { clock, ..options };
        let store = place.open(options).await;
        store.ensure_system_user().await.unwrap();
        let user = |name: &str, is_admin| NewUser {
            username: name.to_owned(),
            is_active: true,
            is_admin,
            ..NewUser::default()
        };
        let ada = store.create_user(user("ada", false)).await.unwrap();
        let bob = store.create_user(user("bob", false)).await.unwrap();
        Self { store, place, ada, bob, ahead }
    }

    /// The same users, with the records of another place.
    pub(crate) async fn moved_to(self, place: Place) -> Self {
        let store = place.open(StoreOptions::default()).await;
        Self { store, place, ..self }
    }

    pub(crate) fn advance(&self, seconds: i64) {
        self.ahead.fetch_add(seconds, Ordering::SeqCst);
    }

    /// A request of these attributes over a bare minimum, not kept yet.
    pub(crate) fn draft(&self, user: &User, attributes: Value) -> ContainerRequest {
        let mut all: JsonMap = object(json!({
            "command": ["true"], "container_image": "sha256:0", "output_path": "/out",
            "mounts": {"/out": {"kind": "tmp", "capacity": 1}},
            "runtime_constraints": {"ram": 1, "vcpus": 1}, "priority": 500, "use_existing": false,
        }));
        all.extend(object(attributes));
        let uuid = self.store.new_request_uuid().unwrap();
        let origin = Origin { uuid, by: user.uuid, at: self.store.now() };
        new_request(&all, &origin).unwrap()
    }

    pub(crate) async fn submit(&self, user: &User, attributes: Value) -> ContainerRequest {
        let mut attributes = object(attributes);
        attributes.entry("state").or_insert("Committed".into());
        let request = self.draft(user, attributes.into());
        self.store.create_request(request, None, user.uuid).await.unwrap()
    }

    pub(crate) fn hostname(&self, user: &User, name: &str, request: &ContainerRequest) -> Link {
        Link {
            link_class: "hostname".to_owned(),
            name: name.to_owned(),
            head_uuid: Some(request.uuid.to_string()),
            properties: object(json!({"port": 80})),
            ..self.link(user)
        }
    }

    /// A group of this class, kept.
    pub(crate) async fn group(&self, by: &User, class: &str, attributes: Value) -> Group {
        let mut all = object(json!({"group_class": class, "name": "A group"}));
        if class == "filter" {
            all.insert("properties".to_owned(), json!({"filters": []}));
        }
        all.extend(object(attributes));
        let origin = GroupOrigin {
            uuid: self.store.new_group_uuid().unwrap(),
            by: by.uuid,
            system_user: self.store.system_user(),
            at: self.store.now(),
        };
        let group = new_group(&all, &origin).unwrap();
        self.store.create_group(group, NameClash::Rename, by.uuid).await.unwrap()
    }

    /// Changes a group.
    pub(crate) async fn regroup(&self, group: &Group, attributes: Value) -> Group {
        let after = change_group(group, &object(attributes), self.store.now()).unwrap();
        let by = group.modified_by_user_uuid;
        self.store.update_group(group.clone(), after, NameClash::Refuse, by).await.unwrap()
    }

    /// A permission link, kept.
    pub(crate) async fn grant(
        &self,
        tail: &impl ToString,
        name: &str,
        head: &impl ToString,
    ) -> Link {
        let link = Link {
            owner_uuid: self.store.system_user().to_string(),
            link_class: "permission".to_owned(),
            name: name.to_owned(),
            tail_uuid: Some(tail.to_string()),
            head_uuid: Some(head.to_string()),
            properties: JsonMap::new(),
            ..self.link(&self.ada)
        };
        self.store.create_link(link, self.ada.uuid).await.unwrap()
    }

    fn link(&self, user: &User) -> Link {
        let now = self.store.now();
        Link {
            uuid: self.store.new_link_uuid().unwrap(),
            owner_uuid: user.uuid.to_string(),
            created_at: now,
            modified_at: now,
            modified_by_user_uuid: user.uuid,
            link_class: "tag".to_owned(),
            name: String::new(),
            tail_uuid: None,
            head_uuid: None,
            properties: JsonMap::new(),
        }
    }

    pub(crate) async fn token(&self, user: &User, expires_in: Option<i64>) -> Identity {
        let expires_at = expires_in.map(|seconds| {
            let now = self.store.now().as_jiff();
            Timestamp::from_jiff(now + jiff::SignedDuration::from_secs(seconds))
        });
        let new = NewToken {
            owner: user.uuid,
            scopes: vec!["all".to_owned()],
            expires_at,
            made_by: user.uuid,
        };
        let (token, _) = self.store.create_token(new).await.unwrap();
        self.store.authenticate(&token).await.unwrap().unwrap()
    }

    /// Another user.
    pub(crate) async fn user(&self, name: &str) -> User {
        let username = name.to_owned();
        let new = NewUser { username, is_active: true, ..NewUser::default() };
        self.store.create_user(new).await.unwrap()
    }

    /// What a user may do with a record: `can_write`, or `none`.
    pub(crate) async fn level(&self, user: &User, uuid: &impl ToString) -> &'static str {
        let reader = Reader::new(user.uuid, user.is_admin);
        let rights = self.store.rights(&reader, &uuid.to_string()).await.unwrap();
        rights.map_or("none", |rights| rights.level.as_str())
    }

    /// Everything that is kept, as it is while the store is open.
    pub(crate) async fn bytes_on_disk(&self) -> Vec<u8> {
        self.place.bytes().await
    }
}

pub(crate) fn object(value: Value) -> JsonMap {
    let Value::Object(map) = value else { panic!("{value} is no object") };
    map
}

pub(crate) fn contains(haystack: &[u8], needle: &str) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle.as_bytes())
}
