//! The tabs of a service, tokens, data, admin: what they show and what they change.

use axum::http::{Method, StatusCode};
use model::ApiToken;
use serde_json::json;

use crate::fake_api::{CONTAINER, REQUEST, TIME, USER, collection, container, request};
use crate::site::{Answer, Site, one_service};

#[tokio::test]
async fn each_tab_shows_its_part_under_the_same_head() {
    let site = one_service();
    site.api.records().log = "stderr 2026-11-23T20:58:45.1Z boom <b>".to_owned();
    let entry = |kind: &str, old, new| {
        json!({ "uuid": "wharf-57u5n-000000000000001", "event_type": kind, "created_at": TIME,
            "object_uuid": REQUEST, "modified_by_user_uuid": USER,
            "properties": { "old_attributes": { "priority": old }, "new_attributes": { "priority": new } } })
    };
    site.api.records().entries = vec![entry("create", 0, 500), entry("update", 500, 0)];
    let cookie = site.sign_in().await;
    let tab = async |path: &str| {
        let page = site.get(&format!("/services/{REQUEST}{path}")).cookie(&cookie).send().await;
        assert_eq!(page.status, StatusCode::OK, "{path}");
        page.has("Open Lab");
        page
    };
    let logs = tab("/logs").await;
    logs.has("boom &lt;b&gt;");
    logs.has(&format!("data-follow=\"/services/{REQUEST}/logs/follow\""));
    tab("/logs?q=nothing").await.lacks("boom");
    tab("/access").await.has("Private: only you");
    let events = tab("/events").await;
    events.has("Request changed</strong> by Ada Lovelace");
    events.has("<code>priority</code> 500 → 0");
    tab("/details").await.has(CONTAINER);
    let file = site.get(&format!("/services/{REQUEST}/logs/download")).cookie(&cookie).send().await;
    assert_eq!(file.text, "stderr 2026-11-23T20:58:45.1Z boom <b>");
    assert_eq!(
        file.header("content-disposition"),
        format!("attachment; filename=\"{REQUEST}.log\"")
    );
}

#[tokio::test]
async fn a_list_is_searched_and_narrowed_by_its_address() {
    let site = one_service();
    let ports = json!({ "80": { "label": "Site", "access": "public" } });
    for number in 2..60 {
        let more = request(number, &format!("job {number:02}"), &ports);
        site.api.records().containers.push(container(&more, "Queued", None));
        site.api.records().requests.push(more);
    }
    let cookie = site.sign_in().await;
    let first = site.get("/").cookie(&cookie).send().await;
    first.has("1 to 50 of 59");
    first.has("58 queued");
    assert_eq!(first.text.matches("class=\"row\"").count(), 50);
    let second = site.get("/?page=2&sort=name").cookie(&cookie).send().await;
    second.has("51 to 59 of 59");
    let found = site.get("/?q=LAB").cookie(&cookie).send().await;
    found.has("notebook");
    found.lacks("job 02");
    let ready = site.get("/?state=ready").cookie(&cookie).send().await;
    ready.lacks("job 02");
    site.get("/?q=%3Cb%3E").cookie(&cookie).send().await.has("value=\"&lt;b&gt;\"");
}

#[tokio::test]
async fn services_of_others_can_be_told_apart() {
    let site = one_service();
    let mut other = request(2, "theirs", &json!({}));
    other.modified_by_user_uuid = "wharf-tpzed-000000000000002".parse().unwrap();
    site.api.records().requests.push(other);
    let cookie = site.sign_in().await;
    site.get("/").cookie(&cookie).send().await.has("theirs");
    site.get("/?scope=mine").cookie(&cookie).send().await.lacks("theirs");
    let shared = site.get("/?scope=shared").cookie(&cookie).send().await;
    shared.has("by somebody else");
    shared.lacks(">notebook<");
}

#[tokio::test]
async fn a_token_is_shown_once_and_can_be_revoked() {
    let site = Site::new();
    let cookie = site.sign_in().await;
    let token = site.get("/account").cookie(&cookie).send().await.form_token().to_owned();
    let form = [("form_token", &*token), ("days", "30"), ("may", "read"), ("scopes", "")];
    let made = site.post("/account/tokens", &form).cookie(&cookie).send().await;
    let secret = format!("/{}", "s".repeat(50));
    made.has(&secret);
    assert_eq!(made.header("cache-control"), "no-store");
    let asked = site.api.records().asked_tokens.last().cloned().unwrap();
    assert_eq!(asked["scopes"], json!(["GET /arvados/v1/", "HEAD /arvados/v1/"]));
    assert!(asked["expires_at"].is_string());
    let list = site.get("/account").cookie(&cookie).send().await;
    list.lacks(&secret);
    let uuid =
        ApiToken::parse(site.api.records().tokens.last().unwrap()).unwrap().uuid().to_string();
    list.has(&uuid);
    let form = [("form_token", &*token), ("uuid", &*uuid)];
    site.post("/account/tokens/delete", &form).cookie(&cookie).send().await;
    site.get("/account").cookie(&cookie).send().await.lacks(&uuid);
}

#[tokio::test]
async fn scopes_that_are_none_and_lifetimes_that_are_not_offered_make_no_token() {
    let site = Site::new();
    let cookie = site.sign_in().await;
    let token = site.get("/account").cookie(&cookie).send().await.form_token().to_owned();
    let n = site.api.records().asked_tokens.len();
    for (days, may, status) in [
        ("30", "some", StatusCode::UNPROCESSABLE_ENTITY),
        ("99999", "all", StatusCode::NOT_FOUND),
        ("x", "all", StatusCode::NOT_FOUND),
    ] {
        let form = [("form_token", &*token), ("days", days), ("may", may), ("scopes", " \n")];
        let answer = site.post("/account/tokens", &form).cookie(&cookie).send().await;
        assert_eq!(answer.status, status, "{days} {may}");
    }
    assert_eq!(site.api.records().asked_tokens.len(), n);
}

#[tokio::test]
async fn sign_out_everywhere_ends_the_other_sessions_and_leaves_tokens_that_last() {
    let site = Site::new();
    let cookie = site.sign_in().await;
    let other = site.sign_in().await;
    let token = site.get("/account").cookie(&cookie).send().await.form_token().to_owned();
    let form = [("form_token", &*token)];
    site.post("/account/sign-out-everywhere", &form).cookie(&cookie).send().await;
    assert_eq!(site.get("/account").cookie(&cookie).send().await.status, StatusCode::OK);
    let out = site.get("/account").cookie(&other).send().await;
    assert_eq!(out.header("location"), "/sign-in?over=1");
    assert_eq!(site.api.records().tokens.len(), 2, "the script's and this session's");
}

const UUID: &str = "wharf-4zz18-000000000000001";

#[tokio::test]
async fn a_collection_is_browsed_and_its_files_are_sent_as_files() {
    let site = Site::new();
    let block = "930625b054ce894ac40596c3f5a0d947+33";
    let manifest = format!(". {block} 0:3:a.html\n./sub {block} 3:30:b%20c\\040<i>\n");
    site.api.records().collections = vec![collection(1, "Survey", &manifest)];
    site.api.records().files.insert(format!("c={UUID}/a.html"), b"<script>".to_vec());
    let cookie = site.sign_in().await;
    let get = async |path: &str| site.get(path).cookie(&cookie).send().await;
    get("/data").await.has("Survey");
    get("/data?q=nothing").await.has("No collection has that");
    let root = get(&format!("/data/{UUID}")).await;
    root.has(&format!("href=\"/data/{UUID}/files/a.html\""));
    root.has("sub/");
    get(&format!("/data/{UUID}?dir=sub")).await.has("/files/sub/b%2520c%20%3Ci%3E\"");
    for path in
        [format!("/data/{UUID}?dir=none"), format!("/data/{UUID}?dir=a.html"), "/data/x".to_owned()]
    {
        assert_eq!(get(&path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    let file = get(&format!("/data/{UUID}/files/a.html")).await;
    assert_eq!(file.text, "<script>");
    assert_eq!(file.header("content-type"), "application/octet-stream");
    assert_eq!(file.header("content-disposition"), "attachment; filename*=UTF-8''a.html");
    assert_eq!(file.header("content-security-policy"), "default-src 'none'; sandbox");
    assert_eq!(get(&format!("/data/{UUID}/files/none")).await.status, StatusCode::NOT_FOUND);
    let outside = get(&format!("/data/{UUID}/files/..%2F..%2Farvados")).await;
    assert_eq!(outside.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_file_is_uploaded_from_our_own_page_alone() {
    let site = Site::new();
    site.api.records().collections = vec![collection(1, "Survey", "")];
    let cookie = site.sign_in().await;
    let page = site.get(&format!("/data/{UUID}")).cookie(&cookie).send().await;
    let (_, rest) = page.text.split_once("data-token=\"").unwrap();
    let token = rest.split('"').next().unwrap().to_owned();
    let path = format!("/data/{UUID}/files/new/a%20b.txt");
    let put = |token: &str, from: &str| {
        let ask = site.ask(Method::PUT, &path).header("x-form-token", token);
        ask.header("sec-fetch-site", from).cookie(&cookie).body("content").send()
    };
    assert_eq!(put("x", "same-origin").await.status, StatusCode::FORBIDDEN);
    assert_eq!(put(&token, "cross-site").await.status, StatusCode::FORBIDDEN);
    assert!(site.api.records().files.is_empty());
    assert_eq!(put(&token, "same-origin").await.status, StatusCode::NO_CONTENT);
    assert_eq!(site.api.records().files[&format!("c={UUID}/new/a b.txt")], b"content");
}

#[tokio::test]
async fn admin_is_for_administrators_and_says_who_waits_and_why() {
    let site = one_service();
    let cookie = site.sign_in().await;
    let page = site.get("/admin").cookie(&cookie).send().await;
    page.has("waits for memory");
    page.has(&format!("href=\"/services/{REQUEST}\""));
    page.has("Ada Lovelace");
    page.has("lab:1");
    site.api.records().is_ordinary = true;
    let refused = site.get("/admin").cookie(&cookie).send().await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    refused.lacks("waits for memory");
    site.get("/").cookie(&cookie).send().await.lacks("href=\"/admin\"");
}

#[tokio::test]
async fn a_port_is_opened_to_somebody_and_taken_back_from_its_page() {
    let site = one_service();
    let cookie = site.sign_in().await;
    let path = format!("/services/{REQUEST}/access");
    let page = site.get(&path).cookie(&cookie).send().await;
    page.has("Nobody yet besides you");
    page.has("3 open connections");
    page.has("192.0.2.9 at port 8888: not signed in, 4 times");
    let token = page.form_token().to_owned();
    let unknown = site
        .post(&path, &[("form_token", &token), ("who", "<nobody>"), ("port", "")])
        .cookie(&cookie)
        .send()
        .await;
    assert_eq!(unknown.status, StatusCode::UNPROCESSABLE_ENTITY);
    unknown.has("nobody is called &quot;&lt;nobody&gt;&quot;");
    let forged = site.post(&path, &[("form_token", "x"), ("who", "ada"), ("port", "")]);
    assert_eq!(forged.cookie(&cookie).send().await.status, StatusCode::FORBIDDEN);
    let added = site
        .post(&path, &[("form_token", &token), ("who", "ada@example.com"), ("port", "")])
        .cookie(&cookie)
        .send()
        .await;
    assert_eq!(added.status, StatusCode::SEE_OTHER);
    let page = site.get(&path).cookie(&cookie).send().await;
    page.has("Take back<span class=\"unseen\"> from Ada Lovelace");
    let link = site.api.records().links.iter().find(|link| link.is_service_access()).unwrap().uuid;
    let gone = site
        .post(&format!("{path}/remove"), &[("form_token", &token), ("link", link.as_str())])
        .cookie(&cookie)
        .send()
        .await;
    assert_eq!(gone.status, StatusCode::SEE_OTHER);
    site.get(&path).cookie(&cookie).send().await.has("Nobody yet besides you");
    let asked = site.get(&format!("{path}?who=ada&port=80")).cookie(&cookie).send().await;
    asked.has("is refused with 403");
}

/// Invites to a port from its page; an empty one is every private port.
async fn invite(site: &Site, cookie: &str, port: &str, note: &str) -> Answer {
    let path = format!("/services/{REQUEST}/access");
    let token = site.get(&path).cookie(cookie).send().await.form_token().to_owned();
    let fields = [
        ("form_token", token.as_str()),
        ("port", port),
        ("hours", "24"),
        ("uses", "2"),
        ("note", note),
    ];
    site.post(&format!("{path}/invite"), &fields).cookie(cookie).send().await
}

#[tokio::test]
async fn an_invitation_is_shown_once_and_then_by_its_note() {
    let site = one_service();
    let cookie = site.sign_in().await;
    let path = format!("/services/{REQUEST}/access");
    let made = invite(&site, &cookie, "8888", "<b>").await;
    assert_eq!(made.status, StatusCode::OK);
    made.has("?code=wc1_secret");
    let page = site.get(&path).cookie(&cookie).send().await;
    page.lacks("wc1_secret");
    page.has("&lt;b&gt;");
    page.has("used 0 of 2");
    page.has("A guest from 192.0.2.7");
}

#[tokio::test]
async fn a_reader_gets_a_reason_where_a_port_was_not_opened_to_her() {
    let site = one_service();
    {
        let mut records = site.api.records();
        records.is_ordinary = true;
        let other = model::UserUuid::parse("wharf-tpzed-000000000000002").unwrap();
        records.requests[0].modified_by_user_uuid = other;
    }
    let cookie = site.sign_in().await;
    let page = site.get("/").cookie(&cookie).send().await;
    page.has("not opened to you: ask its owner");
    page.lacks("Open Lab");
    site.api.records().opened =
        vec![json!({ "request_uuid": REQUEST, "every_port": true, "ports": [] })];
    let page = site.get("/").cookie(&cookie).send().await;
    page.has("Open Lab");
    page.has("Private: opened to you");
}

#[tokio::test]
async fn the_admin_page_says_how_machines_volumes_and_the_proxy_do_in_words() {
    let site = one_service();
    site.api.records().entries = vec![json!({ "uuid": "wharf-57u5n-000000000000001",
        "event_type": "create", "created_at": TIME, "object_uuid": "wharf-4zz18-000000000000001",
        "modified_by_user_uuid": USER, "properties": {} })];
    let cookie = site.sign_in().await;
    let page = site.get("/admin").cookie(&cookie).send().await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.text);
    // A dispatcher that looked long ago hangs.
    for words in [
        "pier-1",
        "Dispatcher is late",
        "</strong> of 32, nearly full",
        "</strong> of 4 GiB, 3 GiB free",
        "near",
        "far (read only)",
        "Out of reach",
        "it does not answer",
        "12 blocks, 1 MiB",
        "0.4 %",
        "7 × denied",
        "Collection made",
        "by Ada Lovelace",
        "ClusterID: wharf",
    ] {
        page.has(words);
    }
    page.lacks("# why");
    site.api.records().is_ordinary = true;
    let refused = site.get("/admin").cookie(&cookie).send().await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    refused.lacks("pier-1");
}

#[tokio::test]
async fn a_machine_is_cordoned_by_a_button_and_says_by_whom() {
    let site = one_service();
    let cookie = site.sign_in().await;
    let page = site.get("/admin").cookie(&cookie).send().await;
    page.lacks("Cordoned");
    let form = [("form_token", page.form_token()), ("node", "pier-1")];
    let refused = site.post("/admin/cordon", &[("form_token", "x"), form[1]]);
    assert!(refused.cookie(&cookie).send().await.status.is_client_error());
    assert_eq!(site.api.records().cordon, None);
    let done = site.post("/admin/cordon", &form).cookie(&cookie).send().await;
    assert_eq!(done.headers["location"], "/admin#nodes-title");
    let page = site.get("/admin").cookie(&cookie).send().await;
    page.has("Cordoned");
    page.has("It takes no new containers");
    page.has(" by Ada Lovelace");
    page.has("Take new containers again");
    let done = site.post("/admin/uncordon", &form).cookie(&cookie).send().await;
    assert_eq!(done.status, StatusCode::SEE_OTHER);
    site.get("/admin").cookie(&cookie).send().await.lacks("Cordoned");
}

#[tokio::test]
async fn what_others_started_has_stop_for_who_may_write_it_and_not_for_who_may_read() {
    let site = Site::new();
    let ports = json!({ "8888": { "label": "Lab", "access": "private" } });
    let other = model::UserUuid::parse("wharf-tpzed-000000000000002").unwrap();
    for (number, name) in [(1, "written"), (2, "written too"), (3, "read")] {
        let mut theirs = request(number, name, &ports);
        theirs.modified_by_user_uuid = other;
        site.api.records().containers.push(container(&theirs, "Running", Some(TIME)));
        site.api.records().requests.push(theirs);
    }
    site.api.records().is_ordinary = true;
    let uuid = |number: u32| format!("wharf-xvhdp-{number:015}");
    site.api.records().writable = vec![uuid(1), uuid(2)];
    let cookie = site.sign_in().await;
    let page = site.get("/").cookie(&cookie).send().await;
    for (number, may) in [(1, true), (2, true), (3, false)] {
        let (link, choice) = (
            format!("href=\"/services/{}/stop\"", uuid(number)),
            format!("type=\"checkbox\" name=\"uuid\" value=\"{}\"", uuid(number)),
        );
        assert_eq!(
            (page.text.contains(&link), page.text.contains(&choice)),
            (may, may),
            "{number}"
        );
    }
    let all = format!("/stop?uuid={}&uuid={}&uuid={}", uuid(1), uuid(2), uuid(3));
    site.get(&all).cookie(&cookie).send().await.has("Stop 2 services?");
    let own = site.get(&format!("/services/{}", uuid(3))).cookie(&cookie).send().await;
    own.lacks("/stop");
    own.has("Duplicate");
}

#[tokio::test]
async fn an_invitation_to_every_port_has_a_link_for_each() {
    let site = one_service();
    let cookie = site.sign_in().await;
    let path = format!("/services/{REQUEST}/access");
    let made = invite(&site, &cookie, "", "").await;
    made.has("http://8888.localhost/.wharf/invitation?code=wc1_secret");
    made.has("http://9000.localhost/.wharf/invitation?code=wc1_secret");
    made.has("Send these links");
    site.get(&path).cookie(&cookie).send().await.has("port 9000 used 0 of 2");
}
