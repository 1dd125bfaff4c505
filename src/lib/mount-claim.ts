import { readlinkSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { AppError } from '../model/errors.ts';
import { writeDurably } from './durable-file.ts';
import { tryLockFile } from './file-lock.ts';
import { bootId } from './process-identity.ts';
import { readTextIfThere } from './read-text.ts';

/**
 * The process that mounts the volumes of a state folder where not every process sees it: a managed plugin, in
 * its own mount namespace. Another process that mounted them too would get a second tmpfs, or check a file
 * system that is in use.
 */
export interface MountClaim extends AsyncDisposable {
  /** The mounts are not in use: the claim ends with this process, not only at the next boot. */
  forget(): Promise<void>;
}

/** Reading the claim takes the lock for a moment. */
const patienceMs = 2000;

/**
 * Claims all mounts for this process's mount namespace. `locked` while a process of another namespace has
 * them.
 */
export async function claimMounts(stateDir: string): Promise<MountClaim> {
  const lock = await takeLock(stateDir);
  try {
    const claim: Claim = { namespace: mountNamespace(), boot: bootId() };
    await writeDurably(claimPath(stateDir), JSON.stringify(claim));
  } catch (error) {
    await lock[Symbol.asyncDispose]();
    throw error;
  }
  return {
    forget: () => rm(claimPath(stateDir), { force: true }),
    [Symbol.asyncDispose]: () => lock[Symbol.asyncDispose](),
  };
}

/** Removes what a managed plugin has left behind. `locked` while it runs. */
export async function endClaim(stateDir: string): Promise<void> {
  if ((await foreignClaim(stateDir)) === undefined) return;
  await using _lock = await takeLock(stateDir);
  await rm(claimPath(stateDir), { force: true });
}

/**
 * Throws `in-use`, with `action` before the reason, when the volumes are or may be mounted where this process
 * does not see it.
 */
export async function requireMountsHere(stateDir: string, action: string): Promise<void> {
  if ((await foreignClaim(stateDir)) === undefined) return;
  const lock = await tryLockFile(lockPath(stateDir), { owner: '' });
  if ('heldBy' in lock) {
    throw new AppError(
      'in-use',
      `${action}: a managed plugin of Docker mounts the volumes of "${stateDir}"`,
      {
        hint: 'What it mounts is not seen here. Use the volume in a container, or disable the plugin first: docker plugin disable -f.',
      },
    );
  }
  await lock[Symbol.asyncDispose]();
  throw new AppError(
    'in-use',
    `${action}: containers may still have it from a managed plugin that has ended`,
    {
      hint: 'Enable the plugin, stop what uses its volumes, and disable it; or let "holdfast plugin" serve them.',
    },
  );
}

interface Claim {
  readonly namespace: string;
  readonly boot: string;
}

/** A claim of another mount namespace since the last boot. */
async function foreignClaim(stateDir: string): Promise<Claim | undefined> {
  const claim = await readClaim(stateDir);
  if (claim === undefined || claim.boot !== bootId() || claim.namespace === mountNamespace())
    return undefined;
  return claim;
}

async function readClaim(stateDir: string): Promise<Claim | undefined> {
  const text = await readTextIfThere(claimPath(stateDir));
  if (text === undefined) return undefined;
  return parseClaim(text) ?? { namespace: 'unknown', boot: bootId() };
}

/** Undefined for a damaged file, which still counts as a claim. */
function parseClaim(text: string): Claim | undefined {
  try {
    const { namespace, boot } = JSON.parse(text) as Partial<Claim>;
    return typeof namespace === 'string' && typeof boot === 'string' ? { namespace, boot } : undefined;
  } catch {
    return undefined;
  }
}

async function takeLock(stateDir: string): Promise<AsyncDisposable> {
  const deadline = performance.now() + patienceMs;
  for (;;) {
    const lock = await tryLockFile(lockPath(stateDir), { owner: String(process.pid) });
    if (!('heldBy' in lock)) return lock;
    if (performance.now() > deadline) {
      throw new AppError('locked', `A managed plugin of Docker serves the volumes of "${stateDir}" already`, {
        hint: 'One serves a state folder. Disable the other one first: docker plugin disable -f.',
      });
    }
    await sleep(50);
  }
}

function mountNamespace(): string {
  return readlinkSync('/proc/self/ns/mnt');
}

const claimPath = (stateDir: string): string => join(stateDir, 'mounts.json');
const lockPath = (stateDir: string): string => join(stateDir, 'mounts.lock');
