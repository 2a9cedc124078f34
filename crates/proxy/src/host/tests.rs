use http::HeaderValue;
use model::{Access, PublishedPort};
use proptest::prelude::*;

use super::*;

const CONTAINER: &str = "wharf-dz642-0123456789abcde";
const REQUEST: &str = "wharf-xvhdp-0123456789abcde";

fn dotted() -> HostRules {
    HostRules::new(ServiceDomain::parse("http://*.containers.localhost:8000/").unwrap(), None)
}

fn suffixed() -> HostRules {
    HostRules::new(ServiceDomain::parse("https://*--containers.example.com/").unwrap(), None)
}

fn ranged() -> HostRules {
    HostRules::new(ServiceDomain::parse("http://services.example/").unwrap(), Some(9000..=9009))
}

fn resolve(rules: &HostRules, host: &str) -> Result<HostTarget, HostError> {
    rules.target_of(&Authority::parse(host)?)
}

fn container(port: Option<u16>) -> HostTarget {
    let port = port.and_then(ContainerPort::new);
    HostTarget::Container { uuid: ContainerUuid::parse(CONTAINER).unwrap(), port }
}

fn request(port: Option<u16>) -> HostTarget {
    let port = port.and_then(ContainerPort::new);
    HostTarget::Request { uuid: RequestUuid::parse(REQUEST).unwrap(), port }
}

fn name(text: &str) -> HostTarget {
    HostTarget::Name(text.to_owned())
}

#[test]
fn every_form_of_a_label_resolves() {
    let upper = format!("{}-8888.Containers.LOCALHOST.:8000", CONTAINER.to_uppercase());
    for (host, expected) in [
        (format!("{CONTAINER}-80.containers.localhost:8000"), container(Some(80))),
        (format!("{CONTAINER}-65535.containers.localhost"), container(Some(65535))),
        (format!("{CONTAINER}.containers.localhost"), container(None)),
        (format!("{CONTAINER}.containers.localhost."), container(None)),
        (format!("{REQUEST}-8888.containers.localhost:1"), request(Some(8888))),
        (format!("{REQUEST}.containers.localhost:"), request(None)),
        (upper, container(Some(8888))),
        ("jupyter.containers.localhost:8000".to_owned(), name("jupyter")),
        ("JUPYTER.containers.localhost".to_owned(), name("jupyter")),
        ("x-80.containers.localhost".to_owned(), name("x-80")),
        (format!("{CONTAINER}x.containers.localhost"), name(&format!("{CONTAINER}x"))),
        (
            "wharf-tpzed-000000000000000.containers.localhost".to_owned(),
            name("wharf-tpzed-000000000000000"),
        ),
    ] {
        assert_eq!(resolve(&dotted(), &host), Ok(expected), "{host}");
    }
}

#[test]
fn ports_that_are_none_are_refused() {
    for port in
        ["0", "70000", "65536", "080", "+80", "8 0", "http", "", "80-80", "-80", "99999999999"]
    {
        let host = format!("{CONTAINER}-{port}.containers.localhost");
        let refusal = resolve(&dotted(), &host).unwrap_err();
        assert!(
            matches!(refusal, HostError::BadPort | HostError::Malformed),
            "{host}: {refusal:?}"
        );
    }
}

#[test]
fn other_spellings_are_malformed() {
    let long = "a".repeat(64);
    for host in [
        "",
        ".",
        "..",
        ":80",
        "a..containers.localhost",
        ".containers.localhost",
        "a.containers.localhost..",
        "user@a.containers.localhost",
        "a.containers.localhost:x",
        "a.containers.localhost:0",
        "a.containers.localhost:65536",
        "a.containers.localhost:80:80",
        "[::1]",
        "[::1]:80",
        "a.containers.localhost/",
        "a.containers.localhost?",
        "a b.containers.localhost",
        "a%2e.containers.localhost",
        "ä.containers.localhost",
        "a,b.containers.localhost",
        "-a.containers.localhost",
        "a-.containers.localhost",
        "a_b.containers.localhost",
        &format!("{long}.containers.localhost"),
    ] {
        assert_eq!(resolve(&dotted(), host), Err(HostError::Malformed), "{host}");
    }
}

#[test]
fn hosts_outside_the_domain_are_no_service() {
    for host in [
        "containers.localhost",
        "localhost:8000",
        "127.0.0.1",
        "a.b.containers.localhost",
        "evil.example",
    ] {
        assert_eq!(resolve(&dotted(), host), Err(HostError::NotAService), "{host}");
    }
    // Deeper names are still kept away from the API.
    assert!(dotted().is_service_host("a.b.containers.localhost"));
    assert!(!dotted().is_service_host("containers.localhost:8000"));
    assert!(!dotted().is_service_host("localhost:8000"));
}

#[test]
fn a_suffix_wildcard_resolves_like_a_dotted_one() {
    let host = format!("{CONTAINER}-80--containers.example.com");
    assert_eq!(resolve(&suffixed(), &host), Ok(container(Some(80))));
    assert_eq!(resolve(&suffixed(), "Jupyter--containers.example.com:443"), Ok(name("jupyter")));
    assert_eq!(resolve(&suffixed(), "containers.example.com"), Err(HostError::NotAService));
    assert_eq!(suffixed().parent_domain(), Some("example.com"));
    assert_eq!(dotted().parent_domain(), Some("containers.localhost"));
}

#[test]
fn without_a_wildcard_the_port_names_the_service() {
    assert_eq!(resolve(&ranged(), "services.example:9003"), Ok(HostTarget::ExternalPort(9003)));
    assert_eq!(resolve(&ranged(), "SERVICES.example.:9009"), Ok(HostTarget::ExternalPort(9009)));
    for host in [
        "services.example",
        "services.example:8999",
        "services.example:9010",
        "x.services.example:9003",
    ] {
        assert_eq!(resolve(&ranged(), host), Err(HostError::NotAService), "{host}");
        assert!(!ranged().is_service_host(host));
    }
}

fn named(uri: &str, hosts: &[&str]) -> Result<String, HostError> {
    let mut headers = HeaderMap::new();
    for host in hosts {
        headers.append(HOST, HeaderValue::from_str(host).unwrap());
    }
    named_host(&uri.parse().unwrap(), &headers).map(str::to_owned)
}

#[test]
fn a_request_names_exactly_one_host() {
    assert_eq!(named("/x", &["a.b"]), Ok("a.b".to_owned()));
    assert_eq!(named("http://a.b/x", &["A.b"]), Ok("A.b".to_owned()));
    assert_eq!(named("http://a.b/x", &[]), Ok("a.b".to_owned()));
    assert_eq!(named("/x", &[]), Err(HostError::Missing));
    assert_eq!(named("/x", &["a.b", "a.b"]), Err(HostError::Ambiguous));
    assert_eq!(named("http://a.b/x", &["c.d"]), Err(HostError::Ambiguous));
    assert_eq!(named("http://a.b:80/x", &["a.b"]), Err(HostError::Ambiguous));
    let user = named("http://u@a.b/", &["a.b"]);
    assert_eq!(user, Err(HostError::Ambiguous));
}

#[test]
fn a_canonical_host_is_written_as_browsers_write_origins() {
    for (host, https, expected) in [
        ("A.b.", false, "a.b"),
        ("a.b:80", false, "a.b"),
        ("a.b:443", false, "a.b:443"),
        ("a.b:443", true, "a.b"),
        ("a.b:8000", true, "a.b:8000"),
    ] {
        assert_eq!(Authority::parse(host).unwrap().canonical(https), expected);
    }
}

#[test]
fn a_uuid_alone_means_port_80_or_the_only_one() {
    let ports = |numbers: &[u16]| {
        let mut ports = PublishedPorts::default();
        for number in numbers {
            let entry = PublishedPort::new(Access::Private, "x", "");
            ports.insert(ContainerPort::new(*number).unwrap(), entry);
        }
        default_port(&ports).get()
    };
    assert_eq!([ports(&[]), ports(&[80, 81]), ports(&[8888]), ports(&[1, 2])], [80, 80, 8888, 80]);
}

proptest! {
    /// Whatever is sent as a host, reading it never panics, and what it names is never outside the domain.
    #[test]
    fn any_text_is_read_without_panic(host in "\\PC{0,80}") {
        let rules = dotted();
        if resolve(&rules, &host).is_ok() {
            prop_assert!(rules.is_service_host(&host));
        }
        let _decided = resolve(&suffixed(), &format!("{host}--containers.example.com"));
        let _decided = resolve(&rules, &format!("{host}.containers.localhost"));
    }

    /// A UUID with any port number is that port of that container, in any case.
    #[test]
    fn a_uuid_with_a_port_is_never_a_name(port in 1u16.., upper: bool) {
        let label = if upper { CONTAINER.to_uppercase() } else { CONTAINER.to_owned() };
        prop_assert_eq!(resolve(&dotted(), &format!("{label}-{port}.containers.localhost")), Ok(container(Some(port))));
    }
}
