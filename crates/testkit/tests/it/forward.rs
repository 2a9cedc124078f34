//! Raw TCP with `wharf forward`: whole, both ways, as long as it is allowed.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use testkit::http::{Connection, SILENCE_MAX};
use testkit::pattern::{self, Digest};
use testkit::{BOUND, Launch, Service, Wharf, wait_for, wait_for_some};

/// The test server on 8080, and on 9000 what sends back what it gets until it gets an end.
fn echo() -> Launch {
    Launch {
        ports: vec![(9000, "private", ""), (8080, "private", "")],
        ..Launch::script("testkit-app & exec nc -ll -p 9000 -e cat")
    }
}

/// A running `wharf forward`; killed where a test leaves it.
struct Forward {
    child: Child,
    /// As it printed them.
    told: Value,
    /// What it complains about.
    errors: std::path::PathBuf,
}

impl Forward {
    fn start(wharf: &Wharf, words: &[&str]) -> Self {
        Self::start_as(wharf, words, &[])
    }

    fn start_as(wharf: &Wharf, words: &[&str], environment: &[(&str, String)]) -> Self {
        let errors = wharf.home().join(format!("forward-{}.log", words.join("-")));
        let mut command = wharf.command();
        command.arg("forward").args(words).arg("--json").envs(environment.iter().cloned());
        let log = std::fs::File::create(&errors).expect("a log");
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("wharf runs");
        let out = child.stdout.take().expect("a pipe");
        let mut values = serde_json::Deserializer::from_reader(BufReader::new(out)).into_iter();
        let told: Option<Value> = values.next().transpose().expect("JSON");
        let said = || std::fs::read_to_string(&errors).unwrap_or_default();
        let told = told.unwrap_or_else(|| panic!("forward ended: {}", said()));
        Self { child, told, errors }
    }

    /// The local addresses of the nth port.
    fn addresses(&self, n: usize) -> Vec<String> {
        let all = self.told[n]["addresses"].as_array().expect("addresses");
        all.iter().filter_map(|address| Some(address.as_str()?.to_owned())).collect()
    }

    fn port(&self, n: usize) -> u16 {
        u16::try_from(self.told[n]["local_port"].as_u64().expect("a port")).expect("a port")
    }

    fn connect(&self, n: usize) -> TcpStream {
        connect(&self.addresses(n)[0])
    }

    fn errors(&self) -> String {
        std::fs::read_to_string(&self.errors).unwrap_or_default()
    }

    fn interrupt(&self) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("a process");
        kill_process(pid, Signal::INT).expect("signalling our child");
    }

    fn wait(&mut self) -> Option<i32> {
        wait_for_some("forward to end", BOUND, || self.child.try_wait().expect("our child")).code()
    }
}

impl Drop for Forward {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}

fn connect(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).expect("a listening port");
    stream.set_read_timeout(Some(SILENCE_MAX)).expect("a timeout");
    stream
}

/// Sends bytes, says that there are no more, and reads to the end.
fn exchange(mut stream: TcpStream, bytes: &[u8]) -> Vec<u8> {
    stream.write_all(bytes).expect("sent");
    stream.shutdown(Shutdown::Write).expect("half-closed");
    let mut back = Vec::new();
    stream.read_to_end(&mut back).expect("an orderly end");
    back
}

#[test]
fn forwarded_bytes_arrive_whole_both_ways_and_each_way_ends_by_itself() {
    const N_BYTES: u64 = 100 << 20;
    let wharf = Wharf::start();
    let service = wharf.launch(&echo());
    let forward = Forward::start(&wharf, &[&service.request, "0:9000"]);
    let mut stream = forward.connect(0);
    let mut writer = stream.try_clone().expect("a second handle");
    // Both ways at once: what sends back has no room for all of it.
    let writing = std::thread::spawn(move || {
        pattern::each_block(N_BYTES, |bytes| writer.write_all(bytes)).expect("sent");
        writer.shutdown(Shutdown::Write).expect("half-closed");
    });
    let (mut digest, mut n_read, mut block) = (Digest::new(), 0_u64, vec![0; 1 << 16]);
    loop {
        let n = stream.read(&mut block).expect("it goes on");
        if n == 0 {
            break;
        }
        n_read += n as u64;
        digest.update(&block[..n]);
    }
    writing.join().expect("no panic");
    assert_eq!((n_read, digest.hex()), (N_BYTES, pattern::digest(N_BYTES)));
    drop(forward);
    wharf.finish();
}

#[test]
fn several_ports_and_connections_at_once_on_both_loopback_addresses() {
    let wharf = Wharf::start();
    let service = wharf.launch(&echo());
    let mut forward = Forward::start(&wharf, &[&service.request, "0:9000", "0:8080"]);
    assert_eq!((&forward.told[0]["port"], &forward.told[1]["port"]), (&json!(9000), &json!(8080)));
    let mut held: Vec<(TcpStream, usize)> = Vec::new();
    for number in 0..20 {
        for address in forward.addresses(0) {
            held.push((connect(&address), number));
        }
    }
    // Held open side by side, each has its own bytes.
    for (stream, number) in &mut held {
        writeln!(stream, "line {number}").expect("sent");
    }
    for (stream, number) in held {
        let mut line = String::new();
        BufReader::new(&stream).read_line(&mut line).expect("a line");
        assert_eq!(line, format!("line {number}\n"));
        assert_eq!(exchange(stream, b"rest"), b"rest");
    }
    // The app's own HTTP, untouched: no header of ours is added.
    let mut connection = Connection::open(forward.port(1));
    connection.send(b"GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    let seen = connection.read_reply().expect(200).text();
    assert!(seen.starts_with("GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"), "{seen}");
    // Ctrl-C ends it, with what is open.
    let mut open = forward.connect(0);
    open.write_all(b"x").expect("sent");
    assert_eq!(open.read(&mut [0]).expect("back"), 1);
    forward.interrupt();
    assert_eq!(forward.wait(), Some(0));
    assert!(!matches!(open.read(&mut [0]), Ok(1)), "still open");
    wharf.finish();
}

#[test]
fn what_is_forwarded_is_said_and_what_cannot_be_says_why() {
    let wharf = Wharf::start();
    let (_, stranger) = wharf.new_user("stranger");
    let launch = Launch { ports: vec![(9000, "private", ""), (7000, "private", "")], ..echo() };
    let service = wharf.launch(&launch);
    let id = service.request.as_str();
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("bound").port();
    let fails = |words: &[&str], needles: &[&str]| {
        let mut all = vec!["forward"];
        all.extend(words);
        let said = wharf.cli(&all).expect(1).stderr;
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(needles.iter().all(|needle| said.contains(needle)), "{words:?}: {said}");
    };
    fails(&[id, &format!("{port}:9000")], &[&port.to_string(), "in use", "0:9000"]);
    fails(&[id, "0:7000"], &["port 7000", "not ready"]);
    fails(&["nobody", "0:80"], &["no service \"nobody\""]);
    let usage = wharf.cli(&["forward", id]).expect(2).stderr;
    assert!(usage.contains("LOCAL:"), "{usage}");
    // Someone else's: they cannot even see it; its address they may know refuses.
    let environment = [
        ("ARVADOS_API_HOST", wharf.api_host()),
        ("ARVADOS_API_TOKEN", stranger),
        ("SSL_CERT_FILE", wharf.data().join("ca.pem").to_string_lossy().into_owned()),
    ];
    let mut command = wharf.command();
    let output = command.args(["forward", id, "0:9000"]).envs(environment).output().expect("runs");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    // In plain words for people.
    let mut child = wharf
        .command()
        .args(["forward", id, "0:9000"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("runs");
    let mut line = String::new();
    let out = child.stdout.take().expect("a pipe");
    BufReader::new(out).read_line(&mut line).expect("a line");
    assert!(
        line.starts_with("127.0.0.1:") && line.ends_with(" leads to port 9000 of test\n"),
        "{line}"
    );
    let _killed = child.kill();
    let _gone = child.wait();
    service.cancel(&wharf);
    let _record = service.wait_over(&wharf);
    fails(&[id, "0:9000"], &["test is over"]);
    wharf.finish();
}

/// Alice's service, and a forward with her own token over TLS.
fn of_alice(wharf: &Wharf) -> (Service, Forward, String) {
    let (_, token) = wharf.new_user("alice");
    let service = wharf.launch(&Launch { token: Some(token.clone()), ..echo() });
    let environment = [
        ("ARVADOS_API_HOST", wharf.api_host()),
        ("ARVADOS_API_TOKEN", token.clone()),
        ("SSL_CERT_FILE", wharf.data().join("ca.pem").to_string_lossy().into_owned()),
    ];
    let forward = Forward::start_as(wharf, &[&service.request, "0:9000"], &environment);
    (service, forward, token)
}

#[test]
fn over_tls_too_and_withdrawn_access_ends_it_within_a_second() {
    let wharf = Wharf::start();
    let (_service, forward, token) = of_alice(&wharf);
    let bytes: Vec<u8> = pattern::block(3).repeat(64);
    assert!(exchange(forward.connect(0), &bytes) == bytes, "whole and with half-close");
    let mut open = forward.connect(0);
    open.write_all(b"x").expect("sent");
    assert_eq!(open.read(&mut [0]).expect("back"), 1);
    let uuid = token.split('/').nth(1).expect("a token of form v2").to_owned();
    let path = format!("/arvados/v1/api_client_authorizations/{uuid}");
    let _deleted = wharf.api("DELETE", &path, None).expect(200);
    let since = Instant::now();
    let ended = open.read(&mut [0]);
    assert!(!matches!(ended, Ok(1)), "{ended:?}");
    assert!(since.elapsed() < Duration::from_secs(1), "{:?}", since.elapsed());
    // The next one is not let in, and the command says why.
    let ended = forward.connect(0).read(&mut [0]);
    assert!(!matches!(ended, Ok(1)), "{ended:?}");
    wait_for("the reason", BOUND, || forward.errors().contains("private"));
    drop(forward);
    wharf.finish();
}

#[test]
fn the_end_of_the_service_ends_the_command() {
    let wharf = Wharf::start();
    let service = wharf.launch(&echo());
    let mut forward = Forward::start(&wharf, &[&service.request, "0:9000"]);
    let mut open = forward.connect(0);
    service.cancel(&wharf);
    let ended = open.read(&mut [0]);
    assert!(!matches!(ended, Ok(1)), "{ended:?}");
    assert_eq!(forward.wait(), Some(1));
    assert!(forward.errors().contains("test is over"), "{}", forward.errors());
    wharf.finish();
}

/// An empty cluster that trusts whoever reaches it: that is the gate's business here.
const POSTGRESQL: &str =
    "initdb -D data -A trust -E UTF8 --locale=C --no-sync && exec postgres -D data -k /tmp";

#[test]
fn psql_talks_to_a_postgresql_in_a_container() {
    let wharf = Wharf::start();
    wharf.import("postgresql.docker.tar");
    let service = wharf.launch(&Launch {
        image: "postgresql:latest".to_owned(),
        command: ["sh", "-c", POSTGRESQL].map(str::to_owned).to_vec(),
        ports: vec![(5432, "private", "PostgreSQL")],
        more: json!({"cwd": "/home/user"}),
        token: None,
    });
    let forward = Forward::start(&wharf, &[&service.request, "0:5432"]);
    let psql = |script: &str| {
        let mut command = Command::new("psql");
        command.args([
            "--no-psqlrc",
            "--quiet",
            "--tuples-only",
            "--no-align",
            "-v",
            "ON_ERROR_STOP=1",
        ]);
        let port = forward.port(0).to_string();
        command.args([
            "-h",
            "localhost",
            "-p",
            &port,
            "-U",
            "user",
            "-d",
            "postgres",
            "-c",
            script,
        ]);
        let output = command.output().expect("psql runs");
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{script}: {errors}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    assert!(psql("SHOW server_version").starts_with("15."));
    psql("CREATE TABLE t AS SELECT n, md5(n::text) AS m FROM generate_series(1, 200000) AS n");
    assert_eq!(psql("SELECT count(*), count(DISTINCT m) FROM t"), "200000|200000");
    // Some MiB of rows in one answer, and back in one COPY.
    let dump = psql("COPY t TO STDOUT");
    assert_eq!(dump.lines().count(), 200_000);
    let copied = {
        let mut command = Command::new("psql");
        let port = forward.port(0).to_string();
        command.args(["--no-psqlrc", "-h", "::1", "-p", &port, "-U", "user", "-d", "postgres"]);
        command.args([
            "-v",
            "ON_ERROR_STOP=1",
            "-c",
            "CREATE TABLE u (LIKE t)",
            "-c",
            "COPY u FROM STDIN",
        ]);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("psql runs");
        child.stdin.take().expect("a pipe").write_all(dump.as_bytes()).expect("psql reads");
        child.wait_with_output().expect("psql ends")
    };
    assert!(copied.status.success(), "{copied:?}");
    assert_eq!(
        psql("SELECT count(*) FROM (SELECT * FROM t INTERSECT SELECT * FROM u) AS both_tables"),
        "200000"
    );
    drop(forward);
    wharf.finish();
}
