//! What outlives every process: opened where it is there, made by the first who comes.

use super::settings;
use crate::blocks;
use crate::certificates;
use crate::data_dir::DataDir;
use crate::images::LocalImages;
use crate::owner;
use crate::secrets::Secrets;
use anyhow::{Context, Result};
use config::Config;
use keep::Keep;
use model::ApiToken;
use runtime::images::ImageStore;
use std::sync::Arc;
use store::{Store, StoreOptions};

/// What every process on a data directory has open.
#[derive(Debug)]
pub(crate) struct Keeping {
    /// The records.
    pub(crate) store: Store,
    /// The images on this machine.
    pub(crate) images: LocalImages,
    /// The blocks on this machine.
    pub(crate) keep: Keep,
}

/// What those that serve have besides.
#[derive(Debug)]
pub(super) struct Identity {
    /// The keys of this data directory.
    pub(super) secrets: Secrets,
    /// A certificate of its authority.
    pub(super) tls: Arc<rustls::ServerConfig>,
    /// The token of the machine's owner, as in `credentials.json`.
    pub(super) owner: ApiToken,
}

impl Keeping {
    /// For a process that only dispatches.
    pub(crate) async fn open_for_dispatch(config: &Config) -> Result<(DataDir, Self)> {
        let data = DataDir::prepare(&config.data_dir)?;
        let _setup = data.begin_setup().await?;
        let keeping = Self::open(config, &data).await?;
        Ok((data, keeping))
    }

    /// For a process that serves.
    pub(super) async fn open_for_service(
        config: &Config,
        data: &DataDir,
    ) -> Result<(Self, Identity)> {
        let _setup = data.begin_setup().await?;
        let keeping = Self::open(config, data).await?;
        let owner = owner::token(&keeping.store, data.path()).await?;
        let secrets = Secrets::load_or_make(&data.path().join("secrets.json"))?;
        let names = settings::certificate_names(config);
        let tls = certificates::server_config(data.path(), names)?;
        Ok((keeping, Identity { secrets, tls, owner }))
    }

    async fn open(config: &Config, data: &DataDir) -> Result<Self> {
        let store = open_records(config, data).await?;
        store.ensure_system_user().await?;
        let images = ImageStore::open(data.path().join("images")).context("open the images")?;
        let keep = blocks::open(config, data).await?;
        let images =
            LocalImages::new(images, store.clone(), keep.clone(), config.containers.images_for_all);
        Ok(Self { store, images, keep })
    }
}

/// The records: on a server where the config says so, else in a file.
async fn open_records(config: &Config, data: &DataDir) -> Result<Store> {
    let options = StoreOptions {
        cluster: config.cluster_id,
        readers: config.database.read_connections,
        ..StoreOptions::default()
    };
    let Some(url) = &config.database.url else {
        let path = data.records();
        let store = Store::open(&path, options).await;
        return store.with_context(|| format!("open the records in {}", path.display()));
    };
    let store = Store::connect(url.expose(), options).await;
    let store = store.with_context(|| format!("open the records in {url}"))?;
    // Blocks, keys and supervisors are in one data directory, and the records are about these.
    store.belong_to(&data.ensure_id()?, &data.about()).await?;
    Ok(store)
}
