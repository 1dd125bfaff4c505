import { isAppError } from '../model/errors.ts';
import { speaksToUs } from '../model/labels.ts';
import type { OpenedSource } from './open-source.ts';
import type { HostAccess } from '../hosts/host.ts';
import type { JobOptions } from '../activity/index.ts';
import {
  type ApplicationSession,
  type ApplicationSettings,
  type ApplicationVolume,
  type HookMeans,
  openApplicationSession,
  pathContainers,
  readDiskEvidence,
  volumeContainers,
} from '../quiesce/index.ts';
import type { BackupTarget } from '../volumes/index.ts';

interface ApplicationTarget {
  readonly target: BackupTarget;
  readonly source: OpenedSource;
  /** Containers that can write to it now. */
  readonly writers: readonly unknown[];
  readonly settings: { readonly applications: ApplicationSettings };
}

/** The applications with a part in a backup of these; undefined when there are none. */
export async function openApplications(
  means: HookMeans,
  targets: readonly ApplicationTarget[],
  options: JobOptions,
): Promise<ApplicationSession | undefined> {
  const concerned = targets.filter(
    ({ target, writers, settings: { applications } }) =>
      // What lies beside a single file says nothing of it.
      (writers.length > 0 && !(target.kind === 'path' && target.isFile === true)) ||
      applications.dump === true ||
      applications.preset !== undefined ||
      (applications.hooks ?? []).length > 0 ||
      (target.kind === 'volume' && Object.keys(target.volume.labels).some(speaksToUs)),
  );
  if (concerned.length === 0 || (await hasNoContainers(means))) return undefined;
  const volumes: ApplicationVolume[] = [];
  for (const { target, source, settings } of concerned) {
    const { tree } = source;
    const { name } = target;
    volumes.push({
      name,
      labels: target.kind === 'volume' ? target.volume.labels : {},
      stack: target.kind === 'volume' ? target.volume.stack : undefined,
      containers:
        target.kind === 'volume'
          ? await volumeContainers(means, name, options)
          : await pathContainers(means, name, options),
      // Looking through a stream would be costly, so the image has to do.
      disk:
        tree.kind === 'directory'
          ? await readDiskEvidence({ way: 'direct', root: tree.root }, options)
          : undefined,
      settings: settings.applications,
      isTold: target.kind === 'volume',
    });
  }
  return await openApplicationSession(means, volumes, options);
}

async function hasNoContainers({ host }: HostAccess): Promise<boolean> {
  try {
    return (await host()).containers === undefined;
  } catch (error) {
    if (isAppError(error, 'unavailable') || isAppError(error, 'denied')) return true;
    throw error;
  }
}
