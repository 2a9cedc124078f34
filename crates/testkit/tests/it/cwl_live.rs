//! `wharf cwl run` on a terminal: one block that is drawn in its place, and nothing of it where there is no terminal.

use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use rustix::pty::OpenptFlags;
use testkit::{BOUND, Wharf, images, wait_for};

const COLUMNS: u16 = 60;
const ROWS: u16 = 12;

/// What a terminal of this size shows: as much of one as is needed to see that lines are drawn over.
#[derive(Default)]
struct Screen {
    rows: Vec<Vec<char>>,
    row: usize,
    column: usize,
    raw: Vec<u8>,
    /// Lines that were wider than the terminal, and went on in the next one.
    overlong: usize,
}

impl Screen {
    fn take(&mut self, bytes: &[u8]) {
        self.raw.extend_from_slice(bytes);
        // From the beginning, so that no sequence is cut: little is written.
        let text = String::from_utf8_lossy(&self.raw).into_owned();
        let raw = std::mem::take(&mut self.raw);
        *self = Self { raw, ..Self::default() };
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '\r' => self.column = 0,
                '\n' => (self.row, self.column) = (self.row + 1, 0),
                '\x1b' => match chars.next() {
                    Some('[') => {
                        let mut number = String::new();
                        while let Some(digit) = chars.next_if(|c| c.is_ascii_digit() || *c == ';') {
                            number.push(digit);
                        }
                        self.control(chars.next(), number.parse().unwrap_or(0));
                    }
                    // An address: up to its end.
                    Some(']') => while chars.next().is_some_and(|c| c != '\\') {},
                    _ => {}
                },
                c => self.put(c),
            }
        }
    }

    fn control(&mut self, letter: Option<char>, number: usize) {
        match letter {
            Some('A') => self.row = self.row.checked_sub(number).expect("not above the top"),
            Some('J') => {
                self.rows.truncate(self.row + 1);
                if let Some(row) = self.rows.get_mut(self.row) {
                    row.truncate(self.column);
                }
            }
            Some('m') => {}
            other => panic!("an unknown sequence: {other:?}"),
        }
    }

    fn put(&mut self, c: char) {
        if self.column == usize::from(COLUMNS) {
            self.overlong += 1;
            (self.row, self.column) = (self.row + 1, 0);
        }
        while self.rows.len() <= self.row {
            self.rows.push(Vec::new());
        }
        let row = &mut self.rows[self.row];
        while row.len() <= self.column {
            row.push(' ');
        }
        row[self.column] = c;
        self.column += 1;
    }

    fn lines(&self) -> Vec<String> {
        let lines = self.rows.iter().map(|row| row.iter().collect::<String>());
        lines.map(|line| line.trim_end().to_owned()).collect()
    }
}

/// A command whose standard error is a terminal.
struct OnTerminal {
    child: Child,
    screen: Arc<Mutex<Screen>>,
    reader: std::thread::JoinHandle<()>,
}

impl OnTerminal {
    fn start(mut command: Command) -> Self {
        let master = rustix::pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a pty");
        rustix::pty::grantpt(&master).expect("a pty");
        rustix::pty::unlockpt(&master).expect("a pty");
        let name = rustix::pty::ptsname(&master, Vec::new()).expect("its name");
        let slave = std::fs::File::options()
            .read(true)
            .write(true)
            .open(name.to_str().expect("a path"))
            .expect("its other end");
        let size =
            rustix::termios::Winsize { ws_row: ROWS, ws_col: COLUMNS, ws_xpixel: 0, ws_ypixel: 0 };
        rustix::termios::tcsetwinsize(&slave, size).expect("its size");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(OwnedFd::from(slave));
        let child = command.spawn().expect("wharf runs");
        // Its copy of the other end, which would keep the terminal open.
        drop(command);
        let screen = Arc::<Mutex<Screen>>::default();
        let shown = Arc::clone(&screen);
        let reader = std::thread::spawn(move || {
            let mut master = std::fs::File::from(master);
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = master.read(&mut buffer) {
                shown.lock().expect("the screen").take(&buffer[..length]);
            }
        });
        Self { child, screen, reader }
    }

    fn lines(&self) -> Vec<String> {
        self.screen.lock().expect("the screen").lines()
    }

    fn wait_for_line(&self, what: &str, fits: impl Fn(&str) -> bool) {
        wait_for(what, BOUND, || self.lines().iter().any(|line| fits(line)));
    }

    /// Its exit code, what it printed, the screen at its end, and all bytes that were written to it.
    fn end(mut self) -> (Option<i32>, String, Vec<String>, String) {
        let mut printed = String::new();
        let stdout = self.child.stdout.as_mut().expect("a pipe");
        stdout.read_to_string(&mut printed).expect("text");
        let code = self.child.wait().expect("it ends").code();
        self.reader.join().expect("the terminal is read");
        let screen = self.screen.lock().expect("the screen");
        if screen.lines().iter().any(|line| line == "words of a program") {
            assert_eq!(screen.overlong, 0, "no line of the block wraps");
        }
        (code, printed, screen.lines(), String::from_utf8_lossy(&screen.raw).into_owned())
    }
}

fn write(folder: &Path, name: &str, text: &str) {
    std::fs::write(folder.join(name), text).expect("a file can be written");
}

/// `first` says something and runs until a file is there; `second` waits for it.
const WORKFLOW: &str = "cwlVersion: v1.2
class: Workflow
inputs: {mark: string}
outputs: {}
steps:
  first:
    run:
      class: CommandLineTool
      baseCommand: [sh, -c, 'echo words of a program >&2; n=0; while [ ! -e $0 ] && [ $n -lt 600 ]; do sleep 0.05; n=$((n+1)); done; echo more words >&2; touch o']
      inputs: {mark: {type: string, inputBinding: {}}}
      outputs: {o: {type: File, outputBinding: {glob: o}}}
    in: {mark: mark}
    out: [o]
  a-second-step-whose-name-is-long-enough-to-be-cut-off:
    run: {class: CommandLineTool, baseCommand: 'true', inputs: {o: File}, outputs: {}}
    in: {o: first/o}
    out: []
";

fn local(folder: &Path, flags: &[&str], environment: &[(&str, &str)]) -> Command {
    let mut command = Command::new(images::wharf_binary());
    let mark = folder.join("mark").to_string_lossy().into_owned();
    command
        .args(["cwl", "run", "--local"])
        .args(flags)
        .args(["all.cwl", "--mark", &mark])
        .current_dir(folder)
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("HOME", folder)
        .env("TERM", "xterm")
        .envs(environment.iter().copied());
    command
}

#[test]
fn a_terminal_has_one_block_that_is_drawn_in_its_place_and_wiped_at_the_end() {
    for (environment, has_color) in [(&[][..], true), (&[("NO_COLOR", "1")][..], false)] {
        let dir = tempfile::TempDir::with_prefix("wharf-cwl-test-").expect("a temporary folder");
        write(dir.path(), "all.cwl", WORKFLOW);
        let run = OnTerminal::start(local(dir.path(), &[], environment));
        run.wait_for_line("the first step to run", |line| line.starts_with("  running  first"));
        run.wait_for_line("what a program says", |line| line == "words of a program");
        let lines = run.lines();
        let at = |text: &str| lines.iter().position(|line| line.contains(text));
        let block = at("0 of 2 steps done, 1 running, 1 waiting").expect("a block");
        assert!(at("words of a program").expect("words") < block, "above the block: {lines:#?}");
        let waiting = &lines[at("  waits    a-second-step").expect("the other step")];
        assert_eq!(waiting.chars().count(), usize::from(COLUMNS) - 1, "it is cut: {waiting}");
        assert!(waiting.ends_with('…'), "{waiting}");
        write(dir.path(), "mark", "");
        let (code, printed, lines, raw) = run.end();
        assert_eq!((code, printed.trim()), (Some(0), "{}"), "{lines:#?}");
        let last = lines.last().expect("lines");
        assert!(last.starts_with("2 of 2 steps done"), "{lines:#?}");
        assert_eq!(lines[..lines.len() - 1], ["words of a program", "more words"]);
        assert_eq!(raw.contains("\x1b[36m"), has_color);
    }
}

#[test]
fn without_a_terminal_or_with_quiet_there_are_plain_lines_or_none() {
    let dir = tempfile::TempDir::with_prefix("wharf-cwl-test-").expect("a temporary folder");
    write(dir.path(), "all.cwl", &WORKFLOW.replace("echo words of a program >&2", ":"));
    write(dir.path(), "mark", "");
    for (flags, environment) in [(&["--quiet"][..], &[][..]), (&[][..], &[("TERM", "dumb")][..])] {
        let run = OnTerminal::start(local(dir.path(), flags, environment));
        let (code, _, _, raw) = run.end();
        assert!(code == Some(0) && !raw.contains('\x1b'), "{raw:?}");
    }
    let output = local(dir.path(), &[], &[]).output().expect("wharf runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && !said.contains('\x1b'), "{said}");
    assert!(said.contains("[all.cwl") || said.contains("sh -c"), "commands are told: {said}");
}

#[test]
fn a_service_that_is_ready_has_its_address_in_the_block_until_ctrl_c() {
    let wharf = Wharf::start();
    wharf.import("busybox.docker.tar");
    let dir = tempfile::TempDir::with_prefix("wharf-cwl-test-").expect("a temporary folder");
    let service = "cwlVersion: v1.2
class: CommandLineTool
$namespaces: {arv: 'http://arvados.org/cwl#'}
requirements: {DockerRequirement: {dockerPull: 'busybox:latest'}}
hints: {arv:PublishPorts: {publishPorts: {'8080': {serviceAccess: private, label: Moo}}}}
baseCommand: [sh, -c, 'exec httpd -f -p 8080 -h .']
inputs: {}
outputs: {}
";
    write(dir.path(), "moo.cwl", service);
    let mut command = wharf.command();
    command.args(["cwl", "run", "moo.cwl"]).current_dir(dir.path()).env("TERM", "xterm");
    let run = OnTerminal::start(command);
    run.wait_for_line("its address", |line| {
        line.starts_with("  running  moo.cwl") && line.contains("http://")
    });
    let status = Command::new("kill").args(["-INT", &run.child.id().to_string()]).status();
    assert!(status.expect("kill runs").success());
    let (code, printed, lines, raw) = run.end();
    assert_eq!((code, printed.trim()), (Some(0), "{}"), "{lines:#?}");
    assert!(!lines.iter().any(|line| line.starts_with("  running")), "wiped: {lines:#?}");
    let request = wharf.api("GET", "/arvados/v1/container_requests", None).expect(200).json();
    let uuid = request["items"][0]["uuid"].as_str().expect("a request").to_owned();
    // Whole where it leads, whatever of it is shown.
    let link = format!("\x1b]8;;http://{uuid}-8080.");
    assert!(raw.contains(&link), "{raw:?}");
    wharf.finish();
}
