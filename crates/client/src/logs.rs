//! Logs of a container, as a stream.

use crate::body::BodyStream;
use crate::call::Client;
use crate::error::ClientError;

/// Which of a container's logs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogStreamName {
    /// What the program printed.
    Stdout,
    /// What it complained about.
    Stderr,
    /// The supervisor's own words: start, readiness, end.
    CrunchRun,
    /// All of them, each line with the name of its stream in front.
    #[default]
    All,
}

impl LogStreamName {
    /// As the API has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
            Self::CrunchRun => "crunch-run",
            Self::All => "all",
        }
    }
}

/// What to read of a log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogSelection {
    /// Which stream.
    pub stream: LogStreamName,
    /// Go on until the container ends.
    pub follow: bool,
    /// Only the last so many lines of what is there.
    pub tail: Option<u64>,
}

impl Client {
    /// Lines of a request's or a container's log. The stream ends with the log, or, when
    /// following, once the container is over and everything was delivered.
    pub async fn logs(
        &self,
        uuid: &str,
        selection: LogSelection,
    ) -> Result<BodyStream, ClientError> {
        let LogSelection { stream, follow, tail } = selection;
        let stream = stream.as_str();
        let mut path = format!("/wharf/v1/logs/{uuid}?stream={stream}&follow={follow}");
        if let Some(tail) = tail {
            path.push_str("&tail=");
            path.push_str(&tail.to_string());
        }
        self.stream(&path, "text/plain").await
    }
}
