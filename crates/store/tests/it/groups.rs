//! Groups as records: names, owners, trash, roles.

use model::{ContainerRequest, Group, WellKnownGroup, Workflow};
use serde_json::json;
use store::{
    ChangeKind, CollectionContent, NameClash, NewCollection, Notice, Reader, Resource, StoreError,
    StoreOptions,
};

use crate::fixture::Fixture;

#[tokio::test]
async fn every_cluster_has_its_well_known_groups_however_often_it_starts() {
    let fixture = Fixture::new().await;
    fixture.store.ensure_system_user().await.unwrap();
    for known in WellKnownGroup::ALL {
        let group = fixture.store.group(known.uuid(&fixture.store.cluster())).await.unwrap();
        assert_eq!(group.unwrap().name, known.name());
        assert_eq!(fixture.level(&fixture.ada, &known.uuid(&fixture.store.cluster())).await, {
            // Everybody has the role of all users, which lets write what it may write, and not manage it.
            if known == WellKnownGroup::AllUsers { "can_write" } else { "can_read" }
        });
    }
}

#[tokio::test]
async fn a_name_is_one_among_an_owner_s_groups_in_sight() {
    let fixture = Fixture::new().await;
    let lab = fixture.group(&fixture.ada, "project", json!({"name": "Lab"})).await;
    let second = Group { uuid: fixture.store.new_group_uuid().unwrap(), ..lab.clone() };
    let create = async |group: &Group, clash| {
        fixture.store.create_group(group.clone(), clash, fixture.ada.uuid).await
    };
    let taken = create(&second, NameClash::Refuse).await;
    assert!(matches!(taken, Err(StoreError::NameInUse { .. })), "{taken:?}");
    let renamed = create(&second, NameClash::Rename).await.unwrap();
    assert_eq!(renamed.name, format!("Lab ({})", &renamed.uuid.as_str()[12..]));
    // Elsewhere it is free, and here once the first is in the trash.
    fixture.group(&fixture.ada, "project", json!({"name": "Lab", "owner_uuid": lab.uuid})).await;
    let trashed = fixture.regroup(&lab, json!({"is_trashed": true})).await;
    let third = Group { uuid: fixture.store.new_group_uuid().unwrap(), ..lab.clone() };
    create(&third, NameClash::Refuse).await.unwrap();
    // What comes back finds its name taken.
    let mut back = trashed.clone();
    back.untrash();
    let update = async |clash| {
        fixture.store.update_group(trashed.clone(), back.clone(), clash, fixture.ada.uuid).await
    };
    let taken = update(NameClash::Refuse).await;
    assert!(matches!(taken, Err(StoreError::NameInUse { .. })), "{taken:?}");
    assert!(update(NameClash::Rename).await.unwrap().name.starts_with("Lab ("));
}

#[tokio::test]
async fn users_and_projects_own_and_nothing_goes_in_circles() {
    let fixture = Fixture::new().await;
    let outer = fixture.group(&fixture.ada, "project", json!({})).await;
    let inner = fixture.group(&fixture.ada, "project", json!({"owner_uuid": outer.uuid})).await;
    let role = fixture.group(&fixture.ada, "role", json!({"name": "R"})).await;
    let filter = fixture.group(&fixture.ada, "filter", json!({"name": "F"})).await;
    let nobody = "wharf-j7d0g-00000000000nobo";
    for (owner, words) in [
        (role.uuid.as_str(), "is a role"),
        (filter.uuid.as_str(), "is a filter"),
        (nobody, "does not exist"),
        ("wharf-tpzed-00000000000nobo", "does not exist"),
        ("x", "is no user"),
        (inner.uuid.as_str(), "is in the project that it would own"),
        (outer.uuid.as_str(), "is in the project that it would own"),
    ] {
        let after = Group { owner_uuid: owner.to_owned(), ..outer.clone() };
        let by = fixture.ada.uuid;
        let refused = fixture.store.update_group(outer.clone(), after, NameClash::Refuse, by).await;
        let Err(StoreError::BadOwner(why)) = refused else { panic!("{owner}: {refused:?}") };
        assert!(why.contains(words), "{why}");
    }
    for owner in [role.uuid, filter.uuid] {
        let request = fixture.draft(&fixture.ada, json!({"owner_uuid": owner}));
        let refused = fixture.store.create_request(request, None, fixture.ada.uuid).await;
        assert!(matches!(refused, Err(StoreError::BadOwner(_))), "{refused:?}");
    }
    fixture.submit(&fixture.ada, json!({"owner_uuid": inner.uuid})).await;
}

#[tokio::test]
async fn a_role_is_the_system_s_managed_by_its_maker_and_gone_with_its_links() {
    let fixture = Fixture::new().await;
    let role = fixture.group(&fixture.ada, "role", json!({"name": "Readers"})).await;
    assert_eq!(role.owner_uuid, fixture.store.system_user().to_string());
    assert_eq!(fixture.level(&fixture.ada, &role.uuid).await, "can_manage");
    assert_eq!(fixture.level(&fixture.bob, &role.uuid).await, "can_read");
    let project = fixture.group(&fixture.ada, "project", json!({})).await;
    let link = fixture.grant(&role.uuid, "can_read", &project.uuid).await;
    assert!(fixture.store.delete_role(role.uuid).await.unwrap());
    assert!(!fixture.store.delete_role(role.uuid).await.unwrap());
    assert!(!fixture.store.delete_role(project.uuid).await.unwrap());
    assert_eq!(fixture.store.link(link.uuid).await.unwrap(), None);
    assert_eq!(fixture.store.group(role.uuid).await.unwrap(), None);
}

#[tokio::test]
async fn what_is_trashed_goes_for_good_with_all_in_it_when_its_time_has_come() {
    let fixture = Fixture::with(StoreOptions::default()).await;
    let outer = fixture.group(&fixture.ada, "project", json!({"name": "Outer"})).await;
    let inner = fixture.group(&fixture.ada, "project", json!({"owner_uuid": outer.uuid})).await;
    let mut inside = Vec::new();
    for owner in [outer.uuid, inner.uuid, inner.uuid] {
        inside.push(fixture.submit(&fixture.ada, json!({"owner_uuid": owner})).await);
    }
    let tag = fixture.hostname(&fixture.ada, "lab", &inside[1]);
    fixture.store.create_link(tag.clone(), fixture.ada.uuid).await.unwrap();
    let content = CollectionContent::parse("").unwrap();
    let data = NewCollection::named(inner.uuid.to_string(), "data", content);
    let data = fixture.store.create_collection(data, fixture.ada.uuid).await.unwrap();
    let workflow = Workflow {
        uuid: fixture.store.new_workflow_uuid().unwrap(),
        owner_uuid: outer.uuid.to_string(),
        created_at: outer.created_at,
        modified_at: outer.created_at,
        modified_by_user_uuid: fixture.ada.uuid,
        name: "align".to_owned(),
        description: None,
        definition: None,
        collection_uuid: None,
    };
    let workflow = fixture.store.create_workflow(workflow, fixture.ada.uuid).await.unwrap();
    let kept = fixture.submit(&fixture.ada, json!({})).await;
    let outer = fixture.regroup(&outer, json!({"is_trashed": true})).await;
    assert!(outer.delete_at > outer.trash_at);
    fixture.store.sweep_groups().await.unwrap();
    assert!(fixture.store.group(inner.uuid).await.unwrap().is_some());
    fixture.advance(336 * 3600 + 1);
    fixture.store.sweep_groups().await.unwrap();
    for group in [outer.uuid, inner.uuid] {
        assert_eq!(fixture.store.group(group).await.unwrap(), None);
    }
    for ContainerRequest { uuid, .. } in inside {
        assert_eq!(fixture.store.request(uuid).await.unwrap(), None);
    }
    assert_eq!(fixture.store.link(tag.uuid).await.unwrap(), None);
    assert_eq!(fixture.store.collection(data.uuid).await.unwrap(), None);
    assert_eq!(fixture.store.workflow(workflow.uuid).await.unwrap(), None);
    assert!(fixture.store.request(kept.uuid).await.unwrap().is_some());
}

#[tokio::test]
async fn a_time_to_come_hides_at_that_time_and_is_noted_by_the_next_sweep() {
    let fixture = Fixture::new().await;
    let project = fixture.group(&fixture.ada, "project", json!({})).await;
    let request = fixture.submit(&fixture.ada, json!({"owner_uuid": project.uuid})).await;
    let soon = fixture.store.now().as_jiff() + jiff::SignedDuration::from_secs(60);
    let project = fixture.regroup(&project, json!({"trash_at": soon.to_string()})).await;
    assert!(!project.is_trashed);
    assert_eq!(fixture.level(&fixture.ada, &request.uuid).await, "can_manage");
    fixture.advance(61);
    assert_eq!(fixture.level(&fixture.ada, &request.uuid).await, "none");
    let reader = Reader::new(fixture.ada.uuid, false);
    for resource in [Resource::Groups, Resource::ContainerRequests] {
        let query = model::filter::ListQuery::all(resource.schema());
        let page = fixture.store.list(resource, &query, &reader).await.unwrap();
        let uuids: Vec<_> = page.items.iter().map(|item| item["uuid"].clone()).collect();
        assert!(!uuids.contains(&json!(project.uuid)) && !uuids.contains(&json!(request.uuid)));
    }
    let mut changes = fixture.store.changes();
    fixture.store.sweep_groups().await.unwrap();
    let Some(Notice::Changed(change)) = changes.next().await else { panic!("no change") };
    assert_eq!((change.kind, change.uuid), (ChangeKind::Group, project.uuid.to_string()));
    assert!(fixture.store.group(project.uuid).await.unwrap().unwrap().is_trashed);
}
