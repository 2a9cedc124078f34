//! Launch, duplicate, restart: what is asked for is what was shown.

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::fake_api::{REQUEST, TIME, container, link, request};
use crate::site::Site;

async fn form_token(site: &Site, cookie: &str) -> String {
    site.get("/launch").cookie(cookie).send().await.form_token().to_owned()
}

fn one_service() -> Site {
    let site = Site::new();
    let ports = json!({ "8888": { "label": "Lab", "access": "public", "initial_path": "lab?a" } });
    let mut running = request(1, "notebook", &ports);
    running.environment = json!({ "A": "b" }).as_object().unwrap().clone();
    running.mounts = json!({ "/data": { "kind": "tmp" } }).as_object().unwrap().clone();
    site.api.records().containers = vec![container(&running, "Running", Some(TIME))];
    site.api.records().requests = vec![running];
    site.api.records().links = vec![link(1, "jupyter", REQUEST, 8888)];
    site
}

const FORM: [(&str, &str); 8] = [
    ("name", "Lab"),
    ("image", "lab:1"),
    ("command", "jupyter lab '--x=a b'"),
    ("cpus", "2"),
    ("ram", "2GiB"),
    ("port", "8888"),
    ("label", "Jupyter"),
    ("host_name", "lab"),
];

fn with_token<'t>(token: &'t str, form: &[(&'t str, &'t str)]) -> Vec<(&'t str, &'t str)> {
    [("form_token", token)].into_iter().chain(form.iter().copied()).collect()
}

/// The request that a preview shows.
fn previewed(page: &str) -> Value {
    let (_, rest) = page.split_once("Container request</h3>").expect("a preview");
    let (_, rest) = rest.split_once("<code>").unwrap();
    let (text, _) = rest.split_once("</code>").unwrap();
    serde_json::from_str(&text.replace("&quot;", "\"").replace("&amp;", "&")).unwrap()
}

#[tokio::test]
async fn what_is_launched_is_what_the_preview_showed() {
    let site = Site::new();
    let cookie = site.sign_in().await;
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(FORM);
    let preview = site.get(&format!("/launch?{}", query.finish())).cookie(&cookie).send().await;
    preview.has("--publish 8888:private:Jupyter");
    preview.has("--hostname lab");
    let token = form_token(&site, &cookie).await;
    let done = site.post("/launch", &with_token(&token, &FORM)).cookie(&cookie).send().await;
    assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", done.text);
    assert_eq!(done.header("location"), format!("/services/{REQUEST}"));
    assert_eq!(previewed(&preview.text), site.api.records().made[0]);
    assert_eq!(site.api.records().links[0].name, "lab");
}

#[tokio::test]
async fn what_is_wrong_stands_at_its_field_and_the_form_is_kept() {
    let site = Site::new();
    let cookie = site.sign_in().await;
    let token = form_token(&site, &cookie).await;
    let mut form = FORM;
    (form[3].1, form[5].1) = ("none", "99999");
    let answer = site.post("/launch", &with_token(&token, &form)).cookie(&cookie).send().await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    answer.has("CPUs must be a whole number");
    answer.has("The port must be a number from 1 to 65535");
    answer.has("value=\"99999\"");
    answer.has("aria-describedby=\"wrong-cpus\" aria-invalid=\"true\"");
    assert!(site.api.records().made.is_empty());
    // The API's own words go to their fields as well, and nothing of them is markup.
    site.api.records().refuse_request =
        vec!["container_image \"<b>\" is not there".to_owned(), "owner_uuid: nobody".to_owned()];
    let answer = site.post("/launch", &with_token(&token, &FORM)).cookie(&cookie).send().await;
    answer.has("Image &quot;&lt;b&gt;&quot; is not there.");
    answer.has("owner_uuid: nobody");
    answer.has("value=\"lab:1\"");
}

#[tokio::test]
async fn a_template_fills_the_form_in() {
    let site = Site::new();
    let cookie = site.sign_in().await;
    let page = site.get("/launch?template=JupyterLab").cookie(&cookie).send().await;
    page.has("Notebooks in Python");
    page.has("value=\"jupyterlab:1\"");
    assert_eq!(previewed(&page.text)["published_ports"]["8888"]["initial_path"], "lab");
    let blank = site.get("/launch").cookie(&cookie).send().await;
    blank.lacks("value=\"jupyterlab:1\"");
    blank.has("<option value=\"lab:1\">");
}

#[tokio::test]
async fn a_launch_without_the_form_token_of_this_session_is_refused() {
    let site = Site::new();
    let cookie = site.sign_in().await;
    let answer = site.post("/launch", &with_token("x", &FORM)).cookie(&cookie).send().await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert!(site.api.records().made.is_empty());
}

#[tokio::test]
async fn a_duplicate_keeps_what_the_form_does_not_show() {
    let site = one_service();
    let cookie = site.sign_in().await;
    let page = site.get(&format!("/launch?from={REQUEST}")).cookie(&cookie).send().await;
    let copy = previewed(&page.text);
    assert_eq!(copy["mounts"], json!({ "/data": { "kind": "tmp" } }));
    assert_eq!(copy["environment"], json!({ "A": "b" }));
    let port = json!({ "access": "public", "label": "Lab", "initial_path": "lab?a" });
    assert_eq!(copy["published_ports"]["8888"], port);
    assert_eq!(copy["service"], json!(true));
    let missing = site.get("/launch?from=wharf-xvhdp-000000000000099").cookie(&cookie).send().await;
    assert_eq!(missing.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_restart_asks_and_moves_the_host_name_to_the_new_run() {
    let site = one_service();
    let cookie = site.sign_in().await;
    let restart = format!("/services/{REQUEST}/restart");
    let asked = site.get(&restart).cookie(&cookie).send().await;
    asked.has("Restart notebook?");
    asked.has("jupyter");
    assert!(site.api.records().made.is_empty(), "asking changes nothing");
    let form = [("form_token", asked.form_token())];
    let done = site.post(&restart, &form).cookie(&cookie).send().await;
    let new = "wharf-xvhdp-000000000000002";
    assert_eq!(done.header("location"), format!("/services/{new}"));
    let records = site.api.records();
    assert_eq!(records.links[0].head_uuid.as_deref(), Some(new));
    assert_eq!(records.requests[0].priority, 0);
    assert_eq!(records.made[0]["mounts"], json!({ "/data": { "kind": "tmp" } }));
    assert!(records.made[0].get("uuid").is_none());
}
