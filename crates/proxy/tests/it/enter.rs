//! The way in by the dashboard: a mark in the browser, and a code that only this browser can redeem (T7, T8).

use crate::client::request;
use crate::world::{CONTAINER, HOST, World};

/// The mark's cookie (`name=value`) and its digest, as the dashboard is told it.
async fn enter(world: &World, path: &str, headers: &str) -> (String, String, String) {
    let answer = world.send(&request("GET", HOST, path, headers)).await;
    assert_eq!(answer.status, 303, "{answer:?}");
    let cookie = answer.header("set-cookie").unwrap();
    assert!(cookie.contains("; HttpOnly; SameSite=Lax; Max-Age=600"), "{cookie}");
    let location = answer.header("location").unwrap().to_owned();
    let (address, digest) = location.split_once("&browser=").unwrap();
    (cookie.split(';').next().unwrap().to_owned(), address.to_owned(), digest.to_owned())
}

async fn redeem(world: &World, code: &str, cookies: &str) -> bool {
    let headers = format!("Cookie: {cookies}\r\n");
    let answer = world.send(&request("GET", HOST, &format!("/?api_token={code}"), &headers)).await;
    assert_eq!(answer.status, 303, "the code leaves the address bar");
    answer.header("set-cookie").is_some_and(|cookie| cookie.starts_with("wharf_session="))
}

#[tokio::test]
async fn t07_a_bound_code_opens_in_the_browser_that_asked_and_in_no_other() {
    let (world, app) = World::with_echo().await;
    let (mark, address, digest) = enter(&world, "/.wharf/enter?path=%2Flab%3Fa%3Db", "").await;
    assert_eq!(
        address,
        format!(
            "http://localhost:8000/open?host={CONTAINER}-80.containers.localhost&path=%2Flab%3Fa%3Db"
        )
    );
    let (other, ..) = enter(&world, "/.wharf/enter", "").await;
    let place = format!("{HOST} {digest}");
    assert!(redeem(&world, &format!("{}.b", world.records.code(&place)), &mark).await);
    for cookies in [&*other, "", &format!("{mark}; {other}"), "wharf_browser="] {
        let code = format!("{}.b", world.records.code(&place));
        assert!(!redeem(&world, &code, cookies).await, "{cookies}");
        assert!(!redeem(&world, &code, &mark).await, "the wrong browser has used it up");
    }
    // To take the sign off, or put it on, is to ask at another place.
    assert!(!redeem(&world, &world.records.code(&place), &mark).await);
    assert!(!redeem(&world, &format!("{}.b", world.records.code(HOST)), &mark).await);
    assert!(app.seen().is_empty());
}

#[tokio::test]
async fn the_mark_is_kept_for_a_second_tab_and_never_reaches_the_app() {
    let (world, app) = World::with_echo().await;
    let (mark, _, digest) = enter(&world, "/.wharf/enter", "").await;
    let (again, _, same) = enter(&world, "/.wharf/enter", &format!("Cookie: {mark}\r\n")).await;
    assert_eq!((mark.clone(), digest), (again, same));
    let session = world.sign_in(HOST).await;
    let headers = format!("Cookie: {mark}; a=1; {session}\r\n");
    assert_eq!(world.send(&request("GET", HOST, "/", &headers)).await.status, 200);
    let seen = format!("{:?}", app.last());
    assert!(!seen.contains("wharf_"), "{seen}");
    // Whoever is let in already goes the same way.
    let _in_again = enter(&world, "/.wharf/enter", &headers).await;
}

#[tokio::test]
async fn t40_the_way_in_says_nothing_of_what_is_there() {
    let (world, _app) = World::with_echo().await;
    let nobody = "wharf-dz642-00000000000zzzz-80.containers.localhost";
    let answer = world.send(&request("GET", nobody, "/.wharf/enter?path=//evil", "")).await;
    assert_eq!(answer.status, 303);
    let location = answer.header("location").unwrap();
    let there = format!("http://localhost:8000/open?host={nobody}&path=%2F%2Fevil&browser=");
    assert!(location.starts_with(&there), "{location}");
    for path in ["/.wharf/enter?path=https://evil.example/", "/.wharf/enter?path="] {
        let answer = world.send(&request("GET", HOST, path, "")).await;
        assert!(answer.header("location").unwrap().contains("&path=%2F&"), "{path}");
    }
}
