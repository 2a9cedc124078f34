//! Two accounts become one, over the database alone.

use model::filter::ListQuery;
use model::{Container, Link, User, Workflow};
use serde_json::json;
use store::{
    Admission, Admitted, CollectionContent, Merge, NameClash, NewCollection, Reader, Resource,
    StoreError, TargetKey,
};

use crate::fixture::{Fixture, object};

/// All of ada's goes to bob.
fn of_ada(fixture: &Fixture, redirects: bool) -> Merge {
    Merge {
        old: fixture.ada.uuid,
        new: fixture.bob.uuid,
        new_owner: fixture.bob.uuid.to_string(),
        redirects,
        by: fixture.bob.uuid,
    }
}

/// How many records of each type this owner has.
async fn owned(fixture: &Fixture, owner: &str) -> Vec<usize> {
    let everything = Reader { include_trash: true, ..Reader::new(fixture.bob.uuid, true) };
    let mut numbers = Vec::new();
    for resource in Resource::OWNED.iter().chain(&[Resource::Links, Resource::Tokens]) {
        let query = ListQuery { limit: 1000, ..ListQuery::all(resource.schema()) };
        let page = fixture.store.list(*resource, &query, &everything).await.unwrap();
        numbers.push(page.items.iter().filter(|item| item["owner_uuid"] == owner).count());
    }
    numbers
}

async fn collection(fixture: &Fixture, owner: &User, name: &str) -> model::Collection {
    let content = CollectionContent::parse("").unwrap();
    let new = NewCollection::named(owner.uuid.as_str(), name, content);
    fixture.store.create_collection(new, owner.uuid).await.unwrap()
}

async fn workflow(fixture: &Fixture, owner: &User) -> Workflow {
    let now = fixture.store.now();
    let workflow = Workflow {
        uuid: fixture.store.new_workflow_uuid().unwrap(),
        owner_uuid: owner.uuid.to_string(),
        created_at: now,
        modified_at: now,
        modified_by_user_uuid: owner.uuid,
        name: "Workflow".to_owned(),
        description: None,
        definition: None,
        collection_uuid: None,
    };
    fixture.store.create_workflow(workflow, owner.uuid).await.unwrap()
}

async fn links_between(fixture: &Fixture, tail: &User, head: &impl ToString) -> usize {
    let links = fixture.store.permissions_on(&head.to_string()).await.unwrap();
    links.iter().filter(|link| link.tail_uuid.as_deref() == Some(tail.uuid.as_str())).count()
}

#[tokio::test]
async fn all_that_a_user_owns_goes_to_the_other_and_names_that_clash_change() {
    let fixture = Fixture::new().await;
    let Fixture { store, ada, bob, .. } = &fixture;
    let mine = fixture.group(ada, "project", json!({"name": "Lab"})).await;
    fixture.group(bob, "project", json!({"name": "Lab"})).await;
    let (data, _) =
        (collection(&fixture, ada, "Data").await, collection(&fixture, bob, "Data").await);
    let inner = fixture.submit(ada, json!({"owner_uuid": mine.uuid})).await;
    let request = fixture.submit(ada, json!({})).await;
    workflow(&fixture, ada).await;
    let name = fixture.hostname(ada, "notebook", &request);
    store.create_link(name, ada.uuid).await.unwrap();
    fixture.token(ada, None).await;
    assert_eq!(owned(&fixture, ada.uuid.as_str()).await, [1, 1, 1, 1, 1, 1]);
    let old = store.merge_users(of_ada(&fixture, false)).await.unwrap();
    assert_eq!((old.uuid, old.is_active), (ada.uuid, true));
    assert_eq!(owned(&fixture, ada.uuid.as_str()).await, [0; 6]);
    // Tokens are gone, where nothing redirects.
    assert_eq!(owned(&fixture, bob.uuid.as_str()).await, [2, 1, 2, 1, 1, 0]);
    let renamed = store.group(mine.uuid).await.unwrap().unwrap();
    assert_eq!(renamed.name, format!("Lab ({})", &mine.uuid.as_str()[12..]));
    let renamed = store.collection(data.uuid).await.unwrap().unwrap();
    assert_eq!(renamed.name, format!("Data ({})", &data.uuid.as_str()[12..]));
    assert_eq!(renamed.modified_by_user_uuid, bob.uuid);
    assert!(renamed.modified_at > data.modified_at);
    // What is in a project stays there, and who submitted it is the new user.
    for request in [&inner, &request] {
        let target = store.find_target(&TargetKey::Request(request.uuid)).await.unwrap().unwrap();
        assert_eq!(target.submitters, [bob.uuid]);
    }
    assert_eq!(store.request(inner.uuid).await.unwrap().unwrap().owner_uuid, mine.uuid.as_str());
}

#[tokio::test]
async fn what_was_read_before_a_merge_is_not_written_back() {
    let fixture = Fixture::new().await;
    let Fixture { store, ada, .. } = &fixture;
    let before = workflow(&fixture, ada).await;
    store.merge_users(of_ada(&fixture, false)).await.unwrap();
    let after = Workflow { name: "Mine".to_owned(), ..before.clone() };
    let refused = store.update_workflow(before, after, ada.uuid).await;
    assert!(matches!(refused, Err(StoreError::Changed(_))), "{refused:?}");
}

#[tokio::test]
async fn rights_of_the_old_user_go_over_and_rights_on_the_old_account_are_gone() {
    let fixture = Fixture::new().await;
    let Fixture { store, ada, bob, .. } = &fixture;
    let eve = fixture.user("eve").await;
    let lab = fixture.group(&eve, "project", json!({"name": "Lab"})).await;
    let both = fixture.group(&eve, "project", json!({"name": "Both"})).await;
    let mine = fixture.group(ada, "project", json!({"name": "Mine"})).await;
    fixture.grant(&ada.uuid, "can_write", &lab.uuid).await;
    fixture.grant(&ada.uuid, "can_read", &both.uuid).await;
    fixture.grant(&bob.uuid, "can_read", &both.uuid).await;
    fixture.grant(&eve.uuid, "can_manage", &ada.uuid).await;
    fixture.grant(&bob.uuid, "can_manage", &ada.uuid).await;
    fixture.grant(&ada.uuid, "can_read", &bob.uuid).await;
    assert_eq!(fixture.level(&eve, &mine.uuid).await, "can_manage");
    store.merge_users(of_ada(&fixture, false)).await.unwrap();
    assert_eq!(fixture.level(bob, &lab.uuid).await, "can_write");
    assert_eq!(fixture.level(ada, &lab.uuid).await, "none");
    assert_eq!(links_between(&fixture, bob, &both.uuid).await, 1, "the same right once");
    assert_eq!(fixture.level(bob, &mine.uuid).await, "can_manage");
    // Eve managed ada's account, and has nothing of bob's.
    assert_eq!(fixture.level(&eve, &mine.uuid).await, "none");
    assert_eq!(fixture.level(&eve, &bob.uuid).await, "can_read", "as everybody");
    assert_eq!(links_between(&fixture, bob, &bob.uuid).await, 0, "nothing leads to itself");
    assert!(store.permissions_on(ada.uuid.as_str()).await.unwrap().is_empty());
}

#[tokio::test]
async fn ports_that_were_opened_to_the_old_user_are_open_to_the_new_one() {
    let fixture = Fixture::new().await;
    let Fixture { store, ada, bob, .. } = &fixture;
    let eve = fixture.user("eve").await;
    let request = fixture.submit(&eve, json!({})).await;
    for (user, numbers) in [(ada, [Some(80), Some(81)]), (bob, [Some(80), None])] {
        for number in numbers.into_iter().flatten() {
            let mut link = fixture.hostname(&eve, "unused", &request);
            link.link_class = "service_access".to_owned();
            link.tail_uuid = Some(user.uuid.to_string());
            link.properties = object(json!({"port": number}));
            link.name = model::service_access::access_name(link.port());
            store.create_link(link, eve.uuid).await.unwrap();
        }
    }
    store.merge_users(of_ada(&fixture, true)).await.unwrap();
    let links = store.access_links(request.uuid).await.unwrap();
    let tails: Vec<_> = links.iter().filter_map(|link| link.tail_uuid.as_deref()).collect();
    assert_eq!(tails, [bob.uuid.as_str(); 2], "80 once, and 81");
    assert_eq!(fixture.level(bob, &request.uuid).await, "can_read");
    assert_eq!(fixture.level(ada, &request.uuid).await, "none");
}

#[tokio::test]
async fn where_it_redirects_whoever_was_the_old_user_is_the_new_one() {
    let fixture = Fixture::new().await;
    let Fixture { store, ada, bob, .. } = &fixture;
    let token = fixture.token(ada, None).await.token;
    store.set_password_hash(ada.uuid, Some("ada's".to_owned())).await.unwrap();
    let person = Admission {
        issuer: "https://id.example.com".to_owned(),
        subject: "1".to_owned(),
        links_by_email: true,
        new: None,
        email: "ada@example.com".to_owned(),
    };
    let with_address = User { email: "Ada@example.com".to_owned(), ..ada.clone() };
    store.update_user(ada.clone(), with_address, ada.uuid).await.unwrap();
    let linked = store.admit(person.clone()).await.unwrap();
    assert!(matches!(linked, Admitted::Linked(user) if user.uuid == ada.uuid));
    let old = store.merge_users(of_ada(&fixture, true)).await.unwrap();
    assert!(!old.is_active);
    let acts = async || store.token_by_uuid(token.uuid).await.unwrap().map(|it| it.user.uuid);
    assert_eq!(acts().await, Some(bob.uuid));
    let (user, hash) = store.password_hash("ada").await.unwrap().unwrap();
    assert_eq!((user.uuid, hash.as_str()), (bob.uuid, "ada's"));
    assert_eq!(store.admit(person.clone()).await.unwrap(), Admitted::Known(bob.clone()));
    let elsewhere = Admission { issuer: "https://other.example.com".to_owned(), ..person };
    assert_eq!(store.admit(elsewhere).await.unwrap(), Admitted::Linked(bob.clone()));
    // Over two merges it is still one step.
    let eve = fixture.user("eve").await;
    let on = Merge {
        old: bob.uuid,
        new: eve.uuid,
        new_owner: eve.uuid.to_string(),
        ..of_ada(&fixture, true)
    };
    store.merge_users(on).await.unwrap();
    assert_eq!(acts().await, Some(eve.uuid));
    assert_eq!(store.password_hash("ada").await.unwrap().unwrap().0.uuid, eve.uuid);
    // An account that may act again is one of its own.
    let before = store.user(ada.uuid).await.unwrap().unwrap();
    let after = User { is_active: true, ..before.clone() };
    store.update_user(before, after, eve.uuid).await.unwrap();
    assert_eq!(store.password_hash("ada").await.unwrap().unwrap().0.uuid, ada.uuid);
}

#[tokio::test]
async fn running_containers_go_on_for_the_new_user() {
    let fixture = Fixture::new().await;
    let Fixture { store, ada, bob, .. } = &fixture;
    let request = fixture.submit(ada, json!({})).await;
    let uuid = request.container_uuid.unwrap();
    store.lock_container(uuid, "a dispatcher").await.unwrap();
    let token = store.container_token(uuid).await.unwrap().unwrap();
    store.merge_users(of_ada(&fixture, false)).await.unwrap();
    let container: Container = store.container(uuid).await.unwrap().unwrap();
    assert_eq!(container.runtime_user_uuid, Some(bob.uuid));
    let acts = store.token_by_uuid(token.record.uuid).await.unwrap().unwrap();
    assert_eq!(acts.user.uuid, bob.uuid);
}

#[tokio::test]
async fn a_merge_that_cannot_be_changes_nothing() {
    let fixture = Fixture::new().await;
    let Fixture { store, ada, bob, .. } = &fixture;
    let outer = fixture.group(ada, "project", json!({"name": "Outer"})).await;
    let inner = fixture.group(ada, "project", json!({"owner_uuid": outer.uuid})).await;
    let system = store.system_user();
    let of = || of_ada(&fixture, true);
    for refused in [
        Merge { new: ada.uuid, ..of() },
        Merge { old: system, ..of() },
        Merge { new: system, ..of() },
        Merge { new_owner: outer.uuid.to_string(), ..of() },
        Merge { new_owner: inner.uuid.to_string(), ..of() },
        Merge { new_owner: ada.uuid.to_string(), ..of() },
        Merge { new_owner: "wharf-j7d0g-doesnotexist123".to_owned(), ..of() },
    ] {
        let words = format!("{refused:?}");
        let answer = store.merge_users(refused).await;
        assert!(matches!(answer, Err(StoreError::BadOwner(_))), "{words}: {answer:?}");
    }
    let asleep = User { is_active: false, ..bob.clone() };
    store.update_user(bob.clone(), asleep, bob.uuid).await.unwrap();
    let answer = store.merge_users(of()).await;
    assert!(matches!(answer, Err(StoreError::BadOwner(_))), "{answer:?}");
    assert_eq!(owned(&fixture, ada.uuid.as_str()).await[0], 1);
    assert!(store.user(ada.uuid).await.unwrap().unwrap().is_active);
}

#[tokio::test]
async fn records_can_go_to_a_project_and_links_to_the_user() {
    let fixture = Fixture::new().await;
    let Fixture { store, ada, bob, .. } = &fixture;
    let archive = fixture.group(bob, "project", json!({"name": "Archive"})).await;
    let request = fixture.submit(ada, json!({})).await;
    let name: Link = fixture.hostname(ada, "notebook", &request);
    let name = store.create_link(name, ada.uuid).await.unwrap();
    let data = collection(&fixture, ada, "Data").await;
    let newer = model::Collection { name: "Newer".to_owned(), ..data.clone() };
    let change = store::CollectionChange {
        before: data.clone(),
        after: newer,
        keep_version: true,
        name_clash: NameClash::Refuse,
    };
    store.update_collection(change, ada.uuid).await.unwrap();
    let merge = Merge { new_owner: archive.uuid.to_string(), ..of_ada(&fixture, false) };
    store.merge_users(merge).await.unwrap();
    let moved = store.request(request.uuid).await.unwrap().unwrap();
    assert_eq!(moved.owner_uuid, archive.uuid.as_str());
    assert_eq!(store.link(name.uuid).await.unwrap().unwrap().owner_uuid, bob.uuid.as_str());
    let query =
        ListQuery { include_old_versions: true, ..ListQuery::all(Resource::Collections.schema()) };
    let page = store.list(Resource::Collections, &query, &Reader::new(bob.uuid, false)).await;
    let items = page.unwrap().items;
    let owners: Vec<_> = items.iter().map(|item| item["owner_uuid"].as_str().unwrap()).collect();
    assert_eq!(owners, [archive.uuid.as_str(); 2], "with the old version");
}
