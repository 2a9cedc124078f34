//! `wharf show`: everything about one service that a person may want to know.

use client::ContainerLife;
use config::ByteSize;
use model::{ServiceDomain, Timestamp};

use super::ps;
use crate::args::ShowArgs;
use crate::context::Context;
use crate::output;
use crate::service::Service;
use crate::table::printable;

/// Where values start.
const NAME_COLUMNS: usize = 12;

pub(crate) async fn show(context: &Context, args: &ShowArgs) -> anyhow::Result<()> {
    let service = context.find(&args.id).await?;
    let domain = context.client.service_domain().await?;
    if args.json {
        return output::print_json(&ps::record(&service, domain.as_ref()));
    }
    let queue = queue_words(context, &service).await;
    let now = Timestamp::from_jiff(jiff::Timestamp::now());
    let life = match &service.container {
        Some(container) if service.is_alive() => context.client.get_life(container.uuid).await.ok(),
        _ => None,
    };
    let life = life.unwrap_or_default();
    output::print(&describe(&service, domain.as_ref(), queue.as_deref(), &life, now))?;
    Ok(())
}

/// Why it waits, where it does; the server's status is for this only and may be refused.
async fn queue_words(context: &Context, service: &Service) -> Option<String> {
    let container = service.container.as_ref().filter(|one| one.started_at.is_none())?;
    if container.state.is_over() {
        return None;
    }
    let status = context.client.status().await.ok()?;
    let entry = status.queue.into_iter().find(|entry| entry.container_uuid == container.uuid)?;
    let place = entry.place.map(|place| format!("number {place} in the queue"));
    let words: Vec<String> = place.into_iter().chain(entry.reason).collect();
    (!words.is_empty()).then(|| words.join(": "))
}

fn describe(
    service: &Service,
    domain: Option<&ServiceDomain>,
    queue: Option<&str>,
    life: &ContainerLife,
    now: Timestamp,
) -> String {
    let request = &service.request;
    let mut facts = Facts::default();
    facts.say("Name", &printable(&request.name));
    facts.say("State", &service.state_words());
    facts.say("Why", &printable(service.reason().or(queue).unwrap_or_default()));
    for (port, entry) in service.ports() {
        let label = printable(&entry.label);
        let ready = match (service.is_alive(), entry.is_ready()) {
            (false, _) => "",
            (true, true) if entry.silent_since.is_some() => ", not answering",
            (true, true) => ", ready",
            (true, false) => ", not ready",
        };
        let url = service.url(port, domain).unwrap_or_else(|| "no address yet".to_owned());
        let access = entry.access.as_str();
        facts.say(&format!("Port {port}"), &format!("{url}  {label} ({access}{ready})"));
    }
    for link in &service.hostnames {
        let port = link.port().map_or_else(|| "?".to_owned(), |port| port.to_string());
        facts.say("Host name", &format!("{} for port {port}", link.name));
    }
    facts.say("Image", &printable(&request.container_image));
    facts.say("Command", &printable(&shell_words(&request.command)));
    let constraints = &request.runtime_constraints;
    let ram = ByteSize::bytes(constraints.ram);
    let vcpus = constraints.vcpus;
    let plural = if vcpus == 1 { "" } else { "s" };
    facts.say("Resources", &format!("{ram} RAM, {vcpus} CPU{plural}"));
    let ago = |then: Timestamp| format!("{} ago ({then})", ps::age(then, now));
    facts.say("Created", &ago(request.created_at));
    if let Some(container) = &service.container {
        facts.say("Started", &container.started_at.map(ago).unwrap_or_default());
        facts.say("Last used", &life.last_used_at.map(ago).unwrap_or_default());
        let unless = if life.ends_for_want_of_use() { " if nobody uses it" } else { "" };
        facts.say("Stops", &life.stops_at.map(|at| format!("{at}{unless}")).unwrap_or_default());
        facts.say("Finished", &container.finished_at.map(ago).unwrap_or_default());
        facts.say(
            "Exit code",
            &container.exit_code.map(|code| code.to_string()).unwrap_or_default(),
        );
        facts.say("Container", container.uuid.as_str());
    }
    facts.say("Request", request.uuid.as_str());
    facts.0
}

/// Aligned `name  value` lines; what has no value is left out.
#[derive(Default)]
struct Facts(String);

impl Facts {
    fn say(&mut self, name: &str, value: &str) {
        if !value.is_empty() {
            let padding = " ".repeat(NAME_COLUMNS.saturating_sub(name.len()));
            self.0.extend([name, &padding, value, "\n"]);
        }
    }
}

/// The command as it could be typed.
fn shell_words(command: &[String]) -> String {
    let words: Vec<String> = command.iter().map(|word| shell_word(word)).collect();
    words.join(" ")
}

/// One word, quoted where a shell would take it apart.
pub(super) fn shell_word(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_where_a_shell_needs_it() {
        let check = |word: &str, shown: &str| assert_eq!(shell_word(word), shown);
        check("httpd", "httpd");
        check("--port=80", "--port=80");
        check("", "''");
        check("a b", "'a b'");
        check("it's", r"'it'\''s'");
        check("$HOME", "'$HOME'");
    }
}
