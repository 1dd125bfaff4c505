import type { Host, VolumeData } from '../hosts/host.ts';
import { copyTree } from './mirror/copy-tree.ts';
import { materialize } from '../lib/tree-writer.ts';
import { openTrusted } from '../lib/open-trusted.ts';
import type { TarSource } from '../lib/tar/tar-member.ts';
import { writeTar } from '../lib/tar/write-tar.ts';
import { walkTree } from '../lib/tree-walk.ts';
import type { ByteString } from '../model/byte-string.ts';
import { describeConsumers } from '../model/consumers.ts';
import type { Entry } from '../model/entry.ts';
import { AppError } from '../model/errors.ts';
import { quote } from '../model/quote.ts';
import { isActive, type Volume, type VolumeSpec } from '../model/volume.ts';
import { membersOf, readVolume, tarOptions } from './data-source.ts';
import { findVolume } from './find-volume.ts';
import { isUnfinishedFill } from '../lib/stage-names.ts';
import { fillEmpty, lockVolume } from './stage.ts';
import { requireEmpty, type TargetVolume, withTarget } from './target-volume.ts';
import type { CloneReport, CloneRequest, VolumeWorkOptions } from './host-volumes.ts';
import { WorkLog } from './work-log.ts';

/** Copies a volume into a new or empty one. */
export async function cloneVolume(
  host: Host,
  request: CloneRequest,
  options: VolumeWorkOptions,
): Promise<CloneReport> {
  const log = new WorkLog(options);
  const source = await findVolume(host, request.from, { action: 'clone', signal: log.signal });
  if (request.to === request.from)
    throw new AppError('usage', `Cannot clone ${quote(request.from)} into itself`);
  noteWriters(source, log);
  await using from = await host.openData(source.name, { signal: log.signal });
  log.uses(from);
  const existing = await host.findVolume(request.to, { signal: log.signal });
  if (existing !== undefined && asksForMore(request)) {
    log.note(`${quote(request.to)} was there already and keeps its driver, options and labels.`);
  }
  const work = async (target: TargetVolume, claim: () => void): Promise<CloneReport> => {
    await using to = await host.openData(target.volume.name, { write: true, signal: log.signal });
    log.uses(to);
    await copyAll(from, to, { name: target.volume.name, log, claim });
    return { ...log.report(), ...target };
  };
  return await withTarget(host, cloneSpec(source, request, log), { existing, log, work });
}

async function copyAll(
  from: VolumeData,
  to: VolumeData,
  { name, log, claim }: { readonly name: string; readonly log: WorkLog; readonly claim: () => void },
): Promise<void> {
  const hint = 'Clone into a new name, or empty the volume first.';
  const action = 'clone into';
  if (to.way === 'stream') {
    await requireEmpty(to, { action, name, hint, log });
    claim();
    return await to.writeTar('', writeTar(readVolume(from, log), tarOptions(log)), {
      signal: log.signal,
    });
  }
  using volume = lockVolume(to.root, { action, name });
  await requireEmpty(volume.root, { action, name, hint, log });
  await fillEmpty(
    volume,
    async (stage) =>
      from.way === 'stream'
        ? await materializeSources(readVolume(from, log), stage, log)
        : await copyToStage(from.root, stage, log),
    log,
  );
}

/** Copies a directory; returns the entry of its root without applying it. */
export async function copyToStage(
  from: ByteString,
  stage: ByteString,
  { signal, onProblem, onProgress }: WorkLog,
): Promise<Entry | undefined> {
  const writing = { signal, onProblem, isStaged: true, setsRoot: false };
  using source = openTrusted(from);
  await copyTree(source.self, stage, { ...writing, onProgress, skip: isUnfinishedFill });
  for await (const { entry } of walkTree(source.self, { signal })) return entry;
  return undefined;
}

/** Writes sources to disk; returns the entry of the root without applying it. */
export async function materializeSources(
  sources: AsyncIterable<TarSource>,
  stage: string,
  { signal, onProblem }: WorkLog,
): Promise<Entry | undefined> {
  let rootEntry: Entry | undefined;
  const watched = async function* () {
    for await (const source of sources) {
      if (source.entry.path === '') rootEntry = source.entry;
      yield source;
    }
  };
  await materialize(stage, membersOf(watched()), { signal, onProblem, isStaged: true, setsRoot: false });
  return rootEntry;
}

function asksForMore({ driver, options, labels }: CloneRequest): boolean {
  return driver !== undefined || [options, labels].some((asked) => Object.keys(asked ?? {}).length > 0);
}

/**
 * Options that name a place would make the clone the same data; Docker's and Compose's own labels would be
 * wrong for it.
 */
function cloneSpec(
  source: Volume,
  request: CloneRequest,
  log: WorkLog,
): VolumeSpec & { readonly name: string } {
  const namesPlace = Object.hasOwn(source.options, 'device') && request.options === undefined;
  if (namesPlace)
    log.note(
      `${quote(request.to)} is a plain volume: the options of ${quote(source.name)} name a place of its own.`,
    );
  const isOther = request.driver !== undefined && request.driver !== source.driver;
  const labels = Object.entries(source.labels).filter(([key]) => !key.startsWith('com.docker.'));
  return {
    name: request.to,
    driver: request.driver ?? source.driver,
    options: request.options ?? (namesPlace || isOther ? {} : source.options),
    labels: { ...Object.fromEntries(labels), ...request.labels },
  };
}

/** Notes that the copy of a volume in use may hold files of different moments. */
export function noteWriters(volume: Volume, log: WorkLog): void {
  const writers = volume.consumers.filter((consumer) => isActive(consumer) && !consumer.readOnly);
  if (writers.length === 0) return;
  log.note(
    `${quote(volume.name)} was in use by ${describeConsumers(writers)} while it was read, so its files may be of different moments. ` +
      'Stop what uses it for an exact copy.',
  );
}
