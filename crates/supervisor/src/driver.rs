//! Performs what the machine decides: owns the container's handle, the timers and all tasks.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use keep::Keep;
use lifecycle::{CancellationToken, Signals, TaskScope};
use model::{ContainerEnd, ContainerPort, SuperviseSpec, SupervisorState};
use runtime::{Dialer, Executor, ExitStatus, Handle, Listeners, Signal};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout};

use crate::bridge;
use crate::busy;
use crate::container;
use crate::files::{self, Durability, Files};
use crate::inputs::OutputPlan;
use crate::launch::{self, Launch};
use crate::logs::journal::{Journal, now};
use crate::machine::{self, Action, Event, Exit, ExitHow, Machine, Step};
use crate::memory;
use crate::readiness;
use crate::usage;

/// Events that wait for the driver; its senders wait beyond that. A hundred ports may become ready
/// at once.
pub(crate) const EVENTS_WAITING: usize = 128;

/// How long a confirmed-less end keeps the supervisor: the controller may be down for an upgrade.
/// After that the state file tells the end.
const ACK_TIMEOUT: Duration = Duration::from_secs(600);

/// The app's pipes close with its last process; only a slow disk can take longer than an instant.
const OUTPUT_TIMEOUT: Duration = Duration::from_secs(10);

/// Longer than the runtime's own bounds for cleaning up.
const CLEANUP_TIMEOUT: Duration = Duration::from_secs(60);

/// What stays below the shutdown of the scope at the end: only streams that ignore their end.
const SCOPE_TIMEOUT: Duration = Duration::from_secs(2);

/// Between looks at whether the container works, at least.
const BUSY_PERIOD_MIN_MS: u64 = 100;

/// Everything the driver works with; see [`Driver::run`].
#[derive(Debug)]
pub(crate) struct Driver {
    pub(crate) files: Files,
    pub(crate) spec: SuperviseSpec,
    pub(crate) journal: Journal,
    pub(crate) scope: TaskScope,
    /// Copies of the app's output, which end with it.
    pub(crate) outputs: TaskScope,
    pub(crate) events: mpsc::Sender<Event>,
    pub(crate) state: watch::Sender<SupervisorState>,
    pub(crate) dialer: watch::Sender<Option<Dialer>>,
    pub(crate) executor: watch::Sender<Option<Executor>>,
    /// Ways out that are shut.
    pub(crate) shut: watch::Receiver<bridge::Shut>,
}

/// How the supervisor came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Farewell {
    /// The record says how the container ended: nothing needs to be kept.
    Acked,
    /// Nobody confirmed the end: a later controller reads the state file.
    Unheard,
}

#[derive(Debug)]
struct Run {
    driver: Driver,
    machine: Machine,
    handle: Option<Arc<Handle>>,
    probes: TaskScope,
    /// Ends the making ready of inputs.
    stop: CancellationToken,
    keep: Option<Keep>,
    /// What the output consists of, once the container runs.
    output: Option<OutputPlan>,
    grace_over: Option<Instant>,
    ack_overdue: Option<Instant>,
    farewell: Option<Farewell>,
}

impl Driver {
    /// Runs the container from start to the confirmed end.
    pub(crate) async fn run(
        self,
        launch: Launch,
        mut heard: mpsc::Receiver<Event>,
        mut signals: Signals,
    ) -> Farewell {
        let machine = Machine::new(self.spec.ram_bytes);
        let probes = self.scope.child("readiness");
        let (stop, keep) = (launch.stop.clone(), launch.keep.clone());
        let (spec, files, journal) = (self.spec.clone(), self.files.clone(), self.journal.clone());
        let start = launch::start(spec, files, launch, journal);
        let mut run = Run {
            driver: self,
            machine,
            handle: None,
            probes,
            stop,
            keep,
            output: None,
            grace_over: None,
            ack_overdue: None,
            farewell: None,
        };
        let mut start = Box::pin(start);
        let mut is_starting = true;
        while run.farewell.is_none() {
            let stop_grace = Duration::from_millis(run.driver.spec.stop_grace_ms);
            let event = tokio::select! {
                started = &mut start, if is_starting => {
                    is_starting = false;
                    run.after_start(started)
                }
                Some(event) = heard.recv() => event,
                signal = signals.next() => {
                    run.driver.journal.say(&format!("the supervisor was told to end ({signal:?})"));
                    Event::StopAsked { grace: stop_grace }
                }
                () = at(run.grace_over) => Event::GraceOver,
                () = at(run.ack_overdue) => Event::AckOverdue,
            };
            run.handle(event).await;
        }
        run.driver.scope.shutdown(SCOPE_TIMEOUT).await;
        run.farewell.unwrap_or(Farewell::Unheard)
    }
}

impl Run {
    fn after_start(&mut self, started: Result<(Handle, Option<OutputPlan>), String>) -> Event {
        match started {
            Ok((mut handle, output)) => {
                self.output = output;
                let spec = &self.driver.spec;
                let ways = bridge::addresses(spec).into_iter().zip(bridge::ways(spec));
                for (listener, (at, way)) in handle.take_listeners().into_iter().zip(ways) {
                    let scope = self.driver.scope.child("bridge");
                    let shut = self.driver.shut.clone();
                    let serving = bridge::serve(listener, at, way, shut, scope);
                    self.driver.scope.spawn_cancellable("bridge", serving);
                }
                let handle = Arc::new(handle);
                self.driver.dialer.send_replace(Some(handle.dialer()));
                self.driver.executor.send_replace(Some(handle.executor()));
                self.driver.journal.say(&format!("the command runs (process {})", handle.pid()));
                for note in handle.notes() {
                    self.driver.journal.say(note);
                }
                let events = self.driver.events.clone();
                let waiter = Arc::clone(&handle);
                self.driver.scope.spawn("wait", async move {
                    let exit = exit_of(waiter.wait().await);
                    // Fails only if the driver is gone, and the container with it.
                    let _gone = events.send(Event::Exited { at: now(), exit }).await;
                });
                let (files, vcpus) = (self.driver.files.clone(), self.driver.spec.vcpus);
                let measuring = usage::watch(handle.meter(), files, vcpus);
                self.probes.spawn_cancellable("usage", measuring);
                self.handle = Some(handle);
                let n_bytes = memory::forget_startup_code();
                tracing::debug!(n_bytes, "the code that the start needed was given back");
                Event::Started { at: now() }
            }
            Err(reason) => Event::StartFailed { at: now(), reason },
        }
    }

    async fn handle(&mut self, event: Event) {
        if let Event::StopAsked { grace } = &event
            && matches!(self.machine.step, Step::Running | Step::Starting { .. })
        {
            self.driver
                .journal
                .say(&format!("asked to stop, with {} ms of grace", grace.as_millis()));
            self.stop.cancel();
        }
        let is_ack = event == Event::Acked;
        let before = std::mem::replace(&mut self.machine, Machine::new(0));
        let (after, actions) = machine::next(before, event);
        self.machine = after;
        for action in actions {
            self.perform(action, is_ack).await;
        }
    }

    async fn perform(&mut self, action: Action, is_ack: bool) {
        match action {
            Action::Publish => self.publish().await,
            Action::Watch => self.watch(),
            Action::Terminate => {
                if let Some(handle) = &self.handle {
                    // A container that is over needs no signal; its exit is on the way.
                    let _gone = handle.signal(Signal::TERM).await;
                }
            }
            Action::ArmGrace(grace) => self.grace_over = Some(Instant::now() + grace),
            Action::Kill => {
                self.grace_over = None;
                if let Some(handle) = &self.handle {
                    handle.kill().await;
                }
            }
            Action::Finish => self.finish(),
            Action::ArmAck => self.ack_overdue = Some(Instant::now() + ACK_TIMEOUT),
            Action::Leave => {
                self.farewell = Some(if is_ack { Farewell::Acked } else { Farewell::Unheard });
            }
        }
    }

    /// Written before it is told, so that what a controller was told is there for the next one.
    /// The end must be on the disk itself: once confirmed, nobody asks again. Earlier states are as
    /// lost as the container when the power goes, so they need not wait for the disk.
    async fn publish(&self) {
        let state = self.machine.published();
        let durability = if state.end.is_some() { Durability::Power } else { Durability::Process };
        let path = self.driver.files.state();
        let json = serde_json::to_vec(&state).unwrap_or_default();
        let write = tokio::task::spawn_blocking(move || files::replace(&path, &json, durability));
        let problem = match write.await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(error) => Some(error.to_string()),
        };
        if let Some(problem) = problem {
            self.driver.journal.say(&format!("cannot write state.json: {problem}"));
            tracing::error!(%problem, "cannot write state.json");
        }
        self.driver.state.send_replace(state);
    }

    fn watch(&self) {
        let Some(handle) = &self.handle else { return };
        for port in &self.driver.spec.published_ports {
            self.spawn_probe(*port, handle.dialer(), handle.listeners());
        }
        let period = Duration::from_millis(self.driver.spec.busy_period_ms.max(BUSY_PERIOD_MIN_MS));
        let watching = busy::watch(handle.meter(), period, self.driver.events.clone());
        self.probes.spawn_cancellable("work", watching);
    }

    fn spawn_probe(&self, port: ContainerPort, dialer: Dialer, listeners: Listeners) {
        let (events, journal) = (self.driver.events.clone(), self.driver.journal.clone());
        let accepts = move || {
            let dialer = dialer.clone();
            async move { dialer.dial(port.get()).await.is_ok() }
        };
        self.probes.spawn_cancellable("port", async move {
            readiness::watch(port, accepts, events.clone(), journal.clone()).await;
            let listens = move || listeners.has(port.get());
            readiness::watch_on(port, listens, events, journal).await;
        });
    }

    /// Reads the output to its end, saves it and removes leftovers, beside the loop, which goes on serving.
    fn finish(&mut self) {
        self.grace_over = None;
        self.probes.cancel();
        let (words, oom_killed) = match &self.machine.step {
            Step::Finishing(end) => (end_words(end), end.oom_killed),
            _ => (String::new(), false),
        };
        let (handle, outputs) = (self.handle.take(), self.driver.outputs.clone());
        let (journal, files) = (self.driver.journal.clone(), self.driver.files.clone());
        let events = self.driver.events.clone();
        let (keep, output) = (self.keep.clone(), self.output.take());
        let globs = self.driver.spec.output_glob.clone();
        self.driver.scope.spawn("finish", async move {
            if let Some(handle) = handle
                && timeout(CLEANUP_TIMEOUT, handle.cleanup()).await.is_err()
            {
                tracing::warn!("the container's leftovers were not removed in time");
            }
            if !outputs.idle(OUTPUT_TIMEOUT).await.is_clean() {
                journal.say("the last of the command's output may be missing from the log");
            }
            let problem = match (&keep, output) {
                (Some(keep), Some(output)) => {
                    launch::save_output(keep, &output, &globs, &files, &journal).await.err()
                }
                _ => None,
            };
            remove_mounts(files.dir().to_owned()).await;
            if oom_killed {
                mark_oom_kill(files.clone()).await;
            }
            journal.say(&words);
            if let Some(problem) = &problem {
                journal.say(problem);
            }
            journal.close();
            if let Some(keep) = &keep {
                launch::save_logs(keep, &files).await;
            }
            let _gone = events.send(Event::Finished { problem }).await;
        });
    }
}

async fn remove_mounts(dir: PathBuf) {
    let removed = tokio::task::spawn_blocking(move || container::remove_mounts(&dir)).await;
    if let Ok(Err(error)) = removed {
        tracing::warn!(%error, "what was mounted was not removed");
    }
}

async fn mark_oom_kill(files: Files) {
    let marked = tokio::task::spawn_blocking(move || usage::mark_oom_kill(&files)).await;
    if let Err(error) = marked {
        tracing::error!(%error, "the end for want of memory is not marked");
    }
}

fn end_words(end: &ContainerEnd) -> String {
    if end.reason.is_empty() {
        "the command exited with code 0".to_owned()
    } else {
        format!("the container ended: {}", end.reason)
    }
}

fn exit_of(exit: runtime::Exit) -> Exit {
    let how = match exit.status {
        ExitStatus::Code(code) => ExitHow::Code(code),
        ExitStatus::Signal(signal) => ExitHow::Signal(signal),
    };
    Exit { how, oom_killed: exit.oom_killed }
}

/// Never, if there is no deadline.
async fn at(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
