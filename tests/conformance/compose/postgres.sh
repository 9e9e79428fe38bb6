#!/bin/sh
set -eu
data=/var/lib/postgresql/data
programs=$(echo /usr/lib/postgresql/*/bin)
as() { setpriv --reuid=postgres --regid=postgres --clear-groups -- "$@"; }
if [ ! -e $data/PG_VERSION ]; then
  chown postgres:postgres $data; chmod 700 $data
  install -o postgres -m 0600 "$POSTGRES_PASSWORD_FILE" /tmp/password
  as $programs/initdb --username="$POSTGRES_USER" --auth=scram-sha-256 --pwfile=/tmp/password --encoding=UTF8 --locale=C $data
  rm /tmp/password
  echo 'host all all all scram-sha-256' >> $data/pg_hba.conf
  echo "CREATE DATABASE \"$POSTGRES_DB\"" | as $programs/postgres --single -D $data postgres
fi
exec setpriv --reuid=postgres --regid=postgres --clear-groups -- $programs/postgres -D $data -c 'listen_addresses=*'
