//! `wharf doctor`: what this machine lacks for containers, and what to do about it.

use crate::process::print;
use cli::{DoctorArgs, SharedArgs};
use config::Environment;
use runtime::{Check, Verdict};
use std::process::ExitCode;

/// Prints every check; fails when containers cannot run.
pub(crate) fn run(args: &DoctorArgs, shared: &SharedArgs) -> ExitCode {
    let data =
        shared.data.clone().unwrap_or_else(|| config::default_data_dir(&Environment::read()));
    let checks = runtime::doctor(&data);
    let text = if args.json { as_json(&checks) } else { as_text(&checks) };
    let can_run = checks.iter().all(|check| check.verdict != Verdict::Failed);
    match print(&text) {
        Ok(()) if can_run => ExitCode::SUCCESS,
        Ok(()) => ExitCode::FAILURE,
        Err(error) => cli::report(&error),
    }
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Ok => "ok",
        Verdict::Warning => "warning",
        Verdict::Failed => "failed",
    }
}

fn as_json(checks: &[Check]) -> String {
    let checks: Vec<_> = checks
        .iter()
        .map(|check| {
            serde_json::json!({
                "name": check.name,
                "verdict": word(check.verdict),
                "detail": check.detail,
                "remedy": check.remedy,
            })
        })
        .collect();
    format!("{:#}\n", serde_json::Value::Array(checks))
}

fn as_text(checks: &[Check]) -> String {
    let width = checks.iter().map(|check| check.name.len()).max().unwrap_or(0);
    let mut lines = Vec::new();
    for check in checks {
        lines.push(format!("{:<8} {:<width$}  {}", word(check.verdict), check.name, check.detail));
        if !check.remedy.is_empty() {
            lines.push(format!("{:<8} {:<width$}  → {}", "", "", check.remedy));
        }
    }
    let failed = checks.iter().any(|check| check.verdict == Verdict::Failed);
    let summary = if failed {
        "Containers cannot run here yet: see what failed above."
    } else {
        "This machine can run containers."
    };
    format!("{}\n\n{summary}\n", lines.join("\n"))
}
