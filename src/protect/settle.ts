import { fromText, toText } from '../model/byte-string.ts';
import { isAppError } from '../model/errors.ts';
import { quote } from '../model/quote.ts';
import { type Consumer, type Volume, isActive } from '../model/volume.ts';
import { pathConsumers } from './describe-volume.ts';
import { pathIdentity, volumeIdentity } from './identity.ts';
import { takeLease } from './lease.ts';
import type { JobOptions, Protection } from './protection.ts';
import { listJournals, readJournal } from './restore-journal.ts';
import { settleRestore } from './stage.ts';
import type { BackupTarget } from './targets.ts';

/**
 * Puts right whatever restores that were killed have left, before anything looks at a volume. What cannot be put right
 * now is told, and stays for the next time; a restore that is under way is left alone.
 */
export async function settleAll(parts: Protection, options: JobOptions): Promise<void> {
  const note = (what: string, error: unknown): void =>
    options.onNote?.(
      `What an interrupted restore has left${what} cannot be put right: ${error instanceof Error ? error.message : String(error)}`,
    );
  const roots = await listJournals(parts.stateDir).catch((error: unknown) => {
    note('', error);
    return [];
  });
  if (roots.length === 0) return;
  const volumes = await (await parts.host()).listVolumes({ signal: options.signal });
  for (const root of roots.map(toText)) {
    const volume = volumes.find(({ mountpoint }) => mountpoint === root);
    try {
      await (volume === undefined ? settlePath(parts, root, options) : settleVolume(parts, volume, options));
    } catch (error) {
      if (!isAppError(error, 'locked')) note(` of ${quote(root)}`, error);
    }
  }
}

/** Puts right what a restore that was killed has left of a volume. */
export async function settleVolume(parts: Protection, volume: Volume, options: JobOptions): Promise<void> {
  if (
    volume.mountpoint === undefined ||
    (await readJournal(parts.stateDir, fromText(volume.mountpoint))) === undefined
  )
    return;
  const hostIdentity = (await (await parts.host()).info({ signal: options.signal })).identity;
  const identity = volumeIdentity(await parts.catalog(), { hostIdentity, name: volume.name });
  await using _lease = await takeLease({
    stateDir: parts.stateDir,
    identity,
    name: volume.name,
    action: 'restore',
  });
  await settle(parts, { root: volume.mountpoint, name: volume.name, consumers: volume.consumers }, options);
}

/** The same for a directory. */
export async function settlePath(parts: Protection, path: string, options: JobOptions): Promise<void> {
  if ((await readJournal(parts.stateDir, fromText(path))) === undefined) return;
  const identity = pathIdentity(await parts.catalog(), path);
  await using _lease = await takeLease({ stateDir: parts.stateDir, identity, name: path, action: 'restore' });
  await settle(
    parts,
    { root: path, name: path, consumers: await pathConsumers(parts, path, options) },
    options,
  );
}

/** The same for one who holds the lease already. */
export async function settleHeld(
  parts: Protection,
  target: BackupTarget,
  options: JobOptions,
): Promise<void> {
  const root = target.kind === 'path' ? target.name : target.volume.mountpoint;
  if (root === undefined || (await readJournal(parts.stateDir, fromText(root))) === undefined) return;
  const consumers =
    target.kind === 'path' ? await pathConsumers(parts, root, options) : target.volume.consumers;
  await settle(parts, { root, name: target.name, consumers }, options);
}

interface Unsettled {
  readonly root: string;
  readonly name: string;
  readonly consumers: readonly Consumer[];
}

const words = {
  undone: 'was undone: its data is as it was before',
  finished: 'was finished: its data is as the snapshot has it',
  cleaned: 'has left files, which were removed: its data is whole',
} as const;

async function settle(
  parts: Protection,
  { root, name, consumers }: Unsettled,
  options: JobOptions,
): Promise<void> {
  if (consumers.some(isActive)) {
    options.onNote?.(
      `An interrupted restore of ${quote(name)} cannot be put right while containers use it: stop them and restore again.`,
    );
    return;
  }
  const { outcome } = await settleRestore(parts.stateDir, fromText(root));
  if (outcome !== undefined) options.onNote?.(`An interrupted restore of ${quote(name)} ${words[outcome]}.`);
}
