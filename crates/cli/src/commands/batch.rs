//! `wharf run --batch`: runs a program once through, as if it ran here: its output, its exit code.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use client::{Client, ClientError, LogSelection, LogStreamName};
use futures_util::StreamExt;
use lifecycle::{Signals, StopSignal};
use model::{Container, ContainerRequest, ContainerState};

use crate::args::RunArgs;
use crate::context::Context;
use crate::lines::{Lines, LogLine};
use crate::{output, progress, wait};

/// For the end of a run that was told to stop; the grace period is within it.
const STOP_BOUND: Duration = Duration::from_secs(120);
/// What shells give for a program that Ctrl-C ended.
const EXIT_INTERRUPTED: u8 = 130;
/// The same for SIGTERM.
const EXIT_TERMINATED: u8 = 143;

pub(crate) async fn run(context: &Context, args: RunArgs) -> anyhow::Result<ExitCode> {
    let client = &context.client;
    let request = Box::pin(super::run::submit(context, &args, false)).await?;
    let mut signals = Signals::listen()?;
    let followed = async {
        let container = wait_for_start(client, &request).await?;
        tokio::try_join!(
            follow(client, &container, LogStreamName::Stdout),
            follow(client, &container, LogStreamName::Stderr),
        )?;
        // Its logs are over a moment before its record is.
        anyhow::Ok(wait::forever(client, async || ended(client, &request).await).await?)
    };
    tokio::select! {
        container = followed => exit_code(&container?),
        signal = signals.next() => {
            output::remark("stopping");
            client.cancel_request(request.uuid).await?;
            wait::until(client, STOP_BOUND, async || ended(client, &request).await).await?;
            Ok(ExitCode::from(match signal {
                StopSignal::Interrupt => EXIT_INTERRUPTED,
                StopSignal::Terminate => EXIT_TERMINATED,
            }))
        }
    }
}

/// Waits until there is something to read: it runs, or is over already.
async fn wait_for_start(
    client: &Client,
    request: &ContainerRequest,
) -> Result<Container, ClientError> {
    let spinner = progress::spinner("queued");
    let look = async || {
        let container = container_of(client, request).await?;
        Ok(container.filter(|container| {
            spinner.set_message(container.state.as_str().to_lowercase());
            container.state == ContainerState::Running || container.state.is_over()
        }))
    };
    let started = wait::forever(client, look).await;
    spinner.finish_and_clear();
    started
}

/// The container that satisfies the request now: a failed start may bring another.
async fn container_of(
    client: &Client,
    request: &ContainerRequest,
) -> Result<Option<Container>, ClientError> {
    match client.get_request(request.uuid).await?.container_uuid {
        Some(uuid) => client.get_container(uuid).await.map(Some),
        None => Ok(None),
    }
}

/// The container once it is over.
async fn ended(
    client: &Client,
    request: &ContainerRequest,
) -> Result<Option<Container>, ClientError> {
    let container = container_of(client, request).await?;
    Ok(container.filter(|container| container.state.is_over()))
}

/// Copies one output of the program to ours until it is over.
///
/// When the connection breaks (the controller restarts) it is read again from its beginning, and
/// the lines that were printed are skipped: logs only grow.
async fn follow(
    client: &Client,
    container: &Container,
    stream: LogStreamName,
) -> anyhow::Result<()> {
    let mut n_printed: u64 = 0;
    let copied = wait::patiently(async || {
        let mut n_seen: u64 = 0;
        let mut failed = None;
        let mut take = |line: &[u8]| {
            n_seen += 1;
            if n_seen > n_printed {
                n_printed = n_seen;
                failed = failed.take().or(print_line(stream, line).err());
            }
        };
        let selection = LogSelection { stream, follow: true, tail: None };
        let mut pieces = client.logs(container.uuid.as_str(), selection).await?;
        let mut lines = Lines::default();
        while let Some(piece) = pieces.next().await {
            lines.push(&piece?, &mut take);
        }
        lines.finish(&mut take);
        Ok(failed)
    })
    .await;
    match copied {
        // Killed before its supervisor wrote a line: there is no log, which is no failure of ours.
        Err(error) if error.is_not_found() => Ok(()),
        Err(error) => Err(error.into()),
        Ok(Some(closed)) => Err(closed.into()),
        Ok(None) => Ok(()),
    }
}

fn print_line(stream: LogStreamName, line: &[u8]) -> std::io::Result<()> {
    let text = LogLine::parse(line).text;
    match stream {
        LogStreamName::Stderr => write_line(&mut std::io::stderr().lock(), text),
        _ => write_line(&mut std::io::stdout().lock(), text),
    }
}

fn write_line(out: &mut impl Write, text: &[u8]) -> std::io::Result<()> {
    out.write_all(text)?;
    out.write_all(b"\n")?;
    out.flush()
}

/// The program's own code; what never ran or was stopped has none and is a failure with a reason.
fn exit_code(container: &Container) -> anyhow::Result<ExitCode> {
    if let (ContainerState::Complete, Some(code)) = (container.state, container.exit_code) {
        // The system keeps eight bits of it.
        return Ok(ExitCode::from(u8::try_from(code & 0xff).unwrap_or(1)));
    }
    match container.error_words() {
        Some(words) => anyhow::bail!("the run failed: {words}"),
        None => anyhow::bail!("the run was stopped before its end"),
    }
}
