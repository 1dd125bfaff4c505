import { readFileSync } from 'node:fs';

/** When a process began, in the kernel's ticks since the machine's start: another process may get its number later. Undefined when there is none. */
export function processStart(pid: number): string | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return text.slice(text.lastIndexOf(')') + 2).split(' ')[19];
  } catch {
    return undefined;
  }
}
