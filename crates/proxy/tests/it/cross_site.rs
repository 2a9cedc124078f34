//! What pages of other sites, and of other services, can make a browser do (T12, T13, T14).

use proxy::TargetState;

use crate::client::Answer;
use crate::world::{BOBS, CONTAINER, HOST, PUBLIC, World};

const PORTAL: &str = "https://portal.example.com";

fn request(method: &str, host: &str, more: &str) -> String {
    let length = if method == "POST" { "Content-Length: 0\r\n" } else { "" };
    format!("{method} /x HTTP/1.1\r\nHost: {host}\r\n{length}{more}\r\n")
}

fn preflight(host: &str, origin: &str) -> String {
    let asks = "Access-Control-Request-Method: PUT\r\nAccess-Control-Request-Headers: authorization,x-mine\r\n";
    request("OPTIONS", host, &format!("Origin: {origin}\r\n{asks}"))
}

/// An answer without what tells two answers of one kind apart: the request's number and the time.
fn essence(answer: &Answer) -> (u16, String, String) {
    let is_own = |line: &&str| {
        let line = line.to_ascii_lowercase();
        !line.starts_with("x-request-id:") && !line.starts_with("date:")
    };
    let head: Vec<&str> = answer.head.lines().filter(is_own).collect();
    (answer.status, head.join("\n"), answer.text())
}

/// The rule in the words of the threat list: unsafe methods and parts of pages from the same origin only, and
/// navigations of whole pages by GET only.
fn may_pass(method: &str, origin: Option<&str>, site: &str, mode: &str, dest: &str) -> bool {
    let is_ours = matches!(site, "same-origin" | "none");
    let names_us = origin == Some("own");
    match method {
        "POST" => is_ours && names_us,
        _ if origin == Some("other") => false,
        _ => is_ours || (mode == "navigate" && dest == "document"),
    }
}

#[tokio::test]
async fn t12_a_cookie_vouches_for_own_pages_and_for_navigations_only() {
    let (world, app) = World::with_echo().await;
    let cookie = format!("Cookie: {}\r\n", world.sign_in(HOST).await);
    let mut client = world.connect().await;
    let mut n_passed = 0;
    for site in ["same-origin", "same-site", "cross-site", "none"] {
        for mode in ["navigate", "cors", "no-cors", "same-origin"] {
            for dest in ["document", "iframe", "image", "script", "empty"] {
                for (origin, named) in [
                    (None, String::new()),
                    (Some("own"), format!("Origin: http://{HOST}\r\n")),
                    (Some("other"), format!("Origin: http://{BOBS}\r\n")),
                ] {
                    for method in ["GET", "POST"] {
                        let said = format!(
                            "Sec-Fetch-Site: {site}\r\nSec-Fetch-Mode: {mode}\r\nSec-Fetch-Dest: {dest}\r\n"
                        );
                        let answer = client
                            .send(request(method, HOST, &format!("{cookie}{said}{named}")))
                            .await;
                        let passes = may_pass(method, origin, site, mode, dest);
                        let expected = if passes { 200 } else { 403 };
                        let case = format!("{method} {origin:?} {site} {mode} {dest}");
                        assert_eq!(answer.status, expected, "{case}");
                        n_passed += usize::from(passes);
                    }
                }
            }
        }
    }
    assert_eq!(app.seen().len(), n_passed, "nothing that was refused reached the app");
}

#[tokio::test]
async fn t12_where_a_browser_says_nothing_of_itself_origin_decides() {
    let (world, app) = World::with_echo().await;
    let cookie = format!("Cookie: {}\r\n", world.sign_in(HOST).await);
    let own = format!("Origin: http://{HOST}\r\n");
    for (method, named, status) in [
        ("GET", "", 200),
        ("GET", own.as_str(), 200),
        ("GET", "Origin: null\r\n", 403),
        ("HEAD", "Origin: http://evil.example\r\n", 403),
        ("OPTIONS", "Origin: http://evil.example\r\n", 403),
        ("POST", "", 403),
        ("POST", own.as_str(), 200),
        ("POST", "Origin: http://evil.example\r\n", 403),
    ] {
        let answer = world.send(&request(method, HOST, &format!("{cookie}{named}"))).await;
        assert_eq!(answer.status, status, "{method} {named}");
    }
    assert_eq!(app.seen().len(), 3);
}

#[tokio::test]
async fn t12_a_token_that_a_program_sends_needs_no_origin() {
    let (world, _app) = World::with_echo().await;
    let said =
        "Origin: http://evil.example\r\nSec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: cors\r\n";
    let answer =
        world.send(&request("POST", HOST, &format!("{}{said}", world.bearer("alice")))).await;
    assert_eq!(answer.status, 200);
    assert_eq!(world.send(&request("POST", PUBLIC, said)).await.status, 200);
}

#[tokio::test]
async fn t13_no_answer_gains_a_word_about_other_origins() {
    let (world, _app) = World::with_echo().await;
    let cookie = format!("Cookie: {}\r\n", world.sign_in(HOST).await);
    let origins =
        ["null".to_owned(), PORTAL.to_owned(), format!("http://{BOBS}"), format!("http://{HOST}")];
    for origin in origins {
        let named = format!("Origin: {origin}\r\n");
        for sent in [
            request("GET", HOST, &format!("{cookie}{named}")),
            request("GET", HOST, &format!("{}{named}", world.bearer("alice"))),
            request("GET", HOST, &named),
            request("GET", PUBLIC, &named),
            request("GET", "nobody.containers.localhost", &named),
            preflight(HOST, &origin),
            preflight(PUBLIC, &origin),
        ] {
            let answer = world.send(&sent).await;
            assert!(!answer.head.to_lowercase().contains("access-control-"), "{sent}{answer:?}");
        }
    }
}

#[tokio::test]
async fn t14_a_preflight_tells_no_private_service_from_a_missing_one() {
    let (world, app) = World::with_echo().await;
    let missing =
        ["nobody.containers.localhost", "wharf-dz642-zzzzzzzzzzzzzzz-80.containers.localhost"];
    let unpublished = format!("{CONTAINER}-9999.containers.localhost");
    let private = [HOST, BOBS, &unpublished];
    world.records.add(CONTAINER, 9999, crate::world::target(CONTAINER, "alice", 9999));
    for origin in ["http://evil.example", "null", &format!("http://{BOBS}")] {
        let expected = essence(&world.send(&preflight(missing[0], origin)).await);
        assert_eq!(expected.0, 403);
        for host in missing.iter().chain(&private) {
            let answer = world.send(&preflight(host, origin)).await;
            assert_eq!(essence(&answer), expected, "{host}");
        }
        for state in [TargetState::Queued, TargetState::Complete, TargetState::Running] {
            world.records.change(|target| target.state = state);
            let answer = world.send(&preflight(HOST, origin)).await;
            assert_eq!(essence(&answer), expected, "{state:?}");
        }
    }
    assert_eq!((app.seen().len(), world.apps.n_dials()), (0, 0));
    // A public port is the app's, and so is the answer.
    assert_eq!(world.send(&preflight(PUBLIC, "http://evil.example")).await.status, 200);
    assert_eq!(app.last().line(), "OPTIONS /x HTTP/1.1");
    // Without the marks of a preflight it is a request like any other.
    assert_eq!(world.send(&request("OPTIONS", missing[0], "Origin: null\r\n")).await.status, 404);
}

#[tokio::test]
async fn t14_a_listed_origin_may_send_a_token_and_never_a_cookie() {
    let world = World::with(|config| config.cors_origins = vec![PORTAL.to_owned()]).await;
    let app = crate::app::App::echo().await;
    world.serve_everywhere(&app);
    let expected = essence(&world.send(&preflight("nobody.containers.localhost", PORTAL)).await);
    let leave = world.send(&preflight(HOST, PORTAL)).await;
    assert_eq!(essence(&leave), expected, "nothing of the service is in it");
    assert_eq!(leave.status, 204);
    assert_eq!(leave.header("access-control-allow-origin").as_deref(), Some(PORTAL));
    assert_eq!(leave.header("access-control-allow-methods").as_deref(), Some("PUT"));
    assert_eq!(
        leave.header("access-control-allow-headers").as_deref(),
        Some("authorization,x-mine")
    );
    assert_eq!(leave.header("access-control-allow-credentials"), None);
    assert_eq!((app.seen().len(), world.apps.n_dials()), (0, 0));

    let named = format!("Origin: {PORTAL}\r\n");
    let answer =
        world.send(&request("POST", HOST, &format!("{}{named}", world.bearer("alice")))).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("access-control-allow-origin").as_deref(), Some(PORTAL));
    assert!(answer.headers("vary").contains(&"Origin".to_owned()), "{answer:?}");
    let refused = world.send(&request("GET", HOST, &named)).await;
    assert_eq!(refused.status, 403);
    assert_eq!(refused.header("access-control-allow-origin").as_deref(), Some(PORTAL));
    let cookie = format!("Cookie: {}\r\n", world.sign_in(HOST).await);
    assert_eq!(world.send(&request("GET", HOST, &format!("{cookie}{named}"))).await.status, 403);

    for other in ["https://portal.example.com.evil.example", "http://portal.example.com", "null"] {
        let refused = world.send(&preflight(HOST, other)).await;
        assert_eq!(refused.status, 403, "{other}");
        assert!(!refused.head.to_lowercase().contains("access-control-"), "{other}: {refused:?}");
    }
    // A public port is the app's, and so is what is said of it.
    let public = world.send(&request("GET", PUBLIC, &named)).await;
    assert_eq!((public.status, public.header("access-control-allow-origin")), (200, None));
}

#[tokio::test]
async fn t48_no_page_signs_its_visitor_in_out_of_sight() {
    let (world, _app) = World::with_echo().await;
    let code = world.records.code(HOST);
    let redeem =
        |said: &str| format!("GET /?api_token={code} HTTP/1.1\r\nHost: {HOST}\r\n{said}\r\n");
    let fetched = |site, mode, dest| {
        redeem(&format!(
            "Sec-Fetch-Site: {site}\r\nSec-Fetch-Mode: {mode}\r\nSec-Fetch-Dest: {dest}\r\n"
        ))
    };
    for hidden in [
        fetched("same-site", "no-cors", "image"),
        fetched("cross-site", "cors", "empty"),
        fetched("cross-site", "navigate", "iframe"),
        redeem("Origin: http://evil.example\r\n"),
        redeem("Origin: null\r\n"),
    ] {
        let answer = world.send(&hidden).await;
        let here = Some(format!("http://{HOST}/"));
        assert_eq!((answer.status, answer.header("location")), (303, here), "{hidden}");
        assert_eq!(answer.header("set-cookie"), None, "{hidden}");
    }
    // Untouched by all that, it works once for who follows the link.
    let followed = fetched("cross-site", "navigate", "document");
    assert!(world.send(&followed).await.header("set-cookie").is_some());
    assert_eq!(world.send(&followed).await.header("set-cookie"), None);
}
