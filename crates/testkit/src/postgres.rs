//! A PostgreSQL server that is not ours, from Debian's package: `tests/postgresql.sh` makes and runs it.

use std::net::TcpListener;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::{BOUND, images, wait_for};

/// The password of every server of the script: no output may hold it.
pub const PASSWORD: &str = "a-password-that-nobody-may-see";

/// A server with a folder of its own, on a socket in it; it ends when it is dropped.
#[derive(Debug)]
pub struct Server {
    folder: TempDir,
    process: Option<Child>,
    /// Where it also listens on loopback, with TLS.
    port: Option<u16>,
}

impl Server {
    #[must_use]
    pub fn start() -> Self {
        let mut server = Self::new(None);
        server.start_again();
        server
    }

    /// One that listens on a port of loopback, too, with a certificate for `localhost` ([`Server::root`]).
    #[must_use]
    pub fn start_with_tls() -> Self {
        let free = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
        let mut server = Self::new(Some(free.expect("a free port").port()));
        server.make_certificates();
        server.start_again();
        server
    }

    fn new(port: Option<u16>) -> Self {
        // Its user is another one.
        let folder = TempDir::with_prefix("pg-").expect("a temporary folder");
        let open = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(folder.path(), open).expect("opening our own folder");
        Self { folder, process: None, port }
    }

    fn make_certificates(&self) {
        std::fs::create_dir(self.place()).expect("a folder for it");
        let authority = |file: PathBuf| {
            let key = KeyPair::generate().expect("a key");
            let mut params = CertificateParams::default();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            let certificate = params.self_signed(&key).expect("a certificate");
            std::fs::write(file, certificate.pem()).expect("a file of our own");
            Issuer::new(params, key)
        };
        let issuer = authority(self.root());
        let _nobody_is_signed_by_it = authority(self.wrong_root());
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(["localhost".to_owned()]).expect("a name");
        let certificate = params.signed_by(&key, &issuer).expect("a certificate");
        std::fs::write(self.place().join("server.crt"), certificate.pem()).expect("a file");
        let mut private = std::fs::File::options();
        private.write(true).create_new(true).mode(0o600);
        let mut file = private.open(self.place().join("server.key")).expect("a file");
        std::io::Write::write_all(&mut file, key.serialize_pem().as_bytes()).expect("a key in it");
    }

    /// The certificate that its own is signed by.
    #[must_use]
    pub fn root(&self) -> PathBuf {
        self.folder.path().join("root.crt")
    }

    /// One that it is not.
    #[must_use]
    pub fn wrong_root(&self) -> PathBuf {
        self.folder.path().join("other.crt")
    }

    /// The address of a database over TCP, with these parameters.
    #[must_use]
    pub fn tcp_url(&self, database: &Database, host: &str, parameters: &str) -> String {
        let port = self.port.expect("it listens on a port");
        format!("postgres://wharf:{PASSWORD}@{host}:{port}/{}?{parameters}", database.name)
    }

    /// What a statement answers.
    #[must_use]
    pub fn ask(&self, statement: &str) -> String {
        psql(&self.url(), statement).expect("it answers").trim().to_owned()
    }

    fn url(&self) -> String {
        let url = std::fs::read_to_string(self.place().join("url")).expect("it wrote its address");
        url.trim().to_owned()
    }

    fn place(&self) -> PathBuf {
        self.folder.path().join("server")
    }

    /// After [`Server::stop`].
    pub fn start_again(&mut self) {
        let mut command = Command::new(images::postgresql_script());
        let port = self.port.map(|port| port.to_string());
        let process = command.arg(self.place()).args(port);
        let process = process.stdin(Stdio::null()).stdout(Stdio::null());
        let process = process.stderr(Stdio::null()).spawn().expect("the script runs");
        self.process = Some(process);
        wait_for("PostgreSQL to answer", BOUND * 2, || {
            let url = self.place().join("url");
            let url = std::fs::read_to_string(url).unwrap_or_default();
            !url.is_empty() && psql(url.trim(), "SELECT 1").is_some()
        });
    }

    /// At once, as a machine that is restarted does it: who is connected is thrown out.
    pub fn stop(&mut self) {
        let Some(mut process) = self.process.take() else { return };
        let pid = i32::try_from(process.id()).ok().and_then(Pid::from_raw).expect("a process id");
        kill_process(pid, Signal::INT).expect("signalling our own child");
        process.wait().expect("waiting for our own child");
    }

    /// A new database on it.
    #[must_use]
    pub fn database(&self) -> Database {
        Database::on(&self.url())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A database of a test's own, gone when it is dropped.
#[derive(Debug)]
pub struct Database {
    server: String,
    name: String,
}

impl Database {
    /// On the server with this address.
    #[must_use]
    pub fn on(server: &str) -> Self {
        let random = TempDir::with_prefix("wharf_test_").expect("a name that nobody else has");
        let name = random.path().file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        let name = format!("{name}_{}", std::process::id());
        psql(server, &format!("CREATE DATABASE \"{name}\"")).expect("a new database");
        Self { server: server.to_owned(), name }
    }

    /// Its address, password included.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.replacen("/postgres?", &format!("/{}?", self.name), 1)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // Where the server is gone already there is nothing left.
        let _gone = psql(&self.server, &format!("DROP DATABASE \"{}\" WITH (FORCE)", self.name));
    }
}

/// What a statement answers; none where it fails.
fn psql(url: &str, statement: &str) -> Option<String> {
    let mut command = Command::new("psql");
    command.args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--command", statement]);
    let output = command.arg(url).stdin(Stdio::null()).output().expect("psql runs");
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}
