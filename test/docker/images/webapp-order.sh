#!/bin/sh
# The web app: each request of /cgi-bin/order is a row, a counter and an uploaded file.
printf 'Content-Type: text/plain\r\n\r\n'
url=$(sed -n 's/^database_url: *//p' /app/config/app.yml)
redis=$(sed -n 's/^redis_host: *//p' /app/config/app.yml)
id=$(psql "$url" -qtA -v ON_ERROR_STOP=1 -c \
	"CREATE TABLE IF NOT EXISTS orders (id serial PRIMARY KEY, made timestamptz DEFAULT now())" \
	-c 'INSERT INTO orders DEFAULT VALUES RETURNING id') || { echo failed; exit 0; }
count=$(redis-cli -h "$redis" INCR orders) || { echo failed; exit 0; }
echo "order $id" >"/app/uploads/order-$id.txt"
echo "$id $count"
