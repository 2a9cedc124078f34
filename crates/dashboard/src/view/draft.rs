//! A service that is about to be launched: the form's fields, the request that they make, and the command that would do
//! the same. Pure: the preview and the launch are made by the same [`Draft::request`].

use std::collections::BTreeMap;

use client::NewRequest;
use config::ByteSize;
use model::life::{IDLE_TIME, MAX_RUN_TIME, duration_words, parse_duration};
use model::site::Capacity;
use model::{
    Access, ContainerPort, ContainerRequest, JsonMap, LifeLimits, PublishedPort, PublishedPorts,
    RequestState, RequestUuid,
};
use serde_json::{Value, json};

use super::{shell, size};
use crate::config::Template;

/// In the middle of 1 to 1000, as `wharf run` has it.
const PRIORITY: u32 = 500;
/// Where a program leaves what it made.
const OUTPUT_PATH: &str = "/out";
/// Of that directory.
const OUTPUT_CAPACITY: u64 = 1 << 30;
/// Rows of ports that the form has room for.
pub(crate) const PORT_ROWS_MAX: usize = 20;

/// What a copy takes over from its original beside what the form shows. Secret mounts and tokens cannot be read back.
const KEPT: [&str; 16] = [
    "container_count_max",
    "cwd",
    "description",
    "environment",
    "mounts",
    "output_glob",
    "output_name",
    "output_path",
    "output_properties",
    "output_storage_classes",
    "output_ttl",
    "owner_uuid",
    "properties",
    "runtime_constraints",
    "scheduling_parameters",
    "service",
];

/// The form, as it was filled in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Draft {
    /// The request that this began as a copy of.
    pub(crate) from: Option<RequestUuid>,
    pub(crate) name: String,
    pub(crate) image: String,
    pub(crate) command: String,
    /// `NAME=value` lines.
    pub(crate) environment: String,
    pub(crate) cpus: String,
    pub(crate) ram: String,
    /// How long nobody may use it, in words; empty for the site's default.
    pub(crate) idle: String,
    /// How long it may run, in words; empty for the site's default.
    pub(crate) max_life: String,
    pub(crate) host_name: String,
    pub(crate) ports: Vec<PortDraft>,
}

/// One row of ports.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct PortDraft {
    pub(crate) port: String,
    pub(crate) label: String,
    pub(crate) is_public: bool,
    pub(crate) path: String,
}

/// What is wrong with one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wrong {
    /// The field's name in the form; `port-1`, `label-1`, `path-1` for the second row of ports; empty for the whole.
    pub(crate) field: String,
    /// A sentence without its end.
    pub(crate) words: String,
}

impl Wrong {
    fn new(field: impl Into<String>, words: impl Into<String>) -> Self {
        Self { field: field.into(), words: words.into() }
    }
}

impl PortDraft {
    fn is_empty(&self) -> bool {
        [&self.port, &self.label, &self.path].iter().all(|text| text.trim().is_empty())
    }
}

impl Draft {
    /// What a blank form has.
    pub(crate) fn blank() -> Self {
        Self {
            cpus: "1".to_owned(),
            ram: "1GiB".to_owned(),
            ports: vec![PortDraft::default()],
            ..Self::default()
        }
    }

    pub(crate) fn of_template(template: &Template) -> Self {
        Self {
            name: template.name.to_lowercase(),
            image: template.image.clone(),
            command: shell::join(&template.command),
            cpus: template.vcpus.to_string(),
            ram: ByteSize::bytes(template.ram_bytes).to_string(),
            idle: template.idle.map(duration_words).unwrap_or_default(),
            max_life: template.max_life.map(duration_words).unwrap_or_default(),
            ports: ports_of(&template.ports),
            ..Self::default()
        }
    }

    pub(crate) fn of_request(request: &ContainerRequest) -> Self {
        let variables = request.environment.iter();
        let environment: Vec<String> = variables
            .map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or_default()))
            .collect();
        let constraints = &request.runtime_constraints;
        let limits = LifeLimits::of(&request.scheduling_parameters);
        Self {
            from: Some(request.uuid),
            name: request.name.clone(),
            image: image_of(request).to_owned(),
            command: shell::join(&request.command),
            environment: environment.join("\n"),
            cpus: constraints.vcpus.to_string(),
            ram: ByteSize::bytes(constraints.ram).to_string(),
            idle: limits.idle.map(duration_words).unwrap_or_default(),
            max_life: limits.max_run.map(duration_words).unwrap_or_default(),
            host_name: String::new(),
            ports: ports_of(&request.published_ports),
        }
    }

    /// Of a form's or an address's pairs; other names are passed over.
    pub(crate) fn of_pairs<'p>(
        pairs: impl Iterator<Item = (std::borrow::Cow<'p, str>, std::borrow::Cow<'p, str>)>,
    ) -> Self {
        let mut draft = Self::default();
        for (name, value) in pairs {
            let value = value.into_owned();
            match &*name {
                "from" => draft.from = RequestUuid::parse(&value).ok(),
                "name" => draft.name = value,
                "image" => draft.image = value,
                "command" => draft.command = value,
                "environment" => draft.environment = value,
                "cpus" => draft.cpus = value,
                "ram" => draft.ram = value,
                "idle" => draft.idle = value,
                "max_life" => draft.max_life = value,
                "host_name" => draft.host_name = value,
                // A row begins with its port; browsers send the fields in their order.
                "port" if draft.ports.len() < PORT_ROWS_MAX => {
                    draft.ports.push(PortDraft { port: value, ..PortDraft::default() });
                }
                "label" | "access" | "path" => {
                    if let Some(row) = draft.ports.last_mut() {
                        match &*name {
                            "label" => row.label = value,
                            "access" => row.is_public = value == "public",
                            _ => row.path = value,
                        }
                    }
                }
                _ => {}
            }
        }
        draft
    }

    /// The attributes to post. `original` is the request that this is a copy of.
    pub(crate) fn request(
        &self,
        original: Option<&ContainerRequest>,
    ) -> Result<JsonMap, Vec<Wrong>> {
        let mut wrong = Vec::new();
        let command = shell::split(&self.command).unwrap_or_else(|words| {
            wrong.push(Wrong::new("command", words));
            Vec::new()
        });
        let image = self.image.trim().to_owned();
        if image.is_empty() {
            wrong.push(Wrong::new("image", "is needed: choose one of the images"));
        }
        let environment = self.environment(&mut wrong);
        let ports = self.ports(&mut wrong);
        let constraints = self.constraints(&mut wrong);
        let life = self.life(&mut wrong);
        if !self.host_name.trim().is_empty() && ports.is_empty() {
            wrong.push(Wrong::new("host_name", "needs a port to lead to"));
        }
        if !wrong.is_empty() {
            return Err(wrong);
        }
        let new = NewRequest {
            name: self.name.trim().to_owned(),
            state: RequestState::Committed,
            priority: PRIORITY,
            command,
            container_image: original.map_or(image.clone(), |it| same_image(it, &image)),
            environment,
            cwd: ".".to_owned(),
            output_path: OUTPUT_PATH.to_owned(),
            mounts: JsonMap::from_iter([(
                OUTPUT_PATH.to_owned(),
                json!({ "kind": "tmp", "capacity": OUTPUT_CAPACITY }),
            )]),
            runtime_constraints: constraints,
            scheduling_parameters: life,
            service: true,
            use_existing: false,
            published_ports: ports,
            ..NewRequest::default()
        };
        let mut attributes = object(serde_json::to_value(new));
        if let Some(original) = original {
            keep(&mut attributes, original);
        }
        Ok(attributes)
    }

    fn environment(&self, wrong: &mut Vec<Wrong>) -> BTreeMap<String, String> {
        let mut variables = BTreeMap::new();
        for line in self.environment.lines().filter(|line| !line.trim().is_empty()) {
            match line.split_once('=') {
                Some((name, value)) if !name.trim().is_empty() && !name.contains(' ') => {
                    variables.insert(name.to_owned(), value.trim_end_matches('\r').to_owned());
                }
                _ => {
                    let shown: String = line.chars().take(40).collect();
                    let words = format!("has the line `{shown}`; each must be NAME=value");
                    wrong.push(Wrong::new("environment", words));
                }
            }
        }
        variables
    }

    fn ports(&self, wrong: &mut Vec<Wrong>) -> PublishedPorts {
        let mut ports = PublishedPorts::default();
        for (index, row) in self.ports.iter().enumerate().filter(|(_, row)| !row.is_empty()) {
            let Ok(port) = ContainerPort::parse(row.port.trim()) else {
                wrong.push(Wrong::new(
                    format!("port-{index}"),
                    "must be a number from 1 to 65535, where the program listens",
                ));
                continue;
            };
            if ports.get(port).is_some() {
                wrong.push(Wrong::new(format!("port-{index}"), "is there twice"));
            }
            if row.label.trim().is_empty() {
                let words = "must not be empty: it names the button people click";
                wrong.push(Wrong::new(format!("label-{index}"), words));
            }
            let access = if row.is_public { Access::Public } else { Access::Private };
            ports.insert(port, PublishedPort::new(access, row.label.trim(), row.path.trim()));
        }
        ports
    }

    /// Only what is filled in: where nothing is said, the site's defaults hold.
    fn life(&self, wrong: &mut Vec<Wrong>) -> JsonMap {
        let mut life = JsonMap::new();
        for (field, name, text) in
            [("max_life", MAX_RUN_TIME, &self.max_life), ("idle", IDLE_TIME, &self.idle)]
        {
            match parse_duration(text) {
                _ if text.trim().is_empty() => {}
                Ok(length) => drop(life.insert(name.to_owned(), length.as_secs().into())),
                Err(_no_length) => {
                    wrong.push(Wrong::new(
                        field,
                        "must be a length of time such as 30 min, 2 h or 3 d",
                    ));
                }
            }
        }
        life
    }

    fn constraints(&self, wrong: &mut Vec<Wrong>) -> JsonMap {
        let vcpus = self.cpus.trim().parse::<u32>().ok().filter(|n| *n > 0);
        if vcpus.is_none() {
            wrong.push(Wrong::new("cpus", "must be a whole number, 1 or more"));
        }
        let ram = self.ram.trim().parse::<ByteSize>().ok().filter(|size| size.get() > 0);
        if ram.is_none() {
            wrong.push(Wrong::new("ram", "must be a size such as 512MiB or 2GiB"));
        }
        JsonMap::from_iter([
            ("ram".to_owned(), ram.map_or(0, ByteSize::get).into()),
            ("vcpus".to_owned(), vcpus.unwrap_or(0).into()),
        ])
    }

    /// What is more than all there is for containers together: it would wait for ever.
    pub(crate) fn too_much(&self, room: &Capacity) -> Vec<Wrong> {
        let cpus = self.cpus.trim().parse::<u32>().map(u64::from).ok();
        let ram = self.ram.trim().parse::<ByteSize>().ok().map(ByteSize::get);
        let asked = [
            ("cpus", cpus, room.vcpus, room.vcpus.most.to_string()),
            ("ram", ram, room.ram_bytes, size::words(room.ram_bytes.most)),
        ];
        asked
            .into_iter()
            .filter(|(_, asked, share, _)| {
                share.most > 0 && asked.is_some_and(|it| it > share.most)
            })
            .map(|(field, _, _, most)| {
                Wrong::new(
                    field,
                    format!("must be at most {most}: that is all there is for services"),
                )
            })
            .collect()
    }

    /// `wharf run …`, one flag a line. What the command has no flag for stands behind `#`.
    pub(crate) fn command_line(&self) -> String {
        let mut lines = vec!["wharf run".to_owned()];
        let mut flag = |name: &str, value: &str| {
            if !value.trim().is_empty() {
                lines.push(format!("  --{name} {}", shell::quoted(value.trim())));
            }
        };
        flag("name", &self.name);
        flag("image", &self.image);
        let mut has_path = false;
        for row in self.ports.iter().filter(|row| !row.is_empty()) {
            let access = if row.is_public { "public" } else { "private" };
            flag("publish", &format!("{}:{access}:{}", row.port.trim(), row.label.trim()));
            has_path |= !row.path.trim().is_empty();
        }
        flag("hostname", &self.host_name);
        for line in self.environment.lines() {
            flag("env", line);
        }
        flag("cpus", &self.cpus);
        flag("ram", &self.ram);
        flag("idle", &compact(&self.idle));
        flag("max-life", &compact(&self.max_life));
        if let Ok(words) = shell::split(&self.command)
            && !words.is_empty()
        {
            lines.push(format!("  -- {}", shell::join(&words)));
        }
        let mut text = lines.join(" \\\n");
        if has_path {
            text.push_str("\n# the paths of ports are the form's alone");
        }
        if self.from.is_some() {
            text.push_str("\n# mounts and properties of the original are kept by the form alone");
        }
        text
    }

    /// What the API says is wrong, at the field that it is about.
    pub(crate) fn place_wrong(&self, text: &str) -> Wrong {
        let (field, problem) = text.split_once([' ', ':']).unwrap_or((text, ""));
        let words = if problem.is_empty() { text } else { problem.trim_start() };
        if let Some(rest) = field.strip_prefix("published_ports[\"") {
            let (port, attribute) = rest.split_once("\"]").unwrap_or((rest, ""));
            let row = self.ports.iter().position(|row| row.port.trim() == port).unwrap_or(0);
            let part = match attribute {
                ".label" => "label",
                ".initial_path" => "path",
                _ => "port",
            };
            return Wrong::new(format!("{part}-{row}"), words);
        }
        let known = match field {
            "name" => "name",
            "container_image" => "image",
            "command" => "command",
            "environment" => "environment",
            "runtime_constraints.ram" => "ram",
            "runtime_constraints.vcpus" => "cpus",
            "scheduling_parameters.max_run_time" => "max_life",
            "scheduling_parameters.idle_time" => "idle",
            _ => return Wrong::new("", text),
        };
        Wrong::new(known, words)
    }
}

/// The attributes that make the same request again, of one that is or was.
pub(crate) fn same_again(original: &ContainerRequest) -> JsonMap {
    let whole = object(serde_json::to_value(original));
    let mut attributes = JsonMap::new();
    for name in
        KEPT.iter().copied().chain(["name", "command", "container_image", "published_ports"])
    {
        if let Some(value) = whole.get(name) {
            attributes.insert(name.to_owned(), value.clone());
        }
    }
    let priority = if original.priority > 0 { original.priority } else { PRIORITY.into() };
    attributes.insert("priority".to_owned(), priority.into());
    attributes.insert("state".to_owned(), "Committed".into());
    attributes.insert("use_existing".to_owned(), false.into());
    attributes
}

/// Puts what the form does not show into a copy, and leaves what it shows as it was filled in.
fn keep(attributes: &mut JsonMap, original: &ContainerRequest) {
    let shown = ["environment", "service"];
    let whole = object(serde_json::to_value(original));
    for name in KEPT.iter().copied().filter(|name| !shown.contains(name)) {
        let Some(kept) = whole.get(name) else { continue };
        if name == "runtime_constraints" {
            let mut constraints = kept.as_object().cloned().unwrap_or_default();
            if let Some(Value::Object(filled_in)) = attributes.get(name) {
                constraints.extend(filled_in.clone());
            }
            attributes.insert(name.to_owned(), constraints.into());
        } else if name == "scheduling_parameters" {
            let mut parameters = kept.as_object().cloned().unwrap_or_default();
            // The form shows these: what is empty there is meant so.
            parameters.retain(|name, _| name != MAX_RUN_TIME && name != IDLE_TIME);
            if let Some(Value::Object(filled_in)) = attributes.get(name) {
                parameters.extend(filled_in.clone());
            }
            attributes.insert(name.to_owned(), parameters.into());
        } else {
            attributes.insert(name.to_owned(), kept.clone());
        }
    }
}

/// `2h30min`, which a shell takes as one word.
fn compact(length: &str) -> String {
    length.split_whitespace().collect()
}

/// What people call the image of a request.
pub(crate) fn image_of(request: &ContainerRequest) -> &str {
    let name = request.properties.get("container_image_name").and_then(Value::as_str);
    name.unwrap_or(&request.container_image)
}

/// The very image of the original, unless another one was chosen: its name may mean a newer one by now.
fn same_image(original: &ContainerRequest, chosen: &str) -> String {
    let same = chosen == image_of(original);
    if same { original.container_image.clone() } else { chosen.to_owned() }
}

fn ports_of(ports: &PublishedPorts) -> Vec<PortDraft> {
    let rows = ports.iter().map(|(port, entry)| PortDraft {
        port: port.to_string(),
        label: entry.label.clone(),
        is_public: entry.access == Access::Public,
        path: entry.initial_path.clone(),
    });
    rows.collect()
}

fn object(value: Result<Value, serde_json::Error>) -> JsonMap {
    match value {
        Ok(Value::Object(map)) => map,
        _ => JsonMap::new(),
    }
}

#[cfg(test)]
mod tests;
