//! T45: whatever a record holds, it is text on the page and a link leads nowhere else.

use serde_json::json;

use crate::fake_api::{REQUEST, TIME, container, link, request};
use crate::site::Site;

/// What people put into fields that end up on pages. Each holds `evil`, so that it can be found.
const PAYLOADS: [&str; 14] = [
    "<script>evil()</script>",
    "<img src=x onerror=evil()>",
    "\"><svg/onload=evil()>",
    "'><a href='javascript:evil()'>x</a>",
    "javascript:evil()",
    "</title><script>evil()</script>",
    "</pre></code><iframe src=//evil.example></iframe>",
    "<!-- evil -->",
    "&lt;script&gt;evil()&lt;/script&gt;",
    "${evil} {{evil}} %3Cscript%3Eevil",
    "data:text/html,<script>evil()</script>",
    "\u{202e}evil<b>\u{2066}",
    "<style>@import url(//evil.example)</style>",
    "evil\" autofocus onfocus=\"evil()",
];

/// Tags and attributes of a page, found as a browser would: after the text is decoded, nothing in a
/// record may have become one.
fn tags(html: &str) -> Vec<String> {
    let (mut found, mut rest) = (Vec::new(), html);
    while let Some(start) = rest.find('<') {
        let after = &rest[start..];
        // Attribute values hold no `>` on our pages: maud escapes it.
        let end = after.find('>').expect("every tag ends");
        found.push(after[..=end].to_owned());
        rest = &after[end..];
    }
    found
}

fn check(page: &str, payload: &str) {
    for tag in tags(page) {
        let name = tag.trim_start_matches(['<', '/']).split([' ', '>']).next().unwrap();
        assert!(!matches!(name, "iframe" | "style" | "b" | "img"), "{payload}: {tag}");
        // Outside of quotes there is nothing of a record.
        let outside: String = tag.split('"').step_by(2).collect();
        assert!(!outside.contains("evil"), "{payload}: {tag}");
        for attribute in [" href=\"", " src=\"", " action=\""] {
            let Some((_, value)) = tag.split_once(attribute) else { continue };
            let value = value.split('"').next().unwrap();
            let ours = value.starts_with('/') && !value.starts_with("//")
                || value.starts_with('#')
                || value.starts_with("http://") && {
                    let host = value["http://".len()..].split(['/', '?', '#']).next().unwrap();
                    host.ends_with(".containers.localhost:8000") && !host.contains('@')
                };
            assert!(ours, "{payload}: {tag}");
        }
        assert!(!outside.contains(" on"), "{payload}: {tag}");
    }
    let scripts = page.matches("<script").count();
    assert_eq!(scripts, 1, "{payload}: only our own script");
}

/// A site in which every free text of every record is `payload`.
fn site_of(payload: &str) -> Site {
    let site = Site::new();
    let ports = json!({
        "80": { "label": payload, "access": "public", "initial_path": payload },
        "81": { "label": payload, "access": "private", "initial_path": payload },
    });
    let mut running = request(1, payload, &ports);
    running.description = Some(payload.to_owned());
    running.command = vec![payload.to_owned()];
    running.container_image = payload.to_owned();
    running.properties.insert("container_image_name".to_owned(), payload.into());
    let mut over = running.clone();
    over.uuid = "wharf-xvhdp-000000000000002".parse().unwrap();
    over.container_uuid = Some("wharf-dz642-000000000000002".parse().unwrap());
    over.state = model::RequestState::Final;
    let mut failed = container(&over, "Cancelled", None);
    failed.runtime_status.insert("error".to_owned(), payload.into());
    let mut run = container(&running, "Running", Some(TIME));
    for (_, entry) in run.published_ports.iter_mut() {
        entry.base_url = Some(payload.to_owned());
        entry.initial_url = Some(payload.to_owned());
        entry.label = payload.to_owned();
    }
    {
        let mut records = site.api.records();
        records.requests = vec![running, over];
        records.containers = vec![run, failed];
        records.links = vec![link(1, payload, REQUEST, 81), link(2, payload, payload, 80)];
        records.log = format!("stdout {TIME} {payload}\n{payload}\n");
    }
    site
}

#[tokio::test]
async fn t45_records_full_of_markup_stay_text_on_every_page() {
    for payload in PAYLOADS {
        let site = site_of(payload);
        let cookie = site.sign_in().await;
        let stop = format!("/services/{REQUEST}/stop");
        let service = format!("/services/{REQUEST}");
        for path in ["/", &service, &stop, "/services/wharf-xvhdp-000000000000002", "/host-names"] {
            let page = site.get(path).cookie(&cookie).send().await;
            assert_eq!(page.status, 200, "{payload} {path}");
            check(&page.text, payload);
        }
    }
}

#[tokio::test]
async fn t45_what_the_address_says_stays_text_too() {
    let site = site_of("plain");
    let cookie = site.sign_in().await;
    for payload in PAYLOADS {
        let quoted: String = form_urlencoded::byte_serialize(payload.as_bytes()).collect();
        for path in [
            format!("/sign-in?code={quoted}"),
            format!("/sign-in?over=1&next={quoted}"),
            format!("/services/{quoted}"),
            format!("/open?host={quoted}&path={quoted}"),
            format!("/host-names/remove?name={quoted}"),
        ] {
            let page = site.get(&path).cookie(&cookie).send().await;
            check(&page.text, payload);
        }
        let form = [("token", payload), ("next", payload)];
        check(&site.post("/sign-in", &form).send().await.text, payload);
    }
}

#[tokio::test]
async fn t45_a_label_is_shown_as_it_was_written() {
    let site = site_of("<b>5 > 3 & 2</b>");
    let cookie = site.sign_in().await;
    let page = site.get("/").cookie(&cookie).send().await;
    page.has("Open &lt;b&gt;5 &gt; 3 &amp; 2&lt;/b&gt;");
}
