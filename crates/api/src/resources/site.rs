//! What clients ask about the site before anything else: configuration and vocabulary. Public, as
//! in Arvados.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use crate::call::LIMIT_MAX;
use crate::config::ApiConfig;
use crate::public_url::PublicUrl;
use crate::router::Api;

/// The exported configuration: the keys that clients read, in Arvados's spelling.
pub(super) async fn config(State(api): State<Api>, public: PublicUrl) -> Json<Value> {
    let config = api.config();
    let (collections, ways) = (&config.collections, &config.sign_in);
    Json(json!({
        "ClusterID": api.store().cluster().as_str(),
        "API": {
            "MaxItemsPerResponse": LIMIT_MAX,
            "MaxRequestSize": config.request_bytes_max,
        },
        "Services": services(config, &public),
        "Containers": {
            "DefaultKeepCacheRAM": 0,
            "ReserveExtraRAM": 0,
            "MaxRetryAttempts": 3,
            "SupportedDockerImageFormats": { "v2": {} },
        },
        "InstanceTypes": {},
        "StorageClasses": { "default": { "Default": true, "Priority": 0 } },
        "Volumes": {},
        "Collections": {
            "BlobSigning": api.blocks().signer.is_some(),
            "BlobSigningTTL": seconds(api.blocks().signature_ttl()),
            "CollectionVersioning": collections.versions.is_enabled,
            "DefaultReplication": collections.replication,
            "DefaultTrashLifetime": seconds(collections.trash_lifetime),
            "ForwardSlashNameSubstitution": "",
            "ManagedProperties": {},
            "TrustAllContent": false,
        },
        "RemoteClusters": {},
        "Login": {
            // Pages then show a form for name and password, and nothing else; with a provider they send people to our
            // own page, which has both.
            "Test": { "Enable": ways.passwords && ways.provider.is_none() },
            "Google": { "Enable": false },
            "LDAP": { "Enable": false },
            "OpenIDConnect": { "Enable": ways.provider.is_some() },
            "PAM": { "Enable": false },
            "LoginCluster": "",
            "TokenLifetime": seconds(config.password_ttl),
        },
        "Mail": { "SupportEmailAddress": "" },
        "Users": {
            "AnonymousUserToken": "",
            "ActivatedUsersAreVisibleToOthers": true,
            "AutoSetupNewUsers": ways.provider.as_ref().is_some_and(|it| it.makes_accounts),
            "NewUsersAreActive": ways.provider.as_ref().is_none_or(|it| it.new_are_active),
            "PreferDomainForUsername": "",
        },
        "Workbench": {
            "SiteName": "Wharf",
            "IdleTimeout": "0s",
            "UserProfileFormFields": {},
            "FileViewersConfigURL": "",
            "WelcomePageHTML": "",
            "InactivePageHTML": "",
            "SSHHelpPageHTML": "",
            "SSHHelpHostSuffix": "",
            "BannerUUID": "",
            "DisableSharingURLsUI": false,
            "ArvadosDocsite": "https://doc.arvados.org/",
            "VocabularyURL": "",
        },
    }))
}

/// Addresses as the caller can use them; some pages stay blank where one of these keys is missing.
fn services(config: &ApiConfig, public: &PublicUrl) -> Value {
    let domain = &config.service_domain;
    let containers = if domain.is_wildcard() { domain.url_of("*") } else { domain.url_of("") };
    let at = |url: &str| json!({ "ExternalURL": url });
    json!({
        "Controller": at(&public.0),
        "Workbench1": at(""),
        // Clients put "processes/<uuid>" behind it.
        "Workbench2": at(&public.0),
        "Websocket": at(&public.websocket()),
        "Keepproxy": at(""),
        "WebDAV": at(&public.0),
        "WebDAVDownload": at(&public.0),
        "WebShell": at(""),
        "ContainerWebServices": at(&containers),
    })
}

/// As Go writes durations.
fn seconds(duration: std::time::Duration) -> String {
    let s = duration.as_secs();
    format!("{}h{}m{}s", s / 3600, s / 60 % 60, s % 60)
}

/// No vocabulary: properties may have any keys.
pub(super) async fn vocabulary() -> Json<Value> {
    Json(json!({ "strict_tags": false, "tags": {} }))
}
