import { AppError } from '../../model/errors.ts';
import { quote } from '../../model/quote.ts';
import type { PresetServer } from './preset.ts';
import {
  type ClientRequest,
  clientFailed,
  findProgram,
  isMissingProgram,
  lastLines,
  runClient,
} from './run-client.ts';
import { labelledLogin, loginHint, secretOf } from './secret-of.ts';

/** A login that was tried and works. */
export interface PostgresClient {
  readonly server: PresetServer;
  /**
   * What every client program needs. The database goes into the environment, because a name as an argument
   * could be an option.
   */
  login(database: string): Pick<ClientRequest, 'user' | 'environment'> & { readonly args: readonly string[] };
  /** Runs SQL and returns the rows, one a line, unaligned. */
  sql(database: string, text: string, options?: SqlOptions): Promise<string[]>;
}

export interface SqlOptions {
  readonly withinMs?: number;
  /** The statement undoes something, and runs after a cancel too. */
  readonly isUndoing?: boolean;
}

interface Login {
  readonly execUser: string | undefined;
  readonly role: string;
  readonly password: string | undefined;
  readonly host: string | undefined;
}

const answerMs = 30_000;
/** Databases that every server has, the least likely to be changed first. */
const maintenance = ['postgres', 'template1'] as const;

/**
 * Finds a login as the superuser. `unavailable` while the server does not answer, `unsupported` without psql.
 */
export async function connectPostgres(server: PresetServer): Promise<PostgresClient> {
  const place = server.container.name;
  if ((await findProgram(server, ['psql'])) === undefined)
    throw new AppError('unsupported', `There is no "psql" in ${quote(place)}`);
  let last = '';
  for (const login of await loginsOf(server)) {
    const client = clientOf(server, login);
    for (const database of maintenance) {
      const result = await runClient(
        server,
        psql(client, database, { text: 'SELECT 1;', withinMs: answerMs }),
      );
      if (result.exitCode === 0) return client;
      if (isMissingProgram(result))
        throw new AppError('unsupported', `There is no "psql" in ${quote(place)}`);
      last = result.stderr;
    }
  }
  const isStarting = /starting up|could not connect|connection refused|no such file or directory/i.test(last);
  throw new AppError(
    isStarting ? 'unavailable' : 'denied',
    `Cannot log in to PostgreSQL in ${quote(place)}`,
    { detail: lastLines(last), hint: isStarting ? undefined : loginHint },
  );
}

async function loginsOf(server: PresetServer): Promise<Login[]> {
  const labelled = await labelledLogin(server);
  const role =
    labelled.user ??
    (await secretOf(server, ['POSTGRES_USER', 'POSTGRESQL_USERNAME', 'PGUSER'])) ??
    'postgres';
  const password =
    labelled.password ?? (await secretOf(server, ['POSTGRES_PASSWORD', 'POSTGRESQL_PASSWORD', 'PGPASSWORD']));
  const superuser = await secretOf(server, ['POSTGRESQL_POSTGRES_PASSWORD']);
  const own: Login = { execUser: undefined, role, password, host: undefined };
  return [
    ...(superuser !== undefined && labelled.user === undefined
      ? [{ ...own, role: 'postgres', password: superuser }]
      : []),
    own,
    // On Debian, the system's user "postgres" is the database's superuser.
    { ...own, execUser: 'postgres', role: labelled.user ?? 'postgres' },
    { ...own, host: '127.0.0.1' },
  ];
}

function clientOf(server: PresetServer, { execUser, role, password, host }: Login): PostgresClient {
  const client: PostgresClient = {
    server,
    login: (database) => ({
      args: ['--no-password', `--username=${role}`, ...(host === undefined ? [] : [`--host=${host}`])],
      user: execUser,
      environment: {
        PGDATABASE: database,
        PGCONNECT_TIMEOUT: '10',
        PGCLIENTENCODING: 'UTF8',
        ...(password !== undefined && { PGPASSWORD: password }),
      },
    }),
    async sql(database, text, { withinMs, isUndoing = false } = {}) {
      const request = psql(client, database, { text, withinMs });
      const result = await runClient(isUndoing ? { ...server, signal: undefined } : server, request);
      if (result.exitCode === 0) return result.stdout.split('\n').filter((line) => line !== '');
      const action = `Cannot ask the database ${quote(database)}`;
      throw clientFailed({ ...request, ...result, action, container: server.container.name });
    },
  };
  return client;
}

export interface PsqlWork {
  readonly text: ClientRequest['stdin'];
  readonly withinMs?: number | undefined;
  /** Go on after an error. */
  readonly lenient?: boolean;
}

/** psql that reads its statements from stdin, so that no process list shows them. */
export function psql(client: PostgresClient, database: string, work: PsqlWork): ClientRequest {
  const { args, ...login } = client.login(database);
  const variables = [`ON_ERROR_STOP=${work.lenient ? 0 : 1}`, 'VERBOSITY=verbose'];
  const set = variables.flatMap((variable) => ['--set', variable]);
  return {
    ...login,
    command: ['psql', '--no-psqlrc', '--quiet', '--no-align', '--tuples-only', ...set, ...args],
    stdin: work.text,
    withinMs: work.withinMs,
  };
}

export function quoteIdentifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** A quoted SQL string, for any `standard_conforming_strings`. */
export function quoteLiteral(text: string): string {
  const escaped = text.replaceAll("'", "''");
  return escaped.includes('\\') ? `E'${escaped.replaceAll('\\', '\\\\')}'` : `'${escaped}'`;
}
