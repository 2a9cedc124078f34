"""Puts the image of an OCI layout (a tar) into a registry, by the registry's own HTTP API.

Usage: push_image.py http://HOST:PORT LAYOUT.tar REPOSITORY [USER:PASSWORD]

The image gets the tag `plain`, an index with it for this machine and another one for s390x gets `multi`, and an index without
one for this machine `foreign`. Prints the digest of the image's manifest.
"""

import base64
import hashlib
import json
import platform
import sys
import tarfile
import urllib.request

base, layout, repository = sys.argv[1:4]
login = sys.argv[4] if len(sys.argv) > 4 else None
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
HERE = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())


def ask(method, url, body=b"", kind="application/octet-stream"):
    request = urllib.request.Request(url, data=body, method=method)
    request.add_header("Content-Type", kind)
    if login:
        request.add_header("Authorization", "Basic " + base64.b64encode(login.encode()).decode())
    return urllib.request.urlopen(request, timeout=60)


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def put_blob(data):
    place = ask("POST", f"{base}/v2/{repository}/blobs/uploads/").headers["Location"]
    place = place if place.startswith("http") else base + place
    separator = "&" if "?" in place else "?"
    ask("PUT", f"{place}{separator}digest={digest(data)}", data)


def put_manifest(tag, data, kind):
    ask("PUT", f"{base}/v2/{repository}/manifests/{tag}", data, kind)


def entry(data, architecture):
    about = {"os": "linux", "architecture": architecture}
    return {"mediaType": MANIFEST, "digest": digest(data), "size": len(data), "platform": about}


def put_index(tag, *manifests):
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": list(manifests)}
    put_manifest(tag, json.dumps(index).encode(), INDEX)


with tarfile.open(layout) as archive:
    files = {member.name.removeprefix("./"): archive.extractfile(member).read() for member in archive if member.isfile()}
[named] = json.loads(files["index.json"])["manifests"]
manifest = files["blobs/sha256/" + named["digest"].removeprefix("sha256:")]
about = json.loads(manifest)
for blob in [about["config"], *about["layers"]]:
    put_blob(files["blobs/sha256/" + blob["digest"].removeprefix("sha256:")])
put_manifest("plain", manifest, MANIFEST)
other = json.dumps({**about, "annotations": {"for": "s390x"}}).encode()
put_manifest(digest(other), other, MANIFEST)
put_index("multi", entry(other, "s390x"), entry(manifest, HERE))
put_index("foreign", entry(other, "s390x"))
print(digest(manifest))
