import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import type { Host, VolumeData } from '../hosts/host.ts';
import { materialize } from '../lib/tree-writer.ts';
import { readTar } from '../lib/tar/read-tar.ts';
import type { TarSource } from '../lib/tar/tar-member.ts';
import { writeTar } from '../lib/tar/write-tar.ts';
import { AppError, isAppError } from '../model/errors.ts';
import { quote } from '../model/quote.ts';
import type { Volume } from '../model/volume.ts';
import { decompressed } from './archive-format.ts';
import { materializeSources } from './clone-volume.ts';
import { counted, membersOf, tarOptions, tarSources } from './data-source.ts';
import { findVolume } from './find-volume.ts';
import { localError } from './local-place.ts';
import { fillEmpty, isEmptyVolume, lockVolume, syncVolume } from './stage.ts';
import { requireEmpty, type TargetVolume, withTarget } from './target-volume.ts';
import type { ImportReport, ImportRequest, VolumeWorkOptions } from './host-volumes.ts';
import { WorkLog } from './work-log.ts';

/** Fills a volume from an archive. */
export async function importVolume(
  host: Host,
  request: ImportRequest,
  options: VolumeWorkOptions,
): Promise<ImportReport> {
  const log = new WorkLog(options);
  await using archive = await openArchive(request);
  const existing = await findExisting(host, request, log);
  const { signal, onProblem } = log;
  const members = readTar(decompressed(archive.bytes), { signal, onProblem });
  const sources = counted(tarSources(members), log);
  const work = async (target: TargetVolume, claim: () => void): Promise<ImportReport> => {
    await using data = await host.openData(target.volume.name, { write: true, signal });
    log.uses(data);
    await unpack(data, sources, { request, target, log, claim });
    return { ...log.report(), ...target };
  };
  const spec = { driver: '', labels: {}, options: {}, ...request.create, name: request.volume };
  try {
    return await withTarget(host, spec, { existing, log, work });
  } finally {
    await sources.return();
  }
}

async function findExisting(host: Host, request: ImportRequest, log: WorkLog): Promise<Volume | undefined> {
  if (request.create === undefined)
    return await findVolume(host, request.volume, { action: 'import into', signal: log.signal });
  const existing = await host.findVolume(request.volume, { signal: log.signal });
  const { driver, labels, options } = request.create;
  const asksForMore = driver !== '' || Object.keys(labels).length > 0 || Object.keys(options).length > 0;
  if (existing !== undefined && asksForMore) {
    log.note(`${quote(request.volume)} was there already and keeps its driver, options and labels.`);
  }
  return existing;
}

interface Unpacking {
  readonly request: ImportRequest;
  readonly target: TargetVolume;
  readonly log: WorkLog;
  readonly claim: () => void;
}

const emptyHint =
  'Import into a new name, empty the volume, or lay the archive over what is there by merging.';

async function unpack(
  data: VolumeData,
  sources: AsyncIterable<TarSource>,
  { request, target, log, claim }: Unpacking,
): Promise<void> {
  const asked = { action: 'import into', name: request.volume, hint: emptyHint, log };
  if (data.way === 'stream') {
    if (request.merge !== true || target.wasCreated) await requireEmpty(data, asked);
    claim();
    return await unpackStreamed(
      () => data.writeTar('', writeTar(sources, tarOptions(log)), { signal: log.signal }),
      target,
    );
  }
  using volume = lockVolume(data.root, asked);
  if (request.merge === true && !(await isEmptyVolume(volume.root))) {
    const { signal, onProblem } = log;
    await materialize(volume.root.self, membersOf(sources), { signal, onProblem });
    syncVolume(volume.root);
    return volume.refuseMoved();
  }
  await requireEmpty(volume.root, asked);
  await fillEmpty(volume, (stage) => materializeSources(sources, stage, log), log);
}

async function unpackStreamed(
  write: () => Promise<void>,
  { volume, wasCreated }: TargetVolume,
): Promise<void> {
  try {
    await write();
  } catch (error) {
    if (wasCreated || !isAppError(error)) throw error;
    const detail = [error.detail, `Volume ${quote(volume.name)} may hold a part of the archive.`]
      .filter(Boolean)
      .join(' ');
    throw new AppError(error.code, error.message, { detail, hint: error.hint, cause: error });
  }
}

interface OpenArchive extends AsyncDisposable {
  readonly bytes: AsyncIterable<Uint8Array>;
}

async function openArchive({ from }: ImportRequest): Promise<OpenArchive> {
  if (from.kind === 'stream') return { bytes: from.bytes, async [Symbol.asyncDispose]() {} };
  try {
    const file = await open(from.path, constants.O_RDONLY);
    if ((await file.stat()).isDirectory()) {
      await file.close();
      throw new AppError('usage', `Cannot import ${quote(from.path)}: it is a directory, not an archive`);
    }
    const bytes = file.createReadStream({ highWaterMark: 1024 * 1024, autoClose: false });
    return {
      bytes,
      async [Symbol.asyncDispose]() {
        bytes.destroy();
        await file.close();
      },
    };
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') {
      throw new AppError('not-found', `Cannot import ${quote(from.path)}: it does not exist`, {
        cause: error,
      });
    }
    throw localError(from.path, error);
  }
}
