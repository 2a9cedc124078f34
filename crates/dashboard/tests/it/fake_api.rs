//! An honest small twin of the API: the routes that the dashboard calls, with records in memory,
//! tokens that are checked, codes that work once, and events. It renders records with the model's
//! own types, so a field that changes there changes here.

// With their places, since an example takes this file up from elsewhere.
#[path = "fake_api/access.rs"]
mod access;
#[path = "fake_api/data.rs"]
mod data;
#[path = "fake_api/records.rs"]
mod records;
#[path = "fake_api/requests.rs"]
mod requests;
#[path = "fake_api/signing_in.rs"]
mod signing_in;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use model::metrics::{ContainerMetrics, RecentUsage};
use model::{Container, ContainerRequest, Link};
use serde_json::{Value, json};
use tokio::sync::broadcast;

pub(crate) use records::{collection, container, link, request};

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
    /// Requests of others that the user may write.
    pub(crate) writable: Vec<String>,
    /// Of the machine.
    pub(crate) cordon: Option<Value>,
    /// Whether the user is an ordinary one.
    pub(crate) is_ordinary: bool,
}

pub(crate) const TOKEN: &str =
    "v2/wharf-gj3su-000000000000001/0123456789abcdefghijklmnopqrstuvwxyz0123456789abcd";
pub(crate) const USER: &str = "wharf-tpzed-000000000000001";
pub(crate) const REQUEST: &str = "wharf-xvhdp-000000000000001";
pub(crate) const CONTAINER: &str = "wharf-dz642-000000000000001";
pub(crate) const TIME: &str = "2026-11-23T20:58:45.123456789Z";

type Api = State<FakeApi>;
type Params = Query<HashMap<String, String>>;
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
            .route("/arvados/v1/users/current", get(requests::current_user))
            .route("/arvados/v1/users/authenticate", post(signing_in::authenticate))
            .route(
                "/arvados/v1/container_requests",
                get(requests::list_requests).post(requests::create_request),
            )
            .route(
                "/arvados/v1/container_requests/{uuid}",
                get(requests::get_request).patch(requests::patch_request),
            )
            .route("/arvados/v1/containers", get(requests::list_containers))
            .route("/arvados/v1/links", get(access::list_links).post(access::create_link))
            .route("/arvados/v1/links/{uuid}", delete(access::delete_link).patch(access::move_link))
            .route("/arvados/v1/users", get(access::list_users))
            .route("/arvados/v1/groups", get(access::list_groups))
            .route("/wharf/v1/invitations", get(access::list_invitations).post(access::invite))
            .route("/wharf/v1/visitors/{uuid}", get(access::visitors))
            .route("/wharf/v1/opened_ports", get(access::opened_ports))
            .route("/wharf/v1/service_access/{uuid}", get(access::may_open))
            .route("/arvados/v1/logs", get(requests::list_entries))
            .route(
                "/arvados/v1/collections",
                get(data::list_collections).post(data::create_collection),
            )
            .route("/arvados/v1/collections/{uuid}", get(data::get_collection))
            .route("/{collection}/{*path}", get(data::read_file).put(data::write_file))
            .route("/wharf/v1/images", get(requests::images))
            .route("/wharf/v1/status", get(requests::status))
            .route("/wharf/v1/site", get(requests::site))
            .route(
                "/wharf/v1/nodes/{name}/cordon",
                post(requests::cordon).delete(requests::uncordon),
            )
            .route("/wharf/v1/writable_requests", get(requests::writable_requests))
            .route(
                "/arvados/v1/api_client_authorizations",
                get(signing_in::list_tokens).post(signing_in::create_token),
            )
            .route("/arvados/v1/api_client_authorizations/{uuid}", delete(signing_in::delete_token))
            .route("/wharf/v1/login_links/redeem", post(signing_in::redeem))
            .route("/wharf/v1/sign_in_methods", get(signing_in::methods))
            .route("/wharf/v1/openid/start", post(signing_in::openid_start))
            .route("/wharf/v1/openid/finish", post(signing_in::openid_finish))
            .route("/wharf/v1/openid/sign_out", get(signing_in::openid_sign_out))
            .route("/wharf/v1/handoff", post(requests::hand_off))
            .route("/wharf/v1/logs/{uuid}", get(requests::logs))
            .route("/wharf/v1/containers/{uuid}/metrics", get(requests::metrics))
            .route("/wharf/v1/usage", get(requests::usage))
            .route("/wharf/v1/events", get(requests::events))
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
