#!/usr/bin/env python3
"""Packs directories as the layers of a container image, with the standard library only.

    pack.py --name REPO:TAG --layer DIR [--layer DIR]... [--config JSON] [--keep-owner]
            [--docker FILE] [--oci FILE]

Layers go in from the bottom up. JSON is the `config` object of an OCI image (Cmd, Env, User, ...).
Output is the same for the same input: names sorted, times zero, owners root unless --keep-owner.
A FILE that ends in .gz is compressed as a whole; the layers of an OCI archive are always gzip.
"""
import argparse
import gzip
import hashlib
import io
import json
import os
import shutil
import stat
import tarfile
import tempfile

EPOCH = "1970-01-01T00:00:00Z"
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def digest_of(path):
    """The hex SHA-256 of a file and its size in bytes."""
    sha = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            sha.update(block)
    return sha.hexdigest(), os.path.getsize(path)


def write_layer(directory, path, keep_owner):
    """Writes `directory` as a layer tar; sockets are left out, as every packer does."""

    def plain(entry):
        entry.mtime = 0
        if not keep_owner:
            entry.uid = entry.gid = 0
            entry.uname = entry.gname = "root"
        return entry

    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        for folder, directories, files in os.walk(directory):
            directories.sort()
            for name in sorted(directories + files):
                full = os.path.join(folder, name)
                if not stat.S_ISSOCK(os.lstat(full).st_mode):
                    tar.add(full, os.path.relpath(full, directory), recursive=False, filter=plain)


def add_bytes(tar, name, content):
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), 0o644
    tar.addfile(entry, io.BytesIO(content))


def add_file(tar, name, path):
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = os.path.getsize(path), 0o644
    with open(path, "rb") as file:
        tar.addfile(entry, file)


def open_archive(path):
    return tarfile.open(path + ".part", "w:gz" if path.endswith(".gz") else "w")


def write_docker(path, name, config, layers):
    """A docker-archive: manifest.json, the config under its digest, one layer.tar per layer."""
    config_digest = hashlib.sha256(config).hexdigest()
    with open_archive(path) as tar:
        add_bytes(tar, config_digest + ".json", config)
        for diff_id, layer in layers:
            add_file(tar, diff_id + "/layer.tar", layer)
        manifest = [{
            "Config": config_digest + ".json",
            "RepoTags": [name],
            "Layers": [diff_id + "/layer.tar" for diff_id, _ in layers],
        }]
        add_bytes(tar, "manifest.json", json.dumps(manifest).encode())
    os.replace(path + ".part", path)


def write_oci(path, name, config, layers, work):
    """An OCI layout in a tar: oci-layout, index.json and blobs by digest."""
    kind = "application/vnd.oci.image."

    def descriptor(media_type, digest, size, **more):
        return {"mediaType": kind + media_type, "digest": "sha256:" + digest, "size": size, **more}

    with open_archive(path) as tar:
        described = []
        for diff_id, layer in layers:
            packed = os.path.join(work, diff_id + ".gz")
            with open(layer, "rb") as source, open(packed, "wb") as out:
                with gzip.GzipFile("", "wb", 6, out, mtime=0) as squeezed:
                    shutil.copyfileobj(source, squeezed, 1 << 20)
            digest, size = digest_of(packed)
            add_file(tar, "blobs/sha256/" + digest, packed)
            described.append(descriptor("layer.v1.tar+gzip", digest, size))
        config_digest = hashlib.sha256(config).hexdigest()
        add_bytes(tar, "blobs/sha256/" + config_digest, config)
        manifest = json.dumps({
            "schemaVersion": 2,
            "mediaType": kind + "manifest.v1+json",
            "config": descriptor("config.v1+json", config_digest, len(config)),
            "layers": described,
        }).encode()
        manifest_digest = hashlib.sha256(manifest).hexdigest()
        add_bytes(tar, "blobs/sha256/" + manifest_digest, manifest)
        named = {"annotations": {"org.opencontainers.image.ref.name": name}}
        index = {"schemaVersion": 2, "manifests": [
            descriptor("manifest.v1+json", manifest_digest, len(manifest), **named)]}
        add_bytes(tar, "oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
        add_bytes(tar, "index.json", json.dumps(index).encode())
    os.replace(path + ".part", path)


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--name", required=True)
    options.add_argument("--layer", action="append", required=True)
    options.add_argument("--config", default="{}")
    options.add_argument("--keep-owner", action="store_true")
    options.add_argument("--docker")
    options.add_argument("--oci")
    options = options.parse_args()
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR", "/tmp")) as work:
        layers = []
        for number, directory in enumerate(options.layer):
            path = os.path.join(work, f"{number}.tar")
            write_layer(directory, path, options.keep_owner)
            layers.append((digest_of(path)[0], path))
        settings = {"Env": [PATH], "WorkingDir": "/", **json.loads(options.config)}
        config = json.dumps({
            "created": EPOCH,
            "architecture": {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine),
            "os": "linux",
            "config": settings,
            "rootfs": {"type": "layers", "diff_ids": ["sha256:" + d for d, _ in layers]},
        }, sort_keys=True).encode()
        if options.docker:
            write_docker(options.docker, options.name, config, layers)
            print(options.docker)
        if options.oci:
            write_oci(options.oci, options.name, config, layers, work)
            print(options.oci)


main()
