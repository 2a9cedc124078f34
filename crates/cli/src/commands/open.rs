//! `wharf open`: a service in the browser, signed in by a single-use code.

use super::url::choose_port;
use crate::args::OpenArgs;
use crate::context::Context;
use crate::{browser, output};

pub(crate) async fn open(context: &Context, args: &OpenArgs) -> anyhow::Result<()> {
    let service = context.find(&args.id).await?;
    let port = choose_port(&service, args.port)?;
    let uuid = service.request.uuid.as_str();
    let url = context.client.handoff(uuid, Some(port), None).await?;
    if !browser::open(&context.environment, &url) {
        output::remark("No browser here; this address works once, within a minute:");
        output::print_line(&url)?;
    }
    Ok(())
}
