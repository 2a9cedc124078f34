//! One call as the resources see it: the caller, the parameters, the attributes in the body.

use std::collections::HashMap;

use axum::extract::{FromRequest, Request};
use http::header;
use model::JsonMap;
use model::filter::{self, ListQuery, Schema};
use serde_json::Value;
use store::{Reader, Resource};

use crate::caller::{Caller, authenticate};
use crate::error::ApiError;
use crate::method_override::{LongQuery, read_body};
use crate::router::Api;

/// Rows of a list unless the client asks for another number (Arvados).
const LIMIT_DEFAULT: u32 = 100;
/// Most rows of a list; more is cut down to it (Arvados: `MaxItemsPerResponse`).
pub(crate) const LIMIT_MAX: u32 = 1000;

/// The parameters of a call: from the query string, or the body beside the object.
#[derive(Debug, Default)]
pub(crate) struct Parameters(HashMap<String, String>);

impl Parameters {
    pub(crate) fn parse(query: &str) -> Self {
        let pairs = form_urlencoded::parse(query.as_bytes());
        Self(pairs.map(|(name, value)| (name.into_owned(), value.into_owned())).collect())
    }

    /// The text of a parameter; `null` and nothing mean that it was not sent.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|text| !matches!(*text, "" | "null"))
    }

    /// A parameter that is JSON.
    pub(crate) fn json(&self, name: &str) -> Result<Value, ApiError> {
        match self.text(name) {
            None => Ok(Value::Null),
            Some(text) => serde_json::from_str(text)
                .map_err(|error| ApiError::field(name, format!("is no JSON: {error}"))),
        }
    }

    /// A number that is not negative.
    pub(crate) fn number(&self, name: &str) -> Result<Option<u32>, ApiError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        // Beyond 32 bits it is as good as endless.
        let number: u64 = text.trim().parse().map_err(|_not_a_number| {
            let shown: String = text.chars().take(40).collect();
            ApiError::field(name, format!("must be a number that is not negative, is {shown:?}"))
        })?;
        Ok(Some(u32::try_from(number).unwrap_or(u32::MAX)))
    }

    pub(crate) fn flag(&self, name: &str) -> Result<bool, ApiError> {
        match self.text(name) {
            None | Some("false" | "0") => Ok(false),
            Some("true" | "1") => Ok(true),
            Some(_) => Err(ApiError::field(name, "must be true or false")),
        }
    }

    /// A parameter that is JSON text, or text alone with commas.
    pub(crate) fn texts(&self, name: &str) -> Result<Value, ApiError> {
        match self.text(name) {
            Some(text) if !text.trim_start().starts_with(['[', '"']) => {
                Ok(text.split(',').map(|name| Value::from(name.trim())).collect())
            }
            _ => match self.json(name)? {
                Value::String(text) => Ok(Value::Array(vec![text.into()])),
                other => Ok(other),
            },
        }
    }

    /// Whether all that match shall be counted.
    pub(crate) fn count(&self) -> Result<bool, ApiError> {
        Ok(self.count_asked()?.unwrap_or(true))
    }

    /// The same, where it is said.
    pub(crate) fn count_asked(&self) -> Result<Option<bool>, ApiError> {
        match self.text("count") {
            None => Ok(None),
            Some("exact") => Ok(Some(true)),
            Some("none") => Ok(Some(false)),
            Some(_) => Err(ApiError::field("count", "must be exact or none")),
        }
    }

    /// How many records to answer.
    pub(crate) fn limit(&self) -> Result<u32, ApiError> {
        Ok(self.number("limit")?.unwrap_or(LIMIT_DEFAULT).min(LIMIT_MAX))
    }

    /// The `select` parameter, without the names that are always answered.
    pub(crate) fn select(&self, resource: Resource) -> Result<Option<Vec<&'static str>>, ApiError> {
        let mut select = self.texts("select")?;
        if let Value::Array(names) = &mut select {
            let computed = crate::render::computed(resource);
            names.retain(|name| !name.as_str().is_some_and(|name| computed.contains(&name)));
        }
        Ok(filter::parse_select(resource.schema(), &select)?)
    }

    /// Everything a list understands.
    pub(crate) fn list_query(&self, resource: Resource) -> Result<ListQuery, ApiError> {
        let mut filters = self.json("filters")?;
        if resource == Resource::Links {
            kinds_to_codes(&mut filters);
        }
        self.query_of(resource.schema(), &filters, self.select(resource)?, self.count()?)
    }

    /// `where`, an object of attributes and what they must equal, as filters.
    pub(crate) fn equal(&self) -> Result<Value, ApiError> {
        match self.json("where")? {
            Value::Null => Ok(Value::Array(Vec::new())),
            Value::Object(equal) => Ok(equal
                .into_iter()
                .map(|(name, value)| Value::from(vec![name.into(), "=".into(), value]))
                .collect()),
            _ => {
                let problem = "must be an object of attributes and what they must equal";
                Err(ApiError::field("where", problem))
            }
        }
    }

    /// The same with filters, attributes and count as the resource has read them.
    pub(crate) fn query_of(
        &self,
        schema: &'static Schema,
        filters: &Value,
        select: Option<Vec<&'static str>>,
        count: bool,
    ) -> Result<ListQuery, ApiError> {
        let mut filters = match filters {
            Value::Null => Vec::new(),
            filters => filter::parse_filters(schema, filters)?,
        };
        filters.extend(filter::parse_filters(schema, &self.equal()?)?);
        // Plain text, or JSON: a list or a text.
        let order = match self.text("order") {
            Some(text) if !text.trim_start().starts_with(['[', '"']) => text.into(),
            _ => self.json("order")?,
        };
        Ok(ListQuery {
            filters,
            order: filter::parse_order(schema, &order)?,
            select,
            distinct: self.flag("distinct")?,
            limit: self.limit()?,
            offset: self.number("offset")?.unwrap_or(0),
            count,
            include_trash: self.flag("include_trash")?,
            include_old_versions: self.flag("include_old_versions")?,
        })
    }
}

/// `head_kind` and `tail_kind` of links are no columns: what they ask is what `is_a` asks of the identifier.
fn kinds_to_codes(filters: &mut Value) {
    for filter in filters.as_array_mut().into_iter().flatten() {
        let parts = filter.as_array().map(Vec::as_slice);
        let Some([Value::String(name), Value::String(operator), operand]) = parts else {
            continue;
        };
        let uuid = match name.as_str() {
            "head_kind" => "head_uuid",
            "tail_kind" => "tail_uuid",
            _ => continue,
        };
        if matches!(operator.as_str(), "=" | "in") {
            *filter = Value::from(vec![uuid.into(), "is_a".into(), operand.clone()]);
        }
    }
}

/// A call by somebody with a token.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) caller: Caller,
    pub(crate) parameters: Parameters,
    /// The body as an object, empty where there was none.
    body: JsonMap,
}

impl Call {
    /// Whom this call reads for: with trash, where it asks for it.
    ///
    /// # Errors
    /// 422 where `include_trash` is neither true nor false.
    pub(crate) fn reader(&self) -> Result<Reader, ApiError> {
        let include_trash = self.parameters.flag("include_trash")?;
        Ok(Reader { include_trash, ..self.caller.reader() })
    }

    /// The attributes of an object: under its own key where that is present, else the whole body.
    ///
    /// # Errors
    /// 422 where what is under the key is no object.
    pub(crate) fn attributes(&self, resource: Resource) -> Result<JsonMap, ApiError> {
        let key = resource.singular();
        match self.body.get(key) {
            None => Ok(self.body.clone()),
            Some(Value::Object(attributes)) => Ok(attributes.clone()),
            // Form bodies carry the object as JSON text.
            Some(Value::String(text)) => serde_json::from_str(text)
                .map_err(|error| ApiError::field(key, format!("must be a JSON object: {error}"))),
            Some(_) => Err(ApiError::field(key, "must be an object")),
        }
    }

    /// An option that is JSON, beside the object in the body or in the query.
    ///
    /// # Errors
    /// 422 where it is no JSON.
    pub(crate) fn option(&self, name: &str) -> Result<Value, ApiError> {
        match self.body.get(name) {
            None => self.parameters.json(name),
            Some(Value::String(text)) => serde_json::from_str(text)
                .map_err(|error| ApiError::field(name, format!("is no JSON: {error}"))),
            Some(value) => Ok(value.clone()),
        }
    }

    /// The body, for calls that are ours.
    pub(crate) fn body(&self) -> &JsonMap {
        &self.body
    }
}

impl FromRequest<Api> for Call {
    type Rejection = ApiError;

    async fn from_request(request: Request, api: &Api) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        // The token first: nobody else's body is worth reading.
        let caller =
            authenticate(api.store(), &parts.headers, &parts.method, parts.uri.path()).await?;
        let query = match parts.extensions.get::<LongQuery>() {
            Some(LongQuery(query)) => query.clone(),
            None => parts.uri.query().unwrap_or_default().to_owned(),
        };
        let mut parameters = Parameters::parse(&query);
        let bytes = read_body(body, api.config().request_bytes_max).await?;
        let is_form = parts.headers.get(header::CONTENT_TYPE).is_some_and(|value| {
            value.as_bytes().starts_with(b"application/x-www-form-urlencoded")
        });
        let body = parse_body(&bytes, is_form)?;
        // Options also come beside the object in the body.
        for name in ["select", "ensure_unique_name", "include_trash"] {
            if let (Some(value), None) = (body.get(name), parameters.text(name)) {
                let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                parameters.0.insert(name.to_owned(), text);
            }
        }
        Ok(Self { caller, parameters, body })
    }
}

/// A body as an object.
pub(crate) fn parse_body(bytes: &[u8], is_form: bool) -> Result<JsonMap, ApiError> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(JsonMap::new());
    }
    if is_form {
        let pairs = form_urlencoded::parse(bytes);
        return Ok(pairs.map(|(name, value)| (name.into_owned(), value.into())).collect());
    }
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(body)) => Ok(body),
        Ok(_) => Err(ApiError::field("body", "must be a JSON object")),
        Err(error) => Err(ApiError::field("body", format!("is no JSON: {error}"))),
    }
}
