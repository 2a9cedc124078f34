//! `wharf hostname`: names of their own for services.

use client::Client;
use model::{ContainerPort, RequestUuid};

use crate::args::HostnameCommand;
use crate::context::Context;
use crate::output;
use crate::service::short_id;
use crate::table::Table;

pub(crate) async fn hostname(context: &Context, command: HostnameCommand) -> anyhow::Result<()> {
    match command {
        HostnameCommand::Set { name, id, port } => set(context, &name, &id, port).await,
        HostnameCommand::List(args) => list(context, args.json).await,
        HostnameCommand::Rm { name } => remove(&context.client, &name).await,
    }
}

/// Claims the name, or moves it where it is ours already: the address then never stops to exist.
async fn set(context: &Context, name: &str, id: &str, port: ContainerPort) -> anyhow::Result<()> {
    let client = &context.client;
    let service = context.find(id).await?;
    let request = service.request.uuid;
    let link = match client.find_hostname(name).await? {
        Some(link) => client.move_hostname(link.uuid, request, port).await?,
        None => client.create_hostname(name, request, port).await?,
    };
    match client.service_domain().await?.filter(model::ServiceDomain::is_wildcard) {
        Some(domain) => output::print_line(&domain.url_of(&link.name))?,
        None => output::print_line(&link.name)?,
    }
    Ok(())
}

async fn list(context: &Context, json: bool) -> anyhow::Result<()> {
    let links = context.client.list_hostnames().await?;
    if json {
        return output::print_json(&links);
    }
    let domain = context.client.service_domain().await?;
    let domain = domain.filter(model::ServiceDomain::is_wildcard);
    let mut table = Table::new(&["NAME", "SERVICE", "PORT", "URL"]);
    for link in links {
        let head = link.head_uuid.as_deref().unwrap_or_default();
        let named = RequestUuid::parse(head).is_ok();
        let service = if named { short_id(head) } else { head };
        table.row([
            link.name.clone(),
            service.to_owned(),
            link.port().map(|port| port.to_string()).unwrap_or_default(),
            domain.as_ref().map(|domain| domain.url_of(&link.name)).unwrap_or_default(),
        ]);
    }
    output::print(&table.render(context.width()))?;
    Ok(())
}

async fn remove(client: &Client, name: &str) -> anyhow::Result<()> {
    match client.find_hostname(name).await? {
        Some(link) => Ok(client.delete_link(link.uuid).await?),
        None => anyhow::bail!("there is no host name {name:?}; `wharf hostname list` lists yours"),
    }
}
