//! The state of a service in words a person uses, made of the request and its container.
//!
//! ```text
//!  Draft ─► Queued ─► Starting ─► Ready ◄─► Not answering (service) / Running (no ports) ─► Stopping ─► Stopped
//!              │          │         │                                                 Finished (batch)
//!              └──────────┴─────────┴──────────────────────────────────────────────► Failed(why)
//! ```

use model::{Container, ContainerRequest, ContainerState, RequestState};

/// A service's state, in order of its life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum State {
    /// Not committed yet: nobody asked for it to run.
    Draft,
    /// Waiting for its turn.
    Queued,
    /// Being set up, or running with no published port answering yet.
    Starting,
    /// At least one published port answers.
    Ready,
    /// Every port that answered has fallen silent: its program is there, and listens no more.
    NotAnswering,
    /// Running; it publishes no port.
    Running,
    /// Asked to stop and still there.
    Stopping,
    /// A service that ended because it was asked to, or by itself without an error.
    Stopped,
    /// A once-through run that ended with exit code 0.
    Finished,
    /// Ended otherwise; why, in words.
    Failed(String),
}

impl State {
    /// The state of `request` with its container, where it has one.
    pub(crate) fn of(request: &ContainerRequest, container: Option<&Container>) -> Self {
        if request.state == RequestState::Uncommitted {
            return Self::Draft;
        }
        let Some(container) = container else {
            return Self::without_container(request);
        };
        let unwanted = request.priority == 0 || request.state == RequestState::Final;
        match container.state {
            ContainerState::Complete => Self::of_complete(request, container),
            ContainerState::Cancelled => match container.error_words() {
                Some(words) => Self::Failed(words.to_owned()),
                None => Self::Stopped,
            },
            ContainerState::Queued | ContainerState::Locked | ContainerState::Running
                if unwanted =>
            {
                Self::Stopping
            }
            ContainerState::Queued => Self::Queued,
            ContainerState::Locked => Self::Starting,
            ContainerState::Running if container.published_ports.is_empty() => Self::Running,
            ContainerState::Running => {
                let mut ready =
                    container.published_ports.iter().filter(|(_, port)| port.is_ready());
                let mut has_ready = false;
                let answers = ready.any(|(_, port)| {
                    has_ready = true;
                    port.silent_since.is_none()
                });
                match (answers, has_ready) {
                    (true, _) => Self::Ready,
                    (false, true) => Self::NotAnswering,
                    (false, false) => Self::Starting,
                }
            }
        }
    }

    fn without_container(request: &ContainerRequest) -> Self {
        match request.state {
            RequestState::Final => Self::Stopped,
            _ if request.priority == 0 => Self::Stopped,
            _ => Self::Queued,
        }
    }

    fn of_complete(request: &ContainerRequest, container: &Container) -> Self {
        match (container.error_words(), container.exit_code) {
            (Some(words), _) => Self::Failed(words.to_owned()),
            (None, Some(0)) if request.service => Self::Stopped,
            (None, Some(0)) => Self::Finished,
            (None, Some(code)) => Self::Failed(format!("the program ended with exit code {code}")),
            (None, None) => Self::Failed("the program's exit code is not known".to_owned()),
        }
    }

    /// The word on the chip.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Draft => "Draft",
            Self::Queued => "Queued",
            Self::Starting => "Starting",
            Self::Ready => "Ready",
            Self::NotAnswering => "Not answering",
            Self::Running => "Running",
            Self::Stopping => "Stopping",
            Self::Stopped => "Stopped",
            Self::Finished => "Finished",
            Self::Failed(_) => "Failed",
        }
    }

    /// Why, where the word alone does not say it.
    pub(crate) fn why(&self) -> Option<&str> {
        match self {
            Self::Failed(why) => Some(why),
            _ => None,
        }
    }

    /// Whether it is over for good.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self, Self::Stopped | Self::Finished | Self::Failed(_))
    }

    /// Whether asking it to stop makes sense.
    pub(crate) fn can_stop(&self) -> bool {
        matches!(
            self,
            Self::Queued | Self::Starting | Self::Ready | Self::NotAnswering | Self::Running
        )
    }
}
