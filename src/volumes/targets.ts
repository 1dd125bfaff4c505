import { lstat, realpath, stat } from 'node:fs/promises';
import path from 'node:path';
import type { HostAccess, HostInfo, HostScope } from '../hosts/host.ts';
import { requireAnswer } from '../lib/require-answer.ts';
import { fromText } from '../model/byte-string.ts';
import { AppError, errnoOf, isAppError } from '../model/errors.ts';
import { quote } from '../model/quote.ts';
import { parseTarget } from '../model/target.ts';
import type { Volume } from '../model/volume.ts';
import { didYouMean, nearNames } from '../model/near-names.ts';
import type { JobOptions } from '../activity/index.ts';
import { planBindMounts } from './bind-mounts.ts';
import { findContainerData, whySkipped } from './container-targets.ts';
import { findVolume } from './find-volume.ts';

/** What a backup saves: a volume of the host, or a directory or single file of this machine. */
export type BackupTarget =
  | { readonly kind: 'volume'; readonly name: string; readonly volume: Volume; readonly host: HostInfo }
  | PathTarget;

export interface PathTarget {
  readonly kind: 'path';
  readonly name: string;
  readonly isFile?: boolean | undefined;
}

export interface TargetRequest {
  readonly targets: readonly string[];
  readonly all: boolean;
  readonly stacks: readonly string[];
  /** Names or ids of containers: all of their volumes and bind mounts. */
  readonly containers?: readonly string[] | undefined;
}

export interface TargetChoice {
  readonly targets: readonly BackupTarget[];
  /** Targets with the same value are saved at one moment, in addition to the volumes of a stack. */
  readonly moments: ReadonlyMap<BackupTarget, string>;
  readonly skipped: readonly { readonly name: string; readonly reason: string }[];
}

/** Finds all targets before any work begins: a typo stops the whole command, and never makes a volume. */
export async function resolveTargets(
  scope: HostScope,
  request: TargetRequest,
  options: JobOptions,
): Promise<TargetChoice> {
  const { containers = [] } = request;
  if (request.targets.length + request.stacks.length + containers.length === 0 && !request.all) {
    throw new AppError('usage', 'Nothing to back up was named', {
      hint: 'Name volumes or directories, or use --all, --stack or --container.',
    });
  }
  const named: BackupTarget[] = [];
  for (const text of request.targets) named.push(await resolveTarget(scope, text, options));
  const mounted = await mountedTargets(scope, { ...request, containers }, options);
  const chosen = await volumeTargets(scope, request, options);
  const targets = unique([...named, ...chosen.targets, ...mounted.targets]);
  const stacks = await stacksOfPaths(scope, targets, options);
  return {
    targets,
    moments: new Map([...stacks, ...mounted.moments]),
    skipped: [...chosen.skipped, ...mounted.skipped],
  };
}

async function volumeTargets(
  access: HostAccess,
  request: TargetRequest,
  options: JobOptions,
): Promise<Omit<TargetChoice, 'moments'>> {
  if (!request.all && request.stacks.length === 0) return { targets: [], skipped: [] };
  const host = await access.host();
  const info = await host.info({ signal: options.signal });
  const volumes = await host.listVolumes({ signal: options.signal });
  const chosen = chooseVolumes(volumes, request);
  const found = chosen.volumes.map((volume): BackupTarget => ({
    kind: 'volume',
    name: volume.name,
    volume,
    host: info,
  }));
  return { targets: found, skipped: chosen.skipped };
}

/** The data of named containers, each at one moment; a stack's together with the rest of that stack. */
async function mountedTargets(
  scope: HostScope,
  request: TargetRequest & { readonly containers: readonly string[] },
  options: JobOptions,
): Promise<TargetChoice> {
  if (request.containers.length === 0) return { targets: [], moments: new Map(), skipped: [] };
  const host = await (await scope.host()).info({ signal: options.signal });
  const moments = new Map<BackupTarget, string>();
  const skipped: TargetChoice['skipped'][number][] = [];
  for (const data of await findContainerData(scope, request.containers, options)) {
    skipped.push(...data.skipped);
    const together = data.stack === undefined ? `container ${data.container}` : `stack ${data.stack}`;
    for (const volume of data.volumes) {
      const isOfStack = volume.stack !== undefined && (request.all || request.stacks.includes(volume.stack));
      const own = isOfStack ? `stack ${volume.stack}` : together;
      moments.set({ kind: 'volume', name: volume.name, volume, host }, own);
    }
    for (const source of data.paths) moments.set(await resolveMounted(source, options), together);
  }
  return { targets: [...moments.keys()], moments, skipped };
}

/** What is gone fails only when it is saved, and not with the container's other data. */
async function resolveMounted(source: string, options: JobOptions): Promise<BackupTarget> {
  try {
    return await resolvePath(source, options);
  } catch (error) {
    if (isAppError(error, 'not-found')) return { kind: 'path', name: source };
    throw error;
  }
}

/** Directories that only one stack's containers mount are saved at its moment. None without an engine. */
async function stacksOfPaths(
  { host: openHost, stateDir }: HostScope,
  targets: readonly BackupTarget[],
  { signal }: JobOptions,
): Promise<ReadonlyMap<BackupTarget, string>> {
  const paths = targets.filter(({ kind }) => kind === 'path');
  if (paths.length === 0 || targets.length === 1) return new Map();
  try {
    const host = await openHost();
    const containers = (await host.containers?.list({ signal })) ?? [];
    const mounts = planBindMounts(containers, { stateDir, host: await host.info({ signal }) });
    const stacks = new Map(mounts.map(({ source, stack }) => [source, stack]));
    return new Map(
      paths.flatMap((target) => {
        const stack = stacks.get(target.name);
        return stack === undefined ? [] : [[target, `stack ${stack}`] as const];
      }),
    );
  } catch (error) {
    if (isAppError(error, 'unavailable') || isAppError(error, 'denied')) return new Map();
    throw error;
  }
}

/** The volumes of `--all` and `--stack`, and those that their label excludes; pure. */
export function chooseVolumes(
  volumes: readonly Volume[],
  request: Pick<TargetRequest, 'all' | 'stacks'>,
): { volumes: Volume[]; skipped: { name: string; reason: string }[] } {
  for (const stack of request.stacks) {
    if (volumes.some((volume) => volume.stack === stack)) continue;
    const near = nearNames(stack, [...new Set(volumes.flatMap((volume) => volume.stack ?? []))]);
    throw new AppError('not-found', `There is no stack ${quote(stack)} with volumes`, {
      hint: didYouMean(near),
    });
  }
  const wanted = volumes.filter(
    (volume) => request.all || (volume.stack !== undefined && request.stacks.includes(volume.stack)),
  );
  return {
    volumes: wanted.filter((volume) => whySkipped(volume) === undefined),
    skipped: wanted.flatMap((volume) => {
      const reason = whySkipped(volume);
      return reason === undefined ? [] : [{ name: volume.name, reason }];
    }),
  };
}

async function resolveTarget(access: HostAccess, text: string, options: JobOptions): Promise<BackupTarget> {
  const target = parseTarget(text);
  if (target.kind === 'path') return await resolvePath(target.path, options);
  const host = await access.host();
  const volume = await findVolume(host, target.name, options);
  return { kind: 'volume', name: volume.name, volume, host: await host.info({ signal: options.signal }) };
}

async function resolvePath(text: string, { signal }: JobOptions): Promise<PathTarget> {
  const name = path.resolve(text);
  try {
    await requireAnswer(fromText(name), { name, signal });
    return await findPath(name);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR')
      throw new AppError('not-found', `There is no directory or file ${quote(name)}`, { cause: error });
    // It fails on its own when it is saved, without the others.
    if (isAppError(error, 'unavailable')) return { kind: 'path', name };
    throw error;
  }
}

async function findPath(name: string): Promise<PathTarget> {
  const found = await stat(name);
  if (found.isDirectory()) return { kind: 'path', name };
  if (!found.isFile())
    throw new AppError('usage', `${quote(name)} is neither a directory nor a file that holds data`);
  // A file is saved by its name, which for a link would be the link alone.
  if ((await lstat(name)).isSymbolicLink())
    throw new AppError('usage', `${quote(name)} is a symbolic link to a file`, {
      hint: `Back up the file itself: ${quote(await realpath(name))}.`,
    });
  return { kind: 'path', name, isFile: true };
}

/** Of repeated targets, the last one stays. */
function unique(targets: readonly BackupTarget[]): BackupTarget[] {
  return [...new Map(targets.map((target) => [`${target.kind} ${target.name}`, target])).values()];
}
