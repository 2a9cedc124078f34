//! HTTP/1.1 messages on the wire: heads, how long bodies are, the chunked coding.
//!
//! What it is for: a client's half of HTTP/1.1 (RFC 9112) over any transport: writing requests,
//! reading answers. What it does not do: no sockets, no tasks, no clock, no connection state. It is
//! strict: where two readers could see two messages, there is none ([`Problem`]).
//!
//! ```text
//! request::write_head ─► bytes ─► … ─► bytes ─► response::read_head ─► length::of_response ─► chunked::Decoder
//! ```
//!
//! Where to start reading: [`response`], then [`length`].

pub mod chunked;
pub mod length;
pub mod request;
pub mod response;

mod problem;

pub use problem::Problem;
