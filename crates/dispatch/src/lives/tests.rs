use super::*;

const POLICY: LifePolicy =
    LifePolicy { warn_before: Duration::from_secs(600), use_lag: Duration::ZERO };

fn at(second: u64) -> Timestamp {
    model::life::after("2026-11-23T12:00:00Z".parse().unwrap(), Duration::from_secs(second))
}

/// Runs since second 0, may be unused for an hour, and warns with these words.
async fn container(warning: Option<&str>) -> Container {
    let mut container = crate::dispatcher::tests::a_container().await;
    container.state = ContainerState::Running;
    container.started_at = Some(at(0));
    container.scheduling_parameters.insert("idle_time".to_owned(), 3600.into());
    let warning = warning.map(|words| (MEMBER.to_owned(), words.into()));
    container.runtime_status = warning.into_iter().collect();
    container
}

/// The warning after the step, where it changes; `end` for the end.
async fn after(warning: Option<&str>, warned_at: Option<u64>, second: u64) -> Option<String> {
    let record = container(warning).await;
    let notes = LifeNotes { warned_at: warned_at.map(at), ..LifeNotes::default() };
    match step(&record, &notes, POLICY, at(second))? {
        Step::End => Some("end".to_owned()),
        Step::Tell(status, _) => {
            Some(status.get(MEMBER).map_or(String::new(), |words| words.as_str().unwrap().into()))
        }
    }
}

#[tokio::test]
async fn an_end_is_told_once_taken_back_and_brought_about() {
    const NOTICE: &str =
        "stops at 2026-11-23 13:00 UTC if nobody uses it: it may be unused for 1 h";
    assert_eq!(after(None, None, 2999).await, None);
    assert_eq!(after(None, None, 3000).await.as_deref(), Some(NOTICE));
    assert_eq!(after(Some(NOTICE), Some(3000), 3100).await, None);
    assert_eq!(after(Some(NOTICE), Some(3000), 3600).await.as_deref(), Some("end"));
    // Extended: taken back.
    assert_eq!(after(Some(NOTICE), Some(3000), 100).await.as_deref(), Some(""));
    // Told late: the words follow.
    let later = after(Some(NOTICE), Some(4000), 4000).await.unwrap();
    assert!(later.starts_with("stops at 2026-11-23 13:16 UTC"), "{later}");
}

#[tokio::test]
async fn the_programs_own_warning_stays_and_that_of_a_silent_port_does_not() {
    let silent = "nothing listens on port 80 yet, though …";
    assert!(after(Some(silent), None, 3000).await.unwrap().starts_with("stops at"));
    assert_eq!(after(Some("disk is full"), None, 3000).await.as_deref(), Some("disk is full"));
    assert_eq!(after(Some("disk is full"), Some(3000), 3001).await, None);
    assert_eq!(after(Some("disk is full"), Some(3000), 3600).await.as_deref(), Some("end"));
    assert_eq!(after(Some("disk is full"), None, 10).await, None);
}

#[tokio::test]
async fn the_next_look_comes_when_something_is_due() {
    let record = container(None).await;
    let next = |second, warned_at: Option<u64>| {
        let notes = LifeNotes { warned_at: warned_at.map(at), ..LifeNotes::default() };
        until_next(&record, &notes, POLICY, at(second)).unwrap().as_secs()
    };
    assert_eq!(next(0, None), 3000);
    assert_eq!(next(3000, Some(3000)), 600);
    assert_eq!(next(3599, Some(3000)), 1);
}
