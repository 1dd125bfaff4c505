import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';

/** An id for a hold of this process, which ends with it. */
export function processHoldId(): string {
  return `process:${process.pid}:${startOf(process.pid) ?? ''}:${randomBytes(6).toString('hex')}`;
}

/** Whether the process of a hold still runs; undefined for an id that is not a process's. */
export function isProcessHoldAlive(id: string): boolean | undefined {
  const [, pid, start] = /^process:(\d+):(\d*):[0-9a-f]+$/.exec(id) ?? [];
  if (pid === undefined) return undefined;
  return startOf(Number(pid)) === start;
}

/** The kernel's id of this run of the machine. */
export function bootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return '';
  }
}

/** When a process began, in the kernel's ticks: another process may get its number later. */
function startOf(pid: number): string | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return text.slice(text.lastIndexOf(')') + 2).split(' ')[19];
  } catch {
    return undefined;
  }
}
