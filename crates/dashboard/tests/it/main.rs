//! The pages over a fake API, as a browser and as an attacker ask for them.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails where it stands")]

mod compressed;
mod escaping;
mod fake_api;
mod forms;
mod launch;
mod metrics;
mod more_pages;
mod open;
mod openid;
mod pages;
mod sign_in;
mod site;
