#!/usr/bin/env bash
# Python servers that are not ours, for the protocol tests: busybox, Python, and packages of the Python Package Index,
# without the rest of Debian. Needs root, debootstrap, busybox-static and python3.
#   images/python.sh OUT PACKAGE...     writes OUT/python.docker.tar and prints it
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=$(mkdir -p "$1" && cd "$1" && pwd)
shift
# shellcheck source=images/debian-root.sh
source "$here/debian-root.sh"
# shellcheck source=images/busybox-root.sh
source "$here/busybox-root.sh"
debian_base "$out"
debian_layer "$out" python "
  $(cat "$here/debian-thin.sh")
  python3 -m venv /opt/venv
  /opt/venv/bin/pip install --no-compile $*
  rm -rf /opt/venv/lib/python3*/site-packages/{pip,setuptools}*
  thin /opt/venv /usr/bin/python3 /usr/bin/python3.[0-9]* /usr/lib/python3.[0-9]*
  find /thin -name __pycache__ -prune -exec rm -rf {} +"

root=$work/root
mkdir "$root"
busybox_root "$root"
chown -R 1000:1000 "$root/home/user"
chmod 755 "$layer/thin"
TMPDIR=$work python3 "$here/pack.py" --name python:latest --layer "$root" --layer "$layer/thin" --keep-owner \
  --docker "$out/python.docker.tar" --config '{
    "User": "1000:1000", "WorkingDir": "/home/user", "Cmd": ["python3"],
    "Env": ["PATH=/opt/venv/bin:/usr/bin:/bin", "LANG=C.UTF-8", "HOME=/home/user", "PYTHONUNBUFFERED=1",
      "PYTHONDONTWRITEBYTECODE=1"]}'
