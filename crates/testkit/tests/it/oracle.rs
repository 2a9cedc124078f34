//! What a stranger learns of somebody's private service: that it is private, and nothing more (T40); and what a page
//! elsewhere learns, which is nothing at all (T14).

use std::time::{Duration, Instant};

use serde_json::json;
use testkit::http::{Connection, Reply, Request};
use testkit::{Launch, Service, Wharf, wait_for};

/// Rounds of a timing test; each asks every service once.
const ROUNDS: u32 = 200;
/// How far the share of rounds in which one service answers before another may be from a half. With so many rounds
/// chance alone seldom reaches a half of it.
const ADVANTAGE_MAX: f64 = 0.15;

/// One place is missing, so that something is queued. Who asks as often as a timing test does is told to wait otherwise.
const CONFIG: &str = "Containers: {MaxContainers: 2}\nProxy: {MissesPerSecond: 0}\n";

/// Ada's private services, each in another state: the same question is put to all of them.
struct Services {
    wharf: Wharf,
    hosts: Vec<(&'static str, String)>,
    ada: String,
    /// The token of somebody else.
    bob: String,
}

impl Services {
    fn start() -> Self {
        let wharf = Wharf::start_configured(CONFIG);
        let (_, ada) = wharf.new_user("ada");
        let (_, bob) = wharf.new_user("bob");
        let launch = Launch { token: Some(ada.clone()), ..Launch::default() };
        let stopped = wharf.launch(&launch);
        let path = format!("/arvados/v1/container_requests/{}", stopped.request);
        let over = json!({"container_request": {"priority": 0}});
        let _cancelled = wharf.api("PUT", &path, Some(&over)).expect(200);
        let _record = stopped.wait_over(&wharf);
        let running = wharf.launch(&launch);
        let deaf = Launch { token: Some(ada.clone()), ..Launch::script("sleep 1000") };
        let starting = wharf.submit(&deaf);
        let state_of = |service: &Service| service.record(&wharf)["state"].clone();
        wait_for("the second place to be taken", testkit::BOUND, || {
            state_of(&starting) == "Running"
        });
        let queued = wharf.submit(&launch);
        assert_eq!(state_of(&queued), "Queued");
        let mut draft = launch.request();
        draft["container_request"]["state"] = json!("Uncommitted");
        let requests = "/arvados/v1/container_requests";
        let draft = wharf.api_as(&ada, "POST", requests, Some(&draft)).expect(200).json();
        let draft = draft["uuid"].as_str().expect("a uuid").to_owned();
        let hosts = vec![
            ("running", running.host()),
            ("running, by its container", wharf.host(&format!("{}-8080", running.container))),
            ("running, a port nobody published", running.host_of(9000)),
            ("starting", starting.host()),
            ("queued", queued.host()),
            ("stopped", stopped.host()),
            ("a draft", wharf.host(&format!("{draft}-8080"))),
        ];
        // What each of them says to who may know differs.
        let seen = [&running, &starting, &stopped].map(|service| service.get("/").status());
        assert_eq!(seen, [200, 503, 410]);
        Self { wharf, hosts, ada, bob }
    }
}

/// A name, the status it ends in, and the request to a host.
type Way<'w> = (&'w str, u16, &'w dyn Fn(&str) -> Request);

/// An answer without its own number and the name that was asked for.
fn essence(reply: &Reply, host: &str) -> String {
    let id = reply.header("X-Request-Id").unwrap_or_default().to_owned();
    let own = |line: &&(String, String)| !matches!(line.0.to_ascii_lowercase().as_str(), "date");
    let lines: Vec<String> = reply
        .head
        .headers
        .iter()
        .filter(own)
        .map(|(name, value)| format!("{name}: {value}"))
        .collect();
    let whole = format!("{} {}\n{}", reply.status(), lines.join("\n"), reply.text());
    let host = host.split(':').next().unwrap_or_default();
    let whole = if id.is_empty() { whole } else { whole.replace(&id, "ID") };
    whole.replace(host, "HOST")
}

#[test]
fn t40_a_stranger_gets_the_same_answer_whatever_state_a_service_is_in() {
    let Services { wharf, hosts, bob, .. } = Services::start();
    let websocket = |request: Request| {
        request
            .header("Connection", "Upgrade")
            .header("Upgrade", "websocket")
            .header("Sec-WebSocket-Version", "13")
            .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
    };
    let tcp = |request: Request| request.header("Connection", "Upgrade").header("Upgrade", "tcp");
    for token in [None, Some(bob.as_str())] {
        let ask = |host: &str, method: &str, target: &str| {
            let request = wharf.request(host, method, target);
            match token {
                Some(token) => request.bearer(token),
                None => request,
            }
        };
        let ways: [Way<'_>; 9] = [
            ("a read", 403, &|host| ask(host, "GET", "/x")),
            ("a page", 403, &|host| ask(host, "GET", "/x").navigating()),
            ("a head", 403, &|host| ask(host, "HEAD", "/x")),
            ("a change", 403, &|host| ask(host, "POST", "/x").body("y")),
            ("a question", 403, &|host| ask(host, "OPTIONS", "/x")),
            ("a WebSocket", 403, &|host| websocket(ask(host, "GET", "/ws"))),
            ("the start page's question", 403, &|host| ask(host, "GET", "/.wharf/status")),
            ("raw TCP", 403, &|host| tcp(ask(host, "GET", "/.wharf/tcp"))),
            ("a wrong token in the address", 303, &|host| ask(host, "GET", "/x?api_token=v2/no")),
        ];
        for (way, status, request) in ways {
            let (_, first) = &hosts[0];
            let expected = essence(&request(first).send().expect(status), first);
            for (state, host) in &hosts {
                let reply = request(host).send();
                assert_eq!(essence(&reply, host), expected, "{way}: {state}");
            }
        }
    }
    wharf.finish();
}

/// Requests whose times are compared: a name, the status it ends in, and the bytes.
type Rivals = Vec<(&'static str, u16, Vec<u8>)>;

/// The one that is let in. It takes another time, or the test could not tell anything apart.
const OWNER: &str = "its owner";

/// How often the first answered before each of the others, in parts of one. Each round has an order of its own.
///
/// A sign test: whoever is slower in one round should be the faster one as often. It needs no bound in microseconds, and
/// a busy machine slows all alike.
fn shares(wharf: &Wharf, rivals: &Rivals) -> Vec<(&'static str, f64)> {
    let mut connection = Connection::open(wharf.port());
    let mut n_before = vec![0_u32; rivals.len()];
    for round in 0..ROUNDS {
        let mut times = vec![Duration::ZERO; rivals.len()];
        for at in shuffled(rivals.len(), round) {
            let begin = Instant::now();
            let (name, status, bytes) = &rivals[at];
            connection.send(bytes);
            let reply = connection.read_reply();
            times[at] = begin.elapsed();
            assert_eq!(reply.status(), *status, "{name}");
        }
        for (at, time) in times.iter().enumerate() {
            n_before[at] += u32::from(times[0] < *time);
        }
    }
    let share = |n: &u32| f64::from(*n) / f64::from(ROUNDS);
    rivals.iter().map(|(name, ..)| *name).zip(n_before.iter().map(share)).skip(1).collect()
}

/// The numbers below `n` in an order of this round's own, so that none always comes after a certain other.
fn shuffled(n: usize, round: u32) -> Vec<usize> {
    let mut order: Vec<usize> = (0..n).collect();
    let mut state = u64::from(round) + 1;
    for at in (1..n).rev() {
        // Knuth's MMIX constants; the upper bits are the random ones.
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        order.swap(at, usize::try_from((state >> 33) % (at as u64 + 1)).unwrap_or(0));
    }
    order
}

/// All take as long as the first, but for the owner.
fn assert_alike(wharf: &Wharf, rivals: &Rivals) {
    for (name, share) in shares(wharf, rivals) {
        let is_told_apart = (share - 0.5).abs() > ADVANTAGE_MAX;
        assert_eq!(is_told_apart, name == OWNER, "{} is before {name}: {share}", rivals[0].0);
    }
}

#[test]
fn t40_a_refusal_takes_as_long_whatever_state_a_service_is_in() {
    let Services { wharf, hosts, ada, bob } = Services::start();
    let ask = |host: &str| wharf.request(host, "GET", "/x");
    let mut rivals: Rivals =
        hosts.iter().map(|(state, host)| (*state, 403, ask(host).bytes())).collect();
    let (_, running) = &hosts[0];
    rivals.push(("a token of somebody else", 403, ask(running).bearer(&bob).bytes()));
    rivals.push((OWNER, 200, ask(running).bearer(&ada).bytes()));
    assert_alike(&wharf, &rivals);
    wharf.finish();
}

#[test]
fn t14_a_preflight_takes_as_long_whether_or_not_there_is_such_a_service() {
    let Services { wharf, hosts, ada, bob } = Services::start();
    let missing = wharf.host("wharf-xvhdp-000000000000000-8080");
    let ask = |host: &str| {
        let request = wharf.request(host, "OPTIONS", "/x").header("Origin", "http://evil.example");
        request.header("Access-Control-Request-Method", "PUT")
    };
    let (_, running) = &hosts[0];
    let rivals = vec![
        ("running", 403, ask(running).bytes()),
        ("missing", 403, ask(&missing).bytes()),
        ("a missing name", 403, ask(&wharf.host("nobody")).bytes()),
        ("a token of somebody else", 403, ask(running).bearer(&bob).bytes()),
        (OWNER, 200, ask(running).bearer(&ada).bytes()),
    ];
    assert_alike(&wharf, &rivals);
    wharf.finish();
}
