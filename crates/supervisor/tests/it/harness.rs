//! The test list with the usual command line, a launched supervisor, and its controller.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::time::Duration;

use model::{ContainerEnd, ContainerPort, ContainerUuid, Phase, SuperviseSpec, SupervisorState};
use model::{MountPlan, ToController, ToSupervisor};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, WriteHalf};
use tokio::net::UnixListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tunnel::{Incoming, LaunchSecret, Limits, Role, Stream, StreamKind, Tunnel};

/// Nothing here takes a second; a machine that builds beside it may.
pub(crate) const SOON: Duration = Duration::from_secs(30);

pub(crate) type Test = (&'static str, fn());

/// `--list`, `--exact NAME`, `NAME-PART`: what cargo and nextest say.
pub(crate) fn main(args: &[String], tests: &[&[Test]]) -> ExitCode {
    let tests = tests.iter().flat_map(|part| part.iter());
    if args.iter().any(|arg| arg == "--list") {
        if !args.iter().any(|arg| arg == "--ignored") {
            tests.for_each(|(name, _)| println!("{name}: test"));
        }
        return ExitCode::SUCCESS;
    }
    let is_exact = args.iter().any(|arg| arg == "--exact");
    let wanted: Vec<&String> = args.iter().filter(|arg| !arg.starts_with("--")).collect();
    let is_wanted = |name: &str| {
        let fits = |it: &&String| if is_exact { *it == name } else { name.contains(it.as_str()) };
        wanted.is_empty() || wanted.iter().any(fits)
    };
    for (name, test) in tests.filter(|(name, _)| is_wanted(name)) {
        // Its output belongs to it: printed before, so that a hanging test can be named.
        print!("test {name} ... ");
        let _shown = std::io::stdout().flush();
        if std::panic::catch_unwind(test).is_err() {
            println!("FAILED");
            return ExitCode::FAILURE;
        }
        println!("ok");
    }
    ExitCode::SUCCESS
}

/// Runs a test's future on the kind of runtime that the controller has.
pub(crate) fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(SOON * 2, test).await.expect("in time") });
}

/// A container's directory, as the dispatcher prepares it, and its supervisor.
pub(crate) struct Launched {
    pub(crate) dir: PathBuf,
    pub(crate) spec: SuperviseSpec,
    child: Option<Child>,
    tunnels: PathBuf,
    secret: LaunchSecret,
    home: tempfile::TempDir,
}

impl Drop for Launched {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _dead = child.kill();
            let _reaped = child.wait();
            self.sweep();
        }
    }
}

impl Launched {
    /// A busybox container that runs this shell command; not started yet.
    pub(crate) fn prepare(command: &[&str]) -> Self {
        let home = tempfile::tempdir().unwrap();
        let layer = home.path().join("layer");
        busybox_layer(&layer);
        let secret = LaunchSecret::generate().unwrap();
        // One of its own: tests run side by side, and control groups go by it.
        let uuid = format!("wharf-dz642-{}", &secret.to_hex()[..15]);
        let uuid = ContainerUuid::parse(&uuid).unwrap();
        let dir = home.path().join(uuid.as_str());
        fs::create_dir_all(dir.join("log")).unwrap();
        fs::write(dir.join("secret"), secret.to_hex()).unwrap();
        // Longer than the address of a Unix socket may be.
        let run = home.path().join("deep".repeat(40));
        fs::create_dir(&run).unwrap();
        let tunnels = run.join("tunnels");
        let spec = SuperviseSpec {
            container_uuid: uuid,
            command: command.iter().map(ToString::to_string).collect(),
            environment: [("PATH".to_owned(), "/bin".to_owned())].into(),
            cwd: None,
            user: None,
            layers: vec![layer],
            image_config: Default::default(),
            published_ports: vec![ContainerPort::new(8080).unwrap()],
            ram_bytes: 64 << 20,
            vcpus: 1,
            mounts: MountPlan { tmp: vec!["/out".to_owned()], ..MountPlan::default() },
            output_path: None,
            output_glob: vec![],
            blocks: None,
            api: None,
            services: Vec::new(),
            tunnels: tunnels.clone(),
            stop_grace_ms: 5000,
            log_bytes_max: 1 << 20,
            service: true,
            busy_period_ms: 30_000,
        };
        Self { dir, spec, child: None, tunnels, secret, home }
    }

    /// As the dispatcher starts it: nothing of ours in its environment, output to a file.
    pub(crate) fn start(&mut self) -> &mut Self {
        fs::write(self.dir.join("spec.json"), serde_json::to_vec(&self.spec).unwrap()).unwrap();
        let log = fs::File::create(self.dir.join("log/supervisor.txt")).unwrap();
        let child = supervise(&[], &self.dir).stdout(log.try_clone().unwrap()).stderr(log).spawn();
        self.child = Some(child.unwrap());
        self
    }

    pub(crate) fn child(&mut self) -> &mut Child {
        self.child.as_mut().unwrap()
    }

    pub(crate) fn sweep(&self) -> (ExitStatus, String) {
        let output = supervise(&["--sweep"], &self.dir).output().unwrap();
        (output.status, String::from_utf8(output.stderr).unwrap())
    }

    /// A second supervisor of the same container, run to its end.
    pub(crate) fn start_another(&self) -> ExitStatus {
        supervise(&[], &self.dir).status().unwrap()
    }

    /// Waits for the supervisor's exit.
    pub(crate) async fn exit(&mut self) -> ExitStatus {
        let mut child = self.child.take().unwrap();
        tokio::task::spawn_blocking(move || child.wait()).await.unwrap().unwrap()
    }

    /// The entry of a controller that has just come.
    pub(crate) fn bind(&self, name: &str) -> UnixListener {
        fs::create_dir_all(&self.tunnels).unwrap();
        let dir = fs::File::open(&self.tunnels).unwrap();
        UnixListener::bind(format!("/proc/self/fd/{}/{name}.sock", dir.as_raw_fd())).unwrap()
    }

    /// As that of one that leaves.
    pub(crate) fn remove_entry(&self, name: &str) {
        fs::remove_file(self.tunnels.join(format!("{name}.sock"))).unwrap();
    }

    pub(crate) async fn accept(&self, listener: &UnixListener) -> Controller {
        let (io, _) = listener.accept().await.unwrap();
        let secret = self.secret.clone();
        let found = move |_| async { Some(secret) };
        let identity = tunnel::Identity::generate().unwrap();
        let (io, name) = tunnel::secure::accept(io, &identity, found).await.unwrap();
        assert_eq!(name, self.spec.container_uuid.as_str());
        let (tunnel, mut incoming, driver) =
            tunnel::start(io, Role::Controller, Limits::controller());
        let driver = tokio::spawn(async move {
            let _reason = driver.await;
        });
        let request = incoming.next().await.unwrap();
        assert_eq!(request.kind, StreamKind::Control);
        let (read, write) = tokio::io::split(request.accept());
        let heard = watch::Sender::new(SupervisorState::default());
        let states = heard.subscribe();
        let mut lines = BufReader::new(read).lines();
        let listener = tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                let ToController::State(state) = serde_json::from_str(&line).unwrap();
                heard.send_replace(state);
            }
        });
        Controller { tunnel, _incoming: incoming, states, write, tasks: vec![driver, listener] }
    }

    /// Starts, and accepts the tunnel.
    pub(crate) async fn connected(&mut self) -> Controller {
        let listener = self.bind("first");
        self.start();
        self.accept(&listener).await
    }

    /// A log file without the times.
    pub(crate) fn log(&self, name: &str) -> String {
        let text = fs::read_to_string(self.dir.join("log").join(name)).unwrap();
        text.lines().map(|line| &line[31..]).collect::<Vec<_>>().join("\n")
    }

    /// A directory of this launch alone.
    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    pub(crate) fn state(&self) -> SupervisorState {
        serde_json::from_slice(&fs::read(self.dir.join("state.json")).unwrap()).unwrap()
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        fs::symlink_metadata(self.dir.join(name)).is_ok()
    }
}

/// The controller's end of one tunnel.
pub(crate) struct Controller {
    pub(crate) tunnel: Tunnel,
    _incoming: Incoming,
    states: watch::Receiver<SupervisorState>,
    write: WriteHalf<Stream>,
    tasks: Vec<JoinHandle<()>>,
}

impl Drop for Controller {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Controller {
    pub(crate) async fn until(
        &mut self,
        is_so: impl Fn(&SupervisorState) -> bool,
    ) -> SupervisorState {
        let seen = tokio::time::timeout(SOON, self.states.wait_for(is_so)).await;
        let seen = seen.map(|seen| seen.unwrap().clone());
        seen.unwrap_or_else(|_| panic!("last heard: {:?}", *self.states.borrow()))
    }

    pub(crate) async fn until_ready(&mut self) {
        self.until(|state| !state.ready.is_empty()).await;
    }

    pub(crate) async fn send(&mut self, order: ToSupervisor) {
        let line = serde_json::to_string(&order).unwrap() + "\n";
        self.write.write_all(line.as_bytes()).await.unwrap();
        self.write.flush().await.unwrap();
    }

    /// Hears the end and confirms it.
    pub(crate) async fn end(&mut self) -> ContainerEnd {
        let state = self.until(|state| state.phase == Phase::Ended).await;
        self.send(ToSupervisor::Ack { phase: Phase::Ended }).await;
        state.end.unwrap()
    }

    /// What a port answers to an HTTP/1.0 request.
    pub(crate) async fn get(&self, port: u16, path: &str) -> String {
        let mut stream = self.tunnel.open(StreamKind::App(port)).await.unwrap();
        stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).await.unwrap();
        // Half-close: the answer must come all the same.
        stream.shutdown().await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }
}

fn supervise(args: &[&str], dir: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.arg("supervise").args(args).arg(dir).env_clear().current_dir("/").stdin(Stdio::null());
    command
}

/// A layer with busybox and the few names that the tests use.
fn busybox_layer(layer: &Path) {
    let bin = layer.join("bin");
    fs::create_dir_all(&bin).unwrap();
    fs::create_dir_all(layer.join("www")).unwrap();
    fs::copy("/usr/bin/busybox", bin.join("busybox"))
        .or_else(|_| fs::copy("/bin/busybox", bin.join("busybox")))
        .expect("busybox on this machine (Debian: busybox-static)");
    for name in ["sh", "httpd", "sleep", "echo", "cat", "yes", "head", "kill", "stty", "ps"] {
        symlink("busybox", bin.join(name)).unwrap();
    }
    let mut page = fs::File::create(layer.join("www/index.html")).unwrap();
    page.write_all(b"hello from inside\n").unwrap();
}

/// Reads a small file whole; for /proc.
pub(crate) fn read(path: impl AsRef<Path>) -> Option<String> {
    let mut text = String::new();
    fs::File::open(path).ok()?.read_to_string(&mut text).ok()?;
    Some(text)
}
