//! Blocks and collections: what was acknowledged survives a kill, what went bad is never given out.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use md5::{Digest as _, Md5};
use serde_json::json;
use testkit::http::{Connection, Reply, Request};
use testkit::{Wharf, wait_for};

const COLLECTIONS: &str = "/arvados/v1/collections";

/// Bytes that no other number has.
fn content(number: usize) -> Vec<u8> {
    let line = format!("block number {number}\n");
    line.repeat(1 + number % 20_000).into_bytes()
}

fn put(port: u16, token: &str, bytes: &[u8]) -> std::io::Result<Option<String>> {
    let target = format!("/{}", hash(bytes));
    let request = Request::new(port, &format!("localhost:{port}"), "PUT", &target).bearer(token);
    let reply = request.body(bytes).try_send()?;
    Ok((reply.status() == 200).then(|| reply.text().trim().to_owned()))
}

fn get(wharf: &Wharf, locator: &str) -> Reply {
    wharf.api("GET", &format!("/{locator}"), None)
}

/// What a block is called.
fn hash(bytes: &[u8]) -> String {
    Md5::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn acknowledged_blocks_and_collections_survive_a_kill() {
    let mut wharf = Wharf::start();
    let acknowledged: Arc<Mutex<Vec<(usize, String)>>> = Arc::default();
    let is_over = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..4_usize)
        .map(|writer| {
            let (acknowledged, is_over) = (Arc::clone(&acknowledged), Arc::clone(&is_over));
            let (port, token) = (wharf.port(), wharf.token().to_owned());
            std::thread::spawn(move || {
                for number in (writer..).step_by(4) {
                    if is_over.load(Ordering::Relaxed) {
                        return;
                    }
                    // A broken connection is no answer; the kill breaks some.
                    if let Ok(Some(locator)) = put(port, &token, &content(number)) {
                        acknowledged.lock().expect("a lock").push((number, locator));
                    }
                }
            })
        })
        .collect();
    let has = |n| acknowledged.lock().expect("a lock").len() >= n;
    wait_for("some blocks to be stored", testkit::BOUND, || has(10));
    let (number, locator) = acknowledged.lock().expect("a lock")[0].clone();
    let size = content(number).len();
    let manifest = format!(". {locator} 0:{size}:x\n");
    let body = json!({"collection": {"name": "survives", "manifest_text": manifest}});
    let collection = wharf.api("POST", COLLECTIONS, Some(&body)).expect(200).json();
    wait_for("more blocks to be stored", testkit::BOUND, || has(30));
    wharf.kill_controller();
    is_over.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.join().expect("a writer ends");
    }
    let _serving = wharf.restart_controller();
    let acknowledged = acknowledged.lock().expect("a lock").clone();
    for (number, locator) in &acknowledged {
        let reply = get(&wharf, locator).expect(200);
        assert!(reply.body == content(*number), "block {number} changed");
    }
    let path = format!("{COLLECTIONS}/{}", collection["uuid"].as_str().expect("a uuid"));
    let found = wharf.api("GET", &path, None).expect(200).json();
    assert_eq!(found["portable_data_hash"], collection["portable_data_hash"]);
    wharf.finish();
}

#[test]
fn a_flipped_byte_is_an_error_and_no_bytes() {
    let wharf = Wharf::start();
    let bytes = content(5000);
    let name = hash(&bytes);
    let locator = put(wharf.port(), wharf.token(), &bytes).expect("an answer").expect("stored");
    get(&wharf, &locator).expect(200);
    let file = wharf.data().join("keep").join(&name[..3]).join(&name);
    let mut stored = std::fs::read(&file).expect("the block's file");
    let middle = stored.len() / 2;
    stored[middle] ^= 0x10;
    std::fs::write(&file, stored).expect("writing it back");
    let refused = get(&wharf, &locator).expect(422);
    assert!(refused.text().contains("corrupt"), "{}", refused.text());
    assert!(!refused.text().contains("block number"), "{}", refused.text());
    // Whoever has the bytes heals it.
    put(wharf.port(), wharf.token(), &bytes).expect("an answer").expect("stored");
    assert!(get(&wharf, &locator).expect(200).body == bytes);
    wharf.finish();
}

#[test]
fn a_client_that_waits_for_100_is_told_at_once() {
    let wharf = Wharf::start();
    let bytes = content(3);
    let target = format!("/{}", hash(&bytes));
    let head = Request::new(wharf.port(), &wharf.api_host(), "PUT", &target)
        .bearer(wharf.token())
        .header("Expect", "100-continue")
        .header("Content-Length", &bytes.len().to_string());
    let mut connection = Connection::open(wharf.port());
    connection.give_up_after(Duration::from_secs(5));
    connection.send(&head.head_bytes());
    assert_eq!(connection.read_head().status, 100);
    connection.send(&bytes);
    let reply = connection.read_reply().expect(200);
    assert_eq!(reply.header("X-Keep-Replicas-Stored"), Some("2"));
    wharf.finish();
}
