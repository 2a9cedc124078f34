//! The test suites of two WebSocket libraries give the same verdicts through the proxy as directly.
//!
//! A suite runs inside a container, servers and clients. In one of two runs the clients' connections are led out
//! through a Unix socket and come back through the container's service hosts; tests/protocols has the parts, and in
//! `*.expected` each test whose verdict no HTTP proxy can leave as it is, with the reason.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::{Launch, Service, Wharf, images, wait_for};

/// Tests take seconds each where they must wait; two cores may be busy.
const SUITE_BOUND: Duration = Duration::from_secs(300);

/// A library's suite.
struct Suite {
    name: &'static str,
    image: &'static str,
    /// Runs in `/suite`; `$MODE` is `direct` or `proxied`, `$OUT` where the verdicts go, `$WAY_OUT` the way in.
    run: &'static str,
    /// Tests that use the network, at least.
    n_led_min: u32,
}

/// Ends with its test.
struct WayIn(Child);

impl WayIn {
    fn open(wharf: &Wharf, service: &Service, socket: &Path) -> Self {
        let script = images::protocols().join("way_in.py");
        let mut command = Command::new(images::python());
        command.arg(script).arg(socket).args([
            &wharf.port().to_string(),
            &service.request,
            wharf.token(),
        ]);
        command.env("PYTHONDONTWRITEBYTECODE", "1").stderr(Stdio::null());
        Self(command.spawn().expect("python runs"))
    }
}

impl Drop for WayIn {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _gone = self.0.wait();
    }
}

/// A folder that this test and the app's user write to.
fn shared_folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o777))
        .expect("our own folder");
    folder
}

fn bind(path: &Path, writable: bool) -> Value {
    json!({"kind": "bind", "path": path, "writable": writable})
}

/// Some tests connect and say nothing: the server's patience is what they measure.
fn start(folders: &[&Path]) -> Wharf {
    let folders: Vec<_> = folders.iter().map(|path| path.display().to_string()).collect();
    Wharf::start_configured(&format!(
        "Containers: {{BindMounts: [{}]}}\nProxy: {{HeaderTimeout: 1s, IdleTimeout: 1s}}\n",
        folders.join(", ")
    ))
}

/// The service that runs the suite both ways at once and moves the verdicts to the shared folder.
fn submit(wharf: &Wharf, suite: &Suite, mounts: &Value) -> Service {
    let script = format!(
        "export WAY_OUT=/shared/way_in.sock\n\
         while [ ! -S $WAY_OUT ]; do sleep 0.1; done\n\
         cd /suite\n\
         run() {{ MODE=$1 OUT=/tmp/$1.json; export MODE OUT; {}\n mv $OUT /shared/; }}\n\
         run direct >/shared/direct.log 2>&1 &\n\
         run proxied >/shared/proxied.log 2>&1 &\n\
         wait",
        suite.run
    );
    wharf.submit(&Launch {
        image: format!("{}:latest", suite.image),
        command: ["sh", "-c", &script].map(str::to_owned).to_vec(),
        ports: vec![],
        more: json!({"cwd": "/", "mounts": mounts,
            "runtime_constraints": {"vcpus": 1, "ram": 1_073_741_824}}),
        token: None,
    })
}

/// The files of verdicts, once both runs are over.
fn await_verdicts(wharf: &Wharf, service: &Service, shared: &Path) -> [PathBuf; 2] {
    let files = ["direct", "proxied"].map(|mode| shared.join(format!("{mode}.json")));
    wait_for("both runs of the suite", SUITE_BOUND, || {
        let is_over =
            matches!(service.record(wharf)["state"].as_str(), Some("Complete" | "Cancelled"));
        let is_there = files.iter().all(|file| file.exists());
        let logs =
            || files.each_ref().map(|file| std::fs::read_to_string(file.with_extension("log")));
        assert!(is_there || !is_over, "the suite ended early: {:?}", logs());
        is_there
    });
    files
}

fn compare(suite: &Suite, verdicts: &[PathBuf]) {
    let folder = images::protocols();
    let mut command = Command::new(images::python());
    command.arg(folder.join("compare_verdicts.py")).args(verdicts);
    command.arg(folder.join(format!("{}.expected", suite.name))).arg(suite.n_led_min.to_string());
    let output = command.output().expect("python runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
}

#[expect(clippy::print_stderr, reason = "what a machine cannot show, the test says")]
fn verdicts_are_the_same(suite: &Suite) {
    let Some(source) = images::suite(suite.name) else {
        eprintln!("the source of {} could not be had at setup: nothing to see", suite.name);
        return;
    };
    let shared = shared_folder();
    let folders = [shared.path(), &source, &images::protocols()]
        .map(|path| path.canonicalize().expect("a folder that is there"));
    let [results, source, protocols] = folders.each_ref().map(PathBuf::as_path);
    let wharf = start(&[results, source, protocols]);
    wharf.import(&format!("{}.docker.tar", suite.image));
    let mounts = json!({"/out": {"kind": "tmp", "capacity": 1_048_576}, "/shared": bind(results, true),
        "/suite": bind(source, false), "/protocols": bind(protocols, false)});
    let service = submit(&wharf, suite, &mounts);
    service.wait_running(&wharf);
    let _way_in = WayIn::open(&wharf, &service, &results.join("way_in.sock"));
    compare(suite, &await_verdicts(&wharf, &service, results));
    wharf.finish();
}

#[test]
fn the_suite_of_pythons_websockets_judges_the_proxy_as_it_judges_the_direct_way() {
    verdicts_are_the_same(&Suite {
        name: "websockets",
        image: "python",
        run: "export PYTHONPATH=/suite/src:/suite WEBSOCKETS_TESTS_TIMEOUT_FACTOR=30; \
            [ $MODE = direct ] || python3 /protocols/way_out.py $WAY_OUT & \
            python3 /protocols/suite_websockets.py $MODE $OUT /protocols/websockets.expected",
        n_led_min: 240,
    });
}

#[test]
fn the_suite_of_npms_ws_judges_the_proxy_as_it_judges_the_direct_way() {
    verdicts_are_the_same(&Suite {
        name: "ws",
        image: "node",
        run: "node /protocols/suite_ws_run.cjs /protocols/node_modules/mocha/bin/mocha.js $MODE $OUT /protocols/ws.expected $WAY_OUT",
        n_led_min: 180,
    });
}
