//! Figures of containers: their form, and who may read them.

use model::ContainerUuid;
use serde_json::{Value, json};

use crate::fixture::Fixture;

#[tokio::test]
async fn figures_come_as_series_with_gaps_to_whoever_may_read_the_logs() {
    let fixture = Fixture::new().await;
    let made = fixture.service(&fixture.ada).await;
    let uuids = [made["uuid"].as_str().unwrap(), made["container_uuid"].as_str().unwrap()];
    for uuid in uuids {
        let path = format!("/wharf/v1/containers/{uuid}/metrics");
        let of =
            async |query: &str| fixture.get(&fixture.ada, &format!("{path}{query}")).await.ok();
        let quarter = of("").await;
        assert_eq!(quarter, of("?range=15m").await);
        assert_eq!(quarter["container_uuid"], uuids[1]);
        assert_eq!(quarter["start"], "2026-12-03T11:45:00.000000000Z");
        assert_eq!((&quarter["period_seconds"], &quarter["range"]), (&json!(5), &json!("15m")));
        let last = |series: &Value| series.as_array().unwrap().last().unwrap().clone();
        for (name, expected) in [
            ("cpu_cores", json!(0.5)),
            ("memory_bytes", json!(1 << 20)),
            ("processes", json!(3)),
            ("bytes_out_per_second", json!(70.0)),
            ("open_connections", json!(2.0)),
        ] {
            let series = quarter[name].as_array().unwrap();
            assert_eq!(series.len(), 180, "{name}");
            assert_eq!(series[..179], vec![Value::Null; 179], "{name}");
            assert_eq!(last(&quarter[name]), expected, "{name}");
        }
        assert_eq!(last(&quarter["requests_per_second"]["2xx"]), json!(5.0));
        assert_eq!(last(&quarter["requests_per_second"]["5xx"]), json!(0.0));
        assert_eq!(last(&quarter["first_byte_seconds"]["p50"]), json!(0.0038));
        for (range, period, n) in [("1h", 20, 180), ("24h", 300, 288), ("7d", 1800, 336)] {
            let series = of(&format!("?range={range}")).await;
            assert_eq!(series["period_seconds"], period);
            assert_eq!(series["cpu_cores"].as_array().unwrap().len(), n);
        }
        let refused = fixture.get(&fixture.ada, &format!("{path}?range=2h")).await.refused(422);
        assert!(refused.contains("range must be 15m, 1h, 24h or 7d"), "{refused}");
        fixture.get(&fixture.bob, &path).await.refused(404);
    }
}

#[tokio::test]
async fn what_runs_is_told_at_once_to_whoever_may_read_it() {
    let fixture = Fixture::new().await;
    let made = fixture.service(&fixture.ada).await;
    let items = async |person| fixture.get(person, "/wharf/v1/usage").await.ok()["items"].clone();
    assert_eq!(items(&fixture.ada).await, json!([]), "it is queued");
    let container = ContainerUuid::parse(made["container_uuid"].as_str().unwrap()).unwrap();
    let store = &fixture.store;
    assert!(store.lock_container(container, "me").await.unwrap());
    assert!(store.start_container(container, store.now(), Default::default()).await.unwrap());
    let usage = items(&fixture.ada).await;
    assert_eq!(usage[0]["container_uuid"], made["container_uuid"]);
    assert_eq!(usage[0]["cpu_cores"].as_array().unwrap().len(), 15);
    assert_eq!(usage[0]["cpu_cores"][14], 0.5);
    assert_eq!(usage[0]["memory_bytes"][13], Value::Null);
    assert_eq!(items(&fixture.bob).await, json!([]));
}
