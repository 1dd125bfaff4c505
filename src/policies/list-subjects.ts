import type { HostScope } from '../hosts/host.ts';
import type { Catalog } from '../catalog/catalog.ts';
import { knownError } from '../lib/known-error.ts';
import { type AppError, isAppError } from '../model/errors.ts';
import type { Volume } from '../model/volume.ts';
import { pathIdentity, volumeIdentity, type VolumeScope } from '../leases/index.ts';
import { listBindMounts, whySkipped, type BindMount } from '../volumes/index.ts';
import { layered, noSettings, readStackFiles, saidOf, type Around } from '../backup/index.ts';
import type { JobOptions } from '../activity/index.ts';
import type { Policy } from '../model/policy.ts';
import type { Subject } from './subject.ts';

export interface ListedSubjects {
  readonly subjects: readonly Subject[];
  /** Labels and `x-holdfast` settings that are invalid, for display. */
  readonly warnings: readonly string[];
  /** Why volumes are missing; directories can still be saved. */
  readonly hostFailure: AppError | undefined;
}

/**
 * The host's volumes and bind mounts and the directories that policies name, with the settings of labels and
 * Compose files.
 */
export async function listSubjects(
  { catalog, ...at }: VolumeScope,
  policies: readonly Policy[],
  options: JobOptions,
): Promise<ListedSubjects> {
  const paths = new Set(policies.flatMap(({ select }) => select.paths));
  const directories = [...paths].map((path) => directorySubject(path, pathIdentity(catalog, path)));
  try {
    const { subjects, warnings } = await listMountedSubjects(at, catalog, options);
    // A directory that a policy names is subject to the policy alone, whichever containers mount it.
    const others = subjects.filter(({ kind, name }) => kind === 'volume' || !paths.has(name));
    return { subjects: [...others, ...directories], warnings, hostFailure: undefined };
  } catch (error) {
    if (options.signal?.aborted === true || isAppError(error, 'cancelled')) throw error;
    const hostFailure = knownError(error, 'The volumes cannot be listed');
    return { subjects: directories, warnings: [], hostFailure };
  }
}

/** Volumes, and the bind mounts of containers. */
async function listMountedSubjects(
  { host: openHost, stateDir }: HostScope,
  catalog: Catalog,
  { signal }: JobOptions,
): Promise<Omit<ListedSubjects, 'hostFailure'>> {
  const host = await openHost();
  const info = await host.info({ signal });
  const volumes = await host.listVolumes({ signal });
  const containers = (await host.containers?.list({ signal })) ?? [];
  const compose = await readStackFiles(containers);
  const mounts = await listBindMounts(containers, { stateDir, host: info });
  const around = { containers, compose };
  const described = [
    ...volumes.map((volume) => {
      const identity = volumeIdentity(catalog, { hostIdentity: info.identity, name: volume.name });
      return describeSubject(volume, { identity, ...around });
    }),
    ...mounts.map((mount) =>
      describeMount(mount, { identity: pathIdentity(catalog, mount.source), ...around }),
    ),
  ];
  return {
    subjects: described.map(({ subject }) => subject),
    warnings: [
      ...new Set([
        ...[...compose.values()].flatMap(({ warnings }) => warnings),
        ...described.flatMap(({ warnings }) => warnings),
      ]),
    ],
  };
}

function directorySubject(name: string, identity: string): Subject {
  return {
    kind: 'path',
    name,
    identity,
    stack: undefined,
    containers: [],
    labels: {},
    settings: noSettings,
    policies: undefined,
    skipped: undefined,
  };
}

interface DescribedSubject {
  readonly subject: Subject;
  readonly warnings: readonly string[];
}

/** Pure. */
function describeMount(
  { source, containers, stack, leftOut, mayHoldData, at }: BindMount,
  { identity, ...around }: Around & { readonly identity: string },
): DescribedSubject {
  const said = saidOf({ name: source, labels: {}, stack }, around, 'bind');
  return {
    subject: {
      kind: 'path',
      name: source,
      identity,
      stack,
      containers,
      labels: {},
      settings: said.layers.map(({ settings }) => settings).reduce(layered, noSettings),
      policies: said.policies,
      skipped: leftOut ?? (said.enabled === false ? skippedByLabel : undefined),
      mayHoldData: said.enabled === false ? undefined : mayHoldData,
      at,
    },
    // Warnings of container labels are reported with the containers' volumes; the labels of a container
    // without volumes have no other effect here.
    warnings: said.settingWarnings,
  };
}

const skippedByLabel = 'it is not to be backed up, by label or x-holdfast';

/** Pure. */
function describeSubject(
  volume: Volume,
  { identity, ...around }: Around & { readonly identity: string },
): DescribedSubject {
  const { name, labels } = volume;
  const { stack, layers, enabled, policies, labelWarnings, settingWarnings } = saidOf(volume, around);
  return {
    subject: {
      kind: 'volume',
      name,
      isAnonymous: volume.anonymous,
      createdAt: volume.createdAt,
      identity,
      stack,
      containers: [...new Set(volume.consumers.map((consumer) => consumer.name))],
      labels,
      settings: layers.map(({ settings }) => settings).reduce(layered, noSettings),
      policies,
      skipped: enabled === false ? skippedByLabel : whySkipped(volume),
    },
    warnings: [...labelWarnings, ...settingWarnings],
  };
}
