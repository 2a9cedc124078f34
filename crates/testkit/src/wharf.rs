//! One Wharf: started, asked, killed, started again and taken down.

use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::http::{Reply, Request};
use crate::postgres::Database;
use crate::{BOUND, Process, images, leaks, wait_for};

/// How a Wharf is to be started.
#[derive(Debug, Default, Clone)]
pub struct Options {
    /// Run everything as this user and group, who need no entry in /etc/passwd.
    pub uid: Option<u32>,
    /// The data folder, where it must be a certain one (a small file system, say).
    pub data: Option<PathBuf>,
    /// The config file's text.
    pub config: Option<String>,
    /// As a site runs it: `wharf controller` and `wharf dispatch` instead of `wharf up`.
    pub apart: bool,
    /// More words after `wharf up ...`.
    pub arguments: Vec<String>,
    /// More environment.
    pub environment: Vec<(String, String)>,
}

/// A running Wharf. [`Wharf::finish`] takes it down and looks for leftovers; dropping it does the
/// same, quietly where a test is failing already.
#[derive(Debug)]
pub struct Wharf {
    options: Options,
    home: TempDir,
    /// Where the records are, where that is no file.
    database: Option<Database>,
    binary: PathBuf,
    controller: Option<Process>,
    dispatcher: Option<Process>,
    port: u16,
    token: String,
    is_finished: bool,
}

/// What a command line did.
#[derive(Debug, Clone)]
pub struct Finished {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Finished {
    /// Panics with everything it printed unless it ended with this code.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self
    }

    /// What it printed, without the line end.
    #[must_use]
    pub fn line(&self) -> &str {
        self.stdout.trim_end()
    }
}

impl Wharf {
    /// With the default options.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(Options::default())
    }

    #[must_use]
    pub fn start_with(options: Options) -> Self {
        let home = TempDir::with_prefix("wharf-test-").expect("a temporary folder");
        let mut binary = images::wharf_binary();
        if let Some(uid) = options.uid {
            // Another user can look neither into our target folder nor into our home.
            let copy = home.path().join("wharf");
            std::fs::copy(&binary, &copy).expect("copying the executable");
            std::fs::set_permissions(home.path(), PermissionsExt::from_mode(0o755))
                .expect("opening the temporary folder");
            chown(home.path(), Some(uid), Some(uid)).expect("tests for another user run as root");
            binary = copy;
        }
        let mut wharf = Self {
            options,
            home,
            database: std::env::var("WHARF_TEST_POSTGRES").ok().map(|url| Database::on(&url)),
            binary,
            controller: None,
            dispatcher: None,
            port: 0,
            token: String::new(),
            is_finished: false,
        };
        wharf.start_controller("127.0.0.1:0");
        if wharf.options.apart {
            wharf.dispatcher = Some(wharf.start_dispatcher());
        }
        let credentials = std::fs::read_to_string(wharf.data().join("credentials.json"))
            .expect("wharf up writes credentials.json");
        let credentials: Value = serde_json::from_str(&credentials).expect("credentials are JSON");
        credentials["token"]
            .as_str()
            .expect("credentials hold a token")
            .clone_into(&mut wharf.token);
        wharf
    }

    /// With a config file of this text.
    #[must_use]
    pub fn start_configured(text: &str) -> Self {
        Self::start_with(Options { config: Some(text.to_owned()), ..Options::default() })
    }

    /// The data folder.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.options.data.clone().unwrap_or_else(|| self.home.path().join("data"))
    }

    /// A folder that goes away with this Wharf; also where its own output is.
    #[must_use]
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The administrator's token of the local instance.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.token
    }

    /// `localhost:PORT`, where the API and the dashboard are.
    #[must_use]
    pub fn api_host(&self) -> String {
        format!("localhost:{}", self.port)
    }

    /// The service host of a label: `label.containers.localhost:PORT`.
    #[must_use]
    pub fn host(&self, label: &str) -> String {
        format!("{label}.containers.localhost:{}", self.port)
    }

    /// Everything that the controller printed so far.
    #[must_use]
    pub fn output(&self) -> String {
        std::fs::read_to_string(self.home.path().join("controller.log")).unwrap_or_default()
    }

    fn start_controller(&mut self, listen: &str) {
        let role = if self.options.apart { "controller" } else { "up" };
        let controller = self.start_role(&[role, "--listen", listen]);
        self.port = controller.port();
        assert_ne!(self.port, 0, "the ready file names no port");
        self.controller = Some(controller);
    }

    /// Another `wharf controller` over the same data, on a port of its own.
    #[must_use]
    pub fn start_another_controller(&self) -> Process {
        self.start_role(&["controller", "--listen", "127.0.0.1:0"])
    }

    /// A `wharf dispatch` over the same data.
    #[must_use]
    pub fn start_dispatcher(&self) -> Process {
        self.start_role(&["dispatch"])
    }

    fn start_role(&self, words: &[&str]) -> Process {
        Process::start(self.role(words), self.home(), &self.home().join("controller.log"))
    }

    /// The command line of a long-lived role over our data, with the config and the options of the first one.
    #[must_use]
    pub fn role(&self, words: &[&str]) -> Command {
        let mut command = self.command();
        command.args(words).arg("--data").arg(self.data());
        if words.first() != Some(&"dispatch") {
            command.args(&self.options.arguments);
        }
        if let Some(text) = &self.options.config {
            let file = self.home.path().join("config.yml");
            std::fs::write(&file, text).expect("writing the config file");
            command.arg("--config").arg(file);
        }
        command.envs(self.database.iter().map(|database| ("WHARF_DATABASE", database.url())));
        command.envs(self.options.environment.iter().cloned());
        command
    }

    /// `wharf`, as the chosen user, in a bare environment.
    #[must_use]
    pub fn command(&self) -> Command {
        let mut command = match self.options.uid {
            None => Command::new(&self.binary),
            Some(uid) => {
                let mut command = Command::new("setpriv");
                command.args([format!("--reuid={uid}"), format!("--regid={uid}")]);
                command.args(["--clear-groups", "--no-new-privs"]).arg(&self.binary);
                command
            }
        };
        command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("RUST_BACKTRACE", "1");
        command.env("HOME", self.home.path()).env("WHARF_DATA", self.data());
        command.current_dir(self.home.path());
        command
    }

    /// Runs a client command to its end.
    #[must_use]
    pub fn cli(&self, arguments: &[&str]) -> Finished {
        let mut command = self.command();
        command.args(arguments).stdin(Stdio::null());
        let output = command.output().expect("running wharf");
        Finished {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// A request to the API with the administrator's token.
    #[must_use]
    pub fn api(&self, method: &str, path: &str, body: Option<&Value>) -> Reply {
        self.api_as(&self.token, method, path, body)
    }

    /// A request to the API with someone else's token.
    #[must_use]
    pub fn api_as(&self, token: &str, method: &str, path: &str, body: Option<&Value>) -> Reply {
        let request = Request::new(self.port, &self.api_host(), method, path).bearer(token);
        match body {
            Some(body) => request.json(body).send(),
            None => request.send(),
        }
    }

    /// A request with the administrator's token to the API of another controller.
    #[must_use]
    pub fn api_at(&self, port: u16, method: &str, path: &str, body: Option<&Value>) -> Reply {
        let request = Request::new(port, &format!("localhost:{port}"), method, path);
        let request = request.bearer(&self.token);
        match body {
            Some(body) => request.json(body).send(),
            None => request.send(),
        }
    }

    /// Ends the dispatcher of a Wharf that is [`Options::apart`].
    #[must_use]
    pub fn take_dispatcher(&mut self) -> Process {
        self.dispatcher.take().expect("a Wharf whose roles are apart has a dispatcher")
    }

    /// A request to any host that this Wharf answers for.
    #[must_use]
    pub fn request(&self, host: &str, method: &str, target: &str) -> Request {
        Request::new(self.port, host, method, target)
    }

    /// A user without rights of an administrator, and a token of theirs.
    #[must_use]
    pub fn new_user(&self, name: &str) -> (String, String) {
        let user = json!({"user": {"email": format!("{name}@example.com"), "username": name,
            "first_name": name, "last_name": "Test", "is_active": true}});
        let user = self.api("POST", "/arvados/v1/users", Some(&user)).expect(200).json();
        let uuid = user["uuid"].as_str().expect("a user has a uuid").to_owned();
        (uuid.clone(), self.new_token(&uuid, &json!({})))
    }

    /// A token of that user; `more` adds scopes or an expiry.
    #[must_use]
    pub fn new_token(&self, user: &str, more: &Value) -> String {
        let mut record = json!({"owner_uuid": user});
        for (key, value) in more.as_object().into_iter().flatten() {
            record[key] = value.clone();
        }
        let body = json!({"api_client_authorization": record});
        let path = "/arvados/v1/api_client_authorizations";
        let made = self.api("POST", path, Some(&body)).expect(200).json();
        let word = |key: &str| made[key].as_str().unwrap_or_else(|| panic!("no {key}: {made}"));
        format!("v2/{}/{}", word("uuid"), word("api_token"))
    }

    /// Imports an archive of `images/` under the name that it carries.
    pub fn import(&self, archive: &str) {
        let mut path = images::archive(archive);
        if self.options.uid.is_some() {
            let copy = self.home.path().join(archive);
            std::fs::copy(&path, &copy).expect("copying the archive");
            path = copy;
        }
        self.cli(&["image", "import", &path.to_string_lossy()]).expect(0);
    }

    /// Sets a variable for what is started from now on.
    pub fn set_environment(&mut self, name: &str, value: &str) {
        self.options.environment.push((name.to_owned(), value.to_owned()));
    }

    /// The process id of the controller.
    #[must_use]
    pub fn controller_pid(&self) -> u32 {
        self.controller.as_ref().expect("the controller runs").pid()
    }

    /// SIGKILL, as a crash or the kernel would.
    pub fn kill_controller(&mut self) {
        self.controller.take().expect("the controller runs").kill();
    }

    /// SIGTERM, and the status it ends with.
    pub fn stop_controller(&mut self) -> ExitStatus {
        self.controller.take().expect("the controller runs").stop()
    }

    /// Starts it again on the same data and port; tells how long it took to serve.
    pub fn restart_controller(&mut self) -> Duration {
        let begin = Instant::now();
        let listen = format!("127.0.0.1:{}", self.port);
        self.start_controller(&listen);
        begin.elapsed()
    }

    /// Starts another process with `--replace` and these words more; it becomes the controller, and the one that was
    /// it until now, which ends by itself, is given back.
    #[must_use]
    pub fn upgrade(&mut self, more: &[&str]) -> Process {
        let command = self.upgrade_command(more);
        let log = self.home().join("controller.log");
        let successor = Process::start(command, self.home(), &log);
        assert_eq!(successor.port(), self.port, "it serves on the same port");
        self.controller.replace(successor).expect("the controller runs")
    }

    /// The command line of [`Wharf::upgrade`].
    #[must_use]
    pub fn upgrade_command(&self, more: &[&str]) -> Command {
        let role = if self.options.apart { "controller" } else { "up" };
        let mut command =
            self.role(&[role, "--listen", &format!("127.0.0.1:{}", self.port), "--replace"]);
        command.args(more);
        command
    }

    /// Makes a process the controller, where there is none just now.
    pub fn put_controller(&mut self, process: Process) {
        assert!(self.controller.replace(process).is_none(), "the controller runs");
    }

    /// The folder of a launched container.
    #[must_use]
    pub fn container_folder(&self, container: &str) -> PathBuf {
        self.data().join("containers").join(container)
    }

    /// The supervisor's process id, while there is one.
    #[must_use]
    pub fn supervisor_pid(&self, container: &str) -> Option<u32> {
        let text = std::fs::read_to_string(self.container_folder(container).join("pid")).ok()?;
        let pid = text.split_whitespace().next()?.parse().ok()?;
        Path::new("/proc").join(text.split_whitespace().next()?).exists().then_some(pid)
    }

    /// Cancels everything, waits for it to be over, stops the controller and looks for leftovers.
    pub fn finish(mut self) {
        self.take_down();
        leaks::assert_none(&self.data());
    }

    /// The same, with another process over the same data, which is stopped after our own.
    pub fn finish_with(mut self, other: Process) {
        self.take_down();
        let status = other.stop();
        assert!(status.success(), "wharf ended badly ({status}):\n{}", self.output());
        leaks::assert_none(&self.data());
    }

    fn take_down(&mut self) {
        if self.is_finished {
            return;
        }
        self.is_finished = true;
        if self.controller.is_none() {
            leaks::kill_all(&self.data());
            return;
        }
        self.cancel_all();
        let controller = self.controller.take();
        for process in controller.into_iter().chain(self.dispatcher.take()) {
            let status = process.stop();
            assert!(status.success(), "wharf ended badly ({status}):\n{}", self.output());
        }
    }

    fn cancel_all(&self) {
        let open = json!([["state", "=", "Committed"], ["priority", ">", 0]]).to_string();
        let path = format!("/arvados/v1/container_requests?limit=1000&filters={}", encode(&open));
        let found = self.api("GET", &path, None).expect(200).json();
        for request in found["items"].as_array().expect("a list has items") {
            let path = format!("/arvados/v1/container_requests/{}", word(request, "uuid"));
            let body = json!({"container_request": {"priority": 0}});
            let _was_cancelled = self.api("PUT", &path, Some(&body));
        }
        // One that is just being launched has no process yet.
        let busy = json!([["state", "in", ["Locked", "Running"]]]).to_string();
        let path = format!("/arvados/v1/containers?limit=0&filters={}", encode(&busy));
        wait_for("all containers to be over", BOUND, || {
            self.api("GET", &path, None).expect(200).json()["items_available"] == 0
                && leaks::processes_of(&self.data().join("containers")).is_empty()
        });
    }
}

impl Drop for Wharf {
    fn drop(&mut self) {
        if self.is_finished {
            return;
        }
        if std::thread::panicking() {
            drop((self.controller.take(), self.dispatcher.take()));
            leaks::kill_all(&self.data());
            eprintln!("--- controller's output\n{}", self.output());
            return;
        }
        self.take_down();
        leaks::assert_none(&self.data());
    }
}

/// SIGKILL to a process of a Wharf of ours.
pub fn kill(pid: u32) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("a proper process id");
    kill_process(pid, Signal::KILL).expect("killing a process of this test");
}

/// SIGTERM to a process of ours.
pub(crate) fn terminate(pid: u32) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("a proper process id");
    kill_process(pid, Signal::TERM).expect("signalling a process of ours");
}

/// A string member of a record.
pub(crate) fn word<'v>(record: &'v Value, key: &str) -> &'v str {
    record[key].as_str().unwrap_or_else(|| panic!("no {key} in {record}"))
}

/// Percent-encodes a query value.
pub(crate) fn encode(value: &str) -> String {
    utf8_percent_encode(value, NON_ALPHANUMERIC).to_string()
}
