//! The plots of a service: numbers and their twin, gaps, and the small bars of the list.

use axum::http::StatusCode;
use model::metrics::{ByClass, ContainerMetrics, Quantiles, RecentUsage};
use serde_json::json;

use crate::fake_api::{CONTAINER, REQUEST, container, request};
use crate::site::Site;

/// Two seconds after its start.
const READY: &str = "2026-11-23T20:58:47.123456789Z";

/// A running service; three slots, of which the middle one was not measured.
fn measured() -> Site {
    let site = Site::new();
    let running = request(1, "burner", &json!({ "80": { "label": "Web", "access": "private" } }));
    let mut records = site.api.records();
    records.containers = vec![container(&running, "Running", Some(READY))];
    records.requests = vec![running];
    let uuid = CONTAINER.parse().unwrap();
    records.metrics = Some(ContainerMetrics {
        container_uuid: uuid,
        range: "15m".to_owned(),
        start: "2026-11-28T12:00:00Z".parse().unwrap(),
        period_seconds: 5,
        vcpus: 2,
        memory_limit_bytes: 1 << 30,
        cpu_cores: vec![Some(1.5), None, Some(0.98)],
        memory_bytes: vec![Some(1 << 20), None, Some(3 << 19)],
        processes: vec![Some(1), None, Some(2)],
        oom_kills: vec![Some(0), None, Some(1)],
        requests_per_second: ByClass {
            informational: vec![Some(0.0), None, Some(0.5)],
            success: vec![Some(2.0), None, Some(3.0)],
            redirection: vec![Some(0.0), None, Some(0.5)],
            client_error: vec![Some(0.0), None, Some(0.0)],
            server_error: vec![Some(0.0), None, Some(0.25)],
        },
        first_byte_seconds: Quantiles {
            p50: vec![None, None, Some(0.0042)],
            p95: vec![None, None, Some(1.25)],
        },
        bytes_in_per_second: vec![Some(0.0), None, Some(2048.0)],
        bytes_out_per_second: vec![Some(0.0), None, Some(10.0)],
        open_connections: vec![Some(0.0), None, Some(3.0)],
    });
    records.usage = vec![RecentUsage {
        container_uuid: uuid,
        cpu_cores: vec![None, Some(0.5)],
        memory_bytes: vec![None, Some(512 << 20)],
    }];
    drop(records);
    site
}

#[tokio::test]
async fn plots_and_their_tables_say_the_same_and_gaps_are_gaps() {
    let site = measured();
    let cookie = site.sign_in().await;
    let page = site.get(&format!("/services/{REQUEST}/metrics")).cookie(&cookie).send().await;
    assert_eq!(page.status, StatusCode::OK);
    for (shown, what) in [
        ("<strong data-latest=\"a\">98 %</strong>", "the newest number"),
        ("Limit 200 %", "all CPUs"),
        ("<td class=\"number\">98 %</td>", "the same in the table"),
        ("d=\"M0 50h1M2 102h1\"", "a hole where nothing was measured"),
        ("<td colspan=\"1\">not measured</td>", "and a row that says so"),
        ("<td class=\"number\">1.5 MiB</td>", "memory"),
        ("ended for want of memory", "a mark"),
        ("<strong data-latest=\"ok\">3/s</strong>", "requests"),
        ("<strong data-latest=\"still\">1/s</strong>", "what is neither success nor error"),
        ("<strong data-latest=\"warn\">1.2 s</strong>", "latency"),
        ("<strong data-latest=\"a\">2 KiB/s</strong>", "network"),
        ("Until port 80 answered", "the start"),
        ("aria-current=\"true\">15 minutes", "the range"),
        ("/metrics?range=7d", "the others"),
    ] {
        assert!(page.text.contains(shown), "{what}: no {shown} in {}", page.text);
    }
    page.lacks(" style=");
}

#[tokio::test]
async fn a_service_without_figures_says_so() {
    let site = measured();
    let cookie = site.sign_in().await;
    let address = format!("/services/{REQUEST}/metrics");
    {
        let mut records = site.api.records();
        let metrics = records.metrics.as_mut().unwrap();
        metrics.cpu_cores = vec![None; 3];
        metrics.open_connections = vec![None; 3];
    }
    let page = site.get(&format!("{address}?range=nonsense")).cookie(&cookie).send().await;
    page.has("Nothing was measured in this time.");
    page.has("Nothing was asked of it by way of Wharf in this time.");
    page.has("aria-current=\"true\">15 minutes");
    site.api.records().metrics = None;
    site.get(&address).cookie(&cookie).send().await.has("It has no container yet");
}

#[tokio::test]
async fn the_list_has_small_bars_of_what_runs() {
    let site = measured();
    let cookie = site.sign_in().await;
    let page = site.get("/").cookie(&cookie).send().await;
    page.has("d=\"M1.5 10v-5\"");
    page.has("50 %");
    page.has("512 MiB");
    site.api.records().usage.clear();
    site.get("/").cookie(&cookie).send().await.lacks("class=\"spark\"");
}
