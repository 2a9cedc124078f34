#!/usr/bin/env bash
# Node as this machine has it, with busybox: for servers in JavaScript that are not ours. Needs node, busybox-static
# and python3.
#   images/node.sh OUT     writes OUT/node.docker.tar and prints it
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=$(mkdir -p "$1" && cd "$1" && pwd)
# shellcheck source=images/busybox-root.sh
source "$here/busybox-root.sh"
base=$(mktemp -d)
top=$(mktemp -d)
trap 'rm -rf "$base" "$top"' EXIT
busybox_root "$base"
chmod 755 "$top"
node=$(realpath "$(command -v node)")
mkdir -p "$top/bin"
cp "$node" "$top/bin/node"
chmod 755 "$top/bin/node"
# ldd prints "name => /path (address)" for libraries and "/path (address)" for the loader.
for library in $(ldd "$node" | grep -o '/[^ ]*'); do
  mkdir -p "$top$(dirname "$library")"
  cp -L "$library" "$top$library"
done
python3 "$here/pack.py" --name node:latest --layer "$base" --layer "$top" \
  --config '{"Cmd": ["/bin/node"]}' --docker "$out/node.docker.tar"
