import { randomBytes } from 'node:crypto';
import type { ByteString } from '../model/byte-string.ts';

/**
 * Folders in which data is prepared before it is moved to its place: each name ends in 16 random digits, and
 * shows after a kill how to treat the folder.
 */

const restorePrefix = '.holdfast-restore-';
const benchPrefix = '.holdfast-bench-';
const stagePrefix = '.holdfast-stage-';
const readyPrefix = '.holdfast-ready-';
const fillName = /^\.holdfast-(stage|ready)-[0-9a-f]{16}$/;

/** A new name for the folder of a restore; never saved, never shown. */
export function newStageName(): string {
  return `${restorePrefix}${randomBytes(8).toString('hex')}`;
}

/** True for the folder of a restore or a benchmark at the top of a volume, and for everything below. */
export function isStagePath(path: ByteString): boolean {
  return path.startsWith('.holdfast-') && /^\.holdfast-(restore|bench)-[0-9a-f]{16}(\/|$)/.test(path);
}

/** A new name for what a benchmark makes; never saved. */
export function newBenchName(): string {
  return `${benchPrefix}${randomBytes(8).toString('hex')}`;
}

/** True for what a killed benchmark has left at the top of a volume. */
export function isBenchName(name: ByteString): boolean {
  return name.startsWith(benchPrefix) && isStagePath(name) && !name.includes('/');
}

/**
 * New names for filling an empty volume: `stage` until everything is in it, then `ready` while it is moved
 * up.
 */
export function newFillNames(): { readonly stage: string; readonly ready: string } {
  const token = randomBytes(8).toString('hex');
  return { stage: `${stagePrefix}${token}`, ready: `${readyPrefix}${token}` };
}

export function isFillName(name: ByteString): boolean {
  return fillName.test(name);
}

/** True for a complete leftover of a killed fill: moving it up is finished. */
export function isReadyFill(name: ByteString): boolean {
  return name.startsWith(readyPrefix) && isFillName(name);
}

/** True for an incomplete leftover of a killed fill: it is not copied. */
export function isUnfinishedFill(path: ByteString): boolean {
  return path.startsWith(stagePrefix) && isFillName(path);
}
