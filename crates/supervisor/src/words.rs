//! The end of a container in words: what the record, the 410 page and `wharf show` say.

use std::time::Duration;

use model::{ContainerEnd, Outcome, Timestamp};

use crate::machine::{Exit, ExitHow};

/// The end of a command that nobody asked to stop.
pub fn end_of_exit(exit: Exit, at: Timestamp, ram_bytes: u64) -> ContainerEnd {
    let outcome = match exit.how {
        ExitHow::Code(code) => Outcome::Exited { code },
        ExitHow::Signal(signal) => Outcome::Signalled { signal },
    };
    let reason = match exit.how {
        // A command may survive the loss of one process; then it is no reason for its end.
        ExitHow::Code(0) => String::new(),
        _ if exit.oom_killed => format!("ran out of memory{}", limit_words(ram_bytes)),
        ExitHow::Code(code) => code_words(code),
        ExitHow::Signal(signal) => signal_words(signal),
    };
    ContainerEnd { outcome, finished_at: at, reason, oom_killed: exit.oom_killed }
}

/// The end of a command that was asked to stop; `killed` if it did not do so within `grace`.
pub fn end_of_stop(exit: Exit, at: Timestamp, grace: Duration, killed: bool) -> ContainerEnd {
    let code = match exit.how {
        ExitHow::Code(code) => Some(code),
        ExitHow::Signal(_) => None,
    };
    let reason = if killed && !grace.is_zero() {
        format!(
            "stopped on request; it did not end within {} of SIGTERM and was killed",
            seconds_words(grace)
        )
    } else {
        "stopped on request".to_owned()
    };
    ContainerEnd {
        outcome: Outcome::Stopped { code },
        finished_at: at,
        reason,
        oom_killed: exit.oom_killed,
    }
}

/// The end of a command whose output could not be saved: it counts as not done, unless it was stopped anyway.
pub fn not_saved(end: ContainerEnd, problem: &str) -> ContainerEnd {
    let outcome = match end.outcome {
        Outcome::Exited { .. } | Outcome::Signalled { .. } => Outcome::NotSaved,
        other => other,
    };
    let mut reason = end.reason;
    if !reason.is_empty() {
        reason.push_str("; ");
    }
    reason.push_str(problem);
    ContainerEnd { outcome, reason, ..end }
}

/// The end of a container that was stopped before its command ran.
pub fn stopped_before_start(at: Timestamp) -> ContainerEnd {
    ContainerEnd {
        outcome: Outcome::Stopped { code: None },
        finished_at: at,
        reason: "stopped on request before it had started".to_owned(),
        oom_killed: false,
    }
}

/// A size as people write it: `256 MiB`, `1.5 GiB`, `100 bytes`.
pub fn size_words(bytes: u64) -> String {
    const UNITS: [(&str, u64); 4] =
        [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    for (unit, size) in UNITS {
        if bytes >= size {
            let (whole, tenths) = (bytes / size, bytes % size * 10 / size);
            return if tenths == 0 {
                format!("{whole} {unit}")
            } else {
                format!("{whole}.{tenths} {unit}")
            };
        }
    }
    format!("{bytes} bytes")
}

fn limit_words(ram_bytes: u64) -> String {
    if ram_bytes == 0 { String::new() } else { format!(" (limit {})", size_words(ram_bytes)) }
}

/// 126 to 165 are what shells answer for a command of theirs, so these get a guess added.
fn code_words(code: i32) -> String {
    let hint = match code {
        126 => " (what a shell answers for a file that it may not execute)".to_owned(),
        127 => " (what a shell answers for a command that it does not find)".to_owned(),
        129..=192 => format!(" (what a shell answers for signal {})", code - 128),
        _ => String::new(),
    };
    format!("exited with code {code}{hint}")
}

fn signal_words(signal: i32) -> String {
    match signal_name(signal) {
        Some(name) => format!("killed by signal {signal} ({name})"),
        None => format!("killed by signal {signal}"),
    }
}

/// The signals a program is likely to end by; Linux numbers, as on x86 and ARM.
fn signal_name(signal: i32) -> Option<&'static str> {
    Some(match signal {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        13 => "SIGPIPE",
        14 => "SIGALRM",
        15 => "SIGTERM",
        24 => "SIGXCPU",
        25 => "SIGXFSZ",
        31 => "SIGSYS",
        _ => return None,
    })
}

fn seconds_words(duration: Duration) -> String {
    if duration.subsec_millis() == 0 {
        format!("{} s", duration.as_secs())
    } else {
        format!("{} ms", duration.as_millis())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exit(how: ExitHow, oom_killed: bool) -> Exit {
        Exit { how, oom_killed }
    }

    fn at() -> Timestamp {
        "2026-11-23T20:58:45.123456789Z".parse().unwrap()
    }

    fn check(how: ExitHow, oom_killed: bool, words: &str) {
        assert_eq!(end_of_exit(exit(how, oom_killed), at(), 256 << 20).reason, words);
    }

    #[test]
    fn each_end_has_its_words() {
        check(ExitHow::Code(0), false, "");
        check(ExitHow::Code(3), false, "exited with code 3");
        check(ExitHow::Signal(9), false, "killed by signal 9 (SIGKILL)");
        check(ExitHow::Signal(40), false, "killed by signal 40");
        check(ExitHow::Signal(9), true, "ran out of memory (limit 256 MiB)");
        check(ExitHow::Code(137), true, "ran out of memory (limit 256 MiB)");
        check(ExitHow::Code(0), true, "");
        check(
            ExitHow::Code(127),
            false,
            "exited with code 127 (what a shell answers for a command that it does not find)",
        );
    }

    #[test]
    fn a_stop_that_needed_force_says_so() {
        let killed = exit(ExitHow::Signal(9), false);
        let end = end_of_stop(killed, at(), Duration::from_secs(10), true);
        assert_eq!(
            end.reason,
            "stopped on request; it did not end within 10 s of SIGTERM and was killed"
        );
        assert_eq!(end.outcome, Outcome::Stopped { code: None });
        let at_once = end_of_stop(killed, at(), Duration::ZERO, true);
        assert_eq!(at_once.reason, "stopped on request");
        let polite =
            end_of_stop(exit(ExitHow::Code(0), false), at(), Duration::from_secs(10), false);
        assert_eq!(polite.outcome, Outcome::Stopped { code: Some(0) });
    }

    #[test]
    fn an_output_that_is_lost_is_told_and_undoes_only_what_was_done() {
        let lost =
            not_saved(end_of_exit(exit(ExitHow::Code(0), false), at(), 0), "the disk is full");
        assert_eq!((lost.outcome, lost.reason.as_str()), (Outcome::NotSaved, "the disk is full"));
        let stopped = end_of_stop(exit(ExitHow::Code(0), false), at(), Duration::ZERO, false);
        let stopped = not_saved(stopped, "the disk is full");
        assert_eq!(stopped.outcome, Outcome::Stopped { code: Some(0) });
        assert_eq!(stopped.reason, "stopped on request; the disk is full");
    }

    #[test]
    fn sizes_read_as_people_write_them() {
        assert_eq!(size_words(100), "100 bytes");
        assert_eq!(size_words(256 << 20), "256 MiB");
        assert_eq!(size_words(3 << 29), "1.5 GiB");
    }
}
