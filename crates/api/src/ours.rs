//! What Wharf has beside Arvados's API, under `/wharf/v1`.

pub(crate) mod access;
pub(crate) mod connections;
pub(crate) mod cordon;
pub(crate) mod events;
pub(crate) mod extend;
pub(crate) mod handoff;
pub(crate) mod identities;
pub(crate) mod images;
pub(crate) mod invitations;
pub(crate) mod login;
pub(crate) mod logs;
pub(crate) mod metrics;
pub(crate) mod openid;
pub(crate) mod password;
pub(crate) mod shell;
pub(crate) mod site;
pub(crate) mod status;
pub(crate) mod visitors;
