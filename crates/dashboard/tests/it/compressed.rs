//! What is compressed, and what never is.

use std::io::Read as _;

use axum::body::Body;
use axum::http::{Response, header};
use flate2::read::GzDecoder;
use http_body_util::BodyExt as _;

use crate::site::{Ask, one_service};

const PAGE: &str = "/services/wharf-xvhdp-000000000000001";

fn encoding(answer: &Response<Body>) -> &str {
    answer.headers().get(header::CONTENT_ENCODING).map_or("", |value| value.to_str().unwrap())
}

async fn unpacked(answer: Response<Body>) -> String {
    let bytes = answer.into_body().collect().await.unwrap().to_bytes();
    let mut text = String::new();
    GzDecoder::new(bytes.as_ref()).read_to_string(&mut text).unwrap();
    text
}

/// As a browser that takes gzip, from where it says.
fn from<'s>(ask: Ask<'s>, site: &str) -> Ask<'s> {
    let ask = ask.header("accept-encoding", "gzip, deflate, br").header("sec-fetch-site", site);
    ask.header("sec-fetch-mode", "navigate").header("sec-fetch-dest", "document")
}

#[tokio::test]
async fn pages_and_files_are_compressed_for_who_takes_it() {
    let site = one_service();
    let cookie = site.sign_in().await;
    let whole = site.get(PAGE).cookie(&cookie).send().await;
    for by in ["same-origin", "none"] {
        let packed = from(site.get(PAGE).cookie(&cookie), by).head().await;
        assert_eq!(encoding(&packed), "gzip");
        assert!(packed.headers()[header::VARY].to_str().unwrap().contains("Accept-Encoding"));
        assert!(unpacked(packed).await.contains("<h1>notebook</h1>"));
    }
    whole.has("<h1>notebook</h1>");
    let style = from(site.get("/assets/wharf.css"), "same-origin").head().await;
    assert_eq!(encoding(&style), "gzip");
    assert!(unpacked(style).await.contains(".tile"));
    let plain = site.get("/assets/wharf.css").head().await;
    assert_eq!(encoding(&plain), "");
}

#[tokio::test]
async fn breach_pages_that_another_site_asks_for_are_not_compressed() {
    let site = one_service();
    let cookie = site.sign_in().await;
    for by in ["cross-site", "same-site"] {
        let answer = from(site.get("/?q=guess").cookie(&cookie), by).head().await;
        assert_eq!((answer.status().as_u16(), encoding(&answer)), (200, ""), "{by}");
    }
    let unsaid = site.get("/?q=guess").cookie(&cookie).header("accept-encoding", "gzip");
    assert_eq!(encoding(&unsaid.head().await), "");
}

#[tokio::test]
async fn breach_answers_that_show_a_secret_once_and_streams_are_not_compressed() {
    let site = one_service();
    let cookie = site.sign_in().await;
    let page = site.get("/account").cookie(&cookie).send().await;
    let form = [("form_token", page.form_token()), ("may", "all"), ("days", "30")];
    let made = site.post("/account/tokens", &form).cookie(&cookie);
    let made = made.header("accept-encoding", "gzip").head().await;
    assert_eq!((made.status().as_u16(), encoding(&made)), (200, ""));
    let events = from(site.get("/events").cookie(&cookie), "same-origin").head().await;
    assert_eq!(encoding(&events), "");
}

#[tokio::test]
async fn breach_the_form_token_of_each_answer_is_another_text() {
    let site = one_service();
    let cookie = site.sign_in().await;
    let (one, other) =
        (site.get(PAGE).cookie(&cookie).send().await, site.get(PAGE).cookie(&cookie).send().await);
    assert_ne!(one.form_token(), other.form_token());
    for page in [one, other] {
        let form = [("form_token", page.form_token())];
        let stopped = site.post(&format!("{PAGE}/stop"), &form).cookie(&cookie).send().await;
        assert_eq!(stopped.status, 303, "{}", stopped.text);
    }
}
