//! The Common Workflow Language, v1.2 and the versions before it: everything that can be told without running anything.
//!
//! What it is for: reading documents with errors that name file, line, rule and what to write instead ([`load`]);
//! types and input objects ([`types`], [`inputs`]); expressions ([`expr`]); the command line of a tool ([`bind`]), where
//! its files go ([`stage`]) and what its outputs are ([`collect`]); the links of a workflow ([`links`], [`scatter`]).
//! What it does not do: it starts no program, opens no file and no socket. Texts of documents come through
//! [`load::Source`], what is behind locations through [`storage::Storage`].
//!
//! ```text
//! text ─ yaml ► nodes with places ─ load: $import, $graph ► read: checked fields ► Process
//! input object ─ inputs: defaults, types, secondary files ► stage: paths ► bind: command line ─► (a program runs)
//!                                                              output directory ─ collect ► output object
//! ```
//!
//! Documents come from strangers: nesting, imports, sizes and the time and memory of JavaScript have bounds, each a
//! constant beside its code. Start reading at [`load::Loader`], then [`document::Process`].

pub mod bind;
pub mod collect;
pub mod document;
pub mod error;
pub mod expr;
mod extension;
pub mod file;
pub mod format;
mod glob;
pub mod inputs;
pub mod json;
pub mod links;
pub mod load;
mod node;
mod number;
pub mod ports;
mod read;
pub mod requirements;
pub mod scatter;
pub mod secret;
pub mod service;
pub mod stage;
pub mod storage;
pub mod types;
pub mod uri;
mod value;
mod yaml;

pub use error::{CwlError, Place, Problem};
pub use number::Number;
pub use value::{NULL, Object, Value};
