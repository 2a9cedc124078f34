//! The Arvados v1 API, and what Wharf adds beside it under `/wharf/v1`.
//!
//! What it is for: translating HTTP to records and back: credentials, parameters, bodies, rules,
//! errors, as Arvados's own clients expect them. What it does not do: SQL (that is `store`), the
//! rules of records (`model`), who may do what (`store::permissions`; `rights` says it in statuses), traffic of services
//! (`proxy`), where blocks lie (`keep`).
//!
//! One call: request id → limits → method override → route → caller (token, scope) → resource →
//! store → wire JSON. Start reading at [`Api`], then `call` and `resources`.

mod blocks;
mod call;
mod caller;
mod caller_watch;
mod config;
mod counted;
mod discovery;
mod error;
mod extract;
mod figures;
mod front;
mod heavy;
mod images;
mod lives;
mod logs;
mod method_override;
mod ours;
mod password;
mod public_url;
mod render;
mod request_id;
mod resources;
mod rights;
mod router;
mod settle;
mod shells;
mod sign_in;
mod sign_in_config;
mod site;
mod visitors;
mod webdav;
mod websocket;

pub use blocks::Blocks;
pub use config::{
    ApiConfig, BindMounts, CollectionsConfig, InvitationsConfig, LivesConfig, TerminalsConfig,
};
pub use counted::CallKind;
pub use error::ApiError;
pub use figures::{ContainerFigures, FigureSource};
pub use images::{ByteStream, ImageFault, ImageSummary, Images, ResolvedImage};
pub use logs::{LogFile, LogQuery, LogSource, LogStream};
pub use router::{Api, Sources};
pub use shells::{ShellIo, Shells};
pub use sign_in_config::{SignInConfig, SignInProvider};
pub use site::SiteSource;
pub use visitors::Visitors;
