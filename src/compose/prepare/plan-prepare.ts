import { cleanPath } from '../../model/clean-path.ts';
import type { Position } from '../../model/finding.ts';
import { commandOptions } from '../../model/foreign-options.ts';
import { quote } from '../../model/quote.ts';
import type { VolumeSpec } from '../../model/volume.ts';
import type { ComposeProject } from '../compose-project.ts';
import { ownerOnMachine, rootOwner } from '../container-owners.ts';
import type { ComposeVolume } from '../compose-volume.ts';
import { isFileMeant } from '../check/sources.ts';
import type { ProjectFacts } from '../project-facts.ts';
import { boundDeviceOf, mountsOf, type ProjectMount } from '../project-mounts.ts';
import { readStorage } from '../storage-settings.ts';
import { type WantedOwner, wantedOnMachine } from './wanted-owner.ts';

/** A folder that is missing. */
export interface FolderStep extends WantedOwner {
  readonly kind: 'folder';
  /** Absolute and clean. Missing folders above it are made too, for root. */
  readonly path: string;
  /** What mounts it: `service "db" at "/data"`. */
  readonly usedBy: readonly string[];
  readonly position: Position;
}

/** An external volume that is missing. */
export interface VolumeStep {
  readonly kind: 'volume';
  readonly spec: VolumeSpec & { readonly name: string };
  readonly isEncrypted: boolean;
  readonly position: Position;
}

export type PrepareStep = FolderStep | VolumeStep;

/** A file that has to be put there by people: its content is theirs. */
export interface MissingFile {
  readonly path: string;
  readonly usedBy: readonly string[];
  readonly position: Position;
}

export interface PreparePlan {
  readonly project: string;
  readonly steps: readonly PrepareStep[];
  readonly missingFiles: readonly MissingFile[];
  /** What cannot be prepared, and what could not be looked at, in sentences. */
  readonly notes: readonly string[];
}

interface Need {
  readonly path: string;
  readonly mounts: readonly ProjectMount[];
  readonly position: Position;
}

/** What has to be made before `up`. What exists is never part of a plan. Pure. */
export function planPrepare(project: ComposeProject, facts: ProjectFacts): PreparePlan {
  const needs = missingNeeds(project, facts);
  const files = needs.filter(({ mounts }) => mounts.some(isFileMeant));
  const folders = needs.filter((need) => !files.includes(need)).map((need) => folderStep(need, facts));
  const volumes = externalVolumes(project, facts);
  return {
    project: project.name,
    // A folder inside of another that is missing comes after it.
    steps: [...folders.toSorted((a, b) => (a.path < b.path ? -1 : 1)), ...volumes.steps],
    missingFiles: files.map(({ path, mounts, position }) => ({ path, usedBy: usersOf(mounts), position })),
    notes: [
      ...new Set([
        ...folders.flatMap(({ path, doubt }) => (doubt === undefined ? [] : [`${quote(path)}: ${doubt}`])),
        ...volumes.notes,
        ...facts.unseen,
      ]),
    ],
  };
}

function missingNeeds(project: ComposeProject, facts: ProjectFacts): Need[] {
  const found = new Map<string, { mounts: ProjectMount[]; position: Position }>();
  for (const mount of mountsOf(project)) {
    const need = neededBy(project, mount);
    if (need === undefined || facts.paths.get(need.path)?.kind !== 'missing') continue;
    const known = found.get(need.path);
    if (known === undefined) found.set(need.path, { mounts: [mount], position: need.position });
    else known.mounts.push(mount);
  }
  return [...found].map(([path, need]) => ({ path, ...need }));
}

/** The path of this machine that has to be there for a mount. */
function neededBy(
  project: ComposeProject,
  { mount, volume, position }: ProjectMount,
): { path: string; position: Position } | undefined {
  if (mount.type === 'bind')
    return mount.source.startsWith('/') ? { path: cleanPath(mount.source), position } : undefined;
  const device = volume === undefined || volume.external ? undefined : boundDeviceOf(volume);
  if (volume === undefined || device === undefined || !device.startsWith('/')) return undefined;
  return {
    path: cleanPath(device),
    position: project.positionOf(['volumes', volume.key, 'driver_opts', 'device']),
  };
}

function usersOf(mounts: readonly ProjectMount[]): string[] {
  return mounts.map(({ service, destination }) => `service ${quote(service.name)} at ${quote(destination)}`);
}

/** The owner is the user of the services that write; where these differ, that of the folder above. */
function folderStep({ path, mounts, position }: Need, { images, owners }: ProjectFacts): FolderStep {
  const writing = mounts.filter(
    ({ mount, destination }) => !mount.readOnly && !isForPeople.test(destination),
  );
  const wanted = writing.map(({ service }) => wantedOnMachine(service, images.get(service.name), owners));
  const mapped = ownerOnMachine(rootOwner, owners, undefined);
  const isMixed = owners.kind === 'remapped' && writing.some(({ service }) => service.usernsMode === 'host');
  // What runs as root can write everywhere, so the others count; a mapped root only what is mapped.
  const others = wanted.filter(({ owner = rootOwner, doubt }) => {
    if (doubt !== undefined) return true;
    const isMappedRoot = typeof mapped !== 'string' && owner.uid === mapped.uid;
    return owner.uid !== 0 && (isMixed || !isMappedRoot);
  });
  const roots = wanted.find(({ owner }) => owner !== undefined && owner.uid !== 0) ?? wanted[0];
  const [first = roots ?? onlyRead] = others;
  const isAgreed = new Set(others.map(({ owner }) => numbersOf(owner))).size <= 1;
  return {
    kind: 'folder',
    path,
    usedBy: usersOf(mounts),
    position,
    ...(isAgreed ? first : disagreed(others)),
  };
}

/** Configuration and scripts for the first start: people put files there, and containers read them. */
const isForPeople = /^\/(?:etc|docker-entrypoint-initdb\.d|docker-entrypoint\.d)(?:\/|$)/;

const onlyRead: WantedOwner = { owner: undefined, mode: 0o755, because: 'it is only read' };

function disagreed(owners: readonly WantedOwner[]): WantedOwner {
  const numbers = [...new Set(owners.map(({ owner }) => numbersOf(owner)))].join(' and ');
  return {
    owner: undefined,
    mode: 0o755,
    because: 'its services run as different users',
    doubt: `Services that write to it run as ${numbers}: choose an owner or a group that serves all.`,
  };
}

function numbersOf(owner: WantedOwner['owner']): string {
  return owner === undefined ? 'an unknown user' : `${owner.uid}:${owner.gid}`;
}

function externalVolumes(
  project: ComposeProject,
  facts: ProjectFacts,
): { readonly steps: VolumeStep[]; readonly notes: string[] } {
  const mounted = new Set(mountsOf(project).map(({ volume }) => volume?.key));
  const wanted = [...project.volumes.values()].filter(({ key, external }) => external && mounted.has(key));
  const { volumes } = facts;
  if (volumes === undefined) {
    const names = wanted.map(({ name }) => quote(name)).join(', ');
    return {
      steps: [],
      notes:
        wanted.length === 0
          ? []
          : [`Whether ${names} ${wanted.length === 1 ? 'exists' : 'exist'} is not known.`],
    };
  }
  const missing = wanted.filter(({ name }) => !volumes.has(name));
  const steps = missing.map((volume) => volumeStep(project, volume));
  return {
    steps: steps.filter((step) => typeof step !== 'string'),
    notes: steps.filter((step) => typeof step === 'string'),
  };
}

/** Types of Holdfast's driver that encrypt. */
const encryptedTypes = new Set(['luks', 'gocryptfs']);

/** The step, or why there is none. */
function volumeStep(project: ComposeProject, { key, name }: ComposeVolume): VolumeStep | string {
  const position = project.positionOf(['volumes', key]);
  const storage = readStorage(project, key);
  if (storage === undefined)
    return {
      kind: 'volume',
      spec: { name, driver: 'local', options: {}, labels: {} },
      isEncrypted: false,
      position,
    };
  if ('problem' in storage) return `The volume ${quote(name)} is not made: ${storage.problem}.`;
  const commands = commandOptions(storage.options);
  if (commands.length > 0)
    return `The volume ${quote(name)} is not made: a Compose file may not have commands run (${commands.map(quote).join(', ')}).`;
  return {
    kind: 'volume',
    spec: { name, driver: 'holdfast', options: storage.options, labels: {} },
    isEncrypted: encryptedTypes.has(storage.options['type'] ?? ''),
    position,
  };
}
