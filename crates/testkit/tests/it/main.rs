//! The whole system, seen from outside: one module per point of what must work.
//!
//! Each test starts a Wharf of its own and takes it down again; taking it down fails the test
//! where a process, a mount, a cgroup or a folder is left. Tests named `tNN_...` are the rows of
//! the threat list (docs/testing.md) that need a whole system.

mod access;
mod app_answers;
mod app_isolation;
mod bad_input;
mod batch;
mod broken_tunnels;
mod caching;
mod command_line;
mod controllers;
mod cordon;
mod crashes;
mod credentials;
mod cwl;
mod cwl_live;
mod cwl_services;
mod failures;
mod forward;
mod gate;
mod grpc;
mod hand_off;
mod hosts;
mod http2;
mod httpbin;
mod images;
mod invitations;
mod jupyter;
mod keep;
mod links;
mod lives;
mod metrics;
mod official_clients;
mod openid;
mod oracle;
mod patience;
mod postgres;
mod protocols;
mod pull;
mod readiness;
mod records;
mod revoked;
mod rootless;
mod shell;
mod silence;
mod smuggling;
mod transfers;
mod upgrade;
mod volumes;
mod webdav;
mod websocket_suites;
mod websockets;
