//! The record types and their columns: the allow-list from which every dynamic query is made.

use model::filter::{Attribute, AttributeKind, Join, Schema, type_code_of_kind};

/// A record type that can be listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Resource {
    /// Container requests.
    ContainerRequests,
    /// Containers.
    Containers,
    /// Links.
    Links,
    /// Users.
    Users,
    /// API tokens.
    Tokens,
    /// Projects, roles and filter groups.
    Groups,
    /// Collections.
    Collections,
    /// Registered workflows.
    Workflows,
    /// What happened to records.
    Logs,
}

impl Resource {
    /// All record types.
    pub const ALL: &[Self] = &[
        Self::ContainerRequests,
        Self::Containers,
        Self::Links,
        Self::Users,
        Self::Tokens,
        Self::Groups,
        Self::Collections,
        Self::Workflows,
        Self::Logs,
    ];

    /// What homes and projects hold, in the order in which contents are listed. A record type that joins here can be
    /// owned by projects, shared, trashed with them and listed as contents.
    pub const OWNED: &[Self] =
        &[Self::Groups, Self::ContainerRequests, Self::Collections, Self::Workflows];

    /// The record type that an identifier is of.
    pub fn of_uuid(uuid: &str) -> Option<Self> {
        let code = uuid.get(6..11)?;
        Self::ALL.iter().copied().find(|resource| resource.type_code() == code)
    }

    /// The five characters in the middle of its identifiers.
    pub fn type_code(self) -> &'static str {
        type_code_of_kind(self.kind()).unwrap_or_default()
    }

    /// Its attributes and table.
    pub fn schema(self) -> &'static Schema {
        match self {
            Self::ContainerRequests => &CONTAINER_REQUESTS,
            Self::Containers => &CONTAINERS,
            Self::Links => &LINKS,
            Self::Users => &USERS,
            Self::Tokens => &TOKENS,
            Self::Groups => &GROUPS,
            Self::Collections => &COLLECTIONS,
            Self::Workflows => &WORKFLOWS,
            Self::Logs => &LOGS,
        }
    }

    /// The key around an object in a body (`container_request`).
    pub fn singular(self) -> &'static str {
        match self {
            Self::ContainerRequests => "container_request",
            Self::Containers => "container",
            Self::Links => "link",
            Self::Users => "user",
            Self::Tokens => "api_client_authorization",
            Self::Groups => "group",
            Self::Collections => "collection",
            Self::Workflows => "workflow",
            Self::Logs => "log",
        }
    }

    /// The `kind` of an object; a list's is the same with `List` behind it.
    pub fn kind(self) -> &'static str {
        match self {
            Self::ContainerRequests => "arvados#containerRequest",
            Self::Containers => "arvados#container",
            Self::Links => "arvados#link",
            Self::Users => "arvados#user",
            Self::Tokens => "arvados#apiClientAuthorization",
            Self::Groups => "arvados#group",
            Self::Collections => "arvados#collection",
            Self::Workflows => "arvados#workflow",
            Self::Logs => "arvados#log",
        }
    }
}

macro_rules! attributes {
    ($($kind:ident: $($name:literal)+;)+) => {
        &[
            attribute("uuid", AttributeKind::Text),
            attribute("owner_uuid", AttributeKind::Text),
            attribute("created_at", AttributeKind::Time),
            attribute("modified_at", AttributeKind::Time),
            attribute("modified_by_user_uuid", AttributeKind::Text),
            $($(attribute($name, AttributeKind::$kind),)+)+
        ]
    };
}

const fn attribute(name: &'static str, kind: AttributeKind) -> Attribute {
    Attribute { name, kind }
}

/// Container requests; `container.` reaches the container.
pub static CONTAINER_REQUESTS: Schema = Schema {
    table: "container_requests",
    attributes: attributes! {
        Text: "name" "description" "state" "requesting_container_uuid" "container_uuid"
            "container_image" "cwd" "output_path" "output_name" "log_uuid" "output_uuid";
        Integer: "container_count" "container_count_max" "output_ttl" "priority";
        Float: "cumulative_cost";
        Boolean: "use_existing" "service";
        Time: "expires_at";
        Json: "properties" "mounts" "runtime_constraints" "scheduling_parameters" "environment"
            "command" "output_glob" "filters" "output_storage_classes" "output_properties"
            "published_ports";
    },
    joins: &[Join { prefix: "container", via: "container_uuid", schema: &CONTAINERS }],
};

/// Containers.
pub static CONTAINERS: Schema = Schema {
    table: "containers",
    attributes: attributes! {
        Text: "state" "container_image" "cwd" "locked_by_uuid" "log" "output" "output_path"
            "auth_uuid" "runtime_user_uuid" "gateway_address";
        Integer: "exit_code" "lock_count" "priority";
        Float: "progress" "cost" "subrequests_cost";
        Boolean: "interactive_session_started" "service";
        Time: "started_at" "finished_at";
        Json: "command" "environment" "mounts" "output_glob" "runtime_constraints"
            "runtime_status" "scheduling_parameters" "runtime_auth_scopes"
            "output_storage_classes" "output_properties" "published_ports";
    },
    joins: &[],
};

/// Links.
pub static LINKS: Schema = Schema {
    table: "links",
    attributes: attributes! {
        Text: "link_class" "name" "tail_uuid" "head_uuid";
        Json: "properties";
    },
    joins: &[],
};

/// Users.
pub static USERS: Schema = Schema {
    table: "users",
    attributes: attributes! {
        Text: "email" "username" "first_name" "last_name" "identity_url";
        Boolean: "is_active" "is_admin";
        Json: "prefs";
    },
    joins: &[],
};

/// API tokens, without their secrets.
pub static TOKENS: Schema = Schema {
    table: "api_client_authorizations",
    attributes: attributes! {
        Time: "expires_at";
        Json: "scopes";
    },
    joins: &[],
};

/// Projects, roles and filter groups.
pub static GROUPS: Schema = Schema {
    table: "groups",
    attributes: attributes! {
        Text: "name" "group_class" "description" "frozen_by_uuid";
        Time: "trash_at" "delete_at";
        Boolean: "is_trashed";
        Json: "properties";
    },
    joins: &[],
};

/// Collections.
pub static COLLECTIONS: Schema = Schema {
    table: "collections",
    attributes: attributes! {
        Text: "name" "description" "portable_data_hash" "manifest_text" "current_version_uuid";
        Integer: "replication_desired" "replication_confirmed" "version" "file_count"
            "file_size_total";
        Boolean: "is_trashed" "preserve_version";
        Time: "replication_confirmed_at" "storage_classes_confirmed_at" "trash_at" "delete_at";
        Json: "properties" "storage_classes_desired" "storage_classes_confirmed";
    },
    joins: &[],
};

/// Registered workflows.
pub static WORKFLOWS: Schema = Schema {
    table: "workflows",
    attributes: attributes! {
        Text: "name" "description" "definition" "collection_uuid";
    },
    joins: &[],
};

/// Who may do what with what, found when it is asked for; no table.
pub static COMPUTED_PERMISSIONS: Schema = Schema {
    table: "computed_permissions",
    attributes: &[
        attribute("user_uuid", AttributeKind::Text),
        attribute("target_uuid", AttributeKind::Text),
        attribute("perm_level", AttributeKind::Text),
    ],
    joins: &[],
};

/// What happened to records.
pub static LOGS: Schema = Schema {
    table: "logs",
    attributes: attributes! {
        Integer: "id";
        Text: "object_uuid" "object_owner_uuid" "event_type" "summary";
        Time: "event_at";
        Json: "properties";
    },
    joins: &[],
};
