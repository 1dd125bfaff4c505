import { expect, test } from 'vitest';
import { memoryContainers } from '../hosts/containers.fixture.ts';
import { startOf } from './container-starts.ts';

test('startOf() tells how a container is started, and none of its secrets', () => {
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
