import { readdirSync, readFileSync } from 'node:fs';

/** Running child processes of this name. */
export function childrenOf(parent: number, name: string): number[] {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .flatMap((pid) => {
      try {
        const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
        const [, command = '', state = '', ppid = ''] = /^\d+ \((.*)\) (\S) (\d+)/.exec(stat) ?? [];
        return command === name && state !== 'Z' && Number(ppid) === parent ? [Number(pid)] : [];
      } catch {
        return [];
      }
    });
}

/** False for one that has ended, even if it has not been reaped. */
export function isRunning(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}
