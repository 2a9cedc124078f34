//! What can't run: the record says why, in words, and nothing is left.

use std::path::Path;
use std::process::Command;

use serde_json::json;
use testkit::{Launch, Options, Wharf, wait_for};

fn words(record: &serde_json::Value) -> String {
    let status = &record["runtime_status"];
    let words =
        [&status["error"], &status["activity"]].map(|text| text.as_str().unwrap_or_default());
    words.concat()
}

#[test]
fn a_command_that_does_not_exist_is_named() {
    let wharf = Wharf::start();
    wharf.import("testapp.docker.tar");
    for command in ["no-such-program", "/etc/passwd", "/bin"] {
        let launch = Launch { command: vec![command.to_owned()], ..Launch::default() };
        let record = wharf.submit(&launch).wait_over(&wharf);
        assert!(words(&record).contains(command), "{command}: {record}");
    }
    wharf.finish();
}

#[test]
fn a_working_folder_or_user_that_does_not_exist_is_named() {
    let wharf = Wharf::start();
    wharf.import("testapp.docker.tar");
    let launch = Launch { more: json!({"cwd": "/no/such/folder"}), ..Launch::default() };
    let record = wharf.submit(&launch).wait_over(&wharf);
    assert!(words(&record).contains("/no/such/folder"), "{record}");
    wharf.finish();
}

#[test]
fn an_image_that_is_not_there_is_named() {
    let wharf = Wharf::start();
    let launch = Launch { image: "nowhere/nothing:1".to_owned(), ..Launch::default() };
    let path = "/arvados/v1/container_requests";
    let reply = wharf.api("POST", path, Some(&launch.request()));
    let said = if reply.status() == 422 {
        reply.text()
    } else {
        words(&wharf.submit(&launch).wait_over(&wharf))
    };
    assert!(said.contains("nowhere/nothing:1"), "{said}");
    wharf.finish();
}

#[test]
fn an_app_that_ignores_sigterm_is_killed_after_the_grace_period() {
    let wharf = Wharf::start_configured("Containers: {StopGrace: 1s}\n");
    let service = wharf.launch(&Launch::script("trap '' TERM; exec testkit-app"));
    let begin = std::time::Instant::now();
    service.cancel(&wharf);
    let record = service.wait_over(&wharf);
    assert!(begin.elapsed().as_secs() < 15, "{:?}", begin.elapsed());
    assert_eq!(record["state"], "Cancelled");
    assert!(words(&record).contains("killed"), "{record}");
    wharf.finish();
}

#[test]
fn an_app_that_handles_sigterm_may_finish_its_work() {
    let wharf = Wharf::start();
    let script = "trap 'echo saved; exit 0' TERM; testkit-app & while true; do wait; done";
    let service = wharf.launch(&Launch::script(script));
    service.cancel(&wharf);
    let record = service.wait_over(&wharf);
    assert_eq!(record["state"], "Cancelled");
    assert!(service.logs(&wharf).contains("saved"), "{}", service.logs(&wharf));
    wharf.finish();
}

#[test]
fn processes_that_a_command_leaves_behind_go_with_the_container() {
    let wharf = Wharf::start();
    wharf.import("testapp.docker.tar");
    let script = "setsid sleep 1000 & (setsid sh -c 'trap \"\" TERM; sleep 1000' &) ; exit 0";
    let record = wharf.submit(&Launch::script(script)).wait_over(&wharf);
    assert_eq!(record["exit_code"], 0, "{record}");
    wharf.finish();
}

#[test]
fn a_memory_limit_that_is_passed_is_told() {
    if !limits_work() {
        eprintln!("this machine delegates no memory control group: nothing to see");
        return;
    }
    let wharf = Wharf::start();
    wharf.import("testapp.docker.tar");
    let mut launch = Launch::script("x=xxxxxxxxxxxxxxxx; while true; do x=$x$x; done");
    launch.more = json!({"runtime_constraints": {"vcpus": 1, "ram": 33_554_432}});
    let record = wharf.submit(&launch).wait_over(&wharf);
    assert!(words(&record).contains("memory"), "{record}");
    wharf.finish();
}

/// Root of a machine with a memory controller of either version.
fn limits_work() -> bool {
    Path::new("/sys/fs/cgroup/memory/memory.limit_in_bytes").exists()
        || std::fs::read_to_string("/sys/fs/cgroup/cgroup.controllers")
            .is_ok_and(|controllers| controllers.contains("memory"))
}

/// A small file system of its own, unmounted at the end.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn new(size: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let options = format!("size={size},mode=0755");
        let mount = ["-t", "tmpfs", "-o", &options, "wharf-test"];
        let status = Command::new("mount").args(mount).arg(folder.path()).status();
        assert!(status.is_ok_and(|status| status.success()), "mounting a tmpfs needs root");
        Self(folder)
    }

    fn fill(&self) {
        let block = vec![b'x'; 4096];
        let mut file = std::fs::File::create(self.0.path().join("filler")).expect("a file");
        while std::io::Write::write_all(&mut file, &block).is_ok() {}
    }

    /// Takes some of it.
    fn take(&self, bytes: usize) {
        let path = self.0.path().join("filler");
        std::fs::write(path, vec![b'x'; bytes]).expect("there is room for it");
    }

    fn free(&self) {
        std::fs::remove_file(self.0.path().join("filler")).expect("the filler is there");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _gone = Command::new("umount").arg("--lazy").arg(self.0.path()).status();
    }
}

#[test]
fn a_full_disk_loses_nothing_and_says_what_is_wrong() {
    let disk = SmallDisk::new("64m");
    let data = disk.0.path().join("data");
    let wharf = Wharf::start_with(Options { data: Some(data), ..Options::default() });
    let service = wharf.app();
    disk.fill();
    // What runs goes on being served.
    let _served = service.get("/").expect(200);
    // A new launch can't be stored or can't be prepared: either way it says so.
    let path = "/arvados/v1/container_requests";
    let reply = wharf.api("POST", path, Some(&Launch::default().request()));
    if reply.status() == 200 {
        let uuid = reply.json()["container_uuid"].as_str().expect("a container").to_owned();
        let said = testkit::wait_for_some("the refusal", testkit::BOUND, || {
            let record = wharf.api("GET", &format!("/arvados/v1/containers/{uuid}"), None).json();
            Some(words(&record)).filter(|said| !said.is_empty())
        });
        assert!(said.contains("space") || said.contains("full"), "{said}");
    } else {
        let said = reply.text();
        assert!(reply.status() >= 500, "{} {said}", reply.status());
        assert!(said.contains("space") || said.contains("full") || said.contains("disk"), "{said}");
    }
    let import = wharf.cli(&[
        "image",
        "import",
        &testkit::images::archive("busybox.docker.tar").to_string_lossy(),
    ]);
    assert_eq!(import.code, Some(1), "{}", import.stdout);
    let said = import.stderr.to_lowercase();
    assert!(said.contains("space") || said.contains("full"), "{said}");
    disk.free();
    wait_for("the service's record to be as it was", testkit::BOUND, || {
        service.record(&wharf)["state"] == "Running"
    });
    wharf.import("busybox.docker.tar");
    let again = wharf.submit(&Launch::default());
    again.wait_ready(&wharf);
    wharf.finish();
}

/// With a `tmp` mount that asks for this much room.
fn asking_for(mib: u64) -> Launch {
    let mounts = json!({
        "/out": {"kind": "tmp", "capacity": 1000},
        "/scratch": {"kind": "tmp", "capacity": mib << 20},
    });
    Launch { more: json!({"output_path": "/out", "mounts": mounts}), ..Launch::default() }
}

#[test]
fn a_container_waits_for_the_room_that_its_tmp_mounts_ask_for() {
    let disk = SmallDisk::new("128m");
    let data = disk.0.path().join("data");
    let config = "Containers: {ScratchOvercommit: 2}\n".to_owned();
    let options = Options { data: Some(data), config: Some(config), ..Options::default() };
    let wharf = Wharf::start_with(options);
    wharf.import("testapp.docker.tar");
    disk.take(80 << 20);
    // Of 128 MiB, 48 at most are free, which count twice; the whole disk would do.
    let service = wharf.submit(&asking_for(120));
    let path = format!("/arvados/v1/container_requests/{}/container_status", service.request);
    wait_for("words about the room", testkit::BOUND, || {
        let status = wharf.api("GET", &path, None).expect(200).json();
        let words = status["scheduling_status"].as_str().unwrap_or_default().to_owned();
        words.contains("waiting for disk space: its tmp mounts ask for 120 MiB")
            && words.contains("Containers.ScratchOvercommit")
    });
    assert_eq!(service.record(&wharf)["state"], "Queued");
    // Who asks for less is not held up.
    let small = wharf.submit(&asking_for(1));
    small.wait_ready(&wharf);
    assert_eq!(service.record(&wharf)["state"], "Queued");
    disk.free();
    service.wait_ready(&wharf);
    let _page = service.get("/").expect(200);
    // More than twice the whole disk will never be there.
    let record = wharf.submit(&asking_for(300)).wait_over(&wharf);
    assert!(words(&record).contains("tmp mounts ask for 300 MiB together"), "{record}");
    wharf.finish();
}

#[test]
fn an_app_that_fills_its_disk_harms_itself_alone() {
    let disk = SmallDisk::new("64m");
    let data = disk.0.path().join("data");
    let wharf = Wharf::start_with(Options { data: Some(data), ..Options::default() });
    let service = wharf.app();
    let said = service.shell("dd if=/dev/zero of=/root/fill bs=1M count=200 2>&1; true");
    assert!(said.contains("No space left"), "{said}");
    let _served = service.get("/").expect(200);
    let _status = wharf.api("GET", "/arvados/v1/users/current", None).expect(200);
    let _freed = service.shell("rm /root/fill");
    service.cancel(&wharf);
    let record = service.wait_over(&wharf);
    assert_eq!(record["state"], "Cancelled", "{record}");
    wharf.finish();
}

#[test]
fn a_chatty_app_does_not_fill_the_disk() {
    let wharf = Wharf::start_configured("Containers: {LogBytesMax: 1MiB}\n");
    let service = wharf.app();
    let _chatter =
        service.shell("(yes 'a line that says little' | head -c 20000000) > /proc/$PPID/fd/1");
    let log = wharf.container_folder(&service.container).join("log");
    testkit::wait_for("the log to be cut", testkit::BOUND, || {
        let sizes = std::fs::read_dir(&log).into_iter().flatten().flatten();
        sizes.filter_map(|entry| Some(entry.metadata().ok()?.len())).sum::<u64>() < 4 * 1024 * 1024
    });
    let _served = service.get("/").expect(200);
    wharf.finish();
}

#[test]
fn a_second_wharf_on_the_same_data_is_refused() {
    let wharf = Wharf::start();
    let mut command = wharf.command();
    command.args(["up", "--listen", "127.0.0.1:0", "--data"]).arg(wharf.data());
    let output = command.output().expect("wharf runs");
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stdout));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains(&*wharf.data().to_string_lossy()), "{said}");
    let taken = format!("127.0.0.1:{}", wharf.port());
    let mut command = wharf.command();
    command.args(["up", "--listen", &taken, "--data"]).arg(wharf.home().join("other"));
    let output = command.output().expect("wharf runs");
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stdout));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains(&taken) && said.contains("--listen"), "{said}");
    wharf.finish();
}
