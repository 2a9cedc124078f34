//! Links, people, invitations, visitors.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::records::{link, user};
use super::{Answer, Api, Params, TIME, USER, filtered, refuse};

pub(super) async fn list_links(
    State(api): Api,
    headers: HeaderMap,
    Query(query): Params,
) -> Answer {
    api.check(&headers)?;
    filtered(&api.records().links, &query)
}

pub(super) async fn create_link(
    State(api): Api,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Answer {
    api.check(&headers)?;
    let wanted = &body["link"];
    if wanted["link_class"] == "service_access" {
        let mut records = api.records();
        let number = u32::try_from(records.links.len()).unwrap() + 1;
        let mut made = link(number, "any", wanted["head_uuid"].as_str().unwrap(), 80);
        made.link_class = "service_access".to_owned();
        made.tail_uuid = wanted["tail_uuid"].as_str().map(str::to_owned);
        made.properties = wanted["properties"].as_object().unwrap().clone();
        if let Some(port) = made.port() {
            made.name = port.to_string();
        }
        records.links.push(made.clone());
        return Ok(Json(serde_json::to_value(made).unwrap()));
    }
    let name = wanted["name"].as_str().unwrap();
    if matches!(name, "www" | "api") {
        let words = format!("name \"{name}\" is reserved, choose another");
        return Err(refuse(StatusCode::UNPROCESSABLE_ENTITY, &words));
    }
    let mut records = api.records();
    let number = u32::try_from(records.links.len()).unwrap() + 1;
    let port = u16::try_from(wanted["properties"]["port"].as_u64().unwrap()).unwrap();
    let made = link(number, name, wanted["head_uuid"].as_str().unwrap(), port);
    records.links.push(made.clone());
    Ok(Json(serde_json::to_value(made).unwrap()))
}

pub(super) async fn move_link(
    State(api): Api,
    headers: HeaderMap,
    Path(uuid): Path<String>,
    Json(body): Json<Value>,
) -> Answer {
    api.check(&headers)?;
    let mut records = api.records();
    let found = records.links.iter_mut().find(|link| link.uuid.as_str() == uuid);
    let found = found.ok_or_else(|| refuse(StatusCode::NOT_FOUND, "Path not found"))?;
    found.head_uuid = body["link"]["head_uuid"].as_str().map(str::to_owned);
    Ok(Json(serde_json::to_value(&*found).unwrap()))
}

pub(super) async fn delete_link(
    State(api): Api,
    headers: HeaderMap,
    Path(uuid): Path<String>,
) -> Answer {
    api.check(&headers)?;
    api.records().links.retain(|link| link.uuid.as_str() != uuid);
    Ok(Json(json!({})))
}

pub(super) async fn list_users(State(api): Api, headers: HeaderMap) -> Answer {
    api.check(&headers)?;
    Ok(Json(json!({ "items": [user()] })))
}

pub(super) async fn list_groups(State(api): Api, headers: HeaderMap) -> Answer {
    api.check(&headers)?;
    Ok(Json(json!({ "items": [] })))
}

pub(super) async fn list_invitations(State(api): Api, headers: HeaderMap) -> Answer {
    api.check(&headers)?;
    Ok(Json(json!({ "items": api.records().invitations })))
}

pub(super) async fn invite(State(api): Api, headers: HeaderMap, Json(body): Json<Value>) -> Answer {
    api.check(&headers)?;
    let mut ports = vec![json!({ "port": 8888, "n_used": 0 })];
    if body["all_ports"] == true {
        ports.push(json!({ "port": 9000, "n_used": 0 }));
    }
    let mut made = json!({
        "uuid": "wharf-invit-000000000000001", "request_uuid": body["request_uuid"],
        "ports": ports, "made_by": USER, "note": body["note"], "created_at": TIME,
        "expires_at": "2100-01-01T00:00:00.000000000Z", "uses_max": body["uses"],
        "guests": [{ "uuid": "wharf-guest-000000000000001", "created_at": TIME, "address": "192.0.2.7" }],
    });
    api.records().invitations.push(made.clone());
    for port in made["ports"].as_array_mut().unwrap() {
        let number = port["port"].to_string();
        port["url"] = format!("http://{number}.localhost/.wharf/invitation?code=wc1_secret").into();
    }
    Ok(Json(made))
}

pub(super) async fn visitors(State(api): Api, headers: HeaderMap) -> Answer {
    api.check(&headers)?;
    let visit = json!({ "user_uuid": USER, "guest_uuid": null, "port": 8888, "address": "192.0.2.8",
        "since": TIME, "last": TIME, "n_requests": 12, "n_open": 3 });
    let refused = json!({ "port": 8888, "address": "192.0.2.9", "why": "not signed in", "last": TIME, "n": 4 });
    Ok(Json(json!({ "visits": [visit], "refused": [refused], "sockets": 1, "n_silent": 0 })))
}

pub(super) async fn opened_ports(State(api): Api, headers: HeaderMap) -> Answer {
    api.check(&headers)?;
    Ok(Json(json!({ "items": api.records().opened })))
}

pub(super) async fn may_open(State(api): Api, headers: HeaderMap) -> Answer {
    api.check(&headers)?;
    Ok(Json(json!({ "may_open": false, "why": "the port was not opened to the user" })))
}
