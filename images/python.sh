#!/usr/bin/env bash
# Python servers that are not ours, for the protocol tests: gRPC, httpbin under gunicorn, WebSockets. From Debian's
# packages and the Python Package Index, above the same base as JupyterLab; half a minute beyond that.
#   images/python.sh OUT PACKAGE...     writes OUT/python.docker.tar and prints it
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=$(mkdir -p "$1" && cd "$1" && pwd)
shift
# shellcheck source=images/debian-root.sh
source "$here/debian-root.sh"
debian_base "$out"
debian_layer "$out" python "
  python3 -m venv /opt/venv
  /opt/venv/bin/pip install --no-compile $*"

TMPDIR=$work python3 "$here/pack.py" --name python:latest --layer "$base" --layer "$layer" --keep-owner \
  --docker "$out/python.docker.tar" --config '{
    "User": "1000:1000", "WorkingDir": "/home/user", "Cmd": ["python3"],
    "Env": ["PATH=/opt/venv/bin:/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8", "HOME=/home/user", "PYTHONUNBUFFERED=1"]}'
