//! From what a person calls a service to the service: identifier, a beginning of one, name, host name.

use client::{ListQuery, Page};
use model::{ContainerRequest, ContainerUuid, RequestUuid};

use crate::context::Context;
use crate::service::{Service, short_id};

/// Candidates asked for; more than that are not listed anyway.
const CANDIDATES_MAX: u32 = 20;
/// Candidates shown when a name means several services.
const CANDIDATES_SHOWN: usize = 8;

/// What was typed, by its form.
#[derive(Debug, PartialEq, Eq)]
enum Form {
    Request(RequestUuid),
    Container(ContainerUuid),
    /// Of another kind of object.
    OtherUuid,
    /// Beginning of a request's or container's identifier: field to search, and the beginning.
    Prefix(&'static str, String),
    /// Anything else; may also be the beginning of an identifier's random part.
    Word,
}

impl Context {
    /// The one service that `id` means. Errs, listing them, when it means several.
    pub(crate) async fn find(&self, id: &str) -> anyhow::Result<Service> {
        let requests = match form_of(id) {
            Form::Request(uuid) => vec![self.client.get_request(uuid).await?],
            Form::Container(uuid) => self.search("container_uuid", "=", uuid.as_str()).await?,
            Form::OtherUuid => {
                anyhow::bail!("{id} identifies something else than a service: see `wharf ps -a`")
            }
            Form::Prefix(field, start) => self.search(field, "like", &format!("{start}%")).await?,
            Form::Word => self.search_word(id).await?,
        };
        let services = Service::complete(&self.client, requests).await?;
        choose(id, services)
    }

    /// By host name, by name, by the beginning of the random part: whatever there is.
    async fn search_word(&self, word: &str) -> anyhow::Result<Vec<ContainerRequest>> {
        let mut found = Vec::new();
        let link = self.client.find_hostname(word).await?;
        let head = link.and_then(|link| RequestUuid::parse(link.head_uuid.as_deref()?).ok());
        if let Some(uuid) = head {
            found.push(self.client.get_request(uuid).await?);
        }
        found.extend(self.search("name", "=", word).await?);
        // A name is a person's own word for it; a beginning only counts where no name matches.
        if found.is_empty() && is_uuid_end(word) {
            let token = self.access.token.uuid();
            let start = format!("{}-xvhdp-{word}%", token.cluster());
            found = self.search("uuid", "like", &start).await?;
        }
        Ok(found)
    }

    async fn search(
        &self,
        field: &str,
        operator: &str,
        operand: &str,
    ) -> anyhow::Result<Vec<ContainerRequest>> {
        let query = ListQuery::newest_first().filter(field, operator, operand);
        let page: Page<_> = self.client.list_requests(&query.limit(CANDIDATES_MAX)).await?;
        Ok(page.items)
    }
}

fn form_of(id: &str) -> Form {
    if let Ok(uuid) = RequestUuid::parse(id) {
        return Form::Request(uuid);
    }
    if let Ok(uuid) = ContainerUuid::parse(id) {
        return Form::Container(uuid);
    }
    if model::uuid::looks_like_uuid(id) {
        return Form::OtherUuid;
    }
    let kind = id.get(5..12);
    let is_start = |end: &str| is_uuid_end(end) || end.is_empty();
    match (kind, id.get(..5), id.get(12..)) {
        (Some("-xvhdp-"), Some(cluster), Some(end)) if is_uuid_end(cluster) && is_start(end) => {
            Form::Prefix("uuid", id.to_owned())
        }
        (Some("-dz642-"), Some(cluster), Some(end)) if is_uuid_end(cluster) && is_start(end) => {
            Form::Prefix("container_uuid", id.to_owned())
        }
        _ => Form::Word,
    }
}

/// Could be the beginning of the fifteen random characters.
fn is_uuid_end(text: &str) -> bool {
    (1..=15).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}

/// One service; where names repeat, the one that is alive, as people reuse the names of dead ones.
fn choose(id: &str, mut services: Vec<Service>) -> anyhow::Result<Service> {
    services.sort_by_key(|service| service.request.uuid);
    services.dedup_by_key(|service| service.request.uuid);
    let n_alive = services.iter().filter(|service| service.is_alive()).count();
    if n_alive == 1 {
        services.retain(Service::is_alive);
    }
    match services.len() {
        0 => anyhow::bail!("there is no service {id:?}; `wharf ps -a` lists them all"),
        1 => Ok(services.remove(0)),
        _ => anyhow::bail!("{}", ambiguous(id, services)),
    }
}

fn ambiguous(id: &str, mut services: Vec<Service>) -> String {
    services.sort_by_key(|service| std::cmp::Reverse(service.request.created_at));
    let mut candidates: Vec<String> = services
        .iter()
        .take(CANDIDATES_SHOWN)
        .map(|service| {
            let id = short_id(service.request.uuid.as_str());
            match service.request.name.is_empty() {
                true => format!("{id} ({})", service.state_words()),
                false => format!("{id} ({}, {})", service.title(), service.state_words()),
            }
        })
        .collect();
    if services.len() > CANDIDATES_SHOWN {
        candidates.push("…".to_owned());
    }
    format!("{id:?} means several: {}; use one of these identifiers", candidates.join(", "))
}

#[cfg(test)]
mod tests;
