//! The container's command: from a fork of process 1 to the command's own program, giving up on
//! the way everything that a container is not to have.

use super::user::Identity;
use super::{enter, program, seccomp};
use crate::error::StartError;
use crate::spec::Input;
use crate::sys;
use crate::wire::ShimSpec;
use rustix::fs::{MemfdFlags, Mode, OFlags};
use rustix::pipe::PipeFlags;
use rustix::process::{Pid, Resource, Rlimit};
use rustix::thread::{CapabilitySet, CapabilitySets, UnshareFlags};
use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::os::fd::OwnedFd;

/// Open files a program may start with, where the hard limit allows: servers want more than the
/// usual 1024, and programs that close every possible descriptor take seconds with a million.
const NOFILE_SOFT: u64 = 65_536;
/// Longest error that the command's process reports.
const REPORT_BYTES_MAX: u64 = 64 << 10;

/// What a root inside a container may do: Docker's default set without raw sockets and the
/// making of device nodes.
const ROOT_CAPABILITIES: CapabilitySet = CapabilitySet::CHOWN
    .union(CapabilitySet::DAC_OVERRIDE)
    .union(CapabilitySet::FOWNER)
    .union(CapabilitySet::FSETID)
    .union(CapabilitySet::KILL)
    .union(CapabilitySet::SETGID)
    .union(CapabilitySet::SETUID)
    .union(CapabilitySet::SETPCAP)
    .union(CapabilitySet::NET_BIND_SERVICE)
    .union(CapabilitySet::SYS_CHROOT)
    .union(CapabilitySet::AUDIT_WRITE)
    .union(CapabilitySet::SETFCAP);

/// Opens what the command is to read; `None` is nothing.
pub(super) fn open_input(input: &Input) -> Result<Option<OwnedFd>, StartError> {
    match input {
        Input::Empty => Ok(None),
        Input::File(path) => {
            let flags = OFlags::RDONLY | OFlags::CLOEXEC;
            let file = rustix::fs::open(path, flags, Mode::empty()).map_err(|errno| {
                StartError::step(format!("open the standard input {}", path.display()), errno)
            })?;
            Ok(Some(file))
        }
        Input::Text(text) => {
            let failed = |error: std::io::Error| StartError::step("keep the standard input", error);
            let memory = rustix::fs::memfd_create(c"stdin", MemfdFlags::CLOEXEC)
                .map_err(|errno| failed(errno.into()))?;
            let mut file = File::from(memory);
            file.write_all(text.as_bytes()).and_then(|()| file.rewind()).map_err(failed)?;
            Ok(Some(OwnedFd::from(file)))
        }
    }
}

/// Starts the command; when it returns, the command's program runs.
pub(super) fn spawn(
    spec: &ShimSpec,
    identity: &Identity,
    stdin: Option<OwnedFd>,
) -> Result<Pid, StartError> {
    let (read, write) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)
        .map_err(|errno| StartError::step("make a pipe", errno))?;
    let forked = sys::fork().map_err(|error| StartError::step("fork", error))?;
    let Some(app) = forked else {
        drop(read);
        let error = become_command(spec, identity, stdin);
        report(write, &error);
        sys::exit_now(enter::EXIT_FAILED);
    };
    drop(write);
    // The output is the command's alone from here on.
    super::serve::release_output()
        .map_err(|errno| StartError::step("let go of the output", errno))?;
    let mut text = Vec::new();
    let read = File::from(read).take(REPORT_BYTES_MAX).read_to_end(&mut text);
    read.map_err(|error| StartError::step("hear from the command's process", error))?;
    // The pipe closes by itself when the program is executed.
    match text.as_slice() {
        [] => Ok(app),
        text => Err(serde_json::from_slice(text).unwrap_or_else(|_cut_short| StartError::Helper {
            problem: "the command's process failed".to_owned(),
        })),
    }
}

fn report(pipe: OwnedFd, error: &StartError) {
    if let Ok(text) = serde_json::to_vec(error) {
        // Process 1 waits on the other end; if it is gone, so are we in a moment.
        let _gone = File::from(pipe).write_all(&text);
    }
}

/// Returns only to tell why not. The order matters: each step needs what a later one gives up.
fn become_command(spec: &ShimSpec, identity: &Identity, stdin: Option<OwnedFd>) -> StartError {
    let prepared = prepare(spec, identity, stdin);
    match prepared {
        Ok(()) => program::exec(&spec.argv, &environment(&spec.env, &spec.hostname, identity)),
        Err(error) => error,
    }
}

fn prepare(spec: &ShimSpec, identity: &Identity, stdin: Option<OwnedFd>) -> Result<(), StartError> {
    let step = |step: &'static str| move |errno: rustix::io::Errno| StartError::step(step, errno);
    rustix::process::setsid().map_err(step("start a session"))?;
    let null = || rustix::fs::open("/dev/null", OFlags::RDONLY, Mode::empty());
    stdin
        .map_or_else(null, Ok)
        .and_then(|input| rustix::stdio::dup2_stdin(&input))
        .map_err(step("open the standard input"))?;
    confine(identity, None, &spec.cwd)
}

/// Everything that a program of the container starts with and without. The container's own command and those that join
/// it later pass the same steps; the latter enter the user namespace that the command may have of its own.
pub(super) fn confine(
    identity: &Identity,
    namespace: Option<&OwnedFd>,
    cwd: &str,
) -> Result<(), StartError> {
    let step = |step: &'static str| move |errno: rustix::io::Errno| StartError::step(step, errno);
    sys::reset_signals();
    rustix::process::umask(Mode::from(0o022));
    limit_resources();
    become_user(identity, namespace)?;
    enter_directory(cwd)?;
    rustix::thread::set_no_new_privs(true).map_err(step("forbid new privileges"))?;
    sys::close_on_exec_all().map_err(|error| StartError::step("close descriptors", error))?;
    seccomp::install()
}

/// Never more than the hard limit: a supervisor in a container of its own could not raise it.
fn limit_resources() {
    let files = rustix::process::getrlimit(Resource::Nofile);
    let soft = files.maximum.map_or(NOFILE_SOFT, |hard| hard.min(NOFILE_SOFT));
    let soft = files.current.map(|current| current.max(soft));
    // Lowering never fails, nor does raising up to the hard limit; a refusal costs nothing.
    let _kept = rustix::process::setrlimit(
        Resource::Nofile,
        Rlimit { current: soft, maximum: files.maximum },
    );
    // A dump of the container's memory would go where the host's core_pattern says.
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    let _kept = rustix::process::setrlimit(Resource::Core, none);
}

/// Whether the command has a user namespace of its own, within ours: in ours there is one user, with the number 0.
pub(super) fn has_own_namespace(identity: &Identity) -> bool {
    !enter::is_whole_user_namespace() && (identity.uid, identity.gid) != (0, 0)
}

fn become_user(identity: &Identity, namespace: Option<&OwnedFd>) -> Result<(), StartError> {
    let step = |step: &'static str| move |errno: rustix::io::Errno| StartError::step(step, errno);
    let is_root = identity.uid == 0;
    own_output(identity);
    let keep = if is_root { ROOT_CAPABILITIES } else { CapabilitySet::empty() };
    if enter::is_whole_user_namespace() {
        bound_capabilities(keep).map_err(step("limit capabilities"))?;
        let (uid, gid) =
            (rustix::fs::Uid::from_raw(identity.uid), rustix::fs::Gid::from_raw(identity.gid));
        let groups: Vec<_> =
            identity.groups.iter().map(|g| rustix::fs::Gid::from_raw(*g)).collect();
        rustix::thread::set_thread_groups(&groups).map_err(step("set groups"))?;
        rustix::thread::set_thread_res_gid(gid, gid, gid).map_err(step("set the group"))?;
        rustix::thread::set_thread_res_uid(uid, uid, uid).map_err(step("set the user"))?;
    } else {
        if has_own_namespace(identity) {
            // The one user there is gets another number, in a user namespace within ours. The
            // mounts belong to the outer one, so they are out of reach in there.
            let entered = match namespace {
                Some(namespace) => sys::enter_user_namespace(namespace),
                None => sys::unshare(UnshareFlags::NEWUSER)
                    .and_then(|()| enter::write_maps(identity.uid, 0, identity.gid, 0)),
            };
            entered.map_err(|error| StartError::step("become the image's user", error))?;
        }
        bound_capabilities(keep).map_err(step("limit capabilities"))?;
    }
    let sets =
        CapabilitySets { effective: keep, permitted: keep, inheritable: CapabilitySet::empty() };
    let held = rustix::thread::capabilities(None).map_err(step("read capabilities"))?;
    let sets = CapabilitySets {
        effective: sets.effective & held.permitted,
        permitted: sets.permitted & held.permitted,
        ..sets
    };
    rustix::thread::set_capabilities(None, sets).map_err(step("drop capabilities"))
}

/// Lets programs open `/dev/stdout` and `/dev/stderr` again, which are pipes of the supervisor's.
fn own_output(identity: &Identity) {
    for output in [rustix::stdio::stdout(), rustix::stdio::stderr()] {
        let is_pipe = rustix::fs::fstat(output).is_ok_and(|stat| {
            rustix::fs::FileType::from_raw_mode(stat.st_mode) == rustix::fs::FileType::Fifo
        });
        if is_pipe {
            // Without it only the opening again fails. In a user namespace the owner fits already.
            let uid = rustix::fs::Uid::from_raw(identity.uid);
            let _kept = rustix::fs::fchown(output, Some(uid), None);
        }
    }
}

/// What is not in the bounding set can never be had again, not even from a program's file.
fn bound_capabilities(keep: CapabilitySet) -> rustix::io::Result<()> {
    for bit in 0..u64::BITS {
        let capability = CapabilitySet::from_bits_retain(1 << bit);
        if keep.contains(capability) {
            continue;
        }
        match rustix::thread::remove_capability_from_bounding_set(capability) {
            Ok(()) => {}
            // The kernel knows no capability of this number, and so none beyond.
            Err(rustix::io::Errno::INVAL) => break,
            Err(errno) => return Err(errno),
        }
    }
    rustix::thread::clear_ambient_capability_set()
}

fn enter_directory(cwd: &str) -> Result<(), StartError> {
    let cwd = if cwd.is_empty() { "/" } else { cwd };
    let failed = |problem: String| StartError::WorkingDirectory { path: cwd.to_owned(), problem };
    let in_words = |errno| failed(std::io::Error::from(errno).to_string());
    rustix::process::chdir(cwd).map_err(in_words)?;
    // A path by way of `/proc/self/fd` could lead out of the root, to what we had open (CVE-2024-21626). The kernel
    // calls such a directory "(unreachable)".
    let entered = rustix::process::getcwd(Vec::new()).map_err(in_words)?;
    if entered.as_bytes().starts_with(b"/") {
        Ok(())
    } else {
        Err(failed("it is outside of the container".to_owned()))
    }
}

/// The environment asked for, and what every program expects to be there.
pub(super) fn environment(
    given: &[(String, String)],
    hostname: &str,
    identity: &Identity,
) -> Vec<(String, String)> {
    let mut env = given.to_vec();
    let defaults =
        [("PATH", program::PATH_DEFAULT), ("HOME", identity.home.as_str()), ("HOSTNAME", hostname)];
    for (name, value) in defaults {
        if !env.iter().any(|(given, _)| given == name) {
            env.push((name.to_owned(), value.to_owned()));
        }
    }
    env
}
