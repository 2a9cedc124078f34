//! Sites without a wildcard name: the port is the service, and ports are used again.

use proxy::HostTarget;

use crate::app::App;
use crate::world::{CONTAINER, OTHER, Way, World, target};

async fn world() -> (World, App) {
    let world = World::with(|config| {
        config.service_domain = model::ServiceDomain::parse("http://services.example/").unwrap();
        config.external_ports = Some(9000..=9009);
    })
    .await;
    let app = App::echo().await;
    world.apps.set(CONTAINER, 81, Way::At(app.address));
    world.apps.set(CONTAINER, 80, Way::At(app.address));
    world.apps.set(OTHER, 81, Way::At(app.address));
    world.records.add_as(HostTarget::ExternalPort(9001), target(CONTAINER, "alice", 81));
    world.records.add_as(HostTarget::ExternalPort(9002), target(CONTAINER, "alice", 80));
    (world, app)
}

fn request(method: &str, port: u16, path: &str, more: &str) -> String {
    let length = if method == "POST" { "Content-Length: 0\r\n" } else { "" };
    format!("{method} {path} HTTP/1.1\r\nHost: services.example:{port}\r\n{length}{more}\r\n")
}

#[tokio::test]
async fn the_port_of_the_host_names_the_service() {
    let (world, app) = world().await;
    assert_eq!(world.send(&request("GET", 9001, "/", "")).await.status, 200);
    assert_eq!(app.last().headers("host"), ["services.example:9001"]);
    assert_eq!(world.send(&request("GET", 9002, "/", "")).await.status, 403);
    for port in [9003, 8999, 80] {
        assert_eq!(world.send(&request("GET", port, "/", "")).await.status, 404, "{port}");
    }
    assert!(world.proxy.is_service_host("services.example:9001"));
    assert!(
        !world.proxy.is_service_host("services.example:8000")
            && !world.proxy.is_service_host("services.example")
    );
}

#[tokio::test]
async fn cookies_carry_the_port_and_open_only_their_own() {
    let (world, app) = world().await;
    world.records.add_as(HostTarget::ExternalPort(9003), target(CONTAINER, "alice", 80));
    let cookie = world.sign_in("services.example:9002").await;
    assert!(cookie.starts_with("wharf_session_9002="));
    let header = format!("Cookie: {cookie}; wharf_dashboard=secret; app=1\r\n");
    assert_eq!(world.send(&request("GET", 9002, "/", &header)).await.status, 200);
    assert_eq!(app.last().headers("cookie"), ["app=1"]);
    let renamed = header.replace("_9002", "_9003");
    assert_eq!(world.send(&request("GET", 9003, "/", &renamed)).await.status, 403);
    assert_eq!(world.send(&request("GET", 9003, "/", &header)).await.status, 403);
}
