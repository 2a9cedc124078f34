//! Who asks for more than their share waits, and everybody else is served.

use std::time::{Duration, Instant};

use proxy::ProxyConfig;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::app::{App, Conn, Reply};
use crate::client::Answer;
use crate::world::{BOBS, BOUND, CONTAINER, HOST, OTHER, PUBLIC, Way, World};

/// What is waited for on purpose.
const SOON: Duration = Duration::from_millis(300);

async fn world_with(change: impl FnOnce(&mut ProxyConfig)) -> (World, App) {
    let world = World::with(|config| {
        config.limits.refusal_delay = Duration::ZERO;
        config.limits.request_burst = Duration::from_secs(2);
        change(config);
    })
    .await;
    let app = App::echo().await;
    world.serve_everywhere(&app);
    (world, app)
}

fn get(host: &str, more: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: {host}\r\n{more}\r\n")
}

fn bearer(world: &World, name: &str) -> String {
    format!("Authorization: Bearer {}\r\n", world.records.token(name))
}

/// A refusal that says which limit it is, and when to come again.
#[track_caller]
fn assert_refused(answer: &Answer, status: u16, key: &str) {
    assert_eq!(answer.status, status, "{answer:?}");
    let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!(wait >= 1 && answer.error().contains(key), "{answer:?}");
}

#[tokio::test]
async fn t41_a_flood_at_one_service_is_refused_and_another_is_served() {
    let (world, app) = world_with(|config| config.limits.service_requests_per_second = 1).await;
    let bob = bearer(&world, "bob");
    for _ in 0..5 {
        assert_eq!(world.send(&get(PUBLIC, "")).await.status, 200, "nobody else wants anything");
    }
    assert_eq!(world.send(&get(BOBS, &bob)).await.status, 200);
    for _ in 0..20 {
        let refused = world.send(&get(PUBLIC, "")).await;
        assert_refused(&refused, 429, "(Proxy.RequestsPerSecondPerService)");
    }
    assert_eq!(app.seen().len(), 6, "nothing of the flood reaches the app");
    assert_eq!(world.send(&get(BOBS, &bob)).await.status, 200);
    let page = world.send(&get(PUBLIC, "Accept: text/html\r\n")).await;
    assert!(page.text().contains("<h1>Too much at once</h1>"), "{page:?}");
}

#[tokio::test]
async fn t41_a_flood_of_one_user_is_refused_and_others_are_served() {
    let (world, _app) = world_with(|config| config.limits.user_requests_per_second = 1).await;
    let alice = bearer(&world, "alice");
    for _ in 0..5 {
        assert_eq!(world.send(&get(HOST, &alice)).await.status, 200, "she is alone");
    }
    let admin = bearer(&world, "admin");
    assert_eq!(world.send(&get(HOST, &admin)).await.status, 200);
    let refused = world.send(&get(HOST, &alice)).await;
    assert_refused(&refused, 429, "(Proxy.RequestsPerSecondPerUser)");
    assert_eq!(world.send(&get(HOST, &admin)).await.status, 200, "at the same service");
    assert_eq!(world.send(&get(PUBLIC, "")).await.status, 200);
}

#[tokio::test]
async fn t41_a_flood_from_one_address_is_refused_and_other_clients_of_a_proxy_are_served() {
    let (world, _app) = world_with(|config| {
        config.limits.address_requests_per_second = 1;
        config.front_proxies = vec!["127.0.0.1".parse().unwrap()];
    })
    .await;
    let from = |client: &str| get(PUBLIC, &format!("X-Forwarded-For: {client}\r\n"));
    for _ in 0..5 {
        assert_eq!(world.send(&from("192.0.2.1")).await.status, 200, "it is alone");
    }
    assert_eq!(world.send(&from("192.0.2.2")).await.status, 200);
    let refused = world.send(&from("192.0.2.1")).await;
    assert_refused(&refused, 429, "(Proxy.RequestsPerSecondPerAddress)");
    assert_eq!(world.send(&from("192.0.2.2")).await.status, 200);
    // Addresses of one network of IPv6 are one.
    for n in 1..3 {
        assert_eq!(world.send(&from(&format!("2001:db8::{n}"))).await.status, 200);
    }
    assert_eq!(world.send(&from("2001:db8::3")).await.status, 429);
}

#[tokio::test]
async fn t41_a_request_over_a_rate_is_served_when_its_turn_comes() {
    let (world, app) = world_with(|config| {
        config.limits.service_requests_per_second = 10;
        config.limits.request_burst = Duration::ZERO;
        config.limits.refusal_delay = BOUND;
    })
    .await;
    assert_eq!(world.send(&get(PUBLIC, "")).await.status, 200);
    assert_eq!(world.send(&get(BOBS, &bearer(&world, "bob"))).await.status, 200);
    let begun = Instant::now();
    let asked = (0..4).map(|_| async { world.send(&get(PUBLIC, "")).await.status });
    assert_eq!(futures_util::future::join_all(asked).await, [200; 4]);
    // One interval after another; how far the first had used up its own is not known.
    assert!(begun.elapsed() >= Duration::from_millis(300), "{:?}", begun.elapsed());
    assert_eq!(app.seen().len(), 6);
}

#[tokio::test]
async fn t41_a_refusal_over_a_rate_is_held_back() {
    let (world, _app) = world_with(|config| {
        config.limits.service_requests_per_second = 1;
        config.limits.refusal_delay = SOON;
    })
    .await;
    for _ in 0..2 {
        assert_eq!(world.send(&get(PUBLIC, "")).await.status, 200);
    }
    assert_eq!(world.send(&get(BOBS, &bearer(&world, "bob"))).await.status, 200);
    let begun = Instant::now();
    assert_eq!(world.send(&get(PUBLIC, "")).await.status, 429);
    assert!(begun.elapsed() >= SOON, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn t41_a_service_has_so_many_open_requests_until_they_end() {
    let (world, _echo) = world_with(|config| config.limits.service_open_max = 1).await;
    let app = App::start(|_seen| {
        Reply::take(async move |mut conn: Conn| {
            conn.write("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello").await;
            conn.head().await;
        })
    })
    .await;
    world.apps.set(CONTAINER, 81, Way::At(app.address));
    let mut open = world.connect().await;
    open.write(get(PUBLIC, "")).await;
    assert_eq!(open.head().await.status, 200);
    let refused = world.send(&get(PUBLIC, "")).await;
    assert_refused(&refused, 503, "(Proxy.MaxOpenPerService)");
    assert_eq!(world.send(&get(BOBS, &bearer(&world, "bob"))).await.status, 200);
    drop(open);
    let again = async {
        loop {
            let mut client = world.connect().await;
            client.write(get(PUBLIC, "")).await;
            if client.head().await.status == 200 {
                break;
            }
        }
    };
    timeout(BOUND, again).await.expect("a place is free again");
}

#[tokio::test]
async fn t47_guesses_are_told_to_wait_and_a_right_token_is_served_meanwhile() {
    let (world, _app) = world_with(|config| config.limits.misses_per_second = 1).await;
    let alice = bearer(&world, "alice");
    for n in 0..10 {
        let guess = format!("Authorization: Bearer {}{n}\r\n", world.records.token("alice"));
        assert_eq!(world.send(&get(HOST, &guess)).await.status, 403);
    }
    let guess = format!("Authorization: Bearer {}x\r\n", world.records.token("alice"));
    assert_refused(&world.send(&get(HOST, &guess)).await, 429, "(Proxy.MissesPerSecond)");
    let nowhere = get("wharf-dz642-zzzzzzzzzzzzzzz-80.containers.localhost", "");
    assert_eq!(world.send(&nowhere).await.status, 429, "names can be guessed, too");
    assert_eq!(world.send(&get(HOST, &alice)).await.status, 200, "from the same address");
    assert_eq!(world.send(&get(HOST, "")).await.status, 403, "no credential is no guess");
}

#[tokio::test]
async fn t41_a_body_that_does_not_go_on_ends_its_request() {
    let (world, _app) = world_with(|config| config.limits.stall_timeout = SOON).await;
    for length in ["Content-Length: 10", "Transfer-Encoding: chunked"] {
        let mut client = world.connect().await;
        let begin = format!("POST / HTTP/1.1\r\nHost: {PUBLIC}\r\n{length}\r\n\r\n");
        let stalled = client.send(begin).await;
        assert_eq!(stalled.status, 408, "{stalled:?}");
        assert!(stalled.error().contains("(Proxy.StallTimeout)"));
    }
    assert_eq!(world.send(&get(PUBLIC, "")).await.status, 200);
}

#[tokio::test]
async fn t41_what_an_app_does_not_read_waits_with_the_client() {
    let (world, _echo) = world_with(|_config| {}).await;
    let app = App::of_heads(|_seen| {
        Reply::take(async move |mut conn: Conn| {
            // Holds the connection open and reads nothing.
            std::future::pending::<()>().await;
            conn.write("").await;
        })
    })
    .await;
    world.apps.set(CONTAINER, 81, Way::At(app.address));
    let mut client = TcpStream::connect(world.address).await.unwrap();
    let head = format!("POST / HTTP/1.1\r\nHost: {PUBLIC}\r\nContent-Length: 1000000000\r\n\r\n");
    client.write_all(head.as_bytes()).await.unwrap();
    let mut n_taken = 0;
    while let Ok(n) = timeout(SOON, client.write(&[0; 64 * 1024])).await {
        n_taken += n.unwrap();
        assert!(
            n_taken < 64 << 20,
            "the kernel's buffers hold some MiB, and the proxy nearly nothing"
        );
    }
}

#[tokio::test]
async fn t21_a_head_that_an_app_drips_is_502_and_one_that_it_thinks_about_is_not() {
    let (world, _echo) = world_with(|config| config.limits.head_timeout = SOON).await;
    let drips = App::start(|_seen| {
        Reply::take(async move |mut conn: Conn| {
            conn.write("HTTP/1.1 200 OK\r\nX: ").await;
            while conn.stream.write_all(b"x").await.is_ok() {
                tokio::time::sleep(SOON / 10).await;
            }
        })
    })
    .await;
    world.apps.set(CONTAINER, 81, Way::At(drips.address));
    let answer = world.send(&get(PUBLIC, "")).await;
    assert_eq!(answer.status, 502, "{answer:?}");
    assert!(answer.error().contains("(Proxy.HeaderTimeout)"));
    let thinks = App::start(|_seen| {
        Reply::take(async move |mut conn: Conn| {
            tokio::time::sleep(SOON * 2).await;
            conn.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
            conn.head().await;
        })
    })
    .await;
    world.apps.set(OTHER, 80, Way::At(thinks.address));
    assert_eq!(world.send(&get(BOBS, &bearer(&world, "bob"))).await.status, 200);
}
