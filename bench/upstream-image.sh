#!/usr/bin/env bash
# An image with Debian's nginx that serves a static 1 KiB file on port 8080: an upstream that is
# quick enough not to be the thing that is measured.
#   bench/upstream-image.sh OUT     writes OUT/bench-upstream.docker.tar and prints it
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=$(mkdir -p "$1" && cd "$1" && pwd)
# shellcheck source=images/busybox-root.sh
source "$here/../images/busybox-root.sh"
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
busybox_root "$root"
nginx=$(command -v nginx || echo /usr/sbin/nginx)
mkdir -p "$root"/{usr/sbin,www,var/log/nginx,var/lib/nginx,etc/nginx}
cp "$nginx" "$root/usr/sbin/nginx"
for library in $(ldd "$nginx" | grep -o '/[^ ]*') /lib/x86_64-linux-gnu/libnss_files.so.2; do
  [ -e "$library" ] || continue
  mkdir -p "$root$(dirname "$library")"
  cp -L "$library" "$root$library"
done
head -c 1024 /dev/zero | tr '\0' x >"$root/www/1k"
cat >"$root/etc/nginx/bench.conf" <<'CONF'
daemon off; master_process off; pid /tmp/nginx.pid; error_log stderr warn;
events { worker_connections 4096; }
http {
  access_log off; keepalive_requests 1000000000; client_body_temp_path /tmp/body;
  proxy_temp_path /tmp/proxy; fastcgi_temp_path /tmp/f; uwsgi_temp_path /tmp/u; scgi_temp_path /tmp/s;
  server { listen 127.0.0.1:8080 backlog=4096; root /www; }
}
CONF
python3 "$here/../images/pack.py" --name bench-upstream:latest --layer "$root" \
  --config '{"Cmd": ["/usr/sbin/nginx", "-c", "/etc/nginx/bench.conf"]}' \
  --docker "$out/bench-upstream.docker.tar"
