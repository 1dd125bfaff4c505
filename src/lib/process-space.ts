import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** The kernel's id of this run of the machine. */
export function bootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return '';
  }
}

/** The number of this process's PID namespace: only in it do numbers of processes mean the same. '' where it is not known. */
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
 * True unless it is certain that no process of this machine has this number, in its own namespace or in any other, as
 * those in containers have. Certain is only who sees all processes.
 */
export function mayHaveNumber(pid: number): boolean {
  if (pidNamespace() !== initialNamespace || !existsSync('/proc/1/status')) return true;
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .some((name) => numbersOf(name)?.includes(String(pid)) ?? existsSync(`/proc/${name}`));
}

/** The numbers that a process has in each of its namespaces; undefined where they cannot be read. */
function numbersOf(process: string): string[] | undefined {
  try {
    return /^NSpid:\s*(.*)$/m.exec(readFileSync(`/proc/${process}/status`, 'utf8'))?.[1]?.split(/\s+/);
  } catch {
    return undefined;
  }
}
