import { rm } from 'node:fs/promises';
import { folderIdentity } from '../lib/folder-names.ts';
import type { Host } from '../hosts/host.ts';
import type { ManagedVolume, ManagedVolumes, TrashedVolume } from './managed/managed-volumes.ts';
import { writeDurably } from '../lib/durable-file.ts';
import { knownError } from '../lib/known-error.ts';
import { holderWords } from '../lib/machine-claim.ts';
import { AppError } from '../model/errors.ts';
import { quote } from '../model/quote.ts';
import { nameBefore, removedFromLabel } from '../model/volume-name.ts';
import { giveToEngine, requireFree } from './give-to-engine.ts';
import { withTarget } from './target-volume.ts';
import {
  journalDir,
  lockRestores,
  settle,
  settleLeft,
  type TrashJournal,
  type TrashJournalScope,
} from './trash-journal.ts';
import { nameNear, newJournal } from './trash-journals.ts';
import { WorkLog } from './work-log.ts';

export interface RestoreTrashScope extends TrashJournalScope {
  readonly managed: Pick<ManagedVolumes, 'find' | 'remove' | 'label' | 'listTrash' | 'restoreTrash'>;
  host(): Promise<Host>;
  /** Called for a managed volume that is back. */
  readonly ownIsBack: (volume: ManagedVolume, signal: AbortSignal | undefined) => Promise<void>;
  /** Managed volumes were requested: an engine's former volume becomes one. */
  readonly isOwnWanted: boolean;
}

export interface RestoreTrashOptions {
  /** Another name. */
  readonly to?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Brings a volume back from the trash to Holdfast or to the engine that had it, and returns its name. An
 * engine's volume is made there again, with its labels, and the data is put into its place in one step; until
 * then, and after a failure, it is in the trash. A name that holds data, or gets some meanwhile, is `exists`:
 * nothing is merged.
 */
export async function restoreTrash(
  scope: RestoreTrashScope,
  which: string,
  options: RestoreTrashOptions,
): Promise<string> {
  const { managed, isOwnWanted } = scope;
  await settleLeft(scope);
  const trashed = find(await managed.listTrash(), which);
  const name = trashed?.labels[removedFromLabel];
  const own = async (volume: ManagedVolume): Promise<string> => {
    await scope.ownIsBack(volume, options.signal);
    return volume.name;
  };
  if (trashed === undefined || name === undefined)
    return await own(await managed.restoreTrash(trashed?.id ?? which, options));
  const to = options.to ?? name;
  if (isOwnWanted) {
    await managed.restoreTrash(trashed.id, { ...options, to });
    return await own(await managed.label(to, { [removedFromLabel]: undefined }));
  }
  const engine = await scope.host();
  if (engine.kind === 'embedded') throw noEngine(name);
  await using _lock = await lockRestores(scope.stateDir);
  await bringBack({ ...scope, engine }, trashed, { ...options, to });
  return to;
}

/** The trash, newest first; with what a kill left on its way out, without what is on its way now. */
export async function listTrash(
  scope: Omit<RestoreTrashScope, 'host' | 'isOwnWanted' | 'ownIsBack'>,
): Promise<TrashedVolume[]> {
  try {
    await settleLeft(scope);
  } catch (error) {
    const { code, message } = knownError(error, 'Cannot put right what a restore from the trash has left');
    if (code !== 'locked') scope.onWarning?.(message);
  }
  return await scope.managed.listTrash();
}

/** As the trash finds them, by the former name too. The newest is first. */
function find(all: readonly TrashedVolume[], which: string): TrashedVolume | undefined {
  const byId = all.filter(({ id }) => which.length >= 4 && id.startsWith(which));
  return all.find((trashed) => nameBefore(trashed) === which) ?? (byId.length === 1 ? byId[0] : undefined);
}

function noEngine(name: string): AppError {
  return new AppError(
    'unavailable',
    `Cannot bring ${quote(name)} back: no engine answers, and it was one's volume`,
    {
      hint: 'Start the engine, or say where it is with DOCKER_HOST. "--host embedded" makes it a volume of Holdfast’s own.',
    },
  );
}

type EngineScope = RestoreTrashScope & { readonly engine: Host };
type Request = RestoreTrashOptions & { readonly to: string };

async function bringBack(scope: EngineScope, trashed: TrashedVolume, { to, signal }: Request): Promise<void> {
  const { engine, managed, stateDir } = scope;
  const log = new WorkLog({ signal });
  const target = { engine, to, name: nameBefore(trashed), log };
  await using _claim = await claimVolume(engine, to);
  const existing = await engine.findVolume(to, { signal });
  if (existing !== undefined) await requireFree(target);
  // A similar name, because the name itself may be a managed volume's by now.
  const near = nameNear(to);
  const file = newJournal(journalDir(stateDir));
  const note = (more: Partial<TrashJournal>): Promise<void> =>
    writeDurably(file, JSON.stringify({ name: near, ...more } satisfies TrashJournal));
  await note({});
  try {
    const kept = await managed.restoreTrash(trashed.id, { to: near, signal });
    const data = folderIdentity(kept.mountpoint);
    await note({ data });
    const { [removedFromLabel]: _, ...labels } = kept.labels;
    const spec = { name: to, driver: 'local', labels, options: {} };
    const noteCopy = (root: string): Promise<void> => note({ data, root });
    // An app must not find it empty: a volume made for this is removed on failure.
    await withTarget(engine, spec, {
      existing,
      log,
      work: () => giveToEngine({ ...target, kept, noteCopy }),
    });
  } catch (error) {
    await settle(scope);
    throw error;
  }
  await managed.remove(near, { permanent: true, isHeld: true });
  await rm(file, { force: true });
}

async function claimVolume(engine: Host, name: string): Promise<AsyncDisposable | undefined> {
  const claim = await engine.claim?.(`volume ${name}`);
  if (claim === undefined || !('heldBy' in claim)) return claim;
  const who = holderWords(claim.heldBy);
  throw new AppError('locked', `Cannot restore ${quote(name)}: ${who} is at work on it`, {
    hint: 'Wait until it is done, or end that process.',
  });
}
