//! `wharf up`, every role of one machine in one process, and `wharf controller`, the same without dispatching.

use crate::controller::{Controller, ControllerOptions, Role};
use crate::process::{print, runtime, start_logs, unless_stopped, write_ready_file};
use crate::replace::Relaunch;
use anyhow::{Context, Result};
use cli::{ControllerArgs, ServeArgs, SharedArgs, UpArgs};
use config::Environment;
use lifecycle::Signals;

/// `wharf up`: runs until it is told to stop.
pub(crate) fn run(args: &UpArgs, shared: &SharedArgs) -> Result<()> {
    let environment = Environment::read();
    let options = options(Role::Everything, &args.serve, shared, &environment)?;
    start_logs(&environment, &options.resolve(None)?.log)?;
    runtime()?.block_on(async {
        // Before anything is started, so that an early stop is an orderly one.
        let mut signals = Signals::listen().context("listen for signals")?;
        let started = unless_stopped(&mut signals, Controller::start(&options)).await?;
        let Some(mut controller) = started else { return Ok(()) };
        let told = announce(&mut controller, args, &environment);
        match unless_stopped(&mut signals, told).await? {
            Some(()) => controller.serve(signals).await,
            None => controller.stop(signals).await,
        }
    })
}

/// `wharf controller`: runs until it is told to stop.
pub(crate) fn run_controller(args: &ControllerArgs, shared: &SharedArgs) -> Result<()> {
    let environment = Environment::read();
    let options = options(Role::Controller, &args.serve, shared, &environment)?;
    start_logs(&environment, &options.resolve(None)?.log)?;
    runtime()?.block_on(async {
        let mut signals = Signals::listen().context("listen for signals")?;
        let started = unless_stopped(&mut signals, Controller::start(&options)).await?;
        let Some(mut controller) = started else { return Ok(()) };
        let about = format!(
            "Wharf serves on {} (http and https), data in {}\n",
            controller.address,
            controller.config().data_dir.display()
        );
        print(&about)?;
        open(&mut controller, &args.serve).await?;
        controller.serve(signals).await
    })
}

/// What flags and environment say.
pub(crate) fn options(
    role: Role,
    args: &ServeArgs,
    shared: &SharedArgs,
    environment: &Environment,
) -> Result<ControllerOptions> {
    let data = shared.data.clone().unwrap_or_else(|| config::default_data_dir(environment));
    Ok(ControllerOptions {
        role,
        data,
        listen: args.listen,
        config_file: args.config.clone(),
        database: args.database.clone().or_else(|| environment.database.clone()),
        replace: args.replace,
        relaunch: Relaunch::of_this_process().context("find our own executable")?,
    })
}

/// Tells the person, the ready file, the process before us and the browser that everything is served, and serves it.
pub(crate) async fn announce(
    controller: &mut Controller,
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
    // Whoever upgrades has it open.
    let is_wanted = args.open && !controller.is_successor();
    open(controller, &args.serve).await?;
    if is_wanted && let Err(reason) = cli::browser::open(environment, &link.url).await {
        print(&format!("The dashboard was not opened in a browser: {reason}.\n"))?;
    }
    Ok(())
}

/// Writes the ready file first: a process that could not would otherwise end with connections that it has accepted. Those
/// who read it sooner wait a moment in the kernel.
async fn open(controller: &mut Controller, args: &ServeArgs) -> Result<()> {
    if let Some(path) = &args.ready_file {
        let data = &controller.config().data_dir;
        let ready = serde_json::json!({
            "url": controller.url,
            "port": controller.address.port(),
            "credentials": data.join(config::credentials::CREDENTIALS_FILE),
            "pid": std::process::id(),
        });
        write_ready_file(path, &ready)?;
    }
    controller.open().await
}
