#!/bin/bash
# What the official image does, as far as tests need it: MARIADB_ROOT_PASSWORD, MARIADB_DATABASE, MARIADB_USER and
# MARIADB_PASSWORD, and their older names MYSQL_…
set -eo pipefail

quoted() {
	local text=${1//\\/\\\\}
	printf "'%s'" "${text//\'/\\\'}"
}

initialize() {
	root=${MARIADB_ROOT_PASSWORD:-${MYSQL_ROOT_PASSWORD:-}}
	database=${MARIADB_DATABASE:-${MYSQL_DATABASE:-}}
	user=${MARIADB_USER:-${MYSQL_USER:-}}
	password=${MARIADB_PASSWORD:-${MYSQL_PASSWORD:-}}
	if [ -z "$root" ]; then
		echo 'Error: Database is uninitialized and password option is not specified.' >&2
		exit 1
	fi
	mariadb-install-db --datadir="$datadir" --auth-root-authentication-method=normal --skip-test-db >/dev/null
	mariadbd --datadir="$datadir" --skip-networking --socket=/run/mysqld/init.sock &
	pid=$!
	for _ in $(seq 300); do
		if mariadb-admin --socket=/run/mysqld/init.sock -u root ping >/dev/null 2>&1; then break; fi
		sleep 0.1
	done
	{
		if [ -n "$database" ]; then echo "CREATE DATABASE \`$database\`;"; fi
		if [ -n "$user" ]; then
			echo "CREATE USER $(quoted "$user")@'%' IDENTIFIED BY $(quoted "$password");"
			if [ -n "$database" ]; then echo "GRANT ALL ON \`$database\`.* TO $(quoted "$user")@'%';"; fi
		fi
		echo "CREATE USER 'root'@'%' IDENTIFIED BY $(quoted "$root");"
		echo "GRANT ALL ON *.* TO 'root'@'%' WITH GRANT OPTION;"
		echo "ALTER USER 'root'@'localhost' IDENTIFIED BY $(quoted "$root");"
	} | mariadb --socket=/run/mysqld/init.sock -u root
	kill "$pid"
	wait "$pid"
}

datadir=/var/lib/mysql
case ${1:-} in -*) set -- mariadbd "$@" ;; esac
if [ "${1:-}" = mariadbd ]; then
	if [ "$(id -u)" = 0 ]; then
		find "$datadir" \! -user mysql -exec chown mysql: '{}' +
		exec setpriv --reuid=mysql --regid=mysql --init-groups "$0" "$@"
	fi
	if [ ! -d "$datadir/mysql" ]; then initialize; fi
	set -- "$@" --bind-address=0.0.0.0
fi
exec "$@"
