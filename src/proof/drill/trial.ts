import { AppError, errorMessage, isAppError } from '../../model/errors.ts';
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { trialLabel, trialPrefix } from '../../hosts/containers.ts';
import type { Host, HostScope } from '../../hosts/host.ts';
import { tryLockFile } from '../../lib/file-lock.ts';
import type { JobOptions } from '../../activity/index.ts';

/** What a drill makes, all of it labelled, and removed at disposal unless it is kept. */
export interface Trial extends AsyncDisposable {
  /** On everything that the trial makes. */
  readonly labels: Readonly<Record<string, string>>;
  /** A name for an object of this trial. */
  nameOf(what: string): string;
  /** From then on, disposal removes nothing. */
  keep(): void;
}

/** Opens a trial. A file lock marks it as under way: recovery tells a killed trial by the missing lock. */
export async function openTrial(scope: HostScope, options: JobOptions): Promise<Trial> {
  const host = await scope.host();
  const id = randomBytes(6).toString('hex');
  const folder = path.join(scope.stateDir, 'trials');
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const file = path.join(folder, `${await prefixOf(host, options)}-${id}`);
  const lock = await tryLockFile(file, { owner: String(process.pid) });
  if ('heldBy' in lock) throw new AppError('locked', `The trial "${id}" is taken`);
  let isKept = false;
  return {
    // Backups of everything leave it out.
    labels: { [trialLabel]: id, 'holdfast.backup': 'false' },
    nameOf: (what) => `${trialPrefix}${id}-${what.replaceAll(/[^a-zA-Z0-9_.-]+/g, '-').slice(0, 100)}`,
    keep: () => {
      isKept = true;
    },
    async [Symbol.asyncDispose]() {
      await using _lock = lock;
      // Without the signal: also after a cancel.
      if (!isKept) await removeTrial(host, id);
      await rm(file, { force: true });
    },
  };
}

/** Removes what killed trials of this host left. Never touches those under way. Never throws. */
export async function removeLeftTrials(scope: HostScope, options: JobOptions): Promise<number> {
  const folder = path.join(scope.stateDir, 'trials');
  let removed = 0;
  try {
    const names = await readdir(folder).catch(() => []);
    if (names.length === 0) return 0;
    const host = await scope.host();
    const prefix = `${await prefixOf(host, options)}-`;
    for (const name of names.filter((one) => one.startsWith(prefix))) {
      const lock = await tryLockFile(path.join(folder, name), { owner: String(process.pid) });
      if ('heldBy' in lock) continue;
      await using _lock = lock;
      await removeTrial(host, name.slice(prefix.length), options);
      await rm(path.join(folder, name), { force: true });
      removed++;
    }
    if (removed > 0) options.onNote?.('What an interrupted drill has left was removed.');
  } catch (error) {
    const why = errorMessage(error);
    options.onNote?.(`What an interrupted drill has left cannot be removed: ${why}.`);
  }
  return removed;
}

/** Marks this engine's trials: those of another engine are left alone. */
async function prefixOf(host: Host, { signal }: JobOptions): Promise<string> {
  const { identity } = await host.info({ signal });
  return createHash('sha256').update(identity).digest('hex').slice(0, 12);
}

async function removeTrial(host: Host, id: string, { signal }: JobOptions = {}): Promise<void> {
  await host.containers?.removeTrial(id, { signal });
  const volumes = await host.listVolumes({ signal });
  for (const { name, labels } of volumes)
    if (labels[trialLabel] === id) await host.removeVolume(name, { signal }).catch(ignoreMissing);
}

function ignoreMissing(error: unknown): void {
  if (!isAppError(error, 'not-found')) throw error;
}
