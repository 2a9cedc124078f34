//! `wharf logs`: what a service wrote, now or as it happens.

use std::io::Write;

use client::{LogSelection, LogStreamName};
use futures_util::StreamExt;
use model::ContainerState;

use crate::args::LogsArgs;
use crate::context::Context;
use crate::lines::{Lines, LogLine};
use crate::service::Service;
use crate::{output, progress, wait};

pub(crate) async fn logs(context: &Context, args: &LogsArgs) -> anyhow::Result<()> {
    let service = context.find(&args.id).await?;
    let stream = LogStreamName::from(args.stream);
    let selection = LogSelection { stream, follow: args.follow, tail: args.tail };
    let uuid = service.request.uuid.as_str();
    if args.follow {
        wait_for_start(context, &service).await?;
    }
    let mut pieces = context.client.logs(uuid, selection).await?;
    let mut n_bytes = 0;
    let mut lines = Lines::default();
    let mut text = Vec::new();
    let stdout = &mut std::io::stdout();
    while let Some(piece) = pieces.next().await {
        text.clear();
        let piece = piece?;
        n_bytes += piece.len();
        lines.push(&piece, |line| format_line(&mut text, line, args.timestamps));
        // Whole pieces at once, at once: a reader may wait for the line.
        stdout.write_all(&text)?;
        stdout.flush()?;
    }
    text.clear();
    lines.finish(|line| format_line(&mut text, line, args.timestamps));
    stdout.write_all(&text)?;
    stdout.flush()?;
    if args.follow {
        output::remark(&format!("{} is over.", service.title()));
    } else if n_bytes == 0 {
        let (title, state) = (service.title(), service.state_words());
        output::remark(&format!("{title} has written nothing: it is {state}."));
    }
    Ok(())
}

/// Before a container starts there is no log that could be followed.
async fn wait_for_start(context: &Context, service: &Service) -> anyhow::Result<()> {
    let Some(uuid) = service.request.container_uuid else {
        anyhow::bail!("{} is a draft: nothing runs that could write", service.title());
    };
    let spinner = progress::spinner(&service.state_words());
    let look = async || {
        let container = context.client.get_container(uuid).await?;
        let started = container.state == ContainerState::Running || container.state.is_over();
        Ok(started.then_some(()))
    };
    let started = wait::forever(&context.client, look).await;
    spinner.finish_and_clear();
    Ok(started?)
}

/// The program's lines as they were, the supervisor's marked as such, the time where asked for.
fn format_line(text: &mut Vec<u8>, line: &[u8], timestamps: bool) {
    let line = LogLine::parse(line);
    if timestamps && !line.time.is_empty() {
        text.extend_from_slice(line.time.as_bytes());
        text.push(b' ');
    }
    if line.stream == Some("crunch-run") {
        text.extend_from_slice(b"[wharf] ");
    }
    text.extend_from_slice(line.text);
    text.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_shown_as_written_unless_more_is_asked_for() {
        let time = "2026-11-23T20:58:45.123456789Z";
        let check = |line: String, timestamps: bool, shown: String| {
            let mut text = Vec::new();
            format_line(&mut text, line.as_bytes(), timestamps);
            assert_eq!(String::from_utf8(text).unwrap(), shown);
        };
        check(format!("stdout {time} hello"), false, "hello\n".into());
        check(format!("{time} hello"), true, format!("{time} hello\n"));
        check(format!("crunch-run {time} started"), false, "[wharf] started\n".into());
    }
}
