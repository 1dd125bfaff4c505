import { readdirSync, readFileSync } from 'node:fs';

const longestPauseMs = 50;

/** Measures a process and its children. */
export interface MemoryPeak extends Disposable {
  /** The largest resident memory of one of the processes, as measured so far. */
  readonly bytes: number;
}

/**
 * The kernel keeps the peak of each process itself (VmHWM), so nothing between two samples is missed but what
 * a process gains in its last moment: a quarter of its life, 50 ms at most. The peak that `wait4` reports
 * would be wrong for small programs: it counts the memory of the process that forked them.
 */
export function watchMemoryPeak(pid: number): MemoryPeak {
  let bytes = 0;
  const start = performance.now();
  let timer: NodeJS.Timeout | undefined;
  const look = (): void => {
    for (const each of processTree(pid)) bytes = Math.max(bytes, peakOf(each));
    timer = setTimeout(look, Math.min(longestPauseMs, 2 + (performance.now() - start) / 4));
  };
  look();
  return {
    get bytes() {
      return bytes;
    },
    [Symbol.dispose]: () => clearTimeout(timer),
  };
}

/** A process and its descendants, including those started by its threads. */
function processTree(pid: number): number[] {
  const found = [pid];
  for (const each of found) {
    for (const thread of listThreads(each)) {
      const children = readProc(`${each}/task/${thread}/children`).trim();
      if (children !== '') found.push(...children.split(' ').map(Number));
    }
  }
  return found;
}

function listThreads(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch {
    return []; // It has ended.
  }
}

function peakOf(pid: number): number {
  const kilobytes = /^VmHWM:\s+(\d+) kB$/m.exec(readProc(`${pid}/status`))?.[1];
  return Number(kilobytes ?? 0) * 1024;
}

function readProc(path: string): string {
  try {
    return readFileSync(`/proc/${path}`, 'latin1');
  } catch {
    return ''; // The process has ended.
  }
}
