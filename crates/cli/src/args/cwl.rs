//! `wharf cwl`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::values::parse_duration;

/// Commands of `wharf cwl`.
#[derive(Debug, Subcommand)]
pub enum CwlCommand {
    /// Run a tool or workflow and print its output object
    #[command(after_help = "Examples:
  wharf cwl run sort.cwl sort-job.yml
  wharf cwl run jupyterlab.cwl --open
  wharf cwl run --local sort.cwl --input words.txt --reverse

Exit code 0: done; 1: failed; 33: the document asks for what is not there.")]
    Run(Box<CwlRunArgs>),
    /// Check a document and everything that it names: file, line, rule, and what to write instead
    #[command(visible_alias = "check", after_help = "Example:\n  wharf cwl validate workflow.cwl")]
    Validate(CwlValidateArgs),
}

/// Flags of `wharf cwl run`.
#[derive(Clone, Debug, Args)]
pub struct CwlRunArgs {
    /// Run it on this machine, without a controller
    #[arg(long)]
    pub local: bool,
    /// Where outputs go
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub outdir: PathBuf,
    /// Print the output object and errors, nothing else
    #[arg(long)]
    pub quiet: bool,
    /// What stands for an image: another image, or `host` for the programs of this machine; `*` is every image;
    /// repeatable
    #[arg(long, value_name = "NAME=IMAGE|host[,ENTRYPOINT]")]
    pub image_map: Vec<String>,
    /// Image of tools that name none
    #[arg(long, value_name = "REPO[:TAG]", conflicts_with = "local")]
    pub image: Option<String>,
    /// Submit a service, print its identifier and leave it to itself
    #[arg(long, conflicts_with = "local")]
    pub no_wait: bool,
    /// Open the first port of a service in the browser when it is ready
    #[arg(long, conflicts_with_all = ["local", "no_wait"])]
    pub open: bool,
    /// How long what was submitted goes on when this command was killed and cannot stop it
    #[arg(long, value_name = "TIME", default_value = "2m", value_parser = parse_duration, conflicts_with = "local")]
    pub lease: Duration,
    /// Run programs without containers; what requires one is refused
    #[arg(long, requires = "local")]
    pub no_container: bool,
    /// Longest time that one expression may take
    #[arg(long, value_name = "TIME", default_value = "20s", value_parser = parse_duration)]
    pub expression_time: Duration,
    /// Programs that run at a time [default: as many as there are processors]
    #[arg(long, short = 'j', value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub jobs: Option<u32>,
    /// The document, with #NAME where it holds several processes
    #[arg(value_name = "TOOL")]
    pub tool: String,
    /// A file with the inputs, or --NAME VALUE for each
    #[arg(value_name = "JOB|--NAME VALUE", trailing_var_arg = true, allow_hyphen_values = true)]
    pub inputs: Vec<String>,
}

/// Flags of `wharf cwl validate`.
#[derive(Clone, Debug, Args)]
pub struct CwlValidateArgs {
    /// The document
    #[arg(value_name = "TOOL")]
    pub tool: String,
}
