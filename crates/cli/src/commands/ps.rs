//! `wharf ps`: what runs, and where it is.

use client::{ListQuery, Page};
use model::{ContainerRequest, ServiceDomain, Timestamp};
use serde_json::json;

use crate::args::PsArgs;
use crate::context::Context;
use crate::output;
use crate::service::{Service, short_id};
use crate::table::{Table, shorten};

/// Names are cut to this on the screen; `--json` has them whole.
const NAME_COLUMNS: usize = 24;
/// Labels likewise.
const LABEL_COLUMNS: usize = 20;
/// What is over and listed by `-a`; older ones are found by name.
const OVER_MAX: u32 = 1000;

pub(crate) async fn ps(context: &Context, args: &PsArgs) -> anyhow::Result<()> {
    let mut query = ListQuery::newest_first().limit(OVER_MAX);
    if !args.all {
        query = query.filter("state", "=", "Committed");
    }
    let page: Page<ContainerRequest> = context.client.list_requests(&query).await?;
    let mut services = Service::complete(&context.client, page.items).await?;
    if !args.all {
        services.retain(Service::is_alive);
    }
    let domain = context.client.service_domain().await?;
    if args.json {
        let records: Vec<_> = services.iter().map(|one| record(one, domain.as_ref())).collect();
        return output::print_json(&records);
    }
    if services.is_empty() && !args.all {
        output::remark("Nothing runs. `wharf run` starts something, `wharf ps -a` lists the past.");
    }
    let now = Timestamp::from_jiff(jiff::Timestamp::now());
    output::print(&table(&services, domain.as_ref(), now).render(context.width()))?;
    Ok(())
}

/// Everything about a service in one JSON object; also what `show --json` prints.
pub(super) fn record(service: &Service, domain: Option<&ServiceDomain>) -> serde_json::Value {
    let addresses: serde_json::Map<_, _> = service
        .ports()
        .iter()
        .map(|(port, _)| (port.to_string(), json!(service.url(*port, domain))))
        .collect();
    json!({
        "uuid": service.request.uuid,
        "name": service.request.name,
        "status": service.state_words(),
        "reason": service.reason(),
        "urls": addresses,
        "hostnames": service.hostnames,
        "container_request": service.request,
        "container": service.container,
    })
}

fn table(services: &[Service], domain: Option<&ServiceDomain>, now: Timestamp) -> Table {
    let mut table = Table::new(&["ID", "NAME", "STATE", "AGE", "PORT", "LABEL", "URL"]);
    for service in services {
        let mut who = [
            short_id(service.request.uuid.as_str()).to_owned(),
            shorten(&service.request.name, NAME_COLUMNS),
            service.state_words(),
            age(service.request.created_at, now),
        ];
        let ports = service.ports();
        if ports.is_empty() {
            table.row(who.into_iter().chain([String::new(), String::new(), String::new()]));
            continue;
        }
        for (port, entry) in ports {
            let label = shorten(&entry.label, LABEL_COLUMNS);
            let url = service.url(port, domain).unwrap_or_default();
            // Said once per service, in the line of its first port.
            let first = std::mem::take(&mut who);
            table.row(first.into_iter().chain([port.to_string(), label, url]));
        }
    }
    table
}

/// `5s`, `12m`, `3h`, `8d`: how long ago, in the one unit that matters.
pub(super) fn age(then: Timestamp, now: Timestamp) -> String {
    let seconds = now.as_jiff().duration_since(then.as_jiff()).as_secs().max(0);
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7200 => format!("{}m", seconds / 60),
        7200..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests;
