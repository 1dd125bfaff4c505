import { existsSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import type { App, AppConfig, KnownRepository, Surroundings } from '../../../app/app.ts';
import { errnoOf } from '../../../model/errors.ts';
import { systemConfigurationFile, usualStateDir } from '../../../model/usual-places.ts';
import { daemonService, type DaemonService, environmentFile } from '../service/daemon-service.ts';
import { hasSystemd, installedUnit, isMadeHere, serviceState } from '../service/install-service.ts';
import { settingsOfUnit } from '../service/unit-text.ts';
import { missingVariables, type VariablesRequest } from './missing-variables.ts';
import { findRepository, type ServiceFacts, type SetupFacts } from './setup-plan.ts';

/** The daemon as setup runs it: the repository and its password are in the catalog by then. */
export function setupService(config: AppConfig): DaemonService {
  return daemonService({ ...config, repository: undefined, passwordReference: undefined });
}

export interface FactsRequest {
  /** The requested one. */
  readonly repository: string | undefined;
  /** Of its store; undefined takes the known ones. */
  readonly storeOptions: Readonly<Record<string, string>> | undefined;
  /** Without it systemd is not asked: the user may have no session that it answers to. */
  readonly withService: boolean;
}

/** Changes nothing. */
export async function gatherFacts(
  app: App,
  { repository, storeOptions, withService }: FactsRequest,
  { signal }: { readonly signal: AbortSignal },
): Promise<SetupFacts> {
  const { config } = app;
  const around = await app.volumes.lookAround({ signal });
  const repositories = await knownRepositories(app);
  const { file, policies, notify } = await app.policies.configuration();
  const known = findRepository(repositories, repository);
  const location = known?.location ?? repository;
  const access = {
    location: location ?? '',
    options: storeOptions ?? known?.options ?? {},
    passwordReference: known?.passwordReference ?? config.passwordReference,
  };
  return {
    host: around.host,
    volumes: around.volumes.length,
    bindMounts: around.bindMounts.flatMap(({ source, leftOut }) => (leftOut === undefined ? source : [])),
    repositories,
    configuration: {
      file,
      newFile: newFileOf(config),
      policies: policies.map(({ name, schedule, repositories: to }) => ({
        name,
        isScheduled: schedule !== undefined,
        repositories: to,
      })),
      channels: notify.map(({ name }) => name),
    },
    service: withService ? await serviceFacts(config, access, signal) : undefined,
    sharesDiskWith: location === undefined ? undefined : await sharedDisk(location, around),
  };
}

/** When no catalog exists, asking for them would make the state folder, which a dry run must not. */
export async function knownRepositories({ config, repositories }: App): Promise<KnownRepository[]> {
  return existsSync(path.join(config.stateDir, 'catalog.db')) ? await repositories.list() : [];
}

/** For the system's service it is where administrators look; else in the state folder. */
function newFileOf({ stateDir, configFile }: AppConfig): string {
  if (configFile !== undefined) return configFile;
  return stateDir === usualStateDir ? systemConfigurationFile : path.join(stateDir, 'holdfast.yaml');
}

async function serviceFacts(
  config: AppConfig,
  access: Omit<VariablesRequest, 'env' | 'kept'>,
  signal: AbortSignal,
): Promise<ServiceFacts> {
  const service = setupService(config);
  const variablesFile = environmentFile(config.env);
  const kept = await readFile(variablesFile, 'utf8').catch(() => '');
  return {
    path: service.path,
    installed: installedFacts(await installedUnit(service), service.text),
    state: hasSystemd() ? await serviceState(service, { signal }) : undefined,
    command: service.command.map(quotedWord).join(' '),
    missingVariables: missingVariables({ ...access, env: config.env, kept }),
    variablesFile,
  };
}

function installedFacts(unit: string | undefined, wantedUnit: string): ServiceFacts['installed'] {
  if (unit === undefined) return undefined;
  const [now, wanted] = [settingsOfUnit(unit), settingsOfUnit(wantedUnit)];
  return { isOwn: isMadeHere(unit), otherSettings: now === wanted ? undefined : { now, wanted } };
}

/** Quoted for a shell, to be copied. */
function quotedWord(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
}

/** The first place with data on the same file system as a repository in a directory. */
async function sharedDisk(location: string, { host, bindMounts }: Surroundings): Promise<string | undefined> {
  if (!path.isAbsolute(location)) return undefined;
  const device = await deviceOf(location);
  const places = [
    ...(host.dataRoot === undefined || host.isRemote === true ? [] : [host.dataRoot]),
    ...bindMounts.flatMap(({ source, leftOut }) => (leftOut === undefined ? source : [])),
  ];
  for (const place of places)
    if (device !== undefined && (await deviceOf(place)) === device)
      return place === host.dataRoot ? 'the volumes' : `"${place}"`;
  return undefined;
}

/** Of the place, or of its nearest existing parent. */
async function deviceOf(place: string): Promise<number | undefined> {
  for (let at = place; ; at = path.dirname(at)) {
    try {
      return (await stat(at)).dev;
    } catch (error) {
      const errno = errnoOf(error);
      if ((errno !== 'ENOENT' && errno !== 'ENOTDIR') || at === path.dirname(at)) return undefined;
    }
  }
}
