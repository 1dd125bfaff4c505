import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { checkRules } from '../../compose/check/rules.ts';
import { memoryContainers } from '../../../test/fixtures/containers.ts';
import { auditedWorld, type WorldRequest } from '../../../test/fixtures/audited-world.ts';
import { type AuditedVolume, type AuditView, nowhere } from './audit-view.ts';
import { find } from './find.ts';
import { rules } from './rules.ts';
import { serviceOfContainer } from './view-of-host.ts';

/** The subjects that a rule finds in one Compose file. */
async function findIn(id: string, compose: string, world: WorldRequest = {}): Promise<string[]> {
  await using at = await auditedWorld({
    hasEngine: false,
    ...world,
    files: { 'compose.yaml': compose, ...world.files },
  });
  const { findings } = await at.run({ allRules: true });
  return findings.filter((finding) => finding.id === id).map(({ subject }) => subject.name);
}

const service = (fields: string, rest = ''): string => `name: app\nservices:\n  db: ${fields}\n${rest}`;
const pg = (version: string, volumes: string): string =>
  service(`{ image: 'postgres:${version}', volumes: [${volumes}] }`, 'volumes: { pg: , log: , init: }\n');

interface Case {
  readonly id: string;
  readonly finds: Readonly<Record<string, string>>;
  readonly leaves: Readonly<Record<string, string>>;
}

const withVolume = (fields: string, options: string): string =>
  service(`{ ${fields} }`, `volumes: { pg: { driver: local, driver_opts: ${options} } }\n`);
const mysql = `image: 'mysql:8', volumes: ['pg:/var/lib/mysql']`;

const cases: readonly Case[] = [
  {
    id: 'HF-V001',
    finds: {
      'a mount where PostgreSQL kept its data before 18': pg('18', "'pg:/var/lib/postgresql/data'"),
      'an image without a number, which is the newest': pg('alpine', "'pg:/var/lib/postgresql/data'"),
      'a mount above the VOLUME of PostgreSQL 15': pg('15-alpine', "'pg:/var/lib/postgresql'"),
      'a mount at a folder of other images': pg('16', "'pg:/bitnami/postgresql'"),
      'PGDATA that leads away from the mount': service(
        "{ image: 'postgres:16', environment: { PGDATA: /var/lib/postgresql/main }, volumes: ['pg:/var/lib/postgresql/data'] }",
        'volumes: { pg: }\n',
      ),
      'an image of TimescaleDB with PostgreSQL 18': service(
        "{ image: 'timescale/timescaledb:latest-pg18', volumes: ['pg:/var/lib/postgresql/data'] }",
        'volumes: { pg: }\n',
      ),
      'a mount above the two VOLUMEs of MongoDB': service(
        "{ image: mongo, volumes: ['pg:/data'] }",
        'volumes: { pg: }\n',
      ),
      'a MySQL image without VOLUME whose mount is beside': service(
        "{ image: 'opensearchproject/opensearch:2', volumes: ['pg:/usr/share/opensearch'] , environment: { A: b } }",
        'volumes: { pg: }\n',
      ).replace('/usr/share/opensearch', '/usr/share/opensearch/datas'),
      'a server that a shell starts': service(
        "{ image: 'postgres:18', entrypoint: [sh, -c, 'until pg_isready -h old; do sleep 1; done; exec docker-entrypoint.sh postgres'], volumes: ['pg:/var/lib/postgresql/data'] }",
        'volumes: { pg: }\n',
      ),
    },
    leaves: {
      'PostgreSQL 18 with its mount above': pg('18', "'pg:/var/lib/postgresql'"),
      'PostgreSQL 15 with its mount at the VOLUME': pg('15', "'pg:/var/lib/postgresql/data'"),
      'both mounts, one above the other': pg(
        '15',
        "'log:/var/lib/postgresql', 'pg:/var/lib/postgresql/data'",
      ),
      'a folder for scripts and nothing else': pg(
        '15',
        "'pg:/var/lib/postgresql/data', './init:/docker-entrypoint-initdb.d'",
      ),
      'PGDATA below the mount': service(
        "{ image: 'postgres:16', environment: { PGDATA: /var/lib/postgresql/data/pgdata }, volumes: ['pg:/var/lib/postgresql/data'] }",
        'volumes: { pg: }\n',
      ),
      'an extension’s number in front of that of PostgreSQL': service(
        "{ image: 'timescale/timescaledb:2.23.0-pg18', volumes: ['pg:/var/lib/postgresql'] }",
        'volumes: { pg: }\n',
      ),
      'InfluxDB 3, which keeps its data where its command says': service(
        "{ image: 'influxdb:3-core', volumes: ['pg:/var/lib/influxdb3'] }",
        'volumes: { pg: }\n',
      ),
      'MongoDB without a config server': service(
        "{ image: 'mongo:7', volumes: ['pg:/data/db'] }",
        'volumes: { pg: }\n',
      ),
      'an image of which nothing is known': service(
        "{ image: 'mine', volumes: ['pg:/var/lib/x'] }",
        'volumes: { pg: }\n',
      ),
      'a folder that the command names': service(
        "{ image: prom/prometheus, command: ['--config.file=/p.yml', '--storage.tsdb.path=/tsdb'], volumes: ['pg:/tsdb'] }",
        'volumes: { pg: }\n',
      ),
      'folders that variables name': `name: app\nservices:
  a: { image: 'getmeili/meilisearch:v1', environment: { MEILI_DB_PATH: /mine }, volumes: ['pg:/mine'] }
  b: { image: 'elasticsearch:8', environment: ['path.data=/mine'], volumes: ['pg2:/mine'] }
volumes: { pg: , pg2: }\n`,
      'the folder of SQL Server’s databases alone': service(
        "{ image: 'mcr.microsoft.com/mssql/server:2022-latest', volumes: ['pg:/var/opt/mssql/data'] }",
        'volumes: { pg: }\n',
      ),
      'a volume for modules inside of a folder of sources': service(
        "{ image: 'node:22', volumes: ['.:/app', '/app/node_modules'] }",
      ),
      'a dump into a folder above a place that its image declares': service(
        "{ image: 'mongo:7', command: mongodump --host db --out /data/dump, volumes: ['./dumps:/data'] }",
      ),
      'a dump beside its database': service(
        "{ image: 'postgres:18', command: pg_dumpall -h db -f /var/lib/postgresql/data/all.sql, volumes: ['pg:/var/lib/postgresql/data'] }",
        'volumes: { pg: }\n',
      ),
    },
  },
  {
    id: 'HF-V002',
    finds: {
      'a tmpfs of the service': service("{ image: 'mysql:8', tmpfs: [/var/lib/mysql] }"),
      'a volume of the local driver in memory': withVolume(mysql, '{ type: tmpfs, device: tmpfs }'),
    },
    leaves: {
      'a tmpfs elsewhere': service(
        "{ image: 'mysql:8', tmpfs: [/tmp], volumes: ['pg:/var/lib/mysql'] }",
        'volumes: { pg: }\n',
      ),
      'a cache in memory': service("{ image: 'redis:7', tmpfs: [/data] }"),
    },
  },
  {
    id: 'HF-V003',
    finds: {
      'a database without any mount': service("{ image: 'mariadb:11' }"),
      'a mount without a source': service("{ image: 'mariadb:11', volumes: [/var/lib/mysql] }"),
      'a Redis that was told to keep its data': service(
        "{ image: 'redis:7', command: redis-server --appendonly yes }",
      ),
      'a server that the init of its image starts': service(
        "{ image: 'lscr.io/linuxserver/mariadb', entrypoint: /init }",
      ),
      'a MinIO whose folder is the VOLUME of its image': service(
        "{ image: 'quay.io/minio/minio', command: 'server /data --console-address :9001' }",
      ),
      'a MinIO that a shell starts': service(
        `{ image: minio/minio, entrypoint: sh, command: -c 'mkdir -p /data/a && minio server /data' }`,
      ),
      'an ArangoDB': service("{ image: 'arangodb:3.12' }"),
      'the MongoDB of Percona': service("{ image: 'percona/percona-server-mongodb:7.0' }"),
      'a folder that its command names beside the mount': service(
        "{ image: 'mongo:7', command: mongod --dbpath /data/configdb, volumes: ['pg:/mine'] }",
        'volumes: { pg: }\n',
      ),
    },
    leaves: {
      'a Redis that is a cache': service("{ image: 'redis:7' }"),
      'a MinIO of several folders or machines': `name: app\nservices:
  a: { image: minio/minio, command: server /a /b }
  b: { image: minio/minio, command: "server http://m{1...4}/data{1...2}" }\n`,
      'a MinIO that serves a mounted folder': service(
        "{ image: minio/minio, command: server /mine, volumes: ['./mine:/mine'] }",
      ),
      'a database with a named volume': service(`{ ${mysql} }`, 'volumes: { pg: }\n'),
      'a database in a folder of the machine': service(
        "{ image: 'mariadb:11', volumes: ['./db:/var/lib/mysql'] }",
      ),
      'a folder that its command names': `name: app\nservices:
  a: { image: 'mongo:7', command: mongod --dbpath /mine, volumes: ['pg:/mine'] }
  b: { image: 'mysql:8', command: --datadir=/mine, volumes: ['pg2:/mine'] }
  c: { image: 'redis:7', command: "sh -c 'redis-server --appendonly yes --dir /mine'", volumes: ['pg3:/mine'] }
volumes: { pg: , pg2: , pg3: }\n`,
      'a dump by night': service(
        "{ image: 'postgres:17', entrypoint: ['/bin/bash', '-c'], command: ['while true; do pg_dump -h db -U postgres app > /dumps/app.sql; sleep 86400; done'], volumes: ['./dumps:/dumps'] }",
      ),
      'a job that sets up replication': service(
        "{ image: 'mongo:7', command: mongosh --host db --eval 'rs.initiate()' }",
      ),
      'a router of MongoDB': service("{ image: 'mongo:7', command: mongos --configdb c/c1:27019 }"),
    },
  },
  {
    id: 'HF-V004',
    finds: { 'an image without VOLUME and without a mount': service("{ image: 'elasticsearch:8.14.0' }") },
    leaves: {
      'the same with its mount': service(
        "{ image: 'elasticsearch:8.14.0', volumes: ['pg:/usr/share/elasticsearch/data'] }",
        'volumes: { pg: }\n',
      ),
      'an app of which nothing is known': service('{ image: mine }'),
      'a job that makes certificates': service(
        `{ image: 'elasticsearch:8.14.0', command: "bash -c 'if [ ! -f config/certs/ca.zip ]; then bin/elasticsearch-certutil ca --silent --pem -out config/certs/ca.zip; fi; until curl -s https://es01:9200; do sleep 30; done'" }`,
      ),
    },
  },
  {
    id: 'HF-V005',
    finds: {
      'NFS that says "soft"': withVolume(mysql, "{ type: nfs, o: 'addr=nas,soft', device: ':/x' }"),
      'NFS that does not say "hard"': withVolume(mysql, "{ type: nfs4, o: 'addr=nas,rw', device: ':/x' }"),
      'a share of Windows': withVolume(
        mysql,
        "{ type: cifs, o: 'username=a,password=b', device: '//nas/x' }",
      ),
    },
    leaves: {
      'NFS that says "hard"': withVolume(mysql, "{ type: nfs, o: 'addr=nas,rw,hard', device: ':/x' }"),
      'files of an app on NFS': withVolume(
        "image: mine, volumes: ['pg:/uploads']",
        "{ type: nfs, o: 'addr=nas', device: ':/x' }",
      ),
    },
  },
  {
    id: 'HF-V007',
    finds: {
      'two servers on one volume': `name: app\nservices:\n  a: { ${mysql} }\n  b: { ${mysql} }\nvolumes: { pg: }\n`,
    },
    leaves: {
      'each its own': `name: app\nservices:\n  a: { ${mysql} }\n  b: { image: 'mysql:8', volumes: ['b:/var/lib/mysql'] }\nvolumes: { pg: , b: }\n`,
      'a backup that only reads': `name: app\nservices:\n  a: { ${mysql} }\n  b: { image: 'mysql:8', volumes: ['pg:/var/lib/mysql:ro'] }\nvolumes: { pg: }\n`,
      'two folders of one mount':
        "name: app\nservices:\n  a: { image: 'mysql:8', volumes: ['/srv/a:/var/lib/mysql'] }\n  b: { image: 'mysql:8', volumes: ['/srv/b:/var/lib/mysql'] }\n",
    },
  },
  {
    id: 'HF-S001',
    finds: {
      'the short form': service("{ image: x, volumes: ['/var/run/docker.sock:/var/run/docker.sock'] }"),
      'read-only, which changes nothing': service("{ image: x, volumes: ['/run/docker.sock:/s:ro'] }"),
      'the long form': service(
        '{ image: x, volumes: [{ type: bind, source: /run/docker.sock, target: /s }] }',
      ),
      'a folder above it': service("{ image: x, volumes: ['/var/run:/host/run:ro'] }"),
      'the root of the machine': service("{ image: x, volumes: ['/:/host:ro'] }"),
      'a path with dots': service("{ image: x, volumes: ['/var/lib/../run/docker.sock:/s'] }"),
      'the socket of a user': service("{ image: x, volumes: ['/run/user/1000/docker.sock:/s'] }"),
    },
    leaves: {
      'another socket': service("{ image: x, volumes: ['/run/dbus:/run/dbus:ro'] }"),
      'a volume of that name': service(
        "{ image: x, volumes: ['pg:/var/run/docker.sock'] }",
        'volumes: { pg: }\n',
      ),
    },
  },
  {
    id: 'HF-S002',
    finds: {
      '/etc': service("{ image: x, volumes: ['/etc:/host/etc'] }"),
      'the volumes of the engine': service("{ image: x, volumes: ['/var/lib/docker/volumes:/v'] }"),
      'a folder below /usr': service("{ image: x, volumes: ['/usr/lib:/l'] }"),
    },
    leaves: {
      'read-only': service("{ image: x, volumes: ['/etc:/host/etc:ro', '/:/rootfs:ro'] }"),
      'an app’s own folder': service(
        "{ image: x, volumes: ['/srv/x:/data', '/var/lib/x:/y', '/home/u/media:/m'] }",
      ),
      'the time zone': service("{ image: x, volumes: ['/etc/localtime:/etc/localtime'] }"),
    },
  },
  {
    id: 'HF-S003',
    finds: {
      'a file of configuration': service("{ image: x, volumes: ['./nginx.conf:/etc/nginx/nginx.conf'] }"),
      certificates: service("{ image: x, volumes: ['./ssl:/app/certs'] }"),
    },
    leaves: {
      'read-only': service("{ image: x, volumes: ['./nginx.conf:/etc/nginx/nginx.conf:ro'] }"),
      data: service("{ image: x, volumes: ['./data:/data'] }"),
    },
  },
  {
    id: 'HF-S006',
    finds: {
      'a variable': service("{ image: x, environment: { POSTGRES_PASSWORD: 'hunter2' } }"),
      'a variable of a list': service("{ image: x, environment: ['ADMIN_TOKEN=abcdef'] }"),
      'a password in an address': service(
        "{ image: x, environment: { DATABASE_URL: 'postgres://u:hunter2@db/x' } }",
      ),
      'a label': service('{ image: x, labels: { app.api_key: hunter2 } }'),
      'the hash of a label': service(
        "{ image: x, labels: ['traefik.http.middlewares.a.basicauth.users=admin:$$apr1$$hunter2'] }",
      ),
      'one hash of a label that is quick to try': service(
        "{ image: x, labels: ['traefik.http.middlewares.a.basicauth.users=a:$$2y$$05$$abcdef,b:$$apr1$$hunter2'] }",
      ),
      'the command line': service("{ image: x, command: ['serve', '--password=hunter2'] }"),
      'a key with hyphens': service("{ image: x, command: ['serve', '--api-key=hunter2'] }"),
      'the password of Redis': service("{ image: x, command: 'redis-server --requirepass hunter2' }"),
      'the options of a volume': withVolume(
        'image: x',
        "{ type: cifs, o: 'username=a,password=hunter2', device: '//nas/x' }",
      ),
    },
    leaves: {
      'a variable from elsewhere': service("{ image: x, environment: { POSTGRES_PASSWORD: '${PW}' } }"),
      'a variable with a default that is there to be replaced': service(
        "{ image: x, environment: { A_TOKEN: '${PW:-abc}' } }",
      ),
      'the name of a file': service(
        '{ image: x, environment: { POSTGRES_PASSWORD_FILE: /run/secrets/pw, DB_PASSWORD: /run/secrets/pw } }',
      ),
      'the file of a key in a command line': service(
        "{ image: x, command: ['serve', '--private-key=./tls/key', '--signing-key', 'tls/sign.pem'] }",
      ),
      'a hash that is made to be written down': service(
        `{ image: x, environment: { ADMIN_TOKEN: '$$argon2id$$v=19$$m=65540,t=3,p=4$$abc$$def', HASHED_PASSWORD: '$$2y$$10$$abcdefghijklmnopqrstuv' } }`,
      ),
      'the hash of a label by bcrypt': service(
        "{ image: x, labels: ['traefik.http.middlewares.a.basicauth.users=admin:$$2y$$05$$abcdef,b:$$2y$$10$$abc'] }",
      ),
      'a switch': service(
        "{ image: x, environment: { ALLOW_EMPTY_PASSWORD: 'yes', MYSQL_RANDOM_ROOT_PASSWORD: '1' } }",
      ),
      'other words': service(
        "{ image: x, environment: { TOKEN_TTL: '3600', PUBLIC_KEY: abc, MONKEY: banana, COMPASS: north } }",
      ),
      'an address without a password': service(
        "{ image: x, environment: { REDIS_URL: 'redis://cache:6379', URL: 'https://user@host/x' } }",
      ),
    },
  },
  {
    id: 'HF-S007',
    finds: { rshared: service("{ image: x, volumes: ['/mnt:/mnt:rshared'] }") },
    leaves: { rslave: service("{ image: x, volumes: ['/mnt:/mnt:rslave'] }") },
  },
  {
    id: 'HF-S008',
    finds: {
      'seccomp and AppArmor': service(
        "{ image: x, security_opt: ['seccomp:unconfined', 'apparmor=unconfined'] }",
      ),
      SELinux: service("{ image: x, security_opt: ['label:disable'] }"),
    },
    leaves: {
      'less rights': service(
        "{ image: x, security_opt: ['no-new-privileges:true', 'seccomp=./profile.json'] }",
      ),
    },
  },
  {
    id: 'HF-S009',
    finds: { privileged: service('{ image: x, privileged: true }') },
    leaves: { 'a capability': service('{ image: x, cap_add: [NET_ADMIN] }') },
  },
  {
    id: 'HF-S010',
    finds: { 'the short form': service('{ image: x, tmpfs: [/tmp] }') },
    leaves: {
      'a size': service("{ image: x, tmpfs: ['/tmp:size=64m'] }"),
      'a size in the long form': service(
        '{ image: x, volumes: [{ type: tmpfs, target: /c, tmpfs: { size: 1G } }] }',
      ),
    },
  },
  {
    id: 'HF-S011',
    finds: { exec: service("{ image: x, tmpfs: ['/tmp:exec,size=1m'] }") },
    leaves: { 'the engine’s default': service("{ image: x, tmpfs: ['/tmp:size=1m'] }") },
  },
  {
    id: 'HF-S012',
    finds: {
      'o: encrypt': withVolume(
        'image: x',
        '{ type: ext4, o: encrypt, device: /dev/disk/by-label/encrypted }',
      ),
    },
    leaves: { 'an opened device': withVolume('image: x', '{ type: ext4, device: /dev/mapper/encrypted }') },
  },
  {
    id: 'HF-H002',
    finds: {
      'the second VOLUME of MongoDB': service(
        "{ image: 'mongo:7', volumes: ['pg:/data/db'] }",
        'volumes: { pg: }\n',
      ),
    },
    leaves: {
      'one that the rule of data beside its volume tells': pg('18', "'pg:/var/lib/postgresql/data'"),
      'both mounted': service(
        "{ image: 'mongo:7', volumes: ['pg:/data/db'], tmpfs: [/data/configdb] }",
        'volumes: { pg: }\n',
      ),
    },
  },
  {
    id: 'HF-H003',
    finds: { 'no version': withVolume('image: x', "{ type: nfs, o: 'addr=nas,rw', device: ':/x' }") },
    leaves: {
      'a version': withVolume('image: x', "{ type: nfs, o: 'addr=nas,nfsvers=4.2', device: ':/x' }"),
      'the type that names it': withVolume('image: x', "{ type: nfs4, o: addr=nas, device: ':/x' }"),
    },
  },
  {
    id: 'HF-C018',
    finds: { version: `version: '3.8'\n${service('{ image: x }')}` },
    leaves: { 'a file without it': service('{ image: x }') },
  },
];

describe.each(cases)('$id in a file', ({ id, finds, leaves }) => {
  test.each(Object.entries(finds))('finds %s', async (_, compose) => {
    expect(await findIn(id, compose)).not.toEqual([]);
  });

  test.each(Object.entries(leaves))('leaves alone %s', async (_, compose) => {
    expect(await findIn(id, compose)).toEqual([]);
  });
});

test('no message, evidence, remedy or command shows a secret', async () => {
  const compose = service(
    "{ image: x, command: ['--token=hunter2', 'postgres://u:hunter2@h/d'], labels: { a.password: hunter2 }, environment: { A_PASSWORD: hunter2, URL: 'https://u:hunter2@h' } }",
    "volumes: { pg: { driver_opts: { type: cifs, o: 'username=hunter2,password=hunter2,vers=3', device: '//nas/x' } } }\n",
  );
  await using at = await auditedWorld({ hasEngine: false, files: { 'compose.yaml': compose } });
  const report = await at.run({ allRules: true });
  expect(report.findings.filter(({ id }) => id === 'HF-S006')).not.toEqual([]);
  expect(JSON.stringify(report)).not.toContain('hunter2');
});

test('a rule has an id of its own, and a name', () => {
  const ids = rules.map(({ id }) => id);
  expect(new Set(ids).size).toBe(ids.length);
  expect(new Set(rules.map(({ name }) => name)).size).toBe(ids.length);
  for (const { id, name, title, meaning } of rules) {
    expect(id).toMatch(/^HF-[VSBHC]\d{3}$/);
    expect(name).toMatch(/^[a-z]+(?:-[a-z]+)*$/);
    expect(`${title}${meaning}`).not.toContain('\n');
  }
});

test('a fault that "compose check" tells too has one id, one name and one severity', () => {
  const told = Object.entries(checkRules).map(([name, { id, severity, meaning }]) => ({
    ...{ id, name, severity, meaning },
  }));
  for (const { id, name, severity, meaning } of rules.filter((rule) => rule.id.startsWith('HF-C')))
    expect(told).toContainEqual({ id, name, severity, meaning });
});

test('a rule has its section in the guide, with what it says', () => {
  const guide = readFileSync(join(import.meta.dirname, '../../../docs/guides/audit.md'), 'utf8');
  for (const { id, name, severity, title, onRequest } of rules)
    expect(guide).toContain(
      `### ${id} ${name}\n\n**${severity}**${onRequest === true ? ', on request' : ''}. ${title}.`,
    );
});

/** What only a host shows: rights, devices, and where a volume is used. */
describe('of a host', () => {
  const root = { uid: 0, gid: 0, mode: 0o755 };
  const volume = (name: string, given: Partial<AuditedVolume> = {}): AuditedVolume => ({
    name,
    driver: 'local',
    options: {},
    labels: {},
    stack: undefined,
    isExternal: false,
    isAnonymous: false,
    isOnHost: true,
    consumers: [],
    createdAt: undefined,
    content: undefined,
    place: nowhere,
    ...given,
  });
  const holding = (
    rights: Partial<typeof root>,
    { isEmpty = false, containersRoot = { uid: 0, gid: 0 } } = {},
  ): AuditedVolume =>
    volume('data', {
      content: { isEmpty, newestMs: undefined, root: { ...root, ...rights }, containersRoot },
    });
  const view = (given: Partial<AuditView>): AuditView => ({
    services: [],
    volumes: [],
    projects: [],
    places: [],
    backups: { repositories: [], deviceOf: new Map() },
    ...given,
  });
  const found = (id: string, given: Partial<AuditView>): string[] =>
    [...(rules.find((rule) => rule.id === id)?.check(view(given)) ?? [])].map(({ subject }) => subject.name);
  const userOf = (data: AuditedVolume, user: string): Partial<AuditView> => {
    const mounts = [{ type: 'volume', source: 'data', destination: '/d', readOnly: false }] as const;
    const container = memoryContainers().add({ name: 'app', user, mounts });
    return { services: [serviceOfContainer(container, { images: new Map() }, [data])], volumes: [data] };
  };

  test.each<[mode: number, isFound: boolean]>([
    [0o777, true],
    [0o757, true],
    [0o1777, false],
    [0o775, false],
  ])('HF-S004 of a volume whose mode is %o', (mode, isFound) => {
    expect(found('HF-S004', { volumes: [holding({ mode })] })).toEqual(isFound ? ['data'] : []);
    expect(found('HF-S004', { volumes: [holding({ mode }, { isEmpty: true })] })).toEqual([]);
  });

  test.each<[string, Partial<typeof root>, isFound: boolean]>([
    ['1000', {}, true],
    ['1000:1000', {}, true],
    ['0', {}, false],
    ['', {}, false],
    ['www-data', {}, false],
    ['1000', { uid: 1000 }, false],
    ['1000', { gid: 1000, mode: 0o775 }, false],
    ['1000', { mode: 0o1777 }, false],
  ])('HF-S005 of a service that runs as "%s" on a volume of %j', (user, rights, isFound) => {
    expect(found('HF-S005', userOf(holding(rights), user))).toEqual(isFound ? ['app'] : []);
  });

  test('HF-V003 has the server stopped before its files are copied', () => {
    const mounts = [
      { type: 'volume', source: 'f00', destination: '/var/lib/mysql', readOnly: false },
    ] as const;
    const container = memoryContainers().add({ name: 'db', image: 'mariadb:11', mounts });
    const data = volume('f00', { isAnonymous: true });
    const services = [serviceOfContainer(container, { images: new Map() }, [data])];
    const [finding] = [
      ...(rules.find(({ id }) => id === 'HF-V003')?.check(view({ services, volumes: [data] })) ?? []),
    ];
    expect(finding?.commands).toEqual([
      ['docker', 'stop', 'db'],
      ['holdfast', 'volume', 'clone', 'f00', 'db-data'],
    ]);
  });

  test('HF-S005 counts who root of an engine without root, or with other users, is', () => {
    const containersRoot = { uid: 1005, gid: 1005 };
    const held = (rights: Partial<typeof root>) => userOf(holding(rights, { containersRoot }), '1000');
    expect(found('HF-S005', held(containersRoot))).toEqual(['app']);
    expect(found('HF-S005', held({ ...containersRoot, mode: 0o775 }))).toEqual(['app']);
    expect(found('HF-S005', held({ uid: 100_999, gid: 100_999 }))).toEqual([]);
  });

  test('what a file and its container both show has the remedy that its commands belong to', () => {
    const [rule] = rules;
    const alarm = {
      subject: { kind: 'service', name: 'db' },
      key: 'db',
      message: 'm',
      evidence: [],
    } as const;
    const both = [
      { ...alarm, remedy: 'Mount it', place: { ...nowhere, position: { file: 'a', line: 1, column: 1 } } },
      { ...alarm, remedy: 'Stop it and copy', commands: [['docker', 'stop', 'db']], place: nowhere },
    ];
    const found = find(view({}), rule === undefined ? [] : [{ ...rule, check: () => both }]);
    expect(found.map(({ finding: { remedy, commands } }) => ({ remedy, commands }))).toEqual([
      { remedy: 'Stop it and copy', commands: [['docker', 'stop', 'db']] },
    ]);
  });

  test('HF-B002 when every repository is on the disk of the data, and not when one is elsewhere', () => {
    const here = { name: 'here', path: '/backup', device: 1 };
    const elsewhere = { name: 'elsewhere', path: '/mnt', device: 2 };
    const deviceOf = new Map([['data', 1]]);
    expect(found('HF-B002', { backups: { repositories: [here], deviceOf } })).toEqual(['here']);
    expect(found('HF-B002', { backups: { repositories: [here, elsewhere], deviceOf } })).toEqual([]);
    expect(found('HF-B002', { backups: { repositories: [elsewhere], deviceOf } })).toEqual([]);
  });

  test('HF-H001 of a volume without a container, and not of one that a container has', () => {
    const volumes = [
      volume('free'),
      volume('used', { consumers: ['app'] }),
      volume('new', { isOnHost: false }),
    ];
    expect(found('HF-H001', { volumes })).toEqual(['free']);
  });
});
