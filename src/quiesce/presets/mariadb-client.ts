import { AppError } from '../../model/errors.ts';
import { quote } from '../../model/quote.ts';
import type { PresetServer } from './preset.ts';
import { type ClientRequest, clientFailed, findProgram, lastLines, runClient } from './run-client.ts';
import { labelledLogin, loginHint, secretOf } from './secret-of.ts';

/** A login that was tried and works. */
export interface MariadbClient {
  readonly server: PresetServer;
  readonly product: 'mariadb' | 'mysql';
  /** `[10, 11, 6]` */
  readonly version: readonly number[];
  /** The client of the server's own kind: `mariadb` or `mysql`. */
  readonly program: string;
  /** True for a user with all privileges. */
  readonly isRoot: boolean;
  readonly login: Pick<ClientRequest, 'user' | 'environment'> & { readonly args: readonly string[] };
  /** Runs SQL and returns the rows, one a line, columns separated by tabs, line ends and tabs escaped. */
  sql(text: string, options?: { readonly withinMs?: number }): Promise<string[]>;
}

interface Login {
  readonly execUser: string | undefined;
  readonly user: string;
  readonly password: string | undefined;
  readonly args: readonly string[];
}

const answerMs = 30_000;
const missingPassword = '';

/** Finds a login as root. `unavailable` while the server does not answer, `unsupported` without a client. */
export async function connectMariadb(server: PresetServer): Promise<MariadbClient> {
  const place = server.container.name;
  const found = await findProgram(server, ['mariadb', 'mysql']);
  if (found === undefined)
    throw new AppError('unsupported', `There is neither "mariadb" nor "mysql" in ${quote(place)}`);
  let last = '';
  for (const login of await loginsOf(server)) {
    const request = sqlRequest(found.name, loginOf(login), { text: 'SELECT VERSION();', withinMs: answerMs });
    const result = await runClient(server, request);
    if (result.exitCode === 0)
      return clientOf(server, { program: found.name, login, version: result.stdout.trim() });
    last = result.stderr;
  }
  // 2002 and 2003: no server listens there.
  const isStarting = /ERROR (?:2002|2003|2013|2026)\b/.test(last);
  throw new AppError(isStarting ? 'unavailable' : 'denied', `Cannot log in to MariaDB in ${quote(place)}`, {
    detail: lastLines(last),
    hint: isStarting ? undefined : loginHint,
  });
}

async function loginsOf(server: PresetServer): Promise<Login[]> {
  const labelled = await labelledLogin(server);
  const rootUser = await secretOf(server, ['MARIADB_ROOT_USER', 'MYSQL_ROOT_USER']);
  const rootPassword = await secretOf(server, ['MARIADB_ROOT_PASSWORD', 'MYSQL_ROOT_PASSWORD']);
  const user = await secretOf(server, ['MARIADB_USER', 'MYSQL_USER']);
  const password = await secretOf(server, ['MARIADB_PASSWORD', 'MYSQL_PASSWORD']);
  const root: Login = { execUser: undefined, user: rootUser ?? 'root', password: rootPassword, args: [] };
  const tcp = ['--protocol=tcp', '--host=127.0.0.1'];
  const labelledLogins =
    labelled.user === undefined && labelled.password === undefined
      ? []
      : [{ ...root, user: labelled.user ?? root.user, password: labelled.password }];
  return [
    ...labelledLogins,
    root,
    // On Debian, the system's root is the database's root.
    { ...root, execUser: '0', user: 'root', password: missingPassword },
    { ...root, args: tcp },
    ...(user === undefined ? [] : [{ execUser: undefined, user, password, args: [] }]),
  ];
}

/** The password goes through the environment, because options are visible to every user of the machine. */
function loginOf({ execUser, user, password, args }: Login): MariadbClient['login'] {
  return {
    args: [`--user=${user}`, ...args],
    user: execUser,
    environment: password === undefined ? {} : { MYSQL_PWD: password },
  };
}

interface ClientAccess {
  readonly program: string;
  readonly login: Login;
  readonly version: string;
}

function clientOf(server: PresetServer, { program, login, version }: ClientAccess): MariadbClient {
  const given = loginOf(login);
  return {
    server,
    program,
    product: /mariadb/i.test(version) ? 'mariadb' : 'mysql',
    version: (/(\d+)\.(\d+)\.(\d+)/.exec(version.replace(/^5\.5\.5-/, '')) ?? []).slice(1).map(Number),
    isRoot: login.user === 'root',
    login: given,
    async sql(text, { withinMs } = {}) {
      const request = sqlRequest(program, given, { text, withinMs });
      const result = await runClient(server, request);
      if (result.exitCode === 0) return result.stdout.split('\n').filter((line) => line !== '');
      throw clientFailed({
        ...request,
        ...result,
        action: 'Cannot ask MariaDB',
        container: server.container.name,
      });
    },
  };
}

export interface SqlWork {
  readonly text: ClientRequest['stdin'];
  readonly withinMs?: number | undefined;
  readonly args?: readonly string[];
}

/** A client that reads its statements from stdin. */
export function sqlRequest(program: string, login: MariadbClient['login'], work: SqlWork): ClientRequest {
  const { args, ...rest } = login;
  const options = ['--batch', '--skip-column-names', '--default-character-set=utf8mb4'];
  return {
    ...rest,
    command: [program, ...args, ...options, ...(work.args ?? [])],
    stdin: work.text,
    withinMs: work.withinMs,
  };
}

/** Reverts the escapes of `--batch`. */
export function unescapeField(field: string): string {
  return field.replace(/\\([tn0\\])/g, (_, character: string) => escapes[character] ?? character);
}

const escapes: Readonly<Record<string, string>> = { t: '\t', n: '\n', '0': '\0', '\\': '\\' };

/** A quoted SQL name. */
export function backquote(name: string): string {
  return `\`${name.replaceAll('`', '``')}\``;
}
