//! The image, from the archive's bytes to the program running inside it.
//!
//! The image is made of this test's own executable, so what runs in there is this test binary,
//! asked for the one test [`inside_the_image`].

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

/// Set for the process inside the image: run the app instead of passing at once.
const INSIDE: &str = "WHARF_DEMO_TEST_INSIDE";

fn sha256(bytes: &[u8]) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Unpacks the outer archive and checks that every digest names what it should; answers the
/// config and the layer's bytes.
fn open_archive(archive: &Path) -> (Value, Vec<u8>) {
    let mut files = std::collections::BTreeMap::new();
    for entry in tar::Archive::new(File::open(archive).unwrap()).entries().unwrap() {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().to_str().unwrap().to_owned();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        files.insert(name, bytes);
    }
    let manifest: Value = serde_json::from_slice(&files["manifest.json"]).unwrap();
    assert_eq!(manifest[0]["RepoTags"][0], demo::image::NAME);
    let config_name = manifest[0]["Config"].as_str().unwrap();
    assert_eq!(config_name, format!("{}.json", sha256(&files[config_name])));
    let config: Value = serde_json::from_slice(&files[config_name]).unwrap();
    assert_eq!(manifest[0]["Layers"].as_array().unwrap().len(), 1);
    let layer = files.remove(manifest[0]["Layers"][0].as_str().unwrap()).unwrap();
    assert_eq!(config["rootfs"]["diff_ids"][0], format!("sha256:{}", sha256(&layer)));
    (config, layer)
}

#[test]
fn two_builds_give_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (folder.path().join("one.tar"), folder.path().join("two.tar"));
    demo::image::build(&one).unwrap();
    demo::image::build(&two).unwrap();
    assert!(fs::read(&one).unwrap() == fs::read(&two).unwrap());
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(left.len(), 2, "no temporary file stays: {left:?}");
}

#[test]
fn the_archive_holds_our_executable_and_says_how_to_start_it() {
    let folder = tempfile::tempdir().unwrap();
    let archive = folder.path().join("demo.tar");
    demo::image::build(&archive).unwrap();
    let (config, layer) = open_archive(&archive);
    let command = ["/bin/wharf", "demo-app", "--port", "8080"];
    assert_eq!(config["config"]["Cmd"], serde_json::json!(command));
    let root = folder.path().join("root");
    tar::Archive::new(&layer[..]).unpack(&root).unwrap();
    assert!(
        fs::read(root.join("bin/wharf")).unwrap()
            == fs::read(std::env::current_exe().unwrap()).unwrap()
    );
    assert!(root.join("etc/passwd").is_file() && root.join("tmp").is_dir());
    for entry in tar::Archive::new(&layer[..]).entries().unwrap() {
        let entry = entry.unwrap();
        let header = entry.header();
        assert_eq!((header.uid().unwrap(), header.mtime().unwrap()), (0, 0), "{:?}", entry.path());
    }
}

#[test]
fn a_folder_that_does_not_exist_is_named_in_the_error() {
    let error = demo::image::build(Path::new("/nonexistent/demo.tar")).unwrap_err();
    assert!(error.to_string().contains("/nonexistent/demo.tar"), "{error}");
}

/// Ends and reaps the child when the test is over, however it ends.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _gone_already = self.0.kill();
        let _reaped = self.0.wait();
    }
}

#[test]
fn the_program_runs_with_nothing_but_the_image() {
    let folder = tempfile::tempdir().unwrap();
    let archive = folder.path().join("demo.tar");
    demo::image::build(&archive).unwrap();
    let (config, layer) = open_archive(&archive);
    let root = folder.path().join("root");
    tar::Archive::new(&layer[..]).unpack(&root).unwrap();
    // Changing the root needs a capability; an ordinary user gets it in a user namespace.
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--root"]).arg(&root).env_clear();
    for pair in config["config"]["Env"].as_array().unwrap() {
        let (name, value) = pair.as_str().unwrap().split_once('=').unwrap();
        command.env(name, value);
    }
    // env_clear took PATH from the lookup of unshare itself as well.
    command.env("PATH", "/usr/bin:/bin:/usr/sbin").env(INSIDE, "1");
    command.args(["/bin/wharf", "--exact", "image::inside_the_image", "--nocapture"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap();
    let mut child = Ended(child);
    let lines = BufReader::new(child.0.stdout.take().unwrap()).lines();
    // The harness prints the test's name first, on the same line.
    let answer = lines.map_while(Result::ok).find(|line| line.contains("inside: "));
    assert!(answer.expect("the program says what it got").contains("inside: ok"));
}

/// Inside the image: serve and fetch a page. Outside: nothing.
#[test]
fn inside_the_image() {
    if std::env::var_os(INSIDE).is_none() {
        return;
    }
    assert!(!Path::new("/usr/bin/env").exists(), "this is the host, not the image");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let body = runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(demo::app::default_listen(0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(demo::app::serve(listener));
        let body = tokio::task::spawn_blocking(move || fetch(address)).await.unwrap();
        server.abort();
        body
    });
    println!("inside: {}", body.lines().last().unwrap_or_default());
}

fn fetch(address: std::net::SocketAddr) -> String {
    use std::io::Write as _;
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut body = String::new();
    stream.read_to_string(&mut body).unwrap();
    body
}
