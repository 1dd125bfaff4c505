import type { DirectoryData, Host, StreamData } from '../hosts/host.ts';
import { copyTree } from './mirror/copy-tree.ts';
import { materialize } from '../lib/tree-writer.ts';
import { openTrusted } from '../lib/open-trusted.ts';
import { readTar } from '../lib/tar/read-tar.ts';
import type { TarSource } from '../lib/tar/tar-member.ts';
import { writeTar } from '../lib/tar/write-tar.ts';
import { walkTree } from '../lib/tree-walk.ts';
import { type ByteString, toPrintable } from '../model/byte-string.ts';
import { AppError } from '../model/errors.ts';
import { quote } from '../model/quote.ts';
import { counted, renamed, tarOptions, tarSources } from './data-source.ts';
import { findVolume } from './find-volume.ts';
import { findLocal, type LocalThing } from './local-place.ts';
import { type CopyEnd, copiedPath, planCopy } from './plan-copy.ts';
import { resolvePlace } from './resolve-place.ts';
import { lockVolume, syncVolume } from './stage.ts';
import { findStreamPlace } from './stream-place.ts';
import type { CopyInRequest, VolumePlace, VolumeWorkOptions, WorkReport } from './host-volumes.ts';
import { WorkLog } from './work-log.ts';

/** Copies something of this machine, or a tar stream, into a volume. */
export async function copyIn(
  host: Host,
  request: CopyInRequest,
  options: VolumeWorkOptions,
): Promise<WorkReport> {
  const log = new WorkLog(options);
  const { to, from } = request;
  const source = from.kind === 'path' ? findLocal(from.path, { follow: request.followLink === true }) : from;
  await findVolume(host, to.volume, { action: 'copy into', signal: log.signal });
  await using data = await host.openData(to.volume, { write: true, signal: log.signal });
  log.uses(data);
  if (data.way === 'direct') await copyDirectly(data, { to, source, log });
  else await copyStreamed(data, { to, source, log });
  return log.report();
}

interface Copy {
  readonly to: VolumePlace;
  readonly source: LocalThing | Extract<CopyInRequest['from'], { kind: 'stream' }>;
  readonly log: WorkLog;
}

async function copyDirectly({ root }: DirectoryData, { to, source, log }: Copy): Promise<void> {
  using volume = lockVolume(root, { action: 'copy into', name: to.volume });
  using place = resolvePlace(volume.root.self, to.path, { volume: to.volume, followLast: true });
  const kind = place.stat === undefined ? 'missing' : place.stat.isDirectory() ? 'dir' : 'other';
  const target = volumeEnd(to, place.path, kind);
  const { signal, onProblem, onProgress } = log;
  const { into, base } = planCopy(sourceEnd(source, target), target);
  using directory = into === 'target' ? place.parent.openChild(place.name) : place.parent.openChild('.');
  const writing = { signal, onProblem, setsRoot: false };
  if ('kind' in source) {
    const members = readTar(source.tar, { signal, onProblem });
    await materialize(directory.at('.'), members, { ...writing, onProgress });
  } else {
    refuseNested(source, `${root}/${place.path}`);
    const part = partOf(source);
    const rename = (path: ByteString) => renamedPart(part, base, path);
    using from = openTrusted(part.root);
    await copyTree(from.self, directory.at('.'), { ...writing, onProgress, only: part.only, rename });
  }
  syncVolume(volume.root);
  volume.refuseMoved();
}

async function copyStreamed(data: StreamData, { to, source, log }: Copy): Promise<void> {
  const { path, entry } = await findStreamPlace(data, to.path, { volume: to.volume, followLast: true, log });
  const target = volumeEnd(
    to,
    path,
    entry === undefined ? 'missing' : entry.type === 'dir' ? 'dir' : 'other',
  );
  const { into, base } = planCopy(sourceEnd(source, target), target);
  const directory = into === 'target' ? path : path.slice(0, Math.max(0, path.lastIndexOf('/')));
  const sources = 'kind' in source ? withoutRoot(source.tar, log) : localSources(source, base, log);
  await data.writeTar(directory, writeTar(counted(sources, log), tarOptions(log)), { signal: log.signal });
}

/** A tar stream's members go into the target, which must be a directory. */
function sourceEnd(source: Copy['source'], target: CopyEnd): CopyEnd {
  if (!('kind' in source)) return localEnd(source);
  if (target.kind === 'dir') return { shown: '-', suffix: '/.', kind: 'dir', name: '' };
  throw new AppError('usage', `Cannot unpack a tar stream at ${quote(target.shown)}: it is not a directory`);
}

export function localEnd({ text, suffix, name, stat }: LocalThing): CopyEnd {
  return {
    shown: text,
    suffix,
    name,
    kind: stat === undefined ? 'missing' : stat.isDirectory() ? 'dir' : 'other',
  };
}

export function volumeEnd({ volume, suffix }: VolumePlace, path: ByteString, kind: CopyEnd['kind']): CopyEnd {
  const name = path.slice(path.lastIndexOf('/') + 1);
  return { shown: `${volume}:/${toPrintable(path)}`, suffix: suffix ?? '', kind, name };
}

/** A directory is walked itself; anything else is walked as the only name in its directory. */
function partOf(source: LocalThing): { readonly root: ByteString; readonly only: ByteString | undefined } {
  if (source.stat?.isDirectory() === true) return { root: source.path, only: undefined };
  const slash = source.path.lastIndexOf('/');
  return { root: source.path.slice(0, slash) || '/', only: source.path.slice(slash + 1) };
}

function renamedPart(
  { only }: { readonly only: ByteString | undefined },
  base: ByteString | undefined,
  path: ByteString,
): ByteString | undefined {
  if (only === undefined) return copiedPath(base, path);
  return path === only ? copiedPath(base, '') : undefined;
}

function localSources(
  source: LocalThing,
  base: ByteString | undefined,
  log: WorkLog,
): AsyncIterable<TarSource> {
  const part = partOf(source);
  const walk = walkTree(part.root, { signal: log.signal, onProblem: log.onProblem, only: part.only });
  return renamed(walk, (path) => renamedPart(part, base, path));
}

/** The target directory keeps its own metadata. */
async function* withoutRoot(
  tar: AsyncIterable<Uint8Array>,
  { signal, onProblem }: WorkLog,
): AsyncGenerator<TarSource> {
  for await (const source of tarSources(readTar(tar, { signal, onProblem })))
    if (source.entry.path !== '') yield source;
}

/** A copy of a directory into itself would never end. */
export function refuseNested(
  source: { readonly path: ByteString; readonly text: string },
  target: ByteString,
): void {
  if (target !== source.path && !target.startsWith(source.path === '/' ? '/' : `${source.path}/`)) return;
  throw new AppError('usage', `Cannot copy ${quote(source.text)} into itself`);
}
