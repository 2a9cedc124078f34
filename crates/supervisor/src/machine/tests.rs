use super::*;

fn at(second: u8) -> Timestamp {
    format!("2026-11-23T20:58:{second:02}.000000000Z").parse().unwrap()
}

fn port() -> ContainerPort {
    ContainerPort::new(80).unwrap()
}

fn grace() -> Duration {
    Duration::from_secs(10)
}

fn exit(code: i32) -> Event {
    Event::Exited { at: at(9), exit: Exit { how: ExitHow::Code(code), oom_killed: false } }
}

/// Feeds `events` to a new machine; gives the last state and all actions in order.
fn run(events: &[Event]) -> (Machine, Vec<Action>) {
    let mut all = Vec::new();
    let mut machine = Machine::new(1 << 28);
    for event in events {
        let (after, actions) = next(machine, event.clone());
        machine = after;
        all.extend(actions);
    }
    (machine, all)
}

fn outcome(machine: &Machine) -> Outcome {
    match &machine.step {
        Step::Finishing(end) | Step::Ended(end) => end.outcome,
        other => panic!("not over: {other:?}"),
    }
}

#[test]
fn a_plain_life_publishes_running_and_the_end_and_leaves_after_the_ack() {
    let (machine, actions) = run(&[
        Event::Started { at: at(1) },
        Event::PortReady { port: port(), at: at(2) },
        Event::PortReady { port: port(), at: at(3) },
        exit(0),
        Event::Finished { problem: None },
        Event::Acked,
    ]);
    assert_eq!(machine.step, Step::Gone);
    assert_eq!(machine.ready[&port()], at(2), "the first time counts");
    use Action::{ArmAck, Finish, Leave, Publish, Watch};
    assert_eq!(actions, [Publish, Watch, Publish, Finish, Publish, ArmAck, Leave]);
}

#[test]
fn a_stop_climbs_the_ladder() {
    let (machine, actions) = run(&[
        Event::Started { at: at(1) },
        Event::StopAsked { grace: grace() },
        Event::StopAsked { grace: grace() },
        Event::GraceOver,
        Event::GraceOver,
        Event::Exited { at: at(9), exit: Exit { how: ExitHow::Signal(9), oom_killed: false } },
    ]);
    use Action::{ArmGrace, Finish, Kill, Publish, Terminate, Watch};
    assert_eq!(actions, [Publish, Watch, Terminate, ArmGrace(grace()), Kill, Finish]);
    assert_eq!(outcome(&machine), Outcome::Stopped { code: None });
}

#[test]
fn a_second_stop_can_only_shorten_the_grace() {
    let (_, actions) = run(&[
        Event::Started { at: at(1) },
        Event::StopAsked { grace: grace() },
        Event::StopAsked { grace: grace() * 2 },
        Event::StopAsked { grace: Duration::ZERO },
    ]);
    assert_eq!(actions.last(), Some(&Action::Kill));
    assert_eq!(actions.iter().filter(|a| **a == Action::Terminate).count(), 1);
}

#[test]
fn a_stop_while_starting_is_not_lost() {
    let (machine, actions) =
        run(&[Event::StopAsked { grace: grace() }, Event::Started { at: at(1) }]);
    assert!(matches!(machine.step, Step::Stopping { .. }));
    assert!(actions.contains(&Action::Terminate) && !actions.contains(&Action::Watch));

    let failed = Event::StartFailed { at: at(1), reason: "no such image layer".into() };
    let (machine, _) = run(&[Event::StopAsked { grace: grace() }, failed.clone()]);
    assert_eq!(outcome(&machine), Outcome::Stopped { code: None });
    let (machine, _) = run(&[failed]);
    assert_eq!(outcome(&machine), Outcome::FailedToStart);
}

#[test]
fn the_end_is_not_told_before_leftovers_are_removed() {
    let (machine, _) = run(&[Event::Started { at: at(1) }, exit(1)]);
    assert_eq!(machine.published().phase, Phase::Running);
    let (machine, _) = next(machine, Event::Finished { problem: None });
    let told = machine.published();
    assert_eq!(told.phase, Phase::Ended);
    assert_eq!(told.end.map(|end| end.reason), Some("exited with code 1".to_owned()));
}

fn states() -> Vec<Step> {
    let end = words::stopped_before_start(at(5));
    vec![
        Step::Starting { stop: None },
        Step::Starting { stop: Some(grace()) },
        Step::Running,
        Step::Stopping { grace: grace(), killed: false },
        Step::Stopping { grace: grace(), killed: true },
        Step::Finishing(end.clone()),
        Step::Ended(end),
        Step::Gone,
    ]
}

fn events() -> Vec<Event> {
    vec![
        Event::Started { at: at(1) },
        Event::StartFailed { at: at(1), reason: "x".into() },
        Event::PortReady { port: port(), at: at(2) },
        Event::StopAsked { grace: grace() },
        Event::StopAsked { grace: Duration::ZERO },
        Event::GraceOver,
        exit(0),
        Event::Finished { problem: None },
        Event::Acked,
        Event::AckOverdue,
    ]
}

/// How far along the diagram; no event may lead back.
fn rank(step: &Step) -> u8 {
    match step {
        Step::Starting { stop: None } => 0,
        Step::Starting { stop: Some(_) } => 1,
        Step::Running => 2,
        Step::Stopping { killed: false, .. } => 3,
        Step::Stopping { killed: true, .. } => 4,
        Step::Finishing(_) => 5,
        Step::Ended(_) => 6,
        Step::Gone => 7,
    }
}

#[test]
fn every_pair_goes_forward_and_acts_only_where_it_means_something() {
    for step in states() {
        for event in events() {
            let before = Machine {
                step: step.clone(),
                started_at: (rank(&step) >= 2).then(|| at(1)),
                ..Machine::new(0)
            };
            let (after, actions) = next(before.clone(), event.clone());
            let pair = format!("{step:?} + {event:?} -> {after:?} {actions:?}");
            assert!(rank(&after.step) >= rank(&step), "went back: {pair}");
            let enters = |n: u8| rank(&step) < n && rank(&after.step) == n;
            assert_eq!(actions.contains(&Action::Finish), enters(5), "{pair}");
            assert_eq!(actions.contains(&Action::ArmAck), enters(6), "{pair}");
            assert_eq!(actions.contains(&Action::Leave), enters(7), "{pair}");
            assert_eq!(actions.contains(&Action::Kill), enters(4), "{pair}");
            if after == before {
                // Told again what is known: at most silence.
                assert!(actions.is_empty(), "{pair}");
            }
            if after.published() != before.published() {
                assert!(actions.contains(&Action::Publish) || rank(&after.step) == 7, "{pair}");
            }
        }
    }
}
