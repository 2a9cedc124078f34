//! Ports that were opened to others, and invitations, over the database alone.

use std::net::IpAddr;
use std::time::Duration;

use model::{ContainerPort, ContainerRequest, GuestSessionUuid, Link, User};
use serde_json::{Value, json};
use store::{Admittance, Door, NewInvitation, StoreError, TargetKey};

use crate::fixture::{Fixture, object};

const FROM: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

fn port(number: u16) -> ContainerPort {
    ContainerPort::new(number).unwrap()
}

async fn open_to(
    fixture: &Fixture,
    request: &ContainerRequest,
    holder: &str,
    properties: Value,
) -> Result<Link, StoreError> {
    let mut link = fixture.hostname(&fixture.ada, "unused", request);
    link.link_class = "service_access".to_owned();
    link.tail_uuid = Some(holder.to_owned());
    link.properties = object(properties);
    link.name = model::service_access::access_name(link.port());
    fixture.store.create_link(link, fixture.ada.uuid).await
}

/// What a port rests on for a user.
async fn opened(
    fixture: &Fixture,
    request: &ContainerRequest,
    number: u16,
    user: &User,
) -> Option<Vec<String>> {
    let service = (request.container_uuid, Some(request.uuid));
    fixture.store.opened_to(service, port(number), user.uuid).await.unwrap()
}

#[tokio::test]
async fn a_port_is_opened_to_a_user_once_and_reading_comes_and_goes_with_it() {
    let fixture = Fixture::new().await;
    let request = fixture.submit(&fixture.ada, json!({})).await;
    let bob = fixture.bob.clone();
    assert_eq!(opened(&fixture, &request, 80, &bob).await, None);
    let one = open_to(&fixture, &request, bob.uuid.as_str(), json!({"port": 80})).await.unwrap();
    let again = open_to(&fixture, &request, bob.uuid.as_str(), json!({"port": 80})).await.unwrap();
    assert_eq!(one.uuid, again.uuid);
    let every = open_to(&fixture, &request, bob.uuid.as_str(), json!({})).await.unwrap();
    assert_eq!(opened(&fixture, &request, 80, &bob).await.unwrap().len(), 2, "both ways");
    assert_eq!(opened(&fixture, &request, 81, &bob).await, Some(vec![every.uuid.to_string()]));
    assert_eq!(fixture.level(&bob, &request.uuid).await, "can_read");
    let mine = fixture.store.opened_ports(bob.uuid).await.unwrap();
    let ports = &mine[&request.uuid];
    assert!(ports.every_port && ports.ports.contains(&port(80)), "{ports:?}");
    fixture.store.delete_link(one.uuid).await.unwrap();
    assert_eq!(fixture.level(&bob, &request.uuid).await, "can_read", "the other keeps it");
    fixture.store.delete_link(every.uuid).await.unwrap();
    assert_eq!(fixture.level(&bob, &request.uuid).await, "none");
    assert!(fixture.store.opened_ports(bob.uuid).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_role_opens_to_those_who_are_in_it_by_steps_that_are_named() {
    let fixture = Fixture::new().await;
    let request = fixture.submit(&fixture.ada, json!({})).await;
    let role = fixture.group(&fixture.ada, "role", json!({"name": "Lab"})).await;
    let link = open_to(&fixture, &request, role.uuid.as_str(), json!({})).await.unwrap();
    assert_eq!(opened(&fixture, &request, 80, &fixture.bob).await, None);
    let member = fixture.grant(&fixture.bob.uuid, "can_read", &role.uuid).await;
    let rests_on = opened(&fixture, &request, 80, &fixture.bob).await.unwrap();
    for record in [link.uuid.to_string(), role.uuid.to_string(), member.uuid.to_string()] {
        assert!(rests_on.contains(&record), "{record} in {rests_on:?}");
    }
    assert!(fixture.store.opened_ports(fixture.bob.uuid).await.unwrap()[&request.uuid].every_port);
    fixture.store.delete_link(member.uuid).await.unwrap();
    assert_eq!(opened(&fixture, &request, 80, &fixture.bob).await, None);
}

#[tokio::test]
async fn a_link_without_two_ends_is_refused_by_the_database_s_own_step() {
    let fixture = Fixture::new().await;
    let request = fixture.submit(&fixture.ada, json!({})).await;
    let project = fixture.group(&fixture.ada, "project", json!({"name": "P"})).await;
    for holder in ["wharf-tpzed-doesnotexist123", project.uuid.as_str(), ""] {
        let refused = open_to(&fixture, &request, holder, json!({})).await;
        assert!(matches!(refused, Err(StoreError::NotFound(_))), "{holder}: {refused:?}");
    }
    fixture.store.delete_request(request.uuid).await.unwrap();
    let refused = open_to(&fixture, &request, fixture.bob.uuid.as_str(), json!({})).await;
    assert!(matches!(refused, Err(StoreError::NotFound(_))), "{refused:?}");
}

async fn door(fixture: &Fixture, request: &ContainerRequest) -> Door {
    let target = fixture.store.find_target(&TargetKey::Request(request.uuid)).await.unwrap();
    Door {
        container: request.container_uuid,
        request: Some(request.uuid),
        port: port(80),
        submitters: target.unwrap().submitters,
    }
}

async fn invite(fixture: &Fixture, request: &ContainerRequest, uses_max: u32) -> String {
    invite_to(fixture, request, uses_max, &[80]).await
}

async fn invite_to(
    fixture: &Fixture,
    request: &ContainerRequest,
    uses_max: u32,
    ports: &[u16],
) -> String {
    let new = NewInvitation {
        request: request.uuid,
        port: port(ports[0]),
        further_ports: ports[1..].iter().copied().map(port).collect(),
        made_by: fixture.ada.uuid,
        note: "review".to_owned(),
        lifetime: Duration::from_secs(60),
        uses_max,
    };
    fixture.store.create_invitation(new).await.unwrap().0
}

async fn redeem(fixture: &Fixture, secret: &str, door: &Door) -> Option<Admittance> {
    fixture.store.redeem_invitation(secret, door.clone(), FROM).await.unwrap()
}

async fn is_in(fixture: &Fixture, session: GuestSessionUuid, door: &Door) -> bool {
    fixture.store.admit_guest(session, door).await.unwrap().is_some()
}

#[tokio::test]
async fn an_invitation_is_used_as_often_as_it_says_also_at_once() {
    let fixture = Fixture::new().await;
    let request = fixture.submit(&fixture.ada, json!({})).await;
    let door = door(&fixture, &request).await;
    let secret = invite(&fixture, &request, 3).await;
    let tries = (0..8).map(|_| redeem(&fixture, &secret, &door));
    let n_in = futures_util::future::join_all(tries).await.iter().flatten().count();
    assert_eq!(n_in, 3);
    let listed = fixture.store.invitations_of(request.uuid).await.unwrap();
    assert_eq!((listed[0].n_used, listed[0].uses_max), (3, 3));
    assert_eq!(fixture.store.guests_of(request.uuid).await.unwrap().len(), 3);
}

#[tokio::test]
async fn t48_an_invitation_opens_its_own_door_alone_and_nothing_else_uses_it_up() {
    let fixture = Fixture::new().await;
    let request = fixture.submit(&fixture.ada, json!({})).await;
    let other = fixture.submit(&fixture.ada, json!({})).await;
    let own = door(&fixture, &request).await;
    let secret = invite(&fixture, &request, 1).await;
    let doors = [
        door(&fixture, &other).await,
        Door { port: port(81), ..own.clone() },
        Door { submitters: Vec::new(), ..own.clone() },
        Door { submitters: vec![fixture.bob.uuid], ..own.clone() },
    ];
    for door in doors {
        assert_eq!(redeem(&fixture, &secret, &door).await, None, "{door:?}");
    }
    assert_eq!(redeem(&fixture, "wc1_guess", &own).await, None);
    let admitted = redeem(&fixture, &secret, &own).await.unwrap();
    assert!(is_in(&fixture, admitted.session, &own).await);
    assert!(!is_in(&fixture, admitted.session, &door(&fixture, &other).await).await);
}

#[tokio::test]
async fn an_invitation_to_several_ports_opens_each_as_often_as_it_says_and_no_other() {
    let fixture = Fixture::new().await;
    let request = fixture.submit(&fixture.ada, json!({})).await;
    let first = door(&fixture, &request).await;
    let second = Door { port: port(81), ..first.clone() };
    let third = Door { port: port(83), ..first.clone() };
    let secret = invite_to(&fixture, &request, 1, &[80, 81, 82]).await;
    assert_eq!(redeem(&fixture, &secret, &third).await, None);
    let guest = redeem(&fixture, &secret, &second).await.unwrap();
    assert_eq!(redeem(&fixture, &secret, &second).await, None, "used up");
    assert!(is_in(&fixture, guest.session, &second).await);
    let other = redeem(&fixture, &secret, &first).await.unwrap();
    let listed = fixture.store.invitations_of(request.uuid).await.unwrap();
    let n_used = |number| listed[0].n_used_of(port(number));
    assert_eq!([80, 81, 82, 83].map(n_used), [Some(1), Some(1), Some(0), None]);
    assert!(fixture.store.delete_invitation(guest.invitation).await.unwrap());
    assert!(!is_in(&fixture, guest.session, &second).await);
    assert!(!is_in(&fixture, other.session, &first).await);
}

#[tokio::test]
async fn guests_are_out_in_time_and_when_they_or_their_invitation_go() {
    let fixture = Fixture::new().await;
    let request = fixture.submit(&fixture.ada, json!({})).await;
    let door = door(&fixture, &request).await;
    let secret = invite(&fixture, &request, 9).await;
    let one = redeem(&fixture, &secret, &door).await.unwrap();
    let two = redeem(&fixture, &secret, &door).await.unwrap();
    assert!(fixture.store.delete_guest(one.session).await.unwrap());
    assert!(
        !is_in(&fixture, one.session, &door).await && is_in(&fixture, two.session, &door).await
    );
    fixture.advance(61);
    assert!(!is_in(&fixture, two.session, &door).await, "its time is over");
    assert_eq!(redeem(&fixture, &secret, &door).await, None);
    let secret = invite(&fixture, &request, 9).await;
    let three = redeem(&fixture, &secret, &door).await.unwrap();
    assert!(fixture.store.delete_invitation(three.invitation).await.unwrap());
    assert!(!is_in(&fixture, three.session, &door).await);
    let secret = invite(&fixture, &request, 9).await;
    fixture.store.delete_request(request.uuid).await.unwrap();
    assert_eq!(redeem(&fixture, &secret, &door).await, None);
}
