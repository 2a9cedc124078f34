//! A site with two volumes, one of them a bucket: copies on both, containers that read and write them,
//! and one that is down.

use std::fs;
use std::time::Duration;

use md5::{Digest as _, Md5};
use serde_json::{Value, json};
use testkit::http::{Reply, Request};
use testkit::s3_server::{ACCESS_KEY_ID, BUCKET, SECRET_ACCESS_KEY};
use testkit::{S3Server, Wharf, wait_for_some};

/// Long enough for a container on a busy machine.
const RUN_TIMEOUT: Duration = Duration::from_secs(120);

fn hash(bytes: &[u8]) -> String {
    Md5::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn put(wharf: &Wharf, bytes: &[u8]) -> Reply {
    let port = wharf.port();
    let target = format!("/{}", hash(bytes));
    let request = Request::new(port, &format!("localhost:{port}"), "PUT", &target);
    request.bearer(wharf.token()).body(bytes).send()
}

#[test]
fn a_site_with_a_bucket_keeps_copies_on_both_volumes_and_reads_on_when_one_is_down() {
    let mut s3 = S3Server::start();
    let secrets = tempfile::tempdir().expect("a temporary folder");
    let secret_file = secrets.path().join("s3.secret");
    fs::write(&secret_file, format!("{SECRET_ACCESS_KEY}\n")).expect("a file in it");
    let near = secrets.path().join("near");
    let config = json!({
        "Collections": {"DefaultReplication": 2},
        "Volumes": {
            "far": {
                "Driver": "S3",
                "DriverParameters": {
                    "Endpoint": s3.endpoint(), "Bucket": BUCKET, "AccessKeyID": ACCESS_KEY_ID,
                    "SecretAccessKeyFile": secret_file, "ReadTimeout": "10s",
                },
            },
            "near": {"Driver": "Directory", "DriverParameters": {"Root": near}},
        },
    });
    let wharf = Wharf::start_configured(&config.to_string());
    let discovery = wharf.api("GET", "/discovery/v1/apis/arvados/v1/rest", None).json();
    assert_eq!(discovery["defaultCollectionReplication"], 2);
    let stored = put(&wharf, b"precious\n").expect(200);
    assert_eq!(stored.header("x-keep-replicas-stored"), Some("2"));
    assert_eq!(stored.header("x-keep-storage-classes-confirmed"), Some("default=2"));
    let digits = hash(b"precious\n");
    assert_eq!(fs::read(s3.object("", &digits)).expect("an object"), b"precious\n");
    assert_eq!(fs::read(near.join(&digits[..3]).join(&digits)).expect("a file"), b"precious\n");
    // A container reads from them and writes to them, in a process of its own.
    let output = output_of_a_copy(&wharf, stored.text().trim());
    let written = output["manifest_text"].as_str().expect("a manifest");
    let block = written.split_ascii_whitespace().nth(1).expect("a block")[..32].to_owned();
    assert!(s3.object("", &block).exists(), "{written}");
    // The bucket's server dies: reading goes on, and writing says what is wrong.
    s3.kill();
    let locator = stored.text().trim().to_owned();
    assert_eq!(wharf.api("GET", &format!("/{locator}"), None).expect(200).body, b"precious\n");
    let refused = put(&wharf, b"new").expect(503);
    assert!(refused.text().contains("volume far"), "{}", refused.text());
    assert!(!refused.text().contains("127.0.0.1"), "{}", refused.text());
    s3.start_again();
    put(&wharf, b"new").expect(200);
    // The bytes near went bad: those far away are given out.
    fs::write(near.join(&digits[..3]).join(&digits), b"preciouX\n").expect("a file");
    assert_eq!(wharf.api("GET", &format!("/{locator}"), None).expect(200).body, b"precious\n");
    assert!(!wharf.output().contains(SECRET_ACCESS_KEY));
    wharf.finish();
}

/// The output collection of a container that copies a file of a collection with this block.
fn output_of_a_copy(wharf: &Wharf, locator: &str) -> Value {
    wharf.import("busybox.docker.tar");
    let manifest = format!(". {locator} 0:9:file\n");
    let body = json!({"collection": {"manifest_text": manifest}});
    let input = wharf.api("POST", "/arvados/v1/collections", Some(&body)).expect(200).json();
    let body = json!({"container_request": {
        "state": "Committed", "priority": 500, "container_image": "busybox:latest",
        "command": ["sh", "-c", "cat /in/file /in/file > /out/twice"], "cwd": "/",
        "output_path": "/out", "use_existing": false,
        "runtime_constraints": {"vcpus": 1, "ram": 64 << 20},
        "mounts": {
            "/in": {"kind": "collection", "portable_data_hash": input["portable_data_hash"]},
            "/out": {"kind": "tmp", "capacity": 1 << 20},
        },
    }});
    let path = "/arvados/v1/container_requests";
    let request = wharf.api("POST", path, Some(&body)).expect(200).json();
    let path = format!("{path}/{}", request["uuid"].as_str().expect("a uuid"));
    let done = wait_for_some("the request to be final", RUN_TIMEOUT, || {
        let now = wharf.api("GET", &path, None).expect(200).json();
        (now["state"] == "Final").then_some(now)
    });
    let output = done["output_uuid"].as_str().expect("an output").to_owned();
    let path = format!("/arvados/v1/collections/{output}");
    wharf.api("GET", &path, None).expect(200).json()
}
