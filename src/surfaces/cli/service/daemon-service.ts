import { existsSync } from 'node:fs';
import path from 'node:path';
import type { AppConfig } from '../../../app/app.ts';
import { homeFolder } from '../../../lib/home-folder.ts';
import { AppError } from '../../../model/errors.ts';
import { usualStateDir } from '../../../model/usual-places.ts';
import { unitText } from './unit-text.ts';

/** A systemd unit and its place. `installService` installs and starts it. */
export interface ServiceUnit {
  /** Of the system for root, else of the user (`systemctl --user`). */
  readonly scope: 'system' | 'user';
  readonly name: 'holdfast.service';
  /** Where the unit is installed. */
  readonly path: string;
  readonly text: string;
}

export interface DaemonService extends ServiceUnit {
  /** The program's absolute path, and its arguments. */
  readonly command: readonly [string, ...string[]];
}

/** The process to run again as a service: `process` except in tests. */
export interface StartedProgram {
  readonly execPath: string;
  readonly execArgv: readonly string[];
  readonly argv: readonly string[];
  readonly getuid?: () => number;
}

type Settings = Pick<
  AppConfig,
  'stateDir' | 'configFile' | 'host' | 'repository' | 'passwordReference' | 'env'
>;

type Scope = ServiceUnit['scope'];

/**
 * Runs the daemon as this program runs now: by the same Node.js, with the settings in force (flags,
 * variables, the engine's address). `usage` when that needs a secret, which a unit cannot hold.
 */
export function daemonService(settings: Settings, program: StartedProgram = process): DaemonService {
  const scope = program.getuid?.() === 0 ? 'system' : 'user';
  const { execPath, execArgv, argv } = program;
  const entry = lastingEntry(path.resolve(argv[1] ?? ''));
  if (entry.includes('/_npx/'))
    throw new AppError(
      'usage',
      `A service cannot run from "${entry}": npm removes what is there at any time`,
      {
        hint: 'Install it first: npm install -g holdfast.',
      },
    );
  const { stateDir, configFile, env } = settings;
  const launcher = launcherOf(entry, execPath);
  const start: readonly [string, ...string[]] =
    launcher === undefined ? [execPath, ...execArgv, entry] : [launcher];
  const command = [...start, ...flagsOf(scope, settings), 'daemon'] as const;
  return {
    scope,
    name: 'holdfast.service',
    path: path.join(
      configFolder(scope, env),
      scope === 'system' ? 'systemd/system' : 'systemd/user',
      'holdfast.service',
    ),
    command,
    text: unitText({
      scope,
      command,
      needs: [
        ...(launcher === undefined ? [execPath, entry] : [launcher]),
        stateDir,
        ...(configFile === undefined ? [] : [configFile]),
      ],
      variables: variablesOf(scope, env),
    }),
  };
}

/** In a checkout its sources: the bundle there is of those of one moment, and gone while the next is made. */
function lastingEntry(entry: string): string {
  const source = entry.replace(/\/dist\/main\.js$/, '/src/surfaces/cli/main.ts');
  return existsSync(source) ? source : entry;
}

/**
 * The launcher of this program's checkout or package, if it starts the same Node.js whatever the PATH is: its
 * path stays when a later version moves its files.
 */
function launcherOf(entry: string, execPath: string): string | undefined {
  const [, root] = /^(.*)\/(?:src\/surfaces\/cli\/main\.ts|dist\/main\.js)$/.exec(entry) ?? [];
  if (root === undefined) return undefined;
  const bundled = /^node-linux-[^/]+\/bin\/node$/;
  const isBundled = [path.join(root, 'node_modules'), path.dirname(root)].some((folder) =>
    bundled.test(path.relative(folder, execPath)),
  );
  const launcher = path.join(root, 'bin/holdfast');
  return isBundled && existsSync(launcher) ? launcher : undefined;
}

/** The file of variables for the unit, which not every user may read. */
export function environmentFile(
  env: AppConfig['env'],
  program: Pick<StartedProgram, 'getuid'> = process,
): string {
  return path.join(configFolder(program.getuid?.() === 0 ? 'system' : 'user', env), 'holdfast/environment');
}

/** systemd's %E. */
function configFolder(scope: Scope, env: AppConfig['env']): string {
  if (scope === 'system') return '/etc';
  const base = env['XDG_CONFIG_HOME'];
  if (base !== undefined && path.isAbsolute(base)) return base;
  const home = homeFolder(env);
  if (home !== undefined) return path.join(home, '.config');
  throw new AppError('usage', 'There is no home folder for a unit', { hint: 'Set HOME.' });
}

/** The settings that do not depend on the service's folder and environment. */
function flagsOf(scope: Scope, settings: Settings): string[] {
  const { stateDir, configFile, host, repository, passwordReference, env } = settings;
  return [
    ...(scope === 'system' && stateDir === usualStateDir ? [] : ['--state-dir', stateDir]),
    ...(configFile === undefined ? [] : ['--config', configFile]),
    ...(host === undefined ? [] : ['--host', host]),
    ...(repository === undefined ? [] : ['--repo', absoluteRepository(repository)]),
    ...passwordFlags(passwordReference, () => notInUnit('HOLDFAST_PASSWORD', configFolder(scope, env))),
  ];
}

/**
 * A service would resolve a relative path from another folder. A word without a slash may be a repository's
 * name.
 */
function absoluteRepository(text: string): string {
  const isPath = text.includes('/') && !/^[a-z][a-z0-9+.-]+:/i.test(text);
  return isPath || text === '.' || text === '..' ? path.resolve(text) : text;
}

function passwordFlags(reference: string | undefined, refusal: () => AppError): string[] {
  if (reference === undefined) return [];
  const [, kind, value = ''] = /^(file|exec):([^]*)$/.exec(reference) ?? [];
  if (kind !== undefined) return [kind === 'file' ? '--password-file' : '--password-command', value];
  throw refusal();
}

function notInUnit(variable: string, folder: string): AppError {
  return new AppError('usage', `A unit cannot keep the password in ${variable}: every user can read it`, {
    hint: `Write "${variable}=…" into "${folder}/holdfast/environment" (mode 0600), and unset the variable here.`,
  });
}

/**
 * Variables that decide which engine is found, and where Holdfast and its programs look for configuration.
 */
const plainVariables = [
  'DOCKER_HOST',
  'CONTAINER_HOST',
  'DOCKER_CONTEXT',
  'DOCKER_TLS',
  'DOCKER_TLS_VERIFY',
  'HOLDFAST_DATA_WAY',
];
const folderVariables = ['DOCKER_CONFIG', 'DOCKER_CERT_PATH', 'XDG_CONFIG_HOME', 'XDG_CACHE_HOME'];

function variablesOf(scope: Scope, env: AppConfig['env']): Record<string, string> {
  const found = [
    ...plainVariables.map((name) => [name, env[name]] as const),
    ...folderVariables.map((name) => [name, env[name] && path.resolve(env[name])] as const),
    // A user's services have it; the system's do not, and would look for contexts and remotes elsewhere.
    ...(scope === 'system' ? [['HOME', homeFolder(env)] as const] : []),
  ];
  const set = found.filter((entry): entry is readonly [string, string] => Boolean(entry[1]));
  for (const [name, value] of set)
    if (/:\/\/[^/@\s]*:[^/@\s]*@/.test(value)) throw notInUnit(name, configFolder(scope, env));
  return Object.fromEntries(set);
}
