//! Layers and image archives, written entry by entry, good and bad ones.

use std::fmt::Write as _;
use std::io::Write as _;

/// A layer being written.
pub(crate) struct Layer(tar::Builder<Vec<u8>>);

impl Layer {
    pub(crate) fn new() -> Self {
        Self(tar::Builder::new(Vec::new()))
    }

    /// Any entry; the name is written as it is, so that it may be as bad as one likes.
    pub(crate) fn entry(
        mut self,
        kind: tar::EntryType,
        name: &[u8],
        mode: u32,
        link: &[u8],
        data: &[u8],
    ) -> Self {
        let mut header = tar::Header::new_gnu();
        header.as_old_mut().name[..name.len()].copy_from_slice(name);
        header.as_old_mut().linkname[..link.len()].copy_from_slice(link);
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(1_000_000_000);
        header.set_size(data.len() as u64);
        header.set_cksum();
        self.0.append(&header, data).expect("memory takes it");
        self
    }

    pub(crate) fn dir(self, name: &str, mode: u32) -> Self {
        self.entry(tar::EntryType::Directory, name.as_bytes(), mode, b"", b"")
    }

    pub(crate) fn file(self, name: &str, mode: u32, data: impl AsRef<[u8]>) -> Self {
        self.entry(tar::EntryType::Regular, name.as_bytes(), mode, b"", data.as_ref())
    }

    pub(crate) fn symlink(self, name: &str, target: &str) -> Self {
        self.entry(tar::EntryType::Symlink, name.as_bytes(), 0o777, target.as_bytes(), b"")
    }

    pub(crate) fn hard_link(self, name: &str, target: &str) -> Self {
        self.entry(tar::EntryType::Link, name.as_bytes(), 0o644, target.as_bytes(), b"")
    }

    pub(crate) fn owned(mut self, name: &str, mode: u32, uid: u64, kind: tar::EntryType) -> Self {
        let mut header = tar::Header::new_gnu();
        header.set_path(name).expect("a short name");
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(uid);
        header.set_gid(uid);
        header.set_mtime(1);
        header.set_size(0);
        header.set_cksum();
        self.0.append(&header, std::io::empty()).expect("memory takes it");
        self
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.0.into_inner().expect("memory takes it")
    }
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
    digest.as_ref().iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").expect("memory takes it");
        hex
    })
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("memory takes it");
    encoder.finish().expect("memory takes it")
}

/// The image's configuration for these (uncompressed) layers.
pub(crate) fn config(layers: &[Vec<u8>]) -> Vec<u8> {
    let diff_ids: Vec<_> = layers.iter().map(|layer| format!("sha256:{}", sha256(layer))).collect();
    let arch = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    serde_json::to_vec(&serde_json::json!({
        "architecture": arch, "os": "linux", "created": "2026-01-02T03:04:05.678Z",
        "config": {"Cmd": ["sh"], "Entrypoint": null, "Env": ["A=b"], "WorkingDir": "/www", "User": "web"},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    }))
    .expect("json")
}

/// As `docker save` writes it. `stored` are the layers as they lie in the archive.
pub(crate) fn docker_archive(name: &str, config: &[u8], stored: &[Vec<u8>]) -> Vec<u8> {
    let names: Vec<_> = (0..stored.len()).map(|n| format!("{n}/layer.tar")).collect();
    let manifest =
        serde_json::json!([{"Config": "config.json", "RepoTags": [name], "Layers": names}]);
    let mut archive = Layer::new().file("config.json", 0o644, config);
    for (name, layer) in names.iter().zip(stored) {
        archive = archive.file(name, 0o644, layer);
    }
    archive.file("manifest.json", 0o644, manifest.to_string()).finish()
}

/// As `skopeo copy … oci-archive:` writes it, with a manifest for another machine beside ours.
pub(crate) fn oci_archive(name: &str, config: &[u8], stored: &[Vec<u8>]) -> Vec<u8> {
    let digest = |bytes: &[u8]| format!("sha256:{}", sha256(bytes));
    let layers: Vec<_> = stored
        .iter()
        .map(|layer| serde_json::json!({"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": digest(layer), "size": layer.len()}))
        .collect();
    let manifest = serde_json::json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest(config), "size": config.len()},
        "layers": layers,
    })
    .to_string();
    let arch = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    let inner = serde_json::json!({"schemaVersion": 2, "manifests": [
        {"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": format!("sha256:{}", "0".repeat(64)), "size": 1,
         "platform": {"os": "linux", "architecture": "s390x"}},
        {"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest(manifest.as_bytes()), "size": manifest.len(),
         "platform": {"os": "linux", "architecture": arch}},
    ]})
    .to_string();
    let index = serde_json::json!({"schemaVersion": 2, "manifests": [
        {"mediaType": "application/vnd.oci.image.index.v1+json", "digest": digest(inner.as_bytes()), "size": inner.len(),
         "annotations": {"io.containerd.image.name": name}},
    ]})
    .to_string();
    let blob = |bytes: &[u8]| format!("blobs/sha256/{}", sha256(bytes));
    let mut archive = Layer::new()
        .file("index.json", 0o644, &index)
        .file("oci-layout", 0o644, r#"{"imageLayoutVersion":"1.0.0"}"#)
        .file(&blob(inner.as_bytes()), 0o644, &inner)
        .file(&blob(manifest.as_bytes()), 0o644, &manifest)
        .file(&blob(config), 0o644, config);
    for layer in stored {
        archive = archive.file(&blob(layer), 0o644, layer);
    }
    archive.finish()
}
