//! `wharf stop`: says that a service is not wanted any more, and waits for its end.

use crate::args::StopArgs;
use crate::context::Context;
use crate::output;
use crate::progress;
use crate::service::Service;
use crate::wait;

pub(crate) async fn stop(context: &Context, args: &StopArgs) -> anyhow::Result<()> {
    let client = &context.client;
    let service = context.find(&args.id).await?;
    let title = service.title();
    if !service.is_alive() {
        output::remark(&format!("{title} is over already: {}", service.state_words()));
        return Ok(());
    }
    let uuid = service.request.uuid;
    client.cancel_request(uuid).await?;
    let spinner = progress::spinner(&format!("stopping {title}"));
    let look = async || {
        let request = client.get_request(uuid).await?;
        let service = Service::complete(client, vec![request]).await?.pop();
        Ok(service.filter(|service| !service.is_alive()))
    };
    let ended = wait::until(client, args.timeout, look).await;
    spinner.finish_and_clear();
    match ended? {
        Some(_service) => Ok(output::print_line(uuid.as_str())?),
        None => anyhow::bail!(
            "{title} has not ended after {}; it will, see `wharf show {}`",
            config::show_duration(args.timeout),
            crate::service::short_id(uuid.as_str()),
        ),
    }
}
