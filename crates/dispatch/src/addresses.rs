//! The public addresses of a container's published ports, given when it starts to run.

use std::collections::BTreeMap;

use model::{ContainerPort, ContainerUuid, PublishedPorts, ServiceDomain};

/// Fills the container's fields of each port: `base_url`, `initial_url`, `external_port`, `ready`.
///
/// With a wildcard the label is `<container uuid>-<port>`, which no hostname link can take over.
/// Without one each port has the number that `external` gives it; a port that got none stays
/// without an address, and is answered: it cannot be opened.
pub fn fill(
    ports: &mut PublishedPorts,
    container: ContainerUuid,
    domain: &ServiceDomain,
    external: &BTreeMap<ContainerPort, u16>,
) -> Vec<ContainerPort> {
    let mut without = Vec::new();
    for (port, entry) in ports.iter_mut() {
        if domain.is_wildcard() {
            let label = format!("{}-{}", container.as_str(), port.get());
            entry.start(domain.url_of(&label), None);
        } else if let Some(number) = external.get(&port) {
            entry.start(domain.url_of_port(*number), Some(*number));
        } else {
            without.push(port);
        }
    }
    without
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ports() -> PublishedPorts {
        let json = serde_json::json!({
            "80": {"access": "private", "label": "web", "initial_path": "a?b#c"},
            "8888": {"access": "public", "label": "more"},
        });
        PublishedPorts::parse(&json).unwrap()
    }

    fn container() -> ContainerUuid {
        ContainerUuid::parse("wharf-dz642-aaaaaaaaaaaaaaa").unwrap()
    }

    #[test]
    fn a_wildcard_gives_each_port_a_name() {
        let domain = ServiceDomain::parse("http://*.containers.localhost:8000/").unwrap();
        let mut ports = ports();
        assert!(fill(&mut ports, container(), &domain, &BTreeMap::new()).is_empty());
        let web = ports.iter().next().unwrap().1;
        let base = "http://wharf-dz642-aaaaaaaaaaaaaaa-80.containers.localhost:8000/";
        assert_eq!(web.base_url.as_deref(), Some(base));
        assert_eq!(web.initial_url.as_deref(), Some(format!("{base}a?b#c").as_str()));
        assert_eq!(web.external_port.flatten(), None);
        assert!(!web.is_ready());
    }

    #[test]
    fn without_a_wildcard_each_port_has_its_number_or_is_named() {
        let domain = ServiceDomain::parse("https://services.example.com/").unwrap();
        let mut ports = ports();
        let external = [(ContainerPort::HTTP, 5000)].into();
        let without = fill(&mut ports, container(), &domain, &external);
        assert_eq!(without, [ContainerPort::new(8888).unwrap()]);
        let web = ports.get(ContainerPort::HTTP).unwrap();
        assert_eq!(web.base_url.as_deref(), Some("https://services.example.com:5000/"));
        assert_eq!(web.external_port.flatten(), Some(5000));
    }
}
