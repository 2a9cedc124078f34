//! How far a run is, for a display: a line for each step. Knows neither clocks nor terminals.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use crate::news::{News, Outcome, ProgramState, What};

/// Steps that are known at a time; what comes beyond them is only counted.
const STEPS_MAX: usize = 10_000;

/// How far a run is, put together from its news. Times are since its beginning.
#[derive(Debug, Default)]
pub struct Board {
    steps: Vec<Step>,
    by_path: HashMap<String, usize>,
}

#[derive(Debug, Default)]
struct Step {
    path: String,
    waits_for: Vec<String>,
    /// Runs of its workflow that it waits in.
    waiting: usize,
    /// Jobs that are known.
    jobs: usize,
    over: usize,
    skipped: usize,
    failed: usize,
    programs: BTreeMap<u64, ProgramState>,
    addresses: Vec<(u64, String)>,
    since: Option<Duration>,
    until: Option<Duration>,
}

/// What is the matter with a step, from the most to the least urgent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mark {
    /// It failed.
    Failed,
    /// Its service is ready.
    Ready,
    /// It runs.
    Running,
    /// It waits for a place.
    Queued,
    /// It waits for other steps.
    Waits,
    /// It is done, or did not have to be.
    Done,
}

impl Mark {
    /// As a word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Ready => "ready",
            Self::Running => "running",
            Self::Queued => "queued",
            Self::Waits => "waits",
            Self::Done => "done",
        }
    }
}

/// A line of the display.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// What is the matter with the step; none in the first line, which is about all of them.
    pub mark: Option<Mark>,
    /// What there is to say.
    pub text: String,
    /// Where its service is.
    pub link: Option<String>,
}

impl Board {
    /// Takes note of what happened.
    pub fn hear(&mut self, news: &News<'_>, now: Duration) {
        let Some(step) = self.step(news.step) else { return };
        match &news.what {
            What::Waits(names) => {
                step.waiting += 1;
                step.waits_for = names.iter().map(|name| (*name).to_owned()).collect();
            }
            What::Begins(jobs) => {
                step.waiting = step.waiting.saturating_sub(1);
                step.jobs += jobs;
                step.since.get_or_insert(now);
                step.until = None;
            }
            What::Job(outcome) => {
                step.over += 1;
                match outcome {
                    Outcome::Done => {}
                    Outcome::Skipped => step.skipped += 1,
                    Outcome::Failed => step.failed += 1,
                }
            }
            What::Program(number, ProgramState::Over) => {
                step.programs.remove(number);
                step.addresses.retain(|(of, _)| of != number);
            }
            What::Program(number, state) => {
                let known = step.programs.entry(*number).or_insert(*state);
                *known = (*known).max(*state);
            }
            What::Address { program, url, .. } => {
                step.addresses.push((*program, (*url).to_owned()));
            }
            What::Ends(outcome) => {
                step.until = Some(now);
                if *outcome == Outcome::Failed && step.failed == 0 {
                    step.failed = 1;
                }
            }
        }
    }

    fn step(&mut self, path: &str) -> Option<&mut Step> {
        if let Some(n) = self.by_path.get(path) {
            return self.steps.get_mut(*n);
        }
        if self.steps.len() >= STEPS_MAX {
            return None;
        }
        self.by_path.insert(path.to_owned(), self.steps.len());
        self.steps.push(Step { path: path.to_owned(), ..Step::default() });
        self.steps.last_mut()
    }

    /// How far the run is, in at most so many lines: one about all steps, then one for each; those with the least to tell
    /// are left out first.
    pub fn rows(&self, now: Duration, rows_max: usize) -> Vec<Row> {
        let mut rows = vec![Row { mark: None, text: self.summary(now), link: None }];
        let room = rows_max.saturating_sub(1);
        let mut shown: Vec<usize> = (0..self.steps.len()).collect();
        if shown.len() > room {
            shown.sort_by_key(|n| (self.steps[*n].mark(), *n));
            shown.truncate(room.saturating_sub(1));
            shown.sort_unstable();
        }
        let width = shown.iter().map(|n| self.steps[*n].path.chars().count()).max().unwrap_or(0);
        let width = width.min(PATH_COLUMNS_MAX);
        rows.extend(shown.iter().map(|n| self.steps[*n].row(now, width)));
        let left = self.steps.len() - shown.len();
        if left > 0 && rows.len() < rows_max {
            rows.push(Row { mark: None, text: format!("and {left} more steps"), link: None });
        }
        rows
    }

    /// Whether there are steps, and not one tool alone.
    pub fn has_steps(&self) -> bool {
        self.steps.len() > 1
    }

    /// All steps in one line.
    pub fn summary(&self, now: Duration) -> String {
        let count = |mark: Mark| self.steps.iter().filter(|step| step.mark() == mark).count();
        let mut words = format!("{} of {} steps done", count(Mark::Done), self.steps.len());
        for mark in [Mark::Running, Mark::Queued, Mark::Waits, Mark::Ready, Mark::Failed] {
            let n = count(mark);
            if n > 0 {
                let word = if mark == Mark::Waits { "waiting" } else { mark.as_str() };
                words.extend([", ", &n.to_string(), " ", word]);
            }
        }
        format!("{words}  {}", clock(now))
    }
}

/// Columns of the longest path that others are lined up with.
const PATH_COLUMNS_MAX: usize = 40;

impl Step {
    fn mark(&self) -> Mark {
        let has = |state: ProgramState| self.programs.values().any(|known| *known == state);
        if self.failed > 0 {
            Mark::Failed
        } else if has(ProgramState::Serving) {
            Mark::Ready
        } else if has(ProgramState::Running) {
            Mark::Running
        } else if has(ProgramState::Queued) {
            Mark::Queued
        } else if self.until.is_some() && self.waiting == 0 && self.over >= self.jobs {
            Mark::Done
        } else if self.since.is_none() || self.over >= self.jobs {
            Mark::Waits
        } else {
            Mark::Running
        }
    }

    fn row(&self, now: Duration, width: usize) -> Row {
        let mut words = Vec::new();
        let mark = self.mark();
        if mark == Mark::Waits && !self.waits_for.is_empty() {
            words.push(format!("for {}", self.waits_for.join(", ")));
        }
        if self.jobs > 1 {
            words.push(format!("{}/{}", self.over, self.jobs));
            for state in [ProgramState::Serving, ProgramState::Running, ProgramState::Queued] {
                let n = self.programs.values().filter(|known| **known == state).count();
                let word = match state {
                    ProgramState::Serving => "ready",
                    ProgramState::Running => "running",
                    ProgramState::Queued | ProgramState::Over => "queued",
                };
                if n > 0 {
                    words.push(format!("{n} {word}"));
                }
            }
        }
        for (n, word) in [(self.skipped, "skipped"), (self.failed, "failed")] {
            if n > 0 && (self.jobs > 1 || word == "skipped") {
                words.push(if self.jobs > 1 { format!("{n} {word}") } else { word.to_owned() });
            }
        }
        if let Some(since) = self.since {
            let until = self.until.filter(|_| matches!(mark, Mark::Done | Mark::Failed));
            words.push(clock(until.unwrap_or(now).saturating_sub(since)));
        }
        let text = format!("{:width$}  {}", self.path, words.join("  "));
        let link = self.addresses.first().map(|(_, url)| url.clone());
        Row { mark: Some(mark), text: text.trim_end().to_owned(), link }
    }
}

/// `0:07`, `12:34`, `1:02:03`.
fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{seconds:02}")
    } else {
        format!("{minutes}:{seconds:02}")
    }
}

#[cfg(test)]
mod tests;
