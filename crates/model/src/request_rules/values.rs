//! Reading one attribute after the other out of what a client sent, collecting what is wrong.
//!
//! Null means the default. Numbers also come as text (`"0"` is how one client cancels).

use std::ops::RangeInclusive;

use serde_json::{Value, json};

use super::connections::connections;
use crate::life::{IDLE_TIME, MAX_RUN_TIME};
use crate::records::{JsonMap, RuntimeConstraints, is_read_only};
use crate::{FieldError, PublishedPorts, RequestState, Timestamp};

/// A century; more would not fit into times.
const SECONDS_MAX: i64 = 100 * 366 * 86_400;

/// The attributes, which of them were read, and the problems so far.
pub(super) struct Values<'a> {
    attributes: &'a JsonMap,
    read: Vec<&'static str>,
    problems: Vec<FieldError>,
}

pub(super) fn default_constraints() -> RuntimeConstraints {
    RuntimeConstraints { gpu: default_gpu(), ..RuntimeConstraints::default() }
}

fn default_gpu() -> JsonMap {
    object(json!({
        "device_count": 0, "driver_version": "", "hardware_target": [], "stack": "", "vram": 0
    }))
}

pub(super) fn default_scheduling() -> JsonMap {
    object(json!({
        "max_run_time": 0, "partitions": [], "preemptible": false, "supervisor": false
    }))
}

fn object(value: Value) -> JsonMap {
    if let Value::Object(map) = value { map } else { JsonMap::new() }
}

/// An integer as a number, also `500.0`, or as decimal text.
pub(super) fn as_integer(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64().or_else(|| {
            let float = number.as_f64()?;
            // Exact below 2^53, and nothing here is greater.
            let exact = float.fract() == 0.0 && float.abs() < 9_007_199_254_740_992.0;
            if exact { format!("{float:.0}").parse().ok() } else { None }
        }),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

fn as_boolean(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(flag) => Some(*flag),
        Value::String(text) if text == "true" => Some(true),
        Value::String(text) if text == "false" => Some(false),
        _ => None,
    }
}

/// A list of text; the problem names the member that is none.
fn as_strings(value: &Value) -> Result<Vec<String>, String> {
    let Value::Array(list) = value else {
        return Err("must be a list of text".to_owned());
    };
    list.iter()
        .enumerate()
        .map(|(at, member)| match member {
            Value::String(text) => Ok(text.clone()),
            other => Err(format!("must be a list of text; member {at} is {}", shown(other))),
        })
        .collect()
}

/// A value as JSON, cut to what fits an error.
pub(super) fn shown(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() <= 60 { text } else { text.chars().take(60).chain(['…']).collect() }
}

impl<'a> Values<'a> {
    pub(super) fn new(attributes: &'a JsonMap) -> Self {
        Self { attributes, read: Vec::new(), problems: Vec::new() }
    }

    pub(super) fn into_problems(self) -> Vec<FieldError> {
        self.problems
    }

    /// The value, where it was sent. A null is answered too.
    fn take(&mut self, name: &'static str) -> Option<&'a Value> {
        self.read.push(name);
        self.attributes.get(name)
    }

    fn refuse(&mut self, field: impl Into<String>, problem: impl Into<String>) {
        self.problems.push(FieldError::new(field, problem));
    }

    /// Every attribute that was sent and that nobody reads.
    pub(super) fn refuse_unknown(&mut self, read_only: &[&str]) {
        for name in self.attributes.keys() {
            if !self.read.contains(&name.as_str()) && !is_read_only(name, read_only) {
                let name: String = name.chars().take(60).collect();
                self.problems.push(FieldError::new(name, "is no attribute of container requests"));
            }
        }
    }

    pub(super) fn text(&mut self, name: &'static str, into: &mut String) {
        match self.take(name) {
            None => {}
            Some(Value::Null) => into.clear(),
            Some(Value::String(text)) if text.contains('\0') => {
                self.refuse(name, "must not contain a NUL character");
            }
            Some(Value::String(text)) => into.clone_from(text),
            Some(other) => self.refuse(name, format!("must be text, is {}", shown(other))),
        }
    }

    /// The owner; null and blank leave it as it is.
    pub(super) fn owner(&mut self, into: &mut String) {
        let mut owner = String::new();
        self.text("owner_uuid", &mut owner);
        if !owner.is_empty() {
            *into = owner;
        }
    }

    /// Text of which blank means none.
    pub(super) fn optional_text(&mut self, name: &'static str, into: &mut Option<String>) {
        let mut text = into.take().unwrap_or_default();
        self.text(name, &mut text);
        *into = Some(text).filter(|text| !text.is_empty());
    }

    pub(super) fn boolean(&mut self, name: &'static str, into: &mut bool) {
        match self.take(name) {
            None | Some(Value::Null) => {}
            Some(value) => match as_boolean(value) {
                Some(flag) => *into = flag,
                None => self.refuse(name, format!("must be true or false, is {}", shown(value))),
            },
        }
    }

    pub(super) fn integer(
        &mut self,
        name: &'static str,
        range: RangeInclusive<i64>,
        into: &mut i64,
    ) {
        let Some(value) = self.take(name) else { return };
        if value.is_null() {
            *into = 0;
            return;
        }
        match as_integer(value).filter(|number| range.contains(number)) {
            Some(number) => *into = number,
            None => {
                let (least, most) = (range.start(), range.end());
                let bounds = if *most == i64::MAX {
                    format!("of at least {least}")
                } else {
                    format!("from {least} to {most}")
                };
                self.refuse(name, format!("must be an integer {bounds}, is {}", shown(value)));
            }
        }
    }

    pub(super) fn integer_u32(
        &mut self,
        name: &'static str,
        range: RangeInclusive<i64>,
        into: &mut u32,
    ) {
        let mut number = i64::from(*into);
        self.integer(name, range, &mut number);
        *into = u32::try_from(number).unwrap_or(*into);
    }

    pub(super) fn time(&mut self, name: &'static str, into: &mut Option<Timestamp>) {
        match self.take(name) {
            None => {}
            Some(Value::Null) => *into = None,
            Some(value) => match value.as_str().and_then(|text| text.trim().parse().ok()) {
                Some(time) => *into = Some(time),
                None => self.refuse(
                    name,
                    format!("must be a time such as 2026-01-31T12:00:00Z, is {}", shown(value)),
                ),
            },
        }
    }

    pub(super) fn json(&mut self, name: &'static str, into: &mut Option<Value>) {
        if let Some(value) = self.take(name) {
            *into = Some(value.clone()).filter(|value| !value.is_null());
        }
    }

    pub(super) fn object(&mut self, name: &'static str, into: &mut JsonMap) {
        match self.take(name) {
            None => {}
            Some(Value::Null) => into.clear(),
            Some(Value::Object(map)) => into.clone_from(map),
            Some(other) => self.refuse(name, format!("must be an object, is {}", shown(other))),
        }
    }

    pub(super) fn strings(&mut self, name: &'static str, into: &mut Vec<String>) {
        match self.take(name) {
            None => {}
            Some(Value::Null) => into.clear(),
            Some(value) => match as_strings(value) {
                Ok(list) => *into = list,
                Err(problem) => self.refuse(name, problem),
            },
        }
    }

    pub(super) fn state(&mut self, into: &mut RequestState) {
        match self.take("state") {
            None | Some(Value::Null) => {}
            Some(value) => match value.as_str().and_then(|text| text.parse().ok()) {
                Some(state) => *into = state,
                None => self.refuse(
                    "state",
                    format!("must be Uncommitted, Committed or Final, is {}", shown(value)),
                ),
            },
        }
    }

    pub(super) fn published_ports(&mut self, into: &mut PublishedPorts) {
        match self.take("published_ports") {
            None => {}
            Some(Value::Null) => *into = PublishedPorts::default(),
            Some(value) => match PublishedPorts::parse(value) {
                Ok(ports) => *into = ports,
                Err(problems) => self.problems.extend(problems),
            },
        }
    }

    pub(super) fn environment(&mut self, into: &mut JsonMap) {
        self.object("environment", into);
        for (name, value) in into.iter() {
            let field = format!("environment[{:?}]", name.chars().take(60).collect::<String>());
            let problem = if name.is_empty() || name.contains(['=', '\0']) {
                "is no name of a variable: it must not be empty nor contain = or NUL".to_owned()
            } else {
                match value {
                    Value::String(text) if text.contains('\0') => {
                        "must not contain a NUL character".to_owned()
                    }
                    Value::String(_) => continue,
                    other => format!("must be text, is {}: put it in quotes", shown(other)),
                }
            };
            self.problems.push(FieldError::new(field, problem));
        }
    }

    /// Resources; what is left out is zero. `cuda`, the older word for `gpu`, is accepted empty.
    pub(super) fn constraints(&mut self, into: &mut RuntimeConstraints) {
        let mut sent = JsonMap::new();
        if self.take("runtime_constraints").is_none() {
            return;
        }
        self.object("runtime_constraints", &mut sent);
        let mut constraints = default_constraints();
        for (name, value) in &sent {
            let field =
                format!("runtime_constraints.{}", name.chars().take(60).collect::<String>());
            let number = || as_integer(value).and_then(|number| u64::try_from(number).ok());
            let problem = match (name.as_str(), value) {
                (_, Value::Null) => None,
                ("API", value) => set(&mut constraints.api, as_boolean(value), "true or false"),
                ("ram", _) => set(&mut constraints.ram, number(), "a number of bytes"),
                ("keep_cache_ram", _) => {
                    set(&mut constraints.keep_cache_ram, number(), "a number of bytes")
                }
                ("keep_cache_disk", _) => {
                    set(&mut constraints.keep_cache_disk, number(), "a number of bytes")
                }
                ("vcpus", _) => {
                    let cpus = number().and_then(|number| u32::try_from(number).ok());
                    set(&mut constraints.vcpus, cpus, "a number of CPUs")
                }
                ("gpu", Value::Object(gpu)) => {
                    constraints.gpu.extend(gpu.clone());
                    None
                }
                ("connect", Value::Object(sent)) => match connections(sent) {
                    Ok(found) => set(&mut constraints.connect, Some(found), ""),
                    Err(problem) => Some(problem),
                },
                ("connect", _) => Some("must be an object of addresses".to_owned()),
                ("cuda", Value::Object(cuda))
                    if cuda.get("device_count").and_then(as_integer).unwrap_or(0) == 0 =>
                {
                    None
                }
                ("cuda", _) => Some("is Arvados's older word: write gpu".to_owned()),
                ("gpu", _) => Some("must be an object".to_owned()),
                _ => Some(
                    "is not known: there are API, connect, gpu, keep_cache_disk, keep_cache_ram, ram, \
                     vcpus"
                        .to_owned(),
                ),
            };
            if let Some(problem) = problem {
                self.problems.push(FieldError::new(field, problem));
            }
        }
        *into = constraints;
    }

    /// Where and how long it may run.
    pub(super) fn scheduling(&mut self, into: &mut JsonMap) {
        let mut sent = JsonMap::new();
        if self.take("scheduling_parameters").is_none() {
            return;
        }
        self.object("scheduling_parameters", &mut sent);
        let mut parameters = default_scheduling();
        for (name, value) in sent {
            let known = match name.as_str() {
                _ if value.is_null() => continue,
                MAX_RUN_TIME | IDLE_TIME => {
                    as_integer(&value).filter(|n| (0..=SECONDS_MAX).contains(n)).map(Value::from)
                }
                "partitions" => as_strings(&value).ok().map(Value::from),
                "preemptible" | "supervisor" => as_boolean(&value).map(Value::from),
                _ => None,
            };
            match known {
                // Ours, and not there where there is no such limit, so that Arvados's clients find what they know.
                Some(value) if name == IDLE_TIME && value == 0 => {}
                Some(value) => drop(parameters.insert(name, value)),
                None => self.problems.push(FieldError::new(
                    format!("scheduling_parameters.{}", name.chars().take(60).collect::<String>()),
                    "is not known or of the wrong type: there are max_run_time and idle_time (seconds), \
                     partitions (a list of text), preemptible and supervisor (true or false)",
                )),
            }
        }
        *into = parameters;
    }
}

/// Sets a value that could be read; else says what it must be.
fn set<T>(into: &mut T, value: Option<T>, wanted: &str) -> Option<String> {
    match value {
        Some(value) => {
            *into = value;
            None
        }
        None => Some(format!("must be {wanted}")),
    }
}
