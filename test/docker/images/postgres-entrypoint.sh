#!/bin/bash
# What the official image does, as far as tests need it: initdb on an empty volume with POSTGRES_USER, POSTGRES_PASSWORD
# (or POSTGRES_PASSWORD_FILE) and POSTGRES_DB, then the scripts of /docker-entrypoint-initdb.d, then the server.
set -Eeo pipefail

initialize() {
	password=${POSTGRES_PASSWORD:-}
	if [ -n "${POSTGRES_PASSWORD_FILE:-}" ]; then password=$(<"$POSTGRES_PASSWORD_FILE"); fi
	if [ -z "$password" ] && [ "${POSTGRES_HOST_AUTH_METHOD:-}" != trust ]; then
		echo 'Error: Database is uninitialized and superuser password is not specified.' >&2
		exit 1
	fi
	export PGUSER=${POSTGRES_USER:-postgres}
	export PGDATABASE=${POSTGRES_DB:-$PGUSER}
	initdb --username="$PGUSER" --encoding=UTF8 --locale=C.UTF-8 --auth-local=trust \
		--auth-host="${POSTGRES_HOST_AUTH_METHOD:-scram-sha-256}" --pwfile=<(printf '%s\n' "$password") \
		--no-sync ${POSTGRES_INITDB_ARGS:-}
	echo "host all all all ${POSTGRES_HOST_AUTH_METHOD:-scram-sha-256}" >>"$PGDATA/pg_hba.conf"
	echo "listen_addresses = '*'" >>"$PGDATA/postgresql.conf"
	PGPASSWORD=$password pg_ctl -D "$PGDATA" -o "-c listen_addresses=''" -w start
	if [ "$PGDATABASE" != postgres ]; then createdb -O "$PGUSER" --maintenance-db=postgres "$PGDATABASE"; fi
	for file in /docker-entrypoint-initdb.d/*; do
		case $file in
			*.sh) . "$file" ;;
			*.sql) psql -v ON_ERROR_STOP=1 --no-psqlrc -f "$file" ;;
		esac
	done
	pg_ctl -D "$PGDATA" -m fast -w stop
	unset PGUSER PGDATABASE
	echo 'PostgreSQL init process complete; ready for start up.'
}

case ${1:-} in -*) set -- postgres "$@" ;; esac
if [ "${1:-}" = postgres ]; then
	mkdir -p "$PGDATA"
	chmod 0700 "$PGDATA" || true
	if [ "$(id -u)" = 0 ]; then
		find "$PGDATA" \! -user postgres -exec chown postgres '{}' +
		exec setpriv --reuid=postgres --regid=postgres --init-groups "$0" "$@"
	fi
	if [ ! -s "$PGDATA/PG_VERSION" ]; then initialize; fi
fi
exec "$@"
