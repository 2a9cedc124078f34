//! Changes: only by POST, only from our own page, only with this session's form token.

use axum::http::{Method, StatusCode};

use crate::fake_api::{REQUEST, link};
use crate::site::{Site, one_service};

async fn form_token(site: &Site, cookie: &str) -> String {
    site.get("/account").cookie(cookie).send().await.form_token().to_owned()
}

#[tokio::test]
async fn stop_asks_names_the_service_and_then_stops_it() {
    let site = one_service();
    let cookie = site.sign_in().await;
    let stop = format!("/services/{REQUEST}/stop");
    let asked = site.get(&stop).cookie(&cookie).send().await;
    asked.has("Stop notebook?");
    assert_eq!(site.api.records().requests[0].priority, 500, "asking changes nothing");
    let form = [("form_token", asked.form_token())];
    let done = site.post(&stop, &form).cookie(&cookie).send().await;
    assert_eq!(done.header("location"), format!("/services/{REQUEST}"));
    assert_eq!(site.api.records().requests[0].priority, 0);
    let page = site.get(&format!("/services/{REQUEST}")).cookie(&cookie).send().await;
    page.has("Stopping");
}

#[tokio::test]
async fn t28_a_change_without_the_form_token_of_this_session_is_refused() {
    let site = one_service();
    let cookie = site.sign_in().await;
    let other = form_token(&site, &site.sign_in().await).await;
    let stop = format!("/services/{REQUEST}/stop");
    for token in ["", "x", &other] {
        let answer = site.post(&stop, &[("form_token", token)]).cookie(&cookie).send().await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{token:?}");
        answer.has("Nothing was changed");
    }
    let without = site.post(&stop, &[]).cookie(&cookie).send().await;
    assert!(without.status.is_client_error());
    assert_eq!(site.api.records().requests[0].priority, 500);
}

#[tokio::test]
async fn t28_a_change_started_by_another_site_is_refused_even_with_the_token() {
    let site = one_service();
    let cookie = site.sign_in().await;
    let token = form_token(&site, &cookie).await;
    let body = format!("form_token={token}");
    for (name, value) in [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("origin", "http://demo.containers.localhost:8000"),
        ("origin", "http://localhost:9000"),
    ] {
        let ask = site
            .ask(Method::POST, &format!("/services/{REQUEST}/stop"))
            .header("content-type", "application/x-www-form-urlencoded")
            .header(name, value)
            .cookie(&cookie);
        let answer = ask.body(&body).send().await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{name}: {value}");
    }
    assert_eq!(site.api.records().requests[0].priority, 500);
}

#[tokio::test]
async fn t28_another_site_may_neither_embed_nor_fetch_a_page() {
    let site = one_service();
    let cookie = site.sign_in().await;
    for (mode, dest) in
        [("no-cors", "image"), ("cors", "empty"), ("navigate", "iframe"), ("no-cors", "script")]
    {
        let answer = site
            .get("/")
            .header("sec-fetch-site", "cross-site")
            .header("sec-fetch-mode", mode)
            .header("sec-fetch-dest", dest)
            .cookie(&cookie)
            .send()
            .await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{mode} {dest}");
        answer.lacks("notebook");
    }
}

#[tokio::test]
async fn get_changes_nothing() {
    let site = one_service();
    let cookie = site.sign_in().await;
    for path in ["/host-names/set", "/sign-out"] {
        let answer = site.get(path).cookie(&cookie).send().await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{path}");
    }
    site.get(&format!("/services/{REQUEST}/stop")).cookie(&cookie).send().await;
    assert_eq!(site.api.records().requests[0].priority, 500);
}

#[tokio::test]
async fn a_host_name_is_set_moved_and_removed() {
    let site = one_service();
    let cookie = site.sign_in().await;
    let token = form_token(&site, &cookie).await;
    let target = format!("{REQUEST} 8888");
    let form = [("form_token", &*token), ("name", " Jupyter "), ("target", &*target)];
    let set = site.post("/host-names/set", &form).cookie(&cookie).send().await;
    assert_eq!(set.header("location"), "/host-names", "{}", set.text);
    assert_eq!(site.api.records().links[0].name, "jupyter");
    let page = site.get("/host-names").cookie(&cookie).send().await;
    page.has("jupyter.<wbr>containers");

    let moved = site.post("/host-names/set", &form).cookie(&cookie).send().await;
    assert_eq!(moved.status, StatusCode::SEE_OTHER);
    assert_eq!(site.api.records().links.len(), 1, "moved, not doubled");

    let ask = site.get("/host-names/remove?name=jupyter").cookie(&cookie).send().await;
    ask.has("Remove jupyter?");
    let uuid = site.api.records().links[0].uuid.to_string();
    let form = [("form_token", &*token), ("uuid", &*uuid)];
    site.post("/host-names/remove", &form).cookie(&cookie).send().await;
    assert!(site.api.records().links.is_empty());
}

#[tokio::test]
async fn a_refused_host_name_keeps_what_was_typed_and_says_why() {
    let site = one_service();
    let cookie = site.sign_in().await;
    let token = form_token(&site, &cookie).await;
    let target = format!("{REQUEST} 8888");
    let form = [("form_token", &*token), ("name", "www"), ("target", &*target)];
    let answer = site.post("/host-names/set", &form).cookie(&cookie).send().await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    answer.has("is reserved, choose another");
    answer.has("value=\"www\"");
    for bad in ["", "nonsense", "nonsense 80", &format!("{REQUEST} 0")] {
        let form = [("form_token", &*token), ("name", "a"), ("target", bad)];
        let answer = site.post("/host-names/set", &form).cookie(&cookie).send().await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{bad:?}");
    }
}

#[tokio::test]
async fn a_host_name_of_somebody_else_s_service_shows_what_it_leads_to() {
    let site = one_service();
    site.api.records().links = vec![link(1, "other", "wharf-xvhdp-000000000000007", 80)];
    let cookie = site.sign_in().await;
    let page = site.get("/host-names").cookie(&cookie).send().await;
    page.has("wharf-xvhdp-000000000000007");
}
