//! A job as a container request.

use client::NewRequest;
use cwl::stage::{Content, Staged};
use model::request_rules::CONNECTIONS_MAX;
use model::{Access, ContainerPort, JsonMap, PublishedPort, PublishedPorts, RequestState};
use serde_json::{Value, json};

use super::inputs::{Inputs, path_in_inputs};
use crate::job::{Job, PlaceKind};
use crate::serving::{Reach, Way};

/// In the middle of 1 to 1000, as `wharf run` has it.
const PRIORITY: u32 = 500;

/// The request for a job whose inputs were sent, with ways to the services that it uses.
pub(super) fn of(job: &Job, sent: &Inputs, connect: JsonMap) -> Result<NewRequest, String> {
    let PlaceKind::Remote(image) = &job.place.kind else {
        return Err("a container request needs an image".to_owned());
    };
    let is_service = !job.ports.is_empty();
    let mut environment: std::collections::BTreeMap<String, String> =
        job.environment.iter().cloned().collect();
    for (name, value) in [("HOME", &job.place.outdir), ("TMPDIR", &job.place.tmpdir)] {
        environment.entry(name.to_owned()).or_insert_with(|| value.clone());
    }
    let mut constraints = JsonMap::new();
    constraints.insert("vcpus".to_owned(), job.resources.cores.max(1).into());
    constraints.insert("ram".to_owned(), mib(job.resources.ram_mib).into());
    if !connect.is_empty() {
        constraints.insert("connect".to_owned(), Value::Object(connect));
    }
    let mut scheduling = JsonMap::new();
    if let Some(seconds) = job.time_limit {
        scheduling.insert("max_run_time".to_owned(), seconds.into());
    }
    Ok(NewRequest {
        name: job.name.clone(),
        state: RequestState::Committed,
        priority: PRIORITY,
        command: job.command.clone(),
        container_image: image.clone(),
        environment,
        cwd: job.place.outdir.clone(),
        output_path: job.place.outdir.clone(),
        mounts: mounts(job, sent)?,
        secret_mounts: secrets(job),
        runtime_constraints: constraints,
        scheduling_parameters: scheduling,
        service: is_service,
        // The address of a service says nothing of what it gave.
        use_existing: job.reuse
            && !is_service
            && job.ways.is_empty()
            && secrets(job).is_empty()
            // An earlier one may have had more time.
            && job.time_limit.is_none(),
        output_glob: job.output_glob.clone(),
        expires_at: None,
        published_ports: ports(job)?,
        properties: JsonMap::new(),
    })
}

/// Ways to the services that a program uses: addresses on its own loopback. No credential goes with them.
pub(super) async fn connections(ways: &[Way]) -> Result<JsonMap, String> {
    if ways.len() > CONNECTIONS_MAX {
        return Err(format!("it uses {} services; at most {CONNECTIONS_MAX}", ways.len()));
    }
    let mut all = JsonMap::new();
    for way in ways {
        let Reach::Container(container) = way.to.find().await? else {
            return Err("a service of this process cannot be reached from an instance".to_owned());
        };
        let to = json!({ "container": container, "port": way.port });
        all.insert(way.address.to_string(), to);
    }
    Ok(all)
}

/// Files whose text nobody is shown again.
fn secrets(job: &Job) -> JsonMap {
    let secret = |staged: &Staged| match &staged.content {
        Content::Secret(text) => {
            let mount = json!({ "kind": "text", "content": text.expose() });
            Some((staged.target.clone(), mount))
        }
        _ => None,
    };
    job.staged.iter().filter_map(secret).collect()
}

fn mib(number: u64) -> u64 {
    number.saturating_mul(1 << 20)
}

fn mounts(job: &Job, sent: &Inputs) -> Result<JsonMap, String> {
    let outdir = &job.place.outdir;
    let tmp = |capacity: u64| json!({ "kind": "tmp", "capacity": mib(capacity) });
    let mut mounts = JsonMap::new();
    mounts.insert(outdir.clone(), tmp(job.resources.outdir_mib));
    mounts.insert(job.place.tmpdir.clone(), tmp(job.resources.tmpdir_mib));
    let part = |path: &str, writable: bool| {
        let mut mount =
            json!({ "kind": "collection", "portable_data_hash": sent.hash, "path": path });
        if writable {
            mount["writable"] = Value::Bool(true);
        }
        mount
    };
    if sent.tree.get("stg").is_some() {
        mounts.insert(job.place.stage_root.clone(), part("stg", false));
    }
    for (n, staged) in job.staged.iter().enumerate() {
        let path = path_in_inputs(job, n, staged);
        if path.starts_with("abs/") && !matches!(staged.content, Content::Secret(_)) {
            mounts.insert(staged.target.clone(), part(&path, false));
        }
    }
    for (name, _) in sent.tree.get("out").into_iter().flat_map(manifest::Node::entries) {
        mounts.insert(format!("{outdir}/{name}"), part(&format!("out/{name}"), true));
    }
    for (stream, name) in [("stdout", &job.stdout), ("stderr", &job.stderr)] {
        if let Some(name) = name {
            mounts.insert(
                stream.to_owned(),
                json!({ "kind": "file", "path": format!("{outdir}/{name}") }),
            );
        }
    }
    if let Some(path) = &job.stdin {
        let below =
            |root: &str, part: &str| path.strip_prefix(root).map(|rest| format!("{part}{rest}"));
        let sent = below(&job.place.stage_root, "stg").or_else(|| below(outdir, "out"));
        let sent = sent.ok_or_else(|| format!("stdin {path:?} is no input"))?;
        mounts.insert("stdin".to_owned(), part(&sent, false));
    }
    Ok(mounts)
}

fn ports(job: &Job) -> Result<PublishedPorts, String> {
    let mut ports = PublishedPorts::default();
    for port in &job.ports {
        let number =
            ContainerPort::new(port.port).ok_or_else(|| format!("{} is no port", port.port))?;
        let access = if port.is_public { Access::Public } else { Access::Private };
        ports.insert(
            number,
            PublishedPort::new(access, port.label.clone(), port.initial_path.clone()),
        );
    }
    Ok(ports)
}
