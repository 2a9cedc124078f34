//! From the one config to what each role is told.

mod sign_in;

use crate::data_dir::DataDir;
use crate::edge::{CallLimits, EdgeLimits, Http2Limits, PlaceLimits};
use crate::machine;
use crate::secrets::Secrets;
use anyhow::{Context, Result};
use api::{
    ApiConfig, BindMounts, CollectionsConfig, InvitationsConfig, LivesConfig, TerminalsConfig,
};
use cli::DEFAULT_LISTEN;
use config::{Config, DatabaseUrl, Lifetimes};
use dashboard::DashboardConfig;
use dispatch::DispatchConfig;
use http::HeaderValue;
use limits::{FrameLimits, Rate};
use model::request_rules::{LifeRange, ServiceLives};
use model::{LifePolicy, VersionPolicy};
use proxy::{ProxyConfig, ProxyLimits, SessionKey};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

/// What may come at once of the frames that are counted.
const FRAME_BURST: Duration = Duration::from_secs(10);

/// The config: the local defaults for this directory and address, the file over them, and the database that flags or
/// environment name over that.
pub(crate) fn resolve(
    data: &Path,
    listen: Option<SocketAddr>,
    file: Option<&Path>,
    database: Option<&DatabaseUrl>,
) -> Result<Config> {
    let default = DEFAULT_LISTEN.parse().context("the default address")?;
    let data = std::path::absolute(data).with_context(|| format!("find {}", data.display()))?;
    let local = Config::local(data, listen.unwrap_or(default));
    let mut config = match file {
        None => local,
        Some(path) => config::RawConfig::load(path)?.resolve(local)?,
    };
    if let Some(url) = database {
        if let Err(what) = url.check() {
            anyhow::bail!("--database (or WHARF_DATABASE) {what}");
        }
        config.database.url = Some(url.clone());
    }
    Ok(config)
}

/// For the API.
pub(super) fn api(config: &Config) -> Result<ApiConfig> {
    let containers = &config.containers;
    let bind_mounts = match (containers.bind_mounts.is_empty(), containers.bind_mounts_for_all) {
        (true, _) => BindMounts::Nobody,
        (false, false) => BindMounts::AdminsOnly,
        (false, true) => BindMounts::Everyone,
    };
    Ok(ApiConfig {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        reserved_names: config.reserved_names(),
        bind_mounts,
        bind_directories: containers.bind_mounts.clone(),
        request_bytes_max: config.api.body_bytes_max.as_usize(),
        image_bytes_max: config.api.image_bytes_max.get(),
        collections: CollectionsConfig {
            replication: config.collections.default_replication,
            trash_lifetime: config.collections.default_trash_lifetime,
            versions: VersionPolicy {
                is_enabled: config.collections.collection_versioning,
                idle: config.collections.preserve_version_if_idle,
            },
        },
        lives: lives(&config.lifetimes),
        handoff_ttl: config.sessions.handoff_code_lifetime,
        login_ttl: config.sessions.sign_in_link_lifetime,
        invitations: InvitationsConfig {
            lifetime: config.sessions.invitation_lifetime,
            lifetime_max: config.sessions.invitation_lifetime_max,
            uses_max: config.sessions.invitation_uses_max,
        },
        session_ttl: config.sessions.session_lifetime,
        password_ttl: config.sessions.password_token_lifetime,
        password_tries_per_minute: config.sessions.password_tries_per_minute,
        event_sockets_max: config.api.event_sockets_max as usize,
        sign_in: sign_in::config(config)?,
        terminals: config.terminals.enabled.then_some(TerminalsConfig {
            per_container_max: config.terminals.per_container_max as usize,
            per_user_max: config.terminals.per_user_max as usize,
            keep_detached: config.terminals.keep_detached,
        }),
        ..ApiConfig::new(
            config.services.controller_url.clone(),
            config.services.service_domain.clone(),
        )
    })
}

/// How long containers live.
fn lives(config: &Lifetimes) -> LivesConfig {
    let limit = |limit: Duration| Some(limit).filter(|limit| !limit.is_zero());
    let range = |default, max| LifeRange { default: limit(default), max: limit(max) };
    LivesConfig {
        of_services: ServiceLives {
            max_run: range(config.max_run_time, config.max_run_time_limit),
            idle: range(config.idle_time, config.idle_time_limit),
        },
        policy: LifePolicy::new(config.warn_before, config.use_interval),
    }
}

/// For the service hosts.
pub(super) fn proxy(config: &Config, secrets: &Secrets) -> ProxyConfig {
    let services = &config.services;
    ProxyConfig {
        external_ports: services.external_ports.map(|(min, max)| min..=max),
        allow_unpublished_ports: services.allow_unpublished_ports,
        session_lifetime_max: config.sessions.session_lifetime,
        hsts_max_age: config.proxy.hsts_max_age,
        cors_origins: config.proxy.cors_origins.iter().map(|it| it.as_str().to_owned()).collect(),
        connect_timeout: config.proxy.connect_timeout,
        first_byte_timeout: Some(config.proxy.first_byte_timeout).filter(|limit| !limit.is_zero()),
        retry_after: config.proxy.retry_after,
        grant_age_max: config.proxy.grant_age_max,
        http2_streams_max_per_key: config.proxy.upstream_streams_max as usize,
        ports_counted_max: config.metrics.ports_max as usize,
        pool_idle_timeout: config.proxy.upstream_idle_timeout,
        pool_idle_max_per_key: config.proxy.upstream_idle_per_port as usize,
        pool_idle_max: config.proxy.upstream_idle_max as usize,
        front_proxies: config.proxy.front_proxies.clone(),
        limits: proxy_limits(config),
        ..ProxyConfig::new(
            config.cluster_id,
            services.service_domain.clone(),
            SessionKey::new(secrets.session_key),
            services.controller_url.clone(),
        )
    }
}

/// What browsers are told of https at the controller's own address. Not where it is an address of digits, for which
/// it has no effect, nor on a port of its own, since it would hold for whatever else the host serves.
pub(super) fn router_hsts(config: &Config) -> Option<HeaderValue> {
    let uri: http::Uri = config.services.controller_url.parse().ok()?;
    let is_own = uri.scheme_str() == Some("https") && matches!(uri.port_u16(), None | Some(443));
    let has_name = uri.host().is_some_and(|host| host.parse::<std::net::IpAddr>().is_err());
    let max_age_s = config.proxy.hsts_max_age.as_secs();
    if !is_own || !has_name || max_age_s == 0 {
        return None;
    }
    HeaderValue::try_from(format!("max-age={max_age_s}")).ok()
}

/// What services, users and addresses may ask of the service hosts.
fn proxy_limits(config: &Config) -> ProxyLimits {
    let proxy = &config.proxy;
    ProxyLimits {
        service_requests_per_second: proxy.service_requests_per_second,
        user_requests_per_second: proxy.user_requests_per_second,
        address_requests_per_second: proxy.address_requests_per_second,
        request_burst: proxy.request_burst,
        service_open_max: proxy.service_open_max,
        user_open_max: proxy.user_open_max,
        address_open_max: proxy.address_open_max,
        misses_per_second: proxy.misses_per_second,
        refusal_delay: proxy.refusal_delay,
        stall_timeout: proxy.stall_timeout,
        head_timeout: proxy.header_timeout,
        control_frames_per_second: proxy.control_frames_per_second,
        refusal_lines_per_second: config.log.refusal_lines_per_second,
    }
}

/// For the pages.
pub(super) fn dashboard(config: &Config, data: &DataDir, secrets: &Secrets) -> DashboardConfig {
    DashboardConfig {
        session_key: secrets.session_key,
        service_domain: config.services.service_domain.clone(),
        api_host: format!("localhost:{}", config.listen.port()),
        ca_file: Some(data.path().join("ca.pem")),
        controller_url: config.services.controller_url.clone(),
        trusted_clients: config
            .login
            .trusted_clients
            .iter()
            .map(|it| it.as_str().to_owned())
            .collect(),
        templates: config.dashboard.templates.iter().map(template).collect(),
        terminals: config.terminals.enabled,
    }
}

fn template(of: &config::Template) -> dashboard::Template {
    let of = of.clone();
    dashboard::Template {
        name: of.name,
        description: of.description,
        image: of.image,
        command: of.command,
        ports: of.ports,
        vcpus: of.vcpus,
        ram_bytes: of.ram.get(),
        idle: of.idle,
        max_life: of.max_life,
    }
}

/// For the dispatcher, and for what a controller does with supervisors.
pub(crate) fn dispatch(data: &DataDir, config: &Config) -> DispatchConfig {
    let containers = &config.containers;
    let (ram, vcpus) = (containers.ram.get(), containers.vcpus);
    let ram = if ram == 0 { machine::ram_bytes() } else { ram };
    let vcpus = if vcpus == 0 { machine::vcpus() } else { vcpus };
    DispatchConfig {
        node: machine::name(),
        containers_max: containers.max_running as usize,
        ram_overcommit: containers.ram_overcommit,
        cpu_overcommit: containers.vcpu_overcommit,
        scratch_overcommit: containers.scratch_overcommit,
        supervisor_fraction: containers.supervisor_fraction,
        stop_grace: containers.stop_grace,
        log_bytes_max: containers.log_bytes_max.get(),
        period: containers.reconcile_interval,
        warn_before: config.lifetimes.warn_before,
        use_interval: config.lifetimes.use_interval,
        blocks: Some(crate::blocks::store(config, data)),
        external_ports: config.services.external_ports.map(|(min, max)| min..=max),
        ..DispatchConfig::for_machine(data.path().to_owned(), ram, vcpus)
    }
}

/// For the edge.
pub(super) fn edge(config: &Config) -> Result<EdgeLimits> {
    let proxy = &config.proxy;
    let per_second = |n| Rate::per_second(n, FRAME_BURST);
    Ok(EdgeLimits {
        places: PlaceLimits {
            n_max: proxy.connections_max,
            n_per_address_max: proxy.connections_per_address_max,
            n_handshakes_max: proxy.handshakes_max,
            n_per_second: proxy.connections_per_second,
        },
        calls: CallLimits {
            n_open_max: config.api.open_requests_max,
            n_per_second: config.api.requests_per_second,
            n_misses_per_second: config.api.misses_per_second,
            refusal_delay: proxy.refusal_delay,
        },
        handshake_timeout: proxy.handshake_timeout,
        header_timeout: proxy.header_timeout,
        idle_timeout: proxy.idle_timeout,
        stall_timeout: proxy.stall_timeout,
        header_bytes_max: u32::try_from(proxy.header_bytes_max.get())?,
        http2: Http2Limits {
            n_streams_max: proxy.streams_max,
            frames: FrameLimits {
                control: per_second(proxy.control_frames_per_second),
                resets: per_second(proxy.resets_per_second),
            },
            stream_window: u32::try_from(proxy.stream_window.get())?,
            connection_window: u32::try_from(proxy.connection_window.get())?,
            keep_alive_interval: proxy.keep_alive_interval,
            keep_alive_timeout: proxy.keep_alive_timeout,
        },
        refusal_lines_per_second: config.log.refusal_lines_per_second,
    })
}

/// The names in a controller's certificate.
pub(super) fn certificate_names(config: &Config) -> Vec<String> {
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    names.push(config.services.service_domain.host_of("*").replace("*-", "*"));
    names.extend(host_of_url(&config.services.controller_url));
    names.retain(|name| name.rfind('*').is_none_or(|at| at == 0 && name[1..].starts_with('.')));
    names.sort();
    names.dedup();
    names
}

fn host_of_url(url: &str) -> Option<String> {
    let uri: http::Uri = url.parse().ok()?;
    uri.host().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hsts_at(controller_url: &str) -> Option<HeaderValue> {
        let mut config = Config::local("/nowhere".into(), ([127, 0, 0, 1], 8000).into());
        config.services.controller_url = controller_url.to_owned();
        router_hsts(&config)
    }

    #[test]
    fn t22_only_a_name_on_the_usual_port_is_said_to_be_https_alone() {
        let told = HeaderValue::from_static("max-age=31536000");
        assert_eq!(hsts_at("https://wharf.example.com/"), Some(told.clone()));
        assert_eq!(hsts_at("https://wharf.example.com:443/"), Some(told));
        for other in [
            "http://wharf.example.com/",
            "https://wharf.example.com:8443/",
            "https://192.0.2.1/",
            "http://localhost:8000/",
        ] {
            assert_eq!(hsts_at(other), None, "{other}");
        }
    }
}
