import { stat } from 'node:fs/promises';
import path from 'node:path';
import type { RepositoryRecord } from '../../catalog/catalog.ts';
import { containersRoot, type ComposeProject } from '../../compose/index.ts';
import type { Container, Image } from '../../hosts/containers.ts';
import type { Host, HostInfo } from '../../hosts/host.ts';
import { requireAnswer } from '../../lib/require-answer.ts';
import { fromText } from '../../model/byte-string.ts';
import { errorMessage, isAppError } from '../../model/errors.ts';
import { quote } from '../../model/quote.ts';
import type { Volume } from '../../model/volume.ts';
import type { AuditSources } from './audit-request.ts';
import type { AuditedService, AuditView, VolumeContent } from './audit-view.ts';
import { lookIntoVolume } from './look-into-volume.ts';
import { findShadows } from './rules/shadowed-data.ts';
import { imageOf } from './view-of-project.ts';

/** What an engine has answered. */
export interface Engine {
  /** Undefined where no engine could be asked. */
  readonly host: Host | undefined;
  readonly info: HostInfo | undefined;
  readonly containers: readonly Container[];
  readonly volumes: readonly Volume[];
}

const noEngine: Engine = { host: undefined, info: undefined, containers: [], volumes: [] };

export interface Asking {
  readonly notes: string[];
  readonly signal?: AbortSignal | undefined;
}

/** A file can be audited without an engine. */
export async function askHost(
  { host: open }: AuditSources,
  { isNeeded, notes, signal }: Asking & { readonly isNeeded: boolean },
): Promise<Engine> {
  try {
    const host = await open();
    const [info, volumes, containers] = await Promise.all([
      host.info({ signal }),
      host.listVolumes({ signal }),
      host.containers?.list({ signal }) ?? [],
    ]);
    return { host, info, volumes, containers };
  } catch (error) {
    if (isNeeded || isAppError(error, 'cancelled')) throw error;
    notes.push(`Only the file was looked at: ${errorMessage(error)}`);
    return noEngine;
  }
}

const asksAtOnce = 8;

/** What the images of services and containers declare; one that is gone or broken declares nothing. */
export async function askImages(
  { host, containers }: Engine,
  projects: readonly ComposeProject[],
  notes: string[],
  signal: AbortSignal | undefined,
): Promise<Map<string, Image>> {
  const images = new Map<string, Image>();
  const asked = host?.containers;
  if (asked === undefined) return images;
  const names = new Set([
    ...containers.map(({ imageId }) => imageId),
    ...projects.flatMap((project) =>
      [...project.services.values()].map((service) => imageOf(service, project)),
    ),
  ]);
  names.delete('');
  const queue = names.values();
  const work = async (): Promise<void> => {
    for (const name of queue) {
      try {
        const image = await asked.findImage(name, { signal });
        if (image !== undefined) images.set(name, image);
      } catch (error) {
        if (isAppError(error, 'cancelled')) throw error;
        notes.push(`The image ${quote(name)} was not looked at: ${errorMessage(error)}`);
      }
    }
  };
  await Promise.all(Array.from({ length: asksAtOnce }, work));
  return images;
}

/** Looks for the newest data only where data may lie beside its volume. */
export async function lookInto(
  { host, info, volumes }: Engine,
  services: readonly AuditedService[],
  signal: AbortSignal | undefined,
): Promise<Map<string, VolumeContent>> {
  const contents = new Map<string, VolumeContent>();
  if (host === undefined || info === undefined) return contents;
  const shadows = services.flatMap((service) => findShadows(service));
  const deep = new Set(shadows.flatMap(({ meant, hidden }) => [meant.source, hidden?.source]));
  const root = await containersRoot(info);
  const queue = volumes.values();
  const work = async (): Promise<void> => {
    for (const volume of queue) {
      const how = { info, containersRoot: root, deep: deep.has(volume.name), signal };
      const content = await lookIntoVolume(host, volume, how);
      if (content !== undefined) contents.set(volume.name, content);
    }
  };
  await Promise.all(Array.from({ length: asksAtOnce }, work));
  return contents;
}

/** Where backups are, and of what: for the volumes that are meant, or all. */
export async function askBackups(
  sources: AuditSources,
  engine: Engine,
  { meant, notes, signal }: Asking & { readonly meant: ReadonlySet<string> | undefined },
): Promise<Pick<AuditView, 'places' | 'backups'>> {
  const { info } = engine;
  if (info === undefined) return { places: [], backups: { repositories: [], deviceOf: new Map() } };
  const records = await sources.repositories();
  const { places, unreachable, isAnyNamed } = await askCoverage(sources, { notes, signal });
  const isMissing = records.length === 0 && !isAnyNamed;
  if (!isMissing) notes.push(...unreachable);
  const missing = isMissing ? { machine: info.name, reasons: unreachable } : undefined;
  return { places, backups: { ...(await findDevices(records, engine, { meant, signal })), missing } };
}

/** Without a usable configuration nothing is known of policies; the rest of the audit still is. */
async function askCoverage(
  { coverage }: AuditSources,
  { notes, signal }: Asking,
): Promise<Pick<AuditView, 'places'> & { readonly unreachable: string[]; readonly isAnyNamed: boolean }> {
  try {
    const { places, repositories, unreachable } = await coverage({ signal });
    return {
      places,
      unreachable: unreachable.map(({ message }) => message),
      // One that only holdfast.yaml or the command line names may be out of reach now.
      isAnyNamed: repositories.some((name) => name !== ''),
    };
  } catch (error) {
    if (isAppError(error, 'cancelled')) throw error;
    notes.push(`Policies were not looked at: ${errorMessage(error)}`);
    return { places: [], unreachable: [], isAnyNamed: true };
  }
}

async function findDevices(
  records: readonly RepositoryRecord[],
  { volumes, info }: Engine,
  {
    meant,
    signal,
  }: { readonly meant: ReadonlySet<string> | undefined; readonly signal: AbortSignal | undefined },
): Promise<Pick<AuditView['backups'], 'repositories' | 'deviceOf'>> {
  const deviceOf = new Map<string, number>();
  if (info === undefined || info.isRemote === true) return { repositories: [], deviceOf };
  const local = records.filter(({ location }) => path.isAbsolute(location));
  const found: { name: string; path: string; device: number }[] = [];
  for (const { name, location } of local) {
    const device = await deviceAt(location, signal);
    if (device !== undefined) found.push({ name, path: location, device });
  }
  if (found.length === 0) return { repositories: [], deviceOf };
  for (const { name, mountpoint, driver, options } of volumes) {
    const isMounted = driver !== 'local' || options['device'] !== undefined;
    if (mountpoint === undefined || isMounted || meant?.has(name) === false) continue;
    const device = await deviceAt(mountpoint, signal);
    if (device !== undefined) deviceOf.set(name, device);
  }
  return { repositories: found, deviceOf };
}

async function deviceAt(place: string, signal: AbortSignal | undefined): Promise<number | undefined> {
  try {
    await requireAnswer(fromText(place), { name: place, signal });
    return (await stat(place)).dev;
  } catch (error) {
    if (isAppError(error, 'cancelled')) throw error;
    // Gone or out of reach: other rules tell of that.
    return undefined;
  }
}
