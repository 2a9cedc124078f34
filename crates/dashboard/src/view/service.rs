//! One service as the pages show it: request, container and host names put together.

use std::collections::BTreeSet;

use client::{ContainerLife, OpenedPorts};
use model::{
    Access, Container, ContainerPort, ContainerRequest, ContainerState, Link, PublishedPort,
    ServiceDomain, UserUuid,
};

use super::address::Address;
use super::state::State;

/// A request with all that a page says about it.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) request: ContainerRequest,
    pub(crate) container: Option<Container>,
    pub(crate) state: State,
    /// In order of port number.
    pub(crate) ports: Vec<Port>,
    /// The host names that lead to it.
    pub(crate) host_names: Vec<Link>,
    /// Whether the person who looks submitted it.
    pub(crate) mine: bool,
    /// Whether the person who looks may change it, and so stop it.
    pub(crate) may_write: bool,
    /// To whom ports were opened, as far as the person who looks may see it.
    pub(crate) access: Vec<Link>,
    /// When it was last used and when it ends by itself; only on its own pages.
    pub(crate) life: Option<ContainerLife>,
    /// WebSockets and raw connections that are open to it, where that is known; only on its own pages.
    pub(crate) n_sockets: Option<u64>,
}

/// Who looks, and what that person may open.
#[derive(Debug)]
pub(crate) struct Viewer<'v> {
    pub(crate) uuid: UserUuid,
    pub(crate) is_admin: bool,
    /// What others opened to that person.
    pub(crate) opened: &'v [OpenedPorts],
}

impl Viewer<'_> {
    fn may_open(&self, request: &ContainerRequest, number: ContainerPort, access: Access) -> bool {
        access == Access::Public
            || self.is_admin
            || request.modified_by_user_uuid == self.uuid
            || self.opened.iter().any(|it| it.request_uuid == request.uuid && it.has(number))
    }
}

/// One published port as something to click.
#[derive(Debug)]
pub(crate) struct Port {
    pub(crate) number: ContainerPort,
    pub(crate) label: String,
    pub(crate) access: Access,
    pub(crate) initial_path: String,
    pub(crate) address: Option<Address>,
    /// Who may enter it, in words.
    pub(crate) who: String,
    /// `Ok`: it can be opened. `Err`: why not, in words.
    pub(crate) open: Result<(), String>,
}

impl Service {
    /// Puts the records together. `links` may hold those of other requests as well.
    pub(crate) fn new(
        request: ContainerRequest,
        container: Option<Container>,
        links: &[Link],
        domain: &ServiceDomain,
        viewer: &Viewer<'_>,
    ) -> Self {
        let state = State::of(&request, container.as_ref());
        let mine = request.modified_by_user_uuid == viewer.uuid;
        let own = |link: &&Link| link.head_uuid.as_deref() == Some(request.uuid.as_str());
        let (access, host_names): (Vec<Link>, Vec<Link>) =
            links.iter().filter(own).cloned().partition(Link::is_service_access);
        let ports = request
            .published_ports
            .iter()
            .map(|(number, wished)| {
                // The container's copy knows addresses and readiness, the request's does not.
                let running = container.as_ref().and_then(|c| c.published_ports.get(number));
                let entry = running.unwrap_or(wished);
                let may_open = viewer.may_open(&request, number, wished.access);
                let open = match may_open {
                    true => can_open(number, &state, container.as_ref(), entry),
                    false => Err("not opened to you: ask its owner".to_owned()),
                };
                Port {
                    number,
                    label: wished.label.clone(),
                    access: wished.access,
                    initial_path: wished.initial_path.clone(),
                    address: Address::of(domain, &request.uuid, number, entry, &host_names),
                    who: who(wished.access, mine, may_open && !viewer.is_admin, number, &access),
                    open,
                }
            })
            .collect();
        // Others may write it too; the API is asked about those (`Upstream::note_writable`).
        let may_write = mine || viewer.is_admin;
        let (life, n_sockets) = (None, None);
        Self {
            request,
            container,
            state,
            ports,
            host_names,
            mine,
            may_write,
            access,
            life,
            n_sockets,
        }
    }

    /// Whether there is something to stop, and the person who looks may.
    pub(crate) fn may_stop(&self) -> bool {
        self.may_write && self.state.can_stop()
    }

    /// The name, or the identifier for those without one.
    pub(crate) fn name(&self) -> &str {
        match self.request.name.trim() {
            "" => self.request.uuid.as_str(),
            name => name,
        }
    }

    /// When it began to run.
    pub(crate) fn started_at(&self) -> Option<&model::Timestamp> {
        self.container.as_ref()?.started_at.as_ref()
    }

    /// When it ended; for one that never ran, when it was given up.
    pub(crate) fn ended_at(&self) -> Option<&model::Timestamp> {
        if !self.state.is_over() {
            return None;
        }
        let finished = self.container.as_ref().and_then(|c| c.finished_at.as_ref());
        Some(finished.unwrap_or(&self.request.modified_at))
    }
}

/// Who may enter a port, in words for the one who looks. `let_in`: that person was let in by somebody.
fn who(access: Access, mine: bool, let_in: bool, number: ContainerPort, links: &[Link]) -> String {
    let holders: BTreeSet<&str> = links
        .iter()
        .filter(|link| link.opens(number))
        .filter_map(|link| link.tail_uuid.as_deref())
        .collect();
    match (access, mine, holders.len()) {
        (Access::Public, ..) => "Public: everyone with the address".to_owned(),
        (Access::Private, true, 0) => "Private: only you".to_owned(),
        (Access::Private, true, 1) => "Private: you and 1 other".to_owned(),
        (Access::Private, true, n) => format!("Private: you and {n} others"),
        (Access::Private, false, _) if let_in => "Private: opened to you".to_owned(),
        (Access::Private, false, 0) => "Private: its owner and administrators".to_owned(),
        (Access::Private, false, n) => format!("Private: its owner and {n} more"),
    }
}

fn can_open(
    number: ContainerPort,
    state: &State,
    container: Option<&Container>,
    entry: &PublishedPort,
) -> Result<(), String> {
    let running = container.is_some_and(|c| c.state == ContainerState::Running);
    match state {
        State::Ready | State::NotAnswering if entry.silent_since.is_some() => {
            Err(format!("nothing listens on port {number} any more"))
        }
        State::Ready | State::Starting if running && entry.is_ready() => Ok(()),
        State::Ready | State::Starting | State::NotAnswering if running => {
            Err(format!("opens as soon as port {number} answers"))
        }
        State::Queued => Err("opens once the service has started".to_owned()),
        State::Draft => Err("the request is not committed".to_owned()),
        State::Ready | State::Starting | State::NotAnswering | State::Running => {
            Err("opens once the service has started".to_owned())
        }
        State::Stopping => Err("the service is stopping".to_owned()),
        State::Stopped | State::Finished | State::Failed(_) => {
            Err("the service is over".to_owned())
        }
    }
}

/// The services of the home page in its order: those with ports first, started ones before waiting
/// ones; then other running work, then what is over. Newest first within each, so that a card keeps
/// its place while its service goes from Starting to Ready.
pub(crate) fn home_order(services: &mut [Service]) {
    services.sort_by(|a, b| {
        let rank = |s: &Service| match (s.state.is_over(), s.ports.is_empty()) {
            (false, false)
                if matches!(s.state, State::Starting | State::Ready | State::NotAnswering) =>
            {
                0
            }
            (false, false) => 1,
            (false, true) => 2,
            (true, _) => 3,
        };
        let time = |s: &Service| *s.ended_at().unwrap_or(&s.request.created_at);
        rank(a).cmp(&rank(b)).then_with(|| time(b).cmp(&time(a)))
    });
}
