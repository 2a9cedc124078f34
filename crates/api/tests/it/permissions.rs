//! Permission links over the wire: who gives what, who sees it; users' own settings.

use serde_json::{Value, json};

use crate::fixture::Fixture;

const LINKS: &str = "/arvados/v1/links";

#[tokio::test]
async fn who_manages_gives_and_takes_and_lists() {
    let fixture = Fixture::new().await;
    let project = fixture.project(&fixture.ada, json!({})).await;
    let bob = fixture.bob.user.uuid.to_string();
    let path = format!("/arvados/v1/permissions/{project}");
    fixture.grant(&fixture.bob, &bob, "can_manage", &project).await.refused(422);
    fixture.get(&fixture.bob, &path).await.refused(404);
    let link = fixture.grant(&fixture.ada, &bob, "can_write", &project).await.ok();
    assert_eq!(link["owner_uuid"], "wharf-tpzed-000000000000000");
    assert_eq!(link["head_kind"], "arvados#group");
    assert_eq!(link["tail_kind"], "arvados#user");
    // To write is not to manage.
    fixture.grant(&fixture.bob, &bob, "can_manage", &project).await.refused(403);
    fixture.get(&fixture.bob, &path).await.refused(403);
    let one = format!("{LINKS}/{}", link["uuid"].as_str().unwrap());
    assert_eq!(fixture.get(&fixture.bob, &one).await.ok()["name"], "can_write");
    fixture.put(&fixture.bob, &one, json!({"name": "can_manage"})).await.refused(403);
    fixture.delete(&fixture.bob, &one).await.refused(403);
    let list = fixture.get(&fixture.ada, &path).await.ok();
    assert_eq!((&list["items_available"], &list["items"][0]["uuid"]), (&json!(1), &link["uuid"]));
    assert_eq!(list["kind"], "arvados#linkList");
    fixture.put(&fixture.ada, &one, json!({"name": "can_manage"})).await.ok();
    fixture.get(&fixture.bob, &path).await.ok();
    fixture.delete(&fixture.ada, &one).await.ok();
    fixture.get(&fixture.bob, &path).await.refused(404);
    fixture.get(&fixture.bob, &one).await.refused(404);
}

#[tokio::test]
async fn every_bad_permission_link_is_refused() {
    let fixture = Fixture::new().await;
    let project = fixture.project(&fixture.ada, json!({})).await;
    let bob = fixture.bob.user.uuid.to_string();
    let ada = fixture.ada.user.uuid.to_string();
    for (tail, name, head, status, words) in [
        (bob.as_str(), "can_fly", project.as_str(), 422, "name must be can_read"),
        (project.as_str(), "can_read", project.as_str(), 422, "tail_uuid must be a user or a role"),
        ("wharf-tpzed-00000000000nobo", "can_read", &project, 422, "tail_uuid must be"),
        (&bob, "can_read", "wharf-j7d0g-00000000000nobo", 422, "head_uuid is nothing"),
        (&bob, "can_read", "wharf-dz642-00000000000nobo", 422, "head_uuid must be a user"),
        (&bob, "can_manage", &ada, 403, "needs can_manage"),
        (&ada, "can_manage", &bob, 403, "needs can_manage"),
        (&bob, "can_read", "wharf-j7d0g-fffffffffffffff", 403, "needs can_manage"),
    ] {
        let refused = fixture.grant(&fixture.ada, tail, name, head).await.refused(status);
        assert!(refused.contains(words), "{tail} {name} {head}: {refused}");
    }
    fixture.grant(&fixture.admin, &ada, "can_manage", &bob).await.ok();
}

#[tokio::test]
async fn star_links_are_found_by_the_kinds_of_their_ends() {
    let fixture = Fixture::new().await;
    let project = fixture.project(&fixture.ada, json!({})).await;
    let ada = fixture.ada.user.uuid.to_string();
    let star = json!({"link_class": "star", "name": "", "tail_uuid": ada, "head_uuid": project});
    fixture.post(&fixture.ada, LINKS, star).await.ok();
    for (filters, expected) in [
        (json!([["link_class", "=", "star"], ["tail_kind", "=", "arvados#user"]]), 1),
        (json!([["link_class", "=", "star"], ["head_kind", "=", "arvados#user"]]), 0),
        (json!([["head_uuid", "is_a", ["arvados#group", "arvados#collection"]]]), 1),
        (json!([["head_uuid", "in", [""]]]), 0),
        (json!([["head_uuid", "in", ["", project]]]), 1),
        (json!([["owner_uuid", "=", "wharf-j7d0g-publicfavorites"]]), 0),
    ] {
        let text: String =
            form_urlencoded::byte_serialize(filters.to_string().as_bytes()).collect();
        let list = fixture.get(&fixture.ada, &format!("{LINKS}?filters={text}")).await.ok();
        assert_eq!(list["items_available"], expected, "{filters}");
    }
}

#[tokio::test]
async fn a_user_keeps_own_settings_and_is_activated_by_administrators() {
    let fixture = Fixture::new().await;
    let path = format!("/arvados/v1/users/{}", fixture.ada.user.uuid);
    let mut whole = fixture.get(&fixture.ada, &path).await.ok();
    for (name, value) in [("can_write", true), ("can_manage", true), ("is_invited", true)] {
        assert_eq!(whole[name], value, "{name}");
    }
    assert_eq!(whole["writable_by"], json!(["wharf-tpzed-000000000000000", fixture.ada.user.uuid]));
    whole["prefs"] = json!({"wb": {"recentUuids": ["x"]}, "unknown": 1});
    let changed = fixture.put(&fixture.ada, &path, json!({"user": whole})).await.ok();
    assert_eq!(changed["prefs"]["wb"]["recentUuids"], json!(["x"]));
    let other = fixture.get(&fixture.bob, &path).await.ok();
    assert_eq!((&other["can_write"], &other["can_manage"]), (&json!(false), &json!(false)));
    fixture.post(&fixture.ada, &format!("{path}/activate"), Value::Null).await.ok();
    fixture.post(&fixture.bob, &format!("{path}/activate"), Value::Null).await.refused(403);
    fixture.post(&fixture.ada, &format!("{path}/unsetup"), Value::Null).await.refused(403);
    let gone = fixture.post(&fixture.admin, &format!("{path}/unsetup"), Value::Null).await.ok();
    assert_eq!(gone["is_active"], false);
    fixture.get(&fixture.ada, &path).await.refused(401);
    let setup = json!({"uuid": fixture.ada.user.uuid});
    fixture.post(&fixture.admin, "/arvados/v1/users/setup", setup).await.ok();
    fixture.get(&fixture.ada, &path).await.ok();
    let new = json!({"user": {"username": "eve", "email": "eve@example.com"}});
    let new = fixture.post(&fixture.admin, "/arvados/v1/users/setup", new).await.ok();
    assert_eq!(new["username"], "eve");
}

#[tokio::test]
async fn t43_who_may_not_open_a_port_does_not_see_the_secret_in_its_path() {
    let fixture = Fixture::new().await;
    let project = fixture.project(&fixture.ada, json!({})).await;
    let ports = json!({
        "80": {"access": "private", "label": "A", "initial_path": "lab?token=hush#frag"},
        "81": {"access": "public", "label": "B", "initial_path": "b?open=1"},
    });
    let body = json!({"owner_uuid": project, "published_ports": ports, "state": "Committed"});
    let body = crate::fixture::attributes(body);
    let made = fixture.post(&fixture.ada, "/arvados/v1/container_requests", body).await.ok();
    let bob = fixture.bob.user.uuid.to_string();
    fixture.grant(&fixture.ada, &bob, "can_read", &project).await.ok();
    let (request, container) = (made["uuid"].as_str(), made["container_uuid"].as_str());
    let paths = [
        format!("/arvados/v1/container_requests/{}", request.unwrap()),
        format!("/arvados/v1/containers/{}", container.unwrap()),
        "/arvados/v1/container_requests".to_owned(),
        "/arvados/v1/containers".to_owned(),
        format!("/arvados/v1/groups/{project}/contents?include=container_uuid"),
        "/arvados/v1/logs".to_owned(),
    ];
    for path in &paths {
        let seen = fixture.get(&fixture.bob, path).await;
        seen.ok();
        assert!(!seen.text.contains("hush") && !seen.text.contains("frag"), "{path}");
        assert!(seen.text.contains("\"lab\"") && seen.text.contains("b?open=1"), "{path}");
        let own = fixture.get(&fixture.ada, path).await;
        assert!(path.ends_with("logs") || own.text.contains("lab?token=hush#frag"), "{path}");
    }
    // Nor is it found out by asking.
    for filter in [r#"["published_ports.80","like","%hush%"]"#, r#"["any","like","%hush%"]"#] {
        let filters: String =
            form_urlencoded::byte_serialize(format!("[{filter}]").as_bytes()).collect();
        let asked = fixture.get(&fixture.bob, &format!("{}?filters={filters}", paths[2])).await;
        assert!(!asked.text.contains("notebook"), "{filter}: {}", asked.text);
    }
    // Who may write a request may have it whole, to send it back.
    fixture.grant(&fixture.ada, &bob, "can_write", &project).await.ok();
    assert!(fixture.get(&fixture.bob, &paths[0]).await.text.contains("hush"));
}

#[tokio::test]
async fn computed_permissions_are_for_administrators_without_offset_and_count() {
    let fixture = Fixture::new().await;
    let project = fixture.project(&fixture.ada, json!({})).await;
    let path = "/arvados/v1/computed_permissions";
    fixture.get(&fixture.ada, path).await.refused(403);
    let filters = format!("filters=%5B%5B%22target_uuid%22,%22=%22,%22{project}%22%5D%5D");
    let list = fixture.get(&fixture.admin, &format!("{path}?{filters}&count=none")).await.ok();
    assert_eq!(list["kind"], "arvados#computedPermissionList");
    let hers = json!({
        "user_uuid": fixture.ada.user.uuid, "target_uuid": project, "perm_level": "can_manage",
    });
    assert_eq!(list["items"], json!([hers]));
    assert!(list.get("items_available").is_none());
    for (parameter, words) in [
        ("offset=1", "offset must be 0"),
        ("count=exact", "count must be none"),
        ("select=%5B%22uuid%22%5D", "select"),
        ("order=uuid", "order"),
    ] {
        let refused =
            fixture.get(&fixture.admin, &format!("{path}?{parameter}")).await.refused(422);
        assert!(refused.starts_with(words), "{refused}");
    }
}
