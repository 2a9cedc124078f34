#!/usr/bin/env bash
# Stands for the images that the CWL conformance suite names, which are in no package: a minimal Debian whose Python is
# also called `python`. Needs root, debootstrap and python3.
#   images/cwl.sh OUT     writes OUT/cwl.docker.tar, cwl:latest, and prints it
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=$(mkdir -p "$1" && cd "$1" && pwd)
# shellcheck source=images/debian-root.sh
source "$here/debian-root.sh"
debian_base "$out"
debian_layer "$out" cwl 'ln -s python3 /usr/bin/python'
chmod 755 "$layer"
TMPDIR=$work python3 "$here/pack.py" --name cwl:latest --layer "$base" --layer "$layer" --keep-owner \
  --docker "$out/cwl.docker.tar" --config '{"Cmd": ["bash"],
    "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]}'
