import { writeTar } from '../lib/tar/write-tar.ts';
import type { TarSource } from '../lib/tar/tar-member.ts';
import type { ByteString } from '../model/byte-string.ts';
import { parseVolumePath } from '../model/target.ts';
import { dataOnly } from './data-only.ts';
import type { JobOptions, Protection } from './protection.ts';
import { type OpenedSnapshot, openSnapshot } from './snapshots.ts';

export interface DumpRequest {
  readonly snapshot: string;
  readonly path: string;
}

/** The bytes of a file of a snapshot as they are, or a folder as tar, with names relative to it. */
export async function* dump(
  parts: Protection,
  request: DumpRequest,
  options: JobOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  const opened = await openSnapshot(parts, request.snapshot, options);
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
