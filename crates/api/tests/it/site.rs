//! What clients and pages ask of the site itself: discovery, config, empty lists, cross-origin rules, errors.

use axum::body::Body;
use http::uri::Scheme;
use http::{Method, Request};
use serde_json::{Value, json};

use crate::fixture::{Fixture, request};

const DISCOVERY: &str = "/discovery/v1/apis/arvados/v1/rest";

fn over_tls(path: &str) -> Request<Body> {
    let mut request = Request::builder().uri(path).header("host", "Wharf.test:8443");
    request.extensions_mut().unwrap().insert(Scheme::HTTPS);
    request.body(Body::empty()).unwrap()
}

#[tokio::test]
async fn documents_lead_back_to_where_they_were_asked_for() {
    let fixture = Fixture::new().await;
    let answer = fixture.exchange(over_tls(DISCOVERY)).await;
    assert_eq!(answer.headers["cache-control"], "no-cache");
    let document = answer.ok();
    assert_eq!(document["rootUrl"], "https://wharf.test:8443/");
    assert_eq!(document["websocketUrl"], "wss://wharf.test:8443/websocket");
    let config = fixture.exchange(over_tls("/arvados/v1/config")).await.ok();
    let services = &config["Services"];
    assert_eq!(services["Controller"]["ExternalURL"], "https://wharf.test:8443/");
    assert_eq!(services["Websocket"]["ExternalURL"], "wss://wharf.test:8443/websocket");
    // Keys without which some page is blank.
    for name in ["Controller", "Workbench1", "Workbench2", "Websocket", "WebDAV", "WebDAVDownload"]
    {
        assert!(services[name]["ExternalURL"].is_string(), "{name}");
    }
    for name in ["RemoteClusters", "Volumes", "Workbench", "Login", "Collections", "Containers"] {
        assert!(config[name].is_object(), "{name}");
    }
    assert!(config["Workbench"]["UserProfileFormFields"].is_object());
    let plain = fixture.exchange(request(Method::GET, DISCOVERY, None, "")).await.ok();
    assert_eq!(plain["rootUrl"], "http://localhost:8000/");
}

#[tokio::test]
async fn what_there_is_nothing_of_is_an_empty_list() {
    let fixture = Fixture::new().await;
    for name in [
        "virtual_machines",
        "virtual_machines/get_all_logins",
        "authorized_keys",
        "credentials",
        "user_agreements",
        "workflows?limit=200",
    ] {
        let path = format!("/arvados/v1/{name}");
        let list = fixture.get(&fixture.ada, &path).await.ok();
        assert_eq!((&list["items"], &list["items_available"]), (&json!([]), &json!(0)), "{name}");
        fixture.exchange(request(Method::GET, &path, None, "")).await.refused(401);
    }
}

#[tokio::test]
async fn pages_of_other_origins_may_send_what_they_send() {
    let fixture = Fixture::new().await;
    let ask = Request::builder()
        .method(Method::OPTIONS)
        .uri("/arvados/v1/container_requests/x/log/y")
        .header("origin", "https://workbench.example.com")
        .header("access-control-request-method", "PROPFIND")
        .header("access-control-request-headers", "authorization,cache-control,depth");
    let answer = fixture.exchange(ask.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status, 200);
    let header = |name: &str| answer.headers[name].to_str().unwrap().to_ascii_lowercase();
    assert_eq!(header("access-control-allow-origin"), "*");
    assert!(header("access-control-allow-methods").contains("propfind"));
    for name in ["authorization", "cache-control", "content-type", "depth", "range"] {
        assert!(header("access-control-allow-headers").contains(name), "{name}");
    }
    let refused =
        fixture.exchange(request(Method::GET, "/arvados/v1/users/current", None, "")).await;
    assert_eq!(refused.headers["access-control-allow-origin"], "*");
}

#[tokio::test]
async fn errors_carry_a_token_and_the_id_of_the_request() {
    let fixture = Fixture::new().await;
    let mut ask = request(Method::GET, "/arvados/v1/links/x", Some(&fixture.ada.token), "");
    ask.headers_mut().insert("x-request-id", "req-12345678901234567890".parse().unwrap());
    let answer = fixture.exchange(ask).await;
    assert_eq!(answer.headers["x-request-id"], "req-12345678901234567890");
    let body = answer.json();
    let text = body["errors"][0].as_str().unwrap();
    assert!(text.ends_with(" (req-12345678901234567890)"), "{text}");
    let token = body["error_token"].as_str().unwrap();
    let (time, digits) = token.split_once('+').unwrap();
    assert!(time.parse::<u64>().is_ok() && digits.len() == 8, "{token}");
}

#[tokio::test]
async fn an_address_that_cannot_be_is_refused_in_the_same_form() {
    let fixture = Fixture::new().await;
    let path = fixture.get(&fixture.ada, "/arvados/v1/users/%FF").await.refused(404);
    assert!(path.contains("UTF-8"), "{path}");
    let query = fixture.get(&fixture.ada, "/wharf/v1/invitations").await.refused(422);
    assert!(query.contains("request_uuid"), "{query}");
}

#[tokio::test]
async fn workflows_are_kept_as_they_are_sent() {
    let fixture = Fixture::new().await;
    let path = "/arvados/v1/workflows";
    let body = json!({"workflow": {"name": "w", "definition": "{\"cwlVersion\": \"v1.2\"}"}});
    let made = fixture.post(&fixture.ada, path, body).await.ok();
    assert_eq!(made["kind"], "arvados#workflow");
    assert_eq!(made["owner_uuid"], fixture.ada.user.uuid.as_str());
    let own = format!("{path}/{}", made["uuid"].as_str().unwrap());
    // A fetched record may be sent back whole, as copies are made.
    let copy: Value = fixture.post(&fixture.ada, path, made.clone()).await.ok();
    assert_ne!(copy["uuid"], made["uuid"]);
    assert_eq!(copy["definition"], made["definition"]);
    let changed = fixture.put(&fixture.ada, &own, json!({"description": "d"})).await.ok();
    assert_eq!((&changed["description"], &changed["name"]), (&json!("d"), &json!("w")));
    fixture.put(&fixture.bob, &own, json!({"name": "x"})).await.refused(404);
    assert_eq!(fixture.get(&fixture.bob, path).await.ok()["items"], json!([]));
    let words = fixture.put(&fixture.ada, &own, json!({"nme": "x"})).await.refused(422);
    assert!(words.contains("nme is no attribute"), "{words}");
    fixture.delete(&fixture.ada, &own).await.ok();
    fixture.get(&fixture.ada, &own).await.refused(404);
}
