use super::*;
use crate::admission::Disk;
use proptest::prelude::*;

fn uuid(n: u8) -> ContainerUuid {
    ContainerUuid::parse(&format!("wharf-dz642-{n:015}")).unwrap()
}

fn at(second: u8) -> Timestamp {
    format!("2026-11-23T20:00:{second:02}Z").parse().unwrap()
}

fn record(n: u8, state: ContainerState, priority: i64) -> Wanted {
    let needs = Needs { ram_bytes: 1, vcpus: 1, ..Needs::default() };
    Wanted { uuid: uuid(n), state, priority, created_at: at(n), needs, n_launches: 0 }
}

fn ended() -> ContainerEnd {
    ContainerEnd {
        outcome: Outcome::Exited { code: 0 },
        finished_at: at(7),
        reason: String::new(),
        oom_killed: false,
    }
}

fn said(phase: Phase) -> SupervisorState {
    SupervisorState {
        phase,
        started_at: (phase != Phase::Starting).then(|| at(5)),
        end: (phase == Phase::Ended).then(ended),
        ..SupervisorState::default()
    }
}

fn supervisor(n: u8, life: Life, phase: Phase) -> Actual {
    Actual { uuid: uuid(n), life, said: Some(said(phase)) }
}

fn world(wanted: Vec<Wanted>, actual: Vec<Actual>) -> World {
    let disk = Disk { size_bytes: 10, free_bytes: 10 };
    let (ram_bytes, runner_ram_bytes) = (10, 5);
    let capacity = Capacity { containers_max: 3, ram_bytes, vcpus: 10, disk, runner_ram_bytes };
    World { wanted, actual, capacity, cordon: None, now: at(9) }
}

/// The one action for a record and a supervisor, as a word.
fn check(wanted: Option<Wanted>, actual: Option<Actual>, expected: &str) {
    let world = world(wanted.into_iter().collect(), actual.into_iter().collect());
    let plan = plan(&world);
    let words: Vec<String> = plan.actions.iter().map(|(_, action)| word(action)).collect();
    assert_eq!(words.join(" "), expected, "{world:?}");
}

fn word(action: &Action) -> String {
    match action {
        Action::Settle { end, .. } => format!("Settle:{:?}", end.outcome),
        other => format!("{other:?}"),
    }
}

use ContainerState::{Locked, Queued, Running};
use Life::{Alive, Busy, Dead};

#[test]
fn the_row_of_queued_records() {
    let queued = || Some(record(1, Queued, 500));
    check(queued(), None, "Launch");
    check(queued(), Some(supervisor(1, Busy, Phase::Starting)), "");
    check(queued(), Some(supervisor(1, Alive, Phase::Running)), "Adopt");
    check(queued(), Some(supervisor(1, Dead, Phase::Starting)), "Sweep");
    check(queued(), Some(supervisor(1, Dead, Phase::Ended)), "Sweep");
    let unwanted = || Some(record(1, Queued, 0));
    check(unwanted(), None, "");
    check(unwanted(), Some(supervisor(1, Alive, Phase::Running)), "Stop");
    check(unwanted(), Some(supervisor(1, Dead, Phase::Running)), "Sweep");
}

#[test]
fn a_cordoned_machine_begins_nothing_and_ends_nothing() {
    let too_large = Needs { ram_bytes: 11, vcpus: 1, ..Needs::default() };
    let mut world = world(
        vec![
            record(1, Queued, 500),
            record(2, Locked, 500),
            record(3, Locked, 500),
            record(4, Running, 500),
            Wanted { needs: too_large, ..record(5, Queued, 500) },
            Wanted { needs: Needs { vcpus: 10, ..Needs::default() }, ..record(6, Queued, 500) },
        ],
        vec![supervisor(3, Busy, Phase::Starting), supervisor(4, Alive, Phase::Running)],
    );
    world.cordon = Some("cordoned".to_owned());
    let plan = plan(&world);
    let actions: Vec<_> = plan.actions.iter().map(|(uuid, it)| (*uuid, word(it))).collect();
    // The one that was locked waits again; what can never run is told so at once.
    let expected = [(uuid(2), "Unlock"), (uuid(5), "Settle:FailedToStart")];
    assert_eq!(actions, expected.map(|(uuid, word)| (uuid, word.to_owned())));
    let waiting: Vec<_> = plan.waiting.iter().map(|it| (it.uuid, it.reason.as_str())).collect();
    assert_eq!(waiting, [(uuid(1), "cordoned"), (uuid(6), "cordoned")]);
}

#[test]
fn the_row_of_locked_records() {
    let locked = || Some(record(1, Locked, 500));
    check(locked(), None, "Launch");
    check(locked(), Some(supervisor(1, Busy, Phase::Starting)), "");
    check(locked(), Some(supervisor(1, Alive, Phase::Starting)), "");
    check(locked(), Some(supervisor(1, Alive, Phase::Ended)), "Settle:Exited { code: 0 }");
    check(locked(), Some(supervisor(1, Dead, Phase::Starting)), "Sweep");
    check(locked(), Some(supervisor(1, Dead, Phase::Running)), "Settle:Lost");
    check(locked(), Some(supervisor(1, Dead, Phase::Ended)), "Settle:Exited { code: 0 }");

    let silent = Actual { said: None, ..supervisor(1, Dead, Phase::Starting) };
    check(locked(), Some(silent.clone()), "Sweep");
    let tired = || Some(Wanted { n_launches: LAUNCHES_MAX, ..record(1, Locked, 500) });
    check(tired(), Some(silent), "Settle:FailedToStart");
    check(tired(), None, "Settle:FailedToStart");

    let unwanted = || Some(record(1, Locked, 0));
    check(unwanted(), None, "Unlock");
    check(unwanted(), Some(supervisor(1, Alive, Phase::Starting)), "Stop");
    check(unwanted(), Some(supervisor(1, Dead, Phase::Starting)), "Sweep");
    check(unwanted(), Some(supervisor(1, Dead, Phase::Running)), "Settle:Lost");
}

#[test]
fn the_row_of_running_records() {
    let running = || Some(record(1, Running, 500));
    check(running(), None, "Settle:Lost");
    check(running(), Some(supervisor(1, Alive, Phase::Running)), "");
    check(running(), Some(supervisor(1, Alive, Phase::Ended)), "Settle:Exited { code: 0 }");
    check(running(), Some(supervisor(1, Dead, Phase::Running)), "Settle:Lost");
    check(running(), Some(supervisor(1, Dead, Phase::Ended)), "Settle:Exited { code: 0 }");
    check(Some(record(1, Running, 0)), Some(supervisor(1, Alive, Phase::Running)), "Stop");
}

#[test]
fn the_row_of_records_that_are_over() {
    check(None, Some(supervisor(1, Busy, Phase::Running)), "");
    check(None, Some(supervisor(1, Alive, Phase::Running)), "Stop");
    check(None, Some(supervisor(1, Alive, Phase::Ended)), "");
    check(None, Some(supervisor(1, Dead, Phase::Ended)), "Sweep");
}

#[test]
fn places_go_by_priority_then_age_and_the_rest_is_told_why_it_waits() {
    let wanted = vec![
        record(1, Queued, 1),
        record(2, Queued, 500),
        record(3, Queued, 500),
        record(4, Queued, 999),
        record(5, Running, 1),
    ];
    let plan = plan(&world(wanted, vec![supervisor(5, Alive, Phase::Running)]));
    assert_eq!(plan.actions, [(uuid(4), Action::Launch), (uuid(2), Action::Launch)]);
    let waiting: Vec<_> = plan.waiting.iter().map(|one| one.uuid).collect();
    assert_eq!(waiting, [uuid(3), uuid(1)]);
    assert!(plan.waiting[0].reason.contains("Containers.MaxContainers"));
}

#[test]
fn a_container_larger_than_the_machine_ends_in_words() {
    for needs in [
        Needs { ram_bytes: 11, ..Needs::default() },
        Needs { scratch_bytes: 11, ..Needs::default() },
    ] {
        let huge = Wanted { needs, ..record(1, Queued, 1) };
        check(Some(huge), None, "Settle:FailedToStart");
    }
}

fn any_world() -> impl Strategy<Value = World> {
    let state = prop_oneof![Just(Queued), Just(Locked), Just(Running)];
    let wanted = (0..8_u8, state, 0..3_i64, 0..13_u64, 0..13_u32, 0..4_u32).prop_map(
        |(n, state, priority, ram_bytes, vcpus, n_launches)| Wanted {
            needs: Needs { ram_bytes, vcpus, scratch_bytes: ram_bytes, is_runner: vcpus > 9 },
            n_launches,
            ..record(n, state, priority)
        },
    );
    let life = prop_oneof![Just(Busy), Just(Alive), Just(Dead)];
    let phase = prop_oneof![Just(Phase::Starting), Just(Phase::Running), Just(Phase::Ended)];
    let actual = (0..8_u8, life, phase, any::<bool>()).prop_map(|(n, life, phase, is_silent)| {
        let loud = supervisor(n, life, phase);
        if is_silent { Actual { said: None, ..loud } } else { loud }
    });
    let once = |uuids: Vec<ContainerUuid>| {
        let n = uuids.len();
        uuids.into_iter().collect::<std::collections::BTreeSet<_>>().len() == n
    };
    (
        prop::collection::vec(wanted, 0..8)
            .prop_filter("one record each", move |all| once(all.iter().map(|w| w.uuid).collect())),
        prop::collection::vec(actual, 0..8)
            .prop_filter("one dir each", move |all| once(all.iter().map(|a| a.uuid).collect())),
    )
        .prop_map(|(wanted, actual)| world(wanted, actual))
}

proptest! {
    #[test]
    fn no_container_gets_two_actions(world in any_world()) {
        let plan = plan(&world);
        let mut seen = std::collections::BTreeSet::new();
        for (uuid, _) in &plan.actions {
            prop_assert!(seen.insert(*uuid));
        }
        for one in &plan.waiting {
            prop_assert!(seen.insert(one.uuid));
        }
    }

    #[test]
    fn nothing_is_launched_beside_a_supervisor_or_its_remains(world in any_world()) {
        for (uuid, action) in plan(&world).actions {
            let there = world.actual.iter().find(|one| one.uuid == uuid);
            match action {
                Action::Launch | Action::Unlock => prop_assert!(there.is_none()),
                Action::Sweep => prop_assert!(there.is_some_and(|one| one.life == Dead)),
                Action::Stop | Action::Adopt => {
                    prop_assert!(there.is_some_and(|one| one.life == Alive));
                }
                Action::Settle { .. } => {
                    prop_assert!(there.is_none_or(|one| one.life != Busy));
                }
            }
        }
    }

    #[test]
    fn a_running_container_that_is_wanted_is_never_stopped(world in any_world()) {
        for (uuid, action) in plan(&world).actions {
            let record = world.wanted.iter().find(|one| one.uuid == uuid);
            if action == Action::Stop {
                prop_assert!(record.is_none_or(|one| one.priority <= 0));
            }
        }
    }

    #[test]
    fn new_launches_never_exceed_the_machine(world in any_world()) {
        let plan = plan(&world);
        let is_launched = |one: &&Wanted| {
            plan.actions.contains(&(one.uuid, Action::Launch)) && one.state == Queued
        };
        let holds_place = |one: &&Wanted| {
            one.state != Queued || world.actual.iter().any(|there| there.uuid == one.uuid)
        };
        let new: Vec<_> = world.wanted.iter().filter(is_launched).collect();
        let held = world.wanted.iter().filter(|one| holds_place(one)).filter(|one| one.priority > 0);
        let n = new.len() + held.clone().count();
        let new_ram = new.iter().map(|one| one.needs.ram_bytes).sum::<u64>();
        let ram = new_ram + held.clone().map(|one| one.needs.ram_bytes).sum::<u64>();
        if !new.is_empty() {
            prop_assert!(n <= world.capacity.containers_max);
            // What runs may be over a limit that was lowered; one that asks for nothing still fits.
            prop_assert!(new_ram == 0 || ram <= world.capacity.ram_bytes);
        }
    }

    #[test]
    fn nobody_waits_behind_a_later_one_that_asks_for_as_much(world in any_world()) {
        let plan = plan(&world);
        let find = |uuid| world.wanted.iter().find(|one| one.uuid == uuid);
        let launched = plan.actions.iter().filter(|(_, action)| *action == Action::Launch)
            .filter_map(|(uuid, _)| find(*uuid)).filter(|one| one.state == Queued);
        for late in launched {
            for early in plan.waiting.iter().filter_map(|one| find(one.uuid)) {
                let is_smaller = early.needs.ram_bytes <= late.needs.ram_bytes
                    && early.needs.vcpus <= late.needs.vcpus;
                prop_assert!(!(is_smaller && early.priority > late.priority));
            }
        }
    }

    #[test]
    fn a_plan_carried_out_leaves_nothing_to_plan(world in any_world()) {
        let mut world = world;
        world.actual.retain(|one| one.life != Busy);
        for _ in 0..12 {
            let actions = plan(&world).actions;
            if actions.is_empty() {
                return Ok(());
            }
            for (uuid, action) in actions {
                carry_out(&mut world, uuid, &action);
            }
        }
        prop_assert!(false, "still busy: {:?}", plan(&world));
    }
}

/// What the driver and the supervisors make of an action, if all goes well.
fn carry_out(world: &mut World, uuid: ContainerUuid, action: &Action) {
    let dead = |one: &Actual| one.uuid == uuid && one.life == Dead;
    match action {
        Action::Launch | Action::Adopt => {
            for one in world.wanted.iter_mut().filter(|one| one.uuid == uuid) {
                one.state = Locked;
                one.n_launches += 1;
            }
            if *action == Action::Launch {
                let life = Alive;
                world.actual.push(Actual { uuid, life, said: Some(said(Phase::Running)) });
            }
        }
        Action::Stop => {
            for one in world.actual.iter_mut().filter(|one| one.uuid == uuid) {
                one.said = Some(said(Phase::Ended));
            }
        }
        Action::Settle { .. } => {
            world.wanted.retain(|one| one.uuid != uuid);
            world.actual.retain(|one| !dead(one));
        }
        Action::Unlock => {
            for one in world.wanted.iter_mut().filter(|one| one.uuid == uuid) {
                one.state = Queued;
            }
        }
        Action::Sweep => world.actual.retain(|one| !dead(one)),
    }
}
