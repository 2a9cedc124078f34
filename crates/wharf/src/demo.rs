//! `wharf demo`: a controller with a service in it that shows what Wharf does.

use crate::controller::{Controller, Role};
use crate::process::{print, runtime, start_logs, unless_stopped};
use crate::up;
use anyhow::{Context, Result, bail};
use cli::{DemoAppArgs, DemoArgs, SharedArgs};
use client::{Client, ListQuery, NewRequest};
use config::Environment;
use lifecycle::Signals;
use model::{
    Access, ContainerPort, ContainerRequest, ContainerState, PublishedPort, PublishedPorts,
    RequestState,
};
use serde_json::json;
use std::time::Duration;
use tokio::io::BufReader;

/// The image's and the host's name.
const NAME: &str = "wharf-demo";
const HOSTNAME: &str = "demo";
const PORT: ContainerPort = ContainerPort::literal(8080);
/// A container starts in milliseconds; a laden machine may take seconds.
const READY_TIMEOUT: Duration = Duration::from_secs(60);
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Runs until it is told to stop. The demo service stays, as services do; `wharf stop demo` ends it.
pub(crate) fn run(args: &DemoArgs, shared: &SharedArgs) -> Result<()> {
    let environment = Environment::read();
    let options = up::options(Role::Everything, &args.up.serve, shared, &environment)?;
    start_logs(&environment, &options.resolve(None)?.log)?;
    runtime()?.block_on(async {
        let mut signals = Signals::listen().context("listen for signals")?;
        let started = unless_stopped(&mut signals, Controller::start(&options)).await?;
        let Some(mut controller) = started else { return Ok(()) };
        let mut up_args = args.up.clone();
        up_args.open = !args.no_open;
        let shown = async {
            show(&controller).await?;
            up::announce(&mut controller, &up_args, &environment).await
        };
        match unless_stopped(&mut signals, Box::pin(shown)).await? {
            Some(()) => controller.serve(signals).await,
            None => controller.stop(signals).await,
        }
    })
}

/// Starts the demo service, or finds it, and waits until it is ready.
async fn show(controller: &Controller) -> Result<()> {
    let request = start_service(controller).await?;
    wait_until_ready(&controller.client, &request).await?;
    print("The demo service is ready: `wharf open demo`, or click it in the dashboard.\n\n")
}

/// The program inside the demo's image.
pub(crate) fn run_app(args: &DemoAppArgs) -> Result<()> {
    start_logs(&Environment::default(), &config::Log::default())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(::demo::app::run(::demo::app::default_listen(args.port)))?;
    Ok(())
}

/// The demo service of an earlier start while it runs on the image of this executable, else a new one.
async fn start_service(controller: &Controller) -> Result<ContainerRequest> {
    let image = import_image(controller).await?;
    let client = &controller.client;
    let query = ListQuery::newest_first()
        .filter("name", "=", HOSTNAME)
        .filter("state", "=", RequestState::Committed.as_str())
        .filter("container_image", "=", image.as_str());
    if let Some(running) = client.list_requests(&query).await?.items.into_iter().next() {
        return Ok(running);
    }
    let mut published_ports = PublishedPorts::default();
    published_ports.insert(PORT, PublishedPort::new(Access::Private, "Wharf demo", ""));
    let new = NewRequest {
        name: HOSTNAME.to_owned(),
        state: RequestState::Committed,
        priority: 500,
        // By its id: a later executable has another image of the same name.
        container_image: image,
        cwd: ".".to_owned(),
        output_path: "/out".to_owned(),
        mounts: [("/out".to_owned(), json!({"kind": "tmp", "capacity": 1 << 20}))]
            .into_iter()
            .collect(),
        runtime_constraints: [("ram".to_owned(), json!(256 << 20)), ("vcpus".to_owned(), json!(1))]
            .into_iter()
            .collect(),
        service: true,
        use_existing: false,
        published_ports,
        ..NewRequest::default()
    };
    let request = client.create_request(&new).await.context("submit the demo service")?;
    match client.find_hostname(HOSTNAME).await? {
        Some(link) => client.move_hostname(link.uuid, request.uuid, PORT).await?,
        None => client.create_hostname(HOSTNAME, request.uuid, PORT).await?,
    };
    Ok(request)
}

/// Packs this executable into an image and imports it; gives the image's id.
async fn import_image(controller: &Controller) -> Result<String> {
    let scratch = controller.config().data_dir.join("images/demo.tar");
    let path = scratch.clone();
    tokio::task::spawn_blocking(move || ::demo::image::build(&path))
        .await?
        .context("make the demo image")?;
    let file = tokio::fs::File::open(&scratch).await?;
    let imported =
        controller.images.unpacked.import(BufReader::new(file), Some(NAME), |_progress| {}).await;
    tokio::fs::remove_file(&scratch).await.context("remove the demo image's archive")?;
    Ok(imported.context("import the demo image")?.id)
}

async fn wait_until_ready(client: &Client, request: &ContainerRequest) -> Result<()> {
    let ready = async {
        loop {
            let request = client.get_request(request.uuid).await?;
            if let Some(uuid) = request.container_uuid {
                let container = client.get_container(uuid).await?;
                if container.published_ports.get(PORT).is_some_and(PublishedPort::is_ready) {
                    return Ok(());
                }
                if container.state.is_over() {
                    bail!(
                        "the demo service ended: {}",
                        words(container.state, container.error_words())
                    );
                }
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    };
    match tokio::time::timeout(READY_TIMEOUT, ready).await {
        Ok(outcome) => outcome,
        Err(_elapsed) => {
            bail!("the demo service was not ready within a minute: `wharf logs demo` says more")
        }
    }
}

fn words(state: ContainerState, error: Option<&str>) -> String {
    error.map_or_else(|| format!("it is {state}; `wharf logs demo` says more"), str::to_owned)
}
