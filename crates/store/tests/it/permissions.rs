//! Who may do what: a table of paths, events, services; and random graphs against a naive model.

mod graphs;

use model::{ContainerRequest, User};
use serde_json::json;
use store::{ChangeKind, Notice, Reader, Resource, TargetKey};

use crate::fixture::Fixture;

/// Ada's outer project holds an inner one, which holds a request.
struct Nested {
    fixture: Fixture,
    outer: model::Group,
    inner: model::Group,
    request: ContainerRequest,
}

async fn nested() -> Nested {
    let fixture = Fixture::in_memory().await;
    let outer = fixture.group(&fixture.ada, "project", json!({"name": "Outer"})).await;
    let inner = fixture.group(&fixture.ada, "project", json!({"owner_uuid": outer.uuid})).await;
    let request = fixture.submit(&fixture.ada, json!({"owner_uuid": inner.uuid})).await;
    Nested { fixture, outer, inner, request }
}

impl Nested {
    /// What a user may do with the outer project, the inner one, the request and its container.
    async fn levels(&self, user: &User) -> [&'static str; 4] {
        let fixture = &self.fixture;
        let container = self.request.container_uuid.unwrap();
        [
            fixture.level(user, &self.outer.uuid).await,
            fixture.level(user, &self.inner.uuid).await,
            fixture.level(user, &self.request.uuid).await,
            fixture.level(user, &container).await,
        ]
    }
}

const NONE: [&str; 4] = ["none"; 4];

#[tokio::test]
async fn owners_manage_all_below_and_others_nothing() {
    let nested = nested().await;
    let Nested { fixture, .. } = &nested;
    let mine = ["can_manage", "can_manage", "can_manage", "can_read"];
    assert_eq!(nested.levels(&fixture.ada).await, mine);
    assert_eq!(nested.levels(&fixture.bob).await, NONE);
    let admin = User { is_admin: true, ..fixture.bob.clone() };
    assert_eq!(nested.levels(&admin).await, ["can_manage"; 4]);
}

#[tokio::test]
async fn a_link_gives_its_level_to_all_below_its_head_and_nothing_above() {
    let nested = nested().await;
    let Nested { fixture, inner, .. } = &nested;
    for level in ["can_read", "can_write", "can_manage"] {
        let link = fixture.grant(&fixture.bob.uuid, level, &inner.uuid).await;
        assert_eq!(nested.levels(&fixture.bob).await, ["none", level, level, "can_read"]);
        assert!(fixture.store.delete_link(link.uuid).await.unwrap());
        assert_eq!(nested.levels(&fixture.bob).await, NONE);
    }
    fixture.grant(&fixture.bob.uuid, "can_login", &inner.uuid).await;
    assert_eq!(nested.levels(&fixture.bob).await, NONE);
}

#[tokio::test]
async fn a_link_to_a_request_gives_it_alone_with_its_container() {
    let nested = nested().await;
    let Nested { fixture, request, .. } = &nested;
    fixture.grant(&fixture.bob.uuid, "can_write", &request.uuid).await;
    assert_eq!(nested.levels(&fixture.bob).await, ["none", "none", "can_write", "can_read"]);
}

#[tokio::test]
async fn over_roles_the_least_level_of_a_path_counts_and_the_greatest_of_several() {
    let nested = nested().await;
    let Nested { fixture, outer, .. } = &nested;
    let readers = fixture.group(&fixture.ada, "role", json!({"name": "Readers"})).await;
    let nested_role = fixture.group(&fixture.ada, "role", json!({"name": "Also readers"})).await;
    fixture.grant(&readers.uuid, "can_manage", &outer.uuid).await;
    fixture.grant(&fixture.bob.uuid, "can_read", &readers.uuid).await;
    let reads = ["can_read"; 4];
    assert_eq!(nested.levels(&fixture.bob).await, reads);
    // A role in a role; a circle of roles ends all the same.
    fixture.grant(&nested_role.uuid, "can_write", &readers.uuid).await;
    fixture.grant(&readers.uuid, "can_write", &nested_role.uuid).await;
    assert_eq!(nested.levels(&fixture.bob).await, reads);
    fixture.grant(&fixture.bob.uuid, "can_manage", &nested_role.uuid).await;
    let writes = ["can_write", "can_write", "can_write", "can_read"];
    assert_eq!(nested.levels(&fixture.bob).await, writes);
}

#[tokio::test]
async fn to_see_a_role_is_not_to_have_it() {
    let nested = nested().await;
    let Nested { fixture, outer, .. } = &nested;
    let role = fixture.group(&fixture.ada, "role", json!({"name": "Readers"})).await;
    fixture.grant(&role.uuid, "can_read", &outer.uuid).await;
    assert_eq!(fixture.level(&fixture.bob, &role.uuid).await, "can_read");
    assert_eq!(nested.levels(&fixture.bob).await, NONE);
}

#[tokio::test]
async fn everybody_has_what_all_users_and_anonymous_users_have() {
    use model::WellKnownGroup::{AllUsers, Anonymous};
    let nested = nested().await;
    let Nested { fixture, outer, inner, .. } = &nested;
    let cluster = fixture.store.cluster();
    fixture.grant(&Anonymous.uuid(&cluster), "can_write", &inner.uuid).await;
    assert_eq!(nested.levels(&fixture.bob).await, ["none", "can_read", "can_read", "can_read"]);
    fixture.grant(&AllUsers.uuid(&cluster), "can_manage", &outer.uuid).await;
    let writes = ["can_write", "can_write", "can_write", "can_read"];
    assert_eq!(nested.levels(&fixture.bob).await, writes);
}

#[tokio::test]
async fn who_manages_a_user_has_what_that_user_has() {
    let nested = nested().await;
    let Nested { fixture, .. } = &nested;
    for level in ["can_read", "can_write"] {
        fixture.grant(&fixture.bob.uuid, level, &fixture.ada.uuid).await;
        assert_eq!(fixture.level(&fixture.bob, &fixture.ada.uuid).await, level);
        assert_eq!(nested.levels(&fixture.bob).await, NONE);
    }
    fixture.grant(&fixture.bob.uuid, "can_manage", &fixture.ada.uuid).await;
    let all = ["can_manage", "can_manage", "can_manage", "can_read"];
    assert_eq!(nested.levels(&fixture.bob).await, all);
    // Over a role that one has by can_read, only that much.
    let helpers = fixture.group(&fixture.ada, "role", json!({"name": "Helpers"})).await;
    let eve = fixture.user("eve").await;
    fixture.grant(&eve.uuid, "can_read", &helpers.uuid).await;
    fixture.grant(&helpers.uuid, "can_manage", &fixture.ada.uuid).await;
    assert_eq!(nested.levels(&eve).await, ["can_read"; 4]);
}

#[tokio::test]
async fn trash_hides_what_is_in_it_on_every_path_and_comes_back() {
    let nested = nested().await;
    let Nested { fixture, outer, inner, request } = &nested;
    fixture.grant(&fixture.bob.uuid, "can_write", &inner.uuid).await;
    fixture.grant(&fixture.bob.uuid, "can_read", &request.uuid).await;
    let trashed = fixture.regroup(outer, json!({"is_trashed": true})).await;
    let admin = User { is_admin: true, ..fixture.bob.clone() };
    for user in [&fixture.ada, &fixture.bob, &admin] {
        assert_eq!(nested.levels(user).await[..3], ["none"; 3]);
        let reader = Reader { include_trash: true, ..Reader::new(user.uuid, user.is_admin) };
        let found = fixture.store.get(Resource::ContainerRequests, request.uuid.as_str(), &reader);
        assert!(found.await.unwrap().is_some());
    }
    fixture.regroup(&trashed, json!({"is_trashed": false})).await;
    assert_eq!(nested.levels(&fixture.bob).await[1..3], ["can_write", "can_write"]);
}

#[tokio::test]
async fn in_a_frozen_project_nobody_writes() {
    let nested = nested().await;
    let Nested { fixture, outer, inner, request } = &nested;
    let frozen = fixture.regroup(outer, json!({"frozen_by_uuid": fixture.ada.uuid})).await;
    for is_admin in [false, true] {
        let reader = Reader::new(fixture.ada.uuid, is_admin);
        for uuid in [outer.uuid.as_str(), inner.uuid.as_str(), request.uuid.as_str()] {
            let rights = fixture.store.rights(&reader, uuid).await.unwrap().unwrap();
            assert!(rights.is_frozen && !rights.can_write() && rights.can_manage(), "{rights:?}");
        }
    }
    fixture.regroup(&frozen, json!({"frozen_by_uuid": null})).await;
    let reader = Reader::new(fixture.ada.uuid, false);
    let rights = fixture.store.rights(&reader, request.uuid.as_str()).await.unwrap().unwrap();
    assert!(rights.can_write());
}

#[tokio::test]
async fn permission_links_are_seen_by_their_ends_and_by_who_manages_the_head() {
    let nested = nested().await;
    let Nested { fixture, inner, .. } = &nested;
    let eve = fixture.user("eve").await;
    let link = fixture.grant(&fixture.bob.uuid, "can_write", &inner.uuid).await;
    assert_eq!(fixture.level(&fixture.ada, &link.uuid).await, "can_manage");
    assert_eq!(fixture.level(&fixture.bob, &link.uuid).await, "can_read");
    assert_eq!(fixture.level(&eve, &link.uuid).await, "none");
    fixture.grant(&eve.uuid, "can_write", &inner.uuid).await;
    assert_eq!(fixture.level(&eve, &link.uuid).await, "none");
}

#[tokio::test]
async fn who_may_hear_of_a_change_is_asked_when_it_is_told() {
    let nested = nested().await;
    let Nested { fixture, inner, request, .. } = &nested;
    let (eve, stranger) = (fixture.user("eve").await, fixture.user("stranger").await);
    let readers = fixture.group(&fixture.ada, "role", json!({"name": "Readers"})).await;
    fixture.grant(&readers.uuid, "can_read", &inner.uuid).await;
    fixture.grant(&eve.uuid, "can_read", &readers.uuid).await;
    fixture.grant(&fixture.bob.uuid, "can_read", &request.uuid).await;
    let hears = async |user: &User, change: &store::Change| {
        let reader = Reader::new(user.uuid, false);
        fixture.store.may_hear(change, &reader).await.unwrap()
    };
    let mut changes = fixture.store.changes();
    let after = ContainerRequest { priority: 1, ..request.clone() };
    fixture.store.update_request(request.clone(), after, None, fixture.ada.uuid).await.unwrap();
    for kind in [ChangeKind::Request, ChangeKind::Container] {
        let Some(Notice::Changed(change)) = changes.next().await else { panic!("no change") };
        assert_eq!(change.kind, kind);
        for user in [&fixture.ada, &fixture.bob, &eve] {
            assert!(hears(user, &change).await, "{} {change:?}", user.username);
        }
        assert!(!hears(&stranger, &change).await);
    }
    // Of its end hear those who could see it.
    assert!(fixture.store.delete_request(request.uuid).await.unwrap());
    let deleted = loop {
        let Some(Notice::Changed(change)) = changes.next().await else { panic!("no change") };
        if change.kind == ChangeKind::Request {
            break change;
        }
    };
    for user in [&fixture.ada, &fixture.bob, &eve] {
        assert!(hears(user, &deleted).await, "{} {deleted:?}", user.username);
    }
    // Of somebody's account and tokens nobody else does.
    let mut changes = fixture.store.changes();
    fixture.token(&eve, None).await;
    let Some(Notice::Changed(change)) = changes.next().await else { panic!("no change") };
    assert!(hears(&eve, &change).await && !hears(&fixture.ada, &change).await);
}

#[tokio::test]
async fn a_shared_service_is_opened_by_its_submitter_alone_while_that_may_write() {
    let fixture = Fixture::in_memory().await;
    let project = fixture.group(&fixture.ada, "project", json!({})).await;
    let link = fixture.grant(&fixture.bob.uuid, "can_write", &project.uuid).await;
    let eve = fixture.user("eve").await;
    fixture.grant(&eve.uuid, "can_manage", &project.uuid).await;
    let service = json!({"service": true, "owner_uuid": project.uuid});
    let request = fixture.submit(&fixture.bob, service).await;
    let find = async || {
        let key = TargetKey::Request(request.uuid);
        fixture.store.find_target(&key).await.unwrap().unwrap()
    };
    let target = find().await;
    assert_eq!(target.submitters, [fixture.bob.uuid]);
    // Taken back when one of these changes.
    for record in [project.uuid.to_string(), link.uuid.to_string(), request.uuid.to_string()] {
        assert!(target.records.contains(&record), "{record} {:?}", target.records);
    }
    fixture.store.delete_link(link.uuid).await.unwrap();
    assert!(find().await.submitters.is_empty());
    let read = fixture.grant(&fixture.bob.uuid, "can_read", &project.uuid).await;
    assert!(find().await.submitters.is_empty());
    fixture.grant(&fixture.bob.uuid, "can_write", &project.uuid).await;
    assert_eq!(find().await.submitters, [fixture.bob.uuid]);
    fixture.store.delete_link(read.uuid).await.unwrap();
    fixture.regroup(&project, json!({"is_trashed": true})).await;
    assert!(find().await.submitters.is_empty());
}

#[tokio::test]
async fn computed_permissions_are_filtered_ordered_and_read_page_by_page() {
    use model::filter::{ListQuery, parse_filters, parse_order, parse_select};
    let nested = nested().await;
    let Nested { fixture, outer, inner, request } = &nested;
    fixture.grant(&fixture.bob.uuid, "can_write", &inner.uuid).await;
    fixture.grant(&fixture.bob.uuid, "can_read", &request.uuid).await;
    let schema = &store::schema::COMPUTED_PERMISSIONS;
    let query = |filters: serde_json::Value, order: serde_json::Value| ListQuery {
        filters: parse_filters(schema, &filters).unwrap(),
        order: parse_order(schema, &order).unwrap(),
        limit: 1000,
        ..ListQuery::all(schema)
    };
    let list = async |query: &ListQuery| {
        let items = fixture.store.computed_permissions(query).await.unwrap();
        items.iter().map(|item| json!(item)).collect::<Vec<_>>()
    };
    let of = |user: &User, target: &str, level: &str| json!({"user_uuid": user.uuid, "target_uuid": target, "perm_level": level});
    // The project gives more than the link to what is in it.
    let targets = json!([["target_uuid", "in", [outer.uuid, inner.uuid, request.uuid]]]);
    let mut expected = vec![
        of(&fixture.ada, outer.uuid.as_str(), "can_manage"),
        of(&fixture.ada, inner.uuid.as_str(), "can_manage"),
        of(&fixture.bob, inner.uuid.as_str(), "can_write"),
        of(&fixture.bob, request.uuid.as_str(), "can_write"),
    ];
    expected.sort_by_key(|item| (item["user_uuid"].to_string(), item["target_uuid"].to_string()));
    assert_eq!(list(&query(targets.clone(), json!([]))).await, expected);
    let mut by_target = expected.clone();
    by_target.sort_by_key(|item| (item["target_uuid"].to_string(), item["user_uuid"].to_string()));
    by_target.reverse();
    let backwards = json!(["target_uuid desc", "user_uuid desc"]);
    assert_eq!(list(&query(targets.clone(), backwards)).await, by_target);
    let all = list(&query(json!([]), json!([]))).await;
    assert!(all.len() > 10, "{all:?}");
    // As the SDK goes on: behind the last entry, then with the next user.
    let mut read = Vec::new();
    let mut filters = json!([]);
    loop {
        let page = ListQuery { limit: 2, ..query(filters.clone(), json!([])) };
        let items = list(&page).await;
        match (items.last(), read.last()) {
            (Some(last), _) => {
                let (user, target) = (&last["user_uuid"], &last["target_uuid"]);
                filters = json!([["user_uuid", "=", user], ["target_uuid", ">", target]]);
            }
            (None, Some(last)) if filters.as_array().unwrap().len() == 2 => {
                let last: &serde_json::Value = last;
                filters = json!([["user_uuid", ">", last["user_uuid"]]]);
            }
            (None, _) => break,
        }
        read.extend(items);
    }
    assert_eq!(read, all);
    let distinct = ListQuery {
        distinct: true,
        select: parse_select(schema, &json!(["perm_level"])).unwrap(),
        ..query(json!([["user_uuid", "=", fixture.bob.uuid]]), json!(["perm_level"]))
    };
    let levels = list(&distinct).await;
    let levels: Vec<_> = levels.iter().map(|item| item["perm_level"].as_str().unwrap()).collect();
    assert_eq!(levels, ["can_manage", "can_read", "can_write"]);
    let nothing = ListQuery { select: Some(Vec::new()), limit: 2, ..query(json!([]), json!([])) };
    assert_eq!(list(&nothing).await, [json!({}), json!({})]);
}
