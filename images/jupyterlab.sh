#!/usr/bin/env bash
# JupyterLab as a container image, from Debian's packages and the Python Package Index alone.
# Two layers: a minimal Debian with Python, kept in OUT/base-bookworm for the next time, and a
# virtual environment. Needs root, debootstrap and python3; about three minutes from nothing.
#   images/jupyterlab.sh OUT     writes OUT/jupyterlab.docker.tar and prints it
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=$(mkdir -p "$1" && cd "$1" && pwd)
suite=bookworm
base=$out/base-$suite
[ "$(id -u)" = 0 ] || { echo "images/jupyterlab.sh needs root: debootstrap and chroot do" >&2; exit 1; }

# The mirror that this machine is set up with, in either format of its list.
mirror=$(awk '/^URIs:/ {print $2; exit}' /etc/apt/sources.list.d/debian.sources 2>/dev/null || true)
[ -n "$mirror" ] || mirror=$(awk '$1 == "deb" {print $2; exit}' /etc/apt/sources.list)

if [ ! -e "$base/.done" ]; then
  rm -rf "$base"
  mkdir -p "$base"
  # In a mount namespace of its own, so that what debootstrap mounts goes away with it.
  unshare -m --propagation private debootstrap --variant=minbase \
    --include=python3,python3-venv,ca-certificates "$suite" "$base" "$mirror" \
    >"$out/debootstrap.log" 2>&1 || { tail -20 "$out/debootstrap.log" >&2; exit 1; }
  rm -rf "$base"/var/cache/apt/archives/*.deb "$base"/var/lib/apt/lists/* \
    "$base"/usr/share/{doc,locale,man}/*
  # The package index may be reached through a certificate authority of the site.
  cp /etc/ssl/certs/ca-certificates.crt "$base/etc/ssl/certs/ca-certificates.crt"
  chroot "$base" useradd -m -u 1000 -s /bin/bash user
  touch "$base/.done"
fi

work=$(mktemp -d "$out/build.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir "$work"/{upper,work,merged}
export base work
# The overlay's upper directory becomes the second layer.
unshare -m --propagation private bash -euo pipefail -c '
  mount -t overlay overlay -o "lowerdir=$base,upperdir=$work/upper,workdir=$work/work" "$work/merged"
  root=$work/merged
  mount --bind /proc "$root/proc"
  mount --bind /dev "$root/dev"
  for file in /etc/resolv.conf /etc/pip.conf; do
    [ -e "$file" ] || continue
    touch "$root$file"
    mount --bind "$file" "$root$file"
  done
  chroot "$root" python3 -m venv /opt/venv
  chroot "$root" env HOME=/root PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 \
    /opt/venv/bin/pip install --no-compile jupyterlab
' >"$out/pip.log" 2>&1 || { tail -20 "$out/pip.log" >&2; exit 1; }
rm -rf "$work"/upper/etc/{resolv.conf,pip.conf} "$work"/upper/root/.cache "$work"/upper/tmp/*

TMPDIR=$work python3 "$here/pack.py" --name jupyterlab:latest --layer "$base" --layer "$work/upper" --keep-owner \
  --docker "$out/jupyterlab.docker.tar" --config '{
    "User": "1000:1000", "WorkingDir": "/home/user",
    "Env": ["PATH=/opt/venv/bin:/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8", "HOME=/home/user"],
    "Cmd": ["jupyter", "lab", "--no-browser", "--ip=127.0.0.1", "--port=8888"]}'
