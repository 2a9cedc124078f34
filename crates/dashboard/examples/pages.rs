//! Serves the dashboard over a fake API with services in every state, to look at:
//! `cargo run -p dashboard --example pages [PORT]`, then open the address it prints.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "an example prints its address and may fall over"
)]

#[expect(dead_code, unused_imports, reason = "shared with the tests, which use all of it")]
#[path = "../tests/it/fake_api.rs"]
mod fake_api;

use std::net::{Ipv4Addr, SocketAddr};

use fake_api::{FakeApi, container, link, request};
use model::{ApiToken, ContainerRequest, ServiceDomain};
use serde_json::{Value, json};

fn seconds_ago(seconds: i64) -> String {
    let at = jiff::Timestamp::now() - jiff::SignedDuration::from_secs(seconds);
    format!("{at:.9}")
}

fn add(api: &FakeApi, mut request: ContainerRequest, state: &str, age: i64, more: &Value) {
    request.created_at = seconds_ago(age).parse().unwrap();
    request.modified_at = seconds_ago((age / 2).min(40)).parse().unwrap();
    let ready = more["ready"].as_bool().unwrap_or(true).then(|| seconds_ago(age - 3));
    let mut container = container(&request, state, ready.as_deref());
    container.started_at = container.started_at.map(|_| seconds_ago(age - 1).parse().unwrap());
    if let Some(words) = more["error"].as_str() {
        container.runtime_status.insert("error".to_owned(), words.into());
    }
    container.exit_code = more["exit"].as_i64().map(|code| i32::try_from(code).unwrap());
    if matches!(state, "Complete" | "Cancelled") {
        request.state = model::RequestState::Final;
    }
    api.records().requests.push(request);
    api.records().containers.push(container);
}

fn fill(api: &FakeApi) {
    let port = |label: &str, access: &str| json!({ "label": label, "access": access });
    let jupyter =
        json!({ "8888": port("JupyterLab", "private"), "8050": port("Fish counts", "public") });
    add(api, request(1, "Harbour survey notebook", &jupyter), "Running", 5400, &json!({}));
    let demo = json!({ "8080": port("Demo", "private") });
    add(api, request(2, "demo", &demo), "Running", 7, &json!({ "ready": false }));
    let viewer = json!({ "80": port("Image viewer", "private") });
    add(api, request(3, "viewer-2026-11", &viewer), "Queued", 130, &json!({}));
    let mut batch = request(4, "nightly index", &json!({}));
    batch.service = false;
    add(api, batch, "Running", 600, &json!({}));
    let words = "the command `jupiter` does not exist in the image; check the spelling or give its full path";
    add(api, request(5, "typo", &jupyter), "Cancelled", 300, &json!({ "error": words }));
    add(
        api,
        request(6, "yesterday's notebook", &jupyter),
        "Complete",
        90_000,
        &json!({ "exit": 0 }),
    );
    let number = |n: u32| format!("wharf-xvhdp-{n:015}");
    api.records().links.push(link(1, "jupyter", &number(1), 8888));
    api.records().links.push(link(2, "demo", &number(2), 8080));
    api.records().log = [
        "crunch-run 2026-11-23T20:58:44.120000000Z container started, pid 4711",
        "stderr 2026-11-23T20:58:45.010000000Z [I 2026-11-23 20:58:45.010 ServerApp] jupyterlab | extension was successfully linked.",
        "stderr 2026-11-23T20:58:45.310000000Z [I 2026-11-23 20:58:45.310 ServerApp] Serving notebooks from local directory: /home/jovyan",
        "stdout 2026-11-23T20:58:45.500000000Z Jupyter Server 2.14.2 is running at: http://localhost:8888/lab",
        "crunch-run 2026-11-23T20:58:46.020000000Z port 8888 answers after 1.9 s",
        "stderr 2026-11-23T20:59:02.777000000Z \u{1b}[33m[W 2026-11-23 20:59:02.777 ServerApp]\u{1b}[m 404 GET /api/missing (@127.0.0.1) 1.52ms",
    ]
    .join("\n");
    api.records().codes.push(format!("wc1_{}", "e".repeat(43)));
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let port = std::env::args().nth(1).and_then(|port| port.parse().ok()).unwrap_or(0);
    let api = FakeApi::new();
    if std::env::args().nth(2).as_deref() != Some("empty") {
        fill(&api);
    }
    for _ in 0..50 {
        // Screenshots sign in afresh each time; the same code many times is only for looking.
        api.records().codes.push(format!("wc1_{}", "e".repeat(43)));
    }
    let listener =
        tokio::net::TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await.unwrap();
    let address = listener.local_addr().unwrap();
    let config = dashboard::DashboardConfig {
        session_key: [42; 32],
        service_domain: ServiceDomain::parse("http://*.containers.localhost:8000/").unwrap(),
        api_host: "localhost:8000".to_owned(),
        ca_file: Some("/var/lib/wharf/ca.pem".into()),
        controller_url: "http://localhost:8000/".to_owned(),
        trusted_clients: Vec::new(),
        templates: Vec::new(),
        terminals: true,
    };
    let client = client::Client::in_memory(api.router(), ApiToken::parse(fake_api::TOKEN).unwrap());
    println!("http://localhost:{}/sign-in?code=wc1_{}", address.port(), "e".repeat(43));
    axum::serve(listener, dashboard::router(config, client)).await.unwrap();
}
