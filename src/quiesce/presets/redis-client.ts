import { AppError } from '../../model/errors.ts';
import { quote } from '../../model/quote.ts';
import type { PresetServer } from './preset.ts';
import { clientFailed, findProgram, readContainerFile, runClient } from './run-client.ts';
import { labelledLogin, loginHint, secretOf } from './secret-of.ts';

export interface RedisClient {
  readonly server: PresetServer;
  /** The server's answer as its client prints it. Throws for an error of the server. */
  ask(...command: readonly string[]): Promise<string>;
  info(section: string): Promise<ReadonlyMap<string, string>>;
}

const answerMs = 60_000;

/** Finds a login. `unavailable` while the server is down or loading, `unsupported` without a client. */
export async function connectRedis(server: PresetServer): Promise<RedisClient> {
  const found = await findProgram(server, ['redis-cli', 'valkey-cli', 'keydb-cli']);
  if (found === undefined)
    throw new AppError(
      'unsupported',
      `There is no "redis-cli" or its like in ${quote(server.container.name)}`,
    );
  const login = await loginOf(server);
  const ask = async (...words: readonly string[]): Promise<string> => {
    const command = [
      found.name,
      '-p',
      login.port,
      ...(login.user === undefined ? [] : ['--user', login.user]),
      ...words,
    ];
    const environment: Record<string, string> =
      login.password === undefined ? {} : { REDISCLI_AUTH: login.password, VALKEYCLI_AUTH: login.password };
    const result = await runClient(server, { command, environment, withinMs: answerMs });
    const text = result.stdout.trim();
    const said = `${text}\n${result.stderr}`;
    const place = quote(server.container.name);
    if (/^(?:LOADING|MASTERDOWN)|Could not connect|Connection refused/m.test(said))
      throw new AppError('unavailable', `Redis in ${place} does not answer yet`, { detail: said.trim() });
    if (/^(?:\(error\) )?(?:NOAUTH|WRONGPASS|NOPERM)/m.test(said))
      throw new AppError('denied', `Cannot log in to Redis in ${place}`, {
        detail: said.trim(),
        hint: loginHint,
      });
    if (result.exitCode !== 0 || /^(?:\(error\) )?ERR /.test(text)) {
      const action = `Cannot ask Redis in ${place}`;
      throw clientFailed({ ...result, stderr: said, command, action, container: server.container.name });
    }
    return text;
  };
  const pong = await ask('PING');
  if (pong !== 'PONG')
    throw new AppError(
      'unavailable',
      `Redis in ${quote(server.container.name)} does not answer as it should`,
      {
        detail: pong,
      },
    );
  return { server, ask, info: async (section) => parseInfo(await ask('INFO', section)) };
}

interface Login {
  readonly port: string;
  readonly user: string | undefined;
  readonly password: string | undefined;
}

/** From labels, the environment, the command, and the configuration file that the command names. */
async function loginOf(server: PresetServer): Promise<Login> {
  const { command, entrypoint = [] } = server.container;
  const words = [...entrypoint, ...command].flatMap(shellWords);
  const labelled = await labelledLogin(server);
  const configFile = words.find((word) => word.endsWith('.conf'));
  const config = configFile === undefined ? '' : ((await readContainerFile(server, configFile)) ?? '');
  const password =
    labelled.password ??
    optionOf(words, '--requirepass') ??
    (await secretOf(server, ['REDIS_PASSWORD', 'VALKEY_PASSWORD', 'KEYDB_PASSWORD', 'REDISCLI_AUTH'])) ??
    settingOf(config, 'requirepass');
  const port =
    optionOf(words, '--port') ??
    (await secretOf(server, ['REDIS_PORT_NUMBER', 'VALKEY_PORT_NUMBER'])) ??
    settingOf(config, 'port') ??
    '6379';
  return { port, user: labelled.user, password };
}

/** `sh -c 'redis-server --requirepass x'` has its options in one word. */
function shellWords(word: string): string[] {
  if (!/\b(?:redis|valkey|keydb)-server\b.*\s/.test(word)) return [word];
  return [...word.matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g)].map(([, a, b, c]) => a ?? b ?? c ?? '');
}

export function optionOf(words: readonly string[], option: string): string | undefined {
  const index = words.indexOf(option);
  return index === -1 ? undefined : words[index + 1];
}

/** A directive of a configuration file: the last one counts, without its quotes. */
export function settingOf(config: string, directive: string): string | undefined {
  let found: string | undefined;
  for (const line of config.split(/\r?\n/)) {
    const match = /^\s*(\S+)\s+(.*?)\s*$/.exec(line);
    if (match?.[1]?.toLowerCase() !== directive) continue;
    const value = match[2] ?? '';
    found = /^(["']).*\1$/.test(value) ? value.slice(1, -1).replace(/\\(["'\\])/g, '$1') : value;
  }
  return found;
}

/** Lines of `name:value`. */
export function parseInfo(text: string): ReadonlyMap<string, string> {
  return new Map(
    text.split(/\r?\n/).flatMap((line) => {
      const colon = line.indexOf(':');
      return colon === -1 || line.startsWith('#')
        ? []
        : [[line.slice(0, colon), line.slice(colon + 1)] as const];
    }),
  );
}
