//! What clients ask about the site before anything else: configuration and vocabulary. Public, as
//! in Arvados.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use crate::call::LIMIT_MAX;
use crate::router::Api;

/// The exported configuration: the keys that clients read, in Arvados's spelling.
pub(super) async fn config(State(api): State<Api>) -> Json<Value> {
    let config = api.config();
    let domain = &config.service_domain;
    let services = if domain.is_wildcard() { domain.url_of("*") } else { domain.url_of("") };
    Json(json!({
        "ClusterID": api.store().cluster().as_str(),
        "API": {
            "MaxItemsPerResponse": LIMIT_MAX,
            "MaxRequestSize": config.request_bytes_max,
        },
        "Services": {
            "Controller": { "ExternalURL": config.external_url },
            // Clients put "processes/<uuid>" behind it.
            "Workbench1": { "ExternalURL": "" },
            "Workbench2": { "ExternalURL": config.external_url },
            "Websocket": { "ExternalURL": "" },
            "Keepproxy": { "ExternalURL": "" },
            "WebDAV": { "ExternalURL": config.external_url },
            "WebDAVDownload": { "ExternalURL": config.external_url },
            "ContainerWebServices": { "ExternalURL": services },
        },
        "Containers": {
            "DefaultKeepCacheRAM": 0,
            "ReserveExtraRAM": 0,
            "MaxRetryAttempts": 3,
            "SupportedDockerImageFormats": { "v2": {} },
        },
        "StorageClasses": { "default": { "Default": true, "Priority": 0 } },
        "Collections": {
            "BlobSigning": api.blocks().signer.is_some(),
            "CollectionVersioning": config.versions.is_enabled,
            "DefaultReplication": 1,
            "ForwardSlashNameSubstitution": "",
        },
        "RemoteClusters": {},
        "Users": {},
        "Workbench": {},
    }))
}

/// No vocabulary: properties may have any keys.
pub(super) async fn vocabulary() -> Json<Value> {
    Json(json!({ "strict_tags": false, "tags": {} }))
}
