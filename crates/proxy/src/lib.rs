//! Service hosts: from a request for a name to bytes of the app.
mod body;
pub mod config;
pub mod dial;
pub mod directory;
pub mod host;
mod proxy;

pub use body::ProxyBody;
pub use config::{ProxyConfig, SessionKey};
pub use dial::{Dial, DialError, Io};
pub use directory::{
    Credential, Directory, DirectoryError, HostTarget, Principal, StartInfo, Target, TargetState,
};
pub use proxy::{Peer, Proxy};
