//! The proxy over real sockets: an honest directory in memory, apps on loopback, clients that are not ours.

mod app;
mod client;
mod forwarding;
mod pages;
mod protocols;
mod security;
mod smuggling;
mod sockets;
mod table;
mod world;
