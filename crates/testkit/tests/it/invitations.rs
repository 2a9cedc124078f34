//! Invitations: links that let guests in, as often and as long as they say (check 17; T48 for what they are not).

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::http::{Reply, Request};
use testkit::websocket::{self, tungstenite};
use testkit::{Launch, Service, Wharf};

const INVITATIONS: &str = "/wharf/v1/invitations";
const WITHIN: Duration = Duration::from_secs(1);

/// Ada's service with two private ports.
struct World {
    wharf: Wharf,
    service: Service,
    ada: String,
}

/// An invitation, and the path that it leads to.
struct Invitation {
    uuid: String,
    path: String,
}

impl World {
    fn start() -> Self {
        let wharf = Wharf::start();
        let (_, ada) = wharf.new_user("ada");
        let ports = vec![(8080, "private", ""), (8081, "private", "")];
        let launch = Launch { token: Some(ada.clone()), ports, ..Launch::default() };
        let service = wharf.launch(&launch);
        Self { wharf, service, ada }
    }

    fn ask(&self, token: &str, more: &Value) -> Reply {
        let mut body = json!({"request_uuid": self.service.request, "port": 8080});
        for (key, value) in more.as_object().into_iter().flatten() {
            body[key] = value.clone();
        }
        self.wharf.api_as(token, "POST", INVITATIONS, Some(&body))
    }

    fn invite(&self, more: &Value) -> Invitation {
        let made = self.ask(&self.ada, more).expect(200).json();
        let url = made["url"].as_str().expect("an invitation has a url");
        let base = format!("http://{}/", self.service.host());
        let path = url.strip_prefix(&base).unwrap_or_else(|| panic!("{url} is at {base}"));
        let uuid = made["uuid"].as_str().expect("an invitation has a uuid");
        Invitation { uuid: uuid.to_owned(), path: format!("/{path}") }
    }

    fn post(&self, host: &str, path: &str) -> Request {
        let request = self.wharf.request(host, "POST", path).header("Accept", "text/html");
        request.header("Origin", &format!("http://{host}"))
    }

    /// Presses the button; the guest's cookie.
    fn enter(&self, invitation: &Invitation) -> String {
        let reply = self.post(&self.service.host(), &invitation.path).send().expect(200);
        let leads = format!("0; url=http://{}/", self.service.host());
        assert_eq!(reply.header("Refresh"), Some(leads.as_str()));
        assert_eq!(reply.header("Referrer-Policy"), Some("no-referrer"));
        assert!(!reply.text().contains("wc1_"), "the page says the secret");
        let cookie = reply.header("Set-Cookie").expect("a session");
        assert!(cookie.contains("HttpOnly"), "{cookie}");
        cookie.split(';').next().unwrap_or_default().to_owned()
    }

    fn refused(&self, host: &str, invitation: &Invitation) {
        let page = self.post(host, &invitation.path).send().expect(403).text();
        assert!(page.contains("This invitation does not open anything"), "{page}");
        assert!(!page.contains("wc1_"), "the page says the secret");
    }

    fn as_guest(&self, cookie: &str) -> u16 {
        let request = self.service.bare("GET", "/").header("Cookie", cookie);
        request.send().status()
    }

    /// A guest's WebSocket is open, and ends with a close code within a second.
    fn ends_socket(&self, cookie: &str, take_back: impl FnOnce()) {
        let mut socket = self.socket(cookie);
        take_back();
        let begin = Instant::now();
        assert_eq!(websocket::read_end(&mut socket), Some(websocket::POLICY_VIOLATION));
        assert!(begin.elapsed() < WITHIN, "it lived on for {:?}", begin.elapsed());
        assert_eq!(self.as_guest(cookie), 403);
    }

    fn socket(&self, cookie: &str) -> tungstenite::WebSocket<std::net::TcpStream> {
        let host = self.service.host();
        let mut request = websocket::request(&host, "/ws");
        for (name, value) in [("Cookie", cookie.to_owned()), ("Origin", format!("http://{host}"))] {
            request.headers_mut().insert(name, value.parse().expect("it fits in a header"));
        }
        websocket::connect(self.wharf.port(), request).expect("the WebSocket opens").0
    }
}

#[test]
fn check_17_an_invitation_works_once_after_a_button_and_until_it_is_taken_back() {
    let world = World::start();
    let invitation = world.invite(&json!({"note": "review"}));
    // Looking uses nothing up, however often.
    for _ in 0..3 {
        let page = world.service.bare("GET", &invitation.path).navigating().send().expect(200);
        assert!(page.text().contains("You are invited"), "{}", page.text());
        assert!(page.header("Set-Cookie").is_none());
        assert_eq!(page.header("Cache-Control"), Some("no-store"));
    }
    let cookie = world.enter(&invitation);
    assert_eq!(world.as_guest(&cookie), 200);
    world.refused(&world.service.host(), &invitation);
    let list = format!("{INVITATIONS}?request_uuid={}", world.service.request);
    let listed = world.wharf.api_as(&world.ada, "GET", &list, None).expect(200).json();
    let item = &listed["items"][0];
    assert_eq!((&item["n_used"], &item["uses_max"]), (&json!(1), &json!(1)));
    assert_eq!(item["guests"][0]["address"], json!("127.0.0.1"));
    assert!(!listed.to_string().contains("wc1_"), "the list says the secret");
    let path = format!("{INVITATIONS}/{}", invitation.uuid);
    let revoke = || drop(world.wharf.api_as(&world.ada, "DELETE", &path, None).expect(200));
    world.ends_socket(&cookie, revoke);
    let secret = invitation.path.split("code=").nth(1).expect("a code");
    assert!(!world.wharf.output().contains(secret), "the log says the secret");
    world.wharf.finish();
}

#[test]
fn an_invitation_and_its_guests_end_in_time() {
    let world = World::start();
    let invitation = world.invite(&json!({"expires_in_s": 3, "uses": 2}));
    let cookie = world.enter(&invitation);
    let mut socket = world.socket(&cookie);
    assert_eq!(websocket::read_end(&mut socket), Some(websocket::POLICY_VIOLATION));
    assert_eq!(world.as_guest(&cookie), 403);
    world.refused(&world.service.host(), &invitation);
    world.wharf.finish();
}

#[test]
fn t48_an_invitation_opens_one_port_of_one_service_to_those_who_press_the_button_there() {
    let world = World::start();
    let invitation = world.invite(&json!({"uses": 5}));
    let other = world.wharf.launch(&Launch { token: Some(world.ada.clone()), ..Launch::default() });
    for host in [other.host(), world.service.host_of(8081)] {
        world.refused(&host, &invitation);
    }
    // Not from another page, nor from none.
    let host = world.service.host();
    let foreign = format!("http://{}", other.host());
    for origin in [Some(foreign.as_str()), Some("null"), None] {
        let mut request = world.wharf.request(&host, "POST", &invitation.path);
        if let Some(origin) = origin {
            request = request.header("Origin", origin);
        }
        let _refused = request.send().expect(403);
    }
    // The cookie is this host's alone, and no credential of the API.
    let cookie = world.enter(&invitation);
    for host in [other.host(), world.service.host_of(8081)] {
        let request = world.wharf.request(&host, "GET", "/").header("Cookie", &cookie);
        let _refused = request.send().expect(403);
    }
    let secret = invitation.path.split("code=").nth(1).expect("a code");
    let target = format!("/?api_token={secret}");
    let _refused = world.service.bare("POST", &target).body("x").send().expect(403);
    let used = format!("{INVITATIONS}?request_uuid={}", world.service.request);
    let used = world.wharf.api_as(&world.ada, "GET", &used, None).expect(200).json();
    assert_eq!(used["items"][0]["n_used"], json!(1), "only the one that got in counts");
    world.wharf.finish();
}

#[test]
fn an_invitation_to_several_ports_has_a_link_for_each_and_ends_all_of_them_at_once() {
    let world = World::start();
    let made = world.ask(&world.ada, &json!({"port": null, "all_ports": true})).expect(200).json();
    let ports = made["ports"].as_array().expect("it has ports");
    let cookies: Vec<String> = ports
        .iter()
        .zip([8080, 8081])
        .map(|(port, number)| {
            assert_eq!((&port["port"], &port["n_used"]), (&json!(number), &json!(0)));
            let host = world.service.host_of(number);
            let url = port["url"].as_str().expect("a link");
            let path = url.strip_prefix(&format!("http://{host}")).expect("at its own host");
            let entered = world.post(&host, path).send().expect(200);
            let cookie = entered.header("Set-Cookie").expect("a session");
            // Used up at this port, and at this one alone.
            let _again = world.post(&host, path).send().expect(403);
            cookie.split(';').next().unwrap_or_default().to_owned()
        })
        .collect();
    assert_eq!(world.as_guest(&cookies[0]), 200);
    assert_eq!(world.as_guest(&cookies[1]), 403, "a session is of one host");
    let other = world.service.host_of(8081);
    let at_other = |cookie: &str| {
        world.wharf.request(&other, "GET", "/").header("Cookie", cookie).send().status()
    };
    // Nothing listens there: whoever may come in is told so.
    assert!(matches!(at_other(&cookies[1]), 200 | 503), "{}", at_other(&cookies[1]));
    let list = format!("{INVITATIONS}?request_uuid={}", world.service.request);
    let listed = world.wharf.api_as(&world.ada, "GET", &list, None).expect(200).json();
    let expected = json!([{"port": 8080, "n_used": 1}, {"port": 8081, "n_used": 1}]);
    assert_eq!(listed["items"][0]["ports"], expected);
    let uuid = made["uuid"].as_str().expect("an invitation has a uuid");
    let path = format!("{INVITATIONS}/{uuid}");
    world.ends_socket(&cookies[0], || {
        drop(world.wharf.api_as(&world.ada, "DELETE", &path, None).expect(200));
    });
    assert_eq!(at_other(&cookies[1]), 403);

    let id = world.service.request.as_str();
    let words = ["invite", "new", id, "--port", "8081", "--port", "8080", "--uses", "2"];
    let links = world.wharf.cli(&words).expect(0);
    let hosts: Vec<String> = links
        .stdout
        .lines()
        .map(|line| line.trim_start_matches("http://").split('/').next().unwrap_or("").to_owned())
        .collect();
    assert_eq!(hosts, [world.service.host_of(8081), world.service.host_of(8080)]);
    let all = world.wharf.cli(&["invite", "new", id, "--all-ports"]).expect(0);
    assert_eq!(all.stdout.lines().count(), 2, "{}", all.stdout);
    world.wharf.finish();
}

#[test]
fn of_those_who_redeem_the_last_use_at_once_one_wins() {
    let world = World::start();
    let invitation = world.invite(&json!({}));
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let host = world.service.host();
        let asking: Vec<_> = (0..8)
            .map(|_| world.post(&host, &invitation.path))
            .map(|request| scope.spawn(move || request.send().status()))
            .collect();
        asking.into_iter().map(|it| it.join().expect("it was answered")).collect()
    });
    let n_in = statuses.iter().filter(|status| **status == 200).count();
    assert_eq!(n_in, 1, "{statuses:?}");
    world.wharf.finish();
}

#[test]
fn t47_guesses_of_invitations_come_at_a_rate() {
    let wharf = Wharf::start_configured("Proxy:\n  MissesPerSecond: 1\n");
    let host = wharf.host("wharf-xvhdp-0123456789abcde");
    let guess = || {
        let path = "/.wharf/invitation?code=wc1_0123456789012345678901234567890123456789012";
        let request = wharf.request(&host, "POST", path);
        request.header("Origin", &format!("http://{host}")).send().status()
    };
    let statuses: Vec<u16> = (0..30).map(|_| guess()).collect();
    assert_eq!(statuses[0], 403);
    assert!(statuses.contains(&429), "{statuses:?}");
    wharf.finish();
}

#[test]
fn a_guest_is_out_when_signed_out_and_when_who_invited_may_not_enter() {
    let world = World::start();
    let invitation = world.invite(&json!({"uses": 3}));
    let (first, second) = (world.enter(&invitation), world.enter(&invitation));
    let list = format!("{INVITATIONS}?request_uuid={}", world.service.request);
    let listed = world.wharf.api_as(&world.ada, "GET", &list, None).expect(200).json();
    let guest = listed["items"][0]["guests"][0]["uuid"].as_str().expect("a guest").to_owned();
    let path = format!("/wharf/v1/guest_sessions/{guest}");
    // Not for strangers to do, nor to see.
    let (carol, carols) = world.wharf.new_user("carol");
    let _no_such = world.wharf.api_as(&carols, "DELETE", &path, None).expect(404);
    let _no_such = world.wharf.api_as(&carols, "GET", &list, None).expect(404);
    let _no_such = world.ask(&carols, &json!({})).expect(404);
    let sign_out = || drop(world.wharf.api_as(&world.ada, "DELETE", &path, None).expect(200));
    world.ends_socket(&first, sign_out);
    assert_eq!(world.as_guest(&second), 200);
    let request = format!("/arvados/v1/container_requests/{}", world.service.request);
    let give = json!({"container_request": {"owner_uuid": carol}});
    world.ends_socket(&second, || {
        drop(world.wharf.api("PUT", &request, Some(&give)).expect(200));
    });
    world.refused(&world.service.host(), &invitation);
    world.wharf.finish();
}

#[test]
fn what_is_wrong_with_an_invitation_is_said_at_its_field() {
    let world = World::start();
    for (field, value) in [
        ("request_uuid", json!("x")),
        ("port", json!(0)),
        ("ports", json!([8080])),
        ("all_ports", json!(true)),
        ("expires_in_s", json!(0)),
        ("expires_in_s", json!(1_000_000_000)),
        ("uses", json!(0)),
        ("uses", json!(101)),
        ("uses", json!("many")),
        ("note", json!(7)),
    ] {
        let mut more = json!({});
        more[field] = value;
        let refused = world.ask(&world.ada, &more).expect(422).text();
        assert!(refused.contains(field), "{field}: {refused}");
    }
    world.wharf.finish();
}

#[test]
fn the_command_line_invites_lists_and_takes_back() {
    let world = World::start();
    let id = world.service.request.as_str();
    let made = world.wharf.cli(&["invite", "new", id, "--port", "8080", "--for", "2h"]).expect(0);
    let path = made.line().split_once(".wharf").map(|(_, path)| format!("/.wharf{path}"));
    let path = path.unwrap_or_else(|| panic!("no link: {}", made.stdout));
    let uuid = made.stderr.split("revoke ").nth(1).and_then(|rest| rest.split('`').next());
    let uuid = uuid.unwrap_or_else(|| panic!("no identifier: {}", made.stderr)).to_owned();
    let invitation = Invitation { uuid, path };
    let cookie = world.enter(&invitation);
    let listed = world.wharf.cli(&["invite", "list", id]).expect(0).stdout;
    assert!(listed.contains("1 of 1") && listed.contains(&invitation.uuid), "{listed}");
    let _gone = world.wharf.cli(&["invite", "revoke", &invitation.uuid]).expect(0);
    assert_eq!(world.as_guest(&cookie), 403);
    world.wharf.finish();
}
