//! The container's root directory: the image's layers under a writable one, the kernel's file
//! systems, a handful of devices, and the host's directories that were asked for.
//!
//! In two parts, as the host's files go out of view between them: first every mount is made as a
//! descriptor, then the root is changed, then the mounts are put in their places, where paths can
//! only mean the container's own.

use super::mounts::{self, KERNEL, PLAIN, Root};
use crate::error::StartError;
use crate::spec::TextFile;
use crate::wire::ShimSpec;
use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{MountAttrFlags, MountFlags, UnmountFlags};
use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};

const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];
const DEV_LINKS: [(&str, &str); 5] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
];
/// What is not namespaced and tells of, or changes, the host. As under other runtimes.
const PROC_HIDDEN: [&str; 11] = [
    "acpi",
    "asound",
    "interrupts",
    "kcore",
    "keys",
    "latency_stats",
    "sched_debug",
    "scsi",
    "timer_list",
    "timer_stats",
    "kallsyms",
];
const PROC_READ_ONLY: [&str; 5] = ["bus", "fs", "irq", "sys", "sysrq-trigger"];
const SYS_HIDDEN: [&str; 3] = ["firmware", "devices/virtual/powercap", "kernel/debug"];

/// Changes this process's root to the container's.
pub(super) fn enter(spec: &ShimSpec, scratch: &Path) -> Result<(), StartError> {
    let step = |step: &'static str| move |errno: Errno| StartError::step(step, errno);
    let parts = Parts::make(spec)?;
    let merged = scratch.join("merged");
    mount_layers(spec, scratch, &merged)?;
    rustix::process::chdir(&merged).map_err(step("enter the container's root"))?;
    change_root().map_err(step("change the root"))?;
    let root = Root::open().map_err(step("open the container's root"))?;
    parts.put_in_place(&root)?;
    parts.put_files(&root, &spec.files)?;
    rustix::system::sethostname(spec.hostname.as_bytes()).map_err(step("set the host name"))?;
    write_names(&root, &spec.hostname)
        .map_err(|errno| full_or_step(errno, "write /etc/hosts", scratch))
}

/// One overlay of all layers. They are named by descriptors: any character may be in their paths,
/// and 128 of them fit into the one page that the kernel takes.
fn mount_layers(spec: &ShimSpec, scratch: &Path, merged: &Path) -> Result<(), StartError> {
    let open = |path: &Path| {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        rustix::fs::open(path, flags, Mode::empty())
    };
    let mut opened = Vec::new();
    let mut name = |path: PathBuf| -> Result<String, StartError> {
        let missing = |_| StartError::LayerMissing { path: path.clone() };
        opened.push(open(&path).map_err(missing)?);
        Ok(format!("/proc/self/fd/{}", opened[opened.len() - 1].as_raw_fd()))
    };
    let lower: Result<Vec<_>, _> = spec.layers.iter().map(|layer| name(layer.clone())).collect();
    let (lower, upper) = (lower?.join(":"), name(scratch.join("upper"))?);
    let work = name(scratch.join("work"))?;
    let paths = format!("lowerdir={lower},upperdir={upper},workdir={work}");
    // `userxattr`: marks in layers and in the upper directory are attributes that an ordinary
    // user may set. `volatile`: the upper directory does not outlive the container, so what the
    // container syncs need not reach the disk. Kernels before 5.11 know neither.
    let variants = ["userxattr,volatile", "userxattr", ""];
    let mut result = Err(Errno::INVAL);
    for variant in variants {
        let separator = if variant.is_empty() { "" } else { "," };
        let options = CString::new(format!("{paths}{separator}{variant}"))
            .map_err(|error| StartError::step("describe the image's layers", error))?;
        let flags = MountFlags::NOSUID | MountFlags::NODEV;
        result = rustix::mount::mount("overlay", merged, "overlay", flags, options.as_c_str());
        if result != Err(Errno::INVAL) {
            break;
        }
    }
    let step = match result {
        Err(Errno::INVAL) => {
            "mount the image's layers (overlayfs; its writable part cannot be on NFS, for one)"
        }
        _ => "mount the image's layers (overlayfs)",
    };
    result.map_err(|errno| full_or_step(errno, step, scratch))
}

fn full_or_step(errno: Errno, step: &str, scratch: &Path) -> StartError {
    match errno {
        Errno::NOSPC | Errno::DQUOT => StartError::DiskFull { path: scratch.to_owned() },
        errno => StartError::step(step, io::Error::from(errno)),
    }
}

/// Makes the working directory, which is a mount, the root, and lets go of the old one
/// (pivot_root(2), "pivot_root(".", ".")").
fn change_root() -> rustix::io::Result<()> {
    match rustix::process::pivot_root(".", ".") {
        Ok(()) => {
            // The old root now lies on top of the new one.
            rustix::mount::unmount(".", UnmountFlags::DETACH)?;
        }
        // The initial RAM disk, from which diskless nodes run, cannot be pivoted away.
        Err(Errno::INVAL) => {
            rustix::mount::mount_move(".", "/")?;
            rustix::process::chroot(".")?;
        }
        Err(errno) => return Err(errno),
    }
    rustix::process::chdir("/")
}

/// Mounts that wait for their places.
struct Parts {
    proc: OwnedFd,
    dev: OwnedFd,
    devices: Vec<(&'static str, OwnedFd)>,
    terminals: OwnedFd,
    shared_memory: OwnedFd,
    queues: Option<OwnedFd>,
    sys: Option<OwnedFd>,
    cgroup: Option<OwnedFd>,
    empty: OwnedFd,
    binds: Vec<(OwnedFd, FileType, PathBuf, String)>,
}

impl Parts {
    /// To be called while the host's files are in view: without a whole `/proc` in view the
    /// kernel mounts none in a user namespace.
    fn make(spec: &ShimSpec) -> Result<Self, StartError> {
        let step = |name: &'static str| {
            move |errno: Errno| StartError::step(format!("mount {name}"), io::Error::from(errno))
        };
        // Read-only keeps a container's root from changing modes and owners of the host's
        // devices; reading and writing through them is another matter.
        let device = |name: &'static str| {
            let view = mounts::view(&Path::new("/dev").join(name), false)?;
            mounts::restrict(&view, libc::MOUNT_ATTR_RDONLY, false).map(|()| (name, view))
        };
        let devices: Result<_, _> = DEVICES.into_iter().map(device).collect();
        let read_only = KERNEL | MountAttrFlags::MOUNT_ATTR_RDONLY;
        // The texts pass through it.
        let dev_size = (64 << 10) + text_bytes(&spec.files);
        let dev_size = dev_size.to_string();
        let dev_options = [("mode", "755"), ("size", dev_size.as_str()), ("nr_inodes", "1k")];
        let pts_options = [("ptmxmode", "0666"), ("mode", "0620")];
        let memory = spec.limits.memory_bytes.map(|bytes| bytes.to_string());
        let mut shm_options = vec![("mode", "1777")];
        shm_options.extend(memory.as_deref().map(|bytes| ("size", bytes)));
        Ok(Self {
            proc: mounts::filesystem("proc", &[], KERNEL).map_err(step("/proc"))?,
            dev: mounts::filesystem("tmpfs", &dev_options, KERNEL).map_err(step("/dev"))?,
            devices: devices.map_err(step("the devices"))?,
            terminals: mounts::filesystem(
                "devpts",
                &pts_options,
                MountAttrFlags::MOUNT_ATTR_NOSUID,
            )
            .map_err(step("/dev/pts"))?,
            shared_memory: mounts::filesystem("tmpfs", &shm_options, KERNEL)
                .map_err(step("/dev/shm"))?,
            // Kernels are built without message queues, and nested containers may not see all of
            // /sys; few programs miss either.
            queues: mounts::filesystem("mqueue", &[], KERNEL).ok(),
            sys: mounts::filesystem("sysfs", &[], read_only).ok(),
            cgroup: own_cgroup(read_only),
            empty: mounts::filesystem("tmpfs", &[("size", "0"), ("mode", "555")], read_only)
                .map_err(step("an empty directory"))?,
            binds: spec.mounts.iter().map(bind).collect::<Result<_, _>>()?,
        })
    }

    fn put_in_place(&self, root: &Root) -> Result<(), StartError> {
        let step = |name: &'static str| {
            move |errno: Errno| {
                StartError::step(format!("put {name} in its place"), io::Error::from(errno))
            }
        };
        let put = |mount: &OwnedFd, path: &str| {
            mounts::attach(mount, root.ensure(path, FileType::Directory)?)
        };
        put(&self.proc, "/proc").map_err(step("/proc"))?;
        put(&self.dev, "/dev").map_err(step("/dev"))?;
        self.fill_dev().map_err(step("/dev"))?;
        if let Some(sys) = &self.sys {
            put(sys, "/sys").map_err(step("/sys"))?;
            SYS_HIDDEN.iter().try_for_each(|name| self.hide(sys, name)).map_err(step("/sys"))?;
            // Programs that look for their limits there manage without.
            let _optional = self.cgroup.as_ref().map(|cgroup| put(cgroup, "/sys/fs/cgroup"));
        }
        PROC_HIDDEN
            .iter()
            .try_for_each(|name| self.hide(&self.proc, name))
            .and_then(|()| PROC_READ_ONLY.iter().try_for_each(|name| self.protect(name)))
            .map_err(step("/proc"))?;
        ensure_tmp(root).map_err(step("/tmp"))?;
        for (mount, kind, source_path, target) in &self.binds {
            let put = root.ensure(target, *kind).and_then(|place| mounts::attach(mount, place));
            put.map_err(|errno| mount_error(source_path, target, errno))?;
        }
        Ok(())
    }

    /// Files in memory: made in the file system of `/dev`, shown at their places, and then without a name of their own.
    fn put_files(&self, root: &Root, files: &[TextFile]) -> Result<(), StartError> {
        for file in files {
            self.put_file(root, file)
                .map_err(|errno| mount_error(Path::new("a text"), &file.target, errno))?;
        }
        Ok(())
    }

    fn put_file(&self, root: &Root, file: &TextFile) -> rustix::io::Result<()> {
        const NAME: &str = ".text";
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
        let made = rustix::fs::openat(&self.dev, NAME, flags, Mode::from(0o444))?;
        rustix::fs::fchmod(&made, Mode::from(0o444))?;
        let mut rest = file.text.as_bytes();
        while !rest.is_empty() {
            rest = &rest[rustix::io::write(&made, rest)?..];
        }
        let view = mounts::view_at(&self.dev, NAME)?;
        mounts::restrict(&view, libc::MOUNT_ATTR_RDONLY, false)?;
        mounts::attach(view, root.ensure(&file.target, FileType::RegularFile)?)?;
        rustix::fs::unlinkat(&self.dev, NAME, AtFlags::empty())
    }

    fn fill_dev(&self) -> rustix::io::Result<()> {
        let place = |name: &str, flags: OFlags| {
            rustix::fs::openat(&self.dev, name, flags | OFlags::CLOEXEC, Mode::from(0o666))
        };
        for (name, device) in &self.devices {
            mounts::attach(device, place(name, OFlags::CREATE | OFlags::WRONLY)?)?;
        }
        let queues = self.queues.as_ref().map(|queues| ("mqueue", queues));
        let folders = [("pts", &self.terminals), ("shm", &self.shared_memory)];
        for (name, mount) in folders.into_iter().chain(queues) {
            rustix::fs::mkdirat(&self.dev, name, Mode::from(0o755))?;
            mounts::attach(mount, place(name, OFlags::PATH)?)?;
        }
        for (name, target) in DEV_LINKS {
            rustix::fs::symlinkat(target, &self.dev, name)?;
        }
        Ok(())
    }

    /// Covers a directory with an empty one, a file with `/dev/null`; fine if there is nothing.
    fn hide(&self, filesystem: &OwnedFd, name: &str) -> rustix::io::Result<()> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let place = match rustix::fs::openat(filesystem, name, flags, Mode::empty()) {
            Err(Errno::NOENT) => return Ok(()),
            found => found?,
        };
        let cover = match mounts::kind_of(&place)? {
            FileType::Directory => mounts::view_at(&self.empty, "")?,
            _ => mounts::view_at(&self.dev, "null")?,
        };
        mounts::attach(cover, place)
    }

    fn protect(&self, name: &str) -> rustix::io::Result<()> {
        let view = match mounts::view_at(&self.proc, name) {
            Err(Errno::NOENT) => return Ok(()),
            view => view?,
        };
        mounts::restrict(&view, libc::MOUNT_ATTR_RDONLY, false)?;
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        mounts::attach(view, rustix::fs::openat(&self.proc, name, flags, Mode::empty())?)
    }
}

/// What texts take of a file system in memory, whole pages each.
fn text_bytes(files: &[TextFile]) -> usize {
    files.iter().map(|file| file.text.len().next_multiple_of(4096)).sum()
}

/// The container's own control group, where the host has version 2 only: programs read their
/// limits from it.
fn own_cgroup(attributes: MountAttrFlags) -> Option<OwnedFd> {
    let host = rustix::fs::statfs("/sys/fs/cgroup").ok()?;
    let is_version_2 = host.f_type == libc::CGROUP2_SUPER_MAGIC;
    is_version_2.then(|| mounts::filesystem("cgroup2", &[], attributes).ok()).flatten()
}

fn bind(mount: &crate::spec::Mount) -> Result<(OwnedFd, FileType, PathBuf, String), StartError> {
    let failed = |errno| mount_error(&mount.source, &mount.target, errno);
    let view = mounts::view(&mount.source, true).map_err(failed)?;
    let read_only = if mount.writable { 0 } else { libc::MOUNT_ATTR_RDONLY };
    mounts::restrict(&view, u64::from(PLAIN.bits()) | read_only, true).map_err(failed)?;
    let kind = mounts::kind_of(&view).map_err(failed)?;
    Ok((view, kind, mount.source.clone(), mount.target.clone()))
}

fn mount_error(source_path: &Path, target: &str, errno: Errno) -> StartError {
    StartError::Mount {
        source_path: source_path.to_owned(),
        target: target.to_owned(),
        problem: io::Error::from(errno).to_string(),
    }
}

/// Many programs need one; an image without any files but a program has none.
fn ensure_tmp(root: &Root) -> rustix::io::Result<()> {
    match root.at("/tmp", OFlags::PATH) {
        Err(Errno::NOENT) => {}
        found => return found.map(drop),
    }
    root.ensure("/tmp", FileType::Directory)?;
    rustix::fs::fchmod(root.at("/tmp", OFlags::RDONLY | OFlags::DIRECTORY)?, Mode::from(0o1777))
}

/// The container knows itself and nobody else: its network has no name server.
fn write_names(root: &Root, hostname: &str) -> rustix::io::Result<()> {
    let hosts = format!(
        "127.0.0.1 localhost {hostname}\n::1 localhost ip6-localhost ip6-loopback {hostname}\n"
    );
    root.write("/etc", "hosts", &hosts)?;
    root.write("/etc", "hostname", &format!("{hostname}\n"))?;
    let resolver = "# This container's network is loopback only: there is no name server.\n\
        options timeout:1 attempts:1\n";
    root.write("/etc", "resolv.conf", resolver)
}
