#!/usr/bin/env bash
# The smallest image of the tests: Debian's static busybox, a page, and a CGI that shows what the
# proxy sent. Needs busybox-static and python3.
#   images/busybox.sh OUT     writes OUT/busybox.docker.tar and OUT/busybox.oci.tar, prints both
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=$(mkdir -p "$1" && cd "$1" && pwd)
# shellcheck source=images/busybox-root.sh
source "$here/busybox-root.sh"
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
busybox_root "$root"
mkdir -p "$root/www/cgi-bin"
echo '<h1>hello from busybox</h1>' >"$root/www/index.html"
printf '#!/bin/sh\nprintf "Content-Type: text/plain\\r\\n\\r\\n"\nenv | sort\n' >"$root/www/cgi-bin/env"
chmod 755 "$root/www/cgi-bin/env"
python3 "$here/pack.py" --name busybox:latest --layer "$root" \
  --config '{"Cmd": ["/bin/httpd", "-f", "-p", "0.0.0.0:8080", "-h", "/www"]}' \
  --docker "$out/busybox.docker.tar" --oci "$out/busybox.oci.tar"
