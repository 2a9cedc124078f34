//! `wharf extend`: a service that would end by itself goes on for some time.

use crate::args::ExtendArgs;
use crate::context::Context;
use crate::output;

pub(crate) async fn extend(context: &Context, args: &ExtendArgs) -> anyhow::Result<()> {
    let service = context.find(&args.id).await?;
    let life = context.client.extend(service.request.uuid, args.length).await?;
    let words = match life.stops_at {
        None => "it has no limit: it runs until somebody stops it".to_owned(),
        Some(at) => {
            let at = at.as_jiff().strftime("%Y-%m-%d %H:%M:%S UTC");
            let unless = if life.ends_for_want_of_use() { " if nobody uses it" } else { "" };
            format!("stops at {at}{unless}")
        }
    };
    Ok(output::print_line(&format!("{}: {words}", service.title()))?)
}
