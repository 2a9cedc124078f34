use super::*;

fn exceeded(limit: Limit, wait_ms: u64) -> Exceeded {
    Exceeded { limit, wait: Duration::from_millis(wait_ms) }
}

#[test]
fn whoever_is_told_to_wait_waits_long_enough_and_at_least_a_second() {
    for (wait_ms, seconds) in [(0, 1), (1, 1), (1000, 1), (1001, 2), (59_500, 60)] {
        assert_eq!(exceeded(Limit::Misses, wait_ms).retry_after_s(), seconds, "{wait_ms}");
    }
}

#[test]
fn each_limit_is_told_by_its_key() {
    let message = exceeded(Limit::OpenOfService, 0).message();
    assert_eq!(
        message,
        "this service has more requests and streams open than is allowed (Proxy.MaxOpenPerService): try again in a moment"
    );
}

#[test]
fn an_address_that_has_asked_for_nothing_lately_is_forgotten() {
    let budgets = Budgets::new(&ProxyLimits::default());
    let now = Tick::after(Duration::from_secs(1));
    let address = Address::default();
    assert!(address.is_idle(now));
    assert_eq!(budgets.take_miss(&address, now), Ok(()));
    assert!(!address.is_idle(now));
    assert!(address.is_idle(Tick::after(Duration::from_secs(2))));
    assert!(address.budget.open.enter(1));
    assert!(!address.is_idle(Tick::after(Duration::from_secs(2))));
}
