//! Upgrades in place: another process takes over, and not one request fails.

use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use testkit::load::Load;
use testkit::websocket::tungstenite::Message;
use testkit::{BOUND, Launch, Options, Process, Service, Wharf, wait_for};

/// A Wharf whose traffic goes straight to the app, or through the tunnels.
fn wharf(direct_sockets: bool, apart: bool) -> Wharf {
    let config = format!("Proxy: {{DirectSockets: {direct_sockets}}}\n");
    Wharf::start_with(Options { apart, config: Some(config), ..Options::default() })
}

/// Upgrades under load, with a WebSocket and an event stream open all the while.
#[expect(clippy::print_stdout, reason = "the figures are worth seeing")]
fn upgrade_under_load(mut wharf: Wharf, rounds: usize) {
    let service = wharf.app();
    let mut socket = service.websocket("/ws");
    let mut events = service.ask("GET", "/events").start();
    let head = events.read_head();
    assert_eq!(head.status, 200);
    let http2 = Http2Stream::open(&wharf, &service);
    let load = Load::start(&wharf, &service);
    load.wait_for_more(3);
    let mut replaced = Vec::new();
    for round in 1..=rounds {
        replaced.push(wharf.upgrade(&[]));
        load.wait_for_more(3);
        let said = Message::text(format!("round {round}"));
        socket.send(said.clone()).expect("sent");
        assert_eq!(socket.read().expect("echoed"), said);
        let _ticked = service.ask("POST", "/tick").send().expect(200);
        let expected = format!("tick {round}\n");
        let mut heard = String::new();
        while !heard.contains(&expected) {
            let piece = events.read_chunk().expect("the stream goes on").expect("and has no end");
            heard.push_str(&String::from_utf8_lossy(&piece));
        }
        wait_for("the event over HTTP/2", BOUND, || http2.heard().contains(&expected));
    }
    let report = load.stop();
    println!("{rounds} upgrades\n{report}");
    report.expect_no_failure();
    // Those that carry nothing any more leave by themselves; the first one has the two streams.
    let mut first = replaced.remove(0);
    for process in replaced {
        assert!(process.wait().success());
    }
    assert!(first.is_running(), "it carries a WebSocket");
    drop((socket, events, http2));
    assert!(first.wait().success());
    wharf.finish();
}

/// The event stream over HTTP/2 and TLS, as curl reads it.
struct Http2Stream {
    curl: Child,
    output: PathBuf,
}

impl Http2Stream {
    fn open(wharf: &Wharf, service: &Service) -> Self {
        let output = wharf.home().join("http2-events");
        let file = std::fs::File::create(&output).expect("a file for its output");
        let (host, port) = (service.host(), wharf.port());
        let name = host.split(':').next().unwrap_or_default();
        let curl = Command::new("curl")
            .args(["--silent", "--show-error", "--no-buffer", "--http2", "--include", "--cacert"])
            .arg(wharf.data().join("ca.pem"))
            .args(["--resolve", &format!("{name}:{port}:127.0.0.1")])
            .args(["--header", &format!("Authorization: Bearer {}", service.token())])
            .arg(format!("https://{host}/events"))
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("a second handle"))
            .stderr(file)
            .spawn()
            .expect("curl runs");
        let stream = Self { curl, output };
        wait_for("the stream over HTTP/2", BOUND, || {
            let heard = stream.heard();
            heard.starts_with("HTTP/2 200") && heard.contains("data: hello")
        });
        stream
    }

    fn heard(&self) -> String {
        std::fs::read_to_string(&self.output).unwrap_or_default()
    }
}

impl Drop for Http2Stream {
    fn drop(&mut self) {
        let _gone = self.curl.kill();
        let _gone = self.curl.wait();
    }
}

#[test]
fn not_one_request_fails_over_upgrades_with_direct_sockets() {
    upgrade_under_load(wharf(true, false), 3);
}

#[test]
fn not_one_request_fails_over_upgrades_through_tunnels() {
    upgrade_under_load(wharf(false, false), 3);
}

#[test]
fn not_one_request_fails_over_upgrades_of_wharf_controller() {
    upgrade_under_load(wharf(false, true), 2);
}

#[test]
#[ignore = "takes minutes: cargo xtask test --slow"]
fn not_one_request_fails_over_fifty_upgrades() {
    upgrade_under_load(wharf(false, false), 50);
}

#[test]
fn a_new_process_that_fails_leaves_the_old_one_as_it_was() {
    let mut wharf = Wharf::start();
    let service = wharf.app();
    let load = Load::start(&wharf, &service);
    let fail = |wharf: &Wharf, config: &str, expected: &str| {
        let file = wharf.home().join("bad.yml");
        std::fs::write(&file, config).expect("writing a config file");
        let command = wharf.upgrade_command(&["--config", &file.to_string_lossy()]);
        let log = wharf.home().join("failed.log");
        let (status, output) = Process::try_start(command, wharf.home(), &log)
            .expect_err("it cannot come up with this config");
        assert_eq!(status.code(), Some(1), "{output}");
        assert!(output.contains(expected), "{output}");
        load.wait_for_more(2);
    };
    // Before it asks for the place, and after it has the sockets.
    fail(&wharf, "Proxy: {NoSuchKey: 1}\n", "NoSuchKey");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port();
    let ports = format!(
        "Services: {{ContainerWebServices: {{ExternalURL: 'http://localhost/', \
         ExternalPortMin: {port}, ExternalPortMax: {port}}}}}\n"
    );
    fail(&wharf, &ports, &format!("listen on port {port}"));
    // And one that could come up still does.
    let old = wharf.upgrade(&[]);
    load.wait_for_more(2);
    load.stop().expect_no_failure();
    assert!(old.wait().success());
    wharf.finish();
}

/// Stops a process, or lets it go on.
fn signal(pid: u32, name: &str) {
    let status = Command::new("kill").args([name, &pid.to_string()]).status();
    assert!(status.expect("kill runs").success());
}

/// An upgrade that is held up: the new process waits for a supervisor that is stopped.
struct HeldUp {
    wharf: Wharf,
    supervisor: u32,
    upgrade: std::thread::JoinHandle<Result<Process, (ExitStatus, String)>>,
}

impl HeldUp {
    /// The process that is to come up.
    fn successor_pid(&self) -> u32 {
        let is_successor = |pid: &u32| {
            let line = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            line.contains("--replace")
        };
        let mut processes = testkit::leaks::processes_of(&self.wharf.data()).into_iter();
        processes.find(is_successor).expect("the new process")
    }
}

fn hold_up() -> HeldUp {
    let wharf = Wharf::start_configured("Shutdown: {UpgradeWait: 60s}\n");
    let service = wharf.app();
    let supervisor = wharf.supervisor_pid(&service.container).expect("a supervisor");
    signal(supervisor, "-STOP");
    let (command, home) = (wharf.upgrade_command(&[]), wharf.home().to_owned());
    let sockets = || std::fs::read_dir(wharf.data().join("run/tunnels")).expect("a folder").count();
    assert_eq!(sockets(), 1);
    let log = home.join("successor.log");
    let upgrade = std::thread::spawn(move || Process::try_start(command, &home, &log));
    wait_for("the new process to wait for supervisors", BOUND, || sockets() == 2);
    HeldUp { wharf, supervisor, upgrade }
}

#[test]
fn when_the_old_process_is_killed_midway_the_new_one_goes_on_with_its_sockets() {
    let HeldUp { mut wharf, supervisor, upgrade } = hold_up();
    let port = wharf.port();
    wharf.kill_controller();
    // Nobody accepts just now; the connection waits in the queue that the new process holds.
    let request = wharf.request(&wharf.api_host(), "GET", "/arvados/v1/users/current");
    let asking = std::thread::spawn({
        let request = request.bearer(wharf.token());
        move || request.send()
    });
    signal(supervisor, "-CONT");
    let successor = upgrade.join().expect("started").expect("it serves");
    assert_eq!(successor.port(), port);
    let _answer = asking.join().expect("asked").expect(200);
    wharf.put_controller(successor);
    let service = wharf.launch(&Launch::default());
    let _serving = service.get("/").expect(200);
    wharf.finish();
}

#[test]
fn when_the_new_process_is_killed_midway_the_old_one_goes_on() {
    let held_up = hold_up();
    let pid = held_up.successor_pid();
    let HeldUp { mut wharf, supervisor, upgrade } = held_up;
    let second = wharf.upgrade_command(&[]);
    let refused = Process::try_start(second, wharf.home(), &wharf.home().join("second.log"));
    let (status, output) = refused.expect_err("one at a time");
    assert!(output.contains("another process is taking the place"), "{status}: {output}");
    testkit::kill(pid);
    assert!(upgrade.join().expect("started").is_err(), "it was killed");
    signal(supervisor, "-CONT");
    let service = wharf.launch(&Launch::default());
    let _serving = service.get("/").expect(200);
    let old = wharf.upgrade(&[]);
    assert!(old.wait().success());
    let _serving = service.get("/").expect(200);
    wharf.finish();
}

#[test]
fn a_new_process_that_is_told_to_stop_midway_ends_at_once_and_the_old_one_goes_on() {
    let held_up = hold_up();
    signal(held_up.successor_pid(), "-TERM");
    let HeldUp { wharf, supervisor, upgrade } = held_up;
    let (status, output) = upgrade.join().expect("started").expect_err("it was told to stop");
    assert!(status.success(), "{status}: {output}");
    signal(supervisor, "-CONT");
    let tunnels = std::fs::read_dir(wharf.data().join("run/tunnels")).expect("a folder");
    assert_eq!(tunnels.count(), 1, "it took its socket away");
    let service = wharf.launch(&Launch::default());
    let _serving = service.get("/").expect(200);
    wharf.finish();
}

#[test]
fn an_old_process_that_is_told_to_stop_midway_takes_the_new_one_along() {
    let HeldUp { mut wharf, supervisor, upgrade } = hold_up();
    assert!(wharf.stop_controller().success());
    signal(supervisor, "-CONT");
    let (status, output) = upgrade.join().expect("started").expect_err("it gives up");
    assert_eq!(status.code(), Some(1));
    assert!(output.contains("does not wait for it any more"), "{output}");
    let _time = wharf.restart_controller();
    wharf.finish();
}

#[test]
fn an_idle_connection_is_answered_by_the_old_process_and_told_to_close() {
    let mut wharf = Wharf::start();
    let service = wharf.app();
    let request = service.ask("GET", "/x");
    let mut connection = request.start();
    let first = connection.read_reply().expect(200);
    assert_eq!(first.header("Connection"), None);
    let mut old = wharf.upgrade(&[]);
    // Well after the handing over: it is not closed under a client that is about to ask.
    std::thread::sleep(Duration::from_millis(500));
    assert!(old.is_running(), "a client may still send");
    connection.send(&request.bytes());
    let last = connection.read_reply().expect(200);
    assert_eq!(last.header("Connection"), Some("close"));
    assert!(connection.read_to_end().is_empty());
    assert!(old.wait().success());
    wharf.finish();
}

#[test]
fn t37_a_token_that_is_revoked_ends_the_streams_of_the_old_process_within_a_second() {
    let mut wharf = Wharf::start();
    let (_user, token) = wharf.new_user("ada");
    let service = wharf.launch(&Launch { token: Some(token.clone()), ..Launch::default() });
    let mut socket = service.websocket("/ws");
    let old = wharf.upgrade(&[]);
    let uuid = token.split('/').nth(1).expect("a v2 token has a uuid");
    let path = format!("/arvados/v1/api_client_authorizations/{uuid}");
    let begin = Instant::now();
    let _revoked = wharf.api("DELETE", &path, None).expect(200);
    let code = testkit::websocket::read_end(&mut socket);
    assert_eq!(code, Some(testkit::websocket::POLICY_VIOLATION));
    assert!(begin.elapsed() < Duration::from_secs(1), "{:?}", begin.elapsed());
    assert!(old.wait().success());
    wharf.finish();
}

#[test]
fn services_that_start_after_an_upgrade_are_launched_by_the_new_process_and_reached_by_both() {
    let mut wharf = wharf(false, false);
    let service = wharf.app();
    let mut socket = service.websocket("/ws");
    let mut connection = service.ask("GET", "/x").start();
    let _answer = connection.read_reply().expect(200);
    let mut old = wharf.upgrade(&[]);
    // The old one still runs, and dispatches no more.
    let later = wharf.launch(&Launch::default());
    let _serving = later.get("/").expect(200);
    assert_eq!(later.record(&wharf)["lock_count"], 1);
    wait_for("the old process's tunnel to it", BOUND, || {
        connection.send(&later.ask("GET", "/y").bytes());
        let reply = connection.read_reply();
        if reply.status() == 200 {
            assert_eq!(reply.header("Connection"), Some("close"));
            return true;
        }
        false
    });
    assert!(old.is_running());
    socket.close(None).expect("closed");
    drop((socket, connection));
    assert!(old.wait().success());
    wharf.finish();
}

#[test]
fn the_ports_of_services_pass_too() {
    // Below the ports that the kernel gives to outgoing connections.
    let mut wharf = Wharf::start_configured(
        "Services: {ContainerWebServices: {ExternalURL: 'http://localhost/', \
         ExternalPortMin: 27620, ExternalPortMax: 27629}}\n",
    );
    let service = wharf.app();
    let port = service.record(&wharf)["published_ports"]["8080"]["external_port"].as_u64();
    let port = port.and_then(|port| u16::try_from(port).ok()).expect("an external port");
    let request = testkit::http::Request::new(port, &format!("localhost:{port}"), "GET", "/x");
    let request = request.bearer(wharf.token());
    let _answer = request.send().expect(200);
    let old = wharf.upgrade(&[]);
    assert!(old.wait().success());
    let _answer = request.send().expect(200);
    wharf.finish();
}

#[test]
fn streams_that_outlast_the_drain_are_cut() {
    let mut wharf = Wharf::start_configured("Shutdown: {UpgradeDrain: 1s}\n");
    let service = wharf.app();
    let mut socket = service.websocket("/ws");
    let old = wharf.upgrade(&[]);
    assert!(old.wait().success());
    let _code = testkit::websocket::read_end(&mut socket);
    wharf.finish();
}

#[test]
fn sigusr2_starts_the_executable_that_lies_there_now() {
    let home = tempfile::TempDir::with_prefix("wharf-test-").expect("a temporary folder");
    let installed = home.path().join("wharf");
    let install = || {
        let fresh = home.path().join("wharf.fresh");
        std::fs::copy(testkit::images::wharf_binary(), &fresh).expect("copying the executable");
        std::fs::rename(&fresh, &installed).expect("putting it in place");
    };
    install();
    let data = home.path().join("data");
    let notify = std::os::unix::net::UnixDatagram::bind(home.path().join("notify"))
        .expect("a socket in the place of a service manager's");
    notify.set_read_timeout(Some(BOUND)).expect("a timeout");
    let heard = || {
        let mut words = [0; 256];
        let n = notify.recv(&mut words).expect("the service manager hears something");
        String::from_utf8_lossy(&words[..n]).into_owned()
    };
    let mut command = Command::new(&installed);
    command.args(["up", "--listen", "127.0.0.1:0", "--data"]).arg(&data);
    command.env("NOTIFY_SOCKET", home.path().join("notify")).env("HOME", home.path());
    let old = Process::start(command, home.path(), &home.path().join("log"));
    assert_eq!(heard(), "READY=1");
    // As a package manager does it: the file that runs has no name any more.
    install();
    signal(old.pid(), "-USR2");
    // Each of the two speaks for itself, so the words may come in any order.
    let words = [heard(), heard()];
    assert!(words.contains(&"READY=1".to_owned()), "{words:?}");
    let pid = words.iter().find_map(|words| words.strip_prefix("MAINPID=")?.parse::<u32>().ok());
    let pid = pid.unwrap_or_else(|| panic!("{words:?}"));
    let port = old.port();
    assert!(old.wait().success());
    let executable = std::fs::read_link(format!("/proc/{pid}/exe")).expect("it runs");
    assert_eq!(executable, PathBuf::from(&installed), "and not the one that was replaced");
    let page = testkit::http::Request::new(port, &format!("localhost:{port}"), "GET", "/");
    let _sign_in = page.navigating().try_send().expect("it serves on the same port");
    signal(pid, "-TERM");
    wait_for("it to end", BOUND, || !PathBuf::from(format!("/proc/{pid}/exe")).exists());
    testkit::leaks::assert_none(&data);
}

#[test]
fn with_nothing_to_replace_it_just_starts() {
    let mut wharf = Wharf::start();
    assert!(wharf.stop_controller().success());
    let command = wharf.upgrade_command(&[]);
    let log = wharf.home().join("controller.log");
    let started = Process::start(command, wharf.home(), &log);
    wharf.put_controller(started);
    wharf.finish();
}
