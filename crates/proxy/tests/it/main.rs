//! The proxy over real sockets: an honest directory in memory, apps on loopback, clients that are not ours.

#![expect(clippy::unwrap_used, reason = "a test says best where it broke by breaking there")]

mod answers;
mod app;
mod client;
mod cross_site;
mod grpc;
mod h2c;
mod http2;
mod pooling;
mod ports;
mod protocols;
mod revoking;
mod security;
mod smuggling;
mod sockets;
mod table;
mod tcp;
mod tenants;
mod world;
