//! Runs CWL tools and workflows, and checks documents.
//!
//! What it is for: `wharf cwl`. The crate `cwl` says what is to be done; this one does it: [`run`] loads a document,
//! walks its steps (`workflow`), runs their programs (`tool`) over a `Backend` and brings the outputs to where the person
//! wants them (`relocate`). `local` is the backend of this machine: processes, and containers of our own runtime;
//! `remote` submits container requests.
//! What it does not do: it prints nothing and reads no command line; what happens is told to a [`Listener`].
//!
//! ```text
//! document ─ cwl::load ► Process ─ engine ┬ workflow ─ steps that are ready, scatter ─► engine
//!                                         ├ expression
//!                                         └ tool ─ plan ► Job ─ Backend ► Ended ─ cwl::collect ► outputs
//! ```
//!
//! A run is one thread with one tokio runtime; steps are futures on it, and programs run at the same time as far as
//! there are slots. What may take long without waiting (expressions, files that are read) is on threads beside it
//! (`evaluator`). Start reading at [`run`], then `engine`.

mod board;
mod disk;
mod engine;
mod evaluator;
mod given;
mod job;
mod local;
mod news;
mod patterns;
mod probe;
mod relocate;
mod remote;
mod scratch;
mod serving;
mod tool;
mod workflow;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use cwl::document::Body;
use cwl::expr::Limits;
use cwl::inputs::Discovery;
use cwl::json::{self, Layout};
use cwl::load::Loader;
use cwl::requirements::Requirements;
use cwl::secret::Secrets;
use cwl::{CwlError, Object, Value, uri};

pub use board::{Board, Mark, Row};
use disk::Disk;
use engine::{Call, Engine};
use evaluator::Given;
use job::Backend;
pub use local::{ImageMap, ImageSource, LocalOptions};
pub use news::{Listener, News, Outcome, ProgramState, What};
pub use remote::{Attach, Open, RemoteOptions};
use serving::TagsByName;

/// What to run, and how.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// File or address of the document, with `#NAME` where it holds several processes.
    pub tool: String,
    /// One file with the input object, or `--NAME VALUE` pairs.
    pub inputs: Vec<String>,
    /// Where outputs go.
    pub outdir: PathBuf,
    /// Longest time that one expression may take.
    pub expression_time: Duration,
    /// How many programs run at a time.
    pub programs_at_once: usize,
    /// Where programs run.
    pub on: Target,
}

/// Where programs run.
#[derive(Clone, Debug)]
pub enum Target {
    /// On this machine, without a controller.
    Local(LocalOptions),
    /// As container requests.
    Remote(RemoteOptions),
}

/// Why there are no outputs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Exit code for it: 1 failed, 33 asks for what is not there.
    pub exit_code: u8,
    /// For people; several lines for several problems.
    pub text: String,
}

impl From<CwlError> for Failure {
    fn from(error: CwlError) -> Self {
        let exit_code = if matches!(error, CwlError::Unsupported(_)) { 33 } else { 1 };
        Self { exit_code, text: error.to_string() }
    }
}

/// Stack of the threads for evaluations: values are nested up to a hundred deep.
const STACK_BYTES: usize = 8 << 20;

/// Runs a document and gives its output object as JSON; the identifiers of services that were left to themselves
/// instead. The listener hears what happens.
pub fn run(options: &RunOptions, listener: Arc<dyn Listener>) -> Result<String, Failure> {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().thread_stack_size(STACK_BYTES).build();
    let runtime = runtime.map_err(|error| CwlError::Failed(format!("cannot start: {error}")))?;
    let ended = runtime.block_on(async {
        match &options.on {
            Target::Local(local) => run_local(options, local, listener).await,
            Target::Remote(remote) => run_remote(options, remote, listener).await,
        }
    });
    // A blocked read must not keep the process.
    runtime.shutdown_background();
    Ok(ended?)
}

async fn run_local(
    options: &RunOptions,
    local: &LocalOptions,
    listener: Arc<dyn Listener>,
) -> Result<String, CwlError> {
    let backend = local::Local::new(local.clone(), Arc::clone(&listener))?;
    tokio::select! {
        ended = run_on(options, &backend, backend.scratch(), listener) => ended,
        () = interrupted() => Err(CwlError::Failed("interrupted; everything that ran was ended".to_owned())),
    }
}

async fn run_remote(
    options: &RunOptions,
    remote: &RemoteOptions,
    listener: Arc<dyn Listener>,
) -> Result<String, CwlError> {
    let backend = remote::Remote::new(remote.clone(), Arc::clone(&listener));
    let scratch = scratch::Scratch::make().map_err(CwlError::Failed)?;
    let ended = tokio::select! {
        ended = run_on(options, &backend, scratch.path(), listener) => ended,
        () = backend.keep_up() => Ok(String::new()),
        () = interrupted() => {
            backend.cancel().await;
            if backend.serves() {
                // Stopping it is how a service ends well.
                return Ok("{}".to_owned());
            }
            return Err(CwlError::Failed("interrupted; what was submitted was stopped".to_owned()));
        }
    };
    backend.cancel().await;
    let left = backend.left();
    if left.is_empty() { ended } else { Ok(left.join("\n")) }
}

/// Ctrl-C, or a signal that asks to end.
async fn interrupted() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut asked) => tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = asked.recv() => {}
        },
        Err(_no_signals) => drop(tokio::signal::ctrl_c().await),
    }
}

async fn run_on(
    options: &RunOptions,
    backend: &dyn Backend,
    scratch: &Path,
    listener: Arc<dyn Listener>,
) -> Result<String, CwlError> {
    let here = here()?;
    let mut loader = Loader::new(&Disk);
    let process = loader.load(&address_of(&options.tool, &here))?;
    for warning in &loader.warnings {
        listener.say(&format!("warning: {warning}"));
    }
    let mut values = given::read(&mut loader, &options.inputs, &process, &here)?;
    if loader.names_checksums {
        backend.files().make_checksums();
    }
    drop(loader);
    let secrets = Secrets::take(&process, &mut values, stand_in)?;
    let limits = Limits { time: options.expression_time, ..Limits::default() };
    let engine = Engine::new(backend, limits, options.programs_at_once, secrets, listener);
    cwl::service::check_last_outputs(&process)?;
    let given = Given {
        step: Arc::from(process.name.as_str()),
        process,
        values,
        requirements: Requirements::default(),
        discovery: Discovery::Beside,
    };
    let outermost = run_outermost(&engine, given).await;
    let mut outputs = outermost?;
    let (scratch, outdir) = (scratch.to_owned(), options.outdir.clone());
    let files = backend.files();
    let brought = engine.evaluator.work(move |_| {
        relocate::relocate(&mut outputs, &scratch, &outdir, &*files)?;
        Ok(json::write(&Value::Object(outputs), Layout::Indented))
    });
    brought.await
}

/// A name that stands for a secret, and that no document can have in it.
fn stand_in() -> String {
    let mut random = [0; 16];
    // Without random bytes of the system nothing secret is safe here.
    ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut random)
        .expect("the system gives random bytes");
    let hex: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("(secret-{hex})")
}

/// Runs what the person named, and tells of it as of a step where it has none.
async fn run_outermost(engine: &Engine<'_>, given: Given) -> Result<Object, CwlError> {
    let is_workflow = matches!(given.process.body, Body::Workflow(_));
    let step = Arc::clone(&given.step);
    if !is_workflow {
        engine.tell(&step, What::Begins(1));
    }
    let ended = engine.run(Call { given, tags: TagsByName::new(), early: None }).await;
    if !is_workflow {
        let outcome = if ended.is_ok() { Outcome::Done } else { Outcome::Failed };
        engine.tell(&step, What::Job(outcome));
        engine.tell(&step, What::Ends(outcome));
    }
    Ok(ended?.values)
}

/// Reads a document and everything that it names; gives every rule that it breaks, one a line.
pub fn validate(tool: &str) -> Result<Vec<String>, Failure> {
    let here = here()?;
    let mut loader = Loader::new(&Disk);
    loader.load(&address_of(tool, &here))?;
    Ok(loader.warnings.iter().map(ToString::to_string).collect())
}

/// The address of what a person names: a path of this machine, whatever characters are in it, or an address.
fn address_of(name: &str, here: &str) -> String {
    if uri::has_scheme(name) {
        return name.to_owned();
    }
    let whole = Path::new(name).is_file();
    let (path, fragment) = match name.rsplit_once('#') {
        Some((path, fragment)) if !whole => (path, format!("#{fragment}")),
        _ => (name, String::new()),
    };
    format!("{}{fragment}", uri::join(here, &uri::encode(path.as_bytes())))
}

/// The working directory as the base of addresses.
fn here() -> Result<String, CwlError> {
    let here = std::env::current_dir()
        .map_err(|error| CwlError::Failed(format!("there is no working directory: {error}")))?;
    Ok(format!("{}/", uri::from_path(&here).trim_end_matches('/')))
}
