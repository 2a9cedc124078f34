//! Requests, containers, and what is asked about them.

use std::convert::Infallible;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse as _, Response};
use futures_util::{Stream, stream};
use serde_json::{Value, json};

use super::records::{container, request, user};
use super::{Answer, Api, CONTAINER, Params, TIME, USER, filtered, refuse};

pub(super) async fn current_user(State(api): Api, headers: HeaderMap) -> Answer {
    api.check(&headers)?;
    let mut me = user();
    me.is_admin = !api.records().is_ordinary;
    Ok(Json(serde_json::to_value(me).unwrap()))
}

pub(super) async fn list_requests(
    State(api): Api,
    headers: HeaderMap,
    Query(query): Params,
) -> Answer {
    api.check(&headers)?;
    filtered(&api.records().requests, &query)
}

pub(super) async fn list_containers(
    State(api): Api,
    headers: HeaderMap,
    Query(query): Params,
) -> Answer {
    api.check(&headers)?;
    filtered(&api.records().containers, &query)
}

pub(super) async fn get_request(
    State(api): Api,
    headers: HeaderMap,
    Path(uuid): Path<String>,
) -> Answer {
    api.check(&headers)?;
    let records = api.records();
    let found = records.requests.iter().find(|request| request.uuid.as_str() == uuid);
    let found = found.ok_or_else(|| refuse(StatusCode::NOT_FOUND, "Path not found"))?;
    Ok(Json(serde_json::to_value(found).unwrap()))
}

pub(super) async fn patch_request(
    State(api): Api,
    headers: HeaderMap,
    Path(uuid): Path<String>,
    Json(body): Json<Value>,
) -> Answer {
    api.check(&headers)?;
    let answer = {
        let mut records = api.records();
        let found = records.requests.iter_mut().find(|request| request.uuid.as_str() == uuid);
        let found = found.ok_or_else(|| refuse(StatusCode::NOT_FOUND, "Path not found"))?;
        found.priority = body["container_request"]["priority"].as_i64().unwrap();
        serde_json::to_value(&*found).unwrap()
    };
    api.change();
    Ok(Json(answer))
}

pub(super) async fn create_request(
    State(api): Api,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Answer {
    api.check(&headers)?;
    let wanted = &body["container_request"];
    let mut records = api.records();
    if !records.refuse_request.is_empty() {
        let errors = std::mem::take(&mut records.refuse_request);
        return Err((StatusCode::UNPROCESSABLE_ENTITY, Json(json!({ "errors": errors }))));
    }
    records.made.push(wanted.clone());
    let number = u32::try_from(records.requests.len()).unwrap() + 1;
    let name = wanted["name"].as_str().unwrap_or_default();
    let made = request(number, name, &wanted["published_ports"]);
    records.containers.push(container(&made, "Queued", None));
    records.requests.push(made.clone());
    Ok(Json(serde_json::to_value(made).unwrap()))
}

pub(super) async fn list_entries(
    State(api): Api,
    headers: HeaderMap,
    Query(query): Params,
) -> Answer {
    api.check(&headers)?;
    filtered(&api.records().entries, &query)
}

pub(super) async fn images(State(api): Api, headers: HeaderMap) -> Answer {
    api.check(&headers)?;
    let image = json!({ "id": "sha256:0a1b", "names": ["lab:1"], "size_bytes": 1_048_576 });
    Ok(Json(json!({ "items": [image] })))
}

pub(super) async fn status(State(api): Api, headers: HeaderMap) -> Answer {
    api.check(&headers)?;
    let waits = json!({ "container_uuid": CONTAINER, "place": 1, "reason": "waits for memory" });
    Ok(Json(json!({
        "version": "0.1.0", "cluster_id": "wharf", "containers": { "Running": 2, "Queued": 1 },
        "requests": {}, "queue": [waits],
    })))
}

pub(super) async fn hand_off(
    State(api): Api,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Answer {
    api.check(&headers)?;
    let mut records = api.records();
    records.handed_off.push(body.clone());
    let code = format!("wc1_{}", "c".repeat(43));
    let url = match (&records.hand_off, body["host"].as_str()) {
        (Some(url), _) => url.clone(),
        (None, Some(host)) => {
            format!("http://{host}{}?api_token={code}", body["path"].as_str().unwrap())
        }
        (None, None) => format!(
            "http://{}-{}.containers.localhost:8000/?api_token={code}",
            body["uuid"].as_str().unwrap(),
            body["port"]
        ),
    };
    Ok(Json(json!({ "url": url })))
}

pub(super) async fn metrics(State(api): Api, headers: HeaderMap) -> Answer {
    api.check(&headers)?;
    let metrics = api.records().metrics.clone();
    let metrics = metrics.ok_or_else(|| refuse(StatusCode::NOT_FOUND, "Path not found"))?;
    Ok(Json(serde_json::to_value(metrics).unwrap()))
}

pub(super) async fn usage(State(api): Api, headers: HeaderMap) -> Answer {
    api.check(&headers)?;
    Ok(Json(json!({ "items": api.records().usage })))
}

pub(super) async fn logs(State(api): Api, headers: HeaderMap) -> Response {
    match api.check(&headers) {
        Ok(_) => api.records().log.clone().into_response(),
        Err(refused) => refused.into_response(),
    }
}

pub(super) async fn events(
    State(api): Api,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, (StatusCode, Json<Value>)> {
    api.check(&headers)?;
    let changes = api.changed.subscribe();
    Ok(Sse::new(stream::unfold(changes, |mut changes| async move {
        changes.recv().await.ok()?;
        let data = json!({ "kind": "container", "uuid": CONTAINER }).to_string();
        Some((Ok(Event::default().event("change").data(data)), changes))
    })))
}

pub(super) async fn site(State(api): Api, headers: HeaderMap) -> Answer {
    api.check(&headers)?;
    let share = |promised: u64, most: u64| json!({ "promised": promised, "most": most });
    let cordon = api.records().cordon.clone();
    let node = json!({ "name": "pier-1", "cordon": cordon, "is_dispatching": true, "looked_at": TIME, "capacity": {
        "containers": share(2, 200), "vcpus": share(31, 32), "ram_bytes": share(1 << 30, 4 << 30) } });
    let volumes = json!([
        { "name": "near", "place": "/srv/keep", "is_read_only": false, "free_bytes": 1 << 30,
            "size_bytes": 4_u64 << 30, "trouble": null },
        { "name": "far", "place": "bucket blocks of https://s3.example.com", "is_read_only": true,
            "free_bytes": null, "size_bytes": null, "trouble": "it does not answer" },
    ]);
    let blocks = json!({ "swept_at": TIME, "n_kept": 12, "kept_bytes": 1 << 20, "n_trashed": 3,
        "n_deleted": 1 });
    let proxy = json!({ "since": TIME, "n_open": 4, "n_sockets": 2, "by_class": [1, 995, 0, 0, 5],
        "refusals": [["denied", 7]] });
    Ok(Json(json!({ "nodes": [node], "volumes": volumes, "blocks": blocks, "proxy": proxy,
        "config": "# why\nClusterID: wharf\n" })))
}

pub(super) async fn cordon(
    State(api): Api,
    headers: HeaderMap,
    Path(name): Path<String>,
) -> Answer {
    api.check(&headers)?;
    assert_eq!(name, "pier-1");
    let cordon = json!({ "since": TIME, "by_user_uuid": USER });
    api.records().cordon = Some(cordon.clone());
    Ok(Json(cordon))
}

pub(super) async fn uncordon(State(api): Api, headers: HeaderMap) -> Answer {
    api.check(&headers)?;
    let was_cordoned = api.records().cordon.take().is_some();
    Ok(Json(json!({ "was_cordoned": was_cordoned })))
}

/// Those that the test says may be written, of those that are asked about.
pub(super) async fn writable_requests(
    State(api): Api,
    headers: HeaderMap,
    Query(query): Params,
) -> Answer {
    api.check(&headers)?;
    let asked: Vec<&str> = query["uuids"].split(',').collect();
    let writable = api.records().writable.clone();
    let items: Vec<String> =
        writable.into_iter().filter(|it| asked.contains(&it.as_str())).collect();
    Ok(Json(json!({ "items": items })))
}
