//! The ways to sign in, from the config.

use std::path::Path;

use anyhow::{Context, Result, bail};
use api::{SignInConfig, SignInProvider};
use client::TlsTrust;
use config::{Config, OpenIdConnect};
use oidc::{Claims, Provider, ProviderConfig};

/// Reads the secret of the provider where that is in a file; asks the provider nothing yet.
pub(super) fn config(config: &Config) -> Result<SignInConfig> {
    let wanted = &config.openid_connect;
    let provider = if wanted.is_enabled {
        Some(SignInProvider {
            provider: provider(config, wanted).context("Login.OpenIDConnect")?,
            name: name(wanted),
            links_by_email: wanted.link_by_email,
            makes_accounts: config.users.auto_setup_new_users,
            new_are_active: config.users.new_users_are_active,
        })
    } else {
        None
    };
    Ok(SignInConfig { passwords: config.login.passwords, provider })
}

fn provider(config: &Config, wanted: &OpenIdConnect) -> Result<Provider> {
    let redirect_uri = format!("{}login", config.services.controller_url);
    let trust = wanted.ca_file.clone().map_or(TlsTrust::System, TlsTrust::File);
    let secret = match (&wanted.client_secret, &wanted.client_secret_file) {
        (Some(secret), _) => Some(secret.expose().to_owned()),
        (None, Some(path)) => Some(read_secret(path)?),
        (None, None) => None,
    };
    let provider = ProviderConfig {
        client_secret: secret,
        parameters: wanted.parameters.clone(),
        claims: Claims {
            email: wanted.email_claim.clone(),
            email_verified: wanted.email_verified_claim.clone(),
            username: wanted.username_claim.clone(),
        },
        timeout: wanted.timeout,
        clock_skew: wanted.clock_skew,
        ..ProviderConfig::new(&wanted.issuer, &wanted.client_id, &redirect_uri)
    };
    Ok(Provider::new(provider, &trust)?)
}

fn read_secret(path: &Path) -> Result<String> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("ClientSecretFile: read {}", path.display()))?;
    let line = text.lines().next().unwrap_or_default().trim();
    if line.is_empty() {
        bail!("ClientSecretFile: the first line of {} is empty", path.display());
    }
    Ok(line.to_owned())
}

/// What people call the provider: as the config says, or its host.
fn name(wanted: &OpenIdConnect) -> String {
    if !wanted.provider_name.is_empty() {
        return wanted.provider_name.clone();
    }
    let host = super::host_of_url(&wanted.issuer);
    host.unwrap_or_else(|| wanted.issuer.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(change: impl FnOnce(&mut OpenIdConnect)) -> Result<SignInConfig, String> {
        let mut site = Config::local("/nowhere".into(), ([127, 0, 0, 1], 8000).into());
        site.openid_connect.is_enabled = true;
        site.openid_connect.issuer = "http://127.0.0.1:3000/realms/x".to_owned();
        site.openid_connect.client_id = "wharf".to_owned();
        change(&mut site.openid_connect);
        config(&site).map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn a_provider_is_called_by_its_host_unless_it_has_a_name() {
        let name = |found: Result<SignInConfig, String>| found.unwrap().provider.unwrap().name;
        assert_eq!(name(wanted(|_as_it_is| {})), "127.0.0.1");
        assert_eq!(name(wanted(|it| it.provider_name = "Example".to_owned())), "Example");
        assert!(wanted(|it| it.is_enabled = false).unwrap().provider.is_none());
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        let words = |found: Result<SignInConfig, String>| found.unwrap_err();
        let found = words(wanted(|it| it.issuer = "http://id.example.com".to_owned()));
        assert!(found.starts_with("Login.OpenIDConnect: Issuer: must be an https"), "{found}");
        let found = words(wanted(|it| it.client_secret_file = Some("/nowhere/secret".into())));
        assert!(found.contains("ClientSecretFile: read /nowhere/secret"), "{found}");
        let found = words(wanted(|it| it.ca_file = Some("/nowhere/ca.pem".into())));
        assert!(found.contains("/nowhere/ca.pem"), "{found}");
    }

    #[test]
    fn the_secret_is_the_first_line_of_its_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        std::fs::write(&path, "hush \nmore\n").unwrap();
        assert_eq!(read_secret(&path).unwrap(), "hush");
        std::fs::write(&path, "\n").unwrap();
        assert!(read_secret(&path).unwrap_err().to_string().contains("is empty"));
    }
}
