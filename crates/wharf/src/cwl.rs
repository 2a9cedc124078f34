//! `wharf cwl`: the command line, the environment and the runner, plugged together.

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use cli::live::{Color, Line, Live};
use cli::{CwlCommand, CwlRunArgs, SharedArgs};
use config::{Environment, default_data_dir};
use cwl_runner::{
    Attach, Board, Failure, ImageMap, Listener, LocalOptions, Mark, News, RemoteOptions, Row,
    RunOptions, Target,
};
use futures_util::future::BoxFuture;

/// Container requests of one run that are under way at a time.
const REQUESTS_AT_ONCE: usize = 64;

/// Runs a command; its exit code is the runner's.
pub(crate) fn run(command: &CwlCommand, shared: &SharedArgs) -> ExitCode {
    let ended = match command {
        CwlCommand::Run(args) => run_document(args, shared),
        CwlCommand::Validate(args) => cwl_runner::validate(&args.tool).map(|warnings| {
            warnings.iter().for_each(|warning| remark(warning));
            format!("{} is valid", args.tool)
        }),
    };
    match ended {
        Ok(text) => print(&text),
        Err(failure) => {
            remark(&format!("wharf: {}", failure.text));
            ExitCode::from(failure.exit_code)
        }
    }
}

fn run_document(args: &CwlRunArgs, shared: &SharedArgs) -> Result<String, Failure> {
    let environment = Environment::read();
    let usage = |text: String| Failure { exit_code: 2, text };
    let images = ImageMap::parse(&args.image_map).map_err(usage)?;
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    // Requests wait in the queue of the instance, not here.
    let at_once = if args.local { cores } else { REQUESTS_AT_ONCE };
    let on = if args.local {
        local(args, shared, &environment, images)
    } else {
        remote(args, shared, &environment, images)?
    };
    let telling = Telling::start(args.quiet, &environment);
    let mut options = RunOptions {
        tool: args.tool.clone(),
        inputs: args.inputs.clone(),
        outdir: args.outdir.clone(),
        expression_time: args.expression_time,
        programs_at_once: args.jobs.and_then(|jobs| usize::try_from(jobs).ok()).unwrap_or(at_once),
        on,
    };
    if let Target::Local(local) = &mut options.on {
        // What programs print would run through the block.
        local.captures = telling.is_live();
    }
    let ended = cwl_runner::run(&options, Arc::clone(&telling) as Arc<dyn Listener>);
    telling.finish();
    ended
}

/// Tells what happens in a run: in a live block on a terminal, else line by line.
struct Telling {
    is_quiet: bool,
    begun: Instant,
    board: Arc<Mutex<Board>>,
    live: Mutex<Option<Live>>,
}

impl Telling {
    fn start(is_quiet: bool, environment: &Environment) -> Arc<Self> {
        let (board, begun) = (Arc::<Mutex<Board>>::default(), Instant::now());
        let shown = Arc::clone(&board);
        let lines = move |rows_max| {
            let rows = lock(&shown).rows(begun.elapsed(), rows_max);
            rows.into_iter().map(line_of).collect()
        };
        let live = if is_quiet { None } else { Live::start(environment, lines) };
        Arc::new(Self { is_quiet, begun, board, live: Mutex::new(live) })
    }

    fn is_live(&self) -> bool {
        lock(&self.live).is_some()
    }

    /// Takes the block away; one line about all steps stays.
    fn finish(&self) {
        if let Some(mut live) = lock(&self.live).take() {
            live.finish();
            let board = lock(&self.board);
            if board.has_steps() {
                remark(&board.summary(self.begun.elapsed()));
            }
        }
    }
}

impl Listener for Telling {
    fn say(&self, words: &str) {
        match &*lock(&self.live) {
            Some(live) => live.say(words),
            None if self.is_quiet => {}
            None => remark(words),
        }
    }

    fn note(&self, words: &str) {
        if !self.is_live() {
            self.say(words);
        }
    }

    fn hear(&self, news: &News<'_>) {
        let live = lock(&self.live);
        let Some(live) = &*live else { return };
        lock(&self.board).hear(news, self.begun.elapsed());
        live.change();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn line_of(row: Row) -> Line {
    let color = row.mark.map(|mark| match mark {
        Mark::Failed => Color::Red,
        Mark::Ready => Color::Green,
        Mark::Running => Color::Cyan,
        Mark::Queued | Mark::Waits | Mark::Done => Color::Gray,
    });
    let lead = row.mark.map(|mark| format!("  {:9}", mark.as_str())).unwrap_or_default();
    Line { lead, color, text: row.text, link: row.link }
}

fn local(
    args: &CwlRunArgs,
    shared: &SharedArgs,
    environment: &Environment,
    images: ImageMap,
) -> Target {
    let data_dir = shared.data.clone().unwrap_or_else(|| default_data_dir(environment));
    Target::Local(LocalOptions {
        search_path: environment.search_path.clone(),
        no_container: args.no_container,
        images,
        image_store: Some(data_dir.join("images")),
        captures: false,
    })
}

fn remote(
    args: &CwlRunArgs,
    shared: &SharedArgs,
    environment: &Environment,
    images: ImageMap,
) -> Result<Target, Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure { exit_code: 1, text: error.to_string() };
    let access = cli::api_access(shared, environment).map_err(|error| failed(&error))?;
    let client = cli::api_client(&access).map_err(|error| failed(&error))?;
    Ok(Target::Remote(RemoteOptions {
        client,
        images,
        default_image: args.image.clone(),
        attach: if args.no_wait { Attach::Leave } else { Attach::Stay },
        open: args.open.then_some(open_browser),
        lease: args.lease,
    }))
}

fn open_browser(url: String) -> BoxFuture<'static, Result<(), String>> {
    Box::pin(async move {
        let opened = cli::browser::open(&Environment::read(), &url).await;
        opened.map_err(|reason| reason.to_string())
    })
}

/// A remark for the person at the terminal. Lost without harm if stderr is closed.
fn remark(text: &str) {
    let _unheard = writeln!(std::io::stderr(), "{text}");
}

fn print(text: &str) -> ExitCode {
    let mut stdout = std::io::stdout().lock();
    match writeln!(stdout, "{text}").and_then(|()| stdout.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => cli::report(&error.into()),
    }
}
