//! The resolved config: everything present, checked, in the program's own types.

use std::net::SocketAddr;
use std::path::PathBuf;

use model::{BlockVolume, ClusterId, ReservedNames, ServiceDomain};
use serde_json::Value;

use crate::raw::{Problem, Section};
use crate::sections::{
    Api, AuditLogs, Collections, Containers, Dashboard, Database, Lifetimes, Log, Login, Metrics,
    OpenIdConnect, Proxy, Services, Sessions, Shutdown, Terminals, Tunnels, Users,
};
use crate::setting::{Line, Setting};

/// What the program uses. Tests override fields of [`Config::local`] directly.
#[derive(Clone, Debug)]
pub struct Config {
    /// First five characters of every identifier.
    pub cluster_id: ClusterId,
    /// Where we listen; http and https on the same port.
    pub listen: SocketAddr,
    /// Records, images, logs, secrets: everything that must survive.
    pub data_dir: PathBuf,
    /// Where the records are.
    pub database: Database,
    /// Addresses as clients see them.
    pub services: Services,
    /// Names that no hostname link may take, beside the built-in ones; as in the file.
    pub reserved_hostnames: Vec<String>,
    /// Limits and defaults of containers.
    pub containers: Containers,
    /// How long services live.
    pub lifetimes: Lifetimes,
    /// Limits of the API.
    pub api: Api,
    /// Shells in containers.
    pub terminals: Terminals,
    /// Collections and blocks.
    pub collections: Collections,
    /// Where blocks are kept, in the order of reading; none is the data directory.
    pub volumes: Vec<BlockVolume>,
    /// Limits of the service hosts.
    pub proxy: Proxy,
    /// How supervisors reach us.
    pub tunnels: Tunnels,
    /// Lifetimes of sign-ins.
    pub sessions: Sessions,
    /// Whom people who sign in are handed on to.
    pub login: Login,
    /// `Login.OpenIDConnect`: the provider that people sign in with.
    pub openid_connect: OpenIdConnect,
    /// What becomes of people who are new.
    pub users: Users,
    /// The pages.
    pub dashboard: Dashboard,
    /// The log of what happened to records.
    pub audit_logs: AuditLogs,
    /// Figures of this process.
    pub metrics: Metrics,
    /// How we come down.
    pub shutdown: Shutdown,
    /// What is logged.
    pub log: Log,
}

impl Config {
    /// The config of `wharf up` on one machine without any file.
    ///
    /// `listen` is the address as bound: with port 0, bind first. Whoever holds the machine's
    /// administrator token is taken to be its owner and may mount any directory into containers.
    pub fn local(data_dir: PathBuf, listen: SocketAddr) -> Self {
        let containers =
            Containers { bind_mounts: vec![PathBuf::from("/")], ..Containers::default() };
        Self {
            cluster_id: ClusterId::default(),
            listen,
            data_dir,
            database: Database::default(),
            services: Services::local(listen.port()),
            reserved_hostnames: Vec::new(),
            containers,
            lifetimes: Lifetimes::default(),
            api: Api::default(),
            terminals: Terminals::default(),
            collections: Collections::default(),
            volumes: Vec::new(),
            proxy: Proxy::default(),
            tunnels: Tunnels::default(),
            sessions: Sessions::default(),
            login: Login::default(),
            openid_connect: OpenIdConnect::default(),
            users: Users::default(),
            dashboard: Dashboard::default(),
            audit_logs: AuditLogs::default(),
            metrics: Metrics::default(),
            shutdown: Shutdown::default(),
            log: Log::default(),
        }
    }

    /// The reserved names in the form that `model::HostLabel::parse` takes.
    pub fn reserved_names(&self) -> ReservedNames {
        ReservedNames::with(self.reserved_hostnames.iter().cloned())
    }

    /// Puts what the file says over these values, reporting every problem.
    pub(crate) fn overlay(mut self, mut top: Section, problems: &mut Vec<Problem>) -> Self {
        if let Some(id) = top.take::<ClusterId>("ClusterID", problems) {
            self.cluster_id = id;
        }
        if let Some(listen) = top.take::<SocketAddr>("Listen", problems) {
            self.listen = listen;
            self.services = Services::local(listen.port());
        }
        if let Some(dir) = top.take::<PathBuf>("DataDir", problems) {
            self.data_dir = dir;
        }
        if let Some(names) = top.take::<Vec<String>>("ReservedHostnames", problems) {
            self.reserved_hostnames = names;
        }
        self.services.overlay(top.section("Services", problems), problems);
        let mut within = |name, read: &mut dyn FnMut(&mut Section, &mut Vec<Problem>)| {
            let mut section = top.section(name, problems);
            read(&mut section, problems);
            section.finish(problems);
        };
        within("Database", &mut |section, problems| self.database.overlay(section, problems));
        within("Containers", &mut |section, problems| self.containers.overlay(section, problems));
        within("Lifetimes", &mut |section, problems| self.lifetimes.overlay(section, problems));
        within("API", &mut |section, problems| self.api.overlay(section, problems));
        within("Terminals", &mut |section, problems| {
            self.terminals.overlay(section, problems);
        });
        within("Collections", &mut |section, problems| {
            self.collections.overlay(section, problems);
        });
        within("Proxy", &mut |section, problems| self.proxy.overlay(section, problems));
        within("Tunnels", &mut |section, problems| self.tunnels.overlay(section, problems));
        within("Sessions", &mut |section, problems| self.sessions.overlay(section, problems));
        within("Login", &mut |section, problems| {
            self.login.overlay(section, problems);
            let mut provider = section.section("OpenIDConnect", problems);
            self.openid_connect.overlay(&mut provider, problems);
            self.openid_connect.check(&provider, problems);
            provider.finish(problems);
        });
        within("Users", &mut |section, problems| self.users.overlay(section, problems));
        within("Dashboard", &mut |section, problems| self.dashboard.overlay(section, problems));
        within("AuditLogs", &mut |section, problems| self.audit_logs.overlay(section, problems));
        within("Metrics", &mut |section, problems| self.metrics.overlay(section, problems));
        within("Shutdown", &mut |section, problems| self.shutdown.overlay(section, problems));
        within("Log", &mut |section, problems| self.log.overlay(section, problems));
        let volumes = crate::volumes::read(top.section("Volumes", problems), problems);
        if !volumes.is_empty() {
            self.volumes = volumes;
        }
        top.finish(problems);
        self
    }

    /// The whole config as a YAML file that reads back to itself, each value under its reason.
    ///
    /// There are no secrets in it: most live in files, one that is in the config is not printed, and a database's password is
    /// left out.
    pub fn to_yaml(&self) -> String {
        let line = |key, value: String, why| Line { key, value, why };
        let mut text = String::new();
        let top = [
            line("ClusterID", self.cluster_id.show(), "First five characters of every identifier."),
            line(
                "Listen",
                self.listen.show(),
                "Loopback by default: whoever reaches it over a network can try tokens.",
            ),
            line("DataDir", self.data_dir.show(), "Records, images, logs and secrets."),
            line(
                "ReservedHostnames",
                self.reserved_hostnames.show(),
                "Names that no hostname link may take, beside the built-in ones (www, api, login, …).",
            ),
        ];
        write_lines(&mut text, "", &top);
        self.services.write_yaml(&mut text);
        for (name, lines) in [
            ("Database", self.database.describe()),
            ("Containers", self.containers.describe()),
            ("Lifetimes", self.lifetimes.describe()),
            ("API", self.api.describe()),
            ("Terminals", self.terminals.describe()),
            ("Collections", self.collections.describe()),
            ("Proxy", self.proxy.describe()),
            ("Tunnels", self.tunnels.describe()),
            ("Sessions", self.sessions.describe()),
            ("Login", self.login.describe()),
            ("Users", self.users.describe()),
            ("Dashboard", self.dashboard.describe()),
            ("AuditLogs", self.audit_logs.describe()),
            ("Metrics", self.metrics.describe()),
            ("Shutdown", self.shutdown.describe()),
            ("Log", self.log.describe()),
        ] {
            text.extend([name, ":\n"]);
            write_lines(&mut text, "  ", &lines);
            if name == "Login" {
                text.push_str("  OpenIDConnect:\n");
                write_lines(&mut text, "    ", &self.openid_connect.describe());
            }
        }
        crate::volumes::show(&self.volumes, &mut text);
        text
    }
}

fn write_lines(text: &mut String, indent: &str, lines: &[Line]) {
    for Line { key, value, why } in lines {
        text.extend([indent, "# ", why, "\n", indent, key, ": ", value, "\n"]);
    }
}

impl Services {
    /// The addresses on one machine: browsers take every name below `localhost` to be this machine.
    pub fn local(port: u16) -> Self {
        let pattern = format!("http://*.containers.localhost:{}/", port.max(1));
        Self {
            controller_url: format!("http://localhost:{port}/"),
            service_domain: ServiceDomain::parse(&pattern)
                .expect("a fixed name and a port make a domain"),
            external_ports: None,
            allow_unpublished_ports: true,
        }
    }

    fn overlay(&mut self, mut section: Section, problems: &mut Vec<Problem>) {
        let mut controller = section.section("Controller", problems);
        if let Some(ControllerUrl(url)) = controller.take("ExternalURL", problems) {
            self.controller_url = url;
        }
        controller.finish(problems);
        let mut web = section.section("ContainerWebServices", problems);
        if let Some(domain) = web.take("ExternalURL", problems) {
            self.service_domain = domain;
        }
        if let Some(allow) = web.take("AllowUnpublishedPorts", problems) {
            self.allow_unpublished_ports = allow;
        }
        let min = web.take::<u16>("ExternalPortMin", problems).unwrap_or(0);
        let max = web.take::<u16>("ExternalPortMax", problems).unwrap_or(0);
        match port_range(min, max, self.service_domain.is_wildcard()) {
            Ok(None) => {}
            Ok(range) => self.external_ports = range,
            Err(text) => {
                let path = web.path("ExternalPortMin");
                problems.push(Problem { path, text: text.to_owned() });
            }
        }
        web.finish(problems);
        section.finish(problems);
    }

    fn write_yaml(&self, text: &mut String) {
        let line = |key, value: String, why| Line { key, value, why };
        let (min, max) = self.external_ports.unwrap_or((0, 0));
        text.push_str("Services:\n  Controller:\n");
        let why = "Where clients and browsers find the API and the dashboard.";
        write_lines(text, "    ", &[line("ExternalURL", self.controller_url.show(), why)]);
        text.push_str("  ContainerWebServices:\n");
        let lines = [
            line(
                "ExternalURL",
                self.service_domain.show(),
                "The pattern of service hosts: each service is an origin of its own.",
            ),
            line(
                "ExternalPortMin",
                min.show(),
                "With ExternalPortMax, the ports of services on sites without a wildcard name; 0 for none.",
            ),
            line("ExternalPortMax", max.show(), "Last of those ports."),
            line(
                "AllowUnpublishedPorts",
                self.allow_unpublished_ports.show(),
                "Ports that nobody published can be opened, as private, on wildcard sites.",
            ),
        ];
        write_lines(text, "    ", &lines);
    }
}

impl OpenIdConnect {
    /// What must be there together. The address itself is looked at by whoever talks to the provider.
    fn check(&self, section: &Section, problems: &mut Vec<Problem>) {
        let mut wrong = |key: &str, text: &str| {
            problems.push(Problem { path: section.path(key), text: text.to_owned() });
        };
        if self.accept_access_token {
            wrong("AcceptAccessToken", "must be false: only tokens of Wharf's own are accepted");
        }
        if self.client_secret.is_some() && self.client_secret_file.is_some() {
            wrong("ClientSecretFile", "must not be set together with ClientSecret");
        }
        if self.is_enabled && self.issuer.is_empty() {
            wrong("Issuer", "must be set where Enable is true");
        }
        if self.is_enabled && self.client_id.is_empty() {
            wrong("ClientID", "must be set where Enable is true");
        }
    }
}

fn port_range(min: u16, max: u16, wildcard: bool) -> Result<Option<(u16, u16)>, &'static str> {
    match (min, max) {
        (0, 0) if wildcard => Ok(None),
        (0, 0) => Err("must be set, with ExternalPortMax, as ExternalURL has no wildcard"),
        (0, _) | (_, 0) => Err("ExternalPortMin and ExternalPortMax must be set together"),
        (min, max) if min > max => Err("must not be above ExternalPortMax"),
        range => Ok(Some(range)),
    }
}

/// The controller's address: scheme, host and port only.
struct ControllerUrl(String);

impl Setting for ControllerUrl {
    fn from_value(value: &Value) -> Result<Self, String> {
        let url = String::from_value(value)?;
        match ServiceDomain::parse(&url) {
            Ok(domain) if !domain.is_wildcard() => {
                Ok(Self(format!("{}/", url.trim_end_matches('/').to_ascii_lowercase())))
            }
            _ => Err(format!("must be an address such as https://wharf.example.com/, is {url:?}")),
        }
    }
    fn show(&self) -> String {
        self.0.clone()
    }
}

impl Setting for ServiceDomain {
    fn from_value(value: &Value) -> Result<Self, String> {
        Self::parse(&String::from_value(value)?).map_err(|error| error.to_string())
    }
    fn show(&self) -> String {
        if self.is_wildcard() { self.url_of("*") } else { self.url_of("") }
    }
}

impl Setting for ClusterId {
    fn from_value(value: &Value) -> Result<Self, String> {
        // `12345` without quotes is a number to YAML, and a sound cluster id.
        let text = match value {
            Value::Number(n) => n.to_string(),
            value => String::from_value(value)?,
        };
        Self::parse(&text).map_err(|error| error.to_string())
    }
    fn show(&self) -> String {
        format!("{:?}", self.as_str())
    }
}

#[cfg(test)]
pub(crate) mod tests;
