//! A program in a container of our own runtime.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use cwl::stage::Content;
use model::request_rules::CONNECTIONS_MAX as SERVICES_MAX;
use runtime::{
    ContainerSpec, Embedded, Exit, ExitStatus, Input, Limits, Mount, Runtime as _, UserSpec,
};

use tokio::time::timeout;

use super::host_image::Ready;
use super::placing::{below_outdir, real_path};
use super::process::create;
use super::serve;
use super::words::Words;
use crate::disk::path_of;
use crate::job::Job;
use crate::news::Listener;
use crate::serving::Serving;

/// Processes and threads of one program.
const PIDS_MAX: u64 = 4096;

/// A program, and what it runs in.
pub(super) struct InContainer<'c> {
    pub(super) job: &'c Job,
    pub(super) dir: &'c Path,
    pub(super) image: &'c Ready,
    pub(super) listener: &'c Arc<dyn Listener>,
    /// Whether its words go to the listener.
    pub(super) captures: bool,
}

impl InContainer<'_> {
    /// Runs it to its end and gives its exit code, 128 and the signal where one ended it; and whether it served and was
    /// asked to end. A service may be started again.
    pub(super) async fn run(
        &self,
        mut serving: Option<Serving<'_>>,
    ) -> Result<(i64, bool), String> {
        let job = self.job;
        if job.ways.len() > SERVICES_MAX {
            return Err(format!("it uses {} services; at most {SERVICES_MAX}", job.ways.len()));
        }
        let exit = loop {
            let exit = self.run_once(serving.as_mut()).await?;
            let by_itself = exit.is_some_and(|(_, as_asked)| !as_asked);
            if !by_itself || !serving.as_mut().is_some_and(Serving::starts_again) {
                break exit;
            }
            let name = &job.name;
            self.listener
                .say(&format!("[{name}] the service ended by itself; it is started again"));
        };
        match exit.map(|(exit, as_asked)| (exit.status, as_asked)) {
            Some((ExitStatus::Code(code), as_asked)) => Ok((i64::from(code), as_asked)),
            Some((ExitStatus::Signal(signal), as_asked)) => Ok((i64::from(128 + signal), as_asked)),
            None => {
                let seconds = job.time_limit.unwrap_or_default();
                Err(format!("it ran longer than its time limit of {seconds} s and was ended"))
            }
        }
    }

    /// One start, to its end and whether that was asked for; `None` where its time was over.
    async fn run_once(
        &self,
        serving: Option<&mut Serving<'_>>,
    ) -> Result<Option<(Exit, bool)>, String> {
        let wanted = serving.as_ref().and_then(|it| it.service.ready.log_line.clone());
        let mut words = Words::new(self.listener, self.captures, wanted);
        let spec = self.spec(&mut words)?;
        std::fs::create_dir_all(&spec.dir).map_err(|error| error.to_string())?;
        let mut handle = Embedded.start(spec).await.map_err(|error| error.to_string())?;
        // Ends with this program.
        let _relays = serve::relay(handle.take_listeners(), &self.job.ways)?;
        let attended = async {
            match serving {
                Some(serving) => serve::attend(&handle, &words, serving).await,
                None => Ok((handle.wait().await, false)),
            }
        };
        let ended = match self.job.time_limit {
            Some(seconds) => timeout(Duration::from_secs(seconds), attended).await.ok().transpose(),
            None => attended.await.map(Some),
        };
        if !matches!(ended, Ok(Some(_))) {
            handle.kill().await;
        }
        handle.cleanup().await;
        words.finish().await;
        ended
    }

    fn spec(&self, words: &mut Words) -> Result<ContainerSpec, String> {
        let Self { job, dir, image, .. } = self;
        let out = dir.join("out");
        let mut stream = |name: Option<&str>| match name {
            Some(name) => create(&out, name).map(OwnedFd::from),
            None => words.open(),
        };
        Ok(ContainerSpec {
            id: format!("cwl-{}-{}", std::process::id(), job.place.number),
            dir: dir.join("container"),
            layers: image.layers.clone(),
            argv: image.entrypoint.iter().chain(&job.command).cloned().collect(),
            env: environment(job, image),
            cwd: job.place.outdir.clone(),
            user: UserSpec::root(),
            hostname: "cwl".to_owned(),
            mounts: mounts(job, dir, image)?,
            files: Vec::new(),
            stdin: job.stdin.as_deref().map_or(Ok(Input::Empty), |path| input(job, dir, path))?,
            listen: job.ways.iter().map(|way| way.address).collect(),
            limits: Limits { memory_bytes: None, pids_max: Some(PIDS_MAX), cpus: None },
            stdout: stream(job.stdout.as_deref())?,
            stderr: stream(job.stderr.as_deref())?,
        })
    }
}

fn environment(job: &Job, image: &Ready) -> Vec<(String, String)> {
    let ours = [("HOME", &job.place.outdir), ("TMPDIR", &job.place.tmpdir)];
    let mut all: Vec<(String, String)> = image
        .environment
        .iter()
        .filter_map(|entry| entry.split_once('='))
        .map(|(k, v)| (k.to_owned(), v.to_owned()))
        .collect();
    all.extend(ours.map(|(name, value)| (name.to_owned(), value.clone())));
    all.extend(job.environment.iter().cloned());
    let mut kept: Vec<(String, String)> = Vec::new();
    for (name, value) in all {
        kept.retain(|(known, _)| *known != name);
        kept.push((name, value));
    }
    kept
}

fn mounts(job: &Job, dir: &Path, image: &Ready) -> Result<Vec<Mount>, String> {
    let mut mounts: Vec<Mount> = image
        .shown
        .iter()
        .map(|path| Mount {
            source: path.clone(),
            target: path.to_string_lossy().into_owned(),
            writable: false,
        })
        .collect();
    mounts.push(Mount {
        source: dir.join("tmp"),
        target: job.place.tmpdir.clone(),
        writable: true,
    });
    mounts.push(Mount {
        source: dir.join("out"),
        target: job.place.outdir.clone(),
        writable: true,
    });
    for (n, staged) in job.staged.iter().enumerate() {
        if below_outdir(job, staged).is_some() {
            continue;
        }
        let source = source(job, dir, n)?;
        // A new folder takes mounts inside it.
        let writable = staged.writable || staged.content == Content::NewFolder;
        mounts.push(Mount { source, target: staged.target.clone(), writable });
    }
    mounts.sort_by_key(|mount| Path::new(&mount.target).components().count());
    Ok(mounts)
}

/// Where something that is staged lies on this machine.
fn source(job: &Job, dir: &Path, n: usize) -> Result<PathBuf, String> {
    let staged = &job.staged[n];
    match (real_path(job, dir, n, staged), &staged.content) {
        (Some(path), _) => Ok(path),
        (None, Content::File(location) | Content::Folder(location)) => path_of(location),
        (None, _) => Err(format!("{} has no place", staged.target)),
    }
}

/// Standard input is opened on this machine: a staged file, or one below the output directory.
fn input(job: &Job, dir: &Path, path: &str) -> Result<Input, String> {
    for (n, staged) in job.staged.iter().enumerate() {
        if let Some(rest) = path.strip_prefix(staged.target.as_str()) {
            if rest.is_empty() {
                return source(job, dir, n).map(Input::File);
            }
            if let Some(inside) = rest.strip_prefix('/') {
                return Ok(Input::File(source(job, dir, n)?.join(inside)));
            }
        }
    }
    let relative =
        path.strip_prefix(job.place.outdir.as_str()).unwrap_or(path).trim_start_matches('/');
    if relative.split('/').any(|part| part == "..") {
        return Err(format!("stdin {path:?} leads out of the output directory"));
    }
    Ok(Input::File(dir.join("out").join(relative)))
}
