//! The discovery document: what Arvados's clients build themselves from.
//!
//! Made of two tables and nothing else: the attributes are those of `store::schema`, which every query is made of too,
//! and the methods are in [`methods`], which a test holds against the routes. Clients refuse a parameter that is not
//! described before they send anything, so all are.

mod methods;
mod schemas;
#[cfg(test)]
mod tests;

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderValue, header};
use serde_json::{Map, Value, json};

use crate::call::LIMIT_MAX;
use crate::config::ApiConfig;
use crate::public_url::PublicUrl;
use crate::router::Api;

/// Where it is.
pub(crate) const PATH: &str = "/discovery/v1/apis/arvados/v1/rest";
/// The revision of Arvados's API whose forms we speak; clients gate features by it.
const REVISION: &str = "20250402";

/// Public, as in Arvados: clients ask before they show a token. Never cached, or clients would keep a description of
/// another version for the same host.
pub(crate) async fn document(State(api): State<Api>, public: PublicUrl) -> Response {
    let cluster = api.store().cluster();
    let signatures_hold = api.blocks().signature_ttl();
    let document = describe(cluster.as_str(), api.config(), signatures_hold, &public);
    let mut response = Json(document).into_response();
    let no_cache = HeaderValue::from_static("no-cache");
    response.headers_mut().insert(header::CACHE_CONTROL, no_cache);
    response
}

fn describe(
    cluster: &str,
    config: &ApiConfig,
    signatures_hold: Duration,
    public: &PublicUrl,
) -> Value {
    let root = &public.0;
    let mut document = json!({
        "kind": "discovery#restDescription",
        "discoveryVersion": "v1",
        "id": "arvados:v1",
        "name": "arvados",
        "version": "v1",
        "revision": REVISION,
        "source_version": config.version,
        "sourceVersion": config.version,
        "packageVersion": config.version,
        "generatedAt": null,
        "title": "Arvados API",
        "description": "The API to interact with Arvados, as Wharf speaks it.",
        "documentationLink": "http://doc.arvados.org/api/index.html",
        "defaultCollectionReplication": config.collections.replication,
        "protocol": "rest",
        "baseUrl": format!("{root}arvados/v1/"),
        "basePath": "/arvados/v1/",
        "rootUrl": root,
        "servicePath": "arvados/v1/",
        "batchPath": "batch",
        "uuidPrefix": cluster,
        "defaultTrashLifetime": config.collections.trash_lifetime.as_secs(),
        "blobSignatureTtl": signatures_hold.as_secs(),
        "maxRequestSize": config.request_bytes_max,
        "maxItemsPerResponse": LIMIT_MAX,
        "dockerImageFormats": ["v2"],
        "crunchLogUpdatePeriod": 2,
        "crunchLogUpdateSize": 4096,
        "remoteHosts": {},
        "remoteHostsViaDNS": false,
        "websocketUrl": public.websocket(),
        "workbenchUrl": root,
        "workbench2Url": root,
        "keepWebServiceUrl": root,
    });
    document["parameters"] = json!({
        "alt": {
            "type": "string",
            "description": "Data format for the response.",
            "default": "json",
            "enum": ["json"],
            "enumDescriptions": ["Responses with Content-Type of application/json"],
            "location": "query",
        },
        "fields": {
            "type": "string",
            "description": "Selector specifying which fields to include in a partial response.",
            "location": "query",
        },
    });
    document["auth"] = json!({ "oauth2": { "scopes": {
        "https://api.arvados.org/auth/arvados": { "description": "View and manage objects" },
        "https://api.arvados.org/auth/arvados.readonly": { "description": "View objects" },
    } } });
    let mut resources = Map::new();
    let mut schemas = Map::new();
    for entry in methods::RESOURCES {
        resources.insert(entry.name.to_owned(), methods::describe(entry));
        if let Some(resource) = entry.record {
            schemas.extend(schemas::describe(entry.schema, resource));
        }
    }
    document["schemas"] = schemas.into();
    document["resources"] = resources.into();
    document
}
