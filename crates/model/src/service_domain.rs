//! The domain under which service hosts live: one wildcard, in front of a domain or of a suffix.

/// Why a text cannot be the services' external URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{url}` cannot be the services' address: {problem}; write e.g. https://*.containers.example.com/"
)]
pub struct ServiceDomainError {
    url: String,
    problem: &'static str,
}

/// Where service hosts live: `https://*.containers.example.com/`, `https://*--containers.example.com/`
/// (one level of wildcard certificate), or one host with a range of ports (no `*`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceDomain {
    scheme: Scheme,
    wildcard: bool,
    /// What follows the label, or the whole host where there is no wildcard. Lower case.
    suffix: String,
    port: Option<u16>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scheme {
    Http,
    Https,
}

impl ServiceDomain {
    /// Reads `scheme://host[:port]/` with at most one `*`, at the start of the host.
    ///
    /// # Errors
    /// When the text has another form.
    pub fn parse(url: &str) -> Result<Self, ServiceDomainError> {
        let refuse = |problem| ServiceDomainError { url: url.to_owned(), problem };
        let (scheme, rest) = if let Some(rest) = url.strip_prefix("https://") {
            (Scheme::Https, rest)
        } else if let Some(rest) = url.strip_prefix("http://") {
            (Scheme::Http, rest)
        } else {
            return Err(refuse("it must start with http:// or https://"));
        };
        let authority = rest.strip_suffix('/').unwrap_or(rest).to_ascii_lowercase();
        if authority.contains(['/', '?', '#', '@']) {
            return Err(refuse("it must have no path, query or user"));
        }
        let (host, port) = match authority.rsplit_once(':') {
            None => (authority.as_str(), None),
            Some((host, port)) => {
                let number = crate::port::ContainerPort::parse(port);
                (host, Some(number.map_err(|_not_a_port| refuse("its port is none"))?.get()))
            }
        };
        let wildcard = host.starts_with('*');
        let suffix = host.strip_prefix('*').unwrap_or(host).to_owned();
        let sound = |text: &str| {
            !text.is_empty()
                && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.')
                && !text.contains("..")
        };
        if !sound(&suffix) || (wildcard && !suffix.starts_with(['.', '-'])) {
            return Err(refuse("its host must be a name, with at most one * as its first part"));
        }
        Ok(Self { scheme, wildcard, suffix, port })
    }

    /// Whether each service has a name of its own.
    pub fn is_wildcard(&self) -> bool {
        self.wildcard
    }

    /// Whether the public address is https.
    pub fn is_https(&self) -> bool {
        self.scheme == Scheme::Https
    }

    /// The port in the public address, where it is not the scheme's own.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// What follows the label in a host name (with its leading `.` or `--`), or the one host.
    pub fn suffix(&self) -> &str {
        &self.suffix
    }

    /// The label in a service host; `None` when the host is none of ours.
    ///
    /// `host` is lower-cased, without port and trailing dot.
    pub fn label_of<'h>(&self, host: &'h str) -> Option<&'h str> {
        if !self.wildcard {
            return None;
        }
        let label = host.strip_suffix(self.suffix.as_str())?;
        (!label.is_empty() && !label.contains('.')).then_some(label)
    }

    /// The host name of a label, without port.
    pub fn host_of(&self, label: &str) -> String {
        if self.wildcard { format!("{label}{}", self.suffix) } else { self.suffix.clone() }
    }

    /// The address of a label, ends with `/`.
    pub fn url_of(&self, label: &str) -> String {
        self.url_with(&self.host_of(label), self.port)
    }

    /// The address of an external port, on sites without a wildcard; ends with `/`.
    pub fn url_of_port(&self, port: u16) -> String {
        self.url_with(&self.suffix, Some(port))
    }

    /// The same domain on another port; for a listener that was bound to any free port.
    #[must_use]
    pub fn with_port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    fn url_with(&self, host: &str, port: Option<u16>) -> String {
        let scheme = if self.is_https() { "https" } else { "http" };
        match port {
            Some(port) => format!("{scheme}://{host}:{port}/"),
            None => format!("{scheme}://{host}/"),
        }
    }
}

/// A base address with an initial path applied. The path's leading `/` is optional; it may have a query and a
/// fragment, which is why this is text and not a change of the address's path member.
pub fn initial_url(base: &str, initial_path: &str) -> String {
    let base = base.strip_suffix('/').unwrap_or(base);
    let path = initial_path.trim_start_matches('/');
    format!("{base}/{path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dotted_wildcard_names_one_label() {
        let domain = ServiceDomain::parse("http://*.containers.localhost:8000/").unwrap();
        assert_eq!(domain.label_of("a-80.containers.localhost"), Some("a-80"));
        assert_eq!(domain.label_of("x.a.containers.localhost"), None);
        assert_eq!(domain.label_of("containers.localhost"), None);
        assert_eq!(domain.label_of(".containers.localhost"), None);
        assert_eq!(domain.url_of("a"), "http://a.containers.localhost:8000/");
    }

    #[test]
    fn a_suffix_wildcard_names_one_label() {
        let domain = ServiceDomain::parse("https://*--containers.example.com").unwrap();
        assert_eq!(domain.label_of("jupyter--containers.example.com"), Some("jupyter"));
        assert_eq!(domain.label_of("containers.example.com"), None);
        assert_eq!(domain.url_of("a"), "https://a--containers.example.com/");
    }

    #[test]
    fn other_forms_are_refused() {
        for url in [
            "",
            "ftp://*.x/",
            "https://a.*.x/",
            "https://*x.y/",
            "https://*.x/p",
            "https://*.x:0/",
            "https://u@*.x/",
        ] {
            assert!(ServiceDomain::parse(url).is_err(), "{url}");
        }
    }

    #[test]
    fn an_initial_path_keeps_query_and_fragment() {
        assert_eq!(initial_url("http://h:1/", ""), "http://h:1/");
        assert_eq!(initial_url("http://h:1/", "/lab?token=x#y"), "http://h:1/lab?token=x#y");
        assert_eq!(initial_url("http://h:1/", "?q"), "http://h:1/?q");
        assert_eq!(initial_url("http://h:1/", "//evil.example"), "http://h:1/evil.example");
    }
}
