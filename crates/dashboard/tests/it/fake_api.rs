//! An honest small twin of the API: the routes that the dashboard calls, with records in memory,
//! tokens that are checked, codes that work once, and events. It renders records with the model's
//! own types, so a field that changes there changes here.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use futures_util::{Stream, stream};
use model::metrics::{ContainerMetrics, RecentUsage};
use model::{ApiToken, Container, ContainerRequest, Link, User};
use serde_json::{Value, json};
use tokio::sync::broadcast;

/// What the fake knows.
#[derive(Clone)]
pub(crate) struct FakeApi {
    records: Arc<Mutex<Records>>,
    changed: broadcast::Sender<()>,
}

#[derive(Default)]
pub(crate) struct Records {
    pub(crate) requests: Vec<ContainerRequest>,
    pub(crate) containers: Vec<Container>,
    pub(crate) links: Vec<Link>,
    pub(crate) log: String,
    /// Valid tokens, whole text.
    pub(crate) tokens: Vec<String>,
    /// One-time sign-in codes that are still good.
    pub(crate) codes: Vec<String>,
    /// What the next hand-off answers instead of a good address.
    pub(crate) hand_off: Option<String>,
    /// What the sign-in provider is called, where there is one; and what comes of those who come back from it.
    pub(crate) provider: Option<&'static str>,
    pub(crate) admitted: Option<&'static str>,
    /// Every code that was to be changed for a session, with what came with it.
    pub(crate) finished: Vec<Value>,
    /// Every hand-off that was asked for.
    pub(crate) handed_off: Vec<Value>,
    /// Every token that was asked for.
    pub(crate) asked_tokens: Vec<Value>,
    /// What the next new request is refused with.
    pub(crate) refuse_request: Vec<String>,
    /// Attributes of requests that were made.
    pub(crate) made: Vec<Value>,
    /// Entries of the log of records.
    pub(crate) entries: Vec<Value>,
    pub(crate) collections: Vec<Value>,
    /// Files that were sent, by path.
    pub(crate) files: HashMap<String, Vec<u8>>,
    /// What was measured, and of what runs.
    pub(crate) metrics: Option<ContainerMetrics>,
    pub(crate) usage: Vec<RecentUsage>,
    pub(crate) invitations: Vec<Value>,
    /// What others opened to the user.
    pub(crate) opened: Vec<Value>,
    /// Whether the user is an ordinary one.
    pub(crate) is_ordinary: bool,
}

pub(crate) const TOKEN: &str =
    "v2/wharf-gj3su-000000000000001/0123456789abcdefghijklmnopqrstuvwxyz0123456789abcd";
pub(crate) const USER: &str = "wharf-tpzed-000000000000001";
pub(crate) const REQUEST: &str = "wharf-xvhdp-000000000000001";
pub(crate) const CONTAINER: &str = "wharf-dz642-000000000000001";
pub(crate) const TIME: &str = "2026-11-23T20:58:45.123456789Z";

type Answer = Result<Json<Value>, (StatusCode, Json<Value>)>;

fn refuse(status: StatusCode, words: &str) -> (StatusCode, Json<Value>) {
    (status, Json(json!({ "errors": [words] })))
}

impl FakeApi {
    pub(crate) fn new() -> Self {
        let records = Records { tokens: vec![TOKEN.to_owned()], ..Records::default() };
        Self { records: Arc::new(Mutex::new(records)), changed: broadcast::channel(16).0 }
    }

    pub(crate) fn records(&self) -> MutexGuard<'_, Records> {
        self.records.lock().unwrap()
    }

    /// Tells listeners that something changed.
    pub(crate) fn change(&self) {
        let _nobody_listens = self.changed.send(());
    }

    pub(crate) fn router(&self) -> Router {
        Router::new()
            .route("/arvados/v1/users/current", get(current_user))
            .route("/arvados/v1/users/authenticate", post(authenticate))
            .route("/arvados/v1/container_requests", get(list_requests).post(create_request))
            .route("/arvados/v1/container_requests/{uuid}", get(get_request).patch(patch_request))
            .route("/arvados/v1/containers", get(list_containers))
            .route("/arvados/v1/links", get(list_links).post(create_link))
            .route("/arvados/v1/links/{uuid}", delete(delete_link).patch(move_link))
            .route("/arvados/v1/users", get(list_users))
            .route("/arvados/v1/groups", get(list_groups))
            .route("/wharf/v1/invitations", get(list_invitations).post(invite))
            .route("/wharf/v1/visitors/{uuid}", get(visitors))
            .route("/wharf/v1/opened_ports", get(opened_ports))
            .route("/wharf/v1/service_access/{uuid}", get(may_open))
            .route("/arvados/v1/logs", get(list_entries))
            .route("/arvados/v1/collections", get(list_collections).post(create_collection))
            .route("/arvados/v1/collections/{uuid}", get(get_collection))
            .route("/{collection}/{*path}", get(read_file).put(write_file))
            .route("/wharf/v1/images", get(images))
            .route("/wharf/v1/status", get(status))
            .route("/arvados/v1/api_client_authorizations", get(list_tokens).post(create_token))
            .route("/arvados/v1/api_client_authorizations/{uuid}", delete(delete_token))
            .route("/wharf/v1/login_links/redeem", post(redeem))
            .route("/wharf/v1/sign_in_methods", get(methods))
            .route("/wharf/v1/openid/start", post(openid_start))
            .route("/wharf/v1/openid/finish", post(openid_finish))
            .route("/wharf/v1/openid/sign_out", get(openid_sign_out))
            .route("/wharf/v1/handoff", post(hand_off))
            .route("/wharf/v1/logs/{uuid}", get(logs))
            .route("/wharf/v1/containers/{uuid}/metrics", get(metrics))
            .route("/wharf/v1/usage", get(usage))
            .route("/wharf/v1/events", get(events))
            .with_state(self.clone())
    }

    fn check(&self, headers: &HeaderMap) -> Result<String, (StatusCode, Json<Value>)> {
        let header = headers.get("authorization").and_then(|value| value.to_str().ok());
        let token = header.and_then(|value| value.strip_prefix("Bearer "));
        match token {
            Some(token) if self.records().tokens.iter().any(|known| known == token) => {
                Ok(token.to_owned())
            }
            _ => Err(refuse(StatusCode::UNAUTHORIZED, "Not logged in")),
        }
    }

    fn new_token(&self) -> (String, Value) {
        let mut records = self.records();
        let number = records.tokens.len() + 1;
        let uuid = format!("wharf-gj3su-{number:015}");
        let token = format!("v2/{uuid}/{}", "s".repeat(50));
        records.tokens.push(token.clone());
        let record = json!({
            "uuid": uuid, "owner_uuid": USER, "created_at": TIME, "modified_at": TIME,
            "modified_by_user_uuid": USER, "scopes": ["all"],
            "expires_at": "2100-01-01T00:00:00.000000000Z", "api_token": "s".repeat(50),
        });
        (token, record)
    }
}

async fn authenticate(State(api): State<FakeApi>, Json(body): Json<Value>) -> Answer {
    match (body["username"].as_str(), body["password"].as_str()) {
        (Some("ada"), Some("correct horse")) => Ok(Json(api.new_token().1)),
        (Some("many"), _) => Err(refuse(StatusCode::TOO_MANY_REQUESTS, "too many tries")),
        _ => Err(refuse(StatusCode::UNAUTHORIZED, "name and password do not fit")),
    }
}

async fn methods(State(api): State<FakeApi>) -> Json<Value> {
    let provider = api.records().provider;
    Json(json!({ "passwords": provider.is_none(), "provider": provider }))
}

async fn openid_start(State(api): State<FakeApi>) -> Answer {
    match api.records().provider {
        None => Err(refuse(StatusCode::NOT_FOUND, "no provider")),
        Some("down") => Err(refuse(StatusCode::SERVICE_UNAVAILABLE, "it does not answer")),
        Some(_) => Ok(Json(json!({ "url": "https://id.example.com/auth?state=state-1",
            "state": "state-1", "nonce": "nonce-1", "verifier": "verifier-1" }))),
    }
}

async fn openid_finish(State(api): State<FakeApi>, Json(body): Json<Value>) -> Answer {
    api.records().finished.push(body.clone());
    let is_right = body["code"] == "code-1" && body["verifier"] == "verifier-1";
    if !is_right || body["nonce"] != "nonce-1" {
        return Err(refuse(StatusCode::FORBIDDEN, "the code is not accepted"));
    }
    let admitted = api.records().admitted.unwrap_or("signed_in");
    let token = (admitted == "signed_in").then(|| api.new_token().0);
    Ok(Json(json!({ "admitted": admitted, "token": token, "user": user(),
        "expires_at": "2100-01-01T00:00:00.000000000Z" })))
}

async fn openid_sign_out() -> Json<Value> {
    Json(json!({ "url": "https://id.example.com/end?client_id=wharf" }))
}

pub(crate) fn user() -> User {
    serde_json::from_value(json!({
        "uuid": USER, "owner_uuid": "wharf-tpzed-000000000000000", "created_at": TIME,
        "modified_at": TIME, "modified_by_user_uuid": USER, "email": "ada@example.com",
        "username": "ada", "first_name": "Ada", "last_name": "Lovelace", "identity_url": null,
        "is_active": true, "is_admin": true, "prefs": {},
    }))
    .unwrap()
}

/// A committed service request named `name` with `ports`, container number `number`.
pub(crate) fn request(number: u32, name: &str, ports: &Value) -> ContainerRequest {
    serde_json::from_value(json!({
        "uuid": format!("wharf-xvhdp-{number:015}"), "owner_uuid": USER, "created_at": TIME,
        "modified_at": TIME, "modified_by_user_uuid": USER, "name": name, "description": null,
        "properties": {}, "state": "Committed", "requesting_container_uuid": null,
        "container_uuid": format!("wharf-dz642-{number:015}"), "container_count": 1,
        "container_count_max": 1, "mounts": {},
        "runtime_constraints": { "API": false, "gpu": {}, "keep_cache_disk": 0,
            "keep_cache_ram": 0, "ram": 1_073_741_824_u64, "vcpus": 1 },
        "scheduling_parameters": {}, "container_image": "sha256:0a1b2c3d4e5f", "environment": {},
        "cwd": ".", "command": ["jupyter", "lab", "--ip=127.0.0.1"], "output_path": "/out",
        "output_glob": [], "output_name": null, "output_ttl": 0, "priority": 500,
        "use_existing": false, "log_uuid": null, "output_uuid": null, "expires_at": null,
        "filters": null, "output_storage_classes": [], "output_properties": {},
        "cumulative_cost": 0.0, "service": true, "published_ports": ports,
    }))
    .unwrap()
}

/// The container of [`request`] in `state`; `ready` is when its ports answered.
pub(crate) fn container(of: &ContainerRequest, state: &str, ready: Option<&str>) -> Container {
    let mut ports = serde_json::to_value(&of.published_ports).unwrap();
    let started = matches!(state, "Running" | "Complete");
    if started {
        for entry in ports.as_object_mut().unwrap().values_mut() {
            entry["base_url"] = "http://ignored.example/".into();
            entry["initial_url"] = "javascript:alert(1)".into();
            entry["external_port"] = Value::Null;
            entry["ready"] = ready.is_some().into();
            entry["ready_at"] = ready.into();
        }
    }
    let over = matches!(state, "Complete" | "Cancelled");
    serde_json::from_value(json!({
        "uuid": of.container_uuid, "owner_uuid": USER, "created_at": of.created_at,
        "modified_at": of.modified_at, "modified_by_user_uuid": USER, "state": state,
        "command": of.command, "container_image": of.container_image, "cwd": ".",
        "environment": {}, "exit_code": null,
        "started_at": started.then_some(of.created_at), "finished_at": over.then_some(of.modified_at),
        "locked_by_uuid": null, "lock_count": 1, "log": null, "output": null, "mounts": {},
        "output_path": "/out", "output_glob": [], "priority": 500, "progress": null,
        "runtime_constraints": of.runtime_constraints, "runtime_status": {},
        "scheduling_parameters": {}, "auth_uuid": null, "runtime_user_uuid": null,
        "runtime_auth_scopes": [], "gateway_address": null, "interactive_session_started": false,
        "output_storage_classes": [], "output_properties": {}, "cost": 0.0,
        "subrequests_cost": 0.0, "service": true, "published_ports": ports,
    }))
    .unwrap()
}

/// A host name link.
pub(crate) fn link(number: u32, name: &str, head: &str, port: u16) -> Link {
    serde_json::from_value(json!({
        "uuid": format!("wharf-o0j2j-{number:015}"), "owner_uuid": USER, "created_at": TIME,
        "modified_at": TIME, "modified_by_user_uuid": USER, "link_class": "hostname",
        "name": name, "tail_uuid": null, "head_uuid": head, "properties": { "port": port },
    }))
    .unwrap()
}

/// The items for which all of the query's filters hold; `=` and `in` are understood.
fn filtered<T: serde::Serialize>(items: &[T], query: &HashMap<String, String>) -> Answer {
    let filters: Vec<(String, String, Value)> = match query.get("filters") {
        Some(text) => serde_json::from_str(text)
            .map_err(|error| refuse(StatusCode::UNPROCESSABLE_ENTITY, &error.to_string()))?,
        None => Vec::new(),
    };
    let limit = query.get("limit").and_then(|limit| limit.parse().ok()).unwrap_or(100);
    let holds = |item: &Value, (field, operator, operand): &(String, String, Value)| match operator
        .as_str()
    {
        "=" => item[field] == *operand,
        "in" => operand.as_array().is_some_and(|some| some.contains(&item[field])),
        "ilike" => {
            let wanted = operand.as_str().unwrap().trim_matches('%').to_lowercase();
            item[field].as_str().unwrap().to_lowercase().contains(&wanted)
        }
        other => panic!("the fake does not know the operator {other}"),
    };
    let items: Vec<Value> = items
        .iter()
        .map(|item| serde_json::to_value(item).unwrap())
        .filter(|item| filters.iter().all(|filter| holds(item, filter)))
        .take(limit)
        .collect();
    Ok(Json(json!({ "items": items })))
}

type Api = State<FakeApi>;
type Params = Query<HashMap<String, String>>;

async fn current_user(State(api): Api, headers: HeaderMap) -> Answer {
    api.check(&headers)?;
    let mut me = user();
    me.is_admin = !api.records().is_ordinary;
    Ok(Json(serde_json::to_value(me).unwrap()))
}

async fn list_requests(State(api): Api, headers: HeaderMap, Query(query): Params) -> Answer {
    api.check(&headers)?;
    filtered(&api.records().requests, &query)
}

async fn list_containers(State(api): Api, headers: HeaderMap, Query(query): Params) -> Answer {
    api.check(&headers)?;
    filtered(&api.records().containers, &query)
}

async fn list_links(State(api): Api, headers: HeaderMap, Query(query): Params) -> Answer {
    api.check(&headers)?;
    filtered(&api.records().links, &query)
}

async fn get_request(State(api): Api, headers: HeaderMap, Path(uuid): Path<String>) -> Answer {
    api.check(&headers)?;
    let records = api.records();
    let found = records.requests.iter().find(|request| request.uuid.as_str() == uuid);
    let found = found.ok_or_else(|| refuse(StatusCode::NOT_FOUND, "Path not found"))?;
    Ok(Json(serde_json::to_value(found).unwrap()))
}

async fn patch_request(
    State(api): Api,
    headers: HeaderMap,
    Path(uuid): Path<String>,
    Json(body): Json<Value>,
) -> Answer {
    api.check(&headers)?;
    let answer = {
        let mut records = api.records();
        let found = records.requests.iter_mut().find(|request| request.uuid.as_str() == uuid);
        let found = found.ok_or_else(|| refuse(StatusCode::NOT_FOUND, "Path not found"))?;
        found.priority = body["container_request"]["priority"].as_i64().unwrap();
        serde_json::to_value(&*found).unwrap()
    };
    api.change();
    Ok(Json(answer))
}

async fn create_link(State(api): Api, headers: HeaderMap, Json(body): Json<Value>) -> Answer {
    api.check(&headers)?;
    let wanted = &body["link"];
    if wanted["link_class"] == "service_access" {
        let mut records = api.records();
        let number = u32::try_from(records.links.len()).unwrap() + 1;
        let mut made = link(number, "any", wanted["head_uuid"].as_str().unwrap(), 80);
        made.link_class = "service_access".to_owned();
        made.tail_uuid = wanted["tail_uuid"].as_str().map(str::to_owned);
        made.properties = wanted["properties"].as_object().unwrap().clone();
        if let Some(port) = made.port() {
            made.name = port.to_string();
        }
        records.links.push(made.clone());
        return Ok(Json(serde_json::to_value(made).unwrap()));
    }
    let name = wanted["name"].as_str().unwrap();
    if matches!(name, "www" | "api") {
        let words = format!("name \"{name}\" is reserved, choose another");
        return Err(refuse(StatusCode::UNPROCESSABLE_ENTITY, &words));
    }
    let mut records = api.records();
    let number = u32::try_from(records.links.len()).unwrap() + 1;
    let port = u16::try_from(wanted["properties"]["port"].as_u64().unwrap()).unwrap();
    let made = link(number, name, wanted["head_uuid"].as_str().unwrap(), port);
    records.links.push(made.clone());
    Ok(Json(serde_json::to_value(made).unwrap()))
}

async fn move_link(
    State(api): Api,
    headers: HeaderMap,
    Path(uuid): Path<String>,
    Json(body): Json<Value>,
) -> Answer {
    api.check(&headers)?;
    let mut records = api.records();
    let found = records.links.iter_mut().find(|link| link.uuid.as_str() == uuid);
    let found = found.ok_or_else(|| refuse(StatusCode::NOT_FOUND, "Path not found"))?;
    found.head_uuid = body["link"]["head_uuid"].as_str().map(str::to_owned);
    Ok(Json(serde_json::to_value(&*found).unwrap()))
}

async fn delete_link(State(api): Api, headers: HeaderMap, Path(uuid): Path<String>) -> Answer {
    api.check(&headers)?;
    api.records().links.retain(|link| link.uuid.as_str() != uuid);
    Ok(Json(json!({})))
}

async fn create_token(State(api): Api, headers: HeaderMap, Json(body): Json<Value>) -> Answer {
    api.check(&headers)?;
    api.records().asked_tokens.push(body["api_client_authorization"].clone());
    Ok(Json(api.new_token().1))
}

async fn list_tokens(State(api): Api, headers: HeaderMap) -> Answer {
    api.check(&headers)?;
    let tokens = api.records().tokens.clone();
    let items: Vec<Value> = tokens
        .iter()
        .enumerate()
        .map(|(index, token)| {
            // The first was made to last, as a script's; the others are sessions.
            let end = (index > 0).then_some("2100-01-01T00:00:00.000000000Z");
            json!({
                "uuid": ApiToken::parse(token).unwrap().uuid(), "owner_uuid": USER, "created_at": TIME,
                "modified_at": TIME, "modified_by_user_uuid": USER, "scopes": ["all"], "expires_at": end,
            })
        })
        .collect();
    Ok(Json(json!({ "items": items })))
}

async fn create_request(State(api): Api, headers: HeaderMap, Json(body): Json<Value>) -> Answer {
    api.check(&headers)?;
    let wanted = &body["container_request"];
    let mut records = api.records();
    if !records.refuse_request.is_empty() {
        let errors = std::mem::take(&mut records.refuse_request);
        return Err((StatusCode::UNPROCESSABLE_ENTITY, Json(json!({ "errors": errors }))));
    }
    records.made.push(wanted.clone());
    let number = u32::try_from(records.requests.len()).unwrap() + 1;
    let name = wanted["name"].as_str().unwrap_or_default();
    let made = request(number, name, &wanted["published_ports"]);
    records.containers.push(container(&made, "Queued", None));
    records.requests.push(made.clone());
    Ok(Json(serde_json::to_value(made).unwrap()))
}

async fn list_users(State(api): Api, headers: HeaderMap) -> Answer {
    api.check(&headers)?;
    Ok(Json(json!({ "items": [user()] })))
}

async fn list_groups(State(api): State<FakeApi>, headers: HeaderMap) -> Answer {
    api.check(&headers)?;
    Ok(Json(json!({ "items": [] })))
}

async fn list_invitations(State(api): State<FakeApi>, headers: HeaderMap) -> Answer {
    api.check(&headers)?;
    Ok(Json(json!({ "items": api.records().invitations })))
}

async fn invite(State(api): State<FakeApi>, headers: HeaderMap, Json(body): Json<Value>) -> Answer {
    api.check(&headers)?;
    let mut made = json!({
        "uuid": "wharf-invit-000000000000001", "request_uuid": body["request_uuid"],
        "port": body["port"].to_string(), "made_by": USER, "note": body["note"], "created_at": TIME,
        "expires_at": "2100-01-01T00:00:00.000000000Z", "uses_max": body["uses"], "n_used": 0,
        "guests": [{ "uuid": "wharf-guest-000000000000001", "created_at": TIME, "address": "192.0.2.7" }],
    });
    made["port"] = body["port"].as_str().unwrap().parse::<u16>().unwrap().into();
    api.records().invitations.push(made.clone());
    made["url"] = "http://lab.containers.localhost/.wharf/invitation?code=wc1_secret".into();
    Ok(Json(made))
}

async fn visitors(State(api): State<FakeApi>, headers: HeaderMap) -> Answer {
    api.check(&headers)?;
    let visit = json!({ "user_uuid": USER, "guest_uuid": null, "port": 8888, "address": "192.0.2.8",
        "since": TIME, "last": TIME, "n_requests": 12, "n_open": 3 });
    let refused = json!({ "port": 8888, "address": "192.0.2.9", "why": "not signed in", "last": TIME, "n": 4 });
    Ok(Json(json!({ "seen_by": "this controller", "visits": [visit], "refused": [refused] })))
}

async fn opened_ports(State(api): State<FakeApi>, headers: HeaderMap) -> Answer {
    api.check(&headers)?;
    Ok(Json(json!({ "items": api.records().opened })))
}

async fn may_open(State(api): State<FakeApi>, headers: HeaderMap) -> Answer {
    api.check(&headers)?;
    Ok(Json(json!({ "may_open": false, "why": "the port was not opened to the user" })))
}

async fn list_entries(State(api): Api, headers: HeaderMap, Query(query): Params) -> Answer {
    api.check(&headers)?;
    filtered(&api.records().entries, &query)
}

async fn list_collections(State(api): Api, headers: HeaderMap, Query(query): Params) -> Answer {
    api.check(&headers)?;
    filtered(&api.records().collections, &query)
}

async fn create_collection(State(api): Api, headers: HeaderMap, Json(body): Json<Value>) -> Answer {
    api.check(&headers)?;
    let made = collection(9, body["collection"]["name"].as_str().unwrap(), "");
    api.records().collections.push(made.clone());
    Ok(Json(made))
}

async fn get_collection(State(api): Api, headers: HeaderMap, Path(uuid): Path<String>) -> Answer {
    api.check(&headers)?;
    let found = api.records().collections.iter().find(|it| it["uuid"] == *uuid).cloned();
    found.map(Json).ok_or_else(|| refuse(StatusCode::NOT_FOUND, "Path not found"))
}

/// A collection of this manifest.
pub(crate) fn collection(number: u32, name: &str, manifest_text: &str) -> Value {
    json!({
        "uuid": format!("wharf-4zz18-{number:015}"), "owner_uuid": USER, "name": name,
        "modified_at": TIME, "portable_data_hash": "d41d8cd98f00b204e9800998ecf8427e+0",
        "file_count": manifest_text.matches(':').count() / 2, "file_size_total": 33,
        "manifest_text": manifest_text,
    })
}

async fn read_file(
    State(api): Api,
    headers: HeaderMap,
    Path(place): Path<(String, String)>,
) -> Response {
    if let Err(refused) = api.check(&headers) {
        return refused.into_response();
    }
    let key = format!("{}/{}", place.0, place.1);
    match api.records().files.get(&key) {
        Some(bytes) => bytes.clone().into_response(),
        None => refuse(StatusCode::NOT_FOUND, "no such file").into_response(),
    }
}

async fn write_file(
    State(api): Api,
    headers: HeaderMap,
    Path(place): Path<(String, String)>,
    body: axum::body::Bytes,
) -> Response {
    if let Err(refused) = api.check(&headers) {
        return refused.into_response();
    }
    api.records().files.insert(format!("{}/{}", place.0, place.1), body.to_vec());
    StatusCode::CREATED.into_response()
}

async fn images(State(api): Api, headers: HeaderMap) -> Answer {
    api.check(&headers)?;
    let image = json!({ "id": "sha256:0a1b", "names": ["lab:1"], "size_bytes": 1_048_576 });
    Ok(Json(json!({ "items": [image] })))
}

async fn status(State(api): Api, headers: HeaderMap) -> Answer {
    api.check(&headers)?;
    let waits = json!({ "container_uuid": CONTAINER, "place": 1, "reason": "waits for memory" });
    Ok(Json(json!({
        "version": "0.1.0", "cluster_id": "wharf", "containers": { "Running": 2, "Queued": 1 },
        "requests": {}, "queue": [waits],
    })))
}

async fn delete_token(State(api): Api, headers: HeaderMap, Path(uuid): Path<String>) -> Answer {
    api.check(&headers)?;
    api.records().tokens.retain(|token| ApiToken::parse(token).unwrap().uuid().as_str() != uuid);
    Ok(Json(json!({})))
}

async fn redeem(State(api): Api, Json(body): Json<Value>) -> Answer {
    let code = body["code"].as_str().unwrap_or_default().to_owned();
    let good = {
        let mut records = api.records();
        let found = records.codes.iter().position(|known| *known == code);
        found.map(|at| records.codes.remove(at)).is_some()
    };
    if !good {
        return Err(refuse(StatusCode::FORBIDDEN, "this code was used or is too old"));
    }
    let (token, record) = api.new_token();
    Ok(Json(json!({ "token": token, "user": user(), "expires_at": record["expires_at"] })))
}

async fn hand_off(State(api): Api, headers: HeaderMap, Json(body): Json<Value>) -> Answer {
    api.check(&headers)?;
    let mut records = api.records();
    records.handed_off.push(body.clone());
    let code = format!("wc1_{}", "c".repeat(43));
    let url = match (&records.hand_off, body["host"].as_str()) {
        (Some(url), _) => url.clone(),
        (None, Some(host)) => {
            format!("http://{host}{}?api_token={code}", body["path"].as_str().unwrap())
        }
        (None, None) => format!(
            "http://{}-{}.containers.localhost:8000/?api_token={code}",
            body["uuid"].as_str().unwrap(),
            body["port"]
        ),
    };
    Ok(Json(json!({ "url": url })))
}

async fn metrics(State(api): Api, headers: HeaderMap) -> Answer {
    api.check(&headers)?;
    let metrics = api.records().metrics.clone();
    let metrics = metrics.ok_or_else(|| refuse(StatusCode::NOT_FOUND, "Path not found"))?;
    Ok(Json(serde_json::to_value(metrics).unwrap()))
}

async fn usage(State(api): Api, headers: HeaderMap) -> Answer {
    api.check(&headers)?;
    Ok(Json(json!({ "items": api.records().usage })))
}

async fn logs(State(api): Api, headers: HeaderMap) -> Response {
    match api.check(&headers) {
        Ok(_) => api.records().log.clone().into_response(),
        Err(refused) => refused.into_response(),
    }
}

async fn events(
    State(api): Api,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, (StatusCode, Json<Value>)> {
    api.check(&headers)?;
    let changes = api.changed.subscribe();
    Ok(Sse::new(stream::unfold(changes, |mut changes| async move {
        changes.recv().await.ok()?;
        let data = json!({ "kind": "container", "uuid": CONTAINER }).to_string();
        Some((Ok(Event::default().event("change").data(data)), changes))
    })))
}
