//! An S3 server that is not ours, on loopback: rclone's, over a directory whose files are its objects.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime};

use tempfile::TempDir;

/// Who may use it.
pub const ACCESS_KEY_ID: &str = "tests";
/// What proves it.
pub const SECRET_ACCESS_KEY: &str = "a secret of tests";
/// The one bucket.
pub const BUCKET: &str = "blocks";

/// How long the server may take to start.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// Ends, and its objects go, when it is dropped.
#[derive(Debug)]
pub struct S3Server {
    child: Option<Child>,
    port: u16,
    dir: TempDir,
}

/// Where `cargo xtask setup` puts it; else on the path.
fn program() -> PathBuf {
    let own = std::env::current_exe().expect("a test knows its own executable");
    let installed = own.ancestors().map(|folder| folder.join("test-programs/bin/rclone"));
    installed.filter(|path| path.is_file()).last().unwrap_or_else(|| "rclone".into())
}

impl S3Server {
    /// With an empty bucket.
    ///
    /// # Panics
    /// Where rclone is not there or does not start.
    #[must_use]
    pub fn start() -> Self {
        let dir = TempDir::with_prefix("wharf-s3-").expect("a temporary folder");
        fs::create_dir_all(dir.path().join(BUCKET)).expect("a folder in it");
        let free = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
        let mut server = Self { child: None, port: free.expect("a free port").port(), dir };
        server.start_again();
        server
    }

    /// On the same port, with the same objects.
    ///
    /// # Panics
    /// Where it does not start.
    pub fn start_again(&mut self) {
        let mut child = Command::new(program())
            .args(["serve", "s3", "--addr", &format!("127.0.0.1:{}", self.port)])
            .args(["--auth-key", &format!("{ACCESS_KEY_ID},{SECRET_ACCESS_KEY}")])
            // Tests look at and change its files.
            .args(["--vfs-cache-mode", "off", "--dir-cache-time", "5ms", "--poll-interval", "0"])
            .args(["--config", "/dev/null", "--log-level", "INFO"])
            .arg(self.dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("rclone is installed by `cargo xtask setup`");
        let (sender, started) = std::sync::mpsc::channel();
        let lines = BufReader::new(child.stderr.take().expect("a piped output")).lines();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if line.contains("Starting s3 server") {
                    let _only_the_first_is_waited_for = sender.send(());
                }
            }
        });
        self.child = Some(child);
        started.recv_timeout(START_TIMEOUT).expect("rclone says that it serves");
    }

    /// As the kernel would end it: nothing is flushed.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _gone = child.kill().and_then(|()| child.wait());
        }
    }

    /// Where it is.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The file that is an object: below `top`, which is empty for blocks, `trash` or `recent`, under
    /// the first three digits of a block's hash.
    #[must_use]
    pub fn object(&self, top: &str, hash: &str) -> PathBuf {
        self.bucket().join(top).join(&hash[..3]).join(hash)
    }

    /// The directory that is the bucket.
    #[must_use]
    pub fn bucket(&self) -> PathBuf {
        self.dir.path().join(BUCKET)
    }

    /// Objects that are there, unfinished ones too.
    #[must_use]
    pub fn n_objects(&self) -> usize {
        n_files(&self.bucket())
    }

    /// Makes an object look as if it had been written so long ago.
    ///
    /// # Panics
    /// Where there is none.
    pub fn age(&self, top: &str, hash: &str, by: Duration) {
        let file = fs::File::options().write(true).open(self.object(top, hash)).expect("an object");
        file.set_modified(SystemTime::now() - by).expect("the time of a file can be set");
    }
}

fn n_files(directory: &Path) -> usize {
    let Ok(entries) = fs::read_dir(directory) else { return 0 };
    let below = |entry: fs::DirEntry| match entry.path() {
        path if path.is_dir() => n_files(&path),
        _ => 1,
    };
    entries.flatten().map(below).sum()
}

impl Drop for S3Server {
    fn drop(&mut self) {
        self.kill();
    }
}
