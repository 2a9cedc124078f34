//! Large bodies, whole and without collecting them anywhere.

use std::io::Write;

use testkit::pattern::{self, Digest};
use testkit::{Service, Wharf};

const GIB: u64 = 1 << 30;

/// Enough that windows and buffers have grown as far as they go.
const WARM_UP_BYTES: u64 = 128 << 20;
/// What a process may grow by however long a transfer is: some windows of a tunnel (4 MiB) that happen to be fuller than
/// in the warm-up, far below any body.
const GROWTH_KIB_MAX: u64 = 32 * 1024;

/// The most memory that a process has had resident, in KiB.
fn peak_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a live process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.expect("a process has a resident set")
}

fn download(service: &Service, n_bytes: u64) {
    let mut connection = service.ask("GET", &format!("/download?bytes={n_bytes}")).start();
    let head = connection.read_head();
    assert_eq!(head.header("Content-Length"), Some(n_bytes.to_string().as_str()));
    let (mut digest, mut n_read) = (Digest::new(), 0);
    while n_read < n_bytes {
        let piece = connection.read_some().expect("the body goes on");
        assert!(!piece.is_empty(), "cut off after {n_read} bytes");
        n_read += piece.len() as u64;
        digest.update(&piece);
    }
    assert_eq!((n_read, digest.hex()), (n_bytes, pattern::digest(n_bytes)));
}

fn upload(service: &Service, n_bytes: u64) {
    let request = service.ask("POST", "/upload").header("Content-Length", &n_bytes.to_string());
    let mut connection = request.start();
    pattern::each_block(n_bytes, |bytes| connection.try_send(bytes)).expect("the body is taken");
    let said = connection.read_reply().expect(200).json();
    assert_eq!(
        (&said["bytes"], &said["sha256"]),
        (&n_bytes.into(), &pattern::digest(n_bytes).into())
    );
}

/// Both ways one after the other; controller and supervisor stay as large as short transfers make them.
fn arrive_whole_and_are_never_held(direct_sockets: bool, n_bytes: u64) {
    let config = format!("Proxy: {{DirectSockets: {direct_sockets}}}\n");
    let wharf = Wharf::start_configured(&config);
    let service = wharf.app();
    let supervisor = wharf.supervisor_pid(&service.container).expect("a supervisor");
    let peaks = || [wharf.controller_pid(), supervisor].map(peak_kib);
    let both_ways = |n_bytes| {
        download(&service, n_bytes);
        upload(&service, n_bytes);
    };
    both_ways(WARM_UP_BYTES);
    let before = peaks();
    both_ways(n_bytes);
    let after = peaks();
    let has_grown = before.iter().zip(after).any(|(before, after)| after > before + GROWTH_KIB_MAX);
    assert!(!has_grown, "controller and supervisor: from {before:?} to {after:?} KiB");
    wharf.finish();
}

#[test]
fn one_gib_arrives_whole_both_ways_and_is_never_held() {
    arrive_whole_and_are_never_held(true, GIB);
}

#[test]
fn one_gib_arrives_whole_both_ways_through_a_tunnel_and_is_never_held() {
    arrive_whole_and_are_never_held(false, GIB);
}

#[test]
#[ignore = "takes minutes: cargo xtask test --slow"]
fn eight_gib_arrive_whole_both_ways_and_are_never_held() {
    arrive_whole_and_are_never_held(true, 8 * GIB);
}

#[test]
#[ignore = "takes minutes: cargo xtask test --slow"]
fn eight_gib_arrive_whole_both_ways_through_a_tunnel_and_are_never_held() {
    arrive_whole_and_are_never_held(false, 8 * GIB);
}

#[test]
fn a_reader_that_stalls_does_not_stop_the_others() {
    let wharf = Wharf::start();
    let service = wharf.app();
    let stalled: Vec<_> = (0..20)
        .map(|_| {
            let mut connection = service.ask("GET", "/download?bytes=100000000").start();
            assert_eq!(connection.read_head().status, 200);
            connection
        })
        .collect();
    for number in 0..100 {
        let reply = service.get(&format!("/{number}")).expect(200);
        assert!(reply.text().starts_with(&format!("GET /{number} ")));
    }
    drop(stalled);
    wharf.finish();
}

#[test]
fn an_upload_that_breaks_off_breaks_off_at_the_app_too() {
    let wharf = Wharf::start();
    let service = wharf.app();
    let mut connection = service.ask("POST", "/upload").header("Content-Length", "1000000").start();
    connection.send(&[b'x'; 1000]);
    let mut stream = connection.into_stream();
    stream.flush().expect("flushed");
    drop(stream);
    // The app is free again: it answers, and no thread of it waits for the rest.
    testkit::wait_for("the app to give the upload up", testkit::BOUND, || {
        service.shell("ls /proc/$PPID/task | wc -l").trim().parse::<u32>().is_ok_and(|n| n <= 4)
    });
    wharf.finish();
}
