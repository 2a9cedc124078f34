//! While the records cannot be read (T38).

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use testkit::websocket::tungstenite::Message;
use testkit::{Launch, Wharf, wait_for};

/// `Proxy.GrantMaxAge` of the test.
const GRANT_AGE_MAX: Duration = Duration::from_secs(1);

/// Another process holds all places of readers and writers in the database's index (bytes 120 to 127 of wharf.db-shm,
/// "WAL-mode file format" of SQLite): nobody can read or write until it is dropped.
struct Cut(Child);

const HOLD: &str = "import fcntl, sys
index = open(sys.argv[1], 'r+b')
fcntl.lockf(index, fcntl.LOCK_EX, 8, 120)
print('cut', flush=True)
sys.stdin.read()
";

impl Cut {
    fn begin(wharf: &Wharf) -> Self {
        let mut command = Command::new("python3");
        command.args(["-c", HOLD]).arg(wharf.data().join("wharf.db-shm"));
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("python3");
        let mut said = String::new();
        let out = child.stdout.take().expect("a pipe");
        BufReader::new(out).read_line(&mut said).expect("a word");
        assert_eq!(said, "cut\n");
        Self(child)
    }
}

impl Drop for Cut {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _status = self.0.wait();
    }
}

#[test]
fn t38_while_the_records_are_out_of_reach_nobody_is_let_in_and_who_is_in_stays() {
    let wharf = Wharf::start_configured("Proxy: {GrantMaxAge: 1s}\n");
    let service = wharf.app();
    let public = wharf.launch(&Launch::default().public());
    let cookie = service.sign_in();
    let ask = || service.bare("GET", "/x").header("Cookie", &cookie).send();
    let mut socket = service.websocket("/ws");
    let mut echo = |word: &str| {
        socket.send(Message::text(word)).expect("sent");
        assert_eq!(socket.read().expect("echoed"), Message::text(word));
    };
    echo("before");
    let _warm = ask().expect(200);

    let cut = Cut::begin(&wharf);
    let begin = Instant::now();
    wait_for("a decision in memory to be too old", testkit::BOUND, || {
        let asked_at = begin.elapsed();
        let status = ask().status();
        // Half a second is the feed's own period: so much older may be what it heard last.
        assert!(
            status == 503 || asked_at < GRANT_AGE_MAX + Duration::from_millis(500),
            "{asked_at:?}"
        );
        status == 503
    });
    echo("meanwhile");
    // Public ports rest on records as much.
    let refused = public.bare("GET", "/").send().expect(503);
    assert!(refused.header("Retry-After").is_some());
    assert!(refused.text().contains("records"), "{}", refused.text());
    echo("still");

    drop(cut);
    wait_for("the records to be read again", testkit::BOUND, || ask().status() == 200);
    let _public = public.bare("GET", "/").send().expect(200);
    echo("after");
    wharf.finish();
}
