//! Single-use codes that open a service: for how long, for whom, and for what else not (T48).

use serde_json::{Value, json};
use testkit::http::{Reply, Request};
use testkit::{Launch, Service, Wharf};

const HANDOFF: &str = "/wharf/v1/handoff";

/// Ada's service and who asks for codes.
struct Scene {
    wharf: Wharf,
    service: Service,
    ada_uuid: String,
    ada: String,
    bob_uuid: String,
    bob: String,
}

impl Scene {
    fn start(config: &str) -> Self {
        let wharf = Wharf::start_configured(config);
        let (ada_uuid, ada) = wharf.new_user("ada");
        let (bob_uuid, bob) = wharf.new_user("bob");
        let service = wharf.launch(&Launch { token: Some(ada.clone()), ..Launch::default() });
        Self { wharf, service, ada_uuid, ada, bob_uuid, bob }
    }

    fn mint_as(&self, token: &str) -> Reply {
        let body = json!({"uuid": self.service.request, "port": 8080, "path": "/lab"});
        self.wharf.api_as(token, "POST", HANDOFF, Some(&body))
    }

    /// A fresh code for the service's own host.
    fn code(&self) -> String {
        code_in(&self.mint_as(&self.ada).expect(200).json())
    }

    fn redeem(&self, host: &str, code: &str) -> Request {
        self.wharf.request(host, "GET", &format!("/lab?api_token={code}"))
    }

    /// The session that a code gives to who follows the link, if any.
    fn session(&self, host: &str, code: &str) -> Option<String> {
        session_in(&self.redeem(host, code).navigating().send().expect(303))
    }
}

fn code_in(made: &Value) -> String {
    let url = made["url"].as_str().expect("a link");
    let code = url.split_once("api_token=").map(|(_, code)| code.to_owned());
    code.unwrap_or_else(|| panic!("no code: {url}"))
}

fn session_in(reply: &Reply) -> Option<String> {
    let cookies = reply.head.all("Set-Cookie").into_iter();
    let session = cookies.filter(|it| !it.contains("Max-Age=0")).find(|it| it.contains("session"));
    session.map(|cookie| cookie.split(';').next().unwrap_or_default().to_owned())
}

#[test]
fn t48_a_code_works_once_at_its_own_place_and_is_gone_after_any_try() {
    let scene = Scene::start("");
    let Scene { wharf, service, .. } = &scene;
    let own = service.host();
    let code = scene.code();
    assert!(scene.session(&own, &code).is_some());
    assert_eq!(scene.session(&own, &code), None, "used");
    let other = wharf.launch(&Launch { token: Some(scene.ada.clone()), ..Launch::default() });
    let elsewhere = [
        other.host(),
        service.host_of(9000),
        wharf.host(&format!("{}-8080", service.container)),
        wharf.host("nobody"),
    ];
    for host in elsewhere {
        let code = scene.code();
        assert_eq!(scene.session(&host, &code), None, "{host}");
        // Nobody redeems a code where there is no service, so it is as good as before there.
        let is_gone = scene.session(&own, &code).is_none();
        assert_eq!(is_gone, !host.starts_with("nobody"), "{host}");
    }
    wharf_of(scene).finish();
}

#[test]
fn t48_a_code_is_no_token_and_makes_no_other_code() {
    let scene = Scene::start("");
    let Scene { wharf, service, .. } = &scene;
    let code = scene.code();
    // Neither at the service, nor at the API, nor at the dashboard.
    let _bearer = service.bare("GET", "/").bearer(&code).send().expect(403);
    let _api = wharf.api_as(&code, "GET", "/arvados/v1/users/current", None).expect(401);
    let _mint = scene.mint_as(&code).expect(401);
    let body = json!({ "code": code });
    let sign_in = wharf.request(&wharf.api_host(), "POST", "/wharf/v1/login_links/redeem");
    let refused = sign_in.json(&body).send();
    assert!((400..500).contains(&refused.status()), "{}", refused.text());
    // Neither is the session that it gives.
    let code = scene.code();
    let session = scene.session(&service.host(), &code).expect("a session");
    let _page = service.bare("GET", "/").header("Cookie", &session).send().expect(200);
    let value = session.split_once('=').map_or("", |(_, value)| value);
    let _mint = scene.mint_as(value).expect(401);
    let by_cookie = wharf.request(&wharf.api_host(), "POST", HANDOFF).header("Cookie", &session);
    let _mint = by_cookie.json(&json!({"uuid": service.request, "port": 8080})).send().expect(401);
    wharf_of(scene).finish();
}

#[test]
fn t48_only_who_may_open_a_service_makes_codes_for_it_and_only_for_that_long() {
    let scene = Scene::start("");
    let Scene { wharf, service, ada_uuid, .. } = &scene;
    let own = service.host();
    let _stranger = scene.mint_as(&scene.bob).expect(404);
    let scoped = wharf.new_token(ada_uuid, &json!({"scopes": ["POST /wharf/v1/handoff"]}));
    let _limited = scene.mint_as(&scoped).expect(403);
    // The token behind it is revoked.
    let second = wharf.new_token(ada_uuid, &json!({}));
    let code = code_in(&scene.mint_as(&second).expect(200).json());
    let uuid = second.split('/').nth(1).expect("a v2 token has a uuid");
    let path = format!("/arvados/v1/api_client_authorizations/{uuid}");
    let _revoked = wharf.api("DELETE", &path, None).expect(200);
    assert_eq!(scene.session(&own, &code), None, "its token is revoked");
    // Its user is disabled.
    let code = scene.code();
    let path = format!("/arvados/v1/users/{ada_uuid}");
    let set_active = |is_active: bool| {
        let body = json!({"user": {"is_active": is_active}});
        let _changed = wharf.api("PUT", &path, Some(&body)).expect(200);
    };
    set_active(false);
    assert_eq!(scene.session(&own, &code), None, "its user is disabled");
    set_active(true);
    // The service is somebody else's by now.
    let code = scene.code();
    let body = json!({"container_request": {"owner_uuid": scene.bob_uuid}});
    let path = format!("/arvados/v1/container_requests/{}", service.request);
    let _given = wharf.api("PUT", &path, Some(&body)).expect(200);
    assert_eq!(scene.session(&own, &code), None, "the service has another owner");
    wharf_of(scene).finish();
}

#[test]
fn t48_a_page_elsewhere_redeems_no_code_and_burns_none() {
    let scene = Scene::start("");
    let own = scene.service.host();
    let code = scene.code();
    let hidden = [
        ("same-site", "no-cors", "image"),
        ("same-site", "cors", "empty"),
        ("cross-site", "no-cors", "script"),
        ("cross-site", "navigate", "iframe"),
    ];
    for (site, mode, dest) in hidden {
        let request = scene.redeem(&own, &code).header("Sec-Fetch-Site", site);
        let request = request.header("Sec-Fetch-Mode", mode).header("Sec-Fetch-Dest", dest);
        assert_eq!(session_in(&request.send().expect(303)), None, "{site} {mode} {dest}");
    }
    let foreign = scene.redeem(&own, &code).header("Origin", "http://evil.example");
    assert_eq!(session_in(&foreign.send().expect(303)), None);
    // As from the dashboard, which is another site: the link is followed.
    let followed = scene.redeem(&own, &code).header("Sec-Fetch-Site", "cross-site");
    let followed =
        followed.header("Sec-Fetch-Mode", "navigate").header("Sec-Fetch-Dest", "document");
    assert!(session_in(&followed.send().expect(303)).is_some());
    wharf_of(scene).finish();
}

#[test]
fn t48_a_code_that_is_too_old_opens_nothing() {
    let scene = Scene::start("Sessions: {HandoffCodeLifetime: 1s}\n");
    let code = scene.code();
    let made = std::time::Instant::now();
    testkit::wait_for("its time to be over", testkit::BOUND, || made.elapsed().as_millis() > 1_000);
    assert_eq!(scene.session(&scene.service.host(), &code), None);
    wharf_of(scene).finish();
}

fn wharf_of(scene: Scene) -> Wharf {
    scene.wharf
}
