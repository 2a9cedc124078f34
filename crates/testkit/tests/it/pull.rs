//! `wharf image pull` out of a real registry: Debian's `docker-registry`, on loopback.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;
use testkit::{Finished, Wharf, images};

const START_TIMEOUT: Duration = Duration::from_secs(60);
const NAME: &str = "ada";
const PASSWORD: &str = "correct horse";
/// `PASSWORD` by bcrypt, which is all that the registry takes.
const PASSWORD_HASH: &str = "$2b$04$/.hRH55JOvwIYMQs9.HoUOhUNQJv6YMjHk2s3DTQwBD2iKIujp2Ju";

struct Registry {
    child: Child,
    host: String,
    dir: TempDir,
}

impl Registry {
    /// That anybody may use, or those alone who have the password.
    fn start(asks: bool) -> Self {
        let dir = TempDir::with_prefix("wharf-registry-").expect("a temporary folder");
        let free = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
        let host = free.expect("a free port").to_string();
        let users = dir.path().join("users");
        fs::write(&users, format!("{NAME}:{PASSWORD_HASH}\n")).expect("a file");
        let mut config = json!({
            "version": 0.1,
            "log": {"level": "info", "accesslog": {"disabled": true}},
            "storage": {"filesystem": {"rootdirectory": dir.path().join("data")}},
            "http": {"addr": host},
        });
        if asks {
            config["auth"] = json!({"htpasswd": {"realm": "tests", "path": users}});
        }
        let file = dir.path().join("config.yml");
        fs::write(&file, config.to_string()).expect("a file");
        let mut child = Command::new("docker-registry")
            .arg("serve")
            .arg(&file)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("OTEL_TRACES_EXPORTER", "none")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("docker-registry is installed by `cargo xtask setup`");
        let (sender, started) = std::sync::mpsc::channel();
        let lines = BufReader::new(child.stderr.take().expect("a piped output")).lines();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok).filter(|line| line.contains("listening on")) {
                let _only_the_first_is_waited_for = sender.send(line);
            }
        });
        let registry = Self { child, host, dir };
        started.recv_timeout(START_TIMEOUT).expect("the registry says that it listens");
        registry
    }

    /// Puts busybox there; the digest of its manifest.
    fn push(&self, login: Option<&str>) -> String {
        let mut push = Command::new("python3");
        push.arg(images::client_scripts().join("push_image.py"))
            .arg(format!("http://{}", self.host))
            .arg(images::archive("busybox.oci.tar"))
            .arg("team/app");
        push.args(login);
        let pushed = push.output().expect("python runs");
        let why = String::from_utf8_lossy(&pushed.stderr).into_owned();
        assert!(pushed.status.success(), "{why}");
        String::from_utf8_lossy(&pushed.stdout).trim().to_owned()
    }

    fn image(&self, rest: &str) -> String {
        format!("{}/team/app{rest}", self.host)
    }

    /// The file that holds a blob.
    fn blob(&self, digest: &str) -> PathBuf {
        let digits = digest.strip_prefix("sha256:").expect("a SHA-256");
        let blobs = self.dir.path().join("data/docker/registry/v2/blobs/sha256");
        blobs.join(&digits[..2]).join(digits).join("data")
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _gone = self.child.kill().and_then(|()| self.child.wait());
    }
}

fn pull(wharf: &Wharf, image: &str) -> Finished {
    wharf.cli(&["image", "pull", image])
}

fn says(wharf: &Wharf, image: &str) -> String {
    wharf.cli(&["run", "--batch", "--image", image, "--", "echo", "it runs"]).expect(0).stdout
}

#[test]
fn images_come_out_of_a_registry_by_tag_digest_and_index() {
    let registry = Registry::start(false);
    let digest = registry.push(None);
    let wharf = Wharf::start();
    let plain = registry.image(":plain");
    assert_eq!(pull(&wharf, &plain).expect(0).line(), plain);
    assert!(says(&wharf, &plain).contains("it runs"));
    let multi = registry.image(":multi");
    let named = wharf.cli(&["image", "pull", &multi, "--name", "short:1"]).expect(0);
    assert_eq!(named.line(), "short:1");
    assert!(says(&wharf, "short:1").contains("it runs"));
    pull(&wharf, &registry.image(&format!("@{digest}"))).expect(0);
    // The same records as an import makes, for everybody.
    let (_, token) = wharf.new_user("bob");
    let filters = "%5B%5B%22link_class%22%2C%22%3D%22%2C%22docker_image_repo%2Btag%22%5D%5D";
    let path = format!("/arvados/v1/links?filters={filters}");
    let links = wharf.api_as(&token, "GET", &path, None).expect(200).json();
    let names: Vec<&str> = links["items"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|it| it["name"].as_str())
        .collect();
    assert!(names.contains(&"short:1") && names.contains(&plain.as_str()), "{names:?}");
    // What is not there, is for others, or is nonsense, is told.
    for (image, words) in [
        (registry.image(":none"), "has no"),
        (registry.image(":foreign"), "linux/s390x"),
        (format!("{}/nobody", registry.host), "has no"),
        ("UPPER".to_owned(), "names no image"),
    ] {
        let refused = pull(&wharf, &image).expect(1);
        assert!(refused.stderr.contains(words), "{image}: {}", refused.stderr);
    }
    wharf.finish();
}

#[test]
fn changed_bytes_are_refused_and_nothing_is_imported() {
    let registry = Registry::start(false);
    let digest = registry.push(None);
    let manifest = fs::read_to_string(registry.blob(&digest)).expect("a manifest");
    let manifest: serde_json::Value = serde_json::from_str(&manifest).expect("it is JSON");
    let layer = registry.blob(manifest["layers"][0]["digest"].as_str().expect("a layer"));
    let mut bytes = fs::read(&layer).expect("a layer");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&layer, bytes).expect("the registry's own file");
    let wharf = Wharf::start();
    let refused = pull(&wharf, &registry.image(":plain")).expect(1);
    assert!(refused.stderr.contains("sent other bytes"), "{}", refused.stderr);
    assert!(!wharf.cli(&["image", "list"]).expect(0).stdout.contains("team/app"));
    wharf.finish();
}

#[test]
fn a_registry_that_asks_gets_what_docker_login_wrote() {
    let registry = Registry::start(true);
    registry.push(Some(&format!("{NAME}:{PASSWORD}")));
    let wharf = Wharf::start();
    let image = registry.image(":multi");
    let refused = pull(&wharf, &image).expect(1);
    assert!(refused.stderr.contains("docker login"), "{}", refused.stderr);
    write_login(wharf.home(), &registry.host, "d3Jvbmc6d3Jvbmc=");
    let refused = pull(&wharf, &image).expect(1);
    assert!(!refused.stderr.contains("wrong"), "{}", refused.stderr);
    // `ada:correct horse`.
    write_login(wharf.home(), &registry.host, "YWRhOmNvcnJlY3QgaG9yc2U=");
    pull(&wharf, &image).expect(0);
    assert!(says(&wharf, &image).contains("it runs"));
    wharf.finish();
}

fn write_login(home: &Path, host: &str, auth: &str) {
    let folder = home.join(".docker");
    fs::create_dir_all(&folder).expect("a folder");
    let config = json!({"auths": {host: {"auth": auth}}});
    fs::write(folder.join("config.json"), config.to_string()).expect("a file");
}
