//! Host names over the wire (SECURITY rows 24 and 45).

use serde_json::{Value, json};

use crate::fixture::Fixture;

const PATH: &str = "/arvados/v1/links";

fn hostname(name: &str, head: &Value) -> Value {
    json!({"link": {"link_class": "hostname", "name": name, "head_uuid": head, "properties": {"port": 80}}})
}

#[tokio::test]
async fn t24_of_a_hundred_names_the_bad_ones_are_refused() {
    let fixture = Fixture::new().await;
    let made = fixture.service(&fixture.ada).await;
    let uuid = made["uuid"].as_str().unwrap();
    let mut bad: Vec<String> = [
        "",
        " ",
        "-",
        "a-",
        "-a",
        "a.b",
        "a_b",
        "a b",
        "ä",
        "xn--80ak6aa92e",
        "12345",
        "login",
        "LOGIN",
        "l0gin",
        "log-in",
        "api",
        "www",
        "wharf",
        "admin",
        "adm1n",
        "a/b",
        "a:80",
        "a%41",
        "a\u{0}b",
        "*",
        "<script>",
        "javascript:alert(1)",
        "\u{430}pi",
        "a\n",
        "localhost",
        "mail",
    ]
    .map(str::to_owned)
    .to_vec();
    bad.push(uuid.to_owned());
    bad.push(format!("{uuid}-80"));
    bad.push(uuid.to_ascii_uppercase());
    bad.push("a".repeat(64));
    let good: Vec<String> = (0..100 - bad.len()).map(|n| format!("name-{n}")).collect();
    for name in &bad {
        let refused =
            fixture.post(&fixture.ada, PATH, hostname(name, &made["uuid"])).await.refused(422);
        assert!(refused.starts_with("name "), "{name:?}: {refused}");
    }
    for name in &good {
        fixture.post(&fixture.ada, PATH, hostname(name, &made["uuid"])).await.ok();
    }
    assert_eq!(fixture.get(&fixture.ada, PATH).await.ok()["items_available"], good.len());
}

#[tokio::test]
async fn a_name_is_lower_cased_and_belongs_to_one_link_of_either_class() {
    let fixture = Fixture::new().await;
    let made = fixture.service(&fixture.ada).await;
    let link = fixture.post(&fixture.ada, PATH, hostname("JupyTer", &made["uuid"])).await.ok();
    assert_eq!((&link["name"], &link["kind"]), (&json!("jupyter"), &json!("arvados#link")));
    assert_eq!(link["head_kind"], "arvados#containerRequest");
    let mut again = hostname("jupyter", &made["uuid"]);
    again["link"]["link_class"] = "published_port".into();
    let words = fixture.post(&fixture.ada, PATH, again.clone()).await.refused(422);
    // Whose it is, is said to who may see that person.
    let taken = "name: the host name \"jupyter\" is taken";
    assert!(words.starts_with(&format!("{taken}: it belongs to ")), "{words}");
    let path = format!("{PATH}/{}", link["uuid"].as_str().unwrap());
    fixture.delete(&fixture.bob, &path).await.refused(404);
    let moved = json!({"properties": {"port": "8080"}});
    assert_eq!(fixture.put(&fixture.ada, &path, moved).await.ok()["properties"]["port"], 8080);
    fixture.delete(&fixture.ada, &path).await.ok();
    fixture.post(&fixture.ada, PATH, again).await.ok();
}

#[tokio::test]
async fn every_bad_attribute_of_a_link_is_named() {
    let fixture = Fixture::new().await;
    let made = fixture.service(&fixture.ada).await;
    for (over, words) in [
        (json!({"link_class": ""}), "link_class must not be empty"),
        (json!({"head_uuid": null}), "head_uuid must be a container request that you may write"),
        (json!({"head_uuid": "x"}), "head_uuid is no identifier"),
        (
            json!({"head_uuid": "wharf-dz642-000000000000000"}),
            "head_uuid must be a container request",
        ),
        (json!({"properties": {}}), "properties.port must be a port"),
        (json!({"properties": {"port": 0}}), "properties.port must be a port"),
        (json!({"properties": {"port": 70000}}), "properties.port must be a port"),
        (json!({"properties": {"port": "080"}}), "properties.port must be a port"),
        (json!({"properties": []}), "properties must be an object"),
        (json!({"name": 1}), "name must be text"),
        (json!({"color": "red"}), "color is no attribute of links"),
    ] {
        let mut link = hostname("lab", &made["uuid"])["link"].clone();
        for (name, value) in over.as_object().unwrap() {
            link[name] = value.clone();
        }
        let refused = fixture.post(&fixture.ada, PATH, link).await.refused(422);
        assert!(refused.contains(words), "{over}: {refused}");
    }
    let words = fixture.post(&fixture.bob, PATH, hostname("lab", &made["uuid"])).await.refused(422);
    assert!(words.contains("head_uuid must be a container request that you may write"), "{words}");
}

#[tokio::test]
async fn tags_with_empty_names_are_fine_on_what_one_sees() {
    let fixture = Fixture::new().await;
    let made = fixture.service(&fixture.ada).await;
    let tag = json!({"link": {"link_class": "tag", "name": "", "head_uuid": made["uuid"]}});
    fixture.post(&fixture.ada, PATH, tag.clone()).await.ok();
    fixture.post(&fixture.ada, PATH, tag.clone()).await.ok();
    let words = fixture.post(&fixture.bob, PATH, tag).await.refused(422);
    assert!(words.contains("head_uuid is nothing that you may see"), "{words}");
}

#[tokio::test]
async fn t45_text_that_looks_like_a_page_comes_back_as_json_text() {
    let fixture = Fixture::new().await;
    let evil = "<img src=x onerror=alert(1)>";
    let body = crate::fixture::attributes(
        json!({"name": evil, "description": evil, "properties": {evil: evil}}),
    );
    let answer = fixture.post(&fixture.ada, "/arvados/v1/container_requests", body).await;
    assert_eq!(answer.ok()["name"], evil);
    assert_eq!(answer.headers["content-type"], "application/json");
    let ports = json!({"published_ports": {"80": {"access": "public", "label": "x", "initial_path": "javascript:alert(1)"}}});
    let body = crate::fixture::attributes(ports);
    let made = fixture.post(&fixture.ada, "/arvados/v1/container_requests", body).await.ok();
    // An initial path is only ever shown behind a base address.
    assert_eq!(
        model::initial_url(
            "http://h/",
            made["published_ports"]["80"]["initial_path"].as_str().unwrap()
        ),
        "http://h/javascript:alert(1)"
    );
}
