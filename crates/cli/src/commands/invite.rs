//! `wharf invite`: links that let people without an account in to a port of a service.

use client::NewInvitation;

use crate::args::InviteCommand;
use crate::context::Context;
use crate::output;
use crate::table::Table;

pub(crate) async fn invite(context: &Context, command: InviteCommand) -> anyhow::Result<()> {
    match command {
        InviteCommand::New { id, port, lifetime, uses, note } => {
            let request_uuid = context.find(&id).await?.request.uuid;
            let expires_in_s = lifetime.map(|lifetime| lifetime.as_secs());
            let new = NewInvitation { request_uuid, port, expires_in_s, uses, note };
            let made = context.client.invite(&new).await?;
            output::print_line(&made.url)?;
            output::remark(&format!(
                "It lets {uses} in until {} and is not shown again; `wharf invite revoke {}` takes it back.",
                made.invitation.expires_at, made.invitation.uuid,
            ));
            Ok(())
        }
        InviteCommand::List { id, json } => list(context, &id, json).await,
        InviteCommand::Revoke { uuid } => Ok(context.client.delete_invitation(uuid).await?),
    }
}

async fn list(context: &Context, id: &str, json: bool) -> anyhow::Result<()> {
    let service = context.find(id).await?;
    let invitations = context.client.list_invitations(service.request.uuid).await?;
    if json {
        return output::print_json(&invitations);
    }
    let mut table = Table::new(&["ID", "PORT", "USED", "EXPIRES", "NOTE"]);
    for it in invitations {
        let expires: String = it.expires_at.to_string().chars().take(16).collect();
        table.row([
            it.uuid.to_string(),
            it.port.to_string(),
            format!("{} of {}", it.n_used, it.uses_max),
            expires.replace('T', " "),
            it.note,
        ]);
    }
    output::print(&table.render(context.width()))?;
    Ok(())
}
