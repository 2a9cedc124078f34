#!/usr/bin/env bash
# PostgreSQL as Debian packs it, with busybox and without the rest of Debian. The default command makes an empty cluster
# that trusts whoever reaches it. Needs root, debootstrap, busybox-static and python3.
#   images/postgresql.sh OUT     writes OUT/postgresql.docker.tar and prints it
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=$(mkdir -p "$1" && cd "$1" && pwd)
# shellcheck source=images/debian-root.sh
source "$here/debian-root.sh"
# shellcheck source=images/busybox-root.sh
source "$here/busybox-root.sh"
debian_base "$out"
# No cluster of the package's own, and nothing started while it is installed. The compiler for queries is left out: it
# is most of the bytes, and is loaded only where it is switched on.
debian_layer "$out" postgresql "
  $(cat "$here/debian-thin.sh")"'
  mkdir -p /etc/postgresql-common
  echo "create_main_cluster = false" >/etc/postgresql-common/createcluster.conf
  printf "#!/bin/sh\nexit 101\n" >/usr/sbin/policy-rc.d
  chmod 755 /usr/sbin/policy-rc.d
  apt-get update
  apt-get install -y --no-install-recommends postgresql
  rm -rf /usr/lib/postgresql/*/lib/{bitcode,llvmjit*}
  ln -s /usr/lib/postgresql/*/bin /opt/postgresql
  thin /opt/postgresql /usr/lib/postgresql /usr/share/postgresql /usr/share/zoneinfo'

root=$work/root
mkdir "$root"
busybox_root "$root"
chown -R 1000:1000 "$root/home/user"
chmod 755 "$layer/thin"
TMPDIR=$work python3 "$here/pack.py" --name postgresql:latest --layer "$root" --layer "$layer/thin" --keep-owner \
  --docker "$out/postgresql.docker.tar" --config '{
    "User": "1000:1000", "WorkingDir": "/home/user",
    "Env": ["PATH=/opt/postgresql:/bin", "HOME=/home/user"],
    "Cmd": ["sh", "-c", "initdb -D data -A trust -E UTF8 --locale=C --no-sync && exec postgres -D data -k /tmp"]}'
