import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { processStart } from '../../lib/process-start.ts';

/** An id for a hold of this process, which ends with it. */
export function processHoldId(): string {
  return `process:${process.pid}:${processStart(process.pid) ?? ''}:${randomBytes(6).toString('hex')}`;
}

/** Whether the process of a hold still runs; undefined for an id that is not a process's. */
export function isProcessHoldAlive(id: string): boolean | undefined {
  const [, pid, start] = /^process:(\d+):(\d*):[0-9a-f]+$/.exec(id) ?? [];
  if (pid === undefined) return undefined;
  return processStart(Number(pid)) === start;
}

/** The kernel's id of this run of the machine. */
export function bootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return '';
  }
}
