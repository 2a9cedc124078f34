//! `wharf open`: a service, or the dashboard, in the browser, signed in by a single-use code.

use super::url::choose_port;
use crate::args::OpenArgs;
use crate::context::Context;
use crate::{browser, output};

pub(crate) async fn open(context: &Context, args: &OpenArgs) -> anyhow::Result<()> {
    let (url, lifetime) = match &args.id {
        Some(id) => {
            let service = context.find(id).await?;
            let port = choose_port(&service, args.port)?;
            let uuid = service.request.uuid.as_str();
            (context.client.handoff(uuid, Some(port), None).await?, "within a minute")
        }
        None => (context.client.login_link().await?.url, "within ten minutes"),
    };
    if let Err(reason) = browser::open(&context.environment, &url).await {
        output::remark(&format!(
            "Not opened in a browser: {reason}. This address works once, {lifetime}:"
        ));
        output::print_line(&url)?;
    }
    Ok(())
}
