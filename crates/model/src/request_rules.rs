//! What a container request may say: defaults, checks, and what may change in which state.
//!
//! The rules are those of Arvados 3.2 (`container_request.rb`) and the mission's for services.
//! Pure: attributes as a client sent them go in, a whole request or every problem comes out.
//! Start at [`new_request`] and [`change_request`]; [`check_commit`] holds what must be true
//! before a container can be made.
//!
//! A bare minimum that can be committed: `container_image`, `output_path` with a mount of that
//! path, and `runtime_constraints` with `ram` and `vcpus`. An empty `command` means the image's own
//! (Arvados refuses one; nothing of its clients sends it).

mod connections;
mod mounts;
#[cfg(test)]
mod tests;
mod values;

use std::time::Duration;

use serde_json::{Value, json};

use crate::life::{IDLE_TIME, LifeLimits, MAX_RUN_TIME};
use crate::records::{ContainerRequest, JsonMap, RuntimeConstraints};
use crate::uuid::{RequestUuid, UserUuid};
use crate::{FieldError, PublishedPorts, RequestState, Timestamp};
pub use connections::CONNECTIONS_MAX;
pub use mounts::{BindPolicy, bind_mounts};
use values::Values;

/// Greatest priority (Arvados).
pub const PRIORITY_MAX: i64 = 1000;
/// Longest name, in bytes: a column in every list.
pub const NAME_BYTES_MAX: usize = 1000;
/// Most containers that may be tried for one request, and what is tried unless it says otherwise.
const CONTAINER_COUNT_MAX: i64 = 3;

/// What [`new_request`] needs beside the attributes.
#[derive(Debug, Clone)]
pub struct Origin {
    /// The new request's identifier.
    pub uuid: RequestUuid,
    /// Who makes it; also its owner, unless the attributes say otherwise.
    pub by: UserUuid,
    /// When.
    pub at: Timestamp,
}

/// Attributes that clients send back as they got them, and that only we set.
const READ_ONLY: &[&str] = &[
    "requesting_container_uuid",
    "container_uuid",
    "container_count",
    "log_uuid",
    "output_uuid",
    "cumulative_cost",
];

/// Attributes that may change in any state.
const ALWAYS: &[&str] = &["owner_uuid", "name", "description", "properties"];
/// Attributes that may also change while Committed.
const WHILE_COMMITTED: &[&str] = &["priority", "container_count_max", "expires_at"];

/// A new request of the attributes a client sent, with Arvados's defaults for the rest.
///
/// # Errors
/// Every problem, each naming its field.
pub fn new_request(
    attributes: &JsonMap,
    origin: &Origin,
) -> Result<ContainerRequest, Vec<FieldError>> {
    let mut request = blank(origin);
    let problems = apply(&mut request, attributes);
    let state = request.state;
    finish(request, problems, |problems| {
        if state == RequestState::Final {
            problems.push(FieldError::new("state", "of a new request is Uncommitted or Committed"));
        }
    })
}

/// `before` with the attributes a client sent.
///
/// # Errors
/// Every problem, each naming its field: bad values, and changes its state does not allow.
pub fn change_request(
    before: &ContainerRequest,
    attributes: &JsonMap,
) -> Result<ContainerRequest, Vec<FieldError>> {
    let mut after = before.clone();
    let problems = apply(&mut after, attributes);
    let after_state = after.state;
    let frozen = frozen_changes(before, &after);
    finish(after, problems, |problems| {
        if !before.state.can_become(after_state) {
            let problem = format!("cannot go from {} to {after_state}", before.state);
            problems.push(FieldError::new("state", problem));
        } else if after_state == RequestState::Final && before.state != RequestState::Final {
            let problem = "becomes Final by itself when the container ends; \
                           to end it, set priority to 0";
            problems.push(FieldError::new("state", problem));
        }
        problems.extend(frozen);
    })
}

fn finish(
    request: ContainerRequest,
    mut problems: Vec<FieldError>,
    check: impl FnOnce(&mut Vec<FieldError>),
) -> Result<ContainerRequest, Vec<FieldError>> {
    check(&mut problems);
    check_required(&request, &mut problems);
    if problems.is_empty() { Ok(request) } else { Err(problems) }
}

/// What must hold before a container can be made: resources, an output path that is a mount, and
/// only what this version can run. Call it when a request becomes Committed.
///
/// # Errors
/// Every problem, each naming its field.
pub fn check_commit(
    request: &ContainerRequest,
    binds: BindPolicy<'_>,
) -> Result<(), Vec<FieldError>> {
    let mut problems = Vec::new();
    let RuntimeConstraints { ram, vcpus, ref gpu, .. } = request.runtime_constraints;
    if ram == 0 {
        let problem = "must be a positive number of bytes, such as 268435456";
        problems.push(FieldError::new("runtime_constraints.ram", problem));
    }
    if vcpus == 0 {
        let problem = "must be a positive number of CPUs, such as 1";
        problems.push(FieldError::new("runtime_constraints.vcpus", problem));
    }
    if gpu.get("device_count").and_then(Value::as_u64).unwrap_or(0) > 0 {
        let problem = "asks for GPUs, which are not supported yet";
        problems.push(FieldError::new("runtime_constraints.gpu", problem));
    }
    mounts::check_supported(request, binds, &mut problems);
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

/// What committing sets on the request itself: Arvados marks runners, so that they do not take
/// the places of what they submit.
pub fn mark_supervisor(request: &mut ContainerRequest) {
    if request.command.first().is_some_and(|program| program == "arvados-cwl-runner") {
        request.scheduling_parameters.insert("supervisor".to_owned(), Value::Bool(true));
    }
}

/// How long services of a site may live.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ServiceLives {
    /// Where a service says nothing, and the most that it may say.
    pub max_run: LifeRange,
    /// The same for the time that nobody uses it.
    pub idle: LifeRange,
}

/// A default and a ceiling; none is no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LifeRange {
    /// For services that say nothing.
    pub default: Option<Duration>,
    /// The longest; who asks for no limit gets it.
    pub max: Option<Duration>,
}

/// Gives a service that says nothing the site's limits, and holds the others to its ceilings. Other requests stay as
/// they are.
///
/// # Errors
/// A limit beyond its ceiling, each naming its field.
pub fn limit_life(
    request: &mut ContainerRequest,
    lives: &ServiceLives,
) -> Result<(), Vec<FieldError>> {
    if !request.service {
        return Ok(());
    }
    let said = LifeLimits::of(&request.scheduling_parameters);
    let mut problems = Vec::new();
    for (name, said, range) in
        [(MAX_RUN_TIME, said.max_run, lives.max_run), (IDLE_TIME, said.idle, lives.idle)]
    {
        match (said, range.max) {
            (Some(said), Some(most)) if said > most => problems.push(FieldError::new(
                format!("scheduling_parameters.{name}"),
                format!(
                    "is {} s; services of this site may have {} s ({}) at most",
                    said.as_secs(),
                    most.as_secs(),
                    crate::life::duration_words(most)
                ),
            )),
            (Some(_), _) => {}
            (None, most) => {
                let given = match (range.default, most) {
                    (Some(default), Some(most)) => Some(default.min(most)),
                    (one, other) => one.or(other),
                };
                if let Some(given) = given {
                    let seconds = given.as_secs().into();
                    request.scheduling_parameters.insert(name.to_owned(), seconds);
                }
            }
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

/// A request with Arvados's defaults and nothing else.
fn blank(origin: &Origin) -> ContainerRequest {
    ContainerRequest {
        uuid: origin.uuid,
        owner_uuid: origin.by.to_string(),
        created_at: origin.at,
        modified_at: origin.at,
        modified_by_user_uuid: origin.by,
        name: String::new(),
        description: None,
        properties: JsonMap::new(),
        state: RequestState::Uncommitted,
        requesting_container_uuid: None,
        container_uuid: None,
        container_count: 0,
        container_count_max: 3,
        mounts: JsonMap::new(),
        secret_mounts: JsonMap::new(),
        runtime_token: None,
        runtime_constraints: values::default_constraints(),
        scheduling_parameters: values::default_scheduling(),
        container_image: String::new(),
        environment: JsonMap::new(),
        cwd: ".".to_owned(),
        command: Vec::new(),
        output_path: String::new(),
        output_glob: Vec::new(),
        output_name: None,
        output_ttl: 0,
        priority: 0,
        use_existing: true,
        log_uuid: None,
        output_uuid: None,
        expires_at: None,
        filters: None,
        output_storage_classes: vec!["default".to_owned()],
        output_properties: JsonMap::new(),
        cumulative_cost: 0.0,
        service: false,
        published_ports: PublishedPorts::default(),
    }
}

/// Sets every attribute that was sent, and answers what is wrong with them.
fn apply(request: &mut ContainerRequest, attributes: &JsonMap) -> Vec<FieldError> {
    let mut values = Values::new(attributes);
    values.owner(&mut request.owner_uuid);
    values.text("name", &mut request.name);
    values.optional_text("description", &mut request.description);
    values.object("properties", &mut request.properties);
    values.state(&mut request.state);
    values.integer_u32("container_count_max", 0..=1000, &mut request.container_count_max);
    if request.container_count_max == 0 {
        // Arvados: blank means the default.
        request.container_count_max = u32::try_from(CONTAINER_COUNT_MAX).unwrap_or(3);
    }
    values.object("mounts", &mut request.mounts);
    values.object("secret_mounts", &mut request.secret_mounts);
    values.optional_text("runtime_token", &mut request.runtime_token);
    values.constraints(&mut request.runtime_constraints);
    values.scheduling(&mut request.scheduling_parameters);
    values.text("container_image", &mut request.container_image);
    values.environment(&mut request.environment);
    values.text("cwd", &mut request.cwd);
    values.strings("command", &mut request.command);
    values.text("output_path", &mut request.output_path);
    values.strings("output_glob", &mut request.output_glob);
    values.optional_text("output_name", &mut request.output_name);
    values.integer("output_ttl", 0..=i64::MAX, &mut request.output_ttl);
    values.integer("priority", 0..=PRIORITY_MAX, &mut request.priority);
    values.boolean("use_existing", &mut request.use_existing);
    values.time("expires_at", &mut request.expires_at);
    values.json("filters", &mut request.filters);
    values.strings("output_storage_classes", &mut request.output_storage_classes);
    values.object("output_properties", &mut request.output_properties);
    values.boolean("service", &mut request.service);
    values.published_ports(&mut request.published_ports);
    values.refuse_unknown(READ_ONLY);
    let mut problems = values.into_problems();
    check_service(request, attributes, &mut problems);
    mounts::check(&request.mounts, &request.secret_mounts, &mut problems);
    if request.output_storage_classes.is_empty() {
        request.output_storage_classes.push("default".to_owned());
    }
    problems
}

/// A service is a thing of its own: never a container that somebody else started.
fn check_service(
    request: &mut ContainerRequest,
    attributes: &JsonMap,
    problems: &mut Vec<FieldError>,
) {
    if !request.service || !request.use_existing {
        return;
    }
    let said = attributes.get("use_existing").is_some_and(|value| !value.is_null());
    if said {
        let problem = "must be false where service is true: \
                       a service is never shared with an earlier request";
        problems.push(FieldError::new("use_existing", problem));
    } else {
        request.use_existing = false;
    }
}

fn check_required(request: &ContainerRequest, problems: &mut Vec<FieldError>) {
    let mut required = |field: &str, empty: bool, example: &str| {
        // A value of the wrong type was reported as that already.
        if empty && !problems.iter().any(|problem| problem.field == field) {
            problems.push(FieldError::new(field, format!("must not be empty: {example}")));
        }
    };
    required("container_image", request.container_image.is_empty(), "name an image");
    required(
        "output_path",
        request.output_path.is_empty(),
        "give an absolute path, such as \"/out\"",
    );
    required("cwd", request.cwd.is_empty(), "\".\" means the image's own");
    required("owner_uuid", request.owner_uuid.is_empty(), "leave it out to own it yourself");
    if request.name.len() > NAME_BYTES_MAX {
        problems.push(FieldError::new("name", format!("is longer than {NAME_BYTES_MAX} bytes")));
    }
    if request.command.iter().any(|word| word.contains('\0')) {
        problems.push(FieldError::new("command", "must not contain a NUL character"));
    }
    let absolute = request.output_path.is_empty() || request.output_path.starts_with('/');
    if !absolute {
        let problem = format!("must be an absolute path, is {:?}", request.output_path);
        problems.push(FieldError::new("output_path", problem));
    }
    if absolute
        && !request.output_path.is_empty()
        && !request.mounts.contains_key(&request.output_path)
    {
        let problem = format!(
            "must be the target of a mount: add {:?}: {{\"kind\": \"tmp\", \"capacity\": 1073741824}} \
             to mounts",
            request.output_path
        );
        problems.push(FieldError::new("output_path", problem));
    }
    if !request.cwd.is_empty() && request.cwd != "." && !request.cwd.starts_with('/') {
        let problem = format!("must be \".\" or an absolute path, is {:?}", request.cwd);
        problems.push(FieldError::new("cwd", problem));
    }
}

/// Changes that the state before does not allow any more.
fn frozen_changes(before: &ContainerRequest, after: &ContainerRequest) -> Vec<FieldError> {
    if before.state == RequestState::Uncommitted {
        return Vec::new();
    }
    let (old, new) = (comparable(before), comparable(after));
    let is_committed = before.state == RequestState::Committed;
    let allowed = |name: &str| {
        name == "state"
            || ALWAYS.contains(&name)
            || (is_committed && WHILE_COMMITTED.contains(&name))
            || (is_committed && name == "scheduling_parameters" && only_life_differs(before, after))
    };
    new.iter()
        .filter(|(name, value)| !allowed(name) && old.get(name.as_str()) != Some(value))
        .map(|(name, _)| {
            let except = match name.as_str() {
                "scheduling_parameters" if is_committed => ", but for max_run_time and idle_time",
                _ => "",
            };
            let problem = format!("cannot be changed once the request is {}{except}", before.state);
            FieldError::new(name, problem)
        })
        .collect()
}

/// A request as JSON in which values that mean the same are the same.
fn comparable(request: &ContainerRequest) -> JsonMap {
    let Ok(Value::Object(mut map)) = serde_json::to_value(request) else { return JsonMap::new() };
    map.insert("mounts".to_owned(), crate::mounts::without_zeroes(&request.mounts));
    map.insert("secret_mounts".to_owned(), json!(request.secret_mounts));
    map.insert("runtime_token".to_owned(), json!(request.runtime_token));
    map
}

/// What may be said of `scheduling_parameters` while Committed: how long it lives, and nothing else.
fn only_life_differs(before: &ContainerRequest, after: &ContainerRequest) -> bool {
    let fixed = |request: &ContainerRequest| {
        let mut rest = request.scheduling_parameters.clone();
        rest.retain(|name, _| name != MAX_RUN_TIME && name != IDLE_TIME);
        rest
    };
    fixed(before) == fixed(after)
}
