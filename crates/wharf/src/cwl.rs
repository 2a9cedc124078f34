//! `wharf cwl`: the command line, the environment and the runner, plugged together.

use std::io::Write as _;
use std::process::ExitCode;

use cli::{CwlCommand, CwlRunArgs, SharedArgs};
use config::{Environment, default_data_dir};
use cwl_runner::{Failure, ImageMap, LocalOptions, RunOptions};

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
    if !args.local {
        let text = "cwl run through the controller is not in this version yet; add --local to run it on this machine";
        return Err(Failure { exit_code: 1, text: text.to_owned() });
    }
    let environment = Environment::read();
    let images = ImageMap::parse(&args.image_map).map_err(|text| Failure { exit_code: 2, text })?;
    let data_dir = shared.data.clone().unwrap_or_else(|| default_data_dir(&environment));
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let options = RunOptions {
        tool: args.tool.clone(),
        inputs: args.inputs.clone(),
        outdir: args.outdir.clone(),
        expression_time: args.expression_time,
        programs_at_once: args.jobs.and_then(|jobs| usize::try_from(jobs).ok()).unwrap_or(cores),
        local: LocalOptions {
            search_path: environment.search_path,
            no_container: args.no_container,
            images,
            image_store: Some(data_dir.join("images")),
        },
    };
    let quiet = args.quiet;
    cwl_runner::run(&options, &|text| {
        if !quiet {
            remark(text);
        }
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
