import { expect, test } from 'vitest';
import { memoryContainers } from '../../test/fixtures/containers.ts';
import { startOf } from './container-starts.ts';

test('startOf() returns how a container is started, without its secrets', () => {
  const container = memoryContainers().add({
    name: 'db',
    command: ['postgres', '-c', 'fsync=on'],
    user: '999',
    environment: {
      POSTGRES_USER: 'app',
      POSTGRES_DB: 'shop',
      PGDATA: '/var/lib/postgresql/data',
      TZ: 'UTC',
      POSTGRES_PASSWORD: 'a',
      POSTGRES_PASSWORD_FILE: '/run/secrets/pw',
      MYSQL_ROOT_PWD: 'b',
      API_KEY: 'c',
      GITHUB_TOKEN: 'd',
      DATABASE: 'postgres://app:e@db/shop',
      UPSTREAM: 'https://example.org/path',
      aws_secret_access: 'f',
    },
  });
  expect(startOf(container)).toEqual({
    name: 'db',
    command: ['postgres', '-c', 'fsync=on'],
    entrypoint: [],
    binds: [],
    user: '999',
    environment: {
      POSTGRES_USER: 'app',
      POSTGRES_DB: 'shop',
      PGDATA: '/var/lib/postgresql/data',
      TZ: 'UTC',
      UPSTREAM: 'https://example.org/path',
    },
  });
});

test.each([
  [
    ['redis-server', '--requirepass', 'hunter22', '--appendonly', 'yes'],
    ['redis-server', '--appendonly', 'yes'],
  ],
  [['redis-server', '--requirepass=hunter22', '--masterauth', 'other'], ['redis-server']],
  [
    ['sh', '-c', 'exec redis-server --requirepass "hunter 22" --save 60 1'],
    ['sh', '-c', 'exec redis-server  --save 60 1'],
  ],
  [
    ['sh', '-c', 'PGPASSWORD=hunter22 psql'],
    ['sh', '-c', 'PGPASSWORD= psql'],
  ],
  [
    ['app', 'postgres://me:hunter22@db/shop'],
    ['app', 'postgres://me@db/shop'],
  ],
  [
    ['app', '--token', 'x', 'run'],
    ['app', 'run'],
  ],
  [
    ['app', '--key=from-the-variable'],
    ['app', '--key='],
  ],
  [
    ['minio', '--secret-key', '--console'],
    ['minio', '--secret-key', '--console'],
  ],
  [
    ['postgres', '-c', 'password_encryption=md5', '-c', 'max_connections=200'],
    ['postgres', '-c', 'password_encryption=md5', '-c', 'max_connections=200'],
  ],
  [
    ['db', '--password-file', '/run/secrets/p'],
    ['db', '--password-file', '/run/secrets/p'],
  ],
  [
    ['mysqld', '--default-authentication-plugin=mysql_native_password'],
    ['mysqld', '--default-authentication-plugin=mysql_native_password'],
  ],
])('the command %j is recorded as %j', (command, recorded) => {
  const environment = { APP_SECRET: 'from-the-variable' };
  const start = startOf(memoryContainers().add({ name: 'x', command, entrypoint: command, environment }));
  expect(start.command).toEqual(recorded);
  expect(start.entrypoint).toEqual(recorded);
});

test.each([
  ['mariadb:11', 'mariadb', ['mariadbd']],
  ['redis:7', 'redis', ['redis-server', '--appendonly', 'yes']],
  ['mongo:7', 'mongo', ['mongod', '--config', '/etc/mongo/mongod.conf']],
  ['postgres:16', 'postgres', ['postgres', '-c', 'fsync=on']],
  ['shop', 'postgres', ['sh', '-c', 'exec /opt/postgres/bin/start --kind=postgres-16']],
  ['mysql:8', 'root', ['mysqld', '--user=root']],
  ['shop', 'shop_user', ['server', '--login=shop_user']],
  ['shop', 'true', ['server', '--open=true']],
])(
  'of %s with the password "%s", the program and its options are recorded whole',
  (image, password, command) => {
    const environment = { DB_PASSWORD: password, ...(password === 'shop_user' && { DB_USER: password }) };
    const start = startOf(memoryContainers().add({ name: 'x', image, command, environment }));
    expect(start.command).toEqual(command);
  },
);

test('a password that is an ordinary word stays where it is a word by itself', () => {
  const command = ['server', 'changeme', '--login=me:changeme@db'];
  const environment = { DB_PASSWORD: 'changeme' };
  const start = startOf(memoryContainers().add({ name: 'x', command, environment }));
  expect(start.command).toEqual(['server', '--login=me:@db']);
});
