//! `arv:PublishPorts`: ports of a tool that people may open, which make it a service.

use crate::error::{CwlError, Problem, Result};
use crate::extension::{Flaws, port_of};
use crate::requirements::{PUBLISH_PORTS, Requirements};
use crate::value::Value;

/// A port that people may open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedPort {
    /// 1 to 65535.
    pub port: u16,
    /// Everybody, or only who may see the service.
    pub is_public: bool,
    /// What people see.
    pub label: String,
    /// Where a person begins; empty is the root.
    pub initial_path: String,
}

impl Requirements {
    /// The ports of a service, in hints or requirements, written as a list or as a map under the port; none where the
    /// tool is no service.
    pub fn published_ports(&self) -> Result<Vec<PublishedPort>> {
        let Some(requirement) = self.get(PUBLISH_PORTS) else { return Ok(Vec::new()) };
        let mut flaws = Flaws::default();
        let ports = read(requirement.get("publishPorts"), &mut flaws);
        let problems = flaws.0.into_iter().map(|flaw| Problem {
            place: Some(requirement.place.clone()),
            rule: flaw.rule,
            advice: flaw.advice,
        });
        let problems: Vec<Problem> = problems.collect();
        if problems.is_empty() { Ok(ports) } else { Err(CwlError::Invalid(problems)) }
    }
}

/// Reads the field `publishPorts`; what is wrong goes to `flaws`.
pub(crate) fn read(field: &Value, flaws: &mut Flaws) -> Vec<PublishedPort> {
    const ROOT: &str = "publishPorts";
    const EXAMPLE: &str =
        "write `publishPorts: {\"8080\": {serviceAccess: private, label: Web page}}`";
    let mut ports: Vec<PublishedPort> = Vec::new();
    match field {
        Value::Array(items) if !items.is_empty() => {
            for (n, item) in items.iter().enumerate() {
                let n = n.to_string();
                let Some(port) = port_of(item.get("servicePort")) else {
                    let rule = "an entry of publishPorts has no servicePort from 1 to 65535";
                    flaws.add(&[ROOT, &n, "servicePort"], rule, "add `servicePort: \"8080\"`");
                    continue;
                };
                ports.extend(entry(port, item, &[ROOT, &n], flaws));
            }
        }
        Value::Object(entries) if !entries.is_empty() => {
            for (key, item) in entries {
                let Some(port) = key.parse::<u16>().ok().filter(|port| *port > 0) else {
                    let rule = format!("{key:?} is no port");
                    flaws.add(&[ROOT, key], rule, "write a number from 1 to 65535");
                    continue;
                };
                ports.extend(entry(port, item, &[ROOT, key], flaws));
            }
        }
        _ => flaws.add(&[ROOT], "PublishPorts names no port", EXAMPLE),
    }
    for (n, port) in ports.iter().enumerate() {
        if ports[..n].iter().any(|other| other.port == port.port) {
            flaws.add(&[ROOT], format!("port {} is published twice", port.port), "name it once");
        }
    }
    ports
}

fn entry(port: u16, item: &Value, path: &[&str], flaws: &mut Flaws) -> Option<PublishedPort> {
    let at = |key: &'static str| -> Vec<&str> { path.iter().copied().chain([key]).collect() };
    if item.as_object().is_none() {
        let rule = format!("port {port} is {}, and must be a mapping", item.kind());
        flaws.add(path, rule, "write `{serviceAccess: private, label: Web page}`");
        return None;
    }
    flaws.check_fields(item, path, &["servicePort", "serviceAccess", "label", "initialPath"]);
    let is_public = match item.text("serviceAccess") {
        Some("public") => Some(true),
        Some("private") => Some(false),
        _ => {
            let rule = format!("serviceAccess of port {port} is neither public nor private");
            flaws.add(&at("serviceAccess"), rule, "write `serviceAccess: private`");
            None
        }
    };
    let label = item.text("label").filter(|label| !label.trim().is_empty());
    if label.is_none() {
        let rule = format!("port {port} has no label");
        flaws.add(&at("label"), rule, "add `label:` with what people shall see");
    }
    let initial_path = match item.get("initialPath") {
        Value::Null => Some(""),
        Value::String(path) => Some(path.as_str()),
        other => {
            let rule = format!("initialPath of port {port} is {}", other.kind());
            flaws.add(&at("initialPath"), rule, "write text, such as `initialPath: /lab`");
            None
        }
    };
    Some(PublishedPort {
        port,
        is_public: is_public?,
        label: label?.to_owned(),
        initial_path: initial_path?.to_owned(),
    })
}
