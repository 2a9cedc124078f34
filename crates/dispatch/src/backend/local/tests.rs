//! With a shell script in the place of our executable, which tells how it was called.

use std::os::unix::fs::PermissionsExt;

use lifecycle::wait_until;
use model::Phase;

use super::*;

const SOON: Duration = Duration::from_secs(20);

/// Supervisors sleep, sweeps say what they were told and fail if asked to.
const SCRIPT: &str = r#"#!/bin/sh
if [ "$2" = --sweep ]; then
    echo "swept $3" >>"$3/log/calls"
    [ ! -e "$3/fail" ] || { echo "the disk is on fire" >&2; exit 1; }
    exit 0
fi
n=$(env | grep -c SECRET)
echo "supervise $2 $n" >>"$2/log/calls"
exec sleep 600
"#;

struct Site {
    dir: tempfile::TempDir,
    scope: TaskScope,
    backend: LocalBackend,
    container: ContainerUuid,
}

impl Drop for Site {
    fn drop(&mut self) {
        self.backend.0.end(self.container, EndHow::Kill);
        self.scope.cancel();
    }
}

impl Site {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let script = dir.path().join("wharf");
        std::fs::write(&script, SCRIPT).unwrap();
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
        let container = ContainerUuid::parse("wharf-dz642-aaaaaaaaaaaaaaa").unwrap();
        let files = ContainerDir::of(dir.path(), container);
        std::fs::create_dir_all(files.log()).unwrap();
        std::fs::write(files.secret(), "x").unwrap();
        let (scope, backend) = Self::controller(&dir);
        Self { dir, scope, backend, container }
    }

    fn controller(dir: &tempfile::TempDir) -> (TaskScope, LocalBackend) {
        let scope = TaskScope::new("test");
        let executable = dir.path().join("wharf");
        let backend =
            LocalBackend::new(dir.path().to_owned(), executable, scope.child("supervisors"));
        (scope, backend)
    }

    fn files(&self) -> ContainerDir {
        ContainerDir::of(self.dir.path(), self.container)
    }

    async fn found(&self) -> Option<Found> {
        self.backend.list().await.unwrap().pop()
    }

    async fn launch(&self) {
        // The script is a moment old: another test's fork may still hold it open for writing.
        let launched = || async { self.backend.launch(self.container).await.ok() };
        lifecycle::wait_for("the launch", SOON, launched).await.unwrap();
        // At once: a dispatcher that follows us in the next moment must find it.
        assert!(self.files().pid().is_file());
        let said = || std::fs::read_to_string(self.files().log().join("calls"));
        let has_said = || said().is_ok_and(|calls| calls.ends_with('\n'));
        wait_until("its first word", SOON, has_said).await.unwrap();
    }

    fn calls(&self) -> String {
        std::fs::read_to_string(self.files().log().join("calls")).unwrap()
    }
}

#[tokio::test]
async fn a_supervisor_is_launched_with_nothing_of_ours_and_its_death_is_seen() {
    let site = Site::new();
    let mut deaths = site.backend.changes();
    site.launch().await;
    let expected = format!("supervise {} 0\n", site.files().path().display());
    assert_eq!(site.calls(), expected);
    let said = model::SupervisorState { phase: Phase::Running, ..Default::default() };
    std::fs::write(site.files().state(), serde_json::to_vec(&said).unwrap()).unwrap();
    let alive = Found { container: site.container, is_alive: true, said: Some(said) };
    assert_eq!(site.found().await, Some(alive.clone()));

    site.backend.end(site.container, EndHow::Ask).await.unwrap();
    tokio::time::timeout(SOON, deaths.changed()).await.unwrap().unwrap();
    assert_eq!(site.found().await, Some(Found { is_alive: false, ..alive }));
    // To end a dead one is no error.
    site.backend.end(site.container, EndHow::Kill).await.unwrap();
}

#[tokio::test]
async fn a_restarted_controller_adopts_a_supervisor_and_sees_its_death() {
    let mut site = Site::new();
    site.launch().await;
    let (scope, backend) = Site::controller(&site.dir);
    std::mem::replace(&mut site.scope, scope).shutdown(SOON).await;
    // The first controller's child is not reaped by anybody now, as a zombie is dead too.
    site.backend = backend;
    let mut deaths = site.backend.changes();
    assert!(site.found().await.unwrap().is_alive, "the end of a controller ends nobody");
    site.backend.end(site.container, EndHow::Kill).await.unwrap();
    tokio::time::timeout(SOON, deaths.changed()).await.unwrap().unwrap();
    assert!(!site.found().await.unwrap().is_alive);
}

#[tokio::test]
async fn a_swept_container_is_forgotten_and_keeps_its_logs() {
    let site = Site::new();
    std::fs::write(site.files().path().join("fail"), "").unwrap();
    let swept = || async {
        match site.backend.sweep(site.container).await {
            Err(BackendError::Spawn { .. }) => None,
            other => Some(other),
        }
    };
    let failed = lifecycle::wait_for("the sweep", SOON, swept).await.unwrap();
    let words = failed.unwrap_err().to_string();
    assert!(words.contains("the disk is on fire (exit status: 1)"), "{words}");
    assert!(site.found().await.is_some_and(|found| !found.is_alive));

    std::fs::remove_file(site.files().path().join("fail")).unwrap();
    site.backend.sweep(site.container).await.unwrap();
    site.backend.forget(site.container).await.unwrap();
    site.backend.forget(site.container).await.unwrap();
    assert_eq!(site.found().await, None);
    assert!(site.calls().contains("swept"));
}

#[tokio::test]
async fn an_executable_that_is_gone_is_named() {
    let site = Site::new();
    std::fs::remove_file(site.dir.path().join("wharf")).unwrap();
    let error = site.backend.launch(site.container).await.unwrap_err();
    assert!(error.to_string().starts_with("cannot start \""), "{error}");
}
