//! What a supervisor does next: one pure function from (state, event) to (state, actions).
//!
//! ```text
//!            Started                 Exited                Finished            Acked | AckOverdue
//! Starting ──────────▶ Running ─────────────▶ Finishing ───────────▶ Ended ───────────────────────▶ Gone
//!    │  │                 │ StopAsked            ▲  ▲
//!    │  │ Started, stop   ▼                      │  │
//!    │  └───────────▶ Stopping ──── Exited ──────┘  │
//!    │                 │     ▲                      │
//!    │                 └─────┘ GraceOver: kill      │
//!    └────────────────── StartFailed ───────────────┘
//! ```
//!
//! Invariants: `Finish` is asked for exactly once, before anybody is told of the end, so that a
//! container whose end is known has left nothing behind; `Leave` comes last; an event that means
//! nothing in a state changes nothing. The machine knows no clock, process or socket: the driver
//! performs the actions and feeds back what came of them.

use std::collections::BTreeMap;
use std::time::Duration;

use model::{ContainerEnd, ContainerPort, Outcome, Phase, SupervisorState, Timestamp};

use crate::words;

/// All that a supervisor knows about its container.
#[derive(Clone, Debug, PartialEq)]
pub struct Machine {
    /// Where in the diagram.
    pub step: Step,
    /// When the command began to run; set once.
    pub started_at: Option<Timestamp>,
    /// Ports that accepted a connection, and when each first did.
    pub ready: BTreeMap<ContainerPort, Timestamp>,
    /// Of those, the ones on which nothing listens any more, and since when.
    pub silent: BTreeMap<ContainerPort, Timestamp>,
    /// When it was last seen to work.
    pub busy_at: Option<Timestamp>,
    /// The memory limit of the container in bytes, 0 for none; only for the words of its end.
    pub ram_bytes: u64,
}

/// The states of the diagram.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// The runtime is making the container; `stop` holds a stop that was asked for meanwhile.
    Starting {
        /// The grace period of that stop.
        stop: Option<Duration>,
    },
    /// The command runs.
    Running,
    /// The command was asked to end.
    Stopping {
        /// How long it has to end by itself.
        grace: Duration,
        /// True once it was killed for not doing so.
        killed: bool,
    },
    /// The command is over; its leftovers are being removed and its output read to the end.
    Finishing(ContainerEnd),
    /// All is over; the controller is to confirm that the record says so.
    Ended(ContainerEnd),
    /// The supervisor may exit.
    Gone,
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The command runs since `at`.
    Started {
        /// When.
        at: Timestamp,
    },
    /// The command could not be started.
    StartFailed {
        /// When.
        at: Timestamp,
        /// Why, in words for the record.
        reason: String,
    },
    /// A published port accepted a connection.
    PortReady {
        /// Which.
        port: ContainerPort,
        /// When.
        at: Timestamp,
    },
    /// Nothing listens on a port any more that was ready.
    PortSilent {
        /// Which.
        port: ContainerPort,
        /// Since when, about.
        at: Timestamp,
    },
    /// Something listens there again.
    PortAnswers {
        /// Which.
        port: ContainerPort,
    },
    /// Its processes worked lately.
    Busy {
        /// When that was seen.
        at: Timestamp,
    },
    /// The controller, or a signal to the supervisor, asks for the end.
    StopAsked {
        /// How long the command may take; zero kills at once.
        grace: Duration,
    },
    /// The grace period is over.
    GraceOver,
    /// The command is over.
    Exited {
        /// When.
        at: Timestamp,
        /// How.
        exit: Exit,
    },
    /// Leftovers are removed, output is read and saved.
    Finished {
        /// Why the output could not be saved, where it could not.
        problem: Option<String>,
    },
    /// The controller has stored the end.
    Acked,
    /// No controller confirmed the end in time; the state file tells it to a later one.
    AckOverdue,
}

/// How the command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit {
    /// By itself or by a signal.
    pub how: ExitHow,
    /// True if the kernel killed it, or a process of it, for want of memory.
    pub oom_killed: bool,
}

/// By itself or by a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitHow {
    /// Exit code, 0..=255.
    Code(i32),
    /// Signal number.
    Signal(i32),
}

/// What the driver is to do, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Write the state file and tell the controller, if one is connected.
    Publish,
    /// Begin to probe the published ports, and to look whether the container works.
    Watch,
    /// Ask the command to end (SIGTERM).
    Terminate,
    /// Feed [`Event::GraceOver`] after this time.
    ArmGrace(Duration),
    /// End the command and all its processes (SIGKILL).
    Kill,
    /// Read the output to its end and save it, remove leftovers, then feed [`Event::Finished`].
    Finish,
    /// Feed [`Event::AckOverdue`] when no controller confirmed in time.
    ArmAck,
    /// Exit.
    Leave,
}

impl Machine {
    /// The state at birth.
    pub fn new(ram_bytes: u64) -> Self {
        Self {
            step: Step::Starting { stop: None },
            started_at: None,
            ready: BTreeMap::new(),
            silent: BTreeMap::new(),
            busy_at: None,
            ram_bytes,
        }
    }

    /// What outsiders are told: the state file and the control stream carry this.
    pub fn published(&self) -> SupervisorState {
        let (phase, end) = match &self.step {
            Step::Starting { .. } => (Phase::Starting, None),
            Step::Ended(end) => (Phase::Ended, Some(end.clone())),
            // The end is told only once nothing is left behind.
            _ if self.started_at.is_some() => (Phase::Running, None),
            _ => (Phase::Starting, None),
        };
        SupervisorState {
            phase,
            started_at: self.started_at,
            ready: self.ready.clone(),
            silent: self.silent.clone(),
            busy_at: self.busy_at,
            shuts_ways: true,
            end,
        }
    }
}

/// The whole behaviour; see the diagram.
pub fn next(machine: Machine, event: Event) -> (Machine, Vec<Action>) {
    let mut machine = machine;
    let step = machine.step.clone();
    let actions = match (step, event) {
        (Step::Starting { stop }, Event::Started { at }) => started(&mut machine, at, stop),
        (Step::Starting { stop }, Event::StartFailed { at, reason }) => {
            let end = match stop {
                Some(_) => words::stopped_before_start(at),
                None => ContainerEnd {
                    outcome: Outcome::FailedToStart,
                    finished_at: at,
                    reason,
                    oom_killed: false,
                },
            };
            finish(&mut machine, end)
        }
        (Step::Starting { .. }, Event::StopAsked { grace }) => {
            machine.step = Step::Starting { stop: Some(grace) };
            vec![]
        }
        (Step::Running | Step::Stopping { .. }, Event::PortReady { port, at }) => {
            let is_new = !machine.ready.contains_key(&port);
            machine.ready.entry(port).or_insert(at);
            if is_new { vec![Action::Publish] } else { vec![] }
        }
        (Step::Running, Event::PortSilent { port, at }) => {
            machine.silent.insert(port, at);
            vec![Action::Publish]
        }
        (Step::Running, Event::PortAnswers { port }) => {
            machine.silent.remove(&port).map_or(vec![], |_since| vec![Action::Publish])
        }
        (Step::Running, Event::Busy { at }) => {
            machine.busy_at = Some(at);
            vec![Action::Publish]
        }
        (Step::Running, Event::StopAsked { grace }) => stop(&mut machine, grace),
        (Step::Stopping { killed: false, grace: old }, Event::StopAsked { grace }) => {
            // Only a shorter grace changes anything: nobody can extend somebody else's patience.
            if grace < old { stop(&mut machine, grace) } else { vec![] }
        }
        (Step::Stopping { killed: false, grace }, Event::GraceOver) => {
            machine.step = Step::Stopping { grace, killed: true };
            vec![Action::Kill]
        }
        (Step::Running, Event::Exited { at, exit }) => {
            let end = words::end_of_exit(exit, at, machine.ram_bytes);
            finish(&mut machine, end)
        }
        (Step::Stopping { grace, killed }, Event::Exited { at, exit }) => {
            let end = words::end_of_stop(exit, at, grace, killed);
            finish(&mut machine, end)
        }
        (Step::Finishing(end), Event::Finished { problem }) => {
            let end = match problem {
                Some(problem) => words::not_saved(end, &problem),
                None => end,
            };
            machine.step = Step::Ended(end);
            vec![Action::Publish, Action::ArmAck]
        }
        (Step::Ended(_), Event::Acked | Event::AckOverdue) => {
            machine.step = Step::Gone;
            vec![Action::Leave]
        }
        // Late timers, repeated stops, readiness after the end: nothing to do.
        _ => vec![],
    };
    (machine, actions)
}

fn started(machine: &mut Machine, at: Timestamp, asked: Option<Duration>) -> Vec<Action> {
    machine.started_at = Some(at);
    machine.step = Step::Running;
    let mut actions = vec![Action::Publish];
    match asked {
        Some(grace) => actions.extend(stop(machine, grace)),
        None => actions.push(Action::Watch),
    }
    actions
}

fn stop(machine: &mut Machine, grace: Duration) -> Vec<Action> {
    let killed = grace.is_zero();
    machine.step = Step::Stopping { grace, killed };
    if killed { vec![Action::Kill] } else { vec![Action::Terminate, Action::ArmGrace(grace)] }
}

fn finish(machine: &mut Machine, end: ContainerEnd) -> Vec<Action> {
    machine.step = Step::Finishing(end);
    vec![Action::Finish]
}

#[cfg(test)]
mod tests;
