//! The methods of each resource and their parameters.

use serde_json::{Map, Value, json};
use store::Resource;

/// A resource as clients name it.
pub(super) struct Entry {
    /// Plural, as in paths.
    pub(super) name: &'static str,
    /// Its type, singular.
    pub(super) schema: &'static str,
    /// The records behind it; none where there are none here.
    pub(super) record: Option<Resource>,
    /// The usual methods that it has.
    verbs: &'static [Verb],
    /// Parameters beside the usual ones, by method.
    more: &'static [(Verb, &'static [Parameter])],
    /// Methods of its own.
    special: &'static [Special],
}

/// One of the methods that most resources have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    Get,
    List,
    Create,
    Update,
    Delete,
}
use Verb::{Create, Delete, Get, List, Update};

const ALL: &[Verb] = &[Get, List, Create, Update, Delete];
const READ: &[Verb] = &[Get, List];

/// A method beside the usual ones.
struct Special {
    name: &'static str,
    http: &'static str,
    /// Below `arvados/v1/`.
    path: &'static str,
    parameters: &'static [Parameter],
    returns: Returns,
}

/// What a method answers with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Returns {
    /// A record of the resource.
    Record,
    /// A list of them.
    List,
    /// Anything else that is JSON.
    Object,
}

/// A parameter in the query, or in the path.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parameter {
    name: &'static str,
    kind: &'static str,
    default: Option<&'static str>,
    is_required: bool,
    is_in_path: bool,
    description: &'static str,
}

const fn query(name: &'static str, kind: &'static str, description: &'static str) -> Parameter {
    Parameter { name, kind, default: None, is_required: false, is_in_path: false, description }
}

const fn with_default(parameter: Parameter, default: &'static str) -> Parameter {
    Parameter { default: Some(default), ..parameter }
}

const UUID: Parameter = Parameter {
    is_required: true,
    is_in_path: true,
    ..query("uuid", "string", "The UUID of the object.")
};
const SELECT: Parameter = query("select", "array", "Attributes to return.");
const CLUSTER: Parameter = query("cluster_id", "string", "Cluster to act on; only this one here.");
const BYPASS: Parameter = with_default(
    query("bypass_federation", "boolean", "Do not ask other clusters; there are none here."),
    "false",
);
const UNIQUE: Parameter = with_default(
    query("ensure_unique_name", "boolean", "Change the name where the owner has it already."),
    "false",
);
const ASYNC: Parameter = with_default(
    query("async", "boolean", "Changes nothing: rights hold with the answer."),
    "false",
);
const TRASH: Parameter =
    with_default(query("include_trash", "boolean", "Also what is in the trash."), "false");
const OLD_VERSIONS: Parameter = with_default(
    query("include_old_versions", "boolean", "Also old versions of collections."),
    "false",
);
const REPLACE_FILES: Parameter =
    query("replace_files", "object", "Files to put into the collection, by path.");
const REPLACE_SEGMENTS: Parameter = query(
    "replace_segments",
    "object",
    "Ranges of blocks to replace by others with the same bytes: locator, offset and length each.",
);
const FILTERS: Parameter =
    query("filters", "array", "Conditions: [attribute, operator, operand], …");
const WHERE: Parameter = query("where", "object", "Attributes and what they must equal.");
const ORDER: Parameter = query("order", "array", "Attributes to order by, each with asc or desc.");
const DISTINCT: Parameter =
    with_default(query("distinct", "boolean", "Return equal objects once."), "false");
const LIMIT: Parameter = with_default(query("limit", "integer", "Most objects to return."), "100");
const OFFSET: Parameter =
    with_default(query("offset", "integer", "Objects to leave out at the beginning."), "0");
const COUNT: Parameter =
    with_default(query("count", "string", "Count what matches: exact or none."), "exact");
const LIST_PARAMETERS: &[Parameter] =
    &[FILTERS, WHERE, ORDER, SELECT, DISTINCT, LIMIT, OFFSET, COUNT, CLUSTER, BYPASS];

const CONTENTS_PARAMETERS: &[Parameter] = &[
    query("uuid", "string", "Only what this user or project owns."),
    query("filters", "array", "Conditions; attributes may be named with their type: groups.name."),
    WHERE,
    ORDER,
    SELECT,
    DISTINCT,
    LIMIT,
    OFFSET,
    COUNT,
    query("include", "array", "Also the owner_uuid or container_uuid of each."),
    with_default(query("recursive", "boolean", "Also what projects below it own."), "false"),
    with_default(query("exclude_home_project", "boolean", "Not what is in one's home."), "false"),
    TRASH,
    OLD_VERSIONS,
    CLUSTER,
    BYPASS,
];
const SHARED_PARAMETERS: &[Parameter] = &[
    FILTERS,
    WHERE,
    ORDER,
    SELECT,
    DISTINCT,
    LIMIT,
    OFFSET,
    COUNT,
    query("include", "string", "Also the owner_uuid of each."),
    TRASH,
    CLUSTER,
    BYPASS,
];

/// Of a list that is read behind its last entry and never counted.
const COMPUTED: &[Parameter] = &[
    FILTERS,
    WHERE,
    ORDER,
    SELECT,
    DISTINCT,
    LIMIT,
    with_default(query("count", "string", "Always none."), "none"),
];

const NONE: Entry =
    Entry { name: "", schema: "", record: None, verbs: READ, more: &[], special: &[] };

const fn special(
    name: &'static str,
    http: &'static str,
    path: &'static str,
    returns: Returns,
) -> Special {
    Special { name, http, path, parameters: &[], returns }
}

/// Everything under `/arvados/v1`.
pub(super) const RESOURCES: &[Entry] = &[
    Entry {
        name: "api_client_authorizations",
        schema: "ApiClientAuthorization",
        record: Some(Resource::Tokens),
        verbs: ALL,
        special: &[
            special("current", "GET", "api_client_authorizations/current", Returns::Record),
            Special {
                parameters: &[query("scopes", "array", "What it may do; without it, everything.")],
                ..special(
                    "create_system_auth",
                    "POST",
                    "api_client_authorizations/create_system_auth",
                    Returns::Record,
                )
            },
        ],
        ..NONE
    },
    Entry { name: "authorized_keys", schema: "AuthorizedKey", ..NONE },
    Entry {
        name: "collections",
        schema: "Collection",
        record: Some(Resource::Collections),
        verbs: ALL,
        more: &[
            (Get, &[TRASH]),
            (List, &[TRASH, OLD_VERSIONS]),
            (Create, &[REPLACE_FILES, REPLACE_SEGMENTS]),
            (Update, &[TRASH, UNIQUE, REPLACE_FILES, REPLACE_SEGMENTS]),
        ],
        special: &[
            Special {
                parameters: &[UUID],
                ..special("provenance", "GET", "collections/{uuid}/provenance", Returns::Object)
            },
            Special {
                parameters: &[UUID],
                ..special("used_by", "GET", "collections/{uuid}/used_by", Returns::Object)
            },
            Special {
                parameters: &[UUID],
                ..special("trash", "POST", "collections/{uuid}/trash", Returns::Record)
            },
            Special {
                parameters: &[UUID, UNIQUE],
                ..special("untrash", "POST", "collections/{uuid}/untrash", Returns::Record)
            },
        ],
    },
    Entry {
        name: "computed_permissions",
        schema: "ComputedPermission",
        verbs: &[],
        special: &[Special {
            parameters: COMPUTED,
            ..special("list", "GET", "computed_permissions", Returns::Object)
        }],
        ..NONE
    },
    Entry {
        name: "configs",
        schema: "Config",
        verbs: &[],
        special: &[special("get", "GET", "config", Returns::Object)],
        ..NONE
    },
    Entry {
        name: "container_requests",
        schema: "ContainerRequest",
        record: Some(Resource::ContainerRequests),
        verbs: ALL,
        more: &[(Get, &[TRASH]), (List, &[TRASH]), (Update, &[TRASH])],
        special: &[Special {
            parameters: &[UUID],
            ..special(
                "container_status",
                "GET",
                "container_requests/{uuid}/container_status",
                Returns::Object,
            )
        }],
    },
    Entry {
        name: "containers",
        schema: "Container",
        record: Some(Resource::Containers),
        verbs: ALL,
        special: &[
            special("current", "GET", "containers/current", Returns::Record),
            Special {
                parameters: &[UUID],
                ..special("auth", "GET", "containers/{uuid}/auth", Returns::Object)
            },
            Special {
                parameters: &[UUID],
                ..special("lock", "POST", "containers/{uuid}/lock", Returns::Record)
            },
            Special {
                parameters: &[UUID],
                ..special("unlock", "POST", "containers/{uuid}/unlock", Returns::Record)
            },
            Special {
                parameters: &[UUID],
                ..special(
                    "secret_mounts",
                    "GET",
                    "containers/{uuid}/secret_mounts",
                    Returns::Object,
                )
            },
            Special {
                parameters: &[UUID],
                ..special(
                    "update_priority",
                    "POST",
                    "containers/{uuid}/update_priority",
                    Returns::Record,
                )
            },
        ],
        ..NONE
    },
    Entry { name: "credentials", schema: "Credential", ..NONE },
    Entry {
        name: "groups",
        schema: "Group",
        record: Some(Resource::Groups),
        verbs: ALL,
        more: &[
            (Get, &[TRASH]),
            (List, &[TRASH]),
            (Create, &[ASYNC]),
            (Update, &[TRASH, UNIQUE, ASYNC]),
        ],
        special: &[
            Special {
                parameters: CONTENTS_PARAMETERS,
                ..special("contents", "GET", "groups/contents", Returns::Object)
            },
            Special {
                parameters: SHARED_PARAMETERS,
                ..special("shared", "GET", "groups/shared", Returns::List)
            },
            Special {
                parameters: &[UUID],
                ..special("trash", "POST", "groups/{uuid}/trash", Returns::Record)
            },
            Special {
                parameters: &[UUID, UNIQUE],
                ..special("untrash", "POST", "groups/{uuid}/untrash", Returns::Record)
            },
        ],
    },
    Entry {
        name: "keep_services",
        schema: "KeepService",
        special: &[special("accessible", "GET", "keep_services/accessible", Returns::Object)],
        ..NONE
    },
    Entry {
        name: "links",
        schema: "Link",
        record: Some(Resource::Links),
        verbs: ALL,
        special: &[Special {
            parameters: &[UUID],
            ..special("get_permissions", "GET", "permissions/{uuid}", Returns::List)
        }],
        ..NONE
    },
    Entry {
        name: "logs",
        schema: "Log",
        record: Some(Resource::Logs),
        verbs: &[Get, List, Create],
        ..NONE
    },
    Entry {
        name: "user_agreements",
        schema: "UserAgreement",
        special: &[special("signatures", "GET", "user_agreements/signatures", Returns::Object)],
        ..NONE
    },
    Entry {
        name: "users",
        schema: "User",
        record: Some(Resource::Users),
        verbs: ALL,
        special: &[
            special("current", "GET", "users/current", Returns::Record),
            special("system", "GET", "users/system", Returns::Record),
            Special {
                parameters: &[
                    query("uuid", "string", "The account; without it, a new one."),
                    query("user", "object", "Attributes of a new account."),
                    query("repo_name", "string", "Changes nothing."),
                    query("vm_uuid", "string", "None: there are no shell nodes."),
                    with_default(
                        query("send_notification_email", "boolean", "False: no mail is sent."),
                        "false",
                    ),
                ],
                ..special("setup", "POST", "users/setup", Returns::Record)
            },
            Special {
                parameters: &[
                    Parameter {
                        is_required: true,
                        ..query(
                            "new_owner_uuid",
                            "string",
                            "User or project that gets the records.",
                        )
                    },
                    query(
                        "new_user_token",
                        "string",
                        "A token of the user who gets what yours has.",
                    ),
                    query("old_user_uuid", "string", "Whose things go; for administrators."),
                    query("new_user_uuid", "string", "Who gets them; for administrators."),
                    with_default(
                        query("redirect_to_new_user", "boolean", "Sign-in leads to the new user."),
                        "false",
                    ),
                ],
                ..special("merge", "POST", "users/merge", Returns::Record)
            },
            Special {
                parameters: &[UUID],
                ..special("activate", "POST", "users/{uuid}/activate", Returns::Record)
            },
            Special {
                parameters: &[UUID],
                ..special("unsetup", "POST", "users/{uuid}/unsetup", Returns::Record)
            },
            Special {
                parameters: &[
                    query("username", "string", "Short name or address of the user."),
                    query("password", "string", "The user's password."),
                ],
                ..special("authenticate", "POST", "users/authenticate", Returns::Object)
            },
        ],
        ..NONE
    },
    Entry {
        name: "virtual_machines",
        schema: "VirtualMachine",
        special: &[special(
            "get_all_logins",
            "GET",
            "virtual_machines/get_all_logins",
            Returns::Object,
        )],
        ..NONE
    },
    Entry {
        name: "vocabularies",
        schema: "Vocabulary",
        verbs: &[],
        special: &[special("get", "GET", "vocabulary", Returns::Object)],
        ..NONE
    },
    Entry {
        name: "workflows",
        schema: "Workflow",
        record: Some(Resource::Workflows),
        verbs: ALL,
        ..NONE
    },
];

/// The resource as the document has it.
pub(super) fn describe(entry: &Entry) -> Value {
    let mut methods = Map::new();
    for verb in entry.verbs {
        methods.insert(verb.name().to_owned(), usual(entry, *verb));
    }
    for special in entry.special {
        methods.insert(special.name.to_owned(), own(entry, special));
    }
    json!({ "methods": methods })
}

impl Verb {
    fn name(self) -> &'static str {
        match self {
            Get => "get",
            List => "list",
            Create => "create",
            Update => "update",
            Delete => "delete",
        }
    }

    fn http(self) -> &'static str {
        match self {
            Get | List => "GET",
            Create => "POST",
            Update => "PUT",
            Delete => "DELETE",
        }
    }

    fn parameters(self) -> &'static [Parameter] {
        match self {
            Get => &[UUID, SELECT, CLUSTER, BYPASS],
            List => LIST_PARAMETERS,
            Create => &[SELECT, UNIQUE, CLUSTER],
            Update => &[UUID, SELECT, BYPASS],
            Delete => &[UUID],
        }
    }

    fn words(self, schema: &str) -> String {
        match self {
            Get => format!("Get a {schema} record by UUID."),
            List => format!("Retrieve a {schema}List."),
            Create => format!("Create a new {schema}."),
            Update => format!("Update attributes of an existing {schema}."),
            Delete => format!("Delete an existing {schema}."),
        }
    }
}

fn usual(entry: &Entry, verb: Verb) -> Value {
    let more = entry.more.iter().filter(|(of, _)| *of == verb).flat_map(|(_, more)| *more);
    let path = match verb {
        Get | Update | Delete => format!("{}/{{uuid}}", entry.name),
        List | Create => entry.name.to_owned(),
    };
    let mut method = json!({
        "id": format!("arvados.{}.{}", entry.name, verb.name()),
        "path": path,
        "httpMethod": verb.http(),
        "description": verb.words(entry.schema),
        "parameters": parameters(verb.parameters().iter().chain(more)),
        "response": response(entry, if verb == List { Returns::List } else { Returns::Record }),
        "scopes": scopes(verb.http()),
    });
    if matches!(verb, Create | Update) {
        method["request"] = request(entry);
    }
    method
}

fn own(entry: &Entry, special: &Special) -> Value {
    let mut method = json!({
        "id": format!("arvados.{}.{}", entry.name, special.name),
        "path": special.path,
        "httpMethod": special.http,
        "description": format!("{} {}", special.http, special.path),
        "parameters": parameters(special.parameters.iter()),
        "response": response(entry, special.returns),
        "scopes": scopes(special.http),
    });
    if special.http != "GET" {
        // Without it clients refuse to send a body.
        method["request"] = json!({});
    }
    method
}

fn parameters<'p>(all: impl Iterator<Item = &'p Parameter>) -> Value {
    let described = |parameter: &Parameter| {
        let mut described = json!({
            "type": parameter.kind,
            "description": parameter.description,
            "required": parameter.is_required,
            "location": if parameter.is_in_path { "path" } else { "query" },
        });
        if let Some(default) = parameter.default {
            described["default"] = default.into();
        }
        (parameter.name.to_owned(), described)
    };
    all.map(described).collect::<Map<_, _>>().into()
}

/// The object under its own key, as bodies carry it.
fn request(entry: &Entry) -> Value {
    let Some(resource) = entry.record else { return json!({}) };
    let properties = Map::from_iter([(
        resource.singular().to_owned(),
        json!({ "$ref": entry.schema, "required": true }),
    )]);
    json!({ "required": true, "properties": properties })
}

/// Never left out: without it clients hand back bytes. What it refers to must be among the schemas.
fn response(entry: &Entry, returns: Returns) -> Value {
    match (returns, entry.record) {
        (Returns::Record, Some(_)) => json!({ "$ref": entry.schema }),
        (Returns::List, Some(_)) => json!({ "$ref": format!("{}List", entry.schema) }),
        (Returns::Object, _) | (_, None) => json!({}),
    }
}

fn scopes(http: &str) -> Value {
    const WRITE: &str = "https://api.arvados.org/auth/arvados";
    const READ: &str = "https://api.arvados.org/auth/arvados.readonly";
    if http == "GET" { json!([WRITE, READ]) } else { json!([WRITE]) }
}
