#!/usr/bin/env bash
# An image of busybox and, in a second layer, one program of this workspace or this machine with the shared libraries
# that it loads.
#   images/program.sh NAME EXECUTABLE OUT     writes OUT/NAME.docker.tar and prints it
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
name=$1
program=$(realpath "$2")
out=$(mkdir -p "$3" && cd "$3" && pwd)
# shellcheck source=images/busybox-root.sh
source "$here/busybox-root.sh"
base=$(mktemp -d)
top=$(mktemp -d)
trap 'rm -rf "$base" "$top"' EXIT
busybox_root "$base"
chmod 755 "$top"
mkdir -p "$top/bin"
inside=/bin/$(basename "$program")
strip -o "$top$inside" "$program" 2>/dev/null || cp "$program" "$top$inside"
chmod 755 "$top$inside"
# ldd prints "name => /path (address)" for libraries and "/path (address)" for the loader.
for library in $(ldd "$program" | grep -o '/[^ ]*'); do
  mkdir -p "$top$(dirname "$library")"
  cp -L "$library" "$top$library"
done
python3 "$here/pack.py" --name "$name:latest" --layer "$base" --layer "$top" \
  --config "{\"Cmd\": [\"$inside\"]}" --docker "$out/$name.docker.tar"
