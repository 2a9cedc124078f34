//! Ends of containers that come by themselves: told beforehand, taken back, and brought about. Derived from the records
//! on every look, so that neither a restart nor another dispatcher makes a difference.

use std::collections::BTreeSet;
use std::time::Duration;

use model::life::NOTICE;
use model::{
    Container, ContainerState, ContainerUuid, Due, JsonMap, LifeLimits, LifeNotes, LifePolicy,
    PlannedEnd, Timestamp,
};
use store::{Store, StoreError};

use crate::silence;

/// The member of `runtime_status` that people are warned by.
const MEMBER: &str = "warning";

/// What to do about one container.
#[derive(Clone, Debug, PartialEq)]
enum Step {
    /// Its end has come.
    End,
    /// Its runtime status becomes this; told at that time, or taken back.
    Tell(JsonMap, Option<Timestamp>),
}

/// Does what is due, but for those of `others`, whose record is being changed otherwise. Answers how long it is until
/// something is due next.
pub(crate) async fn mind(
    store: &Store,
    policy: LifePolicy,
    records: &[&Container],
    others: &BTreeSet<ContainerUuid>,
) -> Result<Option<Duration>, StoreError> {
    let limited: Vec<&Container> = records.iter().copied().filter(|it| is_limited(it)).collect();
    if limited.is_empty() {
        return Ok(None);
    }
    let uuids: Vec<ContainerUuid> = limited.iter().map(|record| record.uuid).collect();
    let lives = store.lives(&uuids).await?;
    let now = store.now();
    let mut next = None;
    for record in limited.into_iter().filter(|record| !others.contains(&record.uuid)) {
        let notes = lives.get(&record.uuid).copied().unwrap_or_default();
        match step(record, &notes, policy, now) {
            Some(Step::End) => {
                let has_ended = store.end_life(record.uuid, policy).await?;
                tracing::info!(container.uuid = %record.uuid, has_ended, "a container's end has come");
            }
            Some(Step::Tell(status, at)) => store.tell_end(record.uuid, status, at).await?,
            None => {}
        }
        next = [next, until_next(record, &notes, policy, now)].into_iter().flatten().min();
    }
    Ok(next)
}

/// Those that were told of an end keep that until it is taken back, also when they have no limit any more.
fn is_limited(record: &Container) -> bool {
    record.state == ContainerState::Running
        && record.priority > 0
        && (!LifeLimits::of(&record.scheduling_parameters).is_none() || notice_of(record).is_some())
}

fn notice_of(record: &Container) -> Option<&str> {
    let words = record.runtime_status.get(MEMBER).and_then(|words| words.as_str());
    words.filter(|words| words.starts_with(NOTICE))
}

fn step(record: &Container, notes: &LifeNotes, policy: LifePolicy, now: Timestamp) -> Option<Step> {
    let life = notes.life_of(record)?;
    let mut status = record.runtime_status.clone();
    match life.due(policy, now) {
        Due::End(_) => Some(Step::End),
        Due::Warn(end) => {
            let is_told = notes.warned_at.is_some_and(|at| at >= end.warn_at);
            let told_at = if is_told { notes.warned_at } else { Some(now) };
            let words = words_of(record, &end);
            let is_said = words.is_none() || notice_of(record) == words.as_deref();
            if let Some(words) = words {
                status.insert(MEMBER.to_owned(), words.into());
            }
            (!is_told || !is_said).then_some(Step::Tell(status, told_at))
        }
        Due::Nothing => {
            notice_of(record)?;
            status.shift_remove(MEMBER);
            Some(Step::Tell(status, None))
        }
    }
}

/// The words to be said, unless the program itself warns of something.
fn words_of(record: &Container, end: &PlannedEnd) -> Option<String> {
    let said = record.runtime_status.get(MEMBER);
    let is_ours = notice_of(record).is_some() || silence::is_ours(record);
    (said.is_none() || is_ours).then(|| end.notice())
}

fn until_next(
    record: &Container,
    notes: &LifeNotes,
    policy: LifePolicy,
    now: Timestamp,
) -> Option<Duration> {
    let end = notes.life_of(record)?.planned_end(policy, now)?;
    let next = if now < end.warn_at { end.warn_at } else { end.at };
    let wait = next.as_jiff().duration_since(now.as_jiff());
    // What is due already was done just now; should it have failed, it is tried again soon.
    Some(Duration::try_from(wait).unwrap_or_default().max(Duration::from_millis(100)))
}

#[cfg(test)]
mod tests;
