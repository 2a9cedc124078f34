# Sourced inside a debian_layer's script: keeps chosen files alone, for an image that is busybox and these.
#   thin PATH...    copies paths to /thin, with the shared libraries that programs and libraries among them load
thin() {
  local library
  mkdir -p /thin
  cp -a --parents "$@" /thin
  # ldd prints "name => /path (address)" for libraries and "/path (address)" for the loader.
  for library in $(find "$@" -type f \( -perm /111 -o -name '*.so*' \) -exec ldd {} + 2>/dev/null |
    grep -o '/[^ :]* (' | cut -d' ' -f1 | sort -u); do
    cp -L --parents "$library" /thin
  done
}
