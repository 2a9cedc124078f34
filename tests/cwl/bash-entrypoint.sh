#!/bin/sh
# As the entry point of the image `bash` does: options alone are for bash.
case "$1" in -*) exec bash "$@" ;; esac
exec "$@"
