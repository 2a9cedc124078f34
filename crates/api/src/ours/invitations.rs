//! Invitations to ports of a service, and the guests who came in by them; for who manages the request.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use model::{
    Access, ContainerPort, FieldError, GuestSessionUuid, InvitationUuid, JsonMap, RequestUuid,
};
use serde::Deserialize;
use serde_json::{Value, json};
use store::{Invitation, NewInvitation, TargetRecord};

use super::handoff::{best_base, choose_port, ports as published};
use crate::call::Call;
use crate::error::ApiError;
use crate::extract::{Path, Query};
use crate::resources::ByUuid;
use crate::resources::service_access::{manageable, sharable};
use crate::router::Api;

/// Where a service host lets guests in (`proxy/invite`).
const PATH: &str = ".wharf/invitation";
/// Most ports that one invitation names.
const PORTS_MAX: usize = 100;
/// Longest note, in bytes.
const NOTE_BYTES_MAX: usize = 500;

/// `POST`: `{"request_uuid", "port"? or "ports"? or "all_ports"?, "expires_in_s"?, "uses"?, "note"?}`. The answer is the
/// invitation with a `url` for each of its `ports`, and that of the first; they are the only place where its secret ever is.
pub(crate) async fn create(State(api): State<Api>, call: Call) -> Result<Json<Value>, ApiError> {
    call.caller.require_unscoped("invite to a service")?;
    let body = call.body();
    let request = body.get("request_uuid").and_then(Value::as_str).unwrap_or_default();
    let request = RequestUuid::parse(request)
        .map_err(|_not_one| ApiError::field("request_uuid", "must be a container request"))?;
    let (_, target) = sharable(&api, &call, request).await?;
    let Asked { ports, lifetime, uses_max, note } = asked(&api, body)?;
    let ports = ports.of(&target)?;
    let mut bases = Vec::with_capacity(ports.len());
    for port in &ports {
        bases.push(best_base(&api, &target, *port).await?);
    }
    let (port, further) = ports.split_first().ok_or_else(no_private_port)?;
    let new = NewInvitation {
        request,
        port: *port,
        further_ports: further.to_vec(),
        made_by: call.caller.user.uuid,
        note,
        lifetime,
        uses_max,
    };
    let (secret, made) = api.store().create_invitation(new).await?;
    let mut shown = shown(&made);
    for (at, base) in bases.iter().enumerate() {
        shown["ports"][at]["url"] = format!("{base}{PATH}?code={secret}").into();
    }
    shown["url"] = shown["ports"][0]["url"].clone();
    Ok(Json(shown))
}

struct Asked {
    ports: AskedPorts,
    lifetime: Duration,
    uses_max: u32,
    note: String,
}

/// Which ports an invitation is to be for.
enum AskedPorts {
    /// Plainly one.
    One(Option<ContainerPort>),
    /// These, each once.
    These(Vec<ContainerPort>),
    /// Every private one.
    All,
}

impl AskedPorts {
    fn of(self, target: &TargetRecord) -> Result<Vec<ContainerPort>, ApiError> {
        match self {
            Self::One(port) => Ok(vec![choose_port(target, port)?]),
            Self::These(ports) => Ok(ports),
            Self::All => {
                let published = published(target).iter();
                let private = published.filter(|(_, entry)| entry.access == Access::Private);
                Ok(private.map(|(port, _)| port).collect())
            }
        }
    }
}

fn no_private_port() -> ApiError {
    ApiError::field("all_ports", "there is no private port: public ones need no invitation")
}

fn asked_ports(body: &JsonMap, refuse: &mut impl FnMut(&str, String)) -> Option<AskedPorts> {
    let given = |name: &str| body.get(name).filter(|value| !value.is_null());
    let mut parse = |name: &str, value: &Value| {
        let digits = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        ContainerPort::parse(&digits).map_err(|error| refuse(name, error.to_string())).ok()
    };
    match (given("port"), given("ports"), given("all_ports")) {
        (None, None, None | Some(Value::Bool(false))) => Some(AskedPorts::One(None)),
        (Some(port), None, None | Some(Value::Bool(false))) => {
            parse("port", port).map(|port| AskedPorts::One(Some(port)))
        }
        (None, Some(Value::Array(items)), None | Some(Value::Bool(false)))
            if (1..=PORTS_MAX).contains(&items.len()) =>
        {
            let mut ports = Vec::with_capacity(items.len());
            for item in items {
                let port = parse("ports", item)?;
                if !ports.contains(&port) {
                    ports.push(port);
                }
            }
            Some(AskedPorts::These(ports))
        }
        (None, None, Some(Value::Bool(true))) => Some(AskedPorts::All),
        (None, Some(_), None | Some(Value::Bool(false))) => {
            refuse("ports", format!("must be a list of 1 to {PORTS_MAX} ports"));
            None
        }
        (None, None, Some(_)) => {
            refuse("all_ports", "must be true or false".to_owned());
            None
        }
        _ => {
            refuse("ports", "send one of port, ports and all_ports".to_owned());
            None
        }
    }
}

fn asked(api: &Api, body: &JsonMap) -> Result<Asked, ApiError> {
    let limits = &api.config().invitations;
    let mut problems = Vec::new();
    let given = |name: &str| body.get(name).filter(|value| !value.is_null());
    let mut refuse = |name: &str, words: String| problems.push(FieldError::new(name, words));
    let ports = asked_ports(body, &mut refuse);
    let longest = limits.lifetime_max.as_secs();
    let lifetime = match given("expires_in_s") {
        None => limits.lifetime.min(limits.lifetime_max),
        Some(value) => match value.as_u64().filter(|s| (1..=longest).contains(s)) {
            Some(seconds) => Duration::from_secs(seconds),
            None => {
                refuse(
                    "expires_in_s",
                    format!("must be from 1 to {longest} (Sessions.InvitationLifetimeMax)"),
                );
                limits.lifetime
            }
        },
    };
    let most = limits.uses_max;
    let uses = match given("uses") {
        None => 1,
        Some(value) => {
            let uses = value.as_u64().and_then(|uses| u32::try_from(uses).ok());
            uses.filter(|uses| (1..=most).contains(uses)).unwrap_or_else(|| {
                refuse("uses", format!("must be from 1 to {most} (Sessions.InvitationUsesMax)"));
                1
            })
        }
    };
    let note = match given("note") {
        None => String::new(),
        Some(Value::String(note)) if note.len() <= NOTE_BYTES_MAX => note.clone(),
        Some(_) => {
            refuse("note", format!("must be text of at most {NOTE_BYTES_MAX} bytes"));
            String::new()
        }
    };
    match ports {
        Some(ports) if problems.is_empty() => Ok(Asked { ports, lifetime, uses_max: uses, note }),
        _ => Err(problems.into()),
    }
}

fn shown(invitation: &Invitation) -> Value {
    let mut shown = serde_json::to_value(invitation).unwrap_or_default();
    // Numbers, as in links.
    shown["port"] = invitation.port.get().into();
    let first = json!({ "port": invitation.port.get(), "n_used": invitation.n_used });
    let further = invitation.further_ports.iter();
    let further = further.map(|it| json!({ "port": it.port.get(), "n_used": it.n_used }));
    shown["ports"] = std::iter::once(first).chain(further).collect();
    if let Some(object) = shown.as_object_mut() {
        let _said_with_the_first = object.remove("further_ports");
    }
    shown
}

#[derive(Deserialize)]
pub(crate) struct OfRequest {
    request_uuid: String,
}

/// `GET ?request_uuid=`: `{"items": [{…, "guests": [{"uuid", "created_at", "address"}]}]}`, those that expired lately among them.
pub(crate) async fn list(
    State(api): State<Api>,
    Query(of): Query<OfRequest>,
    call: Call,
) -> Result<Json<Value>, ApiError> {
    call.caller.require_unscoped("see invitations")?;
    let request = RequestUuid::parse(&of.request_uuid)
        .map_err(|_not_one| ApiError::field("request_uuid", "must be a container request"))?;
    manageable(&api, &call, request).await?;
    let guests = api.store().guests_of(request).await?;
    let items: Vec<Value> = api
        .store()
        .invitations_of(request)
        .await?
        .iter()
        .map(|invitation| {
            let mut item = shown(invitation);
            let theirs = guests.iter().filter(|guest| guest.invitation_uuid == invitation.uuid);
            item["guests"] = theirs.map(|guest| json!(guest)).collect();
            item
        })
        .collect();
    Ok(Json(json!({ "items": items })))
}

/// `DELETE`: takes an invitation back; the sessions made with it end at once.
pub(crate) async fn remove(
    State(api): State<Api>,
    Path(path): Path<ByUuid>,
    call: Call,
) -> Result<Json<Value>, ApiError> {
    let no_such = || ApiError::no_such("invitation", &path.uuid);
    let uuid = InvitationUuid::parse(&path.uuid).map_err(|_not_one| no_such())?;
    let found = api.store().invitation(uuid).await?.ok_or_else(no_such)?;
    ensure_managed(&api, &call, &found, no_such).await?;
    api.store().delete_invitation(uuid).await?;
    Ok(Json(shown(&found)))
}

/// `DELETE guest_sessions/{uuid}`: signs one guest out.
pub(crate) async fn sign_out(
    State(api): State<Api>,
    Path(path): Path<ByUuid>,
    call: Call,
) -> Result<Json<Value>, ApiError> {
    let no_such = || ApiError::no_such("session of a guest", &path.uuid);
    let uuid = GuestSessionUuid::parse(&path.uuid).map_err(|_not_one| no_such())?;
    let found = api.store().invitation_of_guest(uuid).await?.ok_or_else(no_such)?;
    ensure_managed(&api, &call, &found, no_such).await?;
    api.store().delete_guest(uuid).await?;
    Ok(Json(json!({})))
}

/// To others there is no such thing.
async fn ensure_managed(
    api: &Api,
    call: &Call,
    invitation: &Invitation,
    no_such: impl Fn() -> ApiError,
) -> Result<(), ApiError> {
    call.caller.require_unscoped("take back invitations")?;
    match manageable(api, call, invitation.request_uuid).await {
        Err(ApiError::NotFound(_) | ApiError::Forbidden(_)) => Err(no_such()),
        other => other,
    }
}
