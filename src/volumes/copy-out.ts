import type { DirectoryData, Host, StreamData } from '../hosts/host.ts';
import { copyTree } from './mirror/copy-tree.ts';
import { materialize } from '../lib/tree-writer.ts';
import { openTrusted } from '../lib/open-trusted.ts';
import { writeTar } from '../lib/tar/write-tar.ts';
import { walkTree } from '../lib/tree-walk.ts';
import type { ByteString } from '../model/byte-string.ts';
import { missing } from './browse.ts';
import { noteWriters } from './clone-volume.ts';
import { localEnd, refuseNested, volumeEnd } from './copy-in.ts';
import { counted, membersOf, renamed, tarOptions, tarSources } from './data-source.ts';
import { findVolume } from './find-volume.ts';
import { findLocal, localError } from './local-place.ts';
import { type CopyEnd, copiedPath, planCopy } from './plan-copy.ts';
import { resolvePlace } from './resolve-place.ts';
import { findStreamPlace, readStream } from './stream-place.ts';
import type { ByteSink, CopyOutRequest, VolumeWorkOptions, WorkReport } from './host-volumes.ts';
import { WorkLog } from './work-log.ts';

/** Copies something from a volume to this machine, or into a tar stream. */
export async function copyOut(
  host: Host,
  request: CopyOutRequest,
  options: VolumeWorkOptions,
): Promise<WorkReport> {
  const log = new WorkLog(options);
  const volume = await findVolume(host, request.from.volume, { action: 'copy from', signal: log.signal });
  noteWriters(volume, log);
  await using data = await host.openData(volume.name, { signal: log.signal });
  log.uses(data);
  if (data.way === 'direct') await copyDirectly(data, request, log);
  else await copyStreamed(data, request, log);
  return log.report();
}

async function copyDirectly({ root }: DirectoryData, request: CopyOutRequest, log: WorkLog): Promise<void> {
  const { from, to } = request;
  using place = resolvePlace(root, from.path, { volume: from.volume, followLast: followsLast(request) });
  if (place.stat === undefined) throw missing(from.volume, from.path);
  const isDirectory = place.stat.isDirectory();
  const source = volumeEnd(from, place.path, isDirectory ? 'dir' : 'other');
  // Anything but a directory is walked as the only name in its directory.
  using directory = isDirectory ? place.parent.openChild(place.name) : place.parent.openChild('.');
  const only = isDirectory ? undefined : place.name;
  const { signal, onProblem, onProgress } = log;
  const renamer = (base: ByteString | undefined) => (path: ByteString) =>
    only === undefined ? copiedPath(base, path) : path === only ? copiedPath(base, '') : undefined;
  if (to.kind === 'stream') {
    const walk = walkTree(directory.at('.'), { signal, onProblem, only });
    const rename = streamRenamer(source, renamer);
    return await sendAll(writeTar(counted(renamed(walk, rename), log), tarOptions(log)), to.write);
  }
  const target = localTarget(to.path, source);
  if (isDirectory)
    refuseNested(
      { path: place.path === '' ? root : `${root}/${place.path}`, text: source.shown },
      target.path,
    );
  await inLocal(to.path, async () => {
    using into = openTrusted(target.directory);
    await copyTree(directory.at('.'), into.self, {
      signal,
      onProblem,
      onProgress,
      only,
      setsRoot: false,
      setsOwners: isRoot(),
      rename: renamer(target.base),
    });
  });
}

async function copyStreamed(data: StreamData, request: CopyOutRequest, log: WorkLog): Promise<void> {
  const { from, to } = request;
  const { path, entry } = await findStreamPlace(data, from.path, {
    volume: from.volume,
    followLast: followsLast(request),
    log,
  });
  if (entry === undefined) throw missing(from.volume, from.path);
  const source = volumeEnd(from, path, entry.type === 'dir' ? 'dir' : 'other');
  const below = (name: ByteString) => (name === path ? '' : path === '' ? name : name.slice(path.length + 1));
  const renamer = (base: ByteString | undefined) => (name: ByteString) => copiedPath(base, below(name));
  if (to.kind === 'stream') {
    const rename = source.name === '' || source.suffix === '/.' ? below : renamer(source.name);
    const sources = renamed(tarSources(readStream(data, path, log)), rename);
    return await sendAll(writeTar(counted(sources, log), tarOptions(log)), to.write);
  }
  const target = localTarget(to.path, source);
  const { signal, onProblem, onProgress } = log;
  const sources = renamed(tarSources(readStream(data, path, log)), renamer(target.base));
  const writing = { signal, onProblem, onProgress, setsRoot: false, setsOwners: isRoot() };
  await inLocal(to.path, async () => {
    using into = openTrusted(target.directory);
    await materialize(into.self, membersOf(sources), writing);
  });
}

/** In a stream, an entry comes under its own name, and a directory's contents under its `./`. */
function streamRenamer(
  { name, suffix }: CopyEnd,
  renamer: (base: ByteString | undefined) => (path: ByteString) => ByteString | undefined,
): (path: ByteString) => ByteString | undefined {
  return name === '' || suffix === '/.' ? (path) => path : renamer(name);
}

function followsLast({ followLink, from }: CopyOutRequest): boolean {
  return followLink === true || (from.suffix ?? '') !== '';
}

/** Where it goes on this machine. */
function localTarget(text: string, source: CopyEnd) {
  const found = findLocal(text, { follow: true });
  const { into, base } = planCopy(source, { ...localEnd(found), name: found.realName });
  return { directory: into === 'target' ? found.path : found.parent, base, path: found.path };
}

async function inLocal(text: string, work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
  } catch (error) {
    throw localError(text, error);
  }
}

async function sendAll(chunks: AsyncIterable<Uint8Array>, write: ByteSink): Promise<void> {
  for await (const chunk of chunks) await write(chunk);
}

/** Only root can change owners: what another user copies out becomes that user's own. */
function isRoot(): boolean {
  return process.geteuid?.() === 0;
}
