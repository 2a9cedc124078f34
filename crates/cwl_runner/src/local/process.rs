//! A program as a process of this machine, in an environment of its own.

use std::fs::File;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use tokio::process::Command;

use super::LocalOptions;
use super::words::Words;
use crate::disk::at;
use crate::job::Job;
use crate::news::Listener;

/// Runs a program to its end and gives its exit code, 128 and the signal where one ended it.
pub(super) async fn run(
    job: &Job,
    options: &LocalOptions,
    listener: &Arc<dyn Listener>,
) -> Result<i64, String> {
    let outdir = Path::new(&job.place.outdir);
    let search_path =
        std::env::join_paths(&options.search_path).map_err(|error| error.to_string())?;
    let mut words = Words::new(listener, options.captures, None);
    let mut output = |name: Option<&str>| match name {
        Some(name) => create(outdir, name).map(Stdio::from),
        None => words.open().map(Stdio::from),
    };
    let mut command = Command::new(&job.command[0]);
    command
        .args(&job.command[1..])
        .env_clear()
        .env("HOME", &job.place.outdir)
        .env("TMPDIR", &job.place.tmpdir)
        .env("PATH", search_path)
        .envs(job.environment.iter().map(|(name, value)| (name, value)))
        .current_dir(outdir)
        .stdin(input(job.stdin.as_deref())?)
        .stdout(output(job.stdout.as_deref())?)
        .stderr(output(job.stderr.as_deref())?)
        .process_group(0)
        .kill_on_drop(true);
    let mut child =
        command.spawn().map_err(|error| format!("cannot run {:?}: {error}", job.command[0]))?;
    // Our copies of what it writes to.
    drop(command);
    // Its children too, however this ends.
    let group = child.id().map(Group);
    let waited = match job.time_limit {
        Some(seconds) => {
            match tokio::time::timeout(Duration::from_secs(seconds), child.wait()).await {
                Ok(waited) => waited,
                Err(_elapsed) => {
                    return Err(format!(
                        "it ran longer than its time limit of {seconds} s and was ended"
                    ));
                }
            }
        }
        None => child.wait().await,
    };
    drop(group);
    words.finish().await;
    let status = waited.map_err(|error| error.to_string())?;
    let signal = std::os::unix::process::ExitStatusExt::signal(&status);
    Ok(i64::from(status.code().unwrap_or_else(|| 128 + signal.unwrap_or_default())))
}

/// A group of processes, killed when this is dropped.
struct Group(u32);

impl Drop for Group {
    fn drop(&mut self) {
        let pid = i32::try_from(self.0).ok().and_then(rustix::process::Pid::from_raw);
        if let Some(pid) = pid {
            // Nobody is left in most groups by now.
            let _gone = rustix::process::kill_process_group(pid, rustix::process::Signal::KILL);
        }
    }
}

fn input(path: Option<&str>) -> Result<Stdio, String> {
    let Some(path) = path else { return Ok(Stdio::null()) };
    let path = Path::new(path);
    File::open(path).map(Stdio::from).map_err(|error| at(path, &error))
}

/// Makes a file below the output directory.
pub(super) fn create(outdir: &Path, name: &str) -> Result<File, String> {
    let path = outdir.join(name);
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(|error| at(parent, &error))?;
    }
    File::create(&path).map_err(|error| at(&path, &error))
}
