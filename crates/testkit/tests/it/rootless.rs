//! Everything again as a user without rights.

use testkit::{Launch, Options, Wharf};

/// A user whom no machine knows by name.
const NOBODY_WE_KNOW: u32 = 54_321;

fn rootless() -> Wharf {
    Wharf::start_with(Options { uid: Some(NOBODY_WE_KNOW), ..Options::default() })
}

#[test]
fn a_service_runs_and_answers_without_root() {
    let wharf = rootless();
    let service = wharf.app();
    let reply = service.ask("POST", "/x").body("hello").send().expect(200);
    assert!(reply.text().contains("hello"), "{}", reply.text());
    let mut socket = service.websocket("/ws");
    let message = testkit::websocket::tungstenite::Message::text("ping");
    socket.send(message.clone()).expect("sent");
    assert_eq!(socket.read().expect("echoed"), message);
    // What is written by root inside belongs to the ordinary user outside.
    let _made = service.shell("echo x > /root/made");
    service.cancel(&wharf);
    let record = service.wait_over(&wharf);
    assert_eq!(record["state"], "Cancelled", "{record}");
    wharf.finish();
}

#[test]
fn batch_and_doctor_work_without_root() {
    let wharf = rootless();
    wharf.import("busybox.oci.tar");
    let done =
        wharf.cli(&["run", "--batch", "--image", "busybox", "--", "sh", "-c", "echo ok; exit 5"]);
    assert_eq!(done.code, Some(5), "{} {}", done.stdout, done.stderr);
    assert!(done.stdout.contains("ok"), "{}", done.stdout);
    let doctor = wharf.cli(&["doctor"]);
    assert!(matches!(doctor.code, Some(0 | 1)), "{}", doctor.stderr);
    assert!(doctor.stdout.to_lowercase().contains("user namespace"), "{}", doctor.stdout);
    wharf.finish();
}

#[test]
fn services_live_through_a_kill_of_the_controller_without_root_too() {
    let mut wharf = rootless();
    let service = wharf.app();
    wharf.kill_controller();
    let _time = wharf.restart_controller();
    testkit::wait_for("the same address to answer", testkit::BOUND, || {
        service.get("/").status() == 200
    });
    wharf.finish();
}

#[test]
fn a_rootless_container_is_still_cut_off() {
    let wharf = rootless();
    let service = wharf.launch(&Launch::default());
    assert_eq!(service.shell("tail -n +3 /proc/net/dev | cut -d: -f1").trim(), "lo");
    let secret = wharf.token().rsplit('/').next().unwrap_or_default().to_owned();
    let seen = service.shell("cat /proc/[0-9]*/environ | tr '\\0' '\\n'");
    assert!(!seen.contains(&secret), "{seen}");
    wharf.finish();
}
