//! A template of the launch page: what to run, so that people begin with something that works.

use std::time::Duration;

use model::{Access, ContainerPort, PublishedPort, PublishedPorts};
use serde_json::{Map, Value, json};

use crate::setting::{Setting, shown};
use crate::units::{ByteSize, show_duration};

/// One template, as it stands in `Dashboard.Templates`.
#[derive(Clone, Debug, PartialEq)]
pub struct Template {
    /// What people choose by.
    pub name: String,
    /// One sentence below it.
    pub description: String,
    /// Image to run.
    pub image: String,
    /// Program and arguments; empty for the image's own.
    pub command: Vec<String>,
    /// Published ports.
    pub ports: PublishedPorts,
    /// CPUs.
    pub vcpus: u32,
    /// Memory.
    pub ram: ByteSize,
    /// How long nobody may use it; none for the site's default.
    pub idle: Option<Duration>,
    /// How long it may run; none for the site's default.
    pub max_life: Option<Duration>,
}

const KEYS: [&str; 9] =
    ["Name", "Description", "Image", "Command", "Ports", "VCPUs", "RAM", "IdleTime", "MaxLife"];
const EXAMPLE: &str =
    "{Name: JupyterLab, Image: jupyterlab, Ports: {8888: {Label: JupyterLab, Access: private}}}";

impl Setting for Template {
    fn from_value(value: &Value) -> Result<Self, String> {
        let entry = value
            .as_object()
            .ok_or_else(|| format!("must be a template such as {EXAMPLE}, is {}", shown(value)))?;
        only(entry, &KEYS)?;
        let text = |key: &str| match entry.get(key) {
            None | Some(Value::Null) => Ok(String::new()),
            Some(value) => String::from_value(value).map_err(|text| format!("{key} {text}")),
        };
        let needed = |key: &str| match text(key)? {
            empty if empty.trim().is_empty() => Err(format!("needs {key}")),
            text => Ok(text),
        };
        let command = match entry.get("Command") {
            None | Some(Value::Null) => Vec::new(),
            Some(value) => Vec::from_value(value)
                .map_err(|text| format!("Command {text}, such as [jupyter, lab]"))?,
        };
        let length = |key: &str| match entry.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => {
                Duration::from_value(value).map(Some).map_err(|text| format!("{key} {text}"))
            }
        };
        let vcpus = entry.get("VCPUs").map_or(Ok(1), u32::from_value);
        let ram = entry.get("RAM").map_or(Ok(ByteSize::gib(1)), ByteSize::from_value);
        Ok(Self {
            name: needed("Name")?,
            description: text("Description")?,
            image: needed("Image")?,
            command,
            ports: ports(entry.get("Ports").unwrap_or(&Value::Null))?,
            vcpus: vcpus.map_err(|text| format!("VCPUs {text}"))?.max(1),
            ram: ram.map_err(|text| format!("RAM {text}"))?,
            idle: length("IdleTime")?,
            max_life: length("MaxLife")?,
        })
    }

    fn show(&self) -> String {
        let ports: Map<String, Value> = self
            .ports
            .iter()
            .map(|(port, entry)| {
                let PublishedPort { label, access, initial_path, .. } = entry;
                let entry =
                    json!({ "Label": label, "Access": access.as_str(), "Path": initial_path });
                (port.to_string(), entry)
            })
            .collect();
        let length = |length: Option<Duration>| length.map(show_duration);
        json!({
            "IdleTime": length(self.idle), "MaxLife": length(self.max_life),
            "Name": self.name, "Description": self.description, "Image": self.image,
            "Command": self.command, "Ports": ports, "VCPUs": self.vcpus, "RAM": self.ram.to_string(),
        })
        .to_string()
    }
}

fn only(entry: &Map<String, Value>, known: &[&str]) -> Result<(), String> {
    match entry.keys().find(|key| !known.contains(&key.as_str())) {
        Some(key) => Err(format!("has the unknown key {key}; known are {}", known.join(", "))),
        None => Ok(()),
    }
}

/// `{8888: {Label: JupyterLab, Access: private, Path: lab}}`.
fn ports(value: &Value) -> Result<PublishedPorts, String> {
    let entries = match value {
        Value::Null => return Ok(PublishedPorts::default()),
        Value::Object(entries) => entries,
        other => return Err(format!("Ports must be a mapping, is {}", shown(other))),
    };
    let mut ports = PublishedPorts::default();
    for (number, entry) in entries {
        let port = ContainerPort::parse(number).map_err(|error| format!("Ports: {error}"))?;
        let wrong = |what: &str| format!("Ports.{number} {what}");
        let entry = entry.as_object().ok_or_else(|| wrong("must be a mapping with Label"))?;
        only(entry, &["Label", "Access", "Path"]).map_err(|text| wrong(&text))?;
        let text = |key| entry.get(key).and_then(Value::as_str).unwrap_or_default();
        let access = match text("Access") {
            "" | "private" => Access::Private,
            "public" => Access::Public,
            _ => return Err(wrong("must have public or private as Access")),
        };
        if text("Label").trim().is_empty() {
            return Err(wrong("needs a Label, which names its button"));
        }
        ports.insert(port, PublishedPort::new(access, text("Label"), text("Path")));
    }
    Ok(ports)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_reads_back_to_itself_and_fills_in_what_is_left_out() {
        let written = json!({
            "Name": "Lab", "Image": "lab:1", "Command": ["jupyter", "lab"], "RAM": "4GiB",
            "IdleTime": "2h",
            "Ports": { "8888": { "Label": "Lab", "Path": "lab?x" } },
        });
        let template = Template::from_value(&written).unwrap();
        assert_eq!((template.vcpus, template.ram), (1, ByteSize::gib(4)));
        assert_eq!((template.idle, template.max_life), (Some(Duration::from_secs(7200)), None));
        let entry = template.ports.get(ContainerPort::literal(8888)).unwrap();
        assert_eq!((entry.access, entry.initial_path.as_str()), (Access::Private, "lab?x"));
        let again: Value = serde_json::from_str(&template.show()).unwrap();
        assert_eq!(Template::from_value(&again).unwrap(), template);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (value, words) in [
            (json!("Lab"), "must be a template such as"),
            (json!({ "Name": "Lab" }), "needs Image"),
            (json!({ "Image": "lab" }), "needs Name"),
            (json!({ "Name": "a", "Image": "b", "Colour": 1 }), "unknown key Colour"),
            (json!({ "Name": "a", "Image": "b", "VCPUs": "x" }), "VCPUs must be"),
            (json!({ "Name": "a", "Image": "b", "IdleTime": 5 }), "IdleTime "),
            (json!({ "Name": "a", "Image": "b", "Command": "x" }), "Command must be a list"),
            (json!({ "Name": "a", "Image": "b", "Ports": { "0": {} } }), "Ports: `0` is no port"),
            (json!({ "Name": "a", "Image": "b", "Ports": { "80": {} } }), "Ports.80 needs a Label"),
            (
                json!({ "Name": "a", "Image": "b", "Ports": { "80": { "Label": "x", "Access": "all" } } }),
                "Ports.80 must have public or private",
            ),
        ] {
            let error = Template::from_value(&value).unwrap_err();
            assert!(error.contains(words), "{value}: {error}");
        }
    }
}
