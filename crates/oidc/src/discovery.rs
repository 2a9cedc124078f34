//! What a provider says of itself (OpenID Connect Discovery 1.0).

use serde::Deserialize;

use crate::http::Endpoint;

/// The document as it is read; what we do not use is not looked at.
#[derive(Deserialize)]
struct Raw {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    userinfo_endpoint: Option<String>,
    end_session_endpoint: Option<String>,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

/// A provider's endpoints, each of them secure.
#[derive(Debug)]
pub(crate) struct Document {
    pub(crate) authorization: Endpoint,
    pub(crate) token: Endpoint,
    pub(crate) keys: Endpoint,
    pub(crate) userinfo: Option<Endpoint>,
    pub(crate) end_session: Option<Endpoint>,
    /// Whether the client's secret goes into the form and not into a header.
    pub(crate) is_secret_in_form: bool,
    /// Whether every answer says which provider it is from (RFC 9207).
    pub(crate) names_issuer: bool,
}

/// Where the document of a provider is.
pub(crate) fn place_of(issuer: &str) -> String {
    format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'))
}

impl Document {
    /// # Errors
    /// Words for what is missing, not secure, or another provider's.
    pub(crate) fn parse(text: &[u8], issuer: &str) -> Result<Self, String> {
        let raw: Raw = serde_json::from_slice(text)
            .map_err(|error| format!("its discovery document is not understood: {error}"))?;
        if raw.issuer != issuer {
            let shown: String = raw.issuer.chars().take(200).collect();
            return Err(format!(
                "its discovery document is of the issuer {shown:?}, and Issuer is {issuer:?}; they \
                 must be equal to the letter"
            ));
        }
        let endpoint = |name: &str, text: &str| {
            Endpoint::parse(text).map_err(|why| format!("{name} in its discovery document {why}"))
        };
        let optional =
            |name: &str, text: Option<String>| text.map(|text| endpoint(name, &text)).transpose();
        // Without the list it is the header alone (OpenID Connect Discovery 1.0 section 3).
        let methods = raw.token_endpoint_auth_methods_supported.unwrap_or_default();
        let has = |method: &str| methods.iter().any(|it| it == method);
        Ok(Self {
            authorization: endpoint("authorization_endpoint", &raw.authorization_endpoint)?,
            token: endpoint("token_endpoint", &raw.token_endpoint)?,
            keys: endpoint("jwks_uri", &raw.jwks_uri)?,
            userinfo: optional("userinfo_endpoint", raw.userinfo_endpoint)?,
            end_session: optional("end_session_endpoint", raw.end_session_endpoint)?,
            is_secret_in_form: has("client_secret_post") && !has("client_secret_basic"),
            names_issuer: raw.authorization_response_iss_parameter_supported,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const ISSUER: &str = "https://id.example.com/realms/x";

    fn document() -> Value {
        json!({
            "issuer": ISSUER,
            "authorization_endpoint": "https://id.example.com/auth",
            "token_endpoint": "https://id.example.com/token",
            "jwks_uri": "https://id.example.com/keys",
        })
    }

    fn parse(name: &str, value: Value) -> Result<Document, String> {
        let mut document = document();
        document[name] = value;
        Document::parse(document.to_string().as_bytes(), ISSUER)
    }

    #[test]
    fn a_document_is_of_this_issuer_and_its_endpoints_are_secure() {
        assert!(parse("more", json!(1)).is_ok());
        let check = |name: &str, value: Value, words: &str| {
            let error = parse(name, value).unwrap_err();
            assert!(error.contains(words), "{error}");
        };
        check("issuer", json!("https://id.example.com/realms/x/"), "to the letter");
        check("issuer", json!("https://evil.example"), "to the letter");
        check("token_endpoint", json!("http://id.example.com/token"), "token_endpoint");
        check("token_endpoint", Value::Null, "not understood");
        check("jwks_uri", json!("file:///etc/passwd"), "jwks_uri");
        check("end_session_endpoint", json!("http://evil.example/"), "end_session_endpoint");
    }

    #[test]
    fn the_secret_goes_where_the_provider_takes_it() {
        let name = "token_endpoint_auth_methods_supported";
        let is_in_form = |methods: Value| parse(name, methods).unwrap().is_secret_in_form;
        assert!(!is_in_form(Value::Null));
        assert!(!is_in_form(json!(["client_secret_basic", "client_secret_post"])));
        assert!(is_in_form(json!(["client_secret_post", "private_key_jwt"])));
    }

    #[test]
    fn the_document_lies_below_the_issuer() {
        let place = "https://a/x/.well-known/openid-configuration";
        assert_eq!(place_of("https://a/x"), place);
        assert_eq!(place_of("https://a/x/"), place);
    }
}
