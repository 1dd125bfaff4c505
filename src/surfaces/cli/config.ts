import path from 'node:path';
import type { AppConfig } from '../../app/app.ts';
import { homeFolder } from '../../lib/home-folder.ts';
import { AppError } from '../../model/errors.ts';
import { usualStateDir } from '../../model/usual-places.ts';
import type { GlobalFlags } from './global-flags.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** Settings of the command line, then of the environment, then the defaults. */
export function readConfig(flags: GlobalFlags, env: Environment): AppConfig {
  const configFile = flags.config ?? setting(env, 'HOLDFAST_CONFIG');
  const host = flags.host ?? setting(env, 'HOLDFAST_HOST');
  return {
    configFile: configFile && path.resolve(configFile),
    stateDir: path.resolve(flags.stateDir ?? setting(env, 'HOLDFAST_STATE_DIR') ?? defaultStateDir(env)),
    host: host === undefined ? undefined : parseHost(host),
    dataWay: parseDataWay(setting(env, 'HOLDFAST_DATA_WAY') ?? 'auto'),
    repository: flags.repo ?? setting(env, 'HOLDFAST_REPOSITORY'),
    passwordReference: passwordReference(flags, env),
    env,
  };
}

/** A setting of the command line or the environment. */
export interface SettingSource {
  /** Its name in `holdfast.yaml`, if it is there too. */
  readonly name: string;
  readonly value: string | undefined;
  /** The flag or the variable, else `default`. */
  readonly from: string;
}

/** The sources of all settings that do not come from the configuration file alone. */
export function settingSources(flags: GlobalFlags, env: Environment): SettingSource[] {
  const source = (
    name: string,
    flag: string,
    more: { given: string | undefined; variable: string; usual?: string },
  ): SettingSource => {
    if (more.given !== undefined) return { name, value: more.given, from: flag };
    const value = setting(env, more.variable);
    return value === undefined
      ? { name, value: more.usual, from: 'default' }
      : { name, value, from: more.variable };
  };
  return [
    source('state-dir', '--state-dir', {
      given: flags.stateDir,
      variable: 'HOLDFAST_STATE_DIR',
      usual: defaultStateDir(env),
    }),
    source('config', '--config', { given: flags.config, variable: 'HOLDFAST_CONFIG' }),
    source('host', '--host', { given: flags.host, variable: 'HOLDFAST_HOST', usual: 'auto' }),
    source('repository', '--repo', { given: flags.repo, variable: 'HOLDFAST_REPOSITORY' }),
    source('password-file', '--password-file', {
      given: flags.passwordFile,
      variable: 'HOLDFAST_PASSWORD_FILE',
    }),
    source('password-command', '--password-command', {
      given: flags.passwordCommand,
      variable: 'HOLDFAST_PASSWORD_COMMAND',
    }),
  ];
}

/** `table`, `json`, or one of the forms that only this command has. */
export function parseFormat(format = 'table', forms: readonly string[] = []): string {
  const known = ['table', 'json', ...forms];
  if (known.includes(format)) return format;
  throw new AppError('usage', `Format "${format}" is unknown`, {
    hint: `Use ${known.map((name) => `--format ${name}`).join(' or ')}.`,
  });
}

function parseHost(host: string): NonNullable<AppConfig['host']> {
  if (host === 'auto' || host === 'docker' || host === 'podman' || host === 'embedded') return host;
  throw new AppError('usage', `Host "${host}" is unknown`, {
    hint: 'Use --host auto, docker, podman or embedded.',
  });
}

function parseDataWay(way: string): AppConfig['dataWay'] {
  if (way === 'auto' || way === 'stream') return way;
  throw new AppError('usage', `The way to the data "${way}" is unknown`, {
    hint: 'HOLDFAST_DATA_WAY is auto or stream.',
  });
}

/** An empty variable counts as unset. */
function setting(env: Environment, name: string): string | undefined {
  return env[name] || undefined;
}

function passwordReference(flags: GlobalFlags, env: Environment): string | undefined {
  if (flags.passwordFile !== undefined && flags.passwordCommand !== undefined) {
    throw new AppError('usage', 'The flags --password-file and --password-command exclude each other');
  }
  if (flags.passwordFile !== undefined) return `file:${path.resolve(flags.passwordFile)}`;
  if (flags.passwordCommand !== undefined) return `exec:${flags.passwordCommand}`;
  const file = setting(env, 'HOLDFAST_PASSWORD_FILE');
  if (file !== undefined) return `file:${path.resolve(file)}`;
  const command = setting(env, 'HOLDFAST_PASSWORD_COMMAND');
  if (command !== undefined) return `exec:${command}`;
  return setting(env, 'HOLDFAST_PASSWORD') === undefined ? undefined : 'env:HOLDFAST_PASSWORD';
}

function defaultStateDir(env: Environment): string {
  if (process.getuid?.() === 0) return usualStateDir;
  const base = env['XDG_STATE_HOME'];
  if (base !== undefined && path.isAbsolute(base)) return path.join(base, 'holdfast');
  const home = homeFolder(env);
  if (home === undefined) {
    throw new AppError('usage', 'There is no home folder for what Holdfast remembers', {
      hint: 'Say where: --state-dir DIR, HOLDFAST_STATE_DIR, or HOME.',
    });
  }
  return path.join(home, '.local', 'state', 'holdfast');
}
