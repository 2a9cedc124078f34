//! What happens in a run, told as it happens.

/// Hears what happens in a run. Called from several threads, and never for long.
pub trait Listener: Send + Sync {
    /// Words for people, of one line or more.
    fn say(&self, words: &str);

    /// Words that a display of the steps makes needless.
    fn note(&self, words: &str) {
        self.say(words);
    }

    /// What became of a step; nothing has to come of it.
    fn hear(&self, news: &News<'_>) {
        let _unheard = news;
    }
}

/// What became of a step. Steps go by their path: `align`, or `call/align` in the workflow that the step `call` runs. A
/// tool that is run by itself is a step by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct News<'n> {
    /// Path of the step.
    pub step: &'n str,
    /// What became of it.
    pub what: What<'n>,
}

/// What became of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What<'n> {
    /// It waits for what other steps give; their names. Said once for each time that its workflow runs.
    Waits(Vec<&'n str>),
    /// Its inputs are there. It has so many jobs: one, or one for each item of a scatter.
    Begins(usize),
    /// One of its jobs is over.
    Job(Outcome),
    /// The program of one of its jobs got further. Programs go by their number in the run.
    Program(u64, ProgramState),
    /// A port of a program takes connections.
    Address {
        /// The program.
        program: u64,
        /// What people call the port.
        label: &'n str,
        /// Where people find it.
        url: &'n str,
    },
    /// It is over.
    Ends(Outcome),
}

/// How far a program is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ProgramState {
    /// It waits for a place, here or in the queue of an instance.
    Queued,
    /// It runs.
    Running,
    /// It is a service that is ready.
    Serving,
    /// It runs no more.
    Over,
}

/// How something ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Its outputs are there.
    Done,
    /// Its `when` said no.
    Skipped,
    /// It failed.
    Failed,
}
