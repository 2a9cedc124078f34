//! `wharf image pull`: out of a registry, into the store. The registry is asked from here, so that
//! credentials stay with their owner, and the server asks nobody at a user's word.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use client::{RequestBody, TlsTrust};
use config::Environment;
use futures_util::StreamExt as _;
use outbound::{Bounds, Outbound};
use registry::{Limits, Logins, Platform, Reference};

use super::tell;
use crate::context::Context;
use crate::progress;

/// A registry that is there connects in a second, and answers in some; a blob may come slowly, but comes.
const BOUNDS: Bounds = Bounds {
    connect: Duration::from_secs(15),
    answer: Duration::from_secs(60),
    silence: Duration::from_secs(60),
};

pub(super) async fn pull(
    context: &Context,
    reference: &str,
    name: Option<&str>,
) -> anyhow::Result<()> {
    let reference: Reference = reference.parse()?;
    let logins = match docker_config(&context.environment) {
        Some(path) => Logins::load(&path)?,
        None => Logins::default(),
    };
    let outbound = Outbound::new(&TlsTrust::System, BOUNDS)?;
    let bar = progress::bytes_bar(Some(0), "pulling");
    let drawn = bar.clone();
    let told = Arc::new(move |n_bytes, total| {
        drawn.set_length(total);
        drawn.set_position(n_bytes);
    });
    let shown = reference.to_string();
    let own_name = reference.name();
    let (platform, limits) = (Platform::here(), Limits::default());
    let pulled = registry::pull(outbound, reference, &logins, &platform, limits, told).await;
    bar.finish_and_clear();
    let pulled = pulled.with_context(|| format!("cannot pull {shown}"))?;
    let name = name.unwrap_or(&own_name);
    let bar = progress::bytes_bar(Some(pulled.n_bytes()), "importing");
    let drawn = bar.clone();
    let pieces = pulled.archive().inspect(move |piece| {
        drawn.inc(piece.as_ref().map_or(0, |piece| piece.len() as u64));
    });
    let body = RequestBody::Stream(pieces.boxed());
    let imported = context.client.import_image(body, Some(name)).await;
    bar.finish_and_clear();
    tell(&imported.with_context(|| format!("cannot import {shown}"))?, Some(name))
}

/// Where Docker's clients keep credentials.
fn docker_config(environment: &Environment) -> Option<PathBuf> {
    let own = environment.home.as_ref().map(|home| home.join(".docker"));
    environment.docker_config.clone().or(own).map(|folder| folder.join("config.json"))
}
