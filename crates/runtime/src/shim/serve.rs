//! Second life of the shim: make the container, then serve the supervisor until it goes away.

use super::enter::EXIT_FAILED;
use super::exec::{self, Execs};
use super::init::{self, FromInit};
use super::join::{Own, Place};
use super::user::Identity;
use crate::cgroup::Cgroups;
use crate::error::StartError;
use crate::sock_diag;
use crate::spec::{ExecSpec, Exit, ExitStatus};
use crate::sweep::{Record, sweep};
use crate::sys;
use crate::tree;
use crate::wire::{Connection, FromShim, ShimSpec, ToShim};
use rustix::event::{PollFd, PollFlags};
use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use rustix::process::{DumpableBehavior, Pid, PidfdFlags, WaitOptions};
use rustix::thread::UnshareFlags;
use std::fs;
use std::io;
use std::net::SocketAddrV4;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// A container that was made. Dropping it kills it and removes what belongs to it.
struct Container {
    /// `None` before it is forked and after it was reaped.
    init: Option<Init>,
    cgroups: Cgroups,
    rootfs: PathBuf,
    /// Keeps the image store from removing the layers.
    layers_in_use: Vec<OwnedFd>,
    /// What the command runs with, once it does.
    own: Option<Own>,
    /// Commands beside it.
    execs: Execs,
}

/// Process 1 of the container.
struct Init {
    pid: Pid,
    channel: Connection,
}

/// What became of waiting for the supervisor or the container.
enum Event {
    FromSupervisor(ToShim),
    SupervisorGone,
    FromInit(FromInit),
    InitGone,
}

pub(super) fn run() -> i32 {
    // Our memory holds the container's environment; neither its owner's other programs nor a
    // debugger in the container may read it.
    let hidden = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable);
    // The name is for people who look at a list of processes.
    let _unnamed = rustix::thread::set_name(c"wharf-shim");
    let Ok(socket) = io::stdin().as_fd().try_clone_to_owned() else { return EXIT_FAILED };
    let mut supervisor = Connection::new(socket);
    let made = hidden
        .map_err(|errno| StartError::step("hide the helper's memory", errno))
        .and_then(|()| receive_spec(&mut supervisor))
        .and_then(|spec| Container::make(&spec, &mut supervisor));
    match made {
        Ok(mut container) => container.serve(&mut supervisor),
        Err(error) => {
            // A supervisor that is gone needs no telling.
            let _gone = supervisor.send(&FromShim::StartFailed(error));
            return EXIT_FAILED;
        }
    }
    0
}

fn receive_spec(supervisor: &mut Connection) -> Result<Box<ShimSpec>, StartError> {
    match supervisor.receive() {
        Ok(Some(ToShim::Start(spec))) => Ok(spec),
        Ok(Some(_)) => {
            Err(StartError::BadSpec { problem: "the first message is not a start".to_owned() })
        }
        Ok(None) => Err(StartError::Helper { problem: "the supervisor is gone".to_owned() }),
        Err(error) => Err(StartError::BadSpec { problem: error.to_string() }),
    }
}

impl Container {
    fn make(spec: &ShimSpec, supervisor: &mut Connection) -> Result<Self, StartError> {
        let layers_in_use = lock_layers(&spec.layers)?;
        let rootfs = make_directories(spec)?;
        let mut notes = Vec::new();
        let cgroups = Cgroups::create(&spec.id, &spec.limits, &mut notes);
        // From here on `drop` cleans up. The record lets `sweep` do it if we are killed.
        let (own, execs) = (None, Execs::default());
        let mut container = Self { init: None, cgroups, rootfs, layers_in_use, own, execs };
        container.record()?;
        make_namespaces()?;
        let mut sockets: Vec<OwnedFd> =
            spec.listen.iter().copied().map(listen).collect::<Result<_, _>>()?;
        // Without it listeners are found in another way.
        sockets.extend(sock_diag::open().ok());
        let (ours, theirs) = channel_pair()?;
        let forked = sys::fork().map_err(|error| StartError::step("fork", error))?;
        let Some(pid) = forked else {
            // What is the shim's own is closed; process 1 speaks to the shim only.
            drop((ours, sockets));
            *supervisor = Connection::new(theirs);
            container.layers_in_use.clear();
            let Self { cgroups, rootfs, .. } = &container;
            sys::exit_now(init::run(spec, supervisor, cgroups, rootfs));
        };
        drop(theirs);
        container.init = Some(Init { pid, channel: Connection::new(ours) });
        container.record()?;
        release_output().map_err(|errno| StartError::step("let go of the output", errno))?;
        container.own = Some(container.await_start(spec, supervisor)?);
        let pid = pid.as_raw_nonzero().get().unsigned_abs();
        let groups = container.cgroups.dirs().to_vec();
        let started = FromShim::Started { pid, notes, groups };
        // If the supervisor is gone, serving it ends at once.
        let _gone = supervisor.send_with(&started, &sockets);
        Ok(container)
    }

    fn record(&self) -> Result<(), StartError> {
        let init = self.init.as_ref().map(|init| init.pid.as_raw_nonzero().get());
        Record::of_this_process(init, self.cgroups.dirs())
            .and_then(|record| record.write(&self.rootfs))
            .map_err(|error| disk_error("write the container's record", &self.rootfs, &error))
    }

    fn await_start(
        &mut self,
        spec: &ShimSpec,
        supervisor: &mut Connection,
    ) -> Result<Own, StartError> {
        let helper = |problem: &str| Err(StartError::Helper { problem: problem.to_owned() });
        loop {
            match self.next_event(supervisor) {
                Event::FromInit(FromInit::Started(identity)) => {
                    return Ok(self.own_of(spec, identity));
                }
                Event::FromInit(FromInit::StartFailed(error)) => return Err(error),
                Event::SupervisorGone => return helper("the supervisor is gone"),
                Event::InitGone | Event::FromInit(FromInit::Exited(_)) => {
                    return helper("process 1 of the container ended early");
                }
                // It knows of no container yet, so it has nothing to ask.
                Event::FromSupervisor(_) => {}
            }
        }
    }

    fn own_of(&mut self, spec: &ShimSpec, identity: Identity) -> Own {
        let came = self.init.as_mut().map(|init| init.channel.take_descriptors());
        Own {
            env: super::app::environment(&spec.env, &spec.hostname, &identity),
            cwd: spec.cwd.clone(),
            namespace: came.unwrap_or_default().pop(),
            identity,
        }
    }

    /// Serves until the supervisor asks for the end or goes away.
    fn serve(&mut self, supervisor: &mut Connection) {
        let mut reported = None;
        loop {
            match self.next_event(supervisor) {
                Event::SupervisorGone | Event::FromSupervisor(ToShim::Cleanup) => return,
                Event::FromSupervisor(ToShim::Socket { v6 }) => send_socket(supervisor, v6),
                Event::FromSupervisor(ToShim::Signal(signal)) => self.signal(signal),
                Event::FromSupervisor(ToShim::Kill) => self.kill(),
                Event::FromSupervisor(ToShim::Exec { id, spec }) => {
                    if let Err(error) = self.exec(id, &spec, supervisor) {
                        let _gone = supervisor.send(&FromShim::ExecFailed { id, error });
                    }
                }
                Event::FromSupervisor(ToShim::SignalExec { id, signal }) => {
                    self.execs.signal(id, signal);
                }
                Event::FromSupervisor(ToShim::KillExec { id }) => self.execs.kill(id),
                Event::FromInit(FromInit::Exited(status)) => reported = Some(status),
                Event::FromSupervisor(ToShim::Start(_)) | Event::FromInit(_) => {}
                Event::InitGone => {
                    let waited = self.reap(Some(supervisor));
                    let status = reported.or(waited).unwrap_or(ExitStatus::Signal(libc::SIGKILL));
                    let ended_well = status == ExitStatus::Code(0);
                    let oom_killed = !ended_well && self.cgroups.was_oom_killed();
                    // A supervisor that is gone is noticed by the next event.
                    let _gone = supervisor.send(&FromShim::Exited(Exit { status, oom_killed }));
                }
            }
        }
    }

    /// Waits for the next message or end. A connection that fails counts as ended.
    fn next_event(&mut self, supervisor: &mut Connection) -> Event {
        loop {
            match supervisor.buffered() {
                Ok(Some(message)) => return Event::FromSupervisor(message),
                Ok(None) => {}
                Err(_) => return Event::SupervisorGone,
            }
            if let Some(init) = &mut self.init {
                match init.channel.buffered() {
                    Ok(Some(report)) => return Event::FromInit(report),
                    Ok(None) => {}
                    Err(_) => return Event::InitGone,
                }
            }
            let (from_supervisor, from_init) = self.poll(supervisor);
            if from_init && !self.init.as_mut().is_some_and(|i| i.channel.fill().unwrap_or(false)) {
                return Event::InitGone;
            }
            if from_supervisor && !supervisor.fill().unwrap_or(false) {
                return Event::SupervisorGone;
            }
        }
    }

    /// Waits until the supervisor or process 1 has something to say, or has ended; attends to further commands.
    fn poll(&mut self, supervisor: &Connection) -> (bool, bool) {
        let channel = self.init.as_ref().map(|init| init.channel.as_fd());
        let of_container = [Some(supervisor.as_fd()), channel].into_iter().flatten();
        let mut polled: Vec<_> = of_container
            .chain(self.execs.polled())
            .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN))
            .collect();
        // An interrupted poll is no event; the caller polls again.
        let _interrupted = rustix::event::poll(&mut polled, None);
        let heard: Vec<bool> = polled.iter().map(|fd| !fd.revents().is_empty()).collect();
        let mut heard = heard.into_iter();
        let from_supervisor = heard.next().unwrap_or(false);
        let from_init = self.init.is_some() && heard.next().unwrap_or(false);
        self.execs.attend(heard, supervisor);
        (from_supervisor, from_init)
    }

    /// Runs another command in the container. The fork lets go of all that is the shim's before it enters.
    fn exec(
        &mut self,
        id: u32,
        spec: &ExecSpec,
        supervisor: &mut Connection,
    ) -> Result<(), StartError> {
        let gone = || StartError::Helper { problem: "the container has ended".to_owned() };
        let process_1 = self.init.as_ref().ok_or_else(gone)?.pid;
        // Not reaped yet, so the number is its own.
        let process_1 = rustix::process::pidfd_open(process_1, PidfdFlags::empty())
            .map_err(|errno| StartError::step("find the container", errno))?;
        let mut report = None;
        if !self.execs.fork(id, &mut report)? {
            return Ok(());
        }
        let (Some(report), Some(mut own)) = (report, self.own.take()) else {
            sys::exit_now(EXIT_FAILED);
        };
        *supervisor = report;
        self.init = None;
        self.layers_in_use.clear();
        self.execs.forget();
        let place = Place { init: process_1, cgroups: &self.cgroups, own: &mut own };
        exec::become_command(spec, place, supervisor);
    }

    /// Process 1 passes the signal on; a single byte is its number.
    fn signal(&self, signal: i32) {
        if let (Some(init), Ok(number)) = (&self.init, u8::try_from(signal)) {
            // It fails only when process 1 is gone.
            let _gone = rustix::io::write(&init.channel, &[number]);
        }
    }

    /// With its process 1 the kernel kills the whole process namespace.
    fn kill(&self) {
        if let Some(init) = &self.init {
            // Not reaped yet, so the number is still its own.
            let _ended = sys::kill(init.pid, libc::SIGKILL);
        }
    }

    /// Waits until process 1, and with it every process of the container, is gone. It goes after all others, and those
    /// that joined it are ours to reap.
    fn reap(&mut self, supervisor: Option<&Connection>) -> Option<ExitStatus> {
        let init = self.init.take()?;
        loop {
            match rustix::process::wait(WaitOptions::empty()) {
                Ok(Some((pid, status))) if pid == init.pid => return init::exit_status(status),
                Ok(Some((pid, status))) => self.execs.note_end(pid, status, supervisor),
                Err(rustix::io::Errno::INTR) | Ok(None) => {}
                Err(_) => return None,
            }
        }
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        self.kill();
        self.reap(None);
        // What cannot be removed is left to `sweep`, which finds the record.
        if self.cgroups.remove().is_ok() {
            let _left_to_sweep = tree::remove(&self.rootfs);
        }
    }
}

/// Opens every layer and locks it against removal from the image store.
fn lock_layers(layers: &[PathBuf]) -> Result<Vec<OwnedFd>, StartError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let lock = |path: &PathBuf| {
        let missing = || StartError::LayerMissing { path: path.clone() };
        let layer = rustix::fs::open(path, flags, Mode::empty()).map_err(|errno| match errno {
            rustix::io::Errno::NOENT => missing(),
            errno => StartError::step(format!("open the layer {}", path.display()), errno),
        })?;
        match rustix::fs::flock(&layer, FlockOperation::NonBlockingLockShared) {
            // It is being removed.
            Err(rustix::io::Errno::WOULDBLOCK) => Err(missing()),
            // A file system without locks has no image store on it that could remove layers.
            _ => Ok(layer),
        }
    };
    layers.iter().map(lock).collect()
}

/// Makes `rootfs/` with what an overlay needs. What an earlier container left there is removed.
fn make_directories(spec: &ShimSpec) -> Result<PathBuf, StartError> {
    let rootfs = spec.dir.join("rootfs");
    let make = || -> io::Result<()> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&spec.dir)?;
        if rootfs.exists() {
            sweep(&spec.dir, &spec.id).map_err(io::Error::other)?;
        }
        fs::DirBuilder::new().mode(0o700).create(&rootfs)?;
        for part in ["upper", "work", "merged"] {
            fs::create_dir(rootfs.join(part))?;
        }
        // The upper directory's mode is that of the container's `/`.
        fs::set_permissions(rootfs.join("upper"), fs::Permissions::from_mode(0o755))
    };
    make().map_err(|error| disk_error("make the container's directories", &rootfs, &error))?;
    Ok(rootfs)
}

fn disk_error(step: &str, path: &Path, error: &io::Error) -> StartError {
    match error.raw_os_error() {
        Some(libc::ENOSPC | libc::EDQUOT) => StartError::DiskFull { path: path.to_owned() },
        _ => StartError::step(format!("{step} in {}", path.display()), error),
    }
}

pub(super) fn channel_pair() -> Result<(OwnedFd, OwnedFd), StartError> {
    rustix::net::socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)
        .map_err(|errno| StartError::step("make a socket pair", errno))
}

/// All but the mount namespace, which process 1 makes for itself so that we keep the host's files
/// in view. We are in all of them but the process namespace, which begins with our first child.
fn make_namespaces() -> Result<(), StartError> {
    let namespaces =
        UnshareFlags::NEWNET | UnshareFlags::NEWIPC | UnshareFlags::NEWUTS | UnshareFlags::NEWPID;
    sys::unshare(namespaces).map_err(|error| StartError::step("make namespaces", error))?;
    sys::loopback_up().map_err(|error| StartError::step("bring loopback up", error))?;
    // Any user of the container may listen on port 80, as under other runtimes: the ports are
    // the container's own. Old kernels have no such setting.
    let _old_kernel = fs::write("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0");
    Ok(())
}

/// The container's output is its own from here on: whoever reads it sees the end when the
/// container's last process closes it.
pub(super) fn release_output() -> rustix::io::Result<()> {
    let null = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    rustix::stdio::dup2_stderr(&null)
}

/// Listens inside the container's network, for the supervisor to accept from.
fn listen(address: SocketAddrV4) -> Result<OwnedFd, StartError> {
    let failed = |error: std::io::Error| {
        StartError::step(format!("listen on {address} of the container"), error)
    };
    let listener = std::net::TcpListener::bind(address);
    let listener = listener.and_then(|it| it.set_nonblocking(true).map(|()| it));
    Ok(OwnedFd::from(listener.map_err(failed)?))
}

/// Makes a socket here, in the container's network namespace, and passes it to the supervisor.
fn send_socket(supervisor: &Connection, v6: bool) {
    let family = if v6 { AddressFamily::INET6 } else { AddressFamily::INET };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let made = rustix::net::socket_with(family, SocketType::STREAM, flags, None);
    let errno = made.as_ref().err().map(|errno| errno.raw_os_error());
    // A supervisor that is gone is noticed by the next event.
    let _gone = supervisor.send_with(&FromShim::Socket { errno }, made.ok().as_slice());
}
