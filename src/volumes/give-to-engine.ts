import { lstatSync, readdirSync } from 'node:fs';
import type { DirectoryData, Host } from '../hosts/host.ts';
import type { ManagedVolume } from './managed/managed-volumes.ts';
import { exchange, tryExchange } from '../lib/exchange.ts';
import { knownError } from '../lib/known-error.ts';
import { isSameFile } from '../lib/open-trusted.ts';
import { type ByteString, fromText, toPath, toPrintable } from '../model/byte-string.ts';
import { inUseError } from '../model/consumers.ts';
import { AppError, errnoOf } from '../model/errors.ts';
import { quote } from '../model/quote.ts';
import { copyToStage } from './clone-volume.ts';
import { claimData, holdName, removeEmpty, syncNames, takenByOther } from './kept-directory.ts';
import { fillEmpty, type HeldVolume, isEmptyVolume, lockVolume } from './stage.ts';
import type { WorkLog } from './work-log.ts';

export interface EngineTarget {
  readonly engine: Pick<Host, 'findVolume' | 'openData'>;
  /** The engine's volume. */
  readonly to: string;
  /** The name before, for messages. */
  readonly name: string;
  readonly log: WorkLog;
}

/** Throws unless the engine's volume is empty, unused, and its data can be reached. */
export async function requireFree(target: EngineTarget): Promise<void> {
  await using data = await openDirect(target);
  using volume = lockVolume(data.root, { action: 'restore', name: target.to });
  await requireEmptyUnused(target, volume);
}

export interface Giving extends EngineTarget {
  readonly kept: ManagedVolume;
  /** Called before anything is copied into that directory, whose path lasts. */
  readonly noteCopy: (root: ByteString) => Promise<void>;
}

/**
 * Puts a managed volume's data into a free volume of an engine: in one exchange of the two directories, after
 * which the engine's empty one is removed; or as a copy, where that is not possible. When it throws, the data
 * is still ours or is all at the engine, and anything others have put into the engine's volume is there.
 */
export async function giveToEngine(giving: Giving): Promise<void> {
  const { kept, to, log, noteCopy } = giving;
  await using data = await openDirect(giving);
  const { root } = data;
  await using _claim = await claimData(root, { action: 'restore', name: to });
  using volume = lockVolume(root, { action: 'restore', name: to });
  await requireEmptyUnused(giving, volume);
  if (changePlaces(giving, { volume, root })) return;
  if (!root.startsWith('/proc/')) await noteCopy(root);
  const fill = async (stage: ByteString): ReturnType<typeof copyToStage> => {
    const rootEntry = await copyToStage(fromText(kept.mountpoint), stage, log);
    requireWhole(giving);
    await requireUnused(giving);
    return rootEntry;
  };
  await fillEmpty(volume, fill, log);
  requireWhole(giving);
}

async function openDirect({ engine, to, name, log }: EngineTarget): Promise<DirectoryData> {
  const data = await engine.openData(to, { signal: log.signal, write: true });
  if (data.way === 'direct') return data;
  await data[Symbol.asyncDispose]();
  throw new AppError(
    'unsupported',
    `Cannot bring ${quote(name)} back: its engine's data is out of reach from here`,
    { hint: 'Run this as root on the machine of the engine.' },
  );
}

/** The caller holds the lock. */
async function requireEmptyUnused(target: EngineTarget, { root }: HeldVolume): Promise<void> {
  await requireUnused(target);
  if (!(await isEmptyVolume(root))) throw holdsData(target);
}

async function requireUnused({ engine, to, log }: EngineTarget): Promise<void> {
  const { consumers = [] } = (await engine.findVolume(to, { signal: log.signal })) ?? {};
  if (consumers.length > 0) throw inUseError('replace', to, consumers);
}

function holdsData({ name, to }: EngineTarget): AppError {
  return new AppError(
    'exists',
    `Cannot restore volume ${quote(name)} from the trash: there is a volume ${quote(to)} that holds data`,
    { hint: 'Choose another name with --to.' },
  );
}

/** False when they cannot be exchanged: then nothing has happened. */
function changePlaces(
  giving: Giving,
  { volume, root }: { readonly volume: HeldVolume; readonly root: ByteString },
): boolean {
  const { name, kept } = giving;
  const ours = fromText(kept.mountpoint);
  try {
    using there = holdName(root);
    // The entries that a file system keeps at its root stay there.
    if (readdirSync(toPath(volume.root.at('.'))).length > 0 || !exchanged(ours, there.at)) return false;
    if (!isSameFile(lstatSync(kept.mountpoint, { bigint: true }), volume.root.stat())) {
      exchange(ours, there.at);
      throw takenByOther(toPrintable(root));
    }
    // A container that uses it since the last look has written to it, or can no longer do so.
    if (!isGone(kept.mountpoint)) {
      exchange(ours, there.at);
      throw holdsData(giving);
    }
    // The data is now the engine's, even if this throws: what an app writes there must not move again.
    syncNames([ours, there.at]);
    return true;
  } catch (error) {
    throw knownError(error, `Cannot bring ${quote(name)} back`);
  }
}

/** An error means that it is still there. */
function isGone(path: string): boolean {
  try {
    return removeEmpty(path);
  } catch {
    return false;
  }
}

function exchanged(first: ByteString, second: ByteString): boolean {
  try {
    return tryExchange(first, second);
  } catch (error) {
    // Something is mounted there.
    if (errnoOf(error) === 'EBUSY') return false;
    throw error;
  }
}

function requireWhole({ name, log }: EngineTarget): void {
  const [problem] = log.report().problems;
  if (problem === undefined) return;
  throw new AppError('failed', `Cannot copy the data of ${quote(name)} out of the trash`, {
    detail: problem.message,
  });
}
