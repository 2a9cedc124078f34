//! A service as people see it: one state in words, and its addresses.

use std::collections::HashMap;

use anyhow::Context as _;
use client::{Client, ClientError};
use model::{
    Container, ContainerPort, ContainerRequest, ContainerState, ContainerUuid, Link, PublishedPort,
    RequestState, ServiceDomain, initial_url,
};

/// A request, the container that satisfies it, and the host names that lead to it.
#[derive(Clone, Debug)]
pub(crate) struct Service {
    pub(crate) request: ContainerRequest,
    pub(crate) container: Option<Container>,
    /// Sorted by name.
    pub(crate) hostnames: Vec<Link>,
}

impl Service {
    /// Adds containers and host names to requests, in few calls.
    pub(crate) async fn complete(
        client: &Client,
        requests: Vec<ContainerRequest>,
    ) -> Result<Vec<Self>, ClientError> {
        let request_uuids: Vec<_> = requests.iter().map(|request| request.uuid).collect();
        let container_uuids: Vec<_> =
            requests.iter().filter_map(|request| request.container_uuid).collect();
        let (containers, links) = tokio::try_join!(
            client.list_containers(&container_uuids),
            client.hostnames_of(&request_uuids)
        )?;
        let containers: HashMap<_, _> =
            containers.into_iter().map(|container| (container.uuid, container)).collect();
        let mut services: Vec<Self> = requests
            .into_iter()
            .map(|request| {
                let container = request.container_uuid.and_then(|uuid| containers.get(&uuid));
                Self { container: container.cloned(), request, hostnames: Vec::new() }
            })
            .collect();
        for link in links {
            let head = link.head_uuid.as_deref();
            let owner = services.iter_mut().find(|one| Some(one.request.uuid.as_str()) == head);
            if let Some(service) = owner {
                service.hostnames.push(link);
            }
        }
        for service in &mut services {
            service.hostnames.sort_by(|a, b| a.name.cmp(&b.name));
        }
        Ok(services)
    }

    /// What a person calls it: its name, else the end of its identifier.
    pub(crate) fn title(&self) -> String {
        title(&self.request)
    }

    /// Its container, where there is one that may still answer; `nothing` says of a draft what cannot be had.
    pub(crate) fn live_container(&self, nothing: &str) -> anyhow::Result<ContainerUuid> {
        let title = self.title();
        if !self.is_alive() {
            let reason = self.reason().map(|reason| format!(" ({reason})")).unwrap_or_default();
            anyhow::bail!("{title} is over: {}{reason}", self.state_words());
        }
        self.request.container_uuid.with_context(|| format!("{title} is a draft: {nothing}"))
    }

    /// True if it runs or is going to.
    pub(crate) fn is_alive(&self) -> bool {
        is_alive(&self.request, self.container.as_ref())
    }

    /// One or two words: `queued`, `starting`, `running`, `stopping`, `done`, `exit 3`, `failed`, `stopped`, `draft`.
    pub(crate) fn state_words(&self) -> String {
        state_words(&self.request, self.container.as_ref())
    }

    /// Why it is over or does not start, in words, where somebody knows.
    pub(crate) fn reason(&self) -> Option<&str> {
        self.container.as_ref().and_then(Container::error_words)
    }

    /// Published ports with the best known of each: the container's entry once it has one.
    pub(crate) fn ports(&self) -> Vec<(ContainerPort, &PublishedPort)> {
        let container = self.container.as_ref().map(|container| &container.published_ports);
        let best = |(port, entry)| (port, container.and_then(|all| all.get(port)).unwrap_or(entry));
        self.request.published_ports.iter().map(best).collect()
    }

    /// The port that is meant when none is named: the only one, else 80, as service hosts have it.
    pub(crate) fn default_port(&self) -> Option<ContainerPort> {
        let ports = &self.request.published_ports;
        let http = ports.get(ContainerPort::HTTP).map(|_entry| ContainerPort::HTTP);
        http.or_else(|| ports.only_port())
    }

    /// The host name that leads to a port.
    pub(crate) fn hostname_of(&self, port: ContainerPort) -> Option<&str> {
        let leads_there = |link: &&Link| link.port() == Some(port);
        self.hostnames.iter().find(leads_there).map(|link| link.name.as_str())
    }

    /// The address of a port with its initial path, without any code: by host name, else by
    /// identifier; on sites without a wildcard only once it runs.
    pub(crate) fn url(
        &self,
        port: ContainerPort,
        domain: Option<&ServiceDomain>,
    ) -> Option<String> {
        let entry = self.ports().into_iter().find(|(number, _)| *number == port);
        let path = entry.map_or("", |(_, entry)| entry.initial_path.as_str());
        if let Some(domain) = domain.filter(|domain| domain.is_wildcard()) {
            let label = match self.hostname_of(port) {
                Some(name) => name.to_owned(),
                None => format!("{}-{port}", self.request.uuid),
            };
            return Some(initial_url(&domain.url_of(&label), path));
        }
        entry?.1.initial_url.clone()
    }

    /// The address of a port that no host name can be moved from; on sites without a wildcard only once it runs.
    pub(crate) fn own_url(
        &self,
        port: ContainerPort,
        domain: Option<&ServiceDomain>,
    ) -> Option<String> {
        if let Some(domain) = domain.filter(|domain| domain.is_wildcard()) {
            return Some(domain.url_of(&format!("{}-{port}", self.request.uuid)));
        }
        let entry = self.ports().into_iter().find(|(number, _)| *number == port);
        entry?.1.base_url.clone()
    }
}

/// As [`Service::title`].
pub(crate) fn title(request: &ContainerRequest) -> String {
    if request.name.is_empty() {
        short_id(request.uuid.as_str()).to_owned()
    } else {
        crate::table::printable(&request.name)
    }
}

/// The random part of an identifier: what tells two of a kind apart, and accepted wherever an
/// identifier is.
pub(crate) fn short_id(uuid: &str) -> &str {
    uuid.get(12..).unwrap_or(uuid)
}

fn is_alive(request: &ContainerRequest, container: Option<&Container>) -> bool {
    request.state == RequestState::Committed
        && container.is_none_or(|container| !container.state.is_over())
}

fn state_words(request: &ContainerRequest, container: Option<&Container>) -> String {
    let unwanted = request.priority == 0;
    let Some(container) = container else {
        return match (request.state, unwanted) {
            (RequestState::Uncommitted, _) => "draft",
            (RequestState::Committed, false) => "queued",
            (RequestState::Committed, true) | (RequestState::Final, _) => "stopped",
        }
        .to_owned();
    };
    match container.state {
        ContainerState::Queued | ContainerState::Locked | ContainerState::Running if unwanted => {
            "stopping".to_owned()
        }
        ContainerState::Queued => "queued".to_owned(),
        ContainerState::Locked => "starting".to_owned(),
        ContainerState::Running if answers(container) => "running".to_owned(),
        ContainerState::Running => "starting".to_owned(),
        ContainerState::Complete => match container.exit_code {
            Some(0) | None => "done".to_owned(),
            Some(code) => format!("exit {code}"),
        },
        ContainerState::Cancelled if container.error_words().is_some() && !unwanted => {
            "failed".to_owned()
        }
        ContainerState::Cancelled => "stopped".to_owned(),
    }
}

/// One published port has answered, so that there is something to open; without any, running is
/// enough. Ports that never open are seen in `show`.
fn answers(container: &Container) -> bool {
    let ports = &container.published_ports;
    ports.is_empty() || ports.iter().any(|(_, entry)| entry.is_ready())
}

/// Every published port has answered; without any, running is enough.
pub(crate) fn is_ready(container: &Container) -> bool {
    container.state == ContainerState::Running
        && container.published_ports.iter().all(|(_, entry)| entry.is_ready())
}

#[cfg(test)]
pub(crate) mod tests;
