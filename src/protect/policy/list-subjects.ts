import type { Catalog } from '../../catalog/catalog.ts';
import { knownError } from '../../lib/known-error.ts';
import { type AppError, isAppError } from '../../model/errors.ts';
import type { Volume } from '../../model/volume.ts';
import { layered, noSettings } from '../config/volume-settings.ts';
import { pathIdentity, volumeIdentity } from '../identity.ts';
import type { JobOptions, Protection } from '../protection.ts';
import { whySkipped } from '../targets.ts';
import type { Policy } from './policy.ts';
import { type Around, readStackFiles, saidOf } from './said-settings.ts';
import type { Subject } from './subject.ts';

export interface ListedSubjects {
  readonly subjects: readonly Subject[];
  /** Labels and `x-holdfast` that are not understood, for people. */
  readonly warnings: readonly string[];
  /** Why no volumes are among them; directories are not kept from being saved by it. */
  readonly hostFailure: AppError | undefined;
}

/** What is known of the volumes of the host, and the directories that policies name, with what labels and Compose files say of them. */
export async function listSubjects(
  parts: Pick<Protection, 'catalog' | 'host'>,
  policies: readonly Policy[],
  options: JobOptions,
): Promise<ListedSubjects> {
  const catalog = await parts.catalog();
  const paths = new Set(policies.flatMap(({ select }) => select.paths));
  const directories = [...paths].map((path) => directorySubject(path, pathIdentity(catalog, path)));
  try {
    const { subjects, warnings } = await listVolumeSubjects(parts, catalog, options);
    return { subjects: [...subjects, ...directories], warnings, hostFailure: undefined };
  } catch (error) {
    if (options.signal?.aborted === true || isAppError(error, 'cancelled')) throw error;
    const hostFailure = knownError(error, 'The volumes cannot be listed');
    return { subjects: directories, warnings: [], hostFailure };
  }
}

async function listVolumeSubjects(
  parts: Pick<Protection, 'host'>,
  catalog: Catalog,
  { signal }: JobOptions,
): Promise<Omit<ListedSubjects, 'hostFailure'>> {
  const host = await parts.host();
  const { identity: hostIdentity } = await host.info({ signal });
  const volumes = await host.listVolumes({ signal });
  const containers = (await host.containers?.list({ signal })) ?? [];
  const compose = await readStackFiles(containers);
  const described = volumes.map((volume) =>
    describeSubject(volume, {
      identity: volumeIdentity(catalog, { hostIdentity, name: volume.name }),
      containers,
      compose,
    }),
  );
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
    labels: {},
    settings: noSettings,
    policies: undefined,
    skipped: undefined,
  };
}

/** Pure. */
function describeSubject(
  volume: Volume,
  { identity, ...around }: Around & { readonly identity: string },
): { readonly subject: Subject; readonly warnings: readonly string[] } {
  const { name, labels } = volume;
  const { stack, layers, enabled, policies, labelWarnings, settingWarnings } = saidOf(volume, around);
  return {
    subject: {
      kind: 'volume',
      name,
      identity,
      stack,
      labels,
      settings: layers.map(({ settings }) => settings).reduce(layered, noSettings),
      policies,
      skipped: enabled === false ? 'it is not to be backed up, by label or x-holdfast' : whySkipped(volume),
    },
    warnings: [...labelWarnings, ...settingWarnings],
  };
}
