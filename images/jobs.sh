#!/usr/bin/env bash
# What runs workflows inside a container: Arvados's arvados-cwl-runner of the Python Package Index, and the Node that it
# evaluates JavaScript with. Needs root, debootstrap, busybox-static and python3.
#   images/jobs.sh OUT VERSION     writes OUT/jobs.docker.tar, arvados/jobs:VERSION, and prints it
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=$(mkdir -p "$1" && cd "$1" && pwd)
version=$2
# shellcheck source=images/debian-root.sh
source "$here/debian-root.sh"
# shellcheck source=images/busybox-root.sh
source "$here/busybox-root.sh"
debian_base "$out"
debian_layer "$out" jobs "
  $(cat "$here/debian-thin.sh")
  apt-get update
  apt-get install -y --no-install-recommends nodejs
  python3 -m venv /opt/venv
  /opt/venv/bin/pip install --no-compile arvados-cwl-runner==$version
  rm -rf /opt/venv/lib/python3*/site-packages/pip*
  thin /opt/venv /usr/bin/node /usr/share/nodejs /usr/bin/python3 /usr/bin/python3.[0-9]* /usr/lib/python3.[0-9]* /etc/ssl/certs
  find /thin -name __pycache__ -prune -exec rm -rf {} +"

root=$work/root
mkdir "$root"
busybox_root "$root"
chown -R 1000:1000 "$root/home/user"
chmod 755 "$layer/thin"
TMPDIR=$work python3 "$here/pack.py" --name "arvados/jobs:$version" --layer "$root" --layer "$layer/thin" --keep-owner \
  --docker "$out/jobs.docker.tar" --config '{
    "User": "1000:1000", "WorkingDir": "/home/user", "Cmd": ["arvados-cwl-runner"],
    "Env": ["PATH=/opt/venv/bin:/usr/bin:/bin", "LANG=C.UTF-8", "HOME=/home/user", "PYTHONUNBUFFERED=1",
      "PYTHONDONTWRITEBYTECODE=1"]}'
