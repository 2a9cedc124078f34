//! Why somebody cannot sign in through a provider.

use crate::id_token::IdTokenFault;

/// What a step with the provider did not give.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// The provider cannot be reached, took too long, or answered what is no use. Another try may do.
    #[error("{0}")]
    Unavailable(String),
    /// The provider did not take the code: used, too old, or not made for this attempt.
    #[error("the provider did not accept the code of this sign-in: {0}")]
    Code(String),
    /// The provider's statement about the person does not hold.
    #[error("the provider's ID token was refused: {0}")]
    IdToken(#[from] IdTokenFault),
    /// The answer came from another provider than the one asked (RFC 9207).
    #[error("the answer says that it comes from another provider")]
    OtherIssuer,
    /// The system gave no random bytes.
    #[error("the system gives no random bytes")]
    Random,
}
