# Sourced: minimal Debian with Python as a base layer, and layers above it. Needs root and debootstrap.
#   debian_base OUT                 fills OUT/base-bookworm where it is missing; sets $base
#   debian_layer OUT NAME SCRIPT    runs SCRIPT as root inside the base; sets $layer to a directory of what it
#                                   changed; log in OUT/NAME.log. $layer goes away with the caller.
suite=bookworm

debian_base() {
  local out=$1 mirror
  base=$out/base-$suite
  [ "$(id -u)" = 0 ] || { echo "$0 needs root: debootstrap and chroot do" >&2; exit 1; }
  [ ! -e "$base/.done" ] || return 0
  # The mirror that this machine is set up with, in either format of its list.
  mirror=$(awk '/^URIs:/ {print $2; exit}' /etc/apt/sources.list.d/debian.sources 2>/dev/null || true)
  [ -n "$mirror" ] || mirror=$(awk '$1 == "deb" {print $2; exit}' /etc/apt/sources.list)
  rm -rf "$base"
  mkdir -p "$base"
  # In a mount namespace of its own, so that what debootstrap mounts goes away with it.
  unshare -m --propagation private debootstrap --variant=minbase \
    --include=python3,python3-venv,ca-certificates "$suite" "$base" "$mirror" \
    >"$out/debootstrap.log" 2>&1 || { tail -20 "$out/debootstrap.log" >&2; exit 1; }
  rm -rf "$base"/var/cache/apt/archives/*.deb "$base"/var/lib/apt/lists/* \
    "$base"/usr/share/{doc,locale,man}/*
  # The package index may be reached through a certificate authority of the site.
  cp /etc/ssl/certs/ca-certificates.crt "$base/etc/ssl/certs/ca-certificates.crt"
  chroot "$base" useradd -m -u 1000 -s /bin/bash user
  touch "$base/.done"
}

debian_layer() {
  local out=$1 name=$2
  script=$3
  work=$(mktemp -d "$out/build.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  mkdir "$work"/{upper,work,merged}
  layer=$work/upper
  export base work script
  # The overlay's upper directory becomes the layer.
  unshare -m --propagation private bash -euo pipefail -c '
    mount -t overlay overlay -o "lowerdir=$base,upperdir=$work/upper,workdir=$work/work" "$work/merged"
    root=$work/merged
    mount --bind /proc "$root/proc"
    mount --bind /dev "$root/dev"
    for file in /etc/resolv.conf /etc/pip.conf; do
      [ -e "$file" ] || continue
      touch "$root$file"
      mount --bind "$file" "$root$file"
    done
    chroot "$root" env -i HOME=/root PATH=/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin \
      DEBIAN_FRONTEND=noninteractive PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 bash -euo pipefail -c "$script"
  ' >"$out/$name.log" 2>&1 || { tail -20 "$out/$name.log" >&2; exit 1; }
  rm -rf "$layer"/etc/{resolv.conf,pip.conf} "$layer"/root/.cache "$layer"/tmp/*
}
