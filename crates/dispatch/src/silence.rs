//! A published port that never opens: the record says so, in words. Pure.

use std::time::Duration;

use model::{Container, ContainerState, JsonMap, Timestamp};

/// JupyterLab on a slow disk takes 20 s; a port that is silent for longer is likely a mistake.
pub(crate) const SILENT_AFTER: Duration = Duration::from_secs(30);

/// Arvados shows this member of `runtime_status` beside the state.
const MEMBER: &str = "warning";

/// Tells our words from a warning of somebody else, which we leave alone.
const BEGINNING: &str = "nothing listens on port ";

/// Whether the record's warning is of this module.
pub(crate) fn is_ours(container: &Container) -> bool {
    let said = container.runtime_status.get(MEMBER).and_then(|words| words.as_str());
    said.is_some_and(|words| words.starts_with(BEGINNING))
}

/// The runtime status that the record should have, if it is another one than it has.
pub(crate) fn status_of(container: &Container, now: Timestamp) -> Option<JsonMap> {
    let said = container.runtime_status.get(MEMBER);
    let said_by_us = said.and_then(|words| words.as_str()).filter(|it| it.starts_with(BEGINNING));
    if said.is_some() && said_by_us.is_none() {
        return None;
    }
    let words = words_of(container, now);
    if said_by_us == words.as_deref() {
        return None;
    }
    let mut status = container.runtime_status.clone();
    match words {
        Some(words) => status.insert(MEMBER.to_owned(), words.into()),
        None => status.remove(MEMBER),
    };
    Some(status)
}

/// Holds no clock reading, so that it is written once and not on every look.
fn words_of(container: &Container, now: Timestamp) -> Option<String> {
    let started_at = container.started_at?;
    let age = Duration::try_from(now.as_jiff().duration_since(started_at.as_jiff())).ok()?;
    if container.state != ContainerState::Running || age < SILENT_AFTER {
        return None;
    }
    let silent: Vec<String> = container
        .published_ports
        .iter()
        .filter(|(_, entry)| !entry.is_ready())
        .map(|(port, _)| port.to_string())
        .collect();
    if silent.is_empty() {
        return None;
    }
    Some(format!(
        "{BEGINNING}{} yet, though the command began more than {} s ago: it must listen there, on \
         127.0.0.1 or 0.0.0.0",
        silent.join(", "),
        SILENT_AFTER.as_secs()
    ))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use serde_json::json;

    fn at(second: u8) -> Timestamp {
        format!("2026-11-23T20:58:{second:02}Z").parse().unwrap()
    }

    /// Runs since second 10, with port 80 ready and port 9999 as given.
    async fn container(is_ready: bool, warning: Option<&str>) -> Container {
        let mut container = crate::dispatcher::tests::a_container().await;
        let ports = json!({
            "80": {"access": "private", "label": "web"},
            "9999": {"access": "private", "label": "other"},
        });
        container.published_ports = model::PublishedPorts::parse(&ports).unwrap();
        for (port, entry) in container.published_ports.iter_mut() {
            entry.ready = Some(port.get() == 80 || is_ready);
        }
        container.state = ContainerState::Running;
        container.started_at = Some(at(10));
        let warning = warning.map(|words| (MEMBER.to_owned(), words.into()));
        container.runtime_status = warning.into_iter().collect();
        container
    }

    /// The warning after a look; `None` if the look changes nothing.
    async fn check(is_ready: bool, warning: Option<&str>, second: u8, expected: Option<&str>) {
        let status = status_of(&container(is_ready, warning).await, at(second));
        let words = status.map(|it| it.get(MEMBER).map_or(String::new(), ToString::to_string));
        let fits = match (&words, expected) {
            (Some(words), Some(expected)) => {
                words.contains(expected) && !expected.is_empty() || words == expected
            }
            (words, expected) => words.is_none() && expected.is_none(),
        };
        assert!(fits, "{words:?}, expected {expected:?}");
    }

    #[tokio::test]
    async fn a_silent_port_is_named_late_and_once_and_taken_back() {
        let ours = words_of(&container(false, None).await, at(50)).unwrap();
        check(false, None, 30, None).await;
        check(false, None, 50, Some("nothing listens on port 9999 yet")).await;
        check(false, Some(&ours), 55, None).await;
        check(true, Some(&ours), 55, Some("")).await;
        check(true, None, 55, None).await;
        check(false, Some("another's words"), 55, None).await;
    }
}
