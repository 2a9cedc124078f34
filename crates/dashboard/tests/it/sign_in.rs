//! Signing in and out: codes work once, cookies are sealed, nobody is signed in by another site.

use axum::http::{Method, StatusCode};

use crate::fake_api::TOKEN;
use crate::site::Site;

fn code() -> String {
    format!("wc1_{}", "a".repeat(43))
}

fn site_with_code() -> Site {
    let site = Site::new();
    site.api.records().codes.push(code());
    site
}

#[tokio::test]
async fn a_one_time_link_signs_in_once_and_leaves_the_address_bar() {
    let site = site_with_code();
    let link = format!("/sign-in?code={}", code());
    let answer = site.get(&link).send().await;
    assert_eq!((answer.status, answer.header("location")), (StatusCode::SEE_OTHER, "/"));
    let cookie = answer.header("set-cookie");
    assert!(cookie.starts_with("wharf_dashboard="), "{cookie}");
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"), "{cookie}");
    let home = site.get("/").cookie(&answer.cookie()).send().await;
    assert_eq!(home.status, StatusCode::OK);
    home.has("Ada Lovelace");

    let again = site.get(&link).send().await;
    assert_eq!(again.status, StatusCode::FORBIDDEN);
    again.has("used already");
    again.has("wharf open");
    assert_eq!(again.header("set-cookie"), "");
}

#[tokio::test]
async fn t08_a_link_followed_from_another_site_asks_before_it_signs_in() {
    let site = site_with_code();
    let link = format!("/sign-in?code={}", code());
    let from_elsewhere = site
        .get(&link)
        .header("sec-fetch-site", "cross-site")
        .header("sec-fetch-mode", "navigate")
        .header("sec-fetch-dest", "document")
        .send()
        .await;
    assert_eq!(from_elsewhere.status, StatusCode::OK);
    assert_eq!(from_elsewhere.header("set-cookie"), "");
    assert_eq!(site.api.records().codes.len(), 1, "not redeemed");
    let confirmed = site.post("/sign-in", &[("code", &code())]).send().await;
    assert_eq!(confirmed.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn t08_another_site_cannot_post_a_sign_in() {
    let site = site_with_code();
    for (name, value) in
        [("sec-fetch-site", "cross-site"), ("origin", "http://evil.example"), ("origin", "null")]
    {
        let answer = site
            .ask(Method::POST, "/sign-in")
            .header("content-type", "application/x-www-form-urlencoded")
            .header(name, value)
            .send()
            .await;
        assert_eq!(answer.header("set-cookie"), "", "{name}: {value}");
        assert!(matches!(answer.status.as_u16(), 403 | 422), "{name}: {value}");
    }
}

#[tokio::test]
async fn head_and_prefetch_do_not_burn_the_code() {
    let site = site_with_code();
    let link = format!("/sign-in?code={}", code());
    site.ask(Method::HEAD, &link).send().await;
    site.get(&link).header("sec-purpose", "prefetch;prerender").send().await;
    assert_eq!(site.api.records().codes.len(), 1);
}

#[tokio::test]
async fn fifty_parallel_uses_of_one_link_give_one_session() {
    let site = site_with_code();
    let link = format!("/sign-in?code={}", code());
    let answers = futures_util::future::join_all((0..50).map(|_| site.get(&link).send())).await;
    let signed_in = answers.iter().filter(|answer| !answer.header("set-cookie").is_empty());
    assert_eq!(signed_in.count(), 1);
}

#[tokio::test]
async fn a_pasted_token_is_changed_for_one_of_the_session_and_never_comes_back() {
    let site = Site::new();
    let cookie = site.sign_in().await;
    assert_eq!(site.api.records().tokens.len(), 2, "the session has a token of its own");
    for path in ["/", "/account", "/host-names"] {
        let page = site.get(path).cookie(&cookie).send().await;
        page.lacks("v2/wharf-gj3su");
        page.lacks(&"s".repeat(50));
        page.lacks(TOKEN);
    }
}

#[tokio::test]
async fn a_wrong_token_says_so_and_sets_no_cookie() {
    let site = Site::new();
    let wrong = TOKEN.replace("0123", "9999");
    for (token, words) in
        [("nonsense", "That is no token"), (&*wrong, "not accepted"), ("", "no token")]
    {
        let answer = site.post("/sign-in", &[("token", token)]).send().await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN);
        answer.has(words);
        answer.has("role=\"alert\"");
        assert_eq!(answer.header("set-cookie"), "");
    }
}

#[tokio::test]
async fn without_a_session_every_page_leads_to_the_sign_in_and_back() {
    let site = Site::new();
    let uuid = crate::fake_api::REQUEST;
    let service = format!("/services/{uuid}?x=1&y");
    let encoded = format!("/sign-in?next=%2Fservices%2F{uuid}%3Fx%3D1%26y");
    for (path, expected) in [
        ("/", "/sign-in"),
        (service.as_str(), encoded.as_str()),
        ("/events", "/sign-in"),
        ("/account", "/sign-in?next=%2Faccount"),
    ] {
        let answer = site.get(path).send().await;
        assert_eq!((answer.status, answer.header("location")), (StatusCode::SEE_OTHER, expected));
    }
    let answer = site.post("/sign-in", &[("token", TOKEN), ("next", "/account")]).send().await;
    assert_eq!(answer.header("location"), "/account");
    let evil = [("token", TOKEN), ("next", "//evil.example/")];
    let answer = site.post("/sign-in", &evil).send().await;
    assert_eq!(answer.header("location"), "/");
}

#[tokio::test]
async fn signing_out_ends_the_session_for_copies_of_the_cookie_too() {
    let site = Site::new();
    let cookie = site.sign_in().await;
    let page = site.get("/account").cookie(&cookie).send().await;
    let form = [("form_token", page.form_token())];
    let answer = site.post("/sign-out", &form).cookie(&cookie).send().await;
    assert!(answer.header("set-cookie").contains("Max-Age=0"));
    assert_eq!(site.api.records().tokens, [TOKEN], "only the pasted token is left");
    let copy = site.get("/").cookie(&cookie).send().await;
    assert_eq!(copy.header("location"), "/sign-in?over=1");
}

#[tokio::test]
async fn a_cookie_of_another_instance_or_a_changed_one_is_no_session() {
    let site = Site::new();
    let cookie = site.sign_in().await;
    let mut changed = cookie.clone();
    let last = changed.pop().unwrap();
    changed.push(if last == 'A' { 'Q' } else { 'A' });
    for bad in [changed.as_str(), "wharf_dashboard=", "wharf_dashboard=AAAA", "wharf_session=x"] {
        let answer = site.get("/account").cookie(bad).send().await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{bad}");
    }
}

#[tokio::test]
async fn over_tls_the_cookie_is_a_host_cookie() {
    let site = site_with_code();
    let ask = site.get(&format!("/sign-in?code={}", code()));
    let answer = ask.tls().send().await;
    let cookie = answer.header("set-cookie");
    assert!(cookie.starts_with("__Host-wharf_dashboard=") && cookie.ends_with("; Secure"));
    let plain = site.get("/account").cookie(&answer.cookie()).send().await;
    assert_eq!(plain.status, StatusCode::SEE_OTHER, "not taken without TLS");
    let tls = site.get("/account").cookie(&answer.cookie()).tls().send().await;
    assert_eq!(tls.status, StatusCode::OK);
}

#[tokio::test]
async fn name_and_password_sign_in() {
    let site = Site::new();
    let form = |name, password| [("username", name), ("password", password)];
    let wrong = site.post("/sign-in", &form("ada", "wrong horse")).send().await;
    assert_eq!((wrong.status, wrong.header("set-cookie")), (StatusCode::FORBIDDEN, ""));
    wrong.has("do not fit");
    site.post("/sign-in", &form("many", "x")).send().await.has("There were too many tries");
    let right = site.post("/sign-in", &form("ada", "correct horse")).send().await;
    assert_eq!(right.status, StatusCode::SEE_OTHER, "{}", right.text);
    site.get("/").cookie(&right.cookie()).send().await.has("Ada Lovelace");
}

const WORKBENCH: &str = "https%3A%2F%2Fworkbench.example.com%2Ftoken";

#[tokio::test]
async fn a_trusted_page_gets_a_token_of_whoever_signs_in_and_ends_it() {
    let site = Site::new();
    let login = format!("/login?return_to={WORKBENCH}");
    let first = site.get(&login).send().await;
    assert_eq!(first.status, StatusCode::SEE_OTHER);
    assert!(first.header("location").starts_with("/sign-in?next=%2Flogin%3Freturn_to%3D"));
    let form = [("token", TOKEN), ("next", login.as_str())];
    let signed_in = site.post("/sign-in", &form).send().await;
    assert_eq!(signed_in.header("refresh"), format!("0; url={login}"), "{}", signed_in.text);
    let cookie = signed_in.cookie();
    let n_before = site.api.records().tokens.len();
    let back = site.get(&login).cookie(&cookie).send().await;
    let to = back.header("location").to_owned();
    let token = to.strip_prefix("https://workbench.example.com/token?api_token=").unwrap();
    assert!(site.api.records().tokens.iter().any(|known| known == token), "{to}");
    assert_eq!(site.api.records().tokens.len(), n_before + 1);
    // Its own token signs the page out, and the dashboard with it.
    let logout = format!("/logout?api_token={token}&return_to={WORKBENCH}");
    let out = site.get(&logout).cookie(&cookie).send().await;
    assert_eq!(out.header("location"), "https://workbench.example.com/token");
    assert!(out.header("set-cookie").contains("Max-Age=0"), "{}", out.header("set-cookie"));
    assert!(!site.api.records().tokens.iter().any(|known| known == token));
    assert_eq!(site.api.records().tokens.len(), n_before - 1, "the session's is gone too");
}

#[tokio::test]
async fn t08_no_other_page_gets_a_token_and_none_signs_people_out() {
    let site = Site::new();
    let cookie = site.sign_in().await;
    let n_before = site.api.records().tokens.len();
    let evil = "https%3A%2F%2Fevil.example%2F";
    let refused = site.get(&format!("/login?return_to={evil}")).cookie(&cookie).send().await;
    assert_eq!((refused.status, refused.header("location")), (StatusCode::FORBIDDEN, ""));
    let out = site.get(&format!("/logout?return_to={evil}")).cookie(&cookie).send().await;
    assert_eq!((out.header("location"), out.header("set-cookie")), ("/sign-in", ""));
    let ahead = site.get(&format!("/login?return_to={WORKBENCH}")).cookie(&cookie);
    let ahead = ahead.header("sec-purpose", "prefetch").send().await;
    assert_eq!((ahead.status, ahead.header("location")), (StatusCode::NO_CONTENT, ""));
    assert_eq!(site.api.records().tokens.len(), n_before);
}
