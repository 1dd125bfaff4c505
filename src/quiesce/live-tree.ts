import { readTar } from '../lib/tar/read-tar.ts';
import { walkTree } from '../lib/tree-walk.ts';
import type { ByteString } from '../model/byte-string.ts';
import type { Entry } from '../model/entry.ts';
import type { VolumeData } from '../hosts/host.ts';
import { comparePaths } from '../lib/compare-paths.ts';
import type { JobOptions } from '../activity/index.ts';
import { isStagePath } from '../lib/stage-names.ts';

/** Where live data can be read. */
export type LiveData =
  | (VolumeData & { readonly only?: undefined })
  | {
      readonly way: 'direct';
      readonly root: ByteString;
      /** Only this name in the root. */
      readonly only?: ByteString | undefined;
    };

/** The entries of live data in walk order, the root ('') first. Leaves out what vanishes meanwhile. */
export async function* liveEntries(
  data: LiveData,
  options: JobOptions,
): AsyncGenerator<Entry, void, undefined> {
  if (data.way === 'direct') {
    for await (const { entry } of walkTree(data.root, {
      signal: options.signal,
      skip: isStagePath,
      only: data.only,
    }))
      yield entry;
    return;
  }
  yield* inWalkOrder(streamedEntries(await data.readTar('', { signal: options.signal }), options));
}

async function* streamedEntries(
  tar: AsyncIterable<Uint8Array>,
  options: JobOptions,
): AsyncGenerator<Entry, void, undefined> {
  for await (const { entry } of readTar(tar, { signal: options.signal }))
    if (!isStagePath(entry.path)) yield entry;
}

/** Engines already stream in walk order. If one does not, its entries are gathered and sorted. */
async function* inWalkOrder(entries: AsyncIterable<Entry>): AsyncGenerator<Entry, void, undefined> {
  let last: ByteString | undefined;
  const late: Entry[] = [];
  for await (const entry of entries) {
    if (last === undefined || comparePaths(last, entry.path) < 0) {
      last = entry.path;
      yield entry;
    } else late.push(entry);
  }
  yield* late.sort((a, b) => comparePaths(a.path, b.path));
}

/** True when it contains nothing but the folder that ext4 keeps at its root. */
export async function isEmptyData(data: LiveData, options: JobOptions): Promise<boolean> {
  for await (const entry of liveEntries(data, options)) {
    if (entry.path !== '' && entry.path !== 'lost+found' && !entry.path.startsWith('lost+found/'))
      return false;
  }
  return true;
}
