//! What a container cannot do or see.

use crate::fixture::{SOON, Site};
use crate::harness::{is_root, tests};

tests![
    the_hosts_devices_keep_their_modes,
    there_is_no_way_out_but_loopback,
    nothing_of_ours_leaks_into_it,
    process_1_is_closed_to_the_command,
    the_executable_on_the_host_is_out_of_reach,
    mounts_and_namespaces_are_refused,
    capabilities_are_few_and_privileges_final,
    the_kernels_own_files_are_masked,
    the_host_is_out_of_sight,
    two_containers_do_not_reach_each_other,
];

async fn there_is_no_way_out_but_loopback() {
    let site = Site::new().await;
    let script = "ls /sys/class/net 2>/dev/null || tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' '; \
        cat /proc/net/route | tail -n +2; nc -w 2 169.254.169.254 80 < /dev/null || echo unreachable; \
        nslookup example.com 2>&1 | grep -qi 'refused\\|timed out\\|can.t' && echo no names; \
        ping -c 1 -W 1 127.0.0.1 2>&1 | grep -i 'not permitted\\|denied'";
    let (text, _) = site.output("c", script).await;
    assert!(text.starts_with("lo\n"), "{text}");
    assert!(text.contains("unreachable") && text.contains("no names"), "{text}");
    assert!(text.to_lowercase().contains("permitted") || text.contains("denied"), "{text}");
}

async fn nothing_of_ours_leaks_into_it() {
    // Set for this process at its start, before any thread: see `endings::play_role`'s caller.
    let site = Site::new().await;
    let script = "env; for p in /proc/[0-9]*; do cat $p/environ 2>/dev/null | tr '\\0' '\\n'; \
        tr '\\0' ' ' < $p/cmdline; ls -l $p/fd 2>/dev/null; done; cat /proc/self/mountinfo";
    let (text, _) = site.output("c", script).await;
    for ours in ["CARGO", "WHARF", "LD_LIBRARY_PATH", site.dir.path().to_str().expect("text")] {
        assert!(!text.contains(ours), "{ours} in {text}");
    }
    // Of descriptors the command has the usual three (and the shell opens).
    let (text, _) = site
        .output("d", "for n in 3 4 5 6 7 8 9 11 12 251; do readlink /proc/$$/fd/$n; done; echo end")
        .await;
    assert_eq!(text, "end\n");
}

async fn process_1_is_closed_to_the_command() {
    let site = Site::new().await;
    let script = "for f in environ mem maps auxv; do cat /proc/1/$f 2>/dev/null && echo read $f; done; \
        for f in exe cwd root fd/0 fd/3 ns/mnt; do readlink /proc/1/$f; done; ls /proc/1/root/ 2>/dev/null; \
        kill -KILL 1; kill -STOP 1; sleep 0.1; echo alive";
    for user in ["root", "web"] {
        let (text, exit) = site.shell(&format!("c-{user}"), script).user(user).output().await;
        let said: String =
            text.lines().filter(|line| !line.starts_with("sh:")).collect::<Vec<_>>().join("\n");
        assert_eq!(said, "alive", "{user}: {text}");
        assert_eq!(exit.status, runtime::ExitStatus::Code(0));
    }
}

/// CVE-2019-5736: whatever way a container finds to our executable, the mount it came by is
/// read-only.
async fn the_executable_on_the_host_is_out_of_reach() {
    let site = Site::new().await;
    let handle = site.shell("c", "sleep 100").start().await.expect("it starts");
    if is_root() {
        // Root on the host may look at what a container could only hope for.
        let flags = rustix::fs::OFlags::PATH | rustix::fs::OFlags::CLOEXEC;
        let path = format!("/proc/{}/exe", handle.pid());
        let exe = rustix::fs::open(path, flags, rustix::fs::Mode::empty()).expect("opened");
        let mount = rustix::fs::fstatvfs(&exe).expect("looked at").f_flag;
        assert!(mount.contains(rustix::fs::StatVfsMountFlags::RDONLY));
        // The way of the attack: open for reading, then again for writing once it is not busy.
        let again = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&exe));
        let error = std::fs::File::options().write(true).open(again).expect_err("refused");
        assert!(matches!(error.raw_os_error(), Some(libc::EROFS | libc::ETXTBSY)), "{error}");
    }
    handle.cleanup().await;
    // A script that names the executable as its interpreter, as the attack does, gets nowhere.
    let mut draft = site.container("d", &["/tmp/evil"]);
    let layer = site.dir.path().join("evil");
    std::fs::create_dir_all(layer.join("tmp")).expect("a directory");
    std::fs::write(layer.join("tmp/evil"), "#!/proc/self/exe\n").expect("a file");
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(layer.join("tmp/evil"), executable).expect("a mode");
    draft.spec.layers.insert(0, layer);
    // Our test program needs a loader that busybox's image lacks; static ones would run and end.
    match draft.start().await {
        Err(error) => assert!(error.to_string().contains("/proc/self/exe"), "{error}"),
        Ok(handle) => assert_ne!(handle.wait().await.status, runtime::ExitStatus::Code(0)),
    }
}

async fn mounts_and_namespaces_are_refused() {
    let site = Site::new().await;
    let script = "mount -t tmpfs x /tmp; umount /proc; umount /dev/shm; unshare -r true; unshare -n true; \
        unshare -m true; mknod /tmp/disk b 254 0; chroot / true && echo chroot; \
        nsenter -t 1 -m true; hostname evil; swapoff -a; dmesg; date -s 2000-01-01; echo end";
    let (text, _) = site.output("c", script).await;
    for (call, times) in
        [("mount:", 1), ("umount:", 2), ("unshare:", 3), ("mknod:", 1), ("dmesg:", 1)]
    {
        assert_eq!(
            text.matches(&format!("{call} ")).count()
                - usize::from(call == "mount:") * text.matches("umount: ").count(),
            times,
            "{call} {text}"
        );
    }
    assert!(text.contains("nsenter: ") && text.contains("hostname: "), "{text}");
    assert!(text.contains("date: can't set") && text.contains("end"), "{text}");
}

async fn capabilities_are_few_and_privileges_final() {
    let site = Site::new().await;
    let script = "grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status";
    let (text, _) = site.output("c", script).await;
    // Docker's default set 0xa80425fb without NET_RAW (13) and MKNOD (27).
    let set = format!("{:016x}", 0xa804_25fb_u64 & !(1 << 13) & !(1 << 27));
    for line in ["CapEff", "CapPrm", "CapBnd"] {
        assert!(text.contains(&format!("{line}:\t{set}")), "{line} {text}");
    }
    assert!(
        text.contains("CapInh:\t0000000000000000") && text.contains("CapAmb:\t0000000000000000")
    );
    assert!(text.contains("NoNewPrivs:\t1") && text.contains("Seccomp:\t2"), "{text}");
    let (text, _) = site.shell("d", script).user("web").output().await;
    assert_eq!(text.matches(":\t0000000000000000").count(), 5, "{text}");
}

async fn the_kernels_own_files_are_masked() {
    let site = Site::new().await;
    let script = "wc -c < /proc/kcore 2>/dev/null; cat /proc/keys /proc/timer_list; ls /proc/acpi /sys/firmware; \
        echo 1 > /proc/sys/kernel/panic; echo b > /proc/sysrq-trigger; echo x > /sys/kernel/uevent_helper; \
        echo /tmp/x > /proc/sys/kernel/core_pattern; ls /dev; [ -w /dev/null ] && echo null; tty; \
        head -c 3 /dev/urandom | wc -c; echo shm > /dev/shm/x && echo shm; touch /dev/x || echo dev";
    let (text, _) = site.output("c", script).await;
    assert!(
        text.matches("Read-only file system").count() + text.matches("Permission denied").count()
            >= 3,
        "{text}"
    );
    let devices: Vec<_> = text
        .lines()
        .filter(|line| {
            ["full", "null", "ptmx", "pts", "random", "shm", "tty", "urandom", "zero"]
                .contains(line)
        })
        .collect();
    assert_eq!(devices.len(), 11, "{text}"); // "null" and "shm" once more, from the checks
    assert!(!text.contains("vda") && !text.contains("sda"), "{text}");
}

async fn the_host_is_out_of_sight() {
    let site = Site::new().await;
    let script = "hostname; cat /etc/hosts; ps | wc -l; echo $$; ls /; cat /proc/self/cgroup; ls /proc/1/root/";
    let (text, _) = site.output("c", script).await;
    assert!(text.starts_with("box\n127.0.0.1 localhost box\n"), "{text}");
    assert!(!text.contains("wharf-"), "{text}");
    assert!(!text.contains("process_api"), "{text}");
}

async fn two_containers_do_not_reach_each_other() {
    let site = Site::new().await;
    let (server, _output) =
        site.shell("a", "exec httpd -f -p 0.0.0.0:8000 -h /www").start_with_output().await;
    let dialer = server.dialer();
    let connected = || async { dialer.dial(8000).await.ok() };
    lifecycle::wait_for("the server", SOON, connected).await.expect("it serves");
    let (text, _) = site.output("b", "nc -w 2 127.0.0.1 8000 < /dev/null || echo refused").await;
    assert!(text.contains("refused"), "{text}");
    // Nor does a process of the node.
    assert!(tokio::net::TcpStream::connect("127.0.0.1:8000").await.is_err() || text.is_empty());
    server.cleanup().await;
}

async fn the_hosts_devices_keep_their_modes() {
    let site = Site::new().await;
    let script = "chmod 600 /dev/null; chown 1:1 /dev/zero; ls -ln /dev/null /dev/zero /dev/random; \
        echo x > /dev/null && echo works; cat /dev/null";
    let (text, _) = site.output("c", script).await;
    assert!(text.contains("works") && text.matches("crw-rw-rw-").count() == 3, "{text}");
    use std::os::unix::fs::MetadataExt as _;
    let host = std::fs::metadata("/dev/null").expect("there");
    assert_eq!((host.mode() & 0o777, host.uid()), (0o666, 0));
}
