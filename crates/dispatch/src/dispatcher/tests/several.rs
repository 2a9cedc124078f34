//! Several controllers over one data directory, and several who would dispatch.

use super::*;

#[tokio::test]
async fn every_controller_tells_a_cancelled_service_to_stop_and_none_tells_a_wanted_one() {
    let site = Site::new().await;
    let second = site.second_controller();
    let (request, uuid) = submit(&site.store, "known", 500).await;
    let (_, wanted) = submit(&site.store, "known", 500).await;
    let mut ends = Vec::new();
    for uuid in [wanted, uuid] {
        site.until_asked("launch", uuid).await;
        for acceptor in [&site.acceptor, &second] {
            let mut end = site.connect_to(acceptor, uuid).await;
            end.tell(&running()).await;
            assert_eq!(end.hear().await, ToSupervisor::Ack { phase: Phase::Running });
            ends.push(end);
        }
    }
    cancel(&site.store, &request).await;
    for end in &mut ends[2..] {
        assert!(matches!(end.hear().await, ToSupervisor::Stop { .. }));
    }
    // Whoever connects after the order hears of it too.
    let mut late = site.connect_to(&site.second_controller(), uuid).await;
    assert!(matches!(late.hear().await, ToSupervisor::Stop { .. }));
    for end in &mut ends[..2] {
        end.tell(&running()).await;
        assert_eq!(end.hear().await, ToSupervisor::Ack { phase: Phase::Running });
    }
}

#[tokio::test]
async fn a_supervisor_whose_record_is_over_is_told_to_stop_without_a_dispatcher() {
    let site = Site::new().await;
    let (_, uuid) = submit(&site.store, "known", 500).await;
    site.until_asked("launch", uuid).await;
    site.scope.cancel();
    let mut site = site;
    site.scope = TaskScope::new("without a dispatcher");
    let second = site.second_controller();
    let mut end = site.connect_to(&second, uuid).await;
    end.tell(&running()).await;
    assert_eq!(end.hear().await, ToSupervisor::Ack { phase: Phase::Running });
    site.store
        .end_container(uuid, &reconcile::lost(site.store.now()), store::Leavings::default())
        .await
        .unwrap();
    assert!(matches!(end.hear().await, ToSupervisor::Stop { .. }));
}

#[tokio::test]
async fn a_second_dispatcher_waits_until_the_first_has_ended() {
    let site = Site::new().await;
    let (_, first) = submit(&site.store, "known", 500).await;
    site.until_asked("launch", first).await;
    let backend = FakeBackend::new();
    // It would find `first` without a supervisor and settle it, were it to look.
    let (scope, registry) = (TaskScope::new("second"), Registry::new());
    let config = DispatchConfig::for_machine(site.dir.path().to_owned(), 4 << 30, 2);
    let domain = ServiceDomain::parse("http://*.containers.localhost:8000/").unwrap();
    let dispatcher = Dispatcher::new(
        site.store.clone(),
        config,
        backend.clone(),
        Arc::new(OneImage),
        domain,
        registry,
    );
    scope.spawn("dispatcher", dispatcher.run(scope.token()));
    let (_, second) = submit(&site.store, "known", 500).await;
    site.until_asked("launch", second).await;
    assert!(backend.asked.lock().unwrap().is_empty(), "only one dispatches");
    backend.put(first, true, None);
    backend.put(second, true, None);
    site.scope.cancel();
    let (_, third) = submit(&site.store, "known", 500).await;
    lifecycle::wait_until("the other", SOON, || backend.n_asked("launch", third) > 0)
        .await
        .unwrap();
    assert_eq!(site.backend.n_asked("launch", third), 0);
    scope.cancel();
}
