//! A busybox image, and containers of it that are easy to start.

use crate::layer_tar::{self, Layer};
use runtime::images::ImageStore;
use runtime::{ContainerSpec, Embedded, Handle, Limits, Mount, Runtime as _, StartError, UserSpec};
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;
use tempfile::TempDir;

/// How long anything may take that ought to happen at once.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// A temporary directory that goes away whatever modes an image put into it.
pub(crate) struct Scratch(TempDir);

impl Scratch {
    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        runtime::remove_tree(self.0.path()).expect("nothing is left");
    }
}

pub(crate) fn scratch() -> Scratch {
    let dir = tempfile::Builder::new().prefix("wharf-runtime-").tempdir();
    Scratch(dir.expect("a temporary directory"))
}

/// Bottom layer: busybox and its commands, users, a page. Top layer: changes to it.
pub(crate) fn busybox_layers() -> &'static [Vec<u8>; 2] {
    static LAYERS: OnceLock<[Vec<u8>; 2]> = OnceLock::new();
    LAYERS.get_or_init(|| [base_layer(), changes_layer()])
}

fn base_layer() -> Vec<u8> {
    let busybox = std::fs::read("/bin/busybox").expect("busybox-static is installed");
    let list = Command::new("/bin/busybox").arg("--list").output().expect("busybox runs");
    let mut layer = Layer::new()
        .dir("./", 0o755)
        .dir("bin/", 0o755)
        .file("bin/busybox", 0o755, &busybox)
        .dir("etc/", 0o755)
        .file(
            "etc/passwd",
            0o644,
            "root:x:0:0:root:/root:/bin/sh\nweb:x:1000:1000::/home/web:/bin/sh\n",
        )
        .file("etc/group", 0o644, "root:x:0:\nweb:x:1000:\nstaff:x:50:web\n")
        .dir("root/", 0o700)
        .dir("home/", 0o755)
        .owned("home/web/", 0o755, 1000, tar::EntryType::Directory)
        .dir("tmp/", 0o1777)
        .dir("www/", 0o755)
        .file("www/index.html", 0o644, "hello from busybox\n")
        .dir("opt/", 0o755)
        .dir("opt/old/", 0o755)
        .file("opt/old/one", 0o644, "1")
        .dir("opt/kept/", 0o755)
        .file("opt/kept/below", 0o644, "below")
        .file("opt/gone", 0o644, "gone")
        .file("opt/not-executable", 0o644, "#!/bin/sh\n")
        .file("opt/no-interpreter", 0o755, "#!/opt/python3\n")
        .file("opt/not-a-program", 0o755, [0x7f, b'?', 0, 1]);
    for applet in String::from_utf8_lossy(&list.stdout).lines().filter(|a| *a != "busybox") {
        layer = layer.hard_link(&format!("bin/{applet}"), "bin/busybox");
    }
    layer.finish()
}

fn changes_layer() -> Vec<u8> {
    Layer::new()
        .file("opt/.wh.gone", 0o644, "")
        .dir("opt/old/", 0o755)
        .file("opt/old/.wh..wh..opq", 0o644, "")
        .file("opt/old/two", 0o644, "2")
        .file("opt/kept/above", 0o644, "above")
        .finish()
}

/// A place for containers, and an image store with busybox in it.
pub(crate) struct Site {
    pub(crate) dir: Scratch,
    pub(crate) store: ImageStore,
    pub(crate) layers: Vec<PathBuf>,
}

impl Site {
    pub(crate) async fn new() -> Self {
        let dir = scratch();
        let store = ImageStore::open(dir.path().join("images")).expect("a store");
        let layers = busybox_layers();
        let archive = layer_tar::docker_archive("busybox:test", &layer_tar::config(layers), layers);
        let image = store.import(&archive[..], None, |_| {}).await.expect("busybox is imported");
        Self { layers: image.layers, dir, store }
    }

    /// A container of busybox that is not started yet.
    pub(crate) fn container(&self, id: &str, argv: &[&str]) -> Draft {
        let pipe = || rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).expect("a pipe");
        let ((stdout, stdout_write), (stderr, stderr_write)) = (pipe(), pipe());
        let spec = ContainerSpec {
            id: self.id(id),
            dir: self.dir.path().join(id),
            layers: self.layers.clone(),
            argv: argv.iter().map(|&a| a.to_owned()).collect(),
            env: Vec::new(),
            cwd: String::new(),
            user: UserSpec::root(),
            hostname: "box".to_owned(),
            mounts: Vec::new(),
            files: Vec::new(),
            stdin: runtime::Input::Empty,
            listen: Vec::new(),
            limits: Limits::default(),
            stdout: stdout_write,
            stderr: stderr_write,
        };
        Draft { spec, stdout, stderr }
    }

    pub(crate) fn shell(&self, id: &str, script: &str) -> Draft {
        self.container(id, &["sh", "-c", script])
    }

    /// Runs a script to its end; what it printed, both streams, and how it ended.
    pub(crate) async fn output(&self, id: &str, script: &str) -> (String, runtime::Exit) {
        self.shell(id, script).output().await
    }

    /// Unique on this machine, as the names of control groups are.
    pub(crate) fn id(&self, id: &str) -> String {
        let site: String =
            self.dir.path().to_string_lossy().chars().filter(char::is_ascii_alphanumeric).collect();
        format!("{}-{id}", &site[site.len() - 6..])
    }

    pub(crate) fn rootfs(&self, id: &str) -> PathBuf {
        self.dir.path().join(id).join("rootfs")
    }
}

/// A container not started yet, and the ends of its output.
pub(crate) struct Draft {
    pub(crate) spec: ContainerSpec,
    stdout: OwnedFd,
    stderr: OwnedFd,
}

impl Draft {
    pub(crate) fn user(mut self, user: &str) -> Self {
        self.spec.user = UserSpec::parse(user);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.spec.env.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn mount(mut self, source: &Path, target: &str, writable: bool) -> Self {
        let source = source.to_owned();
        self.spec.mounts.push(Mount { source, target: target.to_owned(), writable });
        self
    }

    pub(crate) fn limits(mut self, limits: Limits) -> Self {
        self.spec.limits = limits;
        self
    }

    pub(crate) async fn start(self) -> Result<Handle, StartError> {
        Embedded.start(self.spec).await
    }

    pub(crate) async fn start_with_output(self) -> (Handle, Output) {
        let output = Output { stdout: self.stdout, stderr: self.stderr };
        (Embedded.start(self.spec).await.expect("it starts"), output)
    }

    pub(crate) async fn output(self) -> (String, runtime::Exit) {
        let (handle, output) = self.start_with_output().await;
        let text = output.read_to_end().await;
        let exit = handle.wait().await;
        handle.cleanup().await;
        (text, exit)
    }
}

/// Where a container's output comes out.
pub(crate) struct Output {
    stdout: OwnedFd,
    stderr: OwnedFd,
}

impl Output {
    /// Both streams, one after the other; ends when the container's last process has closed them.
    pub(crate) async fn read_to_end(self) -> String {
        let read = move || {
            let mut text = String::new();
            for stream in [self.stdout, self.stderr] {
                std::fs::File::from(stream).read_to_string(&mut text).expect("text");
            }
            text
        };
        tokio::task::spawn_blocking(read).await.expect("output is read")
    }

    /// Waits for the first bytes on standard output.
    pub(crate) async fn first(&self) -> String {
        let stdout = self.stdout.try_clone().expect("a descriptor");
        let read = move || {
            let mut bytes = [0; 256];
            let n = rustix::io::read(&stdout, &mut bytes).expect("output");
            String::from_utf8_lossy(&bytes[..n]).into_owned()
        };
        tokio::task::spawn_blocking(read).await.expect("output is read")
    }
}

/// Processes of this machine whose command line names the container.
pub(crate) fn processes_of(id: &str) -> Vec<i32> {
    let entries = std::fs::read_dir("/proc").expect("/proc");
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
        .filter(|pid| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let words: Vec<_> = line.split(|b| *b == 0).collect();
            words.first().is_some_and(|w| w.starts_with(b"wharf-"))
                && words.contains(&id.as_bytes())
        })
        .collect()
}

/// Control groups of the container anywhere.
pub(crate) fn cgroups_of(id: &str) -> Vec<PathBuf> {
    let found = Command::new("find")
        .args(["/sys/fs/cgroup", "-type", "d", "-name", &format!("wharf-{id}")])
        .output()
        .expect("find runs");
    String::from_utf8_lossy(&found.stdout).lines().map(PathBuf::from).collect()
}

/// Fails unless nothing is left of the container, soon.
pub(crate) async fn assert_nothing_left(site: &Site, id: &str) {
    let full = site.id(id);
    let rootfs = site.rootfs(id);
    lifecycle::wait_until("the container to be gone", SOON, || {
        processes_of(&full).is_empty() && cgroups_of(&full).is_empty() && !rootfs.exists()
    })
    .await
    .expect("nothing is left");
}
