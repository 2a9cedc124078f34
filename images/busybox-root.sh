# Sourced: busybox_root DIR fills DIR with a root file system around Debian's static busybox.
busybox_root() {
  local root=$1 applet
  chmod 755 "$root"
  mkdir -p "$root"/{bin,dev,etc,proc,sys,tmp,root,run,home/user,var/tmp,usr/bin}
  chmod 1777 "$root/tmp" "$root/var/tmp"
  cp "$(command -v busybox)" "$root/bin/busybox"
  # Real links, so that the image works without an --install at its start.
  for applet in $("$root/bin/busybox" --list); do
    [ "$applet" = busybox ] || ln -s busybox "$root/bin/$applet"
  done
  printf '%s\n' root:x:0:0:root:/root:/bin/sh user:x:1000:1000::/home/user:/bin/sh \
    nobody:x:65534:65534::/:/bin/false >"$root/etc/passwd"
  printf '%s\n' root:x:0: user:x:1000: nogroup:x:65534: >"$root/etc/group"
  echo '127.0.0.1 localhost' >"$root/etc/hosts"
}
