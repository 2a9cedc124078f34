//! The API through its router in memory; `wire` adds a real socket.

mod auth;
mod fixture;
mod handoff;
mod links;
mod requests;
mod streams;
mod wire;
