#!/usr/bin/env bash
# The image of the system tests: busybox and, in a second layer, the test server of crates/testkit
# with the shared libraries that it loads.
#   images/testapp.sh EXECUTABLE OUT     writes OUT/testapp.docker.tar and prints it
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
app=$(realpath "$1")
out=$(mkdir -p "$2" && cd "$2" && pwd)
# shellcheck source=images/busybox-root.sh
source "$here/busybox-root.sh"
base=$(mktemp -d)
top=$(mktemp -d)
trap 'rm -rf "$base" "$top"' EXIT
busybox_root "$base"
chmod 755 "$top"
mkdir -p "$top/bin"
strip -o "$top/bin/testkit-app" "$app" 2>/dev/null || cp "$app" "$top/bin/testkit-app"
chmod 755 "$top/bin/testkit-app"
# ldd prints "name => /path (address)" for libraries and "/path (address)" for the loader.
for library in $(ldd "$app" | grep -o '/[^ ]*'); do
  mkdir -p "$top$(dirname "$library")"
  cp -L "$library" "$top$library"
done
python3 "$here/pack.py" --name testapp:latest --layer "$base" --layer "$top" \
  --config '{"Cmd": ["/bin/testkit-app"]}' --docker "$out/testapp.docker.tar"
