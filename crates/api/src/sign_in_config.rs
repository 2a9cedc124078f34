//! Which ways to sign in a site has, and what becomes of who comes by them.

use oidc::Provider;

/// The ways to sign in, beside links and tokens.
#[derive(Debug, Clone)]
pub struct SignInConfig {
    /// Whether passwords are taken.
    pub passwords: bool,
    /// A provider of a site that has one.
    pub provider: Option<SignInProvider>,
}

impl Default for SignInConfig {
    fn default() -> Self {
        Self { passwords: true, provider: None }
    }
}

/// A provider that people sign in with.
#[derive(Debug, Clone)]
pub struct SignInProvider {
    /// The provider.
    pub provider: Provider,
    /// What people call it.
    pub name: String,
    /// Whether a new person gets the account with their verified address.
    pub links_by_email: bool,
    /// Whether a new person gets an account made.
    pub makes_accounts: bool,
    /// Whether such an account may act at once.
    pub new_are_active: bool,
}
