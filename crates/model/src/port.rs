//! Published ports: which ports of a container people may open, under which label, by whom.
//!
//! On the wire an object from decimal port to entry: `{"80": {"access": "private", "label": "My app"}}`.
//! The container's copy of an entry gains the addresses and the readiness once it runs.

use crate::field_error::FieldError;
use crate::timestamp::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU16;

/// Longest label, in bytes: it is a button's text.
pub const LABEL_BYTES_MAX: usize = 200;
/// Longest initial path, in bytes: what fits in every browser's address with room to spare.
pub const INITIAL_PATH_BYTES_MAX: usize = 2000;
/// Most ports one request may publish: each is a button, a readiness probe and an origin.
pub const PORTS_MAX: usize = 100;

/// Why a text is no port.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no port: expected a decimal number from 1 to 65535 without sign or leading zero")]
pub struct PortError(pub String);

/// A TCP port inside a container, 1 to 65535.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContainerPort(NonZeroU16);

impl ContainerPort {
    /// Port 80, which a service host without a port means.
    pub const HTTP: Self = Self::literal(80);

    /// A port written in the source; 0 does not compile in a constant.
    ///
    /// # Panics
    /// When `number` is 0.
    pub const fn literal(number: u16) -> Self {
        Self(NonZeroU16::new(number).expect("a port in the source is not 0"))
    }

    /// A port of a number; `None` for 0.
    pub fn new(number: u16) -> Option<Self> {
        NonZeroU16::new(number).map(Self)
    }

    /// Reads decimal digits, without sign, spaces or leading zero.
    ///
    /// # Errors
    /// When the text is anything else, or out of range.
    pub fn parse(text: &str) -> Result<Self, PortError> {
        let strict = !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = if strict { text.parse::<u16>().ok() } else { None };
        number.and_then(Self::new).ok_or_else(|| PortError(text.chars().take(40).collect()))
    }

    /// The number.
    pub fn get(self) -> u16 {
        self.0.get()
    }
}

impl fmt::Display for ContainerPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for ContainerPort {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ContainerPort {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// Who may open a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Access {
    /// Everyone who has the address.
    Public,
    /// The one who submitted the request, and administrators.
    Private,
}

impl Access {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Private => "private",
        }
    }
}

/// One published port. The optional fields are the container's: absent on a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishedPort {
    /// Who may open it.
    pub access: Access,
    /// What people see on the button.
    pub label: String,
    /// Where the button leads within the app; may have a query and a fragment.
    #[serde(default)]
    pub initial_path: String,
    /// The address of the port, ends with `/`. Set when the container becomes Running.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_url: Option<String>,
    /// [`PublishedPort::base_url`] with the initial path applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initial_url: Option<String>,
    /// The port on the controller's host, on sites without a wildcard name; null on others.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "nullable")]
    pub external_port: Option<Option<u16>>,
    /// Whether the app has accepted a connection on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready: Option<bool>,
    /// When it first did.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "nullable")]
    pub ready_at: Option<Option<Timestamp>>,
    /// Since when nothing listens on it any more, though it was ready; absent while something does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silent_since: Option<Timestamp>,
}

/// Tells an absent field (`None`) from a null one (`Some(None)`).
mod nullable {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[expect(clippy::ref_option, reason = "serde's `with` gives the field by reference")]
    pub(super) fn serialize<T: Serialize, S: Serializer>(
        value: &Option<Option<T>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        value.as_ref().and_then(Option::as_ref).serialize(serializer)
    }

    pub(super) fn deserialize<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Option<T>>, D::Error> {
        Option::<T>::deserialize(deserializer).map(Some)
    }
}

impl PublishedPort {
    /// An entry as a request has it.
    pub fn new(access: Access, label: impl Into<String>, initial_path: impl Into<String>) -> Self {
        Self {
            access,
            label: label.into(),
            initial_path: initial_path.into(),
            base_url: None,
            initial_url: None,
            external_port: None,
            ready: None,
            ready_at: None,
            silent_since: None,
        }
    }

    /// Whether the app has accepted a connection.
    pub fn is_ready(&self) -> bool {
        self.ready == Some(true)
    }

    /// Fills in what a container's entry has from the moment it is Running, not ready yet.
    pub fn start(&mut self, base_url: String, external_port: Option<u16>) {
        self.initial_url = Some(crate::service_domain::initial_url(&base_url, &self.initial_path));
        self.base_url = Some(base_url);
        self.external_port = Some(external_port);
        self.ready = Some(false);
        self.ready_at = Some(None);
    }
}

/// The published ports of a request or container, in order of port.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PublishedPorts(BTreeMap<ContainerPort, PublishedPort>);

impl PublishedPorts {
    /// Reads what a user sent, naming every problem.
    ///
    /// # Errors
    /// One [`FieldError`] for each thing that is not as section 2 of the contract says.
    pub fn parse(value: &Value) -> Result<Self, Vec<FieldError>> {
        let Value::Object(entries) = value else {
            let problem =
                r#"must be an object such as {"80": {"access": "private", "label": "My app"}}"#;
            return Err(vec![FieldError::new("published_ports", problem)]);
        };
        if entries.len() > PORTS_MAX {
            let problem = format!("has {} entries, at most {PORTS_MAX} are allowed", entries.len());
            return Err(vec![FieldError::new("published_ports", problem)]);
        }
        let (mut ports, mut problems) = (BTreeMap::new(), Vec::new());
        for (key, entry) in entries {
            match parse_entry(key, entry) {
                Ok((port, entry)) => drop(ports.insert(port, entry)),
                Err(mut found) => problems.append(&mut found),
            }
        }
        if problems.is_empty() { Ok(Self(ports)) } else { Err(problems) }
    }

    /// The entry of one port.
    pub fn get(&self, port: ContainerPort) -> Option<&PublishedPort> {
        self.0.get(&port)
    }

    /// The entry of one port, to change it.
    pub fn get_mut(&mut self, port: ContainerPort) -> Option<&mut PublishedPort> {
        self.0.get_mut(&port)
    }

    /// Adds or replaces an entry.
    pub fn insert(&mut self, port: ContainerPort, entry: PublishedPort) {
        self.0.insert(port, entry);
    }

    /// All entries in order of port.
    pub fn iter(&self) -> impl Iterator<Item = (ContainerPort, &PublishedPort)> {
        self.0.iter().map(|(port, entry)| (*port, entry))
    }

    /// All entries in order of port, to change them.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (ContainerPort, &mut PublishedPort)> {
        self.0.iter_mut().map(|(port, entry)| (*port, entry))
    }

    /// Whether nothing is published.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many are published.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The published port, where there is exactly one.
    pub fn only_port(&self) -> Option<ContainerPort> {
        if self.0.len() == 1 { self.0.keys().next().copied() } else { None }
    }
}

fn parse_entry(
    key: &str,
    entry: &Value,
) -> Result<(ContainerPort, PublishedPort), Vec<FieldError>> {
    let field = format!("published_ports[{:?}]", key.chars().take(40).collect::<String>());
    let mut problems = Vec::new();
    let port = ContainerPort::parse(key).map_err(|_not_a_port| {
        let problem =
            "is no port: keys are decimal numbers from 1 to 65535 without sign or leading zero";
        problems.push(FieldError::new(&field, problem));
    });
    let Value::Object(members) = entry else {
        problems.push(FieldError::new(&field, "must be an object with access and label"));
        return Err(problems);
    };
    for name in
        members.keys().filter(|name| !matches!(name.as_str(), "access" | "label" | "initial_path"))
    {
        let problem = "is not known: an entry has access, label and initial_path";
        problems.push(FieldError::new(format!("{field}.{name}"), problem));
    }
    let access = match members.get("access").and_then(Value::as_str) {
        Some("public") => Access::Public,
        Some("private") => Access::Private,
        _ => {
            let problem = r#"must be "public" or "private""#;
            problems.push(FieldError::new(format!("{field}.access"), problem));
            Access::Private
        }
    };
    let label = parse_label(&field, members.get("label"), &mut problems);
    let path = parse_initial_path(&field, members.get("initial_path"), &mut problems);
    match port {
        Ok(port) if problems.is_empty() => Ok((port, PublishedPort::new(access, label, path))),
        _ => Err(problems),
    }
}

fn parse_label(field: &str, value: Option<&Value>, problems: &mut Vec<FieldError>) -> String {
    let field = format!("{field}.label");
    match value.and_then(Value::as_str) {
        Some(label) if label.trim().is_empty() => {
            problems.push(FieldError::new(
                field,
                "must not be empty: it names the button people click",
            ));
        }
        Some(label) if label.len() > LABEL_BYTES_MAX => {
            let problem = format!("is too long: at most {LABEL_BYTES_MAX} bytes");
            problems.push(FieldError::new(field, problem));
        }
        Some(label) if label.chars().any(char::is_control) => {
            problems.push(FieldError::new(field, "must not contain control characters"));
        }
        Some(label) => return label.to_owned(),
        None => problems.push(FieldError::new(field, "must be a non-empty string")),
    }
    String::new()
}

fn parse_initial_path(
    field: &str,
    value: Option<&Value>,
    problems: &mut Vec<FieldError>,
) -> String {
    let field = format!("{field}.initial_path");
    match value {
        None | Some(Value::Null) => {}
        Some(Value::String(path)) if path.len() > INITIAL_PATH_BYTES_MAX => {
            let problem = format!("is too long: at most {INITIAL_PATH_BYTES_MAX} bytes");
            problems.push(FieldError::new(field, problem));
        }
        Some(Value::String(path))
            if path.chars().any(|c| c.is_control() || c == ' ' || c == '\\') =>
        {
            problems.push(FieldError::new(
                field,
                "must not contain spaces, backslashes or control characters: percent-encode them",
            ));
        }
        Some(Value::String(path)) => return path.clone(),
        Some(_) => problems.push(FieldError::new(field, "must be a string")),
    }
    String::new()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[expect(clippy::needless_pass_by_value, reason = "a table of values reads better")]
    #[track_caller]
    fn refused(value: Value, expected: &str) {
        let problems = PublishedPorts::parse(&value).unwrap_err();
        let text = problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        assert!(text.contains(expected), "{text:?} lacks {expected:?}");
    }

    #[test]
    fn the_mission_s_example_is_accepted() {
        let value = json!({"80": {"access": "private", "label": "My great web app"}});
        let ports = PublishedPorts::parse(&value).unwrap();
        assert_eq!(ports.only_port(), ContainerPort::new(80));
        assert_eq!(
            serde_json::to_value(&ports).unwrap(),
            json!({"80": {"access": "private", "label": "My great web app", "initial_path": ""}})
        );
    }

    #[test]
    fn every_wrong_key_is_named() {
        for key in ["0", "65536", "080", "+80", "-1", " 80", "80 ", "http", "", "8e1"] {
            refused(json!({key: {"access": "public", "label": "x"}}), "is no port");
        }
    }

    #[test]
    fn every_wrong_member_is_named() {
        refused(json!([]), "published_ports must be an object");
        refused(json!({"80": "x"}), r#"published_ports["80"] must be an object"#);
        refused(json!({"80": {"label": "x"}}), r#"published_ports["80"].access must be"#);
        refused(json!({"80": {"access": "open", "label": "x"}}), ".access must be");
        refused(json!({"80": {"access": "public"}}), ".label must be");
        refused(json!({"80": {"access": "public", "label": " "}}), ".label must not be empty");
        refused(
            json!({"80": {"access": "public", "label": "x", "initial_path": 1}}),
            ".initial_path must be",
        );
        refused(
            json!({"80": {"access": "public", "label": "x", "extra": 1}}),
            ".extra is not known",
        );
    }

    #[test]
    fn a_started_entry_shows_its_addresses_and_null_fields() {
        let mut entry = PublishedPort::new(Access::Public, "x", "lab?a=1#top");
        entry.start("http://h/".to_owned(), None);
        let value = serde_json::to_value(&entry).unwrap();
        assert_eq!(value["initial_url"], "http://h/lab?a=1#top");
        assert_eq!(value["external_port"], Value::Null);
        assert!(value.as_object().unwrap().contains_key("ready_at"));
        assert_eq!(serde_json::from_value::<PublishedPort>(value).unwrap(), entry);
    }
}
