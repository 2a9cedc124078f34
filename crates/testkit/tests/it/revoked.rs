//! Access that is taken back ends what is open under it: a thousand streams, within a second (T37).

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::http::{Connection, Head, Reply, Request};
use testkit::{Launch, Service, Wharf, wait_for};

/// From the API's answer to the last stream's end; the promise.
const WITHIN: Duration = Duration::from_secs(1);
/// Streams open at once; every fourth is an event stream, the others are WebSockets.
const STREAMS: usize = 1000;
const GONE: u16 = 410;
const REQUESTS: &str = "/arvados/v1/container_requests";
const LINKS: &str = "/arvados/v1/links";

/// One open stream, its head read.
struct Stream {
    connection: Connection,
    head: Head,
}

/// What a client sends to prove that it may.
type Credential = Vec<(&'static str, String)>;

fn bearer(token: &str) -> Credential {
    vec![("Authorization", format!("Bearer {token}"))]
}

fn open(wharf: &Wharf, host: &str, credential: &Credential) -> Vec<Stream> {
    let open_one = |number: usize| {
        let is_events = number.is_multiple_of(4);
        let target = if is_events { "/events" } else { "/ws" };
        let mut request = wharf.request(host, "GET", target);
        for (name, value) in credential {
            request = request.header(name, value);
        }
        if !is_events {
            request = as_websocket(request);
        }
        let mut connection = request.start();
        let head = connection.read_head();
        assert_eq!(head.status, if is_events { 200 } else { 101 }, "stream {number}");
        Stream { connection, head }
    };
    (0..STREAMS).map(open_one).collect()
}

fn as_websocket(request: Request) -> Request {
    request
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
}

/// Reads each to its end; how long the last one took since `begin`.
fn until_the_last_has_ended(streams: Vec<Stream>, begin: Instant) -> Duration {
    for Stream { mut connection, head } in streams {
        match head.status {
            101 => drop(connection.read_to_end()),
            _ => drop(connection.read_rest(&head)),
        }
    }
    begin.elapsed()
}

/// All streams end after the call that takes their access back, and a new one is refused.
fn end_all(
    wharf: &Wharf,
    host: &str,
    credential: &Credential,
    take_back: impl FnOnce(),
    refused_with: u16,
) {
    let streams = open(wharf, host, credential);
    take_back();
    let took = until_the_last_has_ended(streams, Instant::now());
    assert!(took < WITHIN, "the last of {STREAMS} streams ended after {took:?}");
    let again = || {
        let mut request = as_websocket(wharf.request(host, "GET", "/ws"));
        for (name, value) in credential {
            request = request.header(name, value);
        }
        request.send()
    };
    if refused_with != GONE {
        let refused = again();
        assert_eq!(refused.status(), refused_with, "{}", refused.text());
        return;
    }
    // Streams end with the app; until the record follows it is the app or its supervisor that is not there.
    wait_for("the service to be over", WITHIN, || {
        let status = again().status();
        assert!([502, 503, GONE].contains(&status), "{status}");
        status == GONE
    });
}

/// Ada's service, and her token.
fn adas() -> (Wharf, Service, String, String) {
    let wharf = Wharf::start();
    let (uuid, token) = wharf.new_user("ada");
    let service = wharf.launch(&Launch { token: Some(token.clone()), ..Launch::default() });
    (wharf, service, uuid, token)
}

fn change(wharf: &Wharf, path: &str, body: &Value) {
    let _changed = wharf.api("PUT", path, Some(body)).expect(200);
}

#[test]
fn t37_a_thousand_streams_end_when_their_token_is_deleted() {
    let (wharf, service, ada, _token) = adas();
    let second = wharf.new_token(&ada, &json!({}));
    let uuid = second.split('/').nth(1).expect("a v2 token has a uuid").to_owned();
    let path = format!("/arvados/v1/api_client_authorizations/{uuid}");
    let delete = || drop(wharf.api("DELETE", &path, None).expect(200));
    end_all(&wharf, &service.host(), &bearer(&second), delete, 403);
    // Her other token opens it as before.
    let _page = service.get("/").expect(200);
    wharf.finish();
}

#[test]
fn t37_a_thousand_streams_end_when_their_token_is_narrowed_or_its_time_ends() {
    let (wharf, service, ada, _token) = adas();
    for attributes in [
        json!({"scopes": ["GET /arvados/v1/collections/"]}),
        json!({"expires_at": "2001-01-01T00:00:00Z"}),
    ] {
        let second = wharf.new_token(&ada, &json!({}));
        let uuid = second.split('/').nth(1).expect("a v2 token has a uuid");
        let path = format!("/arvados/v1/api_client_authorizations/{uuid}");
        let narrow = || change(&wharf, &path, &attributes);
        end_all(&wharf, &service.host(), &bearer(&second), narrow, 403);
    }
    wharf.finish();
}

#[test]
fn t37_followed_logs_end_when_their_reader_may_not_any_more() {
    let (wharf, service, ada, _token) = adas();
    let (bob, bobs) = wharf.new_user("bob");
    let give = || {
        let link = json!({"link_class": "permission", "name": "can_read", "tail_uuid": bob,
            "head_uuid": service.request});
        let made = wharf.api("POST", LINKS, Some(&json!({ "link": link }))).expect(200).json();
        format!("{LINKS}/{}", made["uuid"].as_str().expect("a link has a uuid"))
    };
    let follow = |token: &str, stream: &str| {
        let target = format!("/wharf/v1/logs/{}?follow=true&stream={stream}", service.request);
        let request = wharf.request(&wharf.api_host(), "GET", &target);
        let mut connection = request.header("Authorization", &format!("Bearer {token}")).start();
        let head = connection.read_head();
        assert_eq!(head.status, 200);
        Stream { connection, head }
    };
    let streams = |token: &str| ["all", "stdout"].map(|stream| follow(token, stream)).into();
    let second = wharf.new_token(&ada, &json!({}));
    let uuid = second.split('/').nth(1).expect("a v2 token has a uuid");
    let path = format!("/arvados/v1/api_client_authorizations/{uuid}");
    let (open, narrow) = (streams(&second), json!({"scopes": ["GET /arvados/v1/users/"]}));
    change(&wharf, &path, &narrow);
    let took = until_the_last_has_ended(open, Instant::now());
    assert!(took < WITHIN, "ended {took:?} after its token was narrowed");
    let link = give();
    let open = streams(&bobs);
    let _gone = wharf.api("DELETE", &link, None).expect(200);
    let took = until_the_last_has_ended(open, Instant::now());
    assert!(took < WITHIN, "ended {took:?} after the link was gone");
    wharf.finish();
}

#[test]
fn t37_a_thousand_streams_end_when_their_user_is_disabled() {
    let (wharf, service, ada, token) = adas();
    let disable = || {
        let body = json!({"user": {"is_active": false}});
        change(&wharf, &format!("/arvados/v1/users/{ada}"), &body);
    };
    end_all(&wharf, &service.host(), &bearer(&token), disable, 403);
    wharf.finish();
}

#[test]
fn t37_a_thousand_streams_end_when_the_service_gets_another_owner() {
    let (wharf, service, _ada, token) = adas();
    let (bob, _) = wharf.new_user("bob");
    let give = || {
        let body = json!({"container_request": {"owner_uuid": bob}});
        change(&wharf, &format!("{REQUESTS}/{}", service.request), &body);
    };
    end_all(&wharf, &service.host(), &bearer(&token), give, 403);
    wharf.finish();
}

/// Puts Ada's service into a project where she may write; the project, and the link that says so.
fn share_with(wharf: &Wharf, ada: &str, service: &Service) -> (String, String) {
    let made = |path: &str, body: &Value| {
        let made = wharf.api("POST", path, Some(body)).expect(200).json();
        made["uuid"].as_str().expect("a record has a uuid").to_owned()
    };
    let project =
        made("/arvados/v1/groups", &json!({"group": {"group_class": "project", "name": "Lab"}}));
    let link = made(
        LINKS,
        &json!({"link": {"link_class": "permission", "name": "can_write", "tail_uuid": ada,
            "head_uuid": project}}),
    );
    let body = json!({"container_request": {"owner_uuid": project}});
    change(wharf, &format!("{REQUESTS}/{}", service.request), &body);
    (project, link)
}

#[test]
fn t37_a_thousand_streams_end_when_a_permission_of_their_user_is_taken_away() {
    let (wharf, service, ada, token) = adas();
    let (_project, link) = share_with(&wharf, &ada, &service);
    let take = || drop(wharf.api("DELETE", &format!("{LINKS}/{link}"), None).expect(200));
    end_all(&wharf, &service.host(), &bearer(&token), take, 403);
    wharf.finish();
}

#[test]
fn t37_a_thousand_streams_end_when_their_project_is_trashed() {
    let (wharf, service, ada, token) = adas();
    let (project, _link) = share_with(&wharf, &ada, &service);
    let trash = || {
        let path = format!("/arvados/v1/groups/{project}");
        drop(wharf.api("DELETE", &path, None).expect(200));
    };
    end_all(&wharf, &service.host(), &bearer(&token), trash, 403);
    // What is to be ended has to be in sight.
    let path = format!("/arvados/v1/groups/{project}/untrash");
    drop(wharf.api("POST", &path, None).expect(200));
    wharf.finish();
}

#[test]
fn t37_a_thousand_streams_end_when_their_name_leads_elsewhere() {
    let (wharf, service, _ada, token) = adas();
    let body = json!({"link": {"link_class": "hostname", "name": "lab", "head_uuid": service.request,
        "properties": {"port": 8080}}});
    let made = wharf.api("POST", LINKS, Some(&body)).expect(200).json();
    let path = format!("{LINKS}/{}", made["uuid"].as_str().expect("a link has a uuid"));
    let other = wharf.launch(&Launch::default());
    let host = wharf.host("lab");
    let move_on = || change(&wharf, &path, &json!({"link": {"head_uuid": other.request}}));
    end_all(&wharf, &host, &bearer(&token), move_on, 403);
    wharf.finish();
}

#[test]
fn t37_a_thousand_streams_end_when_the_container_is_stopped() {
    let (wharf, service, _ada, token) = adas();
    let stop = || {
        let body = json!({"container_request": {"priority": 0}});
        change(&wharf, &format!("{REQUESTS}/{}", service.request), &body);
    };
    end_all(&wharf, &service.host(), &bearer(&token), stop, GONE);
    wharf.finish();
}

#[test]
fn t37_a_thousand_streams_end_when_their_user_signs_out_of_the_dashboard() {
    let wharf = Wharf::start();
    let service = wharf.app();
    let dashboard = wharf.api_host();
    let link = wharf.api("POST", "/wharf/v1/login_links", Some(&json!({}))).expect(200).json();
    let link = link["url"].as_str().expect("a link").to_owned();
    let cookie = cookie_of(&wharf.request(&dashboard, "GET", target_of(&link)).navigating());
    let as_user = |method: &str, target: &str| {
        wharf.request(&dashboard, method, target).navigating().header("Cookie", &cookie)
    };
    // Through the dashboard's own button, over the service host, which marks the browser, to a session there.
    let open_button = format!("/open/{}/8080", service.request);
    let enter = location_of(&as_user("GET", &open_button));
    let marked = wharf.request(&service.host(), "GET", target_of(&enter)).navigating().send();
    let (mark, back) = (cookie_in(&marked), location_in(&marked));
    let handed = location_of(&as_user("GET", target_of(&back)));
    let redeem = wharf.request(&service.host(), "GET", target_of(&handed)).navigating();
    let session = cookie_of(&redeem.header("Cookie", &mark));
    let own = format!("http://{}", service.host());
    let credential = vec![("Cookie", session), ("Origin", own)];
    let page = as_user("GET", "/account").send().expect(200).text();
    let form_token = page.split("name=\"form_token\" value=\"").nth(1).expect("a form");
    let form_token = form_token.split('"').next().unwrap_or_default().to_owned();
    let sign_out = || {
        let origin = format!("http://{dashboard}");
        let request = wharf.request(&dashboard, "POST", "/sign-out");
        let request = request.header("Cookie", &cookie).header("Origin", &origin);
        let request = request.header("Content-Type", "application/x-www-form-urlencoded");
        let _signed_out = request.body(format!("form_token={form_token}")).send().expect(303);
    };
    end_all(&wharf, &service.host(), &credential, sign_out, 403);
    wharf.finish();
}

/// The path and query of an address.
fn target_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.find('/').map_or("/", |at| &rest[at..])
}

/// Where the answer leads.
fn location_of(request: &Request) -> String {
    location_in(&request.send())
}

fn location_in(reply: &Reply) -> String {
    reply.header("Location").unwrap_or_else(|| panic!("no redirect: {reply:?}")).to_owned()
}

/// The cookie that the answer sets, as `name=value`.
fn cookie_of(request: &Request) -> String {
    cookie_in(&request.send())
}

fn cookie_in(reply: &Reply) -> String {
    let cookie = reply.header("Set-Cookie").unwrap_or_else(|| panic!("no cookie: {reply:?}"));
    cookie.split(';').next().unwrap_or_default().to_owned()
}
