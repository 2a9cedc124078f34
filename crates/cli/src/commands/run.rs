//! `wharf run`: submits a service and says where it is.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use client::NewRequest;
use config::ByteSize;
use model::life::{IDLE_TIME, MAX_RUN_TIME};
use model::{
    ContainerRequest, JsonMap, Link, PublishedPorts, RequestState, RequestUuid, ServiceDomain,
};
use serde_json::json;

use crate::args::RunArgs;
use crate::context::Context;
use crate::failure::UsageError;
use crate::output;
use crate::service::{Service, is_ready};
use crate::{browser, progress, wait};

/// Memory where --ram is left out: enough for a notebook server, little enough for a laptop.
const DEFAULT_RAM: ByteSize = ByteSize::gib(1);
/// CPUs where --cpus is left out.
const DEFAULT_VCPUS: u32 = 1;
/// In the middle of 1 to 1000, so that there is room on both sides.
const PRIORITY: u32 = 500;
/// Where a program leaves what it made; a fresh directory of its own.
const OUTPUT_PATH: &str = "/out";
/// Of that directory.
const OUTPUT_CAPACITY: ByteSize = ByteSize::gib(1);

pub(crate) async fn run(context: &Context, args: RunArgs) -> anyhow::Result<()> {
    let request = Box::pin(submit(context, &args, true)).await?;
    let service = if args.wait || args.open {
        wait_until_ready(context, &request, args.timeout).await?
    } else {
        one(context, request).await?
    };
    let domain = context.client.service_domain().await?;
    output::print(&describe(&service, domain.as_ref()))?;
    if args.open
        && let Some(first) = args.publish.first()
    {
        let uuid = service.request.uuid.as_str();
        let url = context.client.handoff(uuid, Some(first.port), None).await?;
        if let Err(reason) = browser::open(&context.environment, &url).await {
            output::remark(&format!(
                "Not opened in a browser: {reason}. This address works once, within a minute:\n{url}"
            ));
        }
    }
    Ok(())
}

/// Creates the request, and the host name where one is wanted. Shared with `--batch`.
pub(super) async fn submit(
    context: &Context,
    args: &RunArgs,
    is_service: bool,
) -> anyhow::Result<ContainerRequest> {
    let new = NewRequest {
        name: args.name.clone().unwrap_or_default(),
        state: RequestState::Committed,
        priority: PRIORITY,
        command: args.command.clone(),
        container_image: image(context, args).await?,
        environment: args.env.iter().cloned().collect(),
        cwd: ".".to_owned(),
        output_path: OUTPUT_PATH.to_owned(),
        mounts: mounts(args)?,
        runtime_constraints: constraints(args),
        scheduling_parameters: life(args),
        service: is_service,
        use_existing: false,
        published_ports: ports(args)?,
        ..NewRequest::default()
    };
    let (Some(name), Some(first)) = (&args.hostname, args.publish.first()) else {
        return Ok(context.client.create_request(&new).await?);
    };
    let earlier = free_hostname(context, name).await?;
    let request = context.client.create_request(&new).await?;
    let named = match earlier {
        Some(link) => context.client.move_hostname(link.uuid, request.uuid, first.port).await,
        None => context.client.create_hostname(name, request.uuid, first.port).await,
    };
    if let Err(error) = named {
        // Without its address it is not what was asked for; it must not run on unnoticed.
        let stopped = context.client.cancel_request(request.uuid).await;
        let end = if stopped.is_ok() { "was stopped again" } else { "runs without it" };
        return Err(error).with_context(|| {
            format!("cannot have the host name {name:?}, so {} {end}", request.uuid)
        });
    }
    Ok(request)
}

/// The link of a host name that may move to a new service: one of ours whose service is over, as
/// when the same service is run once more. Errs while its service is alive.
async fn free_hostname(context: &Context, name: &str) -> anyhow::Result<Option<Link>> {
    let Some(link) = context.client.find_hostname(name).await? else { return Ok(None) };
    let head = link.head_uuid.as_deref().and_then(|uuid| RequestUuid::parse(uuid).ok());
    let Some(uuid) = head else { return Ok(Some(link)) };
    let service = match context.client.get_request(uuid).await {
        Ok(request) => one(context, request).await?,
        Err(error) if error.is_not_found() => return Ok(Some(link)),
        Err(error) => return Err(error.into()),
    };
    if service.is_alive() {
        let (title, id) = (service.title(), crate::service::short_id(uuid.as_str()));
        anyhow::bail!(
            "the host name {name:?} leads to {title}, which is {}; stop that (`wharf stop {id}`), \
             choose another name, or move it afterwards with `wharf hostname set`",
            service.state_words()
        );
    }
    Ok(Some(link))
}

/// The image that was named, else the only one there is.
async fn image(context: &Context, args: &RunArgs) -> anyhow::Result<String> {
    if let Some(image) = &args.image {
        return Ok(image.clone());
    }
    let images = context.client.list_images().await?;
    let names: Vec<&str> = images
        .iter()
        .map(|image| image.names.first().map_or(image.id.as_str(), String::as_str))
        .collect();
    match names.as_slice() {
        [only] => Ok((*only).to_owned()),
        [] => anyhow::bail!("there is no image yet; load one with `wharf image import FILE`"),
        several => Err(UsageError(format!(
            "say which image to run with --image; there are {}",
            several.join(", ")
        ))
        .into()),
    }
}

/// How long it lives; nothing where nothing was said, so that the site's defaults hold.
fn life(args: &RunArgs) -> JsonMap {
    let limits = [(MAX_RUN_TIME, args.max_life), (IDLE_TIME, args.idle)];
    let said = limits.into_iter().filter_map(|(name, limit)| Some((name, limit?)));
    said.map(|(name, limit)| (name.to_owned(), limit.as_secs().into())).collect()
}

fn ports(args: &RunArgs) -> anyhow::Result<PublishedPorts> {
    let mut ports = PublishedPorts::default();
    for publish in &args.publish {
        if ports.get(publish.port).is_some() {
            let port = publish.port;
            return Err(UsageError(format!("port {port} is published twice; give it once")).into());
        }
        ports.insert(publish.port, publish.entry.clone());
    }
    Ok(ports)
}

fn mounts(args: &RunArgs) -> anyhow::Result<JsonMap> {
    let mut mounts = JsonMap::new();
    let output = json!({ "kind": "tmp", "capacity": OUTPUT_CAPACITY.get() });
    mounts.insert(OUTPUT_PATH.to_owned(), output);
    for mount in &args.mount {
        let source = absolute(&mount.source)?;
        let bind = json!({ "kind": "bind", "path": source, "writable": mount.is_writable });
        let earlier = mounts.insert(mount.target.clone(), bind);
        if earlier.is_some_and(|earlier| earlier["kind"] == "bind") {
            let target = &mount.target;
            let text = format!("two mounts have the same place {target} in the container");
            return Err(UsageError(text).into());
        }
    }
    Ok(mounts)
}

/// The API takes absolute paths only: it does not know where this command runs.
fn absolute(source: &Path) -> anyhow::Result<String> {
    let path = std::fs::canonicalize(source)
        .with_context(|| format!("cannot mount {}", source.display()))?;
    let text = path.to_str().map(str::to_owned);
    text.with_context(|| format!("cannot mount {}: its name is not UTF-8", path.display()))
}

fn constraints(args: &RunArgs) -> JsonMap {
    let ram = args.ram.unwrap_or(DEFAULT_RAM).get();
    let vcpus = args.cpus.unwrap_or(DEFAULT_VCPUS);
    JsonMap::from_iter([("ram".to_owned(), ram.into()), ("vcpus".to_owned(), vcpus.into())])
}

async fn one(context: &Context, request: ContainerRequest) -> anyhow::Result<Service> {
    let mut services = Service::complete(&context.client, vec![request]).await?;
    services.pop().context("the service is gone")
}

/// Waits until every published port answers. Errs if it ends before, with the reason.
async fn wait_until_ready(
    context: &Context,
    request: &ContainerRequest,
    bound: Duration,
) -> anyhow::Result<Service> {
    let client = &context.client;
    let spinner = progress::spinner("submitted");
    let look = async || {
        let request = client.get_request(request.uuid).await?;
        let Some(service) = Service::complete(client, vec![request]).await?.pop() else {
            return Ok(None);
        };
        spinner.set_message(service.state_words());
        let ready = service.container.as_ref().is_some_and(is_ready);
        Ok((ready || !service.is_alive()).then_some(service))
    };
    let ended = tokio::select! {
        ended = wait::until(client, bound, look) => ended,
        _ = tokio::signal::ctrl_c() => {
            spinner.finish_and_clear();
            let id = crate::service::title(request);
            anyhow::bail!("not waited for; it goes on: `wharf stop {id}` ends it");
        }
    };
    spinner.finish_and_clear();
    match ended? {
        Some(service) if service.is_alive() => Ok(service),
        Some(service) => anyhow::bail!(
            "{} ended before it was ready: {}; `wharf logs {}` may say more",
            service.title(),
            service.reason().map_or_else(|| service.state_words(), str::to_owned),
            crate::service::short_id(service.request.uuid.as_str()),
        ),
        None => anyhow::bail!(
            "{} is not ready after {}; it goes on, see `wharf show {}`",
            crate::service::title(request),
            config::show_duration(bound),
            crate::service::short_id(request.uuid.as_str()),
        ),
    }
}

/// The identifier, then one line per port: for people and for scripts alike.
fn describe(service: &Service, domain: Option<&ServiceDomain>) -> String {
    let mut lines = vec![service.request.uuid.to_string()];
    for (port, entry) in service.ports() {
        let label = crate::table::printable(&entry.label);
        let access = entry.access.as_str();
        lines.push(match service.url(port, domain) {
            Some(url) => format!("{url}  {label} ({access})"),
            None => format!("port {port} gets its address when it runs  {label} ({access})"),
        });
    }
    lines.join("\n") + "\n"
}
