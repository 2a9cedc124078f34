//! Both ends over real sockets, in one process.

use super::*;
use crate::data_dir::DataDir;
use std::net::TcpListener;
use std::time::Duration;
use tokio::net::UnixListener;
use tunnel::Registry;

const SOON: Duration = Duration::from_secs(20);

struct Old {
    data: DataDir,
    door: Door,
    legacy: Legacy,
    _dir: tempfile::TempDir,
}

impl Old {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        // Longer than the address of a Unix socket may be.
        let data = DataDir::prepare(&dir.path().join("deep".repeat(40))).unwrap();
        let door = Door::build(&data.doors(), "up").unwrap();
        let listeners = (0..3).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let seat = Some(data.take_seat().unwrap());
        let legacy = Legacy { listeners, seat, tunnels: Registry::new() };
        Self { data, door, legacy, _dir: dir }
    }

    async fn ask(&self) -> anyhow::Result<Option<(Predecessor, Inherited)>> {
        Predecessor::ask(&self.data.doors(), "up").await
    }

    /// What a new process does until it serves.
    async fn arrive(&self) -> Predecessor {
        let (predecessor, inherited) = self.ask().await.unwrap().unwrap();
        let addresses = |all: &[TcpListener]| -> Vec<_> {
            all.iter().map(|one| one.local_addr().unwrap()).collect()
        };
        assert_eq!(addresses(&inherited.listeners), addresses(&self.legacy.listeners));
        assert!(inherited.seat.is_some());
        predecessor.check().unwrap();
        predecessor
    }

    async fn successor(&self) -> i32 {
        tokio::time::timeout(SOON, self.door.successor(&self.legacy)).await.unwrap()
    }
}

#[tokio::test]
async fn a_new_process_gets_sockets_and_seat_and_is_known_when_it_serves() {
    let old = Old::new();
    assert!(old.ask().await.unwrap().is_none(), "a door that is not open is none");
    old.door.open().unwrap();
    let (pid, ()) = tokio::join!(old.successor(), async { old.arrive().await.tell().await });
    assert_eq!(u32::try_from(pid).unwrap(), std::process::id());
}

#[tokio::test]
async fn the_seat_is_taken_as_long_as_one_of_both_has_it() {
    let mut old = Old::new();
    old.door.open().unwrap();
    let inherited = tokio::select! {
        asked = old.ask() => asked.unwrap().unwrap().1,
        _ = old.door.successor(&old.legacy) => panic!("nobody serves yet"),
    };
    old.legacy.seat = None;
    old.data.take_seat().unwrap_err();
    drop(inherited);
    old.data.take_seat().unwrap();
}

#[tokio::test]
async fn one_that_fails_changes_nothing_and_others_are_turned_away_meanwhile() {
    let old = Old::new();
    old.door.open().unwrap();
    let arriving = async {
        let first = old.arrive().await;
        let refused = old.ask().await.unwrap_err();
        assert!(format!("{refused:#}").contains("another process is taking"), "{refused:#}");
        drop(first);
        // The door is free once that was noticed.
        let second = loop {
            if let Ok(asked) = old.ask().await {
                break asked.unwrap().0;
            }
        };
        second.tell().await;
    };
    tokio::join!(old.successor(), arriving);
}

#[tokio::test]
async fn one_that_is_not_waited_for_any_more_hears_it() {
    let old = Old::new();
    old.door.open().unwrap();
    // The waiting ends here, as when the old process is told to stop.
    let predecessor = tokio::select! {
        predecessor = old.arrive() => predecessor,
        _ = old.door.successor(&old.legacy) => panic!("nobody serves yet"),
    };
    let refused = predecessor.check().unwrap_err().to_string();
    assert!(refused.contains("does not wait"), "{refused}");
}

#[tokio::test]
async fn one_whose_predecessor_is_killed_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let listener = UnixListener::bind(dir.path().join("up.sock")).unwrap();
    let old = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _asked: wire::FromSuccessor = wire::read(&mut stream).await.unwrap();
        let inventory = wire::Inventory { n_listeners: 0, has_seat: false, tunnels: Vec::new() };
        wire::write(&mut stream, &wire::FromPredecessor::Legacy(inventory)).await.unwrap();
    };
    let (asked, ()) = tokio::join!(Predecessor::ask(dir.path(), "up"), old);
    let (predecessor, _nothing) = asked.unwrap().unwrap();
    predecessor.check().unwrap();
    predecessor.tell().await;
    drop(listener);
    assert!(Predecessor::ask(dir.path(), "up").await.unwrap().is_none(), "nobody listens there");
}
