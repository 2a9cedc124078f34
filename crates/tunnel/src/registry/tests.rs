use std::time::Duration;

use tokio::io::{BufReader, DuplexStream, duplex};
use tokio::task::JoinHandle;

use super::*;
use crate::{CloseReason, Limits, Role, start};

const UUID: &str = "wharf-dz642-000000000000001";

struct Ends {
    tunnel: Tunnel,
    incoming: Incoming,
    far: (Tunnel, Incoming),
    drivers: [JoinHandle<CloseReason>; 2],
}

fn ends() -> Ends {
    let (near, far): (DuplexStream, DuplexStream) = duplex(64 * 1024);
    let (tunnel, incoming, driver) =
        start(BufReader::new(near), Role::Controller, Limits::controller());
    let (far_tunnel, far_incoming, far_driver) =
        start(BufReader::new(far), Role::Supervisor, Limits::supervisor());
    let drivers = [tokio::spawn(driver), tokio::spawn(far_driver)];
    Ends { tunnel, incoming, far: (far_tunnel, far_incoming), drivers }
}

#[tokio::test]
async fn second_tunnel_is_refused_while_the_first_lives() {
    let registry = Registry::new();
    let (first, second) = (ends(), ends());
    registry.insert(UUID, first.tunnel.clone(), first.incoming).unwrap();
    let refused = registry.insert(UUID, second.tunnel.clone(), second.incoming);
    assert_eq!(refused, Err(DuplicateTunnel));
    assert!(second.tunnel.is_closed());
    let told = second.far.0.closed().await;
    assert_eq!(told, CloseReason::PeerClosed(GoAway::Duplicate));
    assert!(registry.get(UUID).unwrap().is_same(&first.tunnel));
    assert!(!first.tunnel.is_closed());
}

#[tokio::test]
async fn successor_is_welcome_once_the_first_has_ended() {
    let registry = Registry::new();
    let mut events = registry.events();
    let (first, second) = (ends(), ends());
    registry.insert(UUID, first.tunnel.clone(), first.incoming).unwrap();
    assert_eq!(events.next().await, Some(RegistryEvent::Appeared(UUID.to_owned())));
    assert!(registry.take_incoming(UUID).is_some());
    assert!(registry.take_incoming(UUID).is_none());

    first.far.0.close();
    assert_eq!(events.next().await, Some(RegistryEvent::Vanished(UUID.to_owned())));
    assert!(registry.get(UUID).is_none());
    assert!(registry.uuids().is_empty());

    registry.insert(UUID, second.tunnel.clone(), second.incoming).unwrap();
    assert_eq!(events.next().await, Some(RegistryEvent::Appeared(UUID.to_owned())));
    assert_eq!(registry.uuids(), [UUID]);
    registry.remove(UUID);
    assert_eq!(events.next().await, Some(RegistryEvent::Vanished(UUID.to_owned())));
    for driver in second.drivers {
        driver.await.unwrap();
    }
}

#[tokio::test]
async fn waiting_ends_when_the_tunnel_comes() {
    let registry = Registry::new();
    let ends = ends();
    let deadline = Instant::now() + Duration::from_secs(30);
    let (found, ()) = tokio::join!(registry.wait_for(UUID, deadline), async {
        tokio::task::yield_now().await;
        registry.insert(UUID, ends.tunnel.clone(), ends.incoming).unwrap();
    });
    assert!(found.unwrap().is_same(&ends.tunnel));
}

#[tokio::test(start_paused = true)]
async fn waiting_ends_at_its_deadline() {
    let registry = Registry::new();
    let deadline = Instant::now() + Duration::from_secs(30);
    assert!(registry.wait_for(UUID, deadline).await.is_none());
    assert!(Instant::now() >= deadline);
}
