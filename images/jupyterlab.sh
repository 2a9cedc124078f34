#!/usr/bin/env bash
# JupyterLab as a container image, from Debian's packages and the Python Package Index alone.
# Two layers: a minimal Debian with Python, kept in OUT/base-bookworm for the next time, and a
# virtual environment. Needs root, debootstrap and python3; about three minutes from nothing.
#   images/jupyterlab.sh OUT     writes OUT/jupyterlab.docker.tar and prints it
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=$(mkdir -p "$1" && cd "$1" && pwd)
# shellcheck source=images/debian-root.sh
source "$here/debian-root.sh"
debian_base "$out"
debian_layer "$out" jupyterlab '
  python3 -m venv /opt/venv
  /opt/venv/bin/pip install --no-compile jupyterlab'

TMPDIR=$work python3 "$here/pack.py" --name jupyterlab:latest --layer "$base" --layer "$layer" --keep-owner \
  --docker "$out/jupyterlab.docker.tar" --config '{
    "User": "1000:1000", "WorkingDir": "/home/user",
    "Env": ["PATH=/opt/venv/bin:/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8", "HOME=/home/user"],
    "Cmd": ["jupyter", "lab", "--no-browser", "--ip=127.0.0.1", "--port=8888"]}'
