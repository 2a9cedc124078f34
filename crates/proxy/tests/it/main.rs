//! The proxy over real sockets: an honest directory in memory, apps on loopback, clients that are not ours.

#![expect(clippy::unwrap_used, reason = "a test says best where it broke by breaking there")]

mod answers;
mod app;
mod brittle;
mod client;
mod credentials;
mod cross_site;
mod downstream;
mod enter;
mod gate;
mod grpc;
mod h2c;
mod hosts;
mod http2;
mod limits;
mod pooling;
mod ports;
mod protocols;
mod requests;
mod revoking;
mod smuggling;
mod sockets;
mod table;
mod tcp;
mod tenants;
mod traffic;
mod world;
