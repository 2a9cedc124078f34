//! What the operator decided: the config file, the environment, the credentials of the local instance.
//!
//! Two types: [`RawConfig`] is what the file says (every key optional, unknown keys refused, all
//! problems reported at once); [`Config`] is what the program uses (everything present, parsed,
//! `Duration`s). Every limit has a name, a default and a sentence of why; the sentence is its doc
//! comment in [`sections`] and what `wharf config check` prints beside the value.
//!
//! This is the only crate that reads the environment ([`Environment`]). The config holds one
//! secret, the password of a database, and never shows it; others live in files of the data directory ([`credentials`]). Start at [`Config::local`].

mod config;
pub mod credentials;
mod database_url;
pub mod environment;
pub mod raw;
mod secret;
pub mod sections;
pub mod setting;
mod template;
pub mod units;
mod volumes;
mod web_origin;

pub use config::Config;
pub use credentials::{AccessError, ApiAccess, Credentials};
pub use database_url::DatabaseUrl;
pub use environment::{Environment, default_data_dir};
pub use raw::{ConfigError, Problem, RawConfig};
pub use secret::Secret;
pub use sections::{
    Api, AuditLogs, Collections, Containers, Dashboard, Database, Lifetimes, Log, LogFormat,
    Metrics, OpenIdConnect, Proxy, Services, Sessions, Shutdown, Terminals, Users,
};
pub use template::Template;
pub use units::{ByteSize, parse_duration, show_duration};
pub use web_origin::WebOrigin;
