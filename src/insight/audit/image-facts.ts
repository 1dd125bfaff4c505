import type { Image } from '../../hosts/containers.ts';
import { parseImageName } from '../../quiesce/index.ts';
import { runsServer } from './runs-server.ts';

/** What is known of an image: what it declares, and what kind of server it is. */
export interface ImageFacts {
  /** `image`: read from the image itself. `table`: well known. `none`: nothing is known. */
  readonly from: 'image' | 'table' | 'none';
  /** `VOLUME`: paths that get an anonymous volume where nothing is mounted. */
  readonly volumes: readonly string[];
  /** `USER`; '' is root. */
  readonly user: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly server: ServerFacts | undefined;
  /** An image of a server runs something else: it keeps no data where its image does, and `server` is undefined. */
  readonly isJob: boolean;
}

/** A server that keeps data. */
export interface ServerFacts {
  /** As people call it: `PostgreSQL`. */
  readonly label: string;
  /** `cache`: it keeps nothing of value unless it is told to. */
  readonly kind: 'database' | 'cache';
  /** Where it writes what must not be lost. */
  readonly dataDirectories: readonly string[];
  /** The user that its data belongs to; undefined where that is not known. */
  readonly uid: number | undefined;
}

interface KnownImage {
  readonly label: string;
  /** The names without registry and tag. */
  readonly names: RegExp;
  readonly kind?: 'cache';
  /** Of others with these names nothing is known. */
  readonly isKnown?: (use: ImageUse) => boolean;
  readonly data: string | ((use: ImageUse) => string);
  /** The option by which its command names another folder. */
  readonly dataOption?: string;
  /** Paths of `VOLUME`; the data directory by default, [] for none. */
  readonly volumes?: readonly string[] | ((use: ImageUse) => readonly string[]);
  readonly uid?: number;
}

interface ImageUse {
  /** Undefined for `latest` and other tags without a number. */
  readonly major: number | undefined;
  readonly environment: Readonly<Record<string, string>>;
  readonly command: readonly string[];
}

/** Since this version the official image keeps its data below a folder of the version. */
const movedMajor = 18;

/** An image without a number in its tag is the newest. */
function isMoved({ major }: ImageUse): boolean {
  return major === undefined || major >= movedMajor;
}

const postgresFamily =
  /^(?:postgres|postgis\/postgis|tensorchord\/vchord-postgres|pgvector\/pgvector|imresamu\/postgis|pgautoupgrade\/pgautoupgrade|ferretdb\/postgres-documentdb)$/;

const likePostgres: Pick<KnownImage, 'data' | 'volumes'> = {
  data: (use) =>
    use.environment['PGDATA'] ??
    (isMoved(use) ? `/var/lib/postgresql/${use.major ?? movedMajor}/docker` : '/var/lib/postgresql/data'),
  volumes: (use) => [isMoved(use) ? '/var/lib/postgresql' : '/var/lib/postgresql/data'],
};

const known: readonly KnownImage[] = [
  { label: 'PostgreSQL', names: postgresFamily, ...likePostgres, uid: 999 },
  // Of Alpine's, where the user has another number.
  { label: 'PostgreSQL', names: /^timescale\/timescaledb$/, ...likePostgres },
  {
    label: 'PostgreSQL',
    names: /^(?:tensorchord\/pgvecto-rs|immich-app\/postgres)$/,
    isKnown: (use) => !isMoved(use),
    data: ({ environment }) => environment['PGDATA'] ?? '/var/lib/postgresql/data',
    volumes: ['/var/lib/postgresql/data'],
  },
  { label: 'PostgreSQL', names: /^bitnami(?:legacy)?\/postgresql$/, data: '/bitnami/postgresql', uid: 1001 },
  {
    label: 'MySQL',
    names: /^(?:mysql|mysql\/mysql-server|percona|percona\/percona-server)$/,
    data: '/var/lib/mysql',
    dataOption: '--datadir',
    uid: 999,
  },
  { label: 'MariaDB', names: /^mariadb$/, data: '/var/lib/mysql', dataOption: '--datadir', uid: 999 },
  { label: 'MariaDB', names: /^linuxserver\/mariadb$/, data: '/config', volumes: ['/config'] },
  { label: 'MariaDB', names: /^bitnami(?:legacy)?\/mariadb$/, data: '/bitnami/mariadb', uid: 1001 },
  { label: 'MySQL', names: /^bitnami(?:legacy)?\/mysql$/, data: '/bitnami/mysql', uid: 1001 },
  {
    label: 'MongoDB',
    names: /^mongo$/,
    data: (use) => (use.command.includes('--configsvr') ? '/data/configdb' : '/data/db'),
    dataOption: '--dbpath',
    volumes: ['/data/db', '/data/configdb'],
    uid: 999,
  },
  {
    label: 'MongoDB',
    names: /^percona\/percona-server-mongodb$/,
    data: '/data/db',
    dataOption: '--dbpath',
    uid: 1001,
  },
  { label: 'MongoDB', names: /^bitnami(?:legacy)?\/mongodb$/, data: '/bitnami/mongodb', uid: 1001 },
  {
    label: 'Redis',
    names: /^(?:redis|valkey\/valkey|eqalpha\/keydb|redis\/redis-stack(?:-server)?)$/,
    kind: 'cache',
    data: '/data',
    dataOption: '--dir',
    uid: 999,
  },
  {
    label: 'Redis',
    names: /^bitnami(?:legacy)?\/(?:redis|valkey)$/,
    kind: 'cache',
    data: '/bitnami/redis/data',
    volumes: [],
  },
  {
    label: 'InfluxDB',
    names: /^influxdb$/,
    // Version 3 keeps its data where its command says, and "latest" has begun to lead to it.
    isKnown: ({ major }) => major === 1 || major === 2,
    data: ({ major }) => (major === 1 ? '/var/lib/influxdb' : '/var/lib/influxdb2'),
    volumes: ({ major }) => (major === 1 ? ['/var/lib/influxdb'] : ['/var/lib/influxdb2', '/etc/influxdb2']),
  },
  {
    label: 'ClickHouse',
    names:
      /^(?:clickhouse|clickhouse\/clickhouse-server|yandex\/clickhouse-server|altinity\/clickhouse-server)$/,
    data: '/var/lib/clickhouse',
    uid: 101,
  },
  {
    label: 'Elasticsearch',
    names: /^(?:elasticsearch|elasticsearch\/elasticsearch)$/,
    data: ({ environment }) => absolute(environment['path.data']) ?? '/usr/share/elasticsearch/data',
    volumes: [],
    uid: 1000,
  },
  {
    label: 'OpenSearch',
    names: /^opensearchproject\/opensearch$/,
    data: ({ environment }) => absolute(environment['path.data']) ?? '/usr/share/opensearch/data',
    volumes: [],
    uid: 1000,
  },
  { label: 'Cassandra', names: /^cassandra$/, data: '/var/lib/cassandra', uid: 999 },
  { label: 'CouchDB', names: /^(?:apache\/)?couchdb$/, data: '/opt/couchdb/data', uid: 5984 },
  { label: 'Neo4j', names: /^neo4j$/, data: '/data', volumes: ['/data', '/logs'], uid: 7474 },
  {
    label: 'ArangoDB',
    names: /^(?:arangodb\/)?arangodb$/,
    data: '/var/lib/arangodb3',
    volumes: ['/var/lib/arangodb3', '/var/lib/arangodb3-apps'],
  },
  {
    label: 'MinIO',
    names: /^minio\/minio$/,
    isKnown: ({ command }) => servedFolder(command) !== undefined,
    data: ({ command }) => servedFolder(command) ?? '/data',
    volumes: ['/data'],
  },
  { label: 'RabbitMQ', names: /^rabbitmq$/, data: '/var/lib/rabbitmq', uid: 999 },
  {
    label: 'SQL Server',
    names: /^(?:mssql\/server|mssql\/rhel\/server)$/,
    data: '/var/opt/mssql/data',
    volumes: [],
    uid: 10_001,
  },
  { label: 'CockroachDB', names: /^cockroachdb\/cockroach$/, data: '/cockroach/cockroach-data', volumes: [] },
  { label: 'Qdrant', names: /^qdrant\/qdrant$/, data: '/qdrant/storage', volumes: [] },
  {
    label: 'Meilisearch',
    names: /^getmeili\/meilisearch$/,
    data: ({ environment }) => absolute(environment['MEILI_DB_PATH']) ?? '/meili_data',
    dataOption: '--db-path',
    volumes: [],
  },
  {
    label: 'Prometheus',
    names: /^prom\/prometheus$/,
    data: '/prometheus',
    dataOption: '--storage.tsdb.path',
    uid: 65_534,
  },
];

/** What is known of an image and its use; `declared` is what the host's own image says. Pure. */
export function imageFacts(
  name: string,
  use: Pick<ImageUse, 'environment' | 'command'>,
  declared?: Image,
): ImageFacts {
  const environment = { ...declared?.environment, ...use.environment };
  const found = findKnown(name, { ...use, environment }, declared);
  const volumes = declared?.volumes ?? found?.volumes ?? [];
  return {
    from: declared !== undefined ? 'image' : found === undefined ? 'none' : 'table',
    volumes,
    user: declared?.user ?? '',
    environment,
    server: found?.server,
    isJob: found !== undefined && found.server === undefined,
  };
}

function findKnown(
  name: string,
  use: Pick<ImageUse, 'environment' | 'command'>,
  declared: Image | undefined,
): { readonly server: ServerFacts | undefined; readonly volumes: readonly string[] } | undefined {
  const { path } = parseImageName(name);
  const tag = tagOf(name);
  const image = known.find(({ names }) => names.test(path));
  const whole: ImageUse = { ...use, major: majorOf(use.environment['PG_MAJOR'] ?? tag) };
  if (image === undefined || image.isKnown?.(whole) === false) return undefined;
  const usual = typeof image.data === 'string' ? image.data : image.data(whole);
  const volumes = typeof image.volumes === 'function' ? image.volumes(whole) : (image.volumes ?? [usual]);
  const data = namedFolder(use.command, image.dataOption) ?? usual;
  if (!runsServer(use.command)) return { volumes, server: undefined };
  return {
    volumes,
    server: {
      label: image.label,
      kind: image.kind === 'cache' && !isToldToKeep(use.command) ? 'cache' : 'database',
      dataDirectories: [data],
      // What an image itself declares is not known here, but Alpine's have other numbers than Debian's.
      uid: declared === undefined && /alpine/.test(tag) ? undefined : image.uid,
    },
  };
}

/** A Redis that was told to write to disk is more than a cache. */
function isToldToKeep(command: readonly string[]): boolean {
  const text = command.join(' ');
  return /--appendonly\s+"?yes/.test(text) || /--save\s+["']?\d/.test(text);
}

/** The one folder of `minio server /data`; what is served of several, or of others, is not told. */
function servedFolder(command: readonly string[]): string | undefined {
  const words = command.flatMap((word) => word.split(/[\s"']+/));
  const [folder, ...others] = words
    .slice(words.indexOf('server') + 1)
    .filter((word) => /^(?:\/|http)/.test(word));
  return others.length === 0 && words.includes('server') && folder?.includes('{') === false
    ? absolute(folder)
    : undefined;
}

/** `--dbpath /data`, `--dbpath=/data` or a part of a line for a shell; the last one counts. */
function namedFolder(command: readonly string[], option: string | undefined): string | undefined {
  if (option === undefined) return undefined;
  const words = command.flatMap((word) => word.split(/[\s"'=]+/));
  const at = words.lastIndexOf(option);
  return at === -1 ? undefined : absolute(words[at + 1]);
}

/** What a relative path begins at is the image's own knowledge. */
function absolute(path: string | undefined): string | undefined {
  return path?.startsWith('/') === true ? path : undefined;
}

function tagOf(name: string): string {
  return /:([^:/@]+)(?:@|$)/.exec(name)?.[1] ?? '';
}

/** Of `17-alpine`, `pg17` and `2.17.2-pg17`, where the number in front is the extension's. */
function majorOf(tag: string): number | undefined {
  const digits =
    /(?:^|[-_])pg(\d{1,2})(?:\D|$)/.exec(tag)?.[1] ??
    /^v?(\d{1,3})(?:\D|$)/.exec(tag)?.[1] ??
    /[-_](\d{1,2})(?:\D|$)/.exec(tag)?.[1];
  return digits === undefined ? undefined : Number(digits);
}
