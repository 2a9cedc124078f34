//! What a site says of its provider.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::http::Endpoint;
use crate::person::Claims;

/// Parameters of the authentication request that are ours to set.
const OWN_PARAMETERS: [&str; 9] = [
    "client_id",
    "code_challenge",
    "code_challenge_method",
    "nonce",
    "redirect_uri",
    "request",
    "request_uri",
    "response_type",
    "state",
];

/// A provider, and how it knows us.
#[derive(Clone)]
pub struct ProviderConfig {
    /// The provider's identifier, an address; exactly what its ID tokens say.
    pub issuer: String,
    /// What the provider calls this site.
    pub client_id: String,
    /// Proves that we are this client; none for one that the provider knows as public.
    pub client_secret: Option<String>,
    /// Where the provider sends browsers back to; exactly as it is registered there.
    pub redirect_uri: String,
    /// What is sent with an authentication request beside what must be: `prompt`, `hd`, another `scope`.
    pub parameters: BTreeMap<String, String>,
    /// Where in the provider's answer things are.
    pub claims: Claims,
    /// How long one step with the provider may take, from the connection to the answer's last byte.
    pub timeout: Duration,
    /// How far the provider's clock may be from ours.
    pub clock_skew: Duration,
    /// How long the provider's endpoints and keys are kept.
    pub discovery_age_max: Duration,
    /// Time between two looks for a key that is not known.
    pub key_refresh_min: Duration,
}

/// Why a provider cannot be used as it is configured; each names the field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigFault {
    /// No address, or one that is not secure.
    #[error("Issuer: {0}")]
    Issuer(String),
    /// Empty.
    #[error("ClientID: must not be empty")]
    ClientId,
    /// A parameter that is ours to set, or a scope without `openid`.
    #[error("AuthenticationRequestParameters: {0}")]
    Parameter(String),
    /// The certificates to trust cannot be read.
    #[error("CAFile: {0}")]
    Roots(String),
}

impl ProviderConfig {
    /// Defaults for the rest.
    pub fn new(issuer: &str, client_id: &str, redirect_uri: &str) -> Self {
        Self {
            issuer: issuer.to_owned(),
            client_id: client_id.to_owned(),
            client_secret: None,
            redirect_uri: redirect_uri.to_owned(),
            parameters: BTreeMap::new(),
            claims: Claims::default(),
            timeout: Duration::from_secs(10),
            clock_skew: Duration::from_secs(60),
            discovery_age_max: Duration::from_secs(3600),
            key_refresh_min: Duration::from_secs(5),
        }
    }

    /// # Errors
    /// The first field that cannot be so.
    pub(crate) fn check(&self) -> Result<(), ConfigFault> {
        Endpoint::parse(&self.issuer).map_err(ConfigFault::Issuer)?;
        if self.issuer.contains(['?', '#']) {
            return Err(ConfigFault::Issuer("must have neither query nor fragment".to_owned()));
        }
        if self.client_id.is_empty() {
            return Err(ConfigFault::ClientId);
        }
        if let Some(own) = self.parameters.keys().find(|name| OWN_PARAMETERS.contains(&&***name)) {
            return Err(ConfigFault::Parameter(format!("{own} is set by Wharf itself")));
        }
        match self.parameters.get("scope") {
            Some(scope) if !scope.split(' ').any(|word| word == "openid") => {
                Err(ConfigFault::Parameter("scope must have openid in it".to_owned()))
            }
            _ => Ok(()),
        }
    }
}

/// The secret stays out of debug output.
impl fmt::Debug for ProviderConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProviderConfig")
            .field("issuer", &self.issuer)
            .field("client_id", &self.client_id)
            .field("redirect_uri", &self.redirect_uri)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(change: impl FnOnce(&mut ProviderConfig), words: Option<&str>) {
        let mut config =
            ProviderConfig::new("https://id.example.com/x", "wharf", "https://w/login");
        change(&mut config);
        let found = config.check().map_err(|fault| fault.to_string());
        match words {
            None => assert_eq!(found, Ok(())),
            Some(words) => assert!(found.as_ref().is_err_and(|it| it.contains(words)), "{found:?}"),
        }
    }

    #[test]
    fn what_cannot_be_is_named_by_its_field() {
        let with = |name: &'static str, value: &'static str| {
            move |config: &mut ProviderConfig| {
                config.parameters.insert(name.to_owned(), value.to_owned());
            }
        };
        check(|_config| {}, None);
        check(|config| config.issuer = "http://127.0.0.1:3000".to_owned(), None);
        check(|config| config.issuer = "http://id.example.com".to_owned(), Some("Issuer"));
        check(|config| config.issuer = "https://id.example.com/?x".to_owned(), Some("Issuer"));
        check(|config| config.issuer = String::new(), Some("Issuer"));
        check(|config| config.client_id = String::new(), Some("ClientID"));
        check(with("prompt", "login"), None);
        check(with("scope", "openid email"), None);
        check(with("scope", "email"), Some("scope"));
        check(with("state", "x"), Some("state"));
        check(with("redirect_uri", "https://evil.example/"), Some("redirect_uri"));
    }
}
