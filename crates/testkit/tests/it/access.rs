//! Ports that are opened to people and groups, and what takes that back (checks 16 and 18 of the dashboard's list).

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::http::Reply;
use testkit::websocket::{self, tungstenite};
use testkit::{Launch, Service, Wharf};

const LINKS: &str = "/arvados/v1/links";
/// From the API's answer to the end of a stream; the promise.
const WITHIN: Duration = Duration::from_secs(1);

/// Ada's service with two private ports and a public one, and Bob.
struct World {
    wharf: Wharf,
    service: Service,
    ada: String,
    bob_uuid: String,
    bob: String,
}

impl World {
    fn start() -> Self {
        let wharf = Wharf::start();
        let (_, ada) = wharf.new_user("ada");
        let (bob_uuid, bob) = wharf.new_user("bob");
        let ports = vec![(8080, "private", ""), (8081, "private", ""), (8082, "public", "")];
        let launch = Launch { token: Some(ada.clone()), ports, ..Launch::default() };
        let service = wharf.launch(&launch);
        Self { wharf, service, ada, bob_uuid, bob }
    }

    fn link(&self, token: &str, link: &Value) -> Reply {
        self.wharf.api_as(token, "POST", LINKS, Some(&json!({ "link": link })))
    }

    /// Opens a port to a user or a role as Ada; the link.
    fn open_to(&self, holder: &str, port: Option<u16>) -> String {
        let link = json!({"link_class": "service_access", "head_uuid": self.service.request,
            "tail_uuid": holder, "properties": {"port": port}});
        let made = self.link(&self.ada, &link).expect(200).json();
        made["uuid"].as_str().expect("a link has a uuid").to_owned()
    }

    fn take_back(&self, link: &str) {
        let _gone = self.wharf.api_as(&self.ada, "DELETE", &format!("{LINKS}/{link}"), None);
    }

    fn bobs(&self) -> u16 {
        self.service.bare("GET", "/").bearer(&self.bob).send().status()
    }

    /// Bob's WebSocket is open, and ends with a close code within a second of what takes access back.
    fn ends_bobs_socket(&self, take_back: impl FnOnce()) {
        let mut socket = self.bobs_socket();
        take_back();
        let begin = Instant::now();
        assert_eq!(websocket::read_end(&mut socket), Some(websocket::POLICY_VIOLATION));
        assert!(begin.elapsed() < WITHIN, "it lived on for {:?}", begin.elapsed());
        assert_eq!(self.bobs(), 403);
    }

    fn bobs_socket(&self) -> tungstenite::WebSocket<std::net::TcpStream> {
        let mut request = websocket::request(&self.service.host(), "/ws");
        let bearer = format!("Bearer {}", self.bob).parse().expect("a token fits in a header");
        request.headers_mut().insert("Authorization", bearer);
        websocket::connect(self.wharf.port(), request).expect("the WebSocket opens").0
    }

    fn requests_that_bob_sees(&self) -> Value {
        let path = "/arvados/v1/container_requests";
        self.wharf.api_as(&self.bob, "GET", path, None).expect(200).json()["items"].clone()
    }
}

#[test]
fn check_16_a_colleague_gets_in_after_sharing_and_is_out_within_a_second_after_revoking() {
    let world = World::start();
    let refused = world.service.bare("GET", "/").bearer(&world.bob).header("Accept", "text/html");
    let page = refused.send().expect(403).text();
    assert!(page.contains("You cannot open this service"), "{page}");
    assert_eq!(world.requests_that_bob_sees(), json!([]));
    let link = world.open_to(&world.bob_uuid, Some(8080));
    assert_eq!(world.bobs(), 200);
    let other = world.wharf.request(&world.service.host_of(8081), "GET", "/").bearer(&world.bob);
    let other = other.send();
    assert_eq!(other.status(), 403, "only the port that was opened");
    let seen = world.requests_that_bob_sees();
    assert_eq!(seen[0]["uuid"], json!(world.service.request), "sharing shows the request");
    let opened = world.wharf.api_as(&world.bob, "GET", "/wharf/v1/opened_ports", None);
    let opened = opened.expect(200).json();
    assert_eq!(opened["items"][0]["request_uuid"], json!(world.service.request));
    assert_eq!(opened["items"][0]["ports"], json!([8080]));
    let handed = json!({"uuid": world.service.request, "port": 8080});
    let handed = world.wharf.api_as(&world.bob, "POST", "/wharf/v1/handoff", Some(&handed));
    let _code = handed.expect(200);
    world.ends_bobs_socket(|| world.take_back(&link));
    assert_eq!(world.requests_that_bob_sees(), json!([]), "reading goes with it");
    world.wharf.finish();
}

#[test]
fn check_18_anonymous_reaches_a_public_port_and_not_a_private_one_whoever_it_is_opened_to() {
    let world = World::start();
    let _link = world.open_to(&world.bob_uuid, None);
    let _refused = world.service.bare("GET", "/").send().expect(403);
    // Nothing listens there: whoever may come in is told so.
    let public = world.wharf.request(&world.service.host_of(8082), "GET", "/").send();
    assert!(matches!(public.status(), 200 | 503), "{}", public.status());
    world.wharf.finish();
}

#[test]
fn what_a_group_was_given_ends_with_the_membership() {
    let world = World::start();
    let role = json!({"group": {"group_class": "role", "name": "Lab"}});
    let role = world.wharf.api("POST", "/arvados/v1/groups", Some(&role)).expect(200).json();
    let role = role["uuid"].as_str().expect("a group has a uuid").to_owned();
    let member = json!({"link_class": "permission", "name": "can_read", "tail_uuid": world.bob_uuid,
        "head_uuid": role});
    let member = world.link(world.wharf.token(), &member).expect(200).json();
    assert_eq!(world.bobs(), 403);
    let given = world.open_to(&role, None);
    assert_eq!(world.bobs(), 200);
    // Another way in, which ends first, must not make the first one forget the last.
    let direct = world.open_to(&world.bob_uuid, Some(8080));
    let mut socket = world.bobs_socket();
    world.take_back(&direct);
    socket.send("still here".into()).expect("the socket is open");
    assert!(matches!(socket.read(), Ok(tungstenite::Message::Text(_))));
    drop(socket);
    let path = format!("{LINKS}/{}", member["uuid"].as_str().expect("a link has a uuid"));
    world.ends_bobs_socket(|| drop(world.wharf.api("DELETE", &path, None).expect(200)));
    world.take_back(&given);
    world.wharf.finish();
}

#[test]
fn a_person_who_was_let_in_and_is_disabled_is_out() {
    let world = World::start();
    let _link = world.open_to(&world.bob_uuid, None);
    let path = format!("/arvados/v1/users/{}", world.bob_uuid);
    let disable = json!({"user": {"is_active": false}});
    world.ends_bobs_socket(|| drop(world.wharf.api("PUT", &path, Some(&disable)).expect(200)));
    world.wharf.finish();
}

#[test]
fn what_was_opened_ends_when_the_service_is_no_longer_its_submitter_s() {
    let world = World::start();
    let _link = world.open_to(&world.bob_uuid, None);
    let (carol, _) = world.wharf.new_user("carol");
    let path = format!("/arvados/v1/container_requests/{}", world.service.request);
    let give = json!({"container_request": {"owner_uuid": carol}});
    world.ends_bobs_socket(|| drop(world.wharf.api("PUT", &path, Some(&give)).expect(200)));
    world.wharf.finish();
}

#[test]
fn only_who_started_a_service_and_administrators_open_it_to_others() {
    let world = World::start();
    let (carol_uuid, carol) = world.wharf.new_user("carol");
    let access = |holder: &str| {
        json!({"link_class": "service_access", "head_uuid": world.service.request,
            "tail_uuid": holder, "properties": {"port": 8080}})
    };
    // Who was let in passes nothing on.
    let _link = world.open_to(&world.bob_uuid, None);
    let _refused = world.link(&world.bob, &access(&carol_uuid)).expect(403);
    // A manager of the record gives no more than a manager has, who is refused at the port.
    let manage = json!({"link_class": "permission", "name": "can_manage", "tail_uuid": carol_uuid,
        "head_uuid": world.service.request});
    let manage = world.link(&world.ada, &manage).expect(200).json();
    let refused = world.link(&carol, &access(&carol_uuid)).expect(403).text();
    assert!(refused.contains("for who started it"), "{refused}");
    // But may look, ask and take back.
    let asked = format!(
        "/wharf/v1/service_access/{}?port=8080&user_uuid={}",
        world.service.request, world.bob_uuid
    );
    let answer = world.wharf.api_as(&carol, "GET", &asked, None).expect(200).json();
    assert_eq!(answer["may_open"], json!(true), "{answer}");
    let _stranger = world.wharf.api_as(&world.bob, "GET", &asked, None).expect(403);
    let list = format!("{LINKS}?filters=[[%22link_class%22,%22=%22,%22service_access%22]]");
    let listed = world.wharf.api_as(&carol, "GET", &list, None).expect(200).json();
    let listed = listed["items"][0]["uuid"].as_str().expect("the link is listed").to_owned();
    world.ends_bobs_socket(|| {
        drop(world.wharf.api_as(&carol, "DELETE", &format!("{LINKS}/{listed}"), None).expect(200));
    });
    // A manager no more: neither.
    let _link = world.open_to(&world.bob_uuid, None);
    world.take_back(manage["uuid"].as_str().expect("a link has a uuid"));
    let _gone = world.wharf.api_as(&carol, "GET", &asked, None).expect(404);
    world.wharf.finish();
}

#[test]
fn a_link_that_opens_a_port_is_one_and_says_what_is_wrong_with_it() {
    let world = World::start();
    let first = world.open_to(&world.bob_uuid, Some(8080));
    assert_eq!(world.open_to(&world.bob_uuid, Some(8080)), first, "twice is once");
    let good = json!({"link_class": "service_access", "head_uuid": world.service.request,
        "tail_uuid": world.bob_uuid, "properties": {"port": 8080}});
    let anonymous = "wharf-j7d0g-anonymouspublic";
    for (field, value) in [
        ("properties", json!({"port": 0})),
        ("properties", json!({"port": "x"})),
        ("tail_uuid", json!("wharf-tpzed-doesnotexist123")),
        ("tail_uuid", json!(anonymous)),
        ("head_uuid", json!(world.service.container)),
        ("head_uuid", json!("wharf-xvhdp-doesnotexist123")),
    ] {
        let mut bad = good.clone();
        bad[field] = value;
        let refused = world.link(&world.ada, &bad).expect(422).text();
        assert!(refused.contains(field), "{field}: {refused}");
    }
    let path = format!("{LINKS}/{first}");
    let change = json!({"link": {"tail_uuid": world.wharf.new_user("carol").0}});
    let _fixed = world.wharf.api_as(&world.ada, "PUT", &path, Some(&change)).expect(422);
    world.wharf.finish();
}

#[test]
fn the_command_line_shares_lists_and_takes_back() {
    let world = World::start();
    let id = world.service.request.as_str();
    let shared = world.wharf.cli(&["share", id, "--port", "8080", "--with", "bob@example.com"]);
    assert_eq!(shared.expect(0).line(), "bob Test may open port 8080");
    assert_eq!(world.bobs(), 200);
    let listed = world.wharf.cli(&["share", id]).expect(0).stdout;
    assert!(listed.contains("bob Test") && listed.contains("port 8080"), "{listed}");
    let nobody = world.wharf.cli(&["share", id, "--with", "nobody"]);
    assert!(nobody.stderr.contains("nobody is called"), "{}", nobody.stderr);
    let _taken = world.wharf.cli(&["unshare", id, "--with", "bob"]).expect(0);
    assert_eq!(world.bobs(), 403);
    let again = world.wharf.cli(&["unshare", id, "--with", "bob"]);
    assert!(again.stderr.contains("nothing like that is open"), "{}", again.stderr);
    world.wharf.finish();
}

#[test]
fn who_manages_a_service_sees_who_uses_it_and_who_was_refused() {
    let world = World::start();
    let _link = world.open_to(&world.bob_uuid, Some(8080));
    let socket = world.bobs_socket();
    assert_eq!(world.bobs(), 200);
    let _refused = world.service.bare("GET", "/?api_token=wc1_secret").send();
    let _refused = world.service.bare("GET", "/").send().expect(403);
    let path = format!("/wharf/v1/visitors/{}", world.service.request);
    let _not_his = world.wharf.api_as(&world.bob, "GET", &path, None).expect(403);
    let seen = || world.wharf.api_as(&world.ada, "GET", &path, None).expect(200).json();
    let first = seen();
    let visit = first["visits"]
        .as_array()
        .and_then(|all| all.iter().find(|visit| visit["user_uuid"] == json!(world.bob_uuid)));
    let visit = visit.unwrap_or_else(|| panic!("no visit of Bob's: {first}"));
    assert_eq!((&visit["port"], &visit["n_open"]), (&json!(8080), &json!(1)), "{first}");
    assert_eq!((&visit["n_requests"], &visit["address"]), (&json!(2), &json!("127.0.0.1")));
    assert_eq!(first["refused"][0]["why"], json!("not signed in"), "{first}");
    assert!(!first.to_string().contains("wc1_"), "{first}");
    drop(socket);
    testkit::wait_for("the socket to be over", testkit::BOUND, || {
        seen()["visits"].as_array().is_some_and(|all| all.iter().all(|it| it["n_open"] == json!(0)))
    });
    world.wharf.finish();
}
