/**
 * False for a container of a server's image that visibly runs something else: a dump by night, a job that loads or
 * asks. It keeps no data, whatever its image declares. What cannot be told from the words is a server. Pure.
 *
 * @param command The entrypoint with the command.
 */
export function runsServer(command: readonly string[]): boolean {
  const [program, ...rest] = withoutStarters(command);
  if (program === undefined || program.startsWith('-')) return true;
  if (!shells.test(nameOf(program))) return mayServe(program, rest[0]);
  const flag = rest.findIndex((word) => /^-[a-z]*c$/.test(word));
  if (flag >= 0) return startsServer(rest[flag + 1] ?? '');
  const script = rest.find((word) => !word.startsWith('-'));
  return script === undefined || mayServe(script);
}

const shells = /^(?:ba|da|a)?sh$/;
/** They run the words behind them; options alone are the server's. */
const starters = /^(?:docker-entrypoint(?:\.sh)?|entrypoint\.sh)$/;
/** They run what follows their own options, numbers and addresses. */
const wrappers =
  /^(?:tini|dumb-init|catatonit|exec|nohup|env|time|nice|ionice|chrt|taskset|numactl|stdbuf|timeout|setpriv|dockerize)$/;
const ofWrapper = /^-|^\d|:/;
/** They take a user first. */
const changers = /^(?:gosu|su-exec)$/;

const clients = new RegExp(
  `^(?:${[
    'pg_(?!ctl|autoctl).*|psql|pgbench|createdb|dropdb|vacuumdb|reindexdb',
    '(?:mysql|mariadb)(?:-?(?:dump|admin|check|import|show|slap|upgrade|backup|sh))?|mariabackup|xtrabackup',
    // A router of MongoDB has no data.
    'mongos|mongo(?:sh|dump|restore|import|export|stat|top)?|redis-cli|valkey-cli|keydb-cli',
    'clickhouse-(?:client|backup)|influx|cypher-shell|rabbitmqctl|rabbitmqadmin|cqlsh|nodetool|promtool',
    'elasticsearch-(?:certgen|certutil|keystore|plugin|reset-password|setup-passwords|users)',
    'true|echo|printf|sleep|tail|cat|date|ls|find|cp|mv|mkdir|chown|chmod|tar|gzip|rsync|curl|wget|crond?|supercronic',
  ].join('|')})$`,
);
/**
 * A script's name tells of what it is for; `restore-and-start.sh` and `postgres-with-backup.sh` go on to serve. The words
 * are whole ones: `cron-backup.sh` and `backup-and-restart.sh` do not.
 */
const jobs = /(?:backup|dump|restore)/i;
const servesToo =
  /with[-_.]?(?:auto)?(?:backup|dump|restore)|(?:(?<![a-z])(?:and|then|on)|restore)[-_.](?:.*[-_.])?(?:start|run|serve|boot|up(?![a-z]))|entrypoint.*restore|restore.*entrypoint/i;
/** CockroachDB's first words. With a path, as `/init`, it is what begins a container. */
const cockroachJob = /^(?:init|sql)$/;

/** A longer name is no file's. */
const nameBytesAtMost = 255;

function mayServe(word: string, next = ''): boolean {
  const name = nameOf(word).slice(-nameBytesAtMost);
  if (cockroachJob.test(/^cockroach(?:\.sh)?$/.test(name) ? next : word)) return false;
  return !clients.test(name) && (!jobs.test(name) || servesToo.test(name));
}

function nameOf(word: string): string {
  return word.slice(word.lastIndexOf('/') + 1);
}

function withoutStarters(words: readonly string[]): readonly string[] {
  let at = 0;
  for (;;) {
    const word = words[at] ?? '';
    const name = nameOf(word);
    const left = words.length - at;
    if (left > 1 && starters.test(name)) at += words[at + 1] === '--' ? 2 : 1;
    else if (left > 1 && wrappers.test(name)) {
      at += 1;
      while (at < words.length - 1 && ofWrapper.test(words[at] ?? '')) at += 1;
    } else if (left > 2 && changers.test(name)) at += 2;
    else if (left > 1 && /^\w+=/.test(word)) at += 1;
    else return words.slice(at);
  }
}

const servers =
  /^(?:postgres|postmaster|pg_ctl|pg_ctlcluster|pg_autoctl|patroni|mysqld(?:_safe)?|mariadbd(?:-safe)?|mongod|(?:redis|redis-stack|valkey|keydb|rabbitmq)-server|influxd|clickhouse(?:-server)?|elasticsearch|opensearch|eswrapper|cassandra|couchdb|neo4j|sqlservr|cockroach|qdrant|meilisearch|prometheus|arangod|minio|su|runuser|sudo|service|supervisord)$/;

/** Whether a line for a shell has, where a program's name stands, a server or a script that may start one. */
function startsServer(line: string): boolean {
  const parts = line
    .replaceAll(/\\\r?\n/g, ' ')
    .split(/[;&|\n(){}`]|\b(?:then|do|else|if|while|until|elif)\b/)
    .map(shellWords)
    .filter((words) => words.length > 0);
  return parts.some((words) => {
    const left = withoutStarters(words);
    const [program = '', next] = left;
    // `exec >/log` leads the shell's own output elsewhere.
    if (/[<>]/.test(program)) return false;
    const name = nameOf(program);
    // What is all that the shell runs, or takes its place, is judged as if there were no shell.
    if (parts.length === 1 || words[0] === 'exec' || shells.test(name)) return runsServer(left);
    const isServers = program.startsWith('-') && left.length < words.length;
    const isScript = /(?:\.sh|entrypoint|^run|^start|^init)$/.test(name);
    return isServers || name.startsWith('$') || ((servers.test(name) || isScript) && mayServe(program, next));
  });
}

function shellWords(part: string): string[] {
  return part
    .replaceAll(/["']/g, '')
    .split(/\s+/)
    .filter((word) => word !== '' && word !== '!');
}
