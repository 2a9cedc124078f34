//! Two controllers hear the same supervisor and write into one database at the same time.

use std::sync::Arc;

use model::{ContainerPort, Outcome, Phase, RequestState};
use store::StoreOptions;
use tokio::sync::Barrier;

use super::*;
use crate::dispatcher::tests::submit;

const DOMAIN: &str = "https://services.example.com/";

fn at(second: u8) -> Timestamp {
    format!("2026-11-23T20:58:{second:02}Z").parse().unwrap()
}

/// A controller's hand on the database.
async fn recorder(path: &std::path::Path) -> Recorder {
    let store = Store::open(path, StoreOptions::default()).await.unwrap();
    let mut config = DispatchConfig::for_machine("/nowhere".into(), 1 << 30, 1);
    config.external_ports = Some(9000..=9001);
    Recorder::new(store, config, ServiceDomain::parse(DOMAIN).unwrap(), Starts::default())
}

/// What a supervisor says one after the other.
fn story() -> Vec<SupervisorState> {
    let starting = SupervisorState::default();
    let running =
        SupervisorState { phase: Phase::Running, started_at: Some(at(1)), ..starting.clone() };
    let ready = SupervisorState { ready: [(ContainerPort::HTTP, at(2))].into(), ..running.clone() };
    let end = ContainerEnd {
        outcome: Outcome::Exited { code: 3 },
        finished_at: at(3),
        reason: "the program ended with code 3".to_owned(),
        oom_killed: false,
    };
    let ended = SupervisorState { phase: Phase::Ended, end: Some(end), ..ready.clone() };
    vec![starting, running, ready, ended]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn states_that_two_controllers_apply_at_once_in_any_order_end_as_one_story() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("wharf.db");
    let (one, two) = (recorder(&path).await, recorder(&path).await);
    one.store.ensure_system_user().await.unwrap();
    // The whole story on one side; on the other, what it says late, early, or again.
    for other in [vec![0, 1, 2, 3], vec![3, 2, 1, 0], vec![2, 1, 3, 1], vec![1, 1, 0, 2], vec![]] {
        let (request, uuid) = submit(&one.store, "known", 500).await;
        let start = Arc::new(Barrier::new(2));
        let tell = |recorder: Recorder, order: Vec<usize>| {
            let start = Arc::clone(&start);
            tokio::spawn(async move {
                let story = story();
                start.wait().await;
                for n in order {
                    recorder.apply(uuid, &story[n]).await.unwrap();
                }
            })
        };
        let sides = [tell(one.clone(), vec![0, 1, 2, 3]), tell(two.clone(), other.clone())];
        for side in sides {
            side.await.unwrap();
        }
        let container = two.store.container(uuid).await.unwrap().unwrap();
        assert_eq!((container.state, container.exit_code), (ContainerState::Complete, Some(3)));
        assert_eq!((container.started_at, container.finished_at), (Some(at(1)), Some(at(3))));
        let request = one.store.request(request.uuid).await.unwrap().unwrap();
        assert_eq!(request.state, RequestState::Final);
        for port in [9000, 9001] {
            let key = store::TargetKey::ExternalPort(port);
            assert!(one.store.find_target(&key).await.unwrap().is_none(), "{port} after {other:?}");
        }
    }
}
