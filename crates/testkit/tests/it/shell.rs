//! Shells in containers: `wharf shell`, the socket behind it, who may, and what is noted.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::websocket::{self, POLICY_VIOLATION, tungstenite};
use testkit::{BOUND, Launch, Service, Wharf, wait_for, wait_for_some};
use tungstenite::{Message, WebSocket};

const INPUT: u8 = 2;
const TAKEN: u8 = 6;
const OPENED: u8 = 64;
const OUTPUT: u8 = 65;
const ENDED: u8 = 68;
const REFUSED: u8 = 69;

/// A shell by its frames, as any client may speak them.
struct Shell(WebSocket<TcpStream>);

impl Shell {
    /// Asks for one; the status where the API does not let in.
    fn ask(wharf: &Wharf, target: &str, token: Option<&str>) -> Result<Self, u16> {
        let path = format!("/wharf/v1/containers/{target}/shell");
        let mut request = websocket::request(&wharf.api_host(), &path);
        if let Some(token) = token {
            let bearer = format!("Bearer {token}").parse().expect("a header");
            request.headers_mut().insert("Authorization", bearer);
        }
        match websocket::connect(wharf.port(), request) {
            Ok((socket, _)) => Ok(Self(socket)),
            Err(error) => match *error {
                tungstenite::Error::Http(answer) => Err(answer.status().as_u16()),
                other => panic!("{other}"),
            },
        }
    }

    /// With a terminal; what the answer says of the session.
    fn open(wharf: &Wharf, target: &str, token: &str, session: Option<&str>) -> (Self, Value) {
        let mut shell = Self::ask(wharf, target, Some(token)).expect("let in");
        let request = json!({
            "terminal": {"columns": 100, "rows": 40}, "term": "xterm", "session": session,
        });
        shell.send(1, request.to_string().as_bytes());
        let (kind, payload) = shell.next().expect("an answer");
        assert_eq!(kind, OPENED, "{}", String::from_utf8_lossy(&payload));
        (shell, serde_json::from_slice(&payload).expect("JSON"))
    }

    fn send(&mut self, kind: u8, payload: &[u8]) {
        self.0.send(Message::Binary([&[kind], payload].concat().into())).expect("sent");
    }

    fn next(&mut self) -> Option<(u8, Vec<u8>)> {
        loop {
            match self.0.read() {
                Ok(Message::Binary(frame)) => return Some((frame[0], frame[1..].to_vec())),
                Ok(Message::Ping(_) | Message::Pong(_)) => {}
                Ok(_) | Err(_) => return None,
            }
        }
    }

    fn until(&mut self, text: &str) -> String {
        let mut seen = String::new();
        while !seen.contains(text) {
            let (kind, payload) =
                self.next().unwrap_or_else(|| panic!("{text} before the end: {seen}"));
            if kind == OUTPUT {
                seen.push_str(&String::from_utf8_lossy(&payload));
                let n = u32::try_from(payload.len()).expect("small");
                self.send(TAKEN, &n.to_be_bytes());
            }
        }
        seen
    }
}

/// What the log of records has of the shells of a container: event, user and how it ended.
fn entries(wharf: &Wharf, container: &str) -> Vec<(String, String, String)> {
    let filters = json!([["object_uuid", "=", container], ["event_type", "like", "shell_%"]]);
    let path = format!("/arvados/v1/logs?order=id&filters={}", percent(&filters.to_string()));
    let page = wharf.api("GET", &path, None).expect(200).json();
    let items = page["items"].as_array().expect("items");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    items
        .iter()
        .map(|item| {
            let how = text(&item["properties"]["how"]);
            (text(&item["event_type"]), text(&item["modified_by_user_uuid"]), how)
        })
        .collect()
}

fn percent(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

fn adas() -> (Wharf, Service, String, String) {
    let wharf = Wharf::start();
    let (uuid, token) = wharf.new_user("ada");
    let service = wharf.launch(&Launch { token: Some(token.clone()), ..Launch::default() });
    (wharf, service, uuid, token)
}

#[test]
fn scripts_get_output_errors_and_exit_code_apart_and_exact() {
    let wharf = Wharf::start();
    let service = wharf.app();
    let script = "printf 'a\\r\\n\\000b'; printf err >&2; exit 7";
    let done = wharf.cli(&["shell", &service.request, "--", "sh", "-c", script]).expect(7);
    assert_eq!((done.stdout.as_str(), done.stderr.as_str()), ("a\r\n\0b", "err"));
    let killed = wharf.cli(&["shell", &service.request, "--", "sh", "-c", "kill -9 $$"]);
    assert_eq!(killed.code, Some(137), "{}", killed.stderr);
    // A mebibyte in and out.
    let bytes: Vec<u8> =
        (0..1_u32 << 20).map(|n| n.to_le_bytes()[0] ^ n.to_le_bytes()[1]).collect();
    let mut child = wharf
        .command()
        .args(["shell", &service.request, "--", "cat"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("wharf runs");
    let mut stdin = child.stdin.take().expect("piped");
    let given = bytes.clone();
    let writer = std::thread::spawn(move || stdin.write_all(&given));
    let mut got = Vec::new();
    child.stdout.take().expect("piped").read_to_end(&mut got).expect("read");
    assert!(got == bytes, "{} bytes came back", got.len());
    assert!(child.wait().expect("waited").success());
    writer.join().expect("no panic").expect("written");
    let nowhere = wharf.cli(&["shell", &service.request, "--", "nope"]).expect(1);
    assert!(nowhere.stderr.contains("command `nope` not found"), "{}", nowhere.stderr);
    service.cancel(&wharf);
    let _over = service.wait_over(&wharf);
    let over = wharf.cli(&["shell", &service.request]).expect(1);
    assert!(over.stderr.contains("is over"), "{}", over.stderr);
    wharf.finish();
}

/// A pseudo-terminal of this test's, as a person's.
struct Desk {
    master: std::fs::File,
    slave: std::os::fd::OwnedFd,
}

impl Desk {
    fn new() -> Self {
        use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, openpt, unlockpt};
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let master = openpt(flags).expect("a terminal");
        unlockpt(&master).expect("unlocked");
        let slave = ioctl_tiocgptpeer(&master, flags).expect("its other end");
        Self { master: master.into(), slave }
    }

    fn resize(&self, columns: u16, rows: u16) {
        let size =
            rustix::termios::Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        rustix::termios::tcsetwinsize(&self.master, size).expect("resized");
    }

    fn is_raw(&self) -> bool {
        let now = rustix::termios::tcgetattr(&self.slave).expect("a terminal");
        !now.local_modes.contains(rustix::termios::LocalModes::ICANON)
    }

    fn spawn(&self, command: &mut Command) -> std::process::Child {
        let end = || Stdio::from(self.slave.try_clone().expect("a descriptor"));
        command.stdin(end()).stdout(end()).stderr(end()).spawn().expect("wharf runs")
    }

    fn until(&mut self, text: &str) -> String {
        let mut seen = String::new();
        let mut bytes = [0; 1024];
        let until = Instant::now() + BOUND;
        while !seen.contains(text) {
            let left = until.saturating_duration_since(Instant::now());
            assert!(self.has_output(left), "waited {BOUND:?} in vain for {text:?}: {seen:?}");
            let n = self.master.read(&mut bytes).expect("read");
            seen.push_str(&String::from_utf8_lossy(&bytes[..n]));
        }
        seen
    }

    fn has_output(&self, within: Duration) -> bool {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let within = Timespec::try_from(within).expect("short");
        let mut polled = [PollFd::new(&self.master, PollFlags::IN)];
        poll(&mut polled, Some(&within)).expect("polled") > 0
    }

    fn keys(&mut self, text: &str) {
        self.master.write_all(text.as_bytes()).expect("written");
    }
}

fn code_of(child: &mut std::process::Child) -> Option<i32> {
    let ended = || child.try_wait().expect("waited");
    wait_for_some("wharf shell to end", BOUND, ended).code()
}

#[test]
fn a_terminal_is_a_terminal_and_is_left_as_it_was() {
    let wharf = Wharf::start();
    let service = wharf.app();
    let mut desk = Desk::new();
    desk.resize(111, 33);
    let mut child = desk.spawn(wharf.command().args(["shell", &service.request]));
    desk.keys("tty; stty size; echo $((40+2)) ready\r");
    let said = desk.until("42 ready");
    assert!(said.contains("/dev/pts/") && said.contains("33 111"), "{said}");
    assert!(desk.is_raw());
    desk.resize(99, 22);
    rustix::process::kill_process(
        rustix::process::Pid::from_child(&child),
        rustix::process::Signal::WINCH,
    )
    .expect("sent");
    // The word of the new size may be behind what is typed.
    wait_for("the new size", BOUND, || {
        desk.keys("stty size; echo $((40+3)) again\r");
        desk.until("43 again").contains("22 99")
    });
    // Endless output does not hold Ctrl-C up.
    desk.keys("yes\r");
    desk.until("y\r\ny\r\ny\r\n");
    let begun = Instant::now();
    desk.keys("\x03echo $((40+4)) stopped\r");
    desk.until("44 stopped");
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    desk.keys("exit 5\r");
    assert_eq!(code_of(&mut child), Some(5));
    assert!(!desk.is_raw());
    // Left behind and gone on with.
    let mut child = desk.spawn(wharf.command().args(["shell", &service.request]));
    desk.keys("A=kept; echo $((40+5)) here\r");
    desk.until("45 here");
    desk.keys("~d");
    let said = desk.until("goes on with it.");
    assert_eq!(code_of(&mut child), Some(0));
    assert!(!desk.is_raw());
    let session = said.split("--session ").nth(1).expect("its name").split('`').next();
    let session = session.expect("its name").to_owned();
    let mut child =
        desk.spawn(wharf.command().args(["shell", &service.request, "--session", &session]));
    desk.keys("echo $A indeed\r");
    desk.until("kept indeed");
    desk.keys("\r~.");
    assert_eq!(code_of(&mut child), Some(129));
    assert!(!desk.is_raw());
    wharf.finish();
}

#[test]
fn only_the_submitter_and_administrators_get_one_and_it_is_noted() {
    let (wharf, service, ada, token) = adas();
    let (bob, bobs) = wharf.new_user("bob");
    let ask = |token: Option<&str>, target: &str| Shell::ask(&wharf, target, token).err();
    assert_eq!(ask(None, &service.container), Some(401));
    assert_eq!(ask(Some(&bobs), &service.container), Some(404));
    let share = json!({"link": {
        "link_class": "permission", "name": "can_manage", "tail_uuid": bob, "head_uuid": service.request,
    }});
    let _link = wharf.api_as(&token, "POST", "/arvados/v1/links", Some(&share)).expect(200);
    assert_eq!(ask(Some(&bobs), &service.request), Some(403));
    let scoped = wharf.new_token(&ada, &json!({"scopes": ["GET /wharf/", "POST /wharf/"]}));
    assert_eq!(ask(Some(&scoped), &service.container), Some(403));
    assert!(entries(&wharf, &service.container).is_empty());
    // Whoever may, is in; the request's name leads there as well.
    for token in [token.as_str(), wharf.token()] {
        let (mut shell, _) = Shell::open(&wharf, &service.request, token, None);
        shell.send(INPUT, b"exit 3\n");
        let end = loop {
            let (kind, payload) = shell.next().expect("an end");
            if kind == ENDED {
                break payload;
            }
        };
        assert_eq!(end, br#"{"code":3}"#);
    }
    let noted = wait_for_some("the entries", BOUND, || {
        Some(entries(&wharf, &service.container)).filter(|found| found.len() == 4)
    });
    assert_eq!((noted[0].0.as_str(), noted[0].1.as_str()), ("shell_start", ada.as_str()));
    assert_eq!((noted[1].0.as_str(), noted[1].2.as_str()), ("shell_end", "exit code 3"));
    service.cancel(&wharf);
    let _over = service.wait_over(&wharf);
    assert_eq!(ask(Some(&token), &service.container), Some(422));
    wharf.finish();
}

#[test]
fn a_programs_own_token_opens_none() {
    let wharf = Wharf::start();
    let constraints = json!({"vcpus": 1, "ram": 268_435_456, "API": true});
    let more = json!({"runtime_constraints": constraints});
    let service = wharf.launch(&Launch { more, ..Launch::default() });
    let token = service.shell("printf %s $ARVADOS_API_TOKEN");
    assert!(token.ends_with(&service.container), "a token of its own");
    assert_eq!(Shell::ask(&wharf, &service.container, Some(&token)).err(), Some(403));
    wharf.finish();
}

#[test]
fn t37_a_shell_ends_when_access_is_withdrawn() {
    let (wharf, service, ada, _token) = adas();
    let second = wharf.new_token(&ada, &json!({}));
    let (mut shell, _) = Shell::open(&wharf, &service.container, &second, None);
    // Told from within what is to stay: the shell itself ends where it finds its terminal gone before.
    shell.send(INPUT, b"trap '' HUP; sh -c 'echo $((40+2)) here; exec sleep 1000'\n");
    shell.until("42 here");
    let uuid = second.split('/').nth(1).expect("a v2 token has a uuid");
    let path = format!("/arvados/v1/api_client_authorizations/{uuid}");
    let _deleted = wharf.api("DELETE", &path, None).expect(200);
    let begun = Instant::now();
    assert_eq!(websocket::read_end(&mut shell.0), Some(POLICY_VIOLATION));
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    // What was in the container is gone as well, though it would not go by itself.
    let how = wait_for_some("its end", BOUND, || {
        entries(&wharf, &service.container).into_iter().find(|it| it.0 == "shell_end")
    });
    assert_eq!(how.2, "access was withdrawn, signal 9");
    wharf.finish();
}

#[test]
fn a_session_survives_its_controller() {
    let mut wharf = Wharf::start();
    let service = wharf.app();
    let token = wharf.token().to_owned();
    let (mut shell, opened) = Shell::open(&wharf, &service.container, &token, None);
    shell.send(INPUT, b"A=kept; echo $((40+2)) before\n");
    shell.until("42 before");
    wharf.kill_controller();
    wharf.restart_controller();
    let session = opened["session"].as_str().expect("a name").to_owned();
    let (mut shell, again) = wait_for_some("the supervisor's tunnel", BOUND, || {
        let mut shell = Shell::ask(&wharf, &service.container, Some(&token)).ok()?;
        let request = json!({"terminal": {"columns": 100, "rows": 40}, "session": session});
        shell.send(1, request.to_string().as_bytes());
        match shell.next()? {
            (OPENED, payload) => Some((shell, serde_json::from_slice::<Value>(&payload).ok()?)),
            (REFUSED, _) => None,
            other => panic!("{other:?}"),
        }
    });
    assert_eq!((again["resumed"].as_bool(), &again["session"]), (Some(true), &opened["session"]));
    shell.until("42 before");
    shell.send(INPUT, b"echo $A $((40+3))\n");
    shell.until("kept 43");
    // And ends with the container.
    service.cancel(&wharf);
    let _over = service.wait_over(&wharf);
    loop {
        match shell.next() {
            Some((ENDED, _)) | None => break,
            Some(_) => {}
        }
    }
    wharf.finish();
}

#[test]
fn a_site_may_do_without_shells() {
    let wharf = Wharf::start_configured("Terminals: {Enabled: false}\n");
    let service = wharf.app();
    let refused = wharf.cli(&["shell", &service.request]).expect(1);
    assert!(refused.stderr.contains("Terminals.Enabled"), "{}", refused.stderr);
    let page = wharf.api("GET", "/wharf/v1/status", None).expect(200);
    drop(page);
    wharf.finish();
}

#[test]
fn so_many_shells_and_no_more() {
    let wharf = Wharf::start_configured("Terminals: {MaxPerContainer: 1, MaxPerUser: 2}\n");
    let service = wharf.app();
    let (_first, _) = Shell::open(&wharf, &service.container, wharf.token(), None);
    let mut second = Shell::ask(&wharf, &service.container, Some(wharf.token())).expect("let in");
    second.send(1, b"{}");
    let (kind, payload) = second.next().expect("an answer");
    let words = String::from_utf8_lossy(&payload).into_owned();
    assert!(kind == REFUSED && words.contains("Terminals.MaxPerContainer"), "{words}");
    wharf.finish();
}
