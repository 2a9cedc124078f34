//! `wharf invite`: links that let people without an account in to ports of a service.

use client::{Invitation, NewInvitation};

use crate::args::InviteCommand;
use crate::context::Context;
use crate::output;
use crate::table::Table;

pub(crate) async fn invite(context: &Context, command: InviteCommand) -> anyhow::Result<()> {
    match command {
        InviteCommand::New { id, ports, all_ports, lifetime, uses, note } => {
            let request_uuid = context.find(&id).await?.request.uuid;
            let expires_in_s = lifetime.map(|lifetime| lifetime.as_secs());
            let new = NewInvitation { request_uuid, ports, all_ports, expires_in_s, uses, note };
            tell(&context.client.invite(&new).await?)
        }
        InviteCommand::List { id, json } => list(context, &id, json).await,
        InviteCommand::Revoke { uuid } => Ok(context.client.delete_invitation(uuid).await?),
    }
}

/// An address on each line, and about them beside the output.
fn tell(made: &Invitation) -> anyhow::Result<()> {
    for url in made.ports.iter().filter_map(|port| port.url.as_deref()) {
        output::print_line(url)?;
    }
    let Invitation { uuid, expires_at, uses_max, ports, .. } = made;
    output::remark(&match ports.len() {
        1 => format!(
            "It lets {uses_max} in until {expires_at} and is not shown again; `wharf invite revoke {uuid}` takes it back."
        ),
        n => format!(
            "Each of the {n} lets {uses_max} in until {expires_at}; they are not shown again, and `wharf invite revoke {uuid}` takes all back."
        ),
    });
    Ok(())
}

async fn list(context: &Context, id: &str, json: bool) -> anyhow::Result<()> {
    let service = context.find(id).await?;
    let invitations = context.client.list_invitations(service.request.uuid).await?;
    if json {
        return output::print_json(&invitations);
    }
    let mut table = Table::new(&["ID", "PORT", "USED", "EXPIRES", "NOTE"]);
    for it in &invitations {
        let expires: String = it.expires_at.to_string().chars().take(16).collect();
        for port in &it.ports {
            table.row([
                it.uuid.to_string(),
                port.port.to_string(),
                format!("{} of {}", port.n_used, it.uses_max),
                expires.replace('T', " "),
                it.note.clone(),
            ]);
        }
    }
    output::print(&table.render(context.width()))?;
    Ok(())
}
