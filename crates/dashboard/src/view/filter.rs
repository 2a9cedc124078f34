//! Which services the home page shows, in which order, and on how many pages: all of it stands in the address.

use serde::Deserialize;

use super::service::{self, Service};

/// Services on one page.
pub(crate) const PAGE_ROWS: usize = 50;

/// What the address asks for; anything that is not understood asks for nothing.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Wanted {
    /// `mine`, `shared`; else all.
    pub(crate) scope: String,
    /// A state's word in small letters.
    pub(crate) state: String,
    /// Text in name, label, host name or identifier.
    pub(crate) q: String,
    /// `name`, `started` or `state`; else those to open first.
    pub(crate) sort: String,
    /// From 1.
    pub(crate) page: String,
}

/// How many there are of one kind.
pub(crate) struct Count {
    pub(crate) word: String,
    pub(crate) n: usize,
}

impl Wanted {
    /// Whether a service is in the scope.
    pub(crate) fn in_scope(&self, service: &Service) -> bool {
        match self.scope.as_str() {
            "mine" => service.mine,
            "shared" => !service.mine,
            _ => true,
        }
    }

    fn in_state(&self, service: &Service) -> bool {
        self.state.is_empty() || service.state.word().eq_ignore_ascii_case(&self.state)
    }

    fn has_text(&self, service: &Service) -> bool {
        let wanted = self.q.trim().to_lowercase();
        let has = |text: &str| text.to_lowercase().contains(&wanted);
        wanted.is_empty()
            || has(&service.request.name)
            || has(service.request.uuid.as_str())
            || service.ports.iter().any(|port| has(&port.label))
            || service.host_names.iter().any(|link| has(&link.name))
    }

    /// Those that are wanted, in the wanted order.
    pub(crate) fn choose(&self, mut services: Vec<Service>) -> Vec<Service> {
        services.retain(|it| self.in_scope(it) && self.in_state(it) && self.has_text(it));
        service::home_order(&mut services);
        match self.sort.as_str() {
            "name" => services.sort_by_key(|it| (it.state.is_over(), it.name().to_lowercase())),
            "started" => services.sort_by_key(|it| {
                (it.state.is_over(), std::cmp::Reverse(it.started_at().copied()))
            }),
            "state" => services.sort_by_key(|it| (it.state.is_over(), it.state.word())),
            _ => {}
        }
        services
    }

    /// Whether anything is left out on purpose.
    pub(crate) fn is_narrow(&self) -> bool {
        !self.q.trim().is_empty() || !self.state.is_empty()
    }

    /// The page's number from 0, of `n` rows.
    pub(crate) fn page_of(&self, n: usize) -> usize {
        let last = n.saturating_sub(1) / PAGE_ROWS;
        self.page.parse::<usize>().unwrap_or(1).saturating_sub(1).min(last)
    }

    /// The address of the same choice with one part changed; the first page, unless that is what changes.
    pub(crate) fn address(&self, name: &str, value: &str) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        for (known, present) in
            [("scope", &self.scope), ("state", &self.state), ("q", &self.q), ("sort", &self.sort)]
        {
            let text = if known == name { value } else { present };
            if !text.is_empty() {
                query.append_pair(known, text);
            }
        }
        if name == "page" {
            query.append_pair("page", value);
        }
        match query.finish() {
            empty if empty.is_empty() => "/".to_owned(),
            query => format!("/?{query}"),
        }
    }
}

/// States of what lives, in order of appearance.
pub(crate) fn counts(services: &[Service]) -> Vec<Count> {
    let mut counts: Vec<Count> = Vec::new();
    for service in services.iter().filter(|it| !it.state.is_over()) {
        let word = service.state.word();
        match counts.iter_mut().find(|count| count.word == word) {
            Some(count) => count.n += 1,
            None => counts.push(Count { word: word.to_owned(), n: 1 }),
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_carries_the_whole_choice() {
        let wanted = Wanted {
            scope: "mine".to_owned(),
            q: "a b".to_owned(),
            page: "3".to_owned(),
            ..Wanted::default()
        };
        assert_eq!(wanted.address("sort", "name"), "/?scope=mine&q=a+b&sort=name");
        assert_eq!(wanted.address("scope", ""), "/?q=a+b");
        assert_eq!(wanted.address("page", "4"), "/?scope=mine&q=a+b&page=4");
        assert_eq!(Wanted::default().address("q", ""), "/");
    }

    #[test]
    fn a_page_that_is_not_there_is_the_last_one() {
        let page = |text: &str, n| Wanted { page: text.to_owned(), ..Wanted::default() }.page_of(n);
        assert_eq!((page("", 0), page("1", 500), page("2", 500)), (0, 0, 1));
        assert_eq!((page("99", 500), page("x", 500), page("0", 500)), (9, 0, 0));
    }
}
