import { statfsSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, release, totalmem } from 'node:os';
import { formatSize } from '../model/size.ts';

export interface Machine {
  readonly processor: string;
  readonly processors: number;
  readonly memoryBytes: number;
  readonly kernel: string;
  readonly node: string;
  /** Of the folder in which everything lies. */
  readonly fileSystem: string;
  /** Average number of running processes in the minute before. */
  readonly load: number;
}

const fileSystems: Readonly<Record<number, string>> = {
  0xef53: 'ext4',
  0x9123683e: 'btrfs',
  0x58465342: 'xfs',
  0x01021994: 'tmpfs',
  0x794c7630: 'overlayfs',
  0x2fc12fc1: 'zfs',
};

/** Numbers without the machine that gave them say nothing. */
export function describeMachine(folder: string): Machine {
  const { type } = statfsSync(folder);
  return {
    processor: cpus()[0]?.model.trim() ?? 'unknown',
    processors: availableParallelism(),
    memoryBytes: totalmem(),
    kernel: release(),
    node: process.version,
    fileSystem: fileSystems[type] ?? `0x${type.toString(16)}`,
    load: loadavg()[0] ?? 0,
  };
}

/** One line for people. */
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
