//! `wharf unshare`: takes back what `wharf share` opened.

use super::share::find;
use crate::args::UnshareArgs;
use crate::context::Context;

pub(crate) async fn unshare(context: &Context, args: &UnshareArgs) -> anyhow::Result<()> {
    let service = context.find(&args.id).await?;
    let holder = find(context, &args.with).await?;
    let links = context.client.list_access(Some(service.request.uuid)).await?;
    let theirs = links.iter().filter(|link| link.tail_uuid.as_deref() == Some(holder.uuid()));
    let mut n_taken = 0;
    for link in theirs.filter(|link| args.port.is_none() || link.port() == args.port) {
        context.client.delete_link(link.uuid).await?;
        n_taken += 1;
    }
    anyhow::ensure!(
        n_taken > 0,
        "nothing like that is open to {}; `wharf share {}` lists what is",
        holder.name(),
        args.id,
    );
    Ok(())
}
