//! Lists: what to ask for, and one page of the answer.

use serde::Deserialize;
use serde_json::{Value, json};

/// Filters, order and window of a list, as the API has them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ListQuery {
    filters: Vec<Value>,
    order: Vec<String>,
    select: Vec<&'static str>,
    limit: Option<u32>,
    offset: u64,
    with_count: bool,
}

impl ListQuery {
    /// Everything, newest first, without a count.
    pub fn newest_first() -> Self {
        Self { order: vec!["created_at desc".to_owned()], ..Self::default() }
    }

    /// Only items where `field operator operand` holds, such as `state = Committed`.
    #[must_use]
    pub fn filter(mut self, field: &str, operator: &str, operand: impl Into<Value>) -> Self {
        self.filters.push(json!([field, operator, operand.into()]));
        self
    }

    /// Replaces the order: `created_at desc`, `uuid`.
    #[must_use]
    pub fn order(mut self, order: &str) -> Self {
        self.order = vec![order.to_owned()];
        self
    }

    /// Only these attributes; all if it is not called.
    #[must_use]
    pub fn select(mut self, names: &[&'static str]) -> Self {
        self.select = names.to_vec();
        self
    }

    /// At most that many items; the API has a limit of its own.
    #[must_use]
    pub fn limit(mut self, limit: u32) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Without the first so many.
    #[must_use]
    pub fn offset(mut self, offset: u64) -> Self {
        self.offset = offset;
        self
    }

    /// Also ask how many there are in all, which costs a query.
    #[must_use]
    pub fn count(mut self) -> Self {
        self.with_count = true;
        self
    }

    /// `path?filters=…&order=…`.
    pub(crate) fn path(&self, path: &str) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        if !self.filters.is_empty() {
            query.append_pair("filters", &Value::from(self.filters.clone()).to_string());
        }
        if !self.order.is_empty() {
            query.append_pair("order", &json!(self.order).to_string());
        }
        if !self.select.is_empty() {
            query.append_pair("select", &json!(self.select).to_string());
        }
        if let Some(limit) = self.limit {
            query.append_pair("limit", &limit.to_string());
        }
        if self.offset > 0 {
            query.append_pair("offset", &self.offset.to_string());
        }
        query.append_pair("count", if self.with_count { "exact" } else { "none" });
        format!("{path}?{}", query.finish())
    }
}

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Page<T> {
    /// In the order asked for.
    pub items: Vec<T>,
    /// How many there are in all, where it was asked for.
    #[serde(default)]
    pub items_available: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_encoded_for_the_address() {
        let query = ListQuery::newest_first().filter("state", "=", "Committed").limit(5);
        assert_eq!(
            query.path("/x"),
            "/x?filters=%5B%5B%22state%22%2C%22%3D%22%2C%22Committed%22%5D%5D\
             &order=%5B%22created_at+desc%22%5D&limit=5&count=none"
        );
    }
}
