import { AppError } from '../model/errors.ts';
import { quote } from '../model/quote.ts';
import type { Snapshot } from '../model/snapshot.ts';
import type { TagChange } from '../repository/index.ts';
import {
  findContext,
  findSnapshot,
  isNamedById,
  machineOf,
  openSources,
  safetyTag,
  type FullContext,
  type SnapshotAccess,
} from '../snapshots/index.ts';
import type { JobOptions } from '../activity/index.ts';

export interface TagRequest {
  readonly snapshots: readonly string[];
  readonly change: TagChange;
}

/** A snapshot before and after; new tags mean a new id. */
export interface TaggedSnapshot {
  readonly before: Snapshot;
  readonly after: Snapshot;
}

/** Changes the tags of snapshots. All are found before the first is changed. */
export async function changeTags(
  access: SnapshotAccess,
  { snapshots, change }: TagRequest,
  options: JobOptions,
): Promise<TaggedSnapshot[]> {
  refuseSenseless(change);
  const sources = await openSources(access);
  const context = await findContext(sources, options);
  const found = snapshots.map((text) => findToChange(text, context));
  const { repository, catalog } = sources;
  const changed: TaggedSnapshot[] = [];
  for (const before of new Set(found)) {
    const after = await repository.changeTags(before.id, change, { signal: options.signal });
    catalog.renameVerifiedSnapshot(repository.id, { from: before.id, to: after.id });
    changed.push({ before, after: { ...after, volume: after.volume ?? before.volume, name: before.name } });
  }
  return changed;
}

/** As with forget: another machine's snapshot is changed by its id only. */
function findToChange(text: string, context: FullContext): Snapshot {
  const found = findSnapshot(text, context);
  if (context.isOwn(found) || isNamedById(found, text, context)) return found;
  throw new AppError(
    'usage',
    `Cannot change the tags of ${quote(text)}: the machine ${quote(machineOf(found))} saved it`,
    { detail: 'Nothing was changed.', hint: `Name the snapshot by its id: ${found.id.slice(0, 8)}` },
  );
}

function refuseSenseless({ set, add, remove }: TagChange): void {
  if (set === undefined && add.length === 0 && remove.length === 0) {
    throw new AppError('usage', 'Nothing says which tags to change', {
      hint: 'Use --add, --remove or --set.',
    });
  }
  if (set !== undefined && add.length + remove.length > 0)
    throw new AppError('usage', 'The flag --set excludes --add and --remove');
  if ([...(set ?? []), ...add].includes(safetyTag)) {
    throw new AppError(
      'usage',
      `The tag ${quote(safetyTag)} is for what restores save, and cannot be given`,
      {
        hint: 'Choose another tag.',
      },
    );
  }
}
