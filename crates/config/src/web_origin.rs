//! An origin as browsers write it: scheme, host, and the port where that is not the scheme's own.

use model::ServiceDomain;
use serde_json::Value;

use crate::setting::Setting;

/// The origin of pages (RFC 6454), as it stands in an `Origin` header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebOrigin(String);

impl WebOrigin {
    /// `https://portal.example.com`, `http://localhost:3000`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Setting for WebOrigin {
    fn from_value(value: &Value) -> Result<Self, String> {
        let text = String::from_value(value)?;
        let wrong =
            || format!("must be one origin such as https://portal.example.com, is {text:?}");
        // The same form as a service address without a wildcard: no path, no user, no query.
        let parsed = ServiceDomain::parse(&text).map_err(|_other| wrong())?;
        if parsed.is_wildcard() {
            return Err(wrong());
        }
        let url = parsed.url_of("");
        let own_port = if parsed.is_https() { ":443/" } else { ":80/" };
        Ok(Self(url.strip_suffix(own_port).unwrap_or(url.trim_end_matches('/')).to_owned()))
    }

    fn show(&self) -> String {
        self.0.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<String, String> {
        WebOrigin::from_value(&Value::from(text)).map(|origin| origin.0)
    }

    #[test]
    fn an_origin_is_kept_as_browsers_write_it() {
        for (text, origin) in [
            ("https://portal.example.com", "https://portal.example.com"),
            ("https://Portal.example.com:443/", "https://portal.example.com"),
            ("http://localhost:3000", "http://localhost:3000"),
            ("http://localhost:80", "http://localhost"),
            ("https://localhost:80", "https://localhost:80"),
        ] {
            assert_eq!(read(text).as_deref(), Ok(origin), "{text}");
        }
        for text in [
            "*",
            "null",
            "portal.example.com",
            "https://*.example.com",
            "https://a/b",
            "https://a@b",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
