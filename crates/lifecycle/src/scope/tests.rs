use super::*;

const BOUND: Duration = Duration::from_secs(5);

#[tokio::test]
async fn shutdown_ends_tasks_that_watch_the_token() {
    let scope = TaskScope::new("test");
    let token = scope.token();
    scope.spawn("watcher", async move { token.cancelled().await });
    scope.spawn_cancellable("forever", std::future::pending());
    assert_eq!(scope.n_live(), 2);
    assert!(scope.shutdown(BOUND).await.is_clean());
    assert_eq!(scope.n_live(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_task_that_ignores_cancellation_is_named() {
    let scope = TaskScope::new("test");
    scope.child("inner").spawn("stubborn", std::future::pending());
    let left = scope.shutdown(BOUND).await;
    assert_eq!(left.names, ["test.inner.stubborn"]);
}

#[tokio::test]
async fn a_panic_is_counted_in_every_ancestor_and_does_not_spread() {
    let scope = TaskScope::new("test");
    let inner = scope.child("inner");
    inner.spawn("broken", async { panic!("as planned") }).await.unwrap();
    let left = scope.shutdown(BOUND).await;
    assert_eq!(left, TasksLeft { names: vec![], n_panicked: 1 });
}

#[tokio::test]
async fn a_child_can_be_shut_down_alone() {
    let scope = TaskScope::new("test");
    let inner = scope.child("inner");
    scope.spawn_cancellable("outer", std::future::pending());
    inner.spawn_cancellable("task", std::future::pending());
    assert!(inner.shutdown(BOUND).await.is_clean());
    assert!(!scope.is_cancelled());
    assert_eq!(scope.n_live(), 1);
    assert!(scope.shutdown(BOUND).await.is_clean());
}
