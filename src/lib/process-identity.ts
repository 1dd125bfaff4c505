import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** The kernel's id of the current boot. */
export function bootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return '';
  }
}

/** The number of this process's PID namespace, in which process numbers are valid. '' where unknown. */
export function pidNamespace(): string {
  try {
    return /^pid:\[(\d+)\]$/.exec(readlinkSync('/proc/self/ns/pid'))?.[1] ?? '';
  } catch {
    return '';
  }
}

/** The kernel's constant. */
const initialNamespace = '4026531836';

/**
 * True unless certainly no process of this machine has this number, in its own namespace or any other, such
 * as a container's. Only a process that sees all processes can be certain.
 */
export function mayHaveNumber(pid: number): boolean {
  if (pidNamespace() !== initialNamespace || !existsSync('/proc/1/status')) return true;
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .some((name) => numbersOf(name)?.includes(String(pid)) ?? existsSync(`/proc/${name}`));
}

/** The numbers of a process in each of its namespaces; undefined where they cannot be read. */
function numbersOf(process: string): string[] | undefined {
  try {
    return /^NSpid:\s*(.*)$/m.exec(readFileSync(`/proc/${process}/status`, 'utf8'))?.[1]?.split(/\s+/);
  } catch {
    return undefined;
  }
}

/**
 * When a process began, in the kernel's ticks since boot: another process may get its number later. Undefined
 * when there is none.
 */
export function processStart(pid: number): string | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return text.slice(text.lastIndexOf(')') + 2).split(' ')[19];
  } catch {
    return undefined;
  }
}

/** True while any user's process on this machine has this number. */
export function isProcessAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}

/** A moment by a clock that cannot be set: the time since boot, including suspension. */
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
 * True when certainly less than `keepMs` has passed since, whatever the wall clock says: that may have been
 * wrong then, and corrected since. Known only for moments since the last boot.
 */
export function isKeptShorter(since: KeptSince | undefined, keepMs: number, now = keptSince()): boolean {
  return since !== undefined && since.boot === now.boot && now.uptimeMs - since.uptimeMs < keepMs;
}
