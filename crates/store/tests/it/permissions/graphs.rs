//! Random small graphs of users, roles, projects, what these hold, and links: what the queries answer is what a naive model says.

use std::collections::{BTreeMap, BTreeSet};

use model::filter::{self, ListQuery};
use model::{Level, User, Workflow};
use proptest::prelude::*;
use serde_json::json;
use store::{CollectionContent, NewCollection, Reader, Resource};

use crate::fixture::Fixture;

const N_USERS: usize = 3;
const N_ROLES: usize = 3;
const N_PROJECTS: usize = 4;
const N_REQUESTS: usize = 3;

/// Owners are numbers into users and the projects made before; links go between numbers of nodes.
#[derive(Debug, Clone)]
struct Graph {
    owners_of_projects: Vec<usize>,
    owners_of_requests: Vec<usize>,
    links: Vec<(usize, usize, usize)>,
    trashed: Vec<bool>,
    frozen: Vec<bool>,
}

fn graphs() -> impl Strategy<Value = Graph> {
    let owner = 0..N_USERS + N_PROJECTS;
    let tail = 0..N_USERS + N_ROLES;
    let head = 0..N_USERS + N_ROLES + N_PROJECTS + N_REQUESTS;
    let rarely = || prop::collection::vec(prop::bool::weighted(0.15), N_PROJECTS);
    (
        prop::collection::vec(owner.clone(), N_PROJECTS),
        prop::collection::vec(owner, N_REQUESTS),
        prop::collection::vec((tail, 0..3_usize, head), 0..10),
        rarely(),
        rarely(),
    )
        .prop_map(|(owners_of_projects, owners_of_requests, links, trashed, frozen)| Graph {
            owners_of_projects,
            owners_of_requests,
            links,
            trashed,
            frozen,
        })
}

/// The graph with identifiers instead of numbers.
#[derive(Debug, Default)]
struct World {
    users: Vec<User>,
    roles: Vec<String>,
    projects: Vec<String>,
    requests: Vec<String>,
    owner: BTreeMap<String, String>,
    /// Permission links: identifier, tail, level, head.
    links: Vec<(String, String, Level, String)>,
    trashed: BTreeSet<String>,
    frozen: BTreeSet<String>,
}

async fn build(fixture: &Fixture, graph: &Graph) -> World {
    let mut world =
        World { users: vec![fixture.ada.clone(), fixture.bob.clone()], ..World::default() };
    world.users.push(fixture.user("eve").await);
    for number in 0..N_ROLES {
        let role = fixture.group(&fixture.ada, "role", json!({"name": format!("R{number}")})).await;
        let uuid = role.uuid.to_string();
        // Made with the role.
        for link in fixture.store.permissions_on(&uuid).await.unwrap() {
            world.note(&link);
        }
        world.roles.push(uuid);
    }
    let mut groups = Vec::new();
    for owner in &graph.owners_of_projects {
        let owner = world.owner_numbered(*owner);
        let project = fixture.group(&fixture.ada, "project", json!({"owner_uuid": owner})).await;
        world.owner.insert(project.uuid.to_string(), owner);
        world.projects.push(project.uuid.to_string());
        groups.push(project);
    }
    for owner in &graph.owners_of_requests {
        let owner = world.owner_numbered(*owner);
        let uuid = record(fixture, world.requests.len(), &owner).await;
        world.owner.insert(uuid.clone(), owner);
        world.requests.push(uuid);
    }
    for (tail, level, head) in &graph.links {
        let (tail, head) = (world.node(*tail), world.node(*head));
        let level = ["can_read", "can_write", "can_manage"][*level];
        let link = fixture.grant(&tail, level, &head).await;
        world.note(&link);
    }
    for (at, group) in groups.into_iter().enumerate() {
        let frozen = graph.frozen[at].then_some(fixture.ada.uuid);
        let changes = json!({"is_trashed": graph.trashed[at], "frozen_by_uuid": frozen});
        let uuid = group.uuid.to_string();
        if graph.trashed[at] {
            world.trashed.insert(uuid.clone());
        }
        if graph.frozen[at] {
            world.frozen.insert(uuid);
        }
        fixture.regroup(&group, changes).await;
    }
    world
}

/// A request, a collection or a workflow.
async fn record(fixture: &Fixture, number: usize, owner: &str) -> String {
    let by = fixture.ada.uuid;
    match number % 3 {
        0 => {
            let request = fixture.submit(&fixture.ada, json!({"owner_uuid": owner})).await;
            request.uuid.to_string()
        }
        1 => {
            let content = CollectionContent::parse("").unwrap();
            let new = NewCollection::named(owner, "", content);
            fixture.store.create_collection(new, by).await.unwrap().uuid.to_string()
        }
        _ => {
            let now = fixture.store.now();
            let workflow = Workflow {
                uuid: fixture.store.new_workflow_uuid().unwrap(),
                owner_uuid: owner.to_owned(),
                created_at: now,
                modified_at: now,
                modified_by_user_uuid: by,
                name: String::new(),
                description: None,
                definition: None,
                collection_uuid: None,
            };
            fixture.store.create_workflow(workflow, by).await.unwrap().uuid.to_string()
        }
    }
}

impl World {
    fn note(&mut self, link: &model::Link) {
        let (tail, head) = (link.tail_uuid.clone().unwrap(), link.head_uuid.clone().unwrap());
        let level = Level::of_link_name(&link.name).unwrap();
        self.links.push((link.uuid.to_string(), tail, level, head));
    }

    /// A user, or one of the projects that there are.
    fn owner_numbered(&self, number: usize) -> String {
        match number.checked_sub(N_USERS).and_then(|number| self.projects.get(number)) {
            Some(project) => project.clone(),
            None => self.users[number % N_USERS].uuid.to_string(),
        }
    }

    fn node(&self, number: usize) -> String {
        let users = self.users.iter().map(|user| user.uuid.to_string());
        let others = self.roles.iter().chain(&self.projects).chain(&self.requests).cloned();
        users.chain(others).nth(number).unwrap()
    }

    fn is_user(&self, uuid: &str) -> bool {
        self.users.iter().any(|user| user.uuid.as_str() == uuid)
    }

    /// The record and its owners.
    fn chain<'w>(&'w self, uuid: &'w str) -> Vec<&'w str> {
        let mut chain = vec![uuid];
        while let Some(owner) = chain.last().and_then(|uuid| self.owner.get(*uuid)) {
            chain.push(owner);
        }
        chain
    }

    fn is_hidden(&self, uuid: &str) -> bool {
        self.chain(uuid).iter().any(|uuid| self.trashed.contains(*uuid))
    }

    fn is_frozen(&self, uuid: &str) -> bool {
        self.chain(uuid).iter().any(|uuid| self.frozen.contains(*uuid))
    }

    /// What the user holds the rights of, and the records that links lead to.
    fn reached(&self, user: &User) -> (BTreeMap<String, Level>, BTreeMap<String, Level>) {
        let mut holds = BTreeMap::from([(user.uuid.to_string(), Level::Manage)]);
        let mut linked: BTreeMap<String, Level> = BTreeMap::new();
        let raise = |levels: &mut BTreeMap<String, Level>, uuid: &str, level: Level| {
            let known = levels.get(uuid).copied();
            if known.is_none_or(|known| known < level) {
                levels.insert(uuid.to_owned(), level);
                return true;
            }
            false
        };
        let mut news = true;
        while news {
            news = false;
            for project in &self.projects {
                if let Some(level) = holds.get(&self.owner[project]).copied() {
                    news |= raise(&mut holds, project, level);
                }
            }
            for (_, tail, level, head) in &self.links {
                let Some(held) = holds.get(tail).copied() else { continue };
                news |= raise(&mut linked, head, held.min(*level));
                if !self.is_user(head) || *level == Level::Manage {
                    news |= raise(&mut holds, head, held.min(*level));
                }
            }
        }
        (holds, linked)
    }

    /// What the user may do with a group or request.
    fn level(&self, user: &User, uuid: &str, include_trash: bool) -> Option<Level> {
        if self.is_hidden(uuid) && !include_trash {
            return None;
        }
        let (holds, linked) = self.reached(user);
        let by_owner = self.owner.get(uuid).and_then(|owner| holds.get(owner));
        let seen = self.roles.iter().any(|role| role == uuid).then_some(Level::Read);
        by_owner.into_iter().chain(linked.get(uuid)).copied().chain(seen).max()
    }

    fn sees_link(&self, user: &User, tail: &str, head: &str) -> bool {
        let user_uuid = user.uuid.as_str();
        if tail == user_uuid || head == user_uuid {
            return true;
        }
        let level = if self.is_user(head) {
            self.reached(user).1.get(head).copied()
        } else {
            self.level(user, head, false)
        };
        level == Some(Level::Manage)
    }
}

async fn listed(fixture: &Fixture, resource: Resource, reader: &Reader) -> BTreeSet<String> {
    let query = ListQuery { limit: 1000, ..ListQuery::all(resource.schema()) };
    let page = fixture.store.list(resource, &query, reader).await.unwrap();
    assert_eq!(page.available, i64::try_from(page.items.len()).ok());
    page.items.iter().map(|item| item["uuid"].as_str().unwrap().to_owned()).collect()
}

/// Compares all that the store says with the model.
async fn compare(graph: Graph) {
    let fixture = Fixture::in_memory().await;
    let world = build(&fixture, &graph).await;
    let administrator = Reader::new(world.users[0].uuid, true);
    let mut seen_by_all = BTreeSet::new();
    for resource in Resource::OWNED {
        seen_by_all.extend(listed(&fixture, *resource, &administrator).await);
    }
    for uuid in world.projects.iter().chain(&world.requests) {
        assert_eq!(seen_by_all.contains(uuid), !world.is_hidden(uuid), "{uuid} {world:#?}");
    }
    compare_computed(&fixture, &world).await;
    for user in &world.users {
        for include_trash in [false, true] {
            let reader = Reader { include_trash, ..Reader::new(user.uuid, false) };
            let groups: Vec<&String> = world.roles.iter().chain(&world.projects).collect();
            let mut lists = Vec::new();
            for resource in Resource::OWNED {
                lists.push(listed(&fixture, *resource, &reader).await);
            }
            for uuid in groups.iter().copied().chain(&world.requests) {
                let expected = world.level(user, uuid, include_trash);
                let rights = fixture.store.rights(&reader, uuid).await.unwrap();
                let told = format!("{} {uuid} {include_trash} {world:#?}", user.username);
                assert_eq!(rights.map(|rights| rights.level), expected, "{told}");
                let in_list = lists.iter().any(|list| list.contains(uuid));
                assert_eq!(in_list, expected.is_some(), "list {told}");
                if let Some(rights) = rights {
                    assert_eq!(rights.is_frozen, world.is_frozen(uuid), "frozen {told}");
                }
            }
            let uuids: Vec<&str> = groups.iter().map(|uuid| uuid.as_str()).collect();
            let rights = fixture.store.rights_on_groups(&reader, &uuids).await.unwrap();
            for uuid in &uuids {
                let level = rights.get(*uuid).map(|rights| rights.level);
                assert_eq!(
                    level,
                    world.level(user, uuid, true),
                    "{} {uuid} {world:#?}",
                    user.username
                );
            }
            compare_requests(&fixture, &world, &reader).await;
        }
        let reader = Reader::new(user.uuid, false);
        compare_logs(&fixture, &world, user).await;
        let links = listed(&fixture, Resource::Links, &reader).await;
        for (uuid, tail, _, head) in &world.links {
            let expected = world.sees_link(user, tail, head);
            let told = format!("link {tail} → {head} for {} {world:#?}", user.username);
            assert_eq!(links.contains(uuid), expected, "list {told}");
            let rights = fixture.store.rights(&reader, uuid).await.unwrap();
            assert_eq!(rights.is_some(), expected, "{told}");
        }
    }
}

/// What each user reaches is listed with what may be done with it, also in the trash; and nothing else is.
async fn compare_computed(fixture: &Fixture, world: &World) {
    let schema = &store::schema::COMPUTED_PERMISSIONS;
    let order = filter::parse_order(schema, &json!(["user_uuid", "target_uuid"])).unwrap();
    let query = ListQuery { limit: 1000, order, ..ListQuery::all(schema) };
    let items = fixture.store.computed_permissions(&query).await.unwrap();
    let text = |item: &model::JsonMap, name: &str| item[name].as_str().unwrap().to_owned();
    let pair = |item: &model::JsonMap| (text(item, "user_uuid"), text(item, "target_uuid"));
    let listed: BTreeMap<(String, String), String> =
        items.iter().map(|item| (pair(item), text(item, "perm_level"))).collect();
    assert!(items.iter().map(pair).eq(listed.keys().cloned()), "in order, each once");
    for user in &world.users {
        let (holds, linked) = world.reached(user);
        let users = world.users.iter().map(|user| user.uuid.to_string());
        let others = world.roles.iter().chain(&world.projects).chain(&world.requests).cloned();
        for target in users.chain(others) {
            let is_reached = holds.contains_key(&target) || linked.contains_key(&target);
            let level = match world.is_user(&target) {
                true if target == user.uuid.as_str() => Some(Level::Manage),
                true => linked.get(&target).copied(),
                false => world.level(user, &target, true),
            };
            let told = listed.get(&(user.uuid.to_string(), target.clone())).map(String::as_str);
            let expected = level.filter(|_| is_reached).map(Level::as_str);
            assert_eq!(told, expected, "computed {} {target} {world:#?}", user.username);
        }
    }
}

/// What is told of many requests at once is what is told of each.
async fn compare_requests(fixture: &Fixture, world: &World, reader: &Reader) {
    // Other records that something owns stand among them.
    let requests = world.requests.iter().map(String::as_str);
    let is_request = |uuid: &&str| Resource::of_uuid(uuid) == Some(Resource::ContainerRequests);
    let uuids: Vec<&str> = requests.filter(is_request).collect();
    for reader in [*reader, Reader { is_admin: true, ..*reader }] {
        let rights = fixture.store.rights_on_requests(&reader, &uuids).await.unwrap();
        for uuid in &uuids {
            let alone = fixture.store.rights(&reader, uuid).await.unwrap();
            assert_eq!(rights.get(*uuid).copied(), alone, "{reader:?} {uuid} {world:#?}");
        }
    }
}

/// Of what belongs to others, entries are seen where the record is; also in the trash, where a link leads into it.
async fn compare_logs(fixture: &Fixture, world: &World, user: &User) {
    let schema = Resource::Logs.schema();
    let query = ListQuery { limit: 1000, ..ListQuery::all(schema) };
    let page = fixture.store.list(Resource::Logs, &query, &Reader::new(user.uuid, false)).await;
    let page = page.unwrap();
    let told: BTreeSet<&str> =
        page.items.iter().filter_map(|entry| entry["object_uuid"].as_str()).collect();
    for uuid in world.projects.iter().chain(&world.requests) {
        let seen = world.level(user, uuid, false).is_some();
        let at_all = world.level(user, uuid, true).is_some();
        let is_told = told.contains(uuid.as_str());
        assert!(is_told || !seen, "{} is not told of {uuid} {world:#?}", user.username);
        assert!(at_all || !is_told, "{} is told of {uuid} {world:#?}", user.username);
    }
    for entry in &page.items {
        let (uuid, object) = (entry["uuid"].as_str().unwrap(), entry["object_uuid"].as_str());
        let reader = Reader::new(user.uuid, false);
        assert!(fixture.store.get(Resource::Logs, uuid, &reader).await.unwrap().is_some());
        let is_others_account = object.is_some_and(|object| {
            matches!(Resource::of_uuid(object), Some(Resource::Tokens | Resource::Users))
                && object != user.uuid.as_str()
        });
        let is_managed = object.is_some_and(|object| world.reached(user).1.contains_key(object));
        assert!(!is_others_account || is_managed, "{entry:?}");
    }
}

/// A server takes a second to make a database for each.
fn n_cases() -> u32 {
    if std::env::var_os("WHARF_TEST_POSTGRES").is_some() { 3 } else { 48 }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: n_cases(), max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn the_queries_answer_as_the_model_does(graph in graphs()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(compare(graph));
    }
}
