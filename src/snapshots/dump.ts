import { writeTar } from '../lib/tar/write-tar.ts';
import type { TarSource } from '../lib/tar/tar-member.ts';
import { type ByteString, fromText, toText } from '../model/byte-string.ts';
import { AppError } from '../model/errors.ts';
import { quote } from '../model/quote.ts';
import { parseVolumePath } from '../model/target.ts';
import { dataOnly } from './data-only.ts';
import type { JobOptions } from '../activity/index.ts';
import { type OpenedSnapshot, openSnapshot } from './snapshots.ts';
import type { SnapshotSources } from './sources.ts';

export interface DumpRequest {
  readonly snapshot: string;
  readonly path: string;
  /** The name of a dump that a database's own client made beside the data, instead of a path. */
  readonly dump?: string | undefined;
  /**
   * The absolute path of a file that the volume's containers need, saved beside the data, instead of a path.
   */
  readonly containerFile?: string | undefined;
}

/** The bytes of a snapshot's file, or a folder as tar, with names relative to it. */
export async function* dump(
  sources: SnapshotSources,
  request: DumpRequest,
  options: JobOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  const opened = await openSnapshot(sources, request.snapshot, options);
  if (request.dump !== undefined) return yield* databaseDump(opened, request.dump, options);
  if (request.containerFile !== undefined) return yield* configFile(opened, request.containerFile, options);
  const path = parseVolumePath(request.path);
  for await (const entry of opened.repository.walk(opened.snapshot, path, {
    depth: 0,
    signal: options.signal,
  })) {
    if (entry.type === 'file')
      yield* opened.repository.readFile(opened.snapshot, entry, { signal: options.signal });
    else
      yield* writeTar(tarSources(opened, path, options), {
        signal: options.signal,
        onProblem: ({ message }) => options.onNote?.(message),
      });
    return;
  }
}

async function* configFile(
  { repository, snapshot }: OpenedSnapshot,
  path: string,
  { signal }: JobOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  const place = fromText(path).replace(/^\/+/, '');
  if (snapshot.config === undefined || snapshot.config.saved.length === 0)
    throw new AppError(
      'not-found',
      `The snapshot ${snapshot.id.slice(0, 8)} has no file that containers need`,
    );
  for await (const entry of repository.walk(snapshot, place, { depth: 0, inConfig: true, signal })) {
    if (entry.type !== 'file') throw new AppError('usage', `${quote(path)} is no file in the snapshot`);
    yield* repository.readFile(snapshot, entry, { signal });
    return;
  }
}

async function* databaseDump(
  { repository, snapshot }: OpenedSnapshot,
  name: string,
  options: JobOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  const { signal } = options;
  const dumps = await repository.listDumps(snapshot, { signal });
  const found = dumps.find(({ path }) => toText(path) === name);
  if (found !== undefined) return yield* repository.readFile(snapshot, found, { signal });
  const names = dumps.map(({ path }) => quote(toText(path)));
  throw new AppError('not-found', `Snapshot ${quote(snapshot.id.slice(0, 8))} has no dump ${quote(name)}`, {
    hint: names.length === 0 ? 'It has none at all.' : `It has ${names.join(', ')}.`,
  });
}

/** A part of a snapshot as members of a tar archive. */
export async function* tarSources(
  { repository, snapshot }: OpenedSnapshot,
  path: ByteString,
  options: JobOptions,
): AsyncGenerator<TarSource, void, undefined> {
  for await (const entry of repository.walk(snapshot, path, { signal: options.signal })) {
    yield {
      entry,
      open: () => dataOnly(repository.readFile(snapshot, entry, { signal: options.signal }), entry),
    };
  }
}
