//! The `If` header (RFC 4918 section 10.4): lists of which one must be true.

/// One list, whose conditions must all be true.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct List {
    /// The resource that it is about, as it was written; none is the one that was asked for.
    pub(super) tag: Option<String>,
    pub(super) conditions: Vec<Condition>,
}

/// That a lock's token or an entity tag is the resource's, or is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Condition {
    pub(super) is_negated: bool,
    pub(super) state: State,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    Token(String),
    /// With its quotes.
    ETag(String),
}

/// None where it is no such header.
pub(super) fn parse(text: &str) -> Option<Vec<List>> {
    let mut lists = Vec::new();
    let (mut rest, mut tag) = (text.trim_start(), None);
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('<') {
            let (resource, after) = after.split_once('>')?;
            (tag, rest) = (Some(resource.to_owned()), after.trim_start());
            continue;
        }
        let (conditions, after) = conditions(rest.strip_prefix('(')?)?;
        lists.push(List { tag: tag.clone(), conditions });
        rest = after.trim_start();
    }
    (!lists.is_empty()).then_some(lists)
}

/// What is in a list, up to its end, and what follows it.
fn conditions(text: &str) -> Option<(Vec<Condition>, &str)> {
    let mut conditions = Vec::new();
    let mut rest = text.trim_start();
    loop {
        if let Some(after) = rest.strip_prefix(')') {
            return (!conditions.is_empty()).then_some((conditions, after));
        }
        let is_negated = rest.starts_with("Not");
        rest = rest.strip_prefix("Not").unwrap_or(rest).trim_start();
        let state = if let Some(after) = rest.strip_prefix('<') {
            let (token, after) = after.split_once('>')?;
            rest = after;
            State::Token(token.to_owned())
        } else {
            let (tag, after) = rest.strip_prefix('[')?.split_once(']')?;
            rest = after;
            State::ETag(tag.to_owned())
        };
        conditions.push(Condition { is_negated, state });
        rest = rest.trim_start();
    }
}

/// All lock tokens that are shown, whether their lists are true or not.
pub(super) fn tokens(lists: &[List]) -> Vec<String> {
    let all = lists.iter().flat_map(|list| &list.conditions);
    let shown = all.filter_map(|condition| match &condition.state {
        State::Token(token) if !condition.is_negated => Some(token.clone()),
        _ => None,
    });
    shown.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_and_nonsense_is_not() {
        let lists = parse("</a> (<t:1> [\"e\"]) (Not <t:2>)").unwrap();
        assert_eq!(lists.len(), 2);
        assert_eq!(lists[0].tag.as_deref(), Some("/a"));
        assert_eq!(lists[1].tag.as_deref(), Some("/a"));
        assert!(lists[1].conditions[0].is_negated);
        assert_eq!(lists[0].conditions[1].state, State::ETag("\"e\"".to_owned()));
        assert_eq!(tokens(&lists), ["t:1"]);
        assert_eq!(parse("(<DAV:no-lock>)").unwrap()[0].tag, None);
        for text in ["", "x", "(", "()", "(<t)", "(t)", "<a>", "([e)", "(<t>) x"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
