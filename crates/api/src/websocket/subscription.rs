//! What a client wants to hear.

use model::filter::{
    self, AttributeKind, Comparison, Condition, Filter, ListQuery, OrderTerm, Scalar, Target, Test,
};
use serde_json::Value;
use store::Resource;

/// A client's frame.
#[derive(Debug)]
pub(super) enum Command {
    Subscribe(Subscription),
    /// The filters of the subscription, as they were sent.
    Unsubscribe(Value),
}

/// One wish.
#[derive(Debug)]
pub(super) struct Subscription {
    /// As sent, by which it is taken back.
    pub(super) filters_sent: Value,
    filters: Vec<Filter>,
    /// The last entry that the client has seen, where it was here before.
    pub(super) after: Option<i64>,
}

/// Reads a frame.
pub(super) fn parse(text: &str) -> Result<Command, String> {
    let frame: Value = serde_json::from_str(text).map_err(|error| format!("no JSON: {error}"))?;
    let filters_sent = match frame.get("filters") {
        None | Some(Value::Null) => Value::Array(Vec::new()),
        Some(filters) => filters.clone(),
    };
    match frame.get("method").and_then(Value::as_str) {
        Some("subscribe") => {
            let schema = Resource::Logs.schema();
            let filters = filter::parse_filters(schema, &filters_sent)
                .map_err(|problem| problem.to_string())?;
            let after = frame.get("last_log_id").and_then(Value::as_i64);
            Ok(Command::Subscribe(Subscription { filters_sent, filters, after }))
        }
        Some("unsubscribe") => Ok(Command::Unsubscribe(filters_sent)),
        _ => Err("method must be subscribe or unsubscribe".to_owned()),
    }
}

impl Subscription {
    /// The entries after one number up to another, in order.
    pub(super) fn query(&self, after: i64, to: i64, n_max: i64) -> ListQuery {
        let id = filter::Attribute { name: "id", kind: AttributeKind::Integer };
        let bound = |comparison, number| Filter {
            any_of: vec![Condition {
                target: Target { join: None, attribute: id, key: None },
                test: Test::Compare(comparison, Scalar::Integer(number)),
            }],
        };
        let mut filters = self.filters.clone();
        filters.push(bound(Comparison::Greater, after));
        filters.push(bound(Comparison::LessOrEqual, to));
        ListQuery {
            filters,
            order: vec![OrderTerm { attribute: id, descending: false }],
            limit: u32::try_from(n_max).unwrap_or(u32::MAX),
            count: false,
            ..ListQuery::all(Resource::Logs.schema())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subscription_without_filters_is_one_for_everything() {
        for text in [r#"{"method":"subscribe"}"#, r#"{"method":"subscribe","filters":null}"#] {
            let Ok(Command::Subscribe(all)) = parse(text) else { panic!("{text}") };
            assert_eq!(all.query(5, 9, 10).filters.len(), 2);
            assert_eq!(all.after, None);
        }
        let text =
            r#"{"method":"subscribe","filters":[["event_type","in",["create"]]],"last_log_id":3}"#;
        let Ok(Command::Subscribe(some)) = parse(text) else { panic!("{text}") };
        assert_eq!((some.query(5, 9, 10).filters.len(), some.after), (3, Some(3)));
    }

    #[test]
    fn what_is_no_command_is_said_to_be_none() {
        for text in ["", "[]", "{}", r#"{"method":"x"}"#, r#"{"method":"subscribe","filters":[1]}"#]
        {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
