//! Which service a request is for: its `Host` or `:authority`, strictly read, and nothing else.
//!
//! Pure. `X-Forwarded-Host`, `Forwarded` and their like are never looked at. A form that has two readings is refused.

use std::borrow::Cow;
use std::ops::RangeInclusive;

use http::header::HOST;
use http::{HeaderMap, Uri};
use model::{ContainerPort, ContainerUuid, PublishedPorts, RequestUuid, ServiceDomain};

use crate::directory::HostTarget;

/// Longest host name, as in DNS.
const HOST_BYTES_MAX: usize = 253;
/// Longest label, as in DNS.
const LABEL_BYTES_MAX: usize = 63;
/// Characters in a UUID.
const UUID_BYTES: usize = 27;

/// Why a request names no service host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// Neither a `Host` header nor an authority.
    #[error("the request has no Host header")]
    Missing,
    /// More than one `Host` header, or one that differs from the target's authority.
    #[error("the request names more than one host")]
    Ambiguous,
    /// Not `name[:port]`.
    #[error("the host name cannot be read")]
    Malformed,
    /// `<uuid>-<something>` where something is no port.
    #[error("the host name ends in something that is no port from 1 to 65535")]
    BadPort,
    /// A host name that is no service host.
    #[error("this is not the address of a service")]
    NotAService,
}

/// A host as a client named it, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authority<'a> {
    /// Lower-cased, without port and trailing dot.
    pub name: Cow<'a, str>,
    /// The port, where one was written.
    pub port: Option<u16>,
}

impl<'a> Authority<'a> {
    /// Reads `name[:port]`: letters, digits, `-`, `_` and `.`; one trailing dot; no user, no brackets.
    ///
    /// # Errors
    /// [`HostError::Malformed`] for everything else.
    pub fn parse(text: &'a str) -> Result<Self, HostError> {
        let (name, port) = match text.split_once(':') {
            None => (text, None),
            Some((name, "")) => (name, None),
            Some((name, digits)) => (name, Some(parse_port(digits)?)),
        };
        let name = name.strip_suffix('.').unwrap_or(name);
        let sound = !name.is_empty()
            && name.len() <= HOST_BYTES_MAX
            && !name.starts_with('.')
            && !name.ends_with('.')
            && !name.contains("..")
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'));
        if !sound {
            return Err(HostError::Malformed);
        }
        let name = if name.bytes().any(|b| b.is_ascii_uppercase()) {
            Cow::Owned(name.to_ascii_lowercase())
        } else {
            Cow::Borrowed(name)
        };
        Ok(Self { name, port })
    }

    /// `name[:port]` with the scheme's own port left out: how browsers write an origin.
    pub fn canonical(&self, https: bool) -> String {
        match self.port {
            Some(port) if port != default_scheme_port(https) => format!("{}:{port}", self.name),
            _ => self.name.clone().into_owned(),
        }
    }
}

/// Digits only, 1 to 65535; a host header's port may have leading zeros in no browser, so none here.
fn parse_port(digits: &str) -> Result<u16, HostError> {
    ContainerPort::parse(digits).map(ContainerPort::get).map_err(|_not_a_port| HostError::Malformed)
}

fn default_scheme_port(https: bool) -> u16 {
    if https { 443 } else { 80 }
}

/// The one host that a request names, from its target and its `Host` header, as text.
///
/// # Errors
/// When there is none, or two that differ.
pub fn named_host<'r>(uri: &'r Uri, headers: &'r HeaderMap) -> Result<&'r str, HostError> {
    let mut values = headers.get_all(HOST).iter();
    let header = values.next();
    if values.next().is_some() {
        return Err(HostError::Ambiguous);
    }
    let header = header
        .map(|value| value.to_str().map_err(|_not_ascii| HostError::Malformed))
        .transpose()?;
    match (uri.authority(), header) {
        (None, None) => Err(HostError::Missing),
        (None, Some(header)) => Ok(header),
        (Some(authority), None) => Ok(authority.as_str()),
        // An absolute target and its header must agree; which one an app would believe is anyone's guess.
        (Some(authority), Some(header)) if authority.as_str().eq_ignore_ascii_case(header) => {
            Ok(header)
        }
        (Some(_), Some(_)) => Err(HostError::Ambiguous),
    }
}

/// The rules by which names become targets.
#[derive(Debug, Clone)]
pub struct HostRules {
    domain: ServiceDomain,
    external_ports: Option<RangeInclusive<u16>>,
}

impl HostRules {
    /// Rules for one wildcard domain, or for one host with a range of ports.
    pub fn new(domain: ServiceDomain, external_ports: Option<RangeInclusive<u16>>) -> Self {
        Self { domain, external_ports }
    }

    /// Whether a `Host` value (with or without port) belongs to services, also when it names none.
    pub fn is_service_host(&self, host: &str) -> bool {
        let Ok(authority) = Authority::parse(host) else { return false };
        self.owns(&authority)
    }

    fn owns(&self, authority: &Authority<'_>) -> bool {
        if self.domain.is_wildcard() {
            let label = authority.name.strip_suffix(self.domain.suffix());
            label.is_some_and(|label| !label.is_empty())
        } else {
            authority.name == self.domain.suffix() && self.is_external(authority.port)
        }
    }

    fn is_external(&self, port: Option<u16>) -> bool {
        let range = self.external_ports.as_ref();
        port.is_some_and(|port| range.is_some_and(|range| range.contains(&port)))
    }

    /// Whether it is the port that tells the service, and not the name.
    pub fn has_external_ports(&self) -> bool {
        !self.domain.is_wildcard()
    }

    /// The port that tells the service, where ports do.
    pub fn external_port_of(&self, named: &str) -> Option<u16> {
        if !self.has_external_ports() {
            return None;
        }
        Authority::parse(named).ok().and_then(|authority| authority.port)
    }

    /// The target that an authority names.
    ///
    /// # Errors
    /// When it is no service host, or its label has a form that nothing can have.
    pub fn target_of(&self, authority: &Authority<'_>) -> Result<HostTarget, HostError> {
        if !self.domain.is_wildcard() {
            return match authority.port {
                Some(port) if self.owns(authority) => Ok(HostTarget::ExternalPort(port)),
                _ => Err(HostError::NotAService),
            };
        }
        let label = self.domain.label_of(&authority.name).ok_or(HostError::NotAService)?;
        target_of_label(label)
    }

    /// The parent domain that every service host shares; a cookie of it reaches all of them.
    pub fn parent_domain(&self) -> Option<&str> {
        let suffix = self.domain.suffix();
        if !self.domain.is_wildcard() {
            return None;
        }
        suffix.strip_prefix('.').or_else(|| suffix.split_once('.').map(|(_, parent)| parent))
    }
}

/// `<uuid>-<port>`, then `<uuid>`, then a name.
fn target_of_label(label: &str) -> Result<HostTarget, HostError> {
    let sound = label.len() <= LABEL_BYTES_MAX
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if label.len() >= UUID_BYTES
        && model::uuid::looks_like_uuid(&label[..UUID_BYTES.min(label.len())])
    {
        let (uuid, rest) = label.split_at(UUID_BYTES);
        if let Some(target) = target_of_uuid(uuid, rest)? {
            return Ok(target);
        }
    }
    if sound { Ok(HostTarget::Name(label.to_owned())) } else { Err(HostError::Malformed) }
}

/// `rest` is what follows the UUID: nothing, `-<port>`, or more of a longer name.
fn target_of_uuid(uuid: &str, rest: &str) -> Result<Option<HostTarget>, HostError> {
    let port = match rest.strip_prefix('-') {
        None if rest.is_empty() => None,
        None => return Ok(None),
        Some(digits) => {
            let port = ContainerPort::parse(digits).map_err(|_not_a_port| HostError::BadPort)?;
            Some(port)
        }
    };
    if let Ok(uuid) = ContainerUuid::parse(uuid) {
        return Ok(Some(HostTarget::Container { uuid, port }));
    }
    Ok(RequestUuid::parse(uuid).ok().map(|uuid| HostTarget::Request { uuid, port }))
}

/// The port that a UUID without one means: 80, or, where 80 is not published and exactly one port is, that one.
pub fn default_port(ports: &PublishedPorts) -> ContainerPort {
    if ports.get(ContainerPort::HTTP).is_some() {
        return ContainerPort::HTTP;
    }
    ports.only_port().unwrap_or(ContainerPort::HTTP)
}

#[cfg(test)]
mod tests;
