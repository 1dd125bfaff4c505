import type { Host } from '../hosts/host.ts';
import { readContent } from '../lib/file-content.ts';
import { readProblem } from '../lib/tree-problem.ts';
import { toPrintable } from '../model/byte-string.ts';
import type { Entry } from '../model/entry.ts';
import { AppError, errnoOf } from '../model/errors.ts';
import { quote } from '../model/quote.ts';
import { missing } from './browse.ts';
import { findVolume } from './find-volume.ts';
import { resolvePlace } from './resolve-place.ts';
import { findStreamPlace, readStream } from './stream-place.ts';
import type { VolumePlace, VolumeWorkOptions } from './host-volumes.ts';
import { WorkLog } from './work-log.ts';

/** A file's bytes, holes as zeros. */
export async function* readVolumeFile(
  host: Host,
  place: VolumePlace,
  options: VolumeWorkOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  const log = new WorkLog(options);
  const { volume, path } = place;
  await findVolume(host, volume, { action: 'read', signal: log.signal });
  await using data = await host.openData(volume, { signal: log.signal });
  if (data.way === 'direct') yield* readDirectly(data.root, place, log);
  else {
    const found = await findStreamPlace(data, path, { volume, followLast: true, log });
    if (found.entry === undefined) throw missing(volume, path);
    if (found.entry.type !== 'file') throw noFile(place);
    for await (const { entry, body } of readStream(data, found.path, log)) yield* withHoles(entry, body);
  }
}

async function* readDirectly(
  root: string,
  place: VolumePlace,
  { signal }: WorkLog,
): AsyncGenerator<Uint8Array> {
  using found = resolvePlace(root, place.path, { volume: place.volume, followLast: true });
  const { stat } = found;
  if (stat === undefined) throw missing(place.volume, place.path);
  if (!stat.isFile()) throw noFile(place);
  const entry: Entry = {
    path: place.path,
    type: 'file',
    mode: 0,
    uid: 0,
    gid: 0,
    mtimeNs: stat.mtimeNs,
    size: Number(stat.size),
  };
  try {
    yield* readContent(found.parent.at(found.name), { entry, stat, signal });
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    throw new AppError('failed', readProblem(place.path, error).message, { cause: error });
  }
}

function noFile({ volume, path }: VolumePlace): AppError {
  return new AppError(
    'usage',
    `Cannot print ${quote(toPrintable(path))} of volume ${quote(volume)}: it is not a file`,
  );
}

const zeros = Buffer.alloc(64 * 1024);

/** A sparse member's body contains only its data runs. */
async function* withHoles(entry: Entry, body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  if (entry.dataRuns === undefined) return yield* body;
  const chunks = body[Symbol.asyncIterator]();
  let rest: Uint8Array = new Uint8Array(0);
  let at = 0;
  for (const run of [...entry.dataRuns, { offset: entry.size, length: 0 }]) {
    for (; at < run.offset; at += Math.min(zeros.length, run.offset - at))
      yield zeros.subarray(0, run.offset - at);
    for (const end = run.offset + run.length; at < end;) {
      while (rest.length === 0) {
        const next = await chunks.next();
        if (next.done === true) return;
        rest = next.value;
      }
      const piece = rest.subarray(0, end - at);
      rest = rest.subarray(piece.length);
      at += piece.length;
      yield piece;
    }
  }
}
