//! Signing in with a provider: only the browser that began it, only with its own answer, and never to anywhere else.

use axum::http::StatusCode;

use crate::site::{Answer, Site};

fn site() -> Site {
    let site = Site::new();
    site.api.records().provider = Some("Example ID");
    site
}

/// A browser that was sent to the provider: its cookie.
async fn begun(site: &Site, next: &str) -> String {
    let answer = site.get(&format!("/sign-in/openid?next={next}")).send().await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text);
    assert_eq!(answer.header("location"), "https://id.example.com/auth?state=state-1");
    answer.cookie()
}

async fn back(site: &Site, cookie: &str, query: &str) -> Answer {
    let ask = site.get(&format!("/login?{query}")).cookie(cookie);
    ask.header("sec-fetch-site", "cross-site")
        .header("sec-fetch-mode", "navigate")
        .header("sec-fetch-dest", "document")
        .send()
        .await
}

/// The value of the session cookie that an answer sets.
fn session(answer: &Answer) -> Option<String> {
    let cookies = answer.headers.get_all("set-cookie").iter();
    let pairs = cookies.map(|it| it.to_str().unwrap().split(';').next().unwrap().to_owned());
    pairs.into_iter().find(|it| it.starts_with("wharf_dashboard="))
}

#[tokio::test]
async fn the_page_offers_the_ways_that_there_are() {
    let site = site();
    let page = site.get("/sign-in?next=/host-names").send().await;
    page.has("Sign in with Example ID");
    page.has("/sign-in/openid?next=%2Fhost-names");
    assert!(!page.text.contains("name=\"password\""), "{}", page.text);
    site.api.records().provider = None;
    let page = site.get("/sign-in").send().await;
    page.has("name=\"password\"");
    assert!(!page.text.contains("/sign-in/openid"), "{}", page.text);
    let none = site.get("/sign-in/openid").send().await;
    assert_eq!(none.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn who_comes_back_is_signed_in_and_goes_on() {
    let site = site();
    let cookie = begun(&site, "/host-names").await;
    let answer = back(&site, &cookie, "code=code-1&state=state-1&iss=https://id").await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    assert_eq!(answer.header("refresh"), "0; url=/host-names");
    let session = session(&answer).unwrap();
    assert_eq!(site.get("/").cookie(&session).send().await.status, StatusCode::OK);
    assert_eq!(site.api.records().finished[0]["iss"], "https://id");
    assert!(!answer.text.contains("code-1") && !answer.text.contains("state-1"));
    // The attempt is over.
    let cookies = answer.headers.get_all("set-cookie").iter();
    let cleared = cookies
        .map(|it| it.to_str().unwrap())
        .any(|it| it.starts_with("wharf_sign_in=;") && it.contains("Max-Age=0"));
    assert!(cleared, "{:?}", answer.headers);
}

#[tokio::test]
async fn t08_an_answer_counts_only_in_the_browser_that_asked_for_it() {
    let site = site();
    let cookie = begun(&site, "/").await;
    let other = format!("wharf_sign_in={}", "A".repeat(300));
    for (cookie, query) in [
        // Somebody else's link, in a browser that did not begin anything.
        ("", "code=code-1&state=state-1"),
        (other.as_str(), "code=code-1&state=state-1"),
        // In one that did, with a state that is not its own.
        (cookie.as_str(), "code=code-1&state=state-2"),
        (cookie.as_str(), "code=code-1&state="),
    ] {
        let answer = back(&site, cookie, query).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{query}");
        answer.has("not begun in this browser");
        assert_eq!(session(&answer), None, "{query}");
    }
    assert!(site.api.records().finished.is_empty(), "no code was shown to the provider");
    // And the honest one still can.
    assert!(session(&back(&site, &cookie, "code=code-1&state=state-1").await).is_some());
}

#[tokio::test]
async fn t08_a_session_that_was_there_is_replaced_and_not_gone_on_with() {
    let site = site();
    let planted = site.sign_in().await;
    let cookie = begun(&site, "/").await;
    let answer = back(&site, &format!("{planted}; {cookie}"), "code=code-1&state=state-1").await;
    assert_ne!(session(&answer).unwrap(), planted);
}

#[tokio::test]
async fn t09_going_on_after_the_provider_never_leaves_this_origin() {
    let site = site();
    for next in
        ["//evil.example/", "https://evil.example/", "/%5Cevil.example", "%09/evil", "/a%0d"]
    {
        let cookie = begun(&site, next).await;
        let answer = back(&site, &cookie, "code=code-1&state=state-1").await;
        assert_eq!(answer.header("refresh"), "0; url=/", "{next}");
    }
}

#[tokio::test]
async fn looking_ahead_spends_no_code_and_begins_nothing() {
    let site = site();
    let cookie = begun(&site, "/").await;
    let ask = site.get("/login?code=code-1&state=state-1").cookie(&cookie);
    let ahead = ask.header("sec-purpose", "prefetch").send().await;
    assert_eq!(ahead.status, StatusCode::NO_CONTENT);
    assert!(site.api.records().finished.is_empty());
    let ahead = site.get("/sign-in/openid").header("sec-purpose", "prefetch").send().await;
    assert_eq!((ahead.status, ahead.header("set-cookie")), (StatusCode::NO_CONTENT, ""));
}

#[tokio::test]
async fn what_went_wrong_is_said_and_what_to_do() {
    let site = site();
    let check = async |query: &str, status: StatusCode, words: &str| {
        let cookie = begun(&site, "/").await;
        let answer = back(&site, &cookie, &format!("{query}&state=state-1")).await;
        assert_eq!(answer.status, status, "{query}");
        answer.has(words);
        assert_eq!(session(&answer), None, "{query}");
    };
    check("error=access_denied", StatusCode::FORBIDDEN, "did not allow").await;
    check("error=server_error&code=code-1", StatusCode::BAD_GATEWAY, "its log says").await;
    check("x=y", StatusCode::BAD_GATEWAY, "its log says").await;
    check("code=code-2", StatusCode::FORBIDDEN, "not accepted").await;
    site.api.records().admitted = Some("inactive");
    check("code=code-1", StatusCode::FORBIDDEN, "wharf user activate ada").await;
    site.api.records().admitted = Some("unknown");
    check("code=code-1", StatusCode::FORBIDDEN, "no account for you").await;
    site.api.records().provider = Some("down");
    let down = site.get("/sign-in/openid").send().await;
    assert_eq!(down.status, StatusCode::SERVICE_UNAVAILABLE);
    down.has("does not answer right now");
}

#[tokio::test]
async fn from_another_name_of_the_site_it_begins_at_its_own() {
    let site = site();
    // Over https, where the site says http; the cookie would be another one there.
    let ask = |target: &str| site.get(target).tls();
    let answer = ask("/sign-in/openid?next=/account").send().await;
    let own = "http://localhost:8000/sign-in/openid?next=%2Faccount&here=1";
    assert_eq!(answer.header("location"), own);
    assert_eq!(answer.header("set-cookie"), "");
    // Once: what is in front of us may call us by another name.
    let answer = ask("/sign-in/openid?next=/account&here=1").send().await;
    assert_eq!(answer.header("location"), "https://id.example.com/auth?state=state-1");
}

#[tokio::test]
async fn a_session_of_the_provider_ends_there_too() {
    let site = site();
    let cookie = begun(&site, "/").await;
    let session = session(&back(&site, &cookie, "code=code-1&state=state-1").await).unwrap();
    let account = site.get("/account").cookie(&session).send().await;
    let form = account.form_token();
    let answer = site.post("/sign-out", &[("form_token", form)]).cookie(&session).send().await;
    assert_eq!(answer.header("refresh"), "0; url=https://id.example.com/end?client_id=wharf");
    assert!(answer.header("set-cookie").starts_with("wharf_dashboard=;"));
    assert_eq!(site.get("/").cookie(&session).send().await.status, StatusCode::SEE_OTHER);
}
