//! Shells in a container, from the controller's end of the tunnel.

use std::time::{Duration, Instant};

use lifecycle::wait_until;
use model::UserUuid;
use model::shell::{
    self, FromShell, OUTPUT_WINDOW_BYTES, ShellBegin, ShellEnd, ShellRefused, ShellRequest,
    TerminalSize, ToShell,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;
use tunnel::{Stream, StreamKind};

use crate::harness::{Controller, Launched, SOON, Test, run};

pub(crate) const TESTS: &[Test] = &[
    ("a_command_has_pipes_and_an_exit_code", a_command_has_pipes_and_an_exit_code),
    ("endless_output_waits_and_is_interrupted", endless_output_waits_and_is_interrupted),
    ("a_session_goes_on_for_its_user", a_session_goes_on_for_its_user),
    ("a_session_that_nobody_comes_back_to_ends", a_session_that_nobody_comes_back_to_ends),
    ("a_command_without_terminal_ends_with_its_client", a_command_without_terminal_ends),
    ("there_are_so_many_sessions_and_no_more", there_are_so_many_sessions_and_no_more),
    ("what_is_no_frame_ends_the_client", what_is_no_frame_ends_the_client),
];

const SIZE: TerminalSize = TerminalSize { columns: 90, rows: 30 };

struct Client {
    stream: Stream,
    inbox: Vec<u8>,
}

fn begin(command: &[&str], terminal: Option<TerminalSize>) -> ShellBegin {
    let request = ShellRequest {
        command: command.iter().map(|&word| word.to_owned()).collect(),
        terminal,
        ..ShellRequest::default()
    };
    ShellBegin { request, user: user(1), sessions_max: 4, keep_ms: 60_000 }
}

fn user(n: u8) -> UserUuid {
    UserUuid::parse(&format!("wharf-tpzed-{n:015}")).unwrap()
}

async fn launched() -> (Launched, Controller) {
    let mut launched = Launched::prepare(&["sleep", "1000"]);
    let mut controller = launched.connected().await;
    controller.until(|state| state.phase == model::Phase::Running).await;
    (launched, controller)
}

impl Client {
    async fn open(controller: &Controller, begin: ShellBegin) -> Self {
        let stream = controller.tunnel.open(StreamKind::Shell).await.unwrap();
        let mut client = Self { stream, inbox: Vec::new() };
        client.send(&ToShell::Begin(Box::new(begin))).await;
        client
    }

    /// The name of its session.
    async fn opened(&mut self) -> String {
        match self.next().await {
            FromShell::Opened(opened) => opened.session,
            other => panic!("{other:?}"),
        }
    }

    async fn refused(&mut self) -> ShellRefused {
        loop {
            match self.next().await {
                FromShell::Refused(refusal) => return refusal.reason,
                FromShell::Output(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    async fn send(&mut self, frame: &ToShell) {
        self.stream.write_all(&shell::with_length(&frame.encode())).await.unwrap();
    }

    async fn input(&mut self, text: &str) {
        self.send(&ToShell::Input(text.as_bytes().to_vec())).await;
    }

    async fn try_next(&mut self) -> Option<FromShell> {
        loop {
            if let Some(frame) = shell::take_frame(&mut self.inbox).unwrap() {
                return Some(FromShell::decode(&frame).unwrap());
            }
            let mut bytes = [0; 4096];
            match self.stream.read(&mut bytes).await {
                Ok(n) if n > 0 => self.inbox.extend_from_slice(&bytes[..n]),
                _ => return None,
            }
        }
    }

    async fn next(&mut self) -> FromShell {
        timeout(SOON, self.try_next()).await.expect("in time").expect("a frame")
    }

    /// Takes output until a text is in it.
    async fn until(&mut self, text: &str) -> String {
        let mut seen = String::new();
        while !seen.contains(text) {
            if let FromShell::Output(bytes) = self.next().await {
                self.send(&ToShell::Taken(u32::try_from(bytes.len()).unwrap())).await;
                seen.push_str(&String::from_utf8_lossy(&bytes));
            }
        }
        seen
    }

    /// Takes everything to the end: output, errors, and how it ended.
    async fn rest(&mut self) -> (String, String, ShellEnd) {
        let (mut output, mut errors) = (Vec::new(), Vec::new());
        loop {
            let n = match self.next().await {
                FromShell::Output(bytes) => {
                    output.extend_from_slice(&bytes);
                    bytes.len()
                }
                FromShell::ErrorOutput(bytes) => {
                    errors.extend_from_slice(&bytes);
                    bytes.len()
                }
                FromShell::Ended(end) => {
                    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                    return (text(&output), text(&errors), end);
                }
                _ => continue,
            };
            // After its last words the supervisor hears nothing more.
            let taken = ToShell::Taken(u32::try_from(n).unwrap()).encode();
            let _late = self.stream.write_all(&shell::with_length(&taken)).await;
        }
    }
}

fn a_command_has_pipes_and_an_exit_code() {
    run(async {
        let (launched, controller) = launched().await;
        let script = "echo out; echo err >&2; cat; exit 7";
        let mut client = Client::open(&controller, begin(&["sh", "-c", script], None)).await;
        client.opened().await;
        // More than the window goes in piece by piece.
        let mut room = shell::INPUT_WINDOW_BYTES;
        let piece = vec![b'x'; 16 << 10];
        for _ in 0..20 {
            while usize::try_from(room).unwrap() < piece.len() {
                match client.next().await {
                    FromShell::Taken(n) => room += n,
                    FromShell::Output(bytes) | FromShell::ErrorOutput(bytes) => {
                        let n = u32::try_from(bytes.len()).unwrap();
                        client.send(&ToShell::Taken(n)).await;
                    }
                    other => panic!("{other:?}"),
                }
            }
            client.send(&ToShell::Input(piece.clone())).await;
            room -= u32::try_from(piece.len()).unwrap();
        }
        client.send(&ToShell::InputEnd).await;
        let (_, _, end) = client.rest().await;
        assert_eq!(end, ShellEnd::Code(7));
        let mut client = Client::open(&controller, begin(&["sh", "-c", script], None)).await;
        client.opened().await;
        client.input("typed").await;
        client.send(&ToShell::InputEnd).await;
        let (output, errors, end) = client.rest().await;
        assert_eq!((output.as_str(), errors.as_str()), ("out\ntyped", "err\n"));
        assert_eq!(end, ShellEnd::Code(7));
        let words = launched.log("crunch-run.txt");
        assert!(words.contains("a command of wharf-tpzed-000000000000001 began: sh"), "{words}");
        let noted = || launched.log("crunch-run.txt").contains("ended: exit code 7");
        wait_until("the note of its end", SOON, noted).await.unwrap();
    });
}

fn endless_output_waits_and_is_interrupted() {
    run(async {
        let (_launched, controller) = launched().await;
        let mut client = Client::open(&controller, begin(&[], Some(SIZE))).await;
        client.opened().await;
        client.input("stty size; yes\n").await;
        client.until("30 90").await;
        // Nothing is said to be taken: no more than a window comes.
        let mut n = 0;
        while let Ok(Some(frame)) = timeout(Duration::from_millis(500), client.try_next()).await {
            if let FromShell::Output(bytes) = frame {
                n += bytes.len();
            }
        }
        let window = usize::try_from(OUTPUT_WINDOW_BYTES).unwrap();
        assert!(n <= window && n > window / 2, "{n}");
        let begun = Instant::now();
        client.send(&ToShell::Taken(u32::try_from(n).unwrap())).await;
        client.input("\x03").await;
        client.input("echo $((6*7)) again\n").await;
        client.until("42 again").await;
        assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
        client.send(&ToShell::Resize(TerminalSize { columns: 70, rows: 20 })).await;
        client.input("stty size\n").await;
        client.until("20 70").await;
        client.input("exit 5\n").await;
        assert_eq!(client.rest().await.2, ShellEnd::Code(5));
    });
}

fn a_session_goes_on_for_its_user() {
    run(async {
        let (_launched, controller) = launched().await;
        let mut client = Client::open(&controller, begin(&[], Some(SIZE))).await;
        let session = client.opened().await;
        client.input("A=remembered; echo first\n").await;
        client.until("first\r\n").await;
        drop(client);
        let again = |n: u8| {
            let mut begin = begin(&[], Some(SIZE));
            begin.request.session = Some(session.clone());
            begin.user = user(n);
            begin
        };
        let mut stranger = Client::open(&controller, again(2)).await;
        assert_eq!(stranger.refused().await, ShellRefused::NoSession);
        let mut client = Client::open(&controller, again(1)).await;
        assert_eq!(client.opened().await, session);
        client.until("first\r\n").await;
        client.input("echo $A\n").await;
        client.until("\nremembered").await;
        // A second window takes it over.
        let mut second = Client::open(&controller, again(1)).await;
        second.opened().await;
        assert_eq!(client.refused().await, ShellRefused::TakenOver);
        second.send(&ToShell::End).await;
        assert_eq!(second.rest().await.2, ShellEnd::Signal(1));
        let mut late = Client::open(&controller, again(1)).await;
        assert_eq!(late.refused().await, ShellRefused::NoSession);
    });
}

fn a_session_that_nobody_comes_back_to_ends() {
    run(async {
        let (launched, controller) = launched().await;
        let mut begun = begin(&["sh", "-c", "trap '' HUP; sleep 1000"], Some(SIZE));
        begun.keep_ms = 100;
        let mut client = Client::open(&controller, begun).await;
        client.opened().await;
        client.send(&ToShell::Detach).await;
        // Its controller stays, and hears of the end: SIGHUP was not enough.
        assert_eq!(client.rest().await.2, ShellEnd::Signal(9));
        let words = launched.log("crunch-run.txt");
        assert!(words.contains("began: sh"), "{words}");
    });
}

fn a_command_without_terminal_ends() {
    run(async {
        let (launched, controller) = launched().await;
        let script = "echo here; sleep 1000";
        let mut client = Client::open(&controller, begin(&["sh", "-c", script], None)).await;
        client.opened().await;
        client.until("here").await;
        drop(client);
        let words = "ended: its client is gone, signal 1";
        let noted = || launched.log("crunch-run.txt").contains(words);
        wait_until("the note of its end", SOON, noted).await.unwrap();
    });
}

fn there_are_so_many_sessions_and_no_more() {
    run(async {
        let (_launched, mut controller) = launched().await;
        let mut open = Vec::new();
        for _ in 0..4 {
            let mut client = Client::open(&controller, begin(&["sleep", "1000"], None)).await;
            client.opened().await;
            open.push(client);
        }
        let mut more = Client::open(&controller, begin(&[], None)).await;
        assert_eq!(more.refused().await, ShellRefused::TooMany);
        let mut one = open.pop().unwrap();
        one.send(&ToShell::Signal(15)).await;
        assert_eq!(one.rest().await.2, ShellEnd::Signal(15));
        let mut more = Client::open(&controller, begin(&["nope"], None)).await;
        assert_eq!(more.refused().await, ShellRefused::CannotRun);
        // The others end with the container.
        controller.send(model::ToSupervisor::Stop { grace_ms: 0 }).await;
        assert!(matches!(open[0].rest().await.2, ShellEnd::Signal(_)));
        controller.end().await;
    });
}

fn what_is_no_frame_ends_the_client() {
    run(async {
        let (_launched, controller) = launched().await;
        let mut client = Client::open(&controller, begin(&["cat"], None)).await;
        client.opened().await;
        client.stream.write_all(&[255; 8]).await.unwrap();
        while let Some(frame) = timeout(SOON, client.try_next()).await.expect("it ends") {
            assert!(!matches!(frame, FromShell::Output(_)), "{frame:?}");
        }
        let mut client = Client::open(&controller, begin(&["cat"], None)).await;
        client.opened().await;
        // More than the window.
        for _ in 0..8 {
            let frame = ToShell::Input(vec![b'x'; 60 << 10]);
            if client.stream.write_all(&shell::with_length(&frame.encode())).await.is_err() {
                break;
            }
        }
        while timeout(SOON, client.try_next()).await.expect("it ends").is_some() {}
    });
}
