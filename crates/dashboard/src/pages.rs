//! One file per page. Each handler asks the API what it needs, puts a view together, renders.

pub(crate) mod account;
pub(crate) mod admin;
pub(crate) mod data;
pub(crate) mod events;
pub(crate) mod files;
pub(crate) mod hand_on;
pub(crate) mod host_names;
pub(crate) mod launch;
pub(crate) mod logs;
pub(crate) mod open;
pub(crate) mod openid;
pub(crate) mod problem;
pub(crate) mod restart;
pub(crate) mod service;
pub(crate) mod services;
pub(crate) mod sign_in;
pub(crate) mod signed_in;
pub(crate) mod stop;
pub(crate) mod tabs;
pub(crate) mod terminal;
pub(crate) mod tokens;
