import { lstat, realpath, stat } from 'node:fs/promises';
import path from 'node:path';
import type { JobOptions } from '../activity/index.ts';
import { type Container, trialLabel } from '../hosts/containers.ts';
import type { HostInfo, HostScope } from '../hosts/host.ts';
import type { Volume } from '../model/volume.ts';
import { requireAnswer } from '../lib/require-answer.ts';
import { fromText } from '../model/byte-string.ts';
import { isWithin } from '../model/clean-path.ts';

/** A directory or file of this machine that containers mount. */
export interface BindMount {
  /** Absolute and clean. */
  readonly source: string;
  /** Names of the containers that mount it, running or not. */
  readonly containers: readonly string[];
  /** The stack that all of them belong to. */
  readonly stack: string | undefined;
  /** Why it is excluded unless it is named by its path; undefined for data. */
  readonly leftOut: string | undefined;
  /** It is excluded for something in it, and the rest may be data. */
  readonly mayHoldData?: true | undefined;
  /** Its real place; undefined where that is unknown. */
  readonly at?: RealPlace | undefined;
}

/** A path without links, and the device number of its file system. */
export interface RealPlace {
  readonly path: string;
  readonly device: number;
}

/** Where Holdfast and the engine keep their own data. */
export interface OwnPlaces {
  readonly stateDir: string;
  readonly host: Pick<HostInfo, 'dataRoot' | 'isRemote'>;
}

/** The bind mounts of containers, each source once, sorted. None for an engine on another machine. */
export async function listBindMounts(
  containers: readonly Container[],
  places: OwnPlaces,
  ask = requireAnswer,
): Promise<readonly BindMount[]> {
  return await Promise.all(
    planBindMounts(containers, places).map(async (mount) =>
      mount.leftOut === undefined ? { ...mount, ...(await lookAt(mount.source, ask)) } : mount,
    ),
  );
}

/** The same from the engine's answers alone; pure. */
export function planBindMounts(
  containers: readonly Container[],
  { stateDir, host }: OwnPlaces,
): readonly BindMount[] {
  if (host.isRemote === true) return [];
  const users = new Map<string, Container[]>();
  for (const container of containers) {
    if (container.labels[trialLabel] !== undefined) continue;
    for (const { type, source } of container.mounts) {
      if (type !== 'bind' || source === undefined || !path.isAbsolute(source)) continue;
      const clean = cleanSource(source);
      const known = users.get(clean) ?? [];
      if (!known.includes(container)) users.set(clean, [...known, container]);
    }
  }
  return [...users]
    .map(([source, by]) => ({
      source,
      containers: by.map(({ name }) => name),
      stack: new Set(by.map(({ stack }) => stack)).size === 1 ? by[0]?.stack : undefined,
      leftOut: whyLeftOut(source, { stateDir, host }),
      ...(isAroundEngine(source, host) ? { mayHoldData: true as const } : {}),
    }))
    .toSorted((a, b) => (a.source < b.source ? -1 : 1));
}

export function cleanSource(source: string): string {
  return path.normalize(source).replace(/(?<=.)\/$/, '');
}

function whyLeftOut(source: string, { stateDir, host }: OwnPlaces): string | undefined {
  if (isOfMachine(source)) return 'it is of the machine, not of the application';
  const { dataRoot } = host;
  if (dataRoot !== undefined && (isWithin(source, dataRoot) || isWithin(dataRoot, source)))
    return 'the container engine keeps its own data there';
  return isWithin(source, stateDir) ? 'Holdfast keeps its own data there' : undefined;
}

function isAroundEngine(source: string, { dataRoot }: OwnPlaces['host']): boolean {
  return dataRoot !== undefined && dataRoot !== source && isWithin(dataRoot, source) && !isOfMachine(source);
}

/**
 * A socket, a pipe or a device holds nothing; a link to a file counts as the file that the container sees.
 * What is missing or cannot be looked at is reported when it is saved.
 */
async function lookAt(
  source: string,
  ask: typeof requireAnswer,
): Promise<Partial<Pick<BindMount, 'source' | 'leftOut' | 'at'>>> {
  try {
    // A server that is away would block the whole process.
    await ask(fromText(source), { name: source, patienceMs: 4000 });
    const found = await stat(source);
    if (!found.isDirectory() && !found.isFile()) return { leftOut: 'it is neither a directory nor a file' };
    const at = { path: await realpath(source), device: found.dev };
    return found.isFile() && (await lstat(source)).isSymbolicLink() ? { source: at.path, at } : { at };
  } catch {
    return {};
  }
}

/** Belongs to the machine, with everything in it. */
const folders =
  /^\/(?:proc|sys|dev|run|var\/run|lib\/modules|usr\/lib\/modules|boot|var\/lib\/docker|var\/lib\/containers)(?:\/|$)/;
const files =
  /^\/etc\/(?:localtime|timezone|hosts|hostname|resolv\.conf|machine-id|ssl\/certs|environment|passwd|group|g?shadow)(?:\/|$)|\.sock$/;
/** Belongs to the machine as a whole, though entries may be an application's. */
const wholes = /^\/(?:|etc|usr|bin|sbin|lib|lib32|lib64|var|var\/lib)$/;

/**
 * True for a path that containers mount to reach the machine and not to keep data: `/proc`, a socket,
 * `/etc/localtime`, `/`. Pure.
 */
export function isOfMachine(place: string): boolean {
  return folders.test(place) || files.test(place) || wholes.test(place);
}

/** Where containers run, and all that they keep data in. */
export interface Surroundings {
  readonly host: HostInfo;
  readonly volumes: readonly Volume[];
  readonly bindMounts: readonly BindMount[];
}

/** Changes nothing. */
export async function lookAround(
  { host: openHost, stateDir }: HostScope,
  { signal }: JobOptions,
): Promise<Surroundings> {
  const host = await openHost();
  const [info, volumes, containers] = await Promise.all([
    host.info({ signal }),
    host.listVolumes({ signal }),
    host.containers?.list({ signal }) ?? [],
  ]);
  const bindMounts = await listBindMounts(containers, { stateDir, host: info });
  return { host: info, volumes, bindMounts };
}
