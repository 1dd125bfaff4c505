import { statfsSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, release, totalmem } from 'node:os';
import { filesystemType } from '../src/lib/filesystem-type.ts';
import { formatSize } from '../src/model/size.ts';

export interface Machine {
  readonly processor: string;
  readonly processors: number;
  readonly memoryBytes: number;
  readonly kernel: string;
  readonly node: string;
  /** The file system of the run's folder. */
  readonly fileSystem: string;
  /** Average number of running processes in the last minute. */
  readonly load: number;
}

/** Figures mean nothing without their machine. */
export function describeMachine(folder: string): Machine {
  const { type } = statfsSync(folder);
  return {
    processor: cpus()[0]?.model.trim() ?? 'unknown',
    processors: availableParallelism(),
    memoryBytes: totalmem(),
    kernel: release(),
    node: process.version,
    fileSystem: nameOf(type),
    load: loadavg()[0] ?? 0,
  };
}

export function formatMachine({
  processor,
  processors,
  memoryBytes,
  fileSystem,
  kernel,
  node,
}: Machine): string {
  return `${processors} × ${processor}, ${formatSize(memoryBytes)} of memory, ${fileSystem}, Linux ${kernel}, Node.js ${node}`;
}

function nameOf(type: number): string {
  const found = Object.entries(filesystemType).find(([, one]) => one === type);
  return found?.[0] ?? `0x${type.toString(16)}`;
}
