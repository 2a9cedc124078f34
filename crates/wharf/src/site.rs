//! The machine, its volumes, who dispatches and what this process carries: for administrators and for Prometheus.

use crate::blocks;
use crate::data_dir::DataDir;
use dispatch::admission::Disk;
use dispatch::{DispatchConfig, Heartbeat};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use model::site::{Blocks, Capacity, Node, ProxyFigures, Share, Site, Volume};
use model::{BlockVolume, ContainerState, Timestamp, VolumePlace};
use proxy::Proxy;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;
use store::{Store, StoreError};

/// What is known without asking anybody.
#[derive(Clone)]
pub(crate) struct SiteFacts(Arc<Facts>);

struct Facts {
    data_dir: PathBuf,
    store: Store,
    proxy: Arc<Proxy>,
    node: String,
    limits: dispatch::admission::Capacity,
    volumes: Vec<BlockVolume>,
    config: String,
    since: Timestamp,
}

impl SiteFacts {
    pub(crate) fn new(
        config: &config::Config,
        data: &DataDir,
        limits: &DispatchConfig,
        store: Store,
        proxy: Arc<Proxy>,
    ) -> Self {
        Self(Arc::new(Facts {
            data_dir: data.path().to_owned(),
            since: store.now(),
            store,
            proxy,
            node: limits.node.clone(),
            limits: limits.capacity(),
            volumes: blocks::store(config, data).volumes,
            config: config.to_yaml(),
        }))
    }

    /// What there is for containers, and what of it is promised.
    pub(crate) async fn promised(&self) -> Result<Capacity, StoreError> {
        let live = self.0.store.live_containers().await?;
        let held = live.iter().filter(|it| it.state != ContainerState::Queued);
        let (mut n, mut vcpus, mut ram) = (0_u64, 0_u64, 0_u64);
        for container in held {
            n += 1;
            vcpus += u64::from(container.runtime_constraints.vcpus);
            ram = ram.saturating_add(container.runtime_constraints.ram);
        }
        let limits = &self.0.limits;
        Ok(Capacity {
            containers: Share { promised: n, most: limits.containers_max as u64 },
            vcpus: Share { promised: vcpus, most: limits.vcpus.into() },
            ram_bytes: Share { promised: ram, most: limits.ram_bytes },
        })
    }

    /// Who dispatches.
    pub(crate) async fn heartbeat(&self) -> Heartbeat {
        let data_dir = self.0.data_dir.clone();
        let looking = tokio::task::spawn_blocking(move || Heartbeat::of(&data_dir));
        looking.await.unwrap_or(Heartbeat { is_alive: false, looked_at: None })
    }

    /// The volumes and the last sweep. A directory that hangs (a network's) holds a thread, and the caller's patience.
    pub(crate) async fn storage(&self) -> (Vec<Volume>, Option<Blocks>) {
        let facts = Arc::clone(&self.0);
        let looking = tokio::task::spawn_blocking(move || {
            let volumes = facts.volumes.iter().map(volume).collect();
            (volumes, blocks::last_sweep(&facts.data_dir))
        });
        looking.await.unwrap_or_default()
    }

    fn proxy_figures(&self) -> ProxyFigures {
        let ports = self.0.proxy.traffic();
        let sum = |of: &dyn Fn(&proxy::PortCounted) -> u64| -> u64 {
            ports.iter().map(|(_, counted)| of(counted)).sum()
        };
        let refusals = self.0.proxy.refusals().into_iter().filter(|(_, n)| *n > 0);
        ProxyFigures {
            since: self.0.since,
            n_open: sum(&|port| port.n_open),
            n_sockets: sum(&|port| port.n_sockets),
            by_class: std::array::from_fn(|class| sum(&|port| port.by_class[class])),
            refusals: refusals.map(|(reason, n)| (reason.to_owned(), n)).collect(),
        }
    }
}

impl api::SiteSource for SiteFacts {
    fn node(&self) -> &str {
        &self.0.node
    }

    fn capacity(&self) -> BoxFuture<'_, Result<Capacity, StoreError>> {
        self.promised().boxed()
    }

    fn site(&self) -> BoxFuture<'_, Result<Site, StoreError>> {
        async move {
            let capacity = self.promised().await?;
            let heartbeat = self.heartbeat().await;
            let (volumes, blocks) = self.storage().await;
            let node = Node {
                name: self.0.node.clone(),
                cordon: self.0.store.cordon_of(&self.0.node).await?,
                capacity,
                is_dispatching: heartbeat.is_alive,
                looked_at: heartbeat.looked_at.and_then(time),
            };
            let (proxy, config) = (self.proxy_figures(), self.0.config.clone());
            Ok(Site { nodes: vec![node], volumes, blocks, proxy, config })
        }
        .boxed()
    }
}

fn time(at: SystemTime) -> Option<Timestamp> {
    jiff::Timestamp::try_from(at).ok().map(Timestamp::from_jiff)
}

fn volume(volume: &BlockVolume) -> Volume {
    let (place, space) = match &volume.place {
        VolumePlace::Directory { root } => (root.display().to_string(), Some(Disk::at(root))),
        VolumePlace::S3(bucket) => {
            let server = bucket.endpoint.as_deref().unwrap_or("Amazon S3");
            (format!("bucket {} of {server}", bucket.bucket), None)
        }
    };
    let (space, trouble) = match space {
        None => (None, None),
        Some(Ok(space)) => (Some(space), None),
        Some(Err(error)) => (None, Some(error.to_string())),
    };
    Volume {
        name: volume.name.clone(),
        place,
        is_read_only: volume.read_only,
        free_bytes: space.map(|disk| disk.free_bytes),
        size_bytes: space.map(|disk| disk.size_bytes),
        trouble,
    }
}
