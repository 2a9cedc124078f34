//! `wharf cwl`: the command line, the environment and the runner, plugged together.

use std::io::Write as _;
use std::process::ExitCode;

use cli::{CwlCommand, CwlRunArgs, SharedArgs};
use config::{Environment, default_data_dir};
use cwl_runner::{Attach, Failure, ImageMap, LocalOptions, RemoteOptions, RunOptions, Target};

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
    let options = RunOptions {
        tool: args.tool.clone(),
        inputs: args.inputs.clone(),
        outdir: args.outdir.clone(),
        expression_time: args.expression_time,
        programs_at_once: args.jobs.and_then(|jobs| usize::try_from(jobs).ok()).unwrap_or(at_once),
        on,
    };
    let quiet = args.quiet;
    cwl_runner::run(&options, &|text| {
        if !quiet {
            remark(text);
        }
    })
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

fn open_browser(url: &str) {
    if !cli::browser::open(&Environment::read(), url) {
        remark(&format!("No browser here; open this once, within a minute:\n{url}"));
    }
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
