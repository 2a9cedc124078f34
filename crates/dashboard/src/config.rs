//! What the dashboard is told at start and per connection.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use model::{PublishedPorts, ServiceDomain};

/// Settings of the dashboard, complete.
#[derive(Clone)]
pub struct DashboardConfig {
    /// Seals the session cookies; changing it signs everybody out.
    pub session_key: [u8; 32],
    /// Where service hosts live: links lead there and nowhere else.
    pub service_domain: ServiceDomain,
    /// `host[:port]` that clients of the API use, shown on the account page.
    pub api_host: String,
    /// Certificate authority that clients need, shown on the account page.
    pub ca_file: Option<PathBuf>,
    /// Where the API and the dashboard are, as browsers see them.
    pub controller_url: String,
    /// Origins whose pages may send people here to sign in, and get a token of theirs back.
    pub trusted_clients: Vec<String>,
    /// What the launch page offers to begin with.
    pub templates: Vec<Template>,
    /// Whether there are terminals.
    pub terminals: bool,
}

/// Something to begin a launch with.
#[derive(Debug, Clone, PartialEq)]
pub struct Template {
    /// What people choose by.
    pub name: String,
    /// One sentence; may be empty.
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
    pub ram_bytes: u64,
    /// How long nobody may use it; none for the site's default.
    pub idle: Option<Duration>,
    /// How long it may run; none for the site's default.
    pub max_life: Option<Duration>,
}

impl fmt::Debug for DashboardConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DashboardConfig")
            .field("service_domain", &self.service_domain)
            .field("api_host", &self.api_host)
            .field("ca_file", &self.ca_file)
            .field("trusted_clients", &self.trusted_clients)
            .finish_non_exhaustive()
    }
}

/// How a request came in; the listener puts it into the request's extensions. Absent means plain.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Transport {
    /// Whether the connection to the browser is TLS.
    pub tls: bool,
}
