//! The plan: compare what the records want with the supervisors there are, and say what to do.
//!
//! One row per record, one column per supervisor; each container gets at most one action a round.
//!
//! ```text
//!                     none          alive            dead, no end said            dead, end said
//! Queued              admit→Launch  Adopt            Sweep                        Sweep
//! Locked              Launch (1,5)  –  | Settle (2)  Sweep (3) | Settle lost (4)  Settle
//! Locked, unwanted    Unlock        Stop | Settle    Sweep                        Settle
//! Running             Settle lost   –  | Settle      Settle lost                  Settle
//! Running, unwanted   Settle lost   Stop | Settle    Settle lost                  Settle
//! over or missing     –             Stop | – (2)     Sweep                        Sweep
//! ```
//!
//! Unwanted: priority 0. (1) until [`LAUNCHES_MAX`] tries, then Settle; (2) if it has said its end;
//! (3) if the command had not begun, so that the next round launches it again, up to the same
//! number; (4) or if it had begun: a service must not silently lose its memory, nor a batch run twice;
//! (5) on a cordoned machine Unlock, and queued ones wait: whoever is to work on it finds what runs get less, never more.
//!
//! Pure: no clock, no task, no store. A container that the driver is working on is busy: it counts
//! as load and gets no action. Candidates start by priority, then age; a smaller one may overtake a
//! larger one that does not fit, because services never end and would block the large one, and with
//! it everybody, for ever.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use model::{
    ContainerEnd, ContainerState, ContainerUuid, Outcome, Phase, SupervisorState, Timestamp,
};

use crate::admission::{Admission, Capacity, Load, Needs, admit};

/// How often a container's supervisor is started, when it dies before the command begins.
///
/// Two more tries outlast a passing cause (a full process table); a lasting one must be told soon.
pub const LAUNCHES_MAX: u32 = 3;

/// A record that is not over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Which container.
    pub uuid: ContainerUuid,
    /// Queued, Locked or Running.
    pub state: ContainerState,
    /// 0 or less: not wanted any more.
    pub priority: i64,
    /// For the order among equals.
    pub created_at: Timestamp,
    /// What it asks for.
    pub needs: Needs,
    /// How often this process launched it.
    pub n_launches: u32,
}

/// A supervisor, or what is left of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actual {
    /// Which container.
    pub uuid: ContainerUuid,
    /// Whether it runs.
    pub life: Life,
    /// What it said last in its state file; none before its first word.
    pub said: Option<SupervisorState>,
}

/// Whether a supervisor runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// The driver is launching it or removing its leftovers.
    Busy,
    /// It runs.
    Alive,
    /// It does not; something of it may be left.
    Dead,
}

/// All that the plan depends on.
#[derive(Clone, Debug)]
pub struct World {
    /// Records that are not over, by any order.
    pub wanted: Vec<Wanted>,
    /// Supervisors and remains.
    pub actual: Vec<Actual>,
    /// What the machine gives.
    pub capacity: Capacity,
    /// Why it gives nothing to new containers now, in words for their owners.
    pub cordon: Option<String>,
    /// The time, for ends that nobody else dates.
    pub now: Timestamp,
}

/// What to do with one container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Lock the record, unless it is, and start a supervisor.
    Launch,
    /// A supervisor lives though the record is unlocked: lock it for that supervisor.
    Adopt,
    /// Ask the supervisor to end the container.
    Stop,
    /// Remove leftovers of a dead supervisor, then record how the container ended.
    Settle {
        /// When the command had begun, for a record that does not know.
        started_at: Option<Timestamp>,
        /// The end to record.
        end: ContainerEnd,
    },
    /// Give the record back to the queue.
    Unlock,
    /// Remove what a dead supervisor left.
    Sweep,
}

/// What to do, and why the others wait.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// At most one action per container; launches by priority.
    pub actions: Vec<(ContainerUuid, Action)>,
    /// Why each queued container does not start, by place in the queue.
    pub waiting: Vec<Waiting>,
}

/// A queued container that does not start yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Which.
    pub uuid: ContainerUuid,
    /// Why, in words for its owner.
    pub reason: String,
}

/// Compares and decides; see the table.
pub fn plan(world: &World) -> Plan {
    let actual: BTreeMap<ContainerUuid, &Actual> =
        world.actual.iter().map(|one| (one.uuid, one)).collect();
    let mut plan = Plan::default();
    let mut load = Load::default();
    let mut candidates = Vec::new();
    for record in world.wanted.iter().filter(|record| is_live(record)) {
        match decide(record, actual.get(&record.uuid).copied(), world) {
            Decision::Candidate => candidates.push(record),
            Decision::Act(action) => {
                plan.actions.push((record.uuid, action));
                load.add(record.needs);
            }
            Decision::Leave => load.add(record.needs),
        }
    }
    let live = world.wanted.iter().filter(|record| is_live(record));
    let live: BTreeSet<ContainerUuid> = live.map(|record| record.uuid).collect();
    for one in &world.actual {
        if !live.contains(&one.uuid)
            && let Some(action) = clear_away(one)
        {
            plan.actions.push((one.uuid, action));
        }
    }
    candidates.sort_by_key(|record| (Reverse(record.priority), record.created_at, record.uuid));
    for record in candidates {
        start_or_wait(&mut plan, &mut load, record, world);
    }
    plan
}

/// A queued record that nobody wants needs nothing, as one that is over.
fn is_live(record: &Wanted) -> bool {
    record.state != ContainerState::Queued || record.priority > 0
}

enum Decision {
    /// Wants a place.
    Candidate,
    /// Holds a place and needs something.
    Act(Action),
    /// Holds a place and is as it should be.
    Leave,
}

fn decide(record: &Wanted, actual: Option<&Actual>, world: &World) -> Decision {
    let Some(actual) = actual else { return without_supervisor(record, world) };
    let now = world.now;
    let end = actual.said.as_ref().and_then(|said| said.end.clone());
    let started_at = actual.said.as_ref().and_then(|said| said.started_at);
    match (actual.life, record.state, end) {
        (Life::Busy, _, _) => Decision::Leave,
        (Life::Dead, ContainerState::Queued, _) => Decision::Act(Action::Sweep),
        (Life::Alive, ContainerState::Queued, _) => Decision::Act(Action::Adopt),
        (_, _, Some(end)) => Decision::Act(Action::Settle { started_at, end }),
        (Life::Alive, _, None) if record.priority <= 0 => Decision::Act(Action::Stop),
        (Life::Alive, _, None) => Decision::Leave,
        (Life::Dead, ContainerState::Locked, None) => dead_while_locked(record, actual, now),
        (Life::Dead, _, None) => Decision::Act(Action::Settle { started_at, end: lost(now) }),
    }
}

fn without_supervisor(record: &Wanted, world: &World) -> Decision {
    let now = world.now;
    match record.state {
        ContainerState::Queued => Decision::Candidate,
        ContainerState::Locked if record.priority <= 0 || world.cordon.is_some() => {
            Decision::Act(Action::Unlock)
        }
        ContainerState::Locked if record.n_launches < LAUNCHES_MAX => Decision::Act(Action::Launch),
        ContainerState::Locked => {
            Decision::Act(Action::Settle { started_at: None, end: never_began(now) })
        }
        _ => Decision::Act(Action::Settle { started_at: None, end: lost(now) }),
    }
}

fn dead_while_locked(record: &Wanted, actual: &Actual, now: Timestamp) -> Decision {
    let has_begun = actual.said.as_ref().is_some_and(|said| said.phase != Phase::Starting);
    let started_at = actual.said.as_ref().and_then(|said| said.started_at);
    // An unwanted one is unlocked in the next round, when nothing is left of its supervisor.
    if !has_begun && (record.n_launches < LAUNCHES_MAX || record.priority <= 0) {
        Decision::Act(Action::Sweep)
    } else {
        let end = if has_begun { lost(now) } else { never_began(now) };
        Decision::Act(Action::Settle { started_at, end })
    }
}

/// For a supervisor whose record is over or gone.
fn clear_away(actual: &Actual) -> Option<Action> {
    match actual.life {
        Life::Busy => None,
        Life::Dead => Some(Action::Sweep),
        // One that has said its end waits for the confirmation, and leaves by itself.
        Life::Alive if actual.said.as_ref().is_some_and(|said| said.end.is_some()) => None,
        Life::Alive => Some(Action::Stop),
    }
}

fn start_or_wait(plan: &mut Plan, load: &mut Load, record: &Wanted, world: &World) {
    let admission = admit(world.capacity, *load, record.needs);
    match (admission, &world.cordon) {
        // What can never run here is told at once all the same.
        (Admission::Fits | Admission::Waits(_), Some(reason)) => {
            plan.waiting.push(Waiting { uuid: record.uuid, reason: reason.clone() });
        }
        (Admission::Fits, None) => {
            load.add(record.needs);
            plan.actions.push((record.uuid, Action::Launch));
        }
        (Admission::Waits(reason), None) => {
            plan.waiting.push(Waiting { uuid: record.uuid, reason })
        }
        (Admission::Never(reason), _) => {
            let end = ContainerEnd {
                outcome: Outcome::FailedToStart,
                finished_at: world.now,
                reason,
                oom_killed: false,
            };
            plan.actions.push((record.uuid, Action::Settle { started_at: None, end }));
        }
    }
}

/// The end of a container whose supervisor vanished.
pub fn lost(now: Timestamp) -> ContainerEnd {
    ContainerEnd {
        outcome: Outcome::Lost,
        finished_at: now,
        reason: "the supervisor on this machine ended without a report (killed, or the machine \
                 restarted?)"
            .to_owned(),
        oom_killed: false,
    }
}

fn never_began(now: Timestamp) -> ContainerEnd {
    ContainerEnd {
        outcome: Outcome::FailedToStart,
        finished_at: now,
        reason: format!(
            "its supervisor ended {LAUNCHES_MAX} times before the command began; \
             its log (stream crunch-run) may say why"
        ),
        oom_killed: false,
    }
}

#[cfg(test)]
mod tests;
