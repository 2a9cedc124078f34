//! `wharf node`: the machines that run containers.

use config::ByteSize;
use model::site::{Node, Share};

use crate::args::NodeCommand;
use crate::context::Context;
use crate::output;
use crate::table::{Table, printable};

pub(crate) async fn node(context: &Context, command: NodeCommand) -> anyhow::Result<()> {
    match command {
        NodeCommand::List(args) => list(context, args.json).await,
        NodeCommand::Cordon { name } => {
            let cordon = context.client.cordon(&name).await?;
            let name = printable(&name);
            output::remark(&format!(
                "{name} takes no new containers since {}. What runs there goes on (`wharf ps`); what is submitted waits \
                 until `wharf node uncordon {name}`.",
                cordon.since
            ));
            Ok(())
        }
        NodeCommand::Uncordon { name } => {
            let words = match context.client.uncordon(&name).await? {
                true => "takes new containers again.",
                false => "was not cordoned.",
            };
            output::remark(&format!("{} {words}", printable(&name)));
            Ok(())
        }
    }
}

async fn list(context: &Context, json: bool) -> anyhow::Result<()> {
    let nodes = context.client.site().await?.nodes;
    if json {
        return output::print_json(&nodes);
    }
    let mut table = Table::new(&["NAME", "STATE", "CONTAINERS", "CPUS", "MEMORY"]);
    for node in nodes {
        let Share { promised, most } = node.capacity.ram_bytes;
        table.row([
            printable(&node.name),
            state(&node),
            share(node.capacity.containers),
            share(node.capacity.vcpus),
            format!("{} of {}", ByteSize::bytes(promised), ByteSize::bytes(most)),
        ]);
    }
    output::print(&table.render(context.width()))?;
    Ok(())
}

fn share(of: Share) -> String {
    format!("{} of {}", of.promised, of.most)
}

fn state(node: &Node) -> String {
    match &node.cordon {
        Some(cordon) => format!("cordoned since {}", cordon.since),
        None if node.is_dispatching => "dispatching".to_owned(),
        None => "nothing dispatches".to_owned(),
    }
}
