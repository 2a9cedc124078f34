//! Figures: what a service uses, what is asked of it, and what Wharf says of itself.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use testkit::http::Request;
use testkit::{Options, Service, Wharf, images, wait_for};

/// A measurement every five seconds, and a slot is told of a second after its end; the rest is for a machine that is
/// busy with other things.
const WITHIN: Duration = Duration::from_secs(60);

/// Reads what Prometheus would, with its own parser, and prints one JSON object: name and labels to value.
const PARSER: &str = r#"
import json, sys
from prometheus_client.parser import text_string_to_metric_families
samples, kinds = {}, {}
for family in text_string_to_metric_families(sys.stdin.read()):
    assert family.documentation, family
    assert family.name not in kinds, family
    kinds[family.name] = family.type
    for sample in family.samples:
        key = sample.name + "".join("|%s=%s" % pair for pair in sorted(sample.labels.items()))
        assert key not in samples, key
        samples[key] = sample.value
print(json.dumps({"samples": samples, "kinds": kinds}))
"#;

fn figures(wharf: &Wharf, port: u16, service: &Service) -> Value {
    let path = format!("/wharf/v1/containers/{}/metrics", service.container);
    wharf.api_at(port, "GET", &path, None).expect(200).json()
}

fn numbers(series: &Value) -> Vec<f64> {
    series.as_array().expect("a series").iter().filter_map(Value::as_f64).collect()
}

/// Runs a program over a text; its output, or a failure with what it said.
fn filtered(command: &mut Command, text: &str) -> String {
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().expect("it starts");
    child.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{errors}");
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn what_a_service_uses_is_measured_and_outlives_controller_and_service() {
    let mut wharf = Wharf::start();
    let service = wharf.app();
    let burner = service.shell("(while :; do :; done) > /dev/null 2>&1 & echo $!");
    // How much of a CPU it gets is for the machine to say, which may be busy with other things.
    let by_the_kernel = || {
        let stat = service.shell(&format!("cat /proc/{}/stat", burner.trim()));
        let fields: Vec<f64> = stat.split(' ').map(|field| field.parse().unwrap_or(0.0)).collect();
        (fields[13] + fields[14]) / 100.0
    };
    wait_for("its CPU time to be told as the kernel counts it", WITHIN, || {
        let cores = numbers(&figures(&wharf, wharf.port(), &service)["cpu_cores"]);
        assert!(cores.iter().all(|used| *used < 1.2), "one CPU is all that it may use: {cores:?}");
        let (told, used) = (cores.iter().sum::<f64>() * 5.0, by_the_kernel());
        // What is not told yet is that of the slot that has not ended.
        told > 3.0 && (told - used).abs() < 0.3 * used + 1.0
    });
    let before = figures(&wharf, wharf.port(), &service);
    let memory = numbers(&before["memory_bytes"]);
    assert!(memory.iter().all(|bytes| (65_536.0..268_435_456.0).contains(bytes)), "{memory:?}");
    assert_eq!((&before["vcpus"], &before["memory_limit_bytes"]), (&1.into(), &268_435_456.into()));
    let most = |figures: &Value| numbers(&figures["cpu_cores"]).into_iter().fold(0.0, f64::max);

    wharf.stop_controller();
    let _downtime = wharf.restart_controller();
    let after = figures(&wharf, wharf.port(), &service);
    assert!(most(&after) >= most(&before), "the history was lost: {after}");

    // Two lines of processor time make an interval.
    let path = format!("/arvados/v1/containers/{}/log/crunchstat.txt", service.container);
    let read = || wharf.api("GET", &path, None).expect(200).text();
    wait_for("an interval", WITHIN, || read().contains(" -- interval "));
    service.cancel(&wharf);
    let _record = service.wait_over(&wharf);
    // Out of the log collection, as Arvados's users look.
    let mut summary = Command::new(images::clients().join("bin/crunchstat-summary"));
    let site = summary.args(["--job", &service.request]).env("HOME", wharf.home());
    let site = site.env("ARVADOS_API_HOST", wharf.api_host());
    let site = site.env("ARVADOS_API_TOKEN", wharf.token());
    let report = filtered(site.env("SSL_CERT_FILE", wharf.data().join("ca.pem")), "");
    let most_by_it =
        report.lines().find(|line| line.contains("Max CPU usage in a single interval"));
    let percent = most_by_it.and_then(|line| {
        line.split(' ').find_map(|word| word.trim_end_matches('%').parse::<f64>().ok())
    });
    assert!(percent.is_some_and(|percent| percent > 5.0), "{report}");
    assert!(report.contains("mem\trss\t"), "{report}");
    assert!(most(&figures(&wharf, wharf.port(), &service)) >= most(&before), "it is over");
    wharf.finish();
}

#[test]
fn what_several_controllers_carry_adds_up() {
    let wharf = Wharf::start_with(Options { apart: true, ..Options::default() });
    let second = wharf.start_another_controller();
    let service = wharf.app();
    let there = service.at(second.port());
    for _ in 0..3 {
        assert_eq!(service.get("/x").status(), 200);
    }
    // It may have no way to the container yet.
    let n_there = std::cell::Cell::new(0.0);
    wait_for("the second one to carry four", WITHIN, || {
        n_there.set(n_there.get() + f64::from(u8::from(there.get("/x").status() == 200)));
        n_there.get() >= 4.0
    });
    let _sent = there.ask("POST", "/upload").body(vec![7; 100_000]).send().expect(200);
    for port in [wharf.port(), second.port()] {
        let count = |series: &str| {
            let figures = figures(&wharf, port, &service);
            let rates = match series {
                "2xx" => numbers(&figures["requests_per_second"]["2xx"]),
                other => numbers(&figures[other]),
            };
            rates.iter().sum::<f64>() * 5.0
        };
        wait_for("all to be counted", WITHIN, || (count("2xx") - 8.0).abs() < 0.01);
        assert!((count("bytes_in_per_second") - 100_000.0).abs() < 1.0);
        assert!(count("bytes_out_per_second") > 0.0);
    }
    let fast = &figures(&wharf, wharf.port(), &service)["first_byte_seconds"];
    assert!(numbers(&fast["p50"]).iter().all(|seconds| (0.0..5.0).contains(seconds)), "{fast}");
    wharf.finish_with(second);
}

#[test]
fn prometheus_reads_what_wharf_says_of_itself() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = free.local_addr().expect("an address").port();
    drop(free);
    let token = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(token.path(), "scrape-me\n").expect("written");
    let shown = token.path().display();
    let config = format!(
        "Metrics: {{Listen: \"127.0.0.1:{port}\", TokenFile: {shown}}}\nCollections: {{BlobSweepInterval: 1s}}\n"
    );
    let wharf = Wharf::start_configured(&config);
    let service = wharf.app();
    let _answered = service.ask("POST", "/upload").body(vec![7; 5_000]).send().expect(200);
    assert_eq!(service.bare("GET", "/").send().status(), 403);

    let at = format!("127.0.0.1:{port}");
    let ask = |path: &str, token: &str| Request::new(port, &at, "GET", path).bearer(token).send();
    wait_for("the page", WITHIN, || std::net::TcpStream::connect(&at).is_ok());
    assert_eq!(ask("/metrics", "scrape-you").status(), 401);
    assert_eq!(ask("/", "scrape-me").status(), 404);
    wait_for("the first sweep of blocks", WITHIN, || {
        ask("/metrics", "scrape-me").expect(200).text().contains("wharf_blocks_bytes")
    });
    let page = ask("/metrics", "scrape-me").expect(200);
    let python = images::clients().join("bin/python3");
    let read = filtered(Command::new(python).args(["-c", PARSER]), &page.text());
    let read: Value = serde_json::from_str(&read).expect("JSON");
    let sample = |key: &str| {
        read["samples"][key].as_f64().unwrap_or_else(|| panic!("no {key}: {}", page.text()))
    };
    let of_service = format!("|container={}|port=8080", service.container);
    assert_eq!(sample(&format!("wharf_service_requests_total{of_service}|status=2xx")), 1.0);
    assert_eq!(sample(&format!("wharf_service_received_bytes_total{of_service}")), 5_000.0);
    assert_eq!(sample("wharf_containers|state=Running"), 1.0);
    assert_eq!(sample("wharf_tunnels"), 1.0);
    assert_eq!(sample("wharf_queue_containers"), 0.0);
    assert_eq!(sample("wharf_container_start_seconds_count"), 1.0);
    assert_eq!(sample("wharf_port_ready_seconds_count"), 1.0);
    assert!(sample("wharf_proxy_refusals_total|reason=denied") >= 1.0);
    assert!(sample("process_resident_memory_bytes") > 1e6);
    assert!(sample("process_cpu_seconds_total") > 0.0);
    let posted = "wharf_api_request_duration_seconds_count|method=POST|route=/arvados/v1/container_requests|status=2xx";
    assert!(sample(posted) >= 1.0);
    // What docs/operations.md has alerts on.
    assert!(sample("wharf_store_writes_total") >= sample("wharf_store_commits_total|outcome=done"));
    assert!(sample("wharf_store_commits_total|outcome=done") >= 1.0);
    assert_eq!(sample("wharf_store_commits_total|outcome=failed"), 0.0);
    assert_eq!(sample("wharf_store_busy_total"), 0.0);
    for doing in ["wait", "work", "commit"] {
        assert!(sample(&format!("wharf_store_seconds_total|doing={doing}")) > 0.0);
    }
    assert_eq!(sample("wharf_dispatcher_up"), 1.0);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let looked_ago =
        now.expect("a clock").as_secs_f64() - sample("wharf_dispatcher_looked_timestamp_seconds");
    assert!((-1.0..60.0).contains(&looked_ago), "{looked_ago} s");
    assert_eq!(sample("wharf_volume_up|volume=data-directory"), 1.0);
    let free = sample("wharf_volume_free_bytes|volume=data-directory");
    assert!(free > 0.0 && free <= sample("wharf_volume_size_bytes|volume=data-directory"));
    assert!(sample("wharf_blocks") >= 1.0 && sample("wharf_blocks_bytes") > 1.0);
    assert!(sample("wharf_blocks_swept_timestamp_seconds") > 1e9);
    assert_eq!(sample("wharf_capacity_promised|of=containers"), 1.0);
    assert_eq!(sample("wharf_capacity_promised|of=ram_bytes"), 268_435_456.0);
    assert!(sample("wharf_capacity|of=vcpus") >= 1.0);
    assert_eq!(read["kinds"]["wharf_store_seconds"], "counter");
    assert_eq!(read["kinds"]["wharf_proxy_first_byte_seconds"], "histogram");
    assert_eq!(read["kinds"]["wharf_service_requests"], "counter");
    assert!(!page.text().contains("api_token"));
    wharf.finish();
}

#[test]
fn figures_are_not_shown_to_a_network_without_a_token() {
    let wharf = Wharf::start();
    let config = wharf.home().join("open.yml");
    std::fs::write(&config, "Metrics: {Listen: \"0.0.0.0:9464\"}\n").expect("written");
    let data = wharf.home().join("other");
    let mut command = wharf.command();
    let _set = command
        .args(["up", "--listen", "127.0.0.1:0", "--data"])
        .arg(&data)
        .arg("--config")
        .arg(&config);
    let output = command.output().expect("it runs");
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && words.contains("Metrics.TokenFile"), "{words}");
    wharf.finish();
}
