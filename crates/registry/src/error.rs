//! Why there is no image.

use std::io;
use std::path::PathBuf;

use http::StatusCode;
use outbound::OutboundError;

/// Why a pull failed.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// The reference is none.
    #[error("{reference:?} names no image: {why}")]
    Reference {
        /// As given.
        reference: String,
        /// What is wrong.
        why: &'static str,
    },
    /// Docker's file with credentials cannot be used.
    #[error("cannot read the credentials in {}: {why}", path.display())]
    Credentials {
        /// The file.
        path: PathBuf,
        /// What is wrong, without its content.
        why: String,
    },
    /// Credentials are with a program that is not run.
    #[error(
        "the credentials of {registry} are kept by docker-credential-{helper}, which is not run; \
         write them into another config.json by `docker --config DIR login`, and set DOCKER_CONFIG=DIR"
    )]
    Helper {
        /// Host and port.
        registry: String,
        /// The program's name.
        helper: String,
    },
    /// No answer.
    #[error("cannot read from the registry")]
    Outbound(#[from] OutboundError),
    /// The registry wants to know who asks, or refuses it.
    #[error(
        "{registry} does not let us read {repository}{}: `docker login {registry}` writes credentials where they are looked for",
        words(said)
    )]
    Denied {
        /// Host and port.
        registry: String,
        /// The image's name there.
        repository: String,
        /// The registry's words.
        said: String,
    },
    /// There is none.
    #[error("{registry} has no {what}")]
    Missing {
        /// Host and port.
        registry: String,
        /// What was asked for.
        what: String,
    },
    /// Another answer than there should be.
    #[error("{registry} answered {status} when asked for {what}{}", words(said))]
    Status {
        /// Host and port.
        registry: String,
        /// The status.
        status: StatusCode,
        /// What was asked for.
        what: String,
        /// The registry's words.
        said: String,
    },
    /// The answer is not what it should be.
    #[error("the answer of {registry} is not understood: {why}")]
    NotUnderstood {
        /// Host and port.
        registry: String,
        /// What is wrong.
        why: String,
    },
    /// The bytes are others than were asked for.
    #[error("{registry} sent other bytes than those of {digest}; nothing was kept of them")]
    Digest {
        /// Host and port.
        registry: String,
        /// What was asked for.
        digest: String,
    },
    /// Nothing for this machine.
    #[error("the image is not made for {wanted}; there is {known}")]
    Platform {
        /// This machine's.
        wanted: String,
        /// Those that there are.
        known: String,
    },
    /// It is larger than it may be.
    #[error("{what} is larger than {bytes_max} bytes")]
    TooLarge {
        /// What.
        what: String,
        /// Most that it may have.
        bytes_max: u64,
    },
    /// The disk failed.
    #[error("cannot write to {}", path.display())]
    Disk {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// What a registry said, behind a colon.
fn words(said: &str) -> String {
    if said.is_empty() { String::new() } else { format!(": {said}") }
}
