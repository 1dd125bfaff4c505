import { expect, test } from 'vitest';
import { runsServer } from './runs-server.ts';

test.each<[command: readonly string[]]>([
  [[]],
  [['docker-entrypoint.sh']],
  [['docker-entrypoint.sh', 'postgres']],
  [['docker-entrypoint.sh', '-c', 'shared_buffers=1GB']],
  [['/bin/tini', '--', '/usr/local/bin/docker-entrypoint.sh', 'eswrapper']],
  [['start-single-node', '--insecure']],
  [['mysqld', '--default-authentication-plugin=caching_sha2_password']],
  [['gosu', 'postgres', 'postgres']],
  [['sh', '-c', 'mongod --replSet rs0 & sleep 5; mongosh --eval "rs.initiate()"; wait']],
  [['sh', '-c', 'chown -R 999:999 /data && exec redis-server /etc/redis.conf']],
  [['/bin/bash', '-ec', 'cp /tls/* /x\n/usr/local/bin/docker-entrypoint.sh postgres -c ssl=on']],
  [['sh', '-c', 'exec "$@"', '--', 'postgres']],
  [['sh', '/custom/start.sh']],
  [['/custom/anything']],
  [['/init']],
  [['tini', '-g', '--', '/startup/docker-entrypoint.sh', 'neo4j']],
  [['/cockroach/cockroach.sh', 'start-single-node', '--insecure']],
  [['sh', '-c', '/custom/anything']],
  [['sh', '-c', 'cp /tls/* /x; docker-entrypoint.sh -c ssl=on']],
  [['sh', '-c', 'chmod 600 /key && exec /custom/anything']],
  [['sh', '-c', 'sleep 5; bash /custom/start-it']],
  [['sh', '-c', 'sleep 5; numactl --interleave=all \\\n  mongod --auth']],
  [['sh', '-c', 'echo hello; dockerize -wait tcp://vault:8200 -timeout 60s docker-entrypoint.sh postgres']],
  [['sh', '-c', 'sleep 5; redis-stack-server --appendonly yes']],
  [['bash', '-c', 'chown 999 /key && exec docker-entrypoint.sh -c ssl=on']],
  [['/scripts/restore-and-start.sh']],
  [['bash', '/scripts/backup_then_run.sh']],
  [['/postgres-with-backup.sh']],
  [['tini', '--', '/restore-entrypoint.sh']],
  [['sh', '-c', 'sleep 5; /restore-on-boot.sh']],
  [['/restore-and-bring-up.sh']],
])('%j runs the server', (command) => {
  expect(runsServer(command)).toBe(true);
});

test.each<[command: readonly string[]]>([
  [['docker-entrypoint.sh', 'pg_dump', '-h', 'db']],
  [['docker-entrypoint.sh', 'mysqldump', '--all-databases']],
  [['docker-entrypoint.sh', 'redis-cli', '--cluster', 'create']],
  [['docker-entrypoint.sh', 'mongos', '--configdb', 'c']],
  [['/bin/tini', '--', '/usr/local/bin/docker-entrypoint.sh', 'bash', '-c', 'bin/elasticsearch-certutil ca']],
  [['init', '--insecure', '--host=roach']],
  [['/scripts/backup.sh']],
  [['bash', '/scripts/pg-backup.sh']],
  [['bash', '/scripts/run-backup.sh']],
  [['/start-restore.sh']],
  [['/backup-with-retention.sh']],
  [['/scripts/cron-backup.sh']],
  [['bash', '/restore_backup.sh']],
  [['/daily-and-weekly-backup.sh']],
  [['/backup-and-prune.sh']],
  [['/backup-and-restart.sh']],
  [['sh', '-c', 'PGPASSWORD=x pg_dump -U postgres app | gzip > /b/app.gz']],
  [['sh', '-c', 'while :; do pg_dumpall -U postgres; sleep 86400; done']],
  [['sleep', 'infinity']],
  [['tini', '-g', '--', 'docker-entrypoint.sh', 'cypher-shell']],
  [['/cockroach/cockroach.sh', 'init', '--insecure']],
  [['sh', '-c', 'sleep 5; ./cockroach init --insecure']],
  [['sql', '--insecure']],
  [['sh', '-c', 'timeout 60 pg_dump -U postgres app > /b/app.sql']],
  [['sh', '-c', 'exec >/log 2>&1; pg_dump \\\n  -U postgres app > /b/app']],
  [['sh', '-c', 'apk add rclone; bash /scripts/backup.sh; exec sleep infinity']],
])('%j does not', (command) => {
  expect(runsServer(command)).toBe(false);
});

test.each([
  ['quotes', ['sh', '-c', `a${'"'.repeat(500_000)}b`]],
  ['a name', [`${'restore-on-'.repeat(100_000)}start`]],
  ['starters', Array.from({ length: 200_000 }, () => 'env')],
])('a command of a mebibyte of %s is judged at once', (_, command) => {
  const before = performance.now();
  expect(runsServer(command)).toBe(true);
  // By squares it takes many minutes.
  expect(performance.now() - before).toBeLessThan(20_000);
});
