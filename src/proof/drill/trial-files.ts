import type { TrialFile } from '../../hosts/containers.ts';
import { type ByteString, fromText } from '../../model/byte-string.ts';
import { isAppError } from '../../model/errors.ts';
import type { Repository, SnapshotEntry } from '../../repository/index.ts';
import type { JobOptions } from '../../activity/index.ts';
import type { TrialServer } from './plan-servers.ts';

/** What a container mounts of its host, from the snapshot, under its paths in the container. */
export async function trialFiles(
  repository: Repository,
  { plan, snapshot }: Pick<TrialServer, 'plan' | 'snapshot'>,
  { signal }: JobOptions,
): Promise<TrialFile[]> {
  const files: TrialFile[] = [];
  for (const { source, destination } of plan.binds) {
    const walk = repository.walk(snapshot, fromText(source).slice(1), { inConfig: true, signal });
    for await (const entry of whereThere(walk)) {
      const pieces: Uint8Array[] = [];
      if (entry.type === 'file')
        for await (const piece of repository.readFile(snapshot, entry, { signal }))
          pieces.push(Buffer.from(piece));
      const path = placeIn(fromText(destination), entry.path);
      const { hardLinkTo: _, dataRuns: __, ...plain } = entry;
      files.push({ entry: { ...plain, path }, content: Buffer.concat(pieces) });
    }
  }
  return files;
}

/**
 * Empty for what was added to a folder after it was saved: the container that mounts it now differs from the
 * saved one.
 */
async function* whereThere(
  walk: AsyncIterable<SnapshotEntry>,
): AsyncGenerator<SnapshotEntry, void, undefined> {
  try {
    yield* walk;
  } catch (error) {
    if (!isAppError(error, 'not-found')) throw error;
  }
}

function placeIn(destination: ByteString, below: ByteString): ByteString {
  const place = destination.replace(/^\/+|\/+$/g, '');
  return below === '' ? place : `${place}/${below}`;
}
