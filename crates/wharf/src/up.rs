//! `wharf up`: every role of one machine in one process.

use crate::controller::{Controller, ControllerOptions};
use crate::secrets::write_private;
use anyhow::{Context, Result};
use cli::{SharedArgs, UpArgs};
use config::Environment;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Runs until it is told to stop.
pub(crate) fn run(args: &UpArgs, shared: &SharedArgs) -> Result<()> {
    let environment = Environment::read();
    let options = options(args, shared, &environment);
    start_logs(&environment, &options.resolve(None)?.log)?;
    runtime()?.block_on(async {
        let controller = Controller::start(&options).await?;
        announce(&controller, args, &environment).await?;
        controller.serve().await
    })
}

/// The main runtime: API, pages, dispatch.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(std::thread::available_parallelism().map_or(2, |n| n.get().clamp(2, 8)))
        .thread_name("wharf")
        .enable_all()
        .build()
        .context("start the runtime")
}

/// Logs go to stderr; `WHARF_LOG` wins over the config.
pub(crate) fn start_logs(environment: &Environment, config: &config::Log) -> Result<()> {
    let format = match config.format {
        config::LogFormat::Text => telemetry::LogFormat::Text,
        config::LogFormat::Json => telemetry::LogFormat::Json,
    };
    let filter = environment.log_filter.as_ref().unwrap_or(&config.level).clone();
    Ok(telemetry::init(&telemetry::LogOptions { filter, format })?)
}

/// What flags and environment say.
pub(crate) fn options(
    args: &UpArgs,
    shared: &SharedArgs,
    environment: &Environment,
) -> ControllerOptions {
    let data = shared.data.clone().unwrap_or_else(|| config::default_data_dir(environment));
    ControllerOptions { data, listen: args.listen, config_file: args.config.clone() }
}

/// Tells the person, the browser and the ready file that everything is served.
pub(crate) async fn announce(
    controller: &Controller,
    args: &UpArgs,
    environment: &Environment,
) -> Result<()> {
    let link = controller.client.login_link().await.context("make the sign-in link")?;
    let address = controller.address;
    print(&format!(
        "Wharf serves on {address} (http and https), data in {}\n\n\
         Dashboard (signs you in, works once):\n  {}\n\n\
         In another terminal:\n  \
         wharf run --help             start a service\n  \
         eval \"$(wharf env)\"          point Arvados clients here\n\n",
        controller.config().data_dir.display(),
        link.url
    ))?;
    if args.open {
        cli::browser::open(environment, &link.url);
    }
    if let Some(path) = &args.ready_file {
        write_ready_file(path, controller)?;
    }
    Ok(())
}

fn write_ready_file(path: &Path, controller: &Controller) -> Result<()> {
    let credentials: PathBuf = controller.config().data_dir.join("credentials.json");
    let ready = serde_json::json!({
        "url": controller.url,
        "port": controller.address.port(),
        "credentials": credentials,
        "pid": std::process::id(),
    });
    write_private(path, ready.to_string().as_bytes())
}

/// Prints for the person who started us; a closed terminal is no reason to stop.
pub(crate) fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    let printed = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    match printed {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}
