//! `wharf share`: opens ports of a service to people and groups, and lists to whom they are open.

use client::Holder;
use model::Link;

use crate::args::ShareArgs;
use crate::context::Context;
use crate::output;
use crate::service::Service;
use crate::table::Table;

pub(crate) async fn share(context: &Context, args: &ShareArgs) -> anyhow::Result<()> {
    let service = context.find(&args.id).await?;
    let Some(who) = &args.with else { return list(context, &service, args.json).await };
    let holder = find(context, who).await?;
    let client = &context.client;
    let link = client.open_port_to(service.request.uuid, args.port, holder.uuid()).await?;
    if args.json {
        return output::print_json(&link);
    }
    output::print_line(&format!("{} may open {}", holder.name(), ports(&link)))?;
    Ok(())
}

/// Whom a person typed.
pub(super) async fn find(context: &Context, who: &str) -> anyhow::Result<Holder> {
    let holders = context.client.list_holders().await?;
    Holder::find(holders, who).map_err(|words| anyhow::anyhow!("--with: {words}"))
}

async fn list(context: &Context, service: &Service, json: bool) -> anyhow::Result<()> {
    let links = context.client.list_access(Some(service.request.uuid)).await?;
    if json {
        return output::print_json(&links);
    }
    let holders = context.client.list_holders().await?;
    let mut table = Table::new(&["WHO", "MAY OPEN", "SINCE"]);
    for link in links {
        let tail = link.tail_uuid.clone().unwrap_or_default();
        let known = holders.iter().find(|holder| holder.uuid() == tail);
        let since: String = link.created_at.to_string().chars().take(10).collect();
        table.row([known.map_or(tail, Holder::name), ports(&link), since]);
    }
    output::print(&table.render(context.width()))?;
    Ok(())
}

fn ports(link: &Link) -> String {
    link.port().map_or_else(|| "every port".to_owned(), |port| format!("port {port}"))
}
