#!/bin/sh
# A PostgreSQL server for tests, from Debian's package: `postgresql.sh FOLDER` makes it in FOLDER, or starts the one that is
# there, and is it from then on: SIGINT ends it at once, as does the end of who started it. It listens on a socket in the
# folder and nowhere else; with a PORT behind the folder also there, on loopback, with TLS by server.crt and server.key in the
# folder. The last thing that it does before it listens is to write its address to FOLDER/url.
set -eu

folder=$1
port=${2:-}
password=a-password-that-nobody-may-see
for bin in /usr/lib/postgresql/*/bin; do :; done
if [ ! -x "$bin/initdb" ]; then
    echo "there is no PostgreSQL server here: apt-get install postgresql" >&2
    exit 1
fi

# As root it refuses to run.
as=
if [ "$(id -u)" = 0 ]; then
    as="setpriv --reuid=postgres --regid=postgres --clear-groups --inh-caps=-all"
fi
mkdir -p "$folder"
if [ ! -e "$folder/data/PG_VERSION" ]; then
    printf '%s\n' "$password" >"$folder/password"
    if [ -n "$as" ]; then
        chown -R postgres:postgres "$folder"
    fi
    $as "$bin/initdb" --pgdata "$folder/data" --no-sync --auth scram-sha-256 --username wharf \
        --pwfile "$folder/password" --encoding UTF8 --locale C.UTF-8 >"$folder/initdb.log"
fi
# Nothing here outlives a crash of the machine, and nobody waits for a disk.
set -- -D "$folder/data" -k "$folder" -h '' -c fsync=off -c synchronous_commit=off -c full_page_writes=off \
    -c max_connections=400 -c shared_buffers=64MB
if [ -n "$port" ]; then
    set -- "$@" -h 127.0.0.1 -p "$port" -c ssl=on -c ssl_cert_file="$folder/server.crt" -c ssl_key_file="$folder/server.key"
fi
cd "$folder"
printf 'postgres://wharf:%s@localhost%s/postgres?host=%s\n' "$password" "${port:+:$port}" "$folder" >"$folder/url"
exec setpriv --pdeathsig INT ${as#setpriv} "$bin/postgres" "$@"
