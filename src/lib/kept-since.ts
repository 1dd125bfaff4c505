import { readFileSync } from 'node:fs';
import { bootId } from './process-space.ts';

/** A moment by a clock that nothing sets: how long the machine had run then, suspended times included. */
export interface KeptSince {
  readonly boot: string;
  readonly uptimeMs: number;
}

export function keptSince(): KeptSince {
  return {
    boot: bootId(),
    uptimeMs: Math.round(Number.parseFloat(readFileSync('/proc/uptime', 'utf8')) * 1000),
  };
}

/**
 * True when less than `keepMs` has certainly passed since, whatever the clock on the wall says: it may have been slow
 * then, and right by now. Only for a moment of this run of the machine is that known.
 */
export function isKeptShorter(since: KeptSince | undefined, keepMs: number, now = keptSince()): boolean {
  return since !== undefined && since.boot === now.boot && now.uptimeMs - since.uptimeMs < keepMs;
}
