import { dirname } from 'node:path';
import { lstat, opendir, stat } from 'node:fs/promises';
import type { Image } from '../hosts/containers.ts';
import type { Host } from '../hosts/host.ts';
import { type MountPoint, readMounts } from '../lib/mountinfo.ts';
import { requireAnswer } from '../lib/require-answer.ts';
import { fromText } from '../model/byte-string.ts';
import { errorInWords, knownError } from '../lib/known-error.ts';
import { errnoOf, isAppError } from '../model/errors.ts';
import { quote } from '../model/quote.ts';
import type { Volume } from '../model/volume.ts';
import type { ComposeProject } from './compose-project.ts';
import { type ContainerOwners, lookAtOwners } from './container-owners.ts';
import { pathsOf } from './project-mounts.ts';

/** What is at a path of this machine. */
export type PathFact =
  | { readonly kind: 'file' | 'other' }
  | { readonly kind: 'folder'; readonly isEmpty: boolean }
  /** `from` is the first part of the path that is missing. */
  | { readonly kind: 'missing'; readonly from: string }
  | { readonly kind: 'unknown'; readonly why: string };

/** What the machine has of what a project names. All of it was true a moment ago. */
export interface ProjectFacts {
  /** By absolute path: sources of bind mounts, devices of bind volumes, files of configs and secrets. */
  readonly paths: ReadonlyMap<string, PathFact>;
  /** By name at the engine; undefined where no engine was reached. */
  readonly volumes: ReadonlyMap<string, Volume> | undefined;
  /** By the service's name; undefined for an image that the engine does not have. */
  readonly images: ReadonlyMap<string, Image | undefined>;
  /** Which numbers the users of containers have on this machine. */
  readonly owners: ContainerOwners;
  /** Where the engine keeps plain volumes; undefined where unknown. */
  readonly engineFolder: string | undefined;
  /** Sentences on what could not be looked at. */
  readonly unseen: readonly string[];
}

export interface FactsOptions {
  readonly host: () => Promise<Host>;
  readonly signal?: AbortSignal | undefined;
}

/** Looks at what a project names. Changes nothing; what cannot be reached is in `unseen`. */
export async function lookAtProject(
  project: ComposeProject,
  { host, signal }: FactsOptions,
): Promise<ProjectFacts> {
  const engine = await lookAtEngine(project, host, signal);
  if (engine.isRemote)
    return {
      ...engine,
      paths: new Map(),
      unseen: [
        ...engine.unseen,
        'The engine is on another machine: its folders and files were not looked at.',
      ],
    };
  const paths = new Map<string, PathFact>();
  const mounts = await readMounts();
  for (const path of pathsOf(project)) paths.set(path, await lookAtPath(path, { mounts, signal }));
  return { ...engine, paths };
}

interface EngineFacts extends Omit<ProjectFacts, 'paths'> {
  readonly isRemote: boolean;
}

async function lookAtEngine(
  project: ComposeProject,
  open: () => Promise<Host>,
  signal: AbortSignal | undefined,
): Promise<EngineFacts> {
  const none = {
    volumes: undefined,
    images: new Map(),
    owners: { kind: 'same' },
    engineFolder: undefined,
    isRemote: false,
  } as const;
  try {
    const host = await open();
    if (host.kind === 'embedded')
      return { ...none, unseen: ['There is no container engine: volumes and images were not looked at.'] };
    const volumes = await host.listVolumes({ signal });
    const info = await host.info({ signal });
    const { images, unseen } = await lookAtImages(project, host, signal);
    return {
      volumes: new Map(volumes.map((volume) => [volume.name, volume])),
      images,
      owners: await lookAtOwners(info),
      engineFolder: info.dataRoot,
      isRemote: info.isRemote === true,
      unseen,
    };
  } catch (error) {
    if (isAppError(error, 'cancelled')) throw error;
    const { message } = knownError(error);
    return { ...none, unseen: [`The engine was not looked at: ${message}.`] };
  }
}

async function lookAtImages(
  project: ComposeProject,
  host: Host,
  signal: AbortSignal | undefined,
): Promise<Pick<ProjectFacts, 'images' | 'unseen'>> {
  const images = new Map<string, Image | undefined>();
  const absent: string[] = [];
  const refused = new Set<string>();
  for (const { name, image } of project.services.values()) {
    try {
      const found = image === undefined ? undefined : await host.containers?.findImage(image, { signal });
      if (image !== undefined && found === undefined) absent.push(image);
      images.set(name, found);
    } catch (error) {
      // A name that the engine refuses hides neither volumes nor other images; an engine that is gone does.
      if (!isAppError(error) || error.code === 'unavailable' || error.code === 'cancelled') throw error;
      refused.add(`${errorInWords(error)}.`);
    }
  }
  const names = [...new Set(absent)].map(quote).join(', ');
  const unseen =
    absent.length === 0
      ? []
      : [`The engine does not have ${names} yet: what these images declare was not looked at.`];
  return { images, unseen: [...unseen, ...refused] };
}

async function lookAtPath(
  path: string,
  options: { readonly mounts: readonly MountPoint[]; readonly signal: AbortSignal | undefined },
): Promise<PathFact> {
  try {
    await requireAnswer(fromText(path), { name: path, ...options });
    const found = await stat(path);
    if (found.isDirectory()) return { kind: 'folder', isEmpty: await isEmptyFolder(path) };
    return { kind: found.isFile() ? 'file' : 'other' };
  } catch (error) {
    if (path.includes('\0')) return { kind: 'unknown', why: 'its name holds a NUL' };
    if (isAppError(error, 'cancelled')) throw error;
    if (errnoOf(error) !== 'ENOENT') return { kind: 'unknown', why: knownError(error).message };
    return { kind: 'missing', from: await firstMissing(path) };
  }
}

/** Reads one name at most. A folder that may not be read counts as full. */
async function isEmptyFolder(path: string): Promise<boolean> {
  try {
    await using folder = await opendir(path);
    return (await folder.read()) === null;
  } catch {
    return false;
  }
}

/** The topmost part of a missing path that is not there. A link that leads nowhere is not there either. */
async function firstMissing(path: string): Promise<string> {
  let missing = path;
  for (let above = dirname(path); above !== missing; above = dirname(above)) {
    if ((await lstat(above).catch(() => undefined)) !== undefined) return missing;
    missing = above;
  }
  return missing;
}
