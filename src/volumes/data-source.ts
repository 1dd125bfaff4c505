import type { VolumeData } from '../hosts/host.ts';
import { readTar } from '../lib/tar/read-tar.ts';
import type { TarMember, TarSource } from '../lib/tar/tar-member.ts';
import type { WriteTarOptions } from '../lib/tar/write-tar.ts';
import { walkTree } from '../lib/tree-walk.ts';
import type { ByteString } from '../model/byte-string.ts';
import { isUnfinishedFill } from '../lib/stage-names.ts';
import type { WorkLog } from './work-log.ts';

/** Everything in a volume, the root first, direct or streamed. Counts as it goes. */
export async function* readVolume(
  data: VolumeData,
  log: WorkLog,
): AsyncGenerator<TarSource, void, undefined> {
  const { signal, onProblem } = log;
  if (data.way === 'direct') {
    yield* counted(walkTree(data.root, { signal, onProblem, skip: isUnfinishedFill }), log);
    return;
  }
  const tar = await data.readTar('', { signal });
  yield* counted(tarSources(readTar(tar, { signal, onProblem })), log);
}

/** The members of an archive as sources for another. */
export async function* tarSources(
  members: AsyncIterable<TarMember>,
): AsyncGenerator<TarSource, void, undefined> {
  for await (const { entry, body } of members) yield { entry, open: () => body };
}

/** Sources as members, to be written to disk. */
export async function* membersOf(
  sources: AsyncIterable<TarSource>,
): AsyncGenerator<TarMember, void, undefined> {
  for await (const { entry, open } of sources) yield { entry, body: open?.() ?? nothing() };
}

async function* nothing(): AsyncGenerator<Uint8Array> {}

/** Counts bytes and files as they are taken. */
export async function* counted(
  sources: AsyncIterable<TarSource>,
  log: WorkLog,
): AsyncGenerator<TarSource, void, undefined> {
  for await (const { entry, open } of sources) {
    yield { entry, open: open === undefined ? undefined : () => countedBytes(open(), log) };
    if (entry.type !== 'dir') log.countFile();
  }
}

async function* countedBytes(bytes: AsyncIterable<Uint8Array>, log: WorkLog): AsyncGenerator<Uint8Array> {
  for await (const chunk of bytes) {
    log.countBytes(chunk.length);
    yield chunk;
  }
}

/** Sources with other paths; leaves out those for which `rename` returns none. */
export async function* renamed(
  sources: AsyncIterable<TarSource>,
  rename: (path: ByteString) => ByteString | undefined,
): AsyncGenerator<TarSource, void, undefined> {
  for await (const { entry, open } of sources) {
    const path = rename(entry.path);
    if (path === undefined) continue;
    const hardLinkTo = entry.hardLinkTo === undefined ? undefined : rename(entry.hardLinkTo);
    yield { entry: hardLinkTo === undefined ? { ...entry, path } : { ...entry, path, hardLinkTo }, open };
  }
}

/**
 * For writing tar. It has no form for sockets, which are useless without their server, so a note is enough.
 */
export function tarOptions(log: WorkLog): WriteTarOptions {
  const { signal, onProblem } = log;
  return {
    signal,
    onProblem,
    onSkipped: (_, message) => log.note(`${message}.`),
  };
}
