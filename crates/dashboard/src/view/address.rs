//! Where a published port is reached. Addresses are made of our own configuration and of checked
//! labels, never taken from a record as they are: a record cannot lead a click elsewhere (T45).

use model::{ContainerPort, Link, PublishedPort, RequestUuid, ServiceDomain, initial_url};

/// The address of one published port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    /// `http://jupyter.containers.localhost:8000/`.
    base: String,
}

impl Address {
    /// A host name link's address where there is one, else the request's own; on a site without
    /// wildcard names only a running container has one (`entry` is the container's copy).
    pub(crate) fn of(
        domain: &ServiceDomain,
        request: &RequestUuid,
        port: ContainerPort,
        entry: &PublishedPort,
        host_names: &[Link],
    ) -> Option<Self> {
        if !domain.is_wildcard() {
            let external = entry.external_port.flatten()?;
            return Some(Self { base: domain.url_of_port(external) });
        }
        let named = host_names.iter().find(|link| {
            link.is_hostname()
                && link.head_uuid.as_deref() == Some(request.as_str())
                && link.port() == Some(port)
                && is_label(&link.name)
        });
        let base = match named {
            Some(link) => domain.url_of(&link.name),
            None => domain.url_of(&format!("{request}-{port}")),
        };
        Some(Self { base })
    }

    /// Where the button of a public port leads.
    pub(crate) fn initial(&self, initial_path: &str) -> String {
        initial_url(&self.base, initial_path)
    }

    /// `jupyter.containers.localhost:8000`, to read and to copy.
    pub(crate) fn shown(&self) -> &str {
        let without_scheme = self.base.split_once("://").map_or(&*self.base, |(_, rest)| rest);
        without_scheme.trim_end_matches('/')
    }
}

/// Whether a text can stand as one DNS label in an address.
pub(crate) fn is_label(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !text.is_empty()
        && text.len() <= 63
        && text.bytes().all(inner)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// An absolute address on a service host of ours, taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ServiceUrl<'u> {
    /// The label, or `None` on a site without wildcard names.
    pub(crate) label: Option<String>,
    /// The port in the address.
    pub(crate) port: Option<u16>,
    /// Path, query and fragment, starting with `/`.
    pub(crate) path: &'u str,
}

/// Takes `url` apart if it is on one of our service hosts; anything else is none of our business.
/// Strict on purpose: what a browser might read differently (user names, backslashes, control
/// characters) is refused.
pub(crate) fn service_url<'u>(domain: &ServiceDomain, url: &'u str) -> Option<ServiceUrl<'u>> {
    if url.chars().any(|c| c.is_control() || c == '\\' || c.is_whitespace()) {
        return None;
    }
    let scheme = if domain.is_https() { "https://" } else { "http://" };
    let rest = url.strip_prefix(scheme)?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let path = if path.is_empty() { "/" } else { path };
    if !path.starts_with('/') || authority.contains('@') {
        return None;
    }
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) => (host, Some(ContainerPort::parse(port).ok()?.get())),
        None => (authority, None),
    };
    let host = host.to_ascii_lowercase();
    if domain.is_wildcard() {
        let label = domain.label_of(&host).filter(|label| is_label(label))?.to_owned();
        return (port == domain.port()).then_some(ServiceUrl { label: Some(label), port, path });
    }
    (host == domain.suffix()).then_some(ServiceUrl { label: None, port, path })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn domain() -> ServiceDomain {
        ServiceDomain::parse("http://*.containers.localhost:8000/").unwrap()
    }

    #[test]
    fn only_addresses_on_our_own_service_hosts_are_taken() {
        let url = "http://Jupyter.containers.localhost:8000/lab?a=b#c";
        let found = service_url(&domain(), url).unwrap();
        assert_eq!((found.label.as_deref(), found.path), (Some("jupyter"), "/lab?a=b#c"));
        assert!(service_url(&domain(), "http://j.containers.localhost:8000").is_some());
        for url in [
            "",
            "javascript:alert(1)",
            "//j.containers.localhost:8000/",
            "https://j.containers.localhost:8000/",
            "http://j.containers.localhost/",
            "http://j.containers.localhost:8001/",
            "http://evil.example/",
            "http://evil.example/.containers.localhost:8000/",
            "http://evil.example?.containers.localhost:8000/",
            "http://j.containers.localhost:8000@evil.example/",
            "http://user@j.containers.localhost:8000/",
            "http://evil.example\\.containers.localhost:8000/",
            "http://a.b.containers.localhost:8000/",
            "http://.containers.localhost:8000/",
            "http://j.containers.localhost:8000\r\nX: y/",
            "http://j.containers.localhost:8000?x",
            "http://j_x.containers.localhost:8000/",
        ] {
            assert_eq!(service_url(&domain(), url), None, "{url}");
        }
    }

    #[test]
    fn labels_are_plain_dns_labels() {
        assert!(is_label("a-1"));
        for bad in ["", "-a", "a-", "a.b", "A", "a/b", "a@b", "ä", &"a".repeat(64)] {
            assert!(!is_label(bad), "{bad}");
        }
    }
}
