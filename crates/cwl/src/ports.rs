//! `arv:PublishPorts`: ports of a tool that people may open, which make it a service.

use crate::error::{Result, fail};
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
        let mut ports = Vec::new();
        match requirement.get("publishPorts") {
            Value::Array(items) => {
                for item in items {
                    let port = match item.get("servicePort") {
                        Value::String(text) => text.clone(),
                        Value::Number(number) => number.to_string(),
                        _ => fail!(
                            "{}: an entry of publishPorts has no servicePort",
                            requirement.place
                        ),
                    };
                    ports.push(port_of(&port, item, &requirement.place)?);
                }
            }
            Value::Object(entries) => {
                for (port, item) in entries {
                    ports.push(port_of(port, item, &requirement.place)?);
                }
            }
            _ => fail!(
                "{}: PublishPorts has no publishPorts; write a map of ports",
                requirement.place
            ),
        }
        if ports.is_empty() {
            fail!(
                "{}: publishPorts is empty; name a port, or take PublishPorts out",
                requirement.place
            );
        }
        Ok(ports)
    }
}

fn port_of(port: &str, item: &Value, place: &crate::error::Place) -> Result<PublishedPort> {
    let Some(number) = port.parse::<u16>().ok().filter(|number| *number > 0) else {
        fail!("{place}: {port:?} is no port; write a number from 1 to 65535");
    };
    let is_public = match item.text("serviceAccess") {
        Some("public") => true,
        Some("private") => false,
        _ => fail!("{place}: serviceAccess of port {number} must be public or private"),
    };
    let Some(label) = item.text("label").filter(|label| !label.trim().is_empty()) else {
        fail!("{place}: port {number} has no label; add one, people see it");
    };
    let initial_path = match item.get("initialPath") {
        Value::Null => String::new(),
        Value::String(path) => path.clone(),
        other => {
            fail!("{place}: initialPath of port {number} is {}, and must be text", other.kind())
        }
    };
    Ok(PublishedPort { port: number, is_public, label: label.to_owned(), initial_path })
}
