import { afterAll, beforeAll, expect, test } from 'vitest';
import { importImages } from '../docker/images.ts';
import { type PrivateEngine, startPrivateEngine } from '../docker/private-engine.ts';
import { makeStack, type Stack } from './stack.ts';

const composeFile = `
services:
  db:
    image: postgres:17
    environment: { POSTGRES_USER: app, POSTGRES_PASSWORD: "p'w $$x", POSTGRES_DB: shop }
    volumes: [pg:/var/lib/postgresql/data, ./init:/docker-entrypoint-initdb.d:ro]
  cache:
    image: redis:8
    command: redis-server --appendonly yes
    volumes: [redis:/data]
  maria:
    image: mariadb:11
    environment: { MARIADB_ROOT_PASSWORD: "ro'ot", MARIADB_DATABASE: shop, MARIADB_USER: app, MARIADB_PASSWORD: pw }
    volumes: [maria:/var/lib/mysql]
  web:
    image: mon-webapp:latest
    volumes: [uploads:/app/uploads, ./config/app.yml:/app/config/app.yml:ro]
    depends_on: { db: { condition: service_healthy }, cache: { condition: service_started } }
  proxy:
    image: nginx:alpine
    ports: ["127.0.0.1::80"]
    volumes: [./nginx.conf:/etc/nginx/nginx.conf:ro]
    depends_on: [web]
volumes: { pg: {}, redis: {}, maria: {}, uploads: {} }
`;
const files = {
  'compose.yaml': composeFile,
  'init/10-extra.sql': 'CREATE TABLE extra (n int); INSERT INTO extra VALUES (42);',
  'config/app.yml': 'database_url: postgresql://app:p%27w%20%24x@db/shop\nredis_host: cache\n',
  'nginx.conf': 'events {}\nhttp { server { listen 80; location / { proxy_pass http://web:8080; } } }\n',
};

let engine: PrivateEngine;
let stack: Stack;
beforeAll(async () => {
  engine = await startPrivateEngine();
  await importImages(engine);
  stack = await makeStack(engine, { name: 'shop', files });
});
afterAll(() => engine?.[Symbol.asyncDispose]());

test('a stack of real databases and servers starts, and its data outlives its containers', async () => {
  await stack.compose('up', '-d', '--wait');
  const address = (await stack.compose('port', 'proxy', '80')).stdout.trim();
  const order = (): Promise<string> =>
    engine.inNetwork(['busybox', 'wget', '-q', '-O', '-', `http://${address}/cgi-bin/order`]);
  expect(await order()).toBe('1 1\n');
  expect(await order()).toBe('2 2\n');
  expect(await stack.exec('db', 'psql', '-U', 'app', 'shop', '-Atc', 'SELECT n FROM extra')).toBe('42');
  expect(await stack.exec('cache', 'redis-cli', 'GET', 'orders')).toBe('2');
  const maria = ['mariadb', '-u', 'app', '-ppw', '-h', '127.0.0.1', 'shop', '-Ne'];
  await stack.exec('maria', ...maria, 'CREATE TABLE t (n int); INSERT INTO t VALUES (7)');
  await stack.exec('maria', 'mariadb', '-u', 'root', "-pro'ot", '-Ne', 'SELECT 1');

  await stack.compose('down');
  await stack.compose('up', '-d', '--wait');
  expect(await stack.exec('db', 'psql', '-U', 'app', 'shop', '-Atc', 'SELECT count(*) FROM orders')).toBe(
    '2',
  );
  expect(await stack.exec('cache', 'redis-cli', 'GET', 'orders')).toBe('2');
  expect(await stack.exec('maria', ...maria, 'SELECT n FROM t')).toBe('7');
  expect(await stack.exec('web', 'ls', '/app/uploads')).toBe('order-1.txt\norder-2.txt');
});
