//! `wharf url`: the address of a service, plain or with a code that signs in once.

use model::ContainerPort;

use crate::args::UrlArgs;
use crate::context::Context;
use crate::failure::UsageError;
use crate::output;
use crate::service::Service;

pub(crate) async fn url(context: &Context, args: &UrlArgs) -> anyhow::Result<()> {
    let service = context.find(&args.id).await?;
    let port = choose_port(&service, args.port)?;
    if args.sign_in {
        let uuid = service.request.uuid.as_str();
        output::print_line(&context.client.handoff(uuid, Some(port), None).await?)?;
        return Ok(());
    }
    let domain = context.client.service_domain().await?;
    match service.url(port, domain.as_ref()) {
        Some(url) => Ok(output::print_line(&url)?),
        None => anyhow::bail!(
            "port {port} of {} has no address yet: it is {}",
            service.title(),
            service.state_words()
        ),
    }
}

/// The port that was named, else the one that is plainly meant. Ports that nobody published can be
/// named too: where the site allows it, they are reachable as private.
pub(super) fn choose_port(
    service: &Service,
    named: Option<ContainerPort>,
) -> anyhow::Result<ContainerPort> {
    if let Some(port) = named.or_else(|| service.default_port()) {
        return Ok(port);
    }
    let ports: Vec<String> = service.ports().iter().map(|(port, _)| port.to_string()).collect();
    let title = service.title();
    let text = if ports.is_empty() {
        format!("{title} publishes no port; name the port it listens on")
    } else {
        format!("{title} publishes several ports; name one of {}", ports.join(", "))
    };
    Err(UsageError(text).into())
}
