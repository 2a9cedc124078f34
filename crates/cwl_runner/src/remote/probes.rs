//! Whether a service of an instance is ready, where its ports do not say it: by a command in its container, and by its log.

use std::time::Duration;

use client::{BodyStream, Client, LogSelection};
use cwl::service::LogLine;
use futures_util::StreamExt as _;
use model::shell::{FromShell, ShellEnd, ShellRequest, ToShell};
use model::{Container, ContainerUuid};
use tokio::time::timeout;

/// Longest time of one command.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest line that is looked at; what is longer is looked at in parts.
const LINE_BYTES_MAX: usize = 64 << 10;

/// Whether a command ends with exit code 0 in a container.
pub(super) async fn succeeds(
    client: &Client,
    container: ContainerUuid,
    command: &[String],
) -> bool {
    timeout(COMMAND_TIMEOUT, run(client, container, command)).await.ok().flatten() == Some(0)
}

async fn run(client: &Client, container: ContainerUuid, command: &[String]) -> Option<i32> {
    let (mut sender, mut receiver) = client.open_shell(container).await.ok()?;
    let request = ShellRequest {
        command: command.to_vec(),
        terminal: None,
        term: String::new(),
        session: None,
    };
    sender.send(&ToShell::Open(Box::new(request))).await?;
    sender.send(&ToShell::InputEnd).await?;
    loop {
        match receiver.next().await? {
            // Nobody reads it, and it must not stop for that.
            FromShell::Output(bytes) | FromShell::ErrorOutput(bytes) => {
                let length = u32::try_from(bytes.len()).ok()?;
                sender.send(&ToShell::Taken(length)).await?;
            }
            FromShell::Ended(ShellEnd::Code(code)) => return Some(code),
            FromShell::Ended(_) | FromShell::Refused(_) => return None,
            FromShell::Opened(_) | FromShell::Taken(_) => {}
        }
    }
}

/// Watches a log for a line.
#[derive(Default)]
pub(super) struct LogWatch {
    wanted: Option<LogLine>,
    pieces: Option<BodyStream>,
    rest: Vec<u8>,
    is_found: bool,
}

impl LogWatch {
    /// Watches the log of a container, if it does not already.
    pub(super) async fn watch(&mut self, client: &Client, container: &Container, line: &LogLine) {
        if self.is_found || self.pieces.is_some() {
            return;
        }
        let selection = LogSelection { follow: true, ..LogSelection::default() };
        // One that cannot be opened now is tried at the next look.
        let Ok(pieces) = client.logs(container.uuid.as_str(), selection).await else { return };
        self.wanted = Some(line.clone());
        self.rest.clear();
        self.pieces = Some(pieces);
    }

    pub(super) fn is_found(&self) -> bool {
        self.is_found
    }

    /// Returns once when the line is there; never, where no log is watched. Cancel-safe.
    pub(super) async fn found(&mut self) {
        if self.is_found {
            return std::future::pending().await;
        }
        while !self.is_found {
            let next = match &mut self.pieces {
                Some(pieces) => pieces.next().await,
                None => std::future::pending().await,
            };
            match next {
                Some(Ok(piece)) => self.look(&piece),
                // Over, or broken off: another look opens it anew, from its beginning.
                Some(Err(_)) | None => self.pieces = None,
            }
        }
    }

    fn look(&mut self, piece: &[u8]) {
        self.rest.extend_from_slice(piece);
        while let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.rest.drain(..=end).collect();
            self.look_at(&line);
        }
        if self.rest.len() > LINE_BYTES_MAX {
            let line = std::mem::take(&mut self.rest);
            self.look_at(&line);
        }
    }

    fn look_at(&mut self, line: &[u8]) {
        let line = String::from_utf8_lossy(line);
        let Some(text) = text_of(line.trim_end()) else { return };
        self.is_found |= self.wanted.as_ref().is_some_and(|wanted| wanted.is_in(text));
    }
}

/// What a program said, without the name of its stream and the time; `None` for words that are not its own.
fn text_of(line: &str) -> Option<&str> {
    let (stream, rest) = line.split_once(' ')?;
    if !matches!(stream.trim_end_matches(':'), "stdout" | "stderr") {
        return None;
    }
    rest.split_once(' ').map(|(_time, text)| text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_program_said_counts() {
        let time = "2026-11-23T20:58:45.123456789Z";
        assert_eq!(text_of(&format!("stdout {time} ready to  serve")), Some("ready to  serve"));
        assert_eq!(text_of(&format!("stderr: {time} up")), Some("up"));
        assert_eq!(text_of(&format!("crunch-run {time} up")), None);
        assert_eq!(text_of("up"), None);
    }
}
