import { AppError, errorMessage } from '../../model/errors.ts';
import { quote } from '../../model/quote.ts';
import { decodeDumpName, encodeDumpName } from './dump-name.ts';
import {
  type PostgresClient,
  psql,
  quoteIdentifier as identifier,
  quoteLiteral as literal,
} from './postgresql-client.ts';
import type { Dump, DumpToRestore } from './preset.ts';
import { endsWithLine, provenDump } from './proven-dump.ts';
import { clientFailed, runClient } from './run-client.ts';

const globalsName = 'postgresql.globals.sql';
const databasePrefix = 'postgresql.database.';
/** After its last comment, a dump may lift the restriction that it began with. */
const mayFollow = /^(?:--|\\unrestrict .*)?$/;
const lockWaitMs = 5 * 60_000;

/** Roles first, then each database as text: unchanged text is stored only once, and shows where it ends. */
export async function postgresDumps(client: PostgresClient): Promise<Dump[]> {
  const names = await client.sql(
    'template1',
    'SELECT to_json(datname) FROM pg_database WHERE datallowconn AND NOT datistemplate ORDER BY datname;',
  );
  const globals: Dump = {
    name: globalsName,
    open: () =>
      provenDump(client.server, dumpRequest(client, 'template1', ['pg_dumpall', '--globals-only']), {
        subject: `the roles of PostgreSQL in ${quote(client.server.container.name)}`,
        isWhole: endsWithLine('-- PostgreSQL database cluster dump complete', mayFollow),
        tailBytes: 4096,
      }),
  };
  const databases = names.map((json): Dump => {
    const database = JSON.parse(json) as string;
    const command = ['pg_dump', '--create', '--format=plain', `--lock-wait-timeout=${lockWaitMs}`];
    return {
      name: `${databasePrefix}${encodeDumpName(database)}.sql`,
      open: () =>
        provenDump(client.server, dumpRequest(client, database, command), {
          subject: `the database ${quote(database)}`,
          isWhole: endsWithLine('-- PostgreSQL database dump complete', mayFollow),
          tailBytes: 4096,
        }),
    };
  });
  return [globals, ...databases];
}

function dumpRequest(client: PostgresClient, database: string, command: readonly string[]) {
  const { args, ...login } = client.login(database);
  return { ...login, command: [...command, ...args] };
}

/**
 * Roles that exist take the dump's attributes. A database is renamed while the dump is read, and comes back
 * on failure; it is dropped only after the whole dump was read.
 */
export async function restorePostgresDump(client: PostgresClient, dump: DumpToRestore): Promise<void> {
  if (dump.name === globalsName) return await restoreGlobals(client, dump);
  const encoded = /^postgresql\.database\.(.+)\.sql$/.exec(dump.name)?.[1];
  if (encoded === undefined)
    throw new AppError('usage', `${quote(dump.name)} is no dump of PostgreSQL that Holdfast has made`);
  await restoreDatabase(client, decodeDumpName(encoded), dump);
}

const duplicateObject = '42710';

async function restoreGlobals(client: PostgresClient, { body }: DumpToRestore): Promise<void> {
  const request = psql(client, 'template1', { text: body, lenient: true });
  const { exitCode, stderr } = await runClient(client.server, request);
  const errors = stderr.split('\n').filter((line) => /(?:ERROR|FATAL|PANIC): /.test(line));
  const bad = errors.filter((line) => !line.includes(` ${duplicateObject}: `));
  if (exitCode === 0 && bad.length === 0) return;
  const action = 'Cannot restore the roles';
  const container = client.server.container.name;
  throw clientFailed({
    action,
    container,
    command: request.command,
    exitCode,
    stderr: bad.join('\n') || stderr,
  });
}

async function restoreDatabase(
  client: PostgresClient,
  database: string,
  { body }: DumpToRestore,
): Promise<void> {
  const from = database === 'postgres' ? 'template1' : 'postgres';
  const aside = await putAside(client, { database, from });
  const request = psql(client, from, { text: withoutRows(body) });
  try {
    const result = await runClient(client.server, request);
    const action = `Cannot restore the database ${quote(database)}`;
    const container = client.server.container.name;
    if (result.exitCode !== 0) throw clientFailed({ ...request, ...result, action, container });
    if (!(await exists(client, { database, from })))
      throw new AppError('failed', `${action}: the dump did not make it`);
  } catch (error) {
    await bringBack(client, { database, from, aside }).catch((second: unknown) => {
      throw new AppError(
        'failed',
        `Cannot restore the database ${quote(database)}, and it is not as it was`,
        {
          detail: [error, second].map((one) => errorMessage(one)).join('\n'),
          hint:
            aside === undefined
              ? undefined
              : `What it was is in the database ${quote(aside)} on the same server.`,
          cause: error,
        },
      );
    });
    throw error;
  }
  if (aside !== undefined) await client.sql(from, `DROP DATABASE ${identifier(aside)};`);
}

/** Discards the statements' output, which is large and useless. */
async function* withoutRows(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  yield Buffer.from('\\o /dev/null\n');
  yield* body;
}

interface Place {
  readonly database: string;
  /** The database to connect to while others are renamed. */
  readonly from: string;
}

/** The name under which the database is kept; undefined when there is none. */
async function putAside(client: PostgresClient, { database, from }: Place): Promise<string | undefined> {
  if (!(await exists(client, { database, from }))) return undefined;
  const stamp = new Date().toISOString().replace(/\D/g, '').slice(0, 14);
  // Names have at most 63 bytes.
  const aside = `${Buffer.from(database).subarray(0, 40).toString('utf8').replaceAll('\ufffd', '')}_before_${stamp}`;
  try {
    await client.sql(from, [...disconnect(database), rename(database, aside)].join('\n'));
  } catch (error) {
    const isAside = await exists(client, { database: aside, from });
    await client.sql(
      from,
      [...(isAside ? [rename(aside, database)] : []), allow(database)].join('\n'),
      undoing,
    );
    throw error;
  }
  return aside;
}

/** Bounded, since no cancel ends it. */
const undoing = { withinMs: 60_000, isUndoing: true } as const;

async function exists(client: PostgresClient, { database, from }: Place): Promise<boolean> {
  const found = `SELECT 1 FROM pg_database WHERE datname = ${literal(database)};`;
  return (await client.sql(from, found, undoing)).length > 0;
}

async function bringBack(
  client: PostgresClient,
  { database, from, aside }: Place & { readonly aside: string | undefined },
): Promise<void> {
  if (await exists(client, { database, from }))
    await client.sql(
      from,
      [...disconnect(database), `DROP DATABASE IF EXISTS ${identifier(database)};`].join('\n'),
      undoing,
    );
  if (aside === undefined) return;
  await client.sql(from, `${rename(aside, database)}\n${allow(database)}`, undoing);
}

function allow(database: string): string {
  return `ALTER DATABASE ${identifier(database)} WITH ALLOW_CONNECTIONS true;`;
}

function disconnect(database: string): string[] {
  return [
    `ALTER DATABASE ${identifier(database)} WITH ALLOW_CONNECTIONS false;`,
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = ${literal(database)};`,
    // Terminated sessions need a moment to end.
    `SELECT pg_sleep(0.5);`,
  ];
}

function rename(from: string, to: string): string {
  return `ALTER DATABASE ${identifier(from)} RENAME TO ${identifier(to)};`;
}
