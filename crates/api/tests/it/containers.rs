//! Containers over the API: their own programs, dispatchers that are not ours, logs as files.

use http::Method;
use model::{ApiToken, ContainerUuid};
use serde_json::{Value, json};

use crate::fixture::{Fixture, Person, STDOUT, request};

/// A committed batch request of Ada's and its container.
async fn submitted(fixture: &Fixture, more: Value) -> (String, ContainerUuid) {
    let mut attributes = json!({
        "state": "Committed", "priority": 500, "command": ["run"], "container_image": "demo",
        "output_path": "/out", "mounts": {"/out": {"kind": "tmp"}}, "use_existing": false,
        "runtime_constraints": {"ram": 1, "vcpus": 1, "API": true},
    });
    for (name, value) in more.as_object().into_iter().flatten() {
        attributes[name] = value.clone();
    }
    let path = "/arvados/v1/container_requests";
    let made = fixture.post(&fixture.ada, path, attributes).await.ok();
    let uuid = made["container_uuid"].as_str().expect("it has a container");
    (made["uuid"].as_str().unwrap().to_owned(), ContainerUuid::parse(uuid).unwrap())
}

/// Ada by the token of her running container.
async fn program(fixture: &Fixture, container: ContainerUuid) -> Person {
    let store = &fixture.store;
    assert!(store.lock_container(container, "me").await.unwrap());
    assert!(store.start_container(container, store.now(), Default::default()).await.unwrap());
    let token = store.container_token(container).await.unwrap().expect("it runs");
    assert!(token.text.ends_with(container.as_str()), "the fourth part names the container");
    Person { user: fixture.ada.user.clone(), token: ApiToken::parse(&token.text).unwrap() }
}

#[tokio::test]
async fn a_program_finds_its_container_and_tells_how_it_is() {
    let fixture = Fixture::new().await;
    let current = "/arvados/v1/containers/current";
    let outside = fixture.get(&fixture.ada, current).await.refused(404);
    assert_eq!(outside, "Token is not associated with a container.");
    let (_, container) = submitted(&fixture, json!({})).await;
    let program = program(&fixture, container).await;
    assert_eq!(fixture.get(&program, current).await.ok()["uuid"], container.as_str());
    let path = format!("/arvados/v1/containers/{container}");
    let status = json!({"container": {"runtime_status": {"activity": "step 1"}}});
    let told = fixture.put(&program, &path, status).await.ok();
    assert_eq!(told["runtime_status"]["activity"], "step 1");
    let words = fixture.put(&program, &path, json!({"priority": 1})).await.refused(422);
    assert!(words.starts_with("priority cannot be set by a container's own program"), "{words}");
    let words = fixture.put(&fixture.ada, &path, json!({"progress": 0.5})).await.refused(403);
    assert!(words.contains("their own programs may"), "{words}");
    let hash = "1f4b0bc7583c2a7f9102c395f4ffc5e3+45";
    let words = fixture.put(&program, &path, json!({"output": hash})).await.refused(422);
    assert!(words.contains("is no collection that you may read"), "{words}");
}

#[tokio::test]
async fn what_a_program_asks_for_is_its_containers_and_ends_with_it() {
    let fixture = Fixture::new().await;
    let (_, parent) = submitted(&fixture, json!({"priority": 300})).await;
    let program = program(&fixture, parent).await;
    let child = json!({
        "state": "Committed", "priority": 1, "command": ["step"], "container_image": "demo",
        "output_path": "/out", "mounts": {"/out": {"kind": "tmp"}}, "use_existing": false,
        "runtime_constraints": {"ram": 1, "vcpus": 1},
    });
    let made = fixture.post(&program, "/arvados/v1/container_requests", child).await.ok();
    assert_eq!(made["requesting_container_uuid"], parent.as_str());
    assert_eq!(made["priority"], 300, "that of what it works for");
    let parents = fixture.store.container(parent).await.unwrap().unwrap();
    let child = ContainerUuid::parse(made["container_uuid"].as_str().unwrap()).unwrap();
    let childs = fixture.store.container(child).await.unwrap().unwrap();
    assert_eq!(childs.priority, parents.priority);
    let end = model::ContainerEnd {
        outcome: model::Outcome::Exited { code: 0 },
        finished_at: fixture.store.now(),
        reason: String::new(),
        oom_killed: false,
    };
    fixture.store.end_container(parent, &end, store::Leavings::default()).await.unwrap();
    let path = format!("/arvados/v1/container_requests/{}", made["uuid"].as_str().unwrap());
    let left = fixture.get(&fixture.ada, &path).await.ok();
    assert_eq!((&left["state"], &left["priority"]), (&json!("Final"), &json!(0)));
    // The token went with the container.
    assert_eq!(fixture.get(&program, "/arvados/v1/users/current").await.status, 401);
}

#[tokio::test]
async fn a_dispatcher_locks_gets_the_token_and_unlocks() {
    let fixture = Fixture::new().await;
    let secrets = json!({"secret_mounts": {"/s": {"kind": "text", "content": "sesame"}}});
    let (_, container) = submitted(&fixture, secrets).await;
    let at = |verb: &str| format!("/arvados/v1/containers/{container}/{verb}");
    assert_eq!(fixture.post(&fixture.ada, &at("lock"), json!({})).await.status, 403);
    let words = fixture.get(&fixture.admin, &at("auth")).await.refused(403);
    assert_eq!(words, "the container is not locked by your token");
    let locked = fixture.post(&fixture.admin, &at("lock"), json!({})).await.ok();
    assert_eq!((&locked["state"], &locked["lock_count"]), (&json!("Locked"), &json!(1)));
    let words = fixture.post(&fixture.admin, &at("lock"), json!({})).await.refused(422);
    assert!(words.contains("cannot be locked: it is Locked"), "{words}");
    let auth = fixture.get(&fixture.admin, &at("auth")).await.ok();
    let token =
        format!("v2/{}/{}", auth["uuid"].as_str().unwrap(), auth["api_token"].as_str().unwrap());
    let found = fixture.store.authenticate(&ApiToken::parse(&token).unwrap()).await.unwrap();
    assert_eq!(found.unwrap().user.uuid, fixture.ada.user.uuid);
    let mounts = fixture.get(&fixture.admin, &at("secret_mounts")).await.ok();
    assert_eq!(mounts["secret_mounts"]["/s"]["content"], "sesame");
    let unlocked = fixture.post(&fixture.admin, &at("unlock"), json!({})).await.ok();
    assert_eq!(unlocked["state"], "Queued");
    let found = fixture.store.authenticate(&ApiToken::parse(&token).unwrap()).await.unwrap();
    assert!(found.is_none(), "a new lock gives a new token");
}

#[tokio::test]
async fn a_request_may_bring_its_own_token() {
    let fixture = Fixture::new().await;
    let own = fixture.ada.token.expose();
    let (_, container) = submitted(&fixture, json!({"runtime_token": own})).await;
    assert!(fixture.store.lock_container(container, "me").await.unwrap());
    let token = fixture.store.container_token(container).await.unwrap().unwrap();
    assert_eq!(token.text, format!("{own}/{container}"));
    let inside = ApiToken::parse(&token.text).unwrap();
    let found = fixture.store.container_of_token(&inside).await.unwrap();
    assert_eq!(found.map(|it| it.uuid), Some(container));
    assert!(fixture.store.container_of_token(&fixture.ada.token).await.unwrap().is_none());
    let bobs = fixture.bob.token.expose();
    let path = "/arvados/v1/container_requests";
    let attributes = json!({
        "state": "Committed", "priority": 1, "command": ["x"], "container_image": "demo",
        "output_path": "/out", "mounts": {"/out": {"kind": "tmp"}},
        "runtime_constraints": {"ram": 1, "vcpus": 1}, "runtime_token": bobs,
    });
    let words = fixture.post(&fixture.ada, path, attributes).await.refused(422);
    assert_eq!(words, "runtime_token is another user's");
}

#[tokio::test]
async fn logs_are_files_over_webdav() {
    let fixture = Fixture::new().await;
    let (request_uuid, container) = submitted(&fixture, json!({})).await;
    let folder = format!("/arvados/v1/container_requests/{request_uuid}/log/{container}");
    let propfind = || Method::from_bytes(b"PROPFIND").unwrap();
    let listed = fixture.call(propfind(), &fixture.ada, &folder, Value::Null).await;
    assert_eq!(listed.status, 207);
    let folder_first =
        format!("<D:multistatus xmlns:D=\"DAV:\"><D:response><D:href>{folder}/</D:href>");
    assert!(listed.text.contains(&folder_first), "{}", listed.text);
    let size = format!("<D:getcontentlength>{}</D:getcontentlength>", STDOUT.len());
    assert!(
        listed.text.contains("<D:displayname>stdout.txt</D:displayname>")
            && listed.text.contains(&size)
    );
    let file = format!("{folder}/stdout.txt");
    let whole = fixture.get(&fixture.ada, &file).await;
    assert_eq!((whole.status.as_u16(), whole.text.as_str()), (200, STDOUT));
    let mut part = request(Method::GET, &file, Some(&fixture.ada.token), String::new());
    part.headers_mut().insert("range", "bytes=0-9".parse().unwrap());
    let part = fixture.exchange(part).await;
    assert_eq!((part.status.as_u16(), part.text.as_str()), (206, &STDOUT[..10]));
    let told = format!("bytes 0-9/{}", STDOUT.len());
    assert_eq!(part.headers["content-range"], told.as_str());
    let by_container = format!("/arvados/v1/containers/{container}/log/stdout.txt");
    assert_eq!(fixture.get(&fixture.ada, &by_container).await.text, STDOUT);
    for (person, path) in [
        (&fixture.bob, file.as_str()),
        (&fixture.ada, &format!("{folder}/supervisor.txt")),
        (&fixture.ada, &format!("/arvados/v1/container_requests/{request_uuid}/log/null")),
    ] {
        assert_eq!(fixture.get(person, path).await.status, 404, "{path}");
    }
}
