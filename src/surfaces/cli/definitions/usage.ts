import type { DfFlags } from '../commands/df.ts';
import type { TopFlags } from '../commands/top.ts';
import { defineCommand, switchFlag, textFlag } from '../define-command.ts';

const df = defineCommand<DfFlags>({
  onlyReads: true,
  brief: 'Show how large volumes are, how they grow, and when the disk is full',
  description:
    'For each volume: its size, files, share of the disk, growth a day, the day when its disk is full, the newest snapshot and the newest drill. While a daemon runs, it keeps the sizes by what changes, and nothing is read for the answer. Without one, the last known size is shown with its age; --refresh measures. Sizes are the lengths of files without folders, hard links once, as "du --apparent-size" adds them up.',
  usage: ['', 'VOLUME', '--refresh', '--sort growth'],
  flags: {
    refresh: switchFlag('Measure now; volumes on servers only when they are named'),
    sort: textFlag('size, name, files, growth or full; size unless given', 'KEY'),
  },
  aliases: { r: 'refresh' },
  args: [{ placeholder: 'VOLUME', brief: 'Name of the volume', kind: 'any', completes: 'volume' }],
  load: async () => (await import('../commands/df.ts')).runDf,
});

const top = defineCommand<TopFlags>({
  onlyReads: true,
  brief: 'Show what volumes and containers read and write now',
  description:
    'Reads, writes, latency and pressure by volume and container, from control groups, processes, disks and NFS mounts. A volume on a device or a server of its own is counted exactly. On a disk that it shares, it is marked with "~": the I/O of its containers there, in equal parts among their volumes, files of the containers themselves included. Goes on until Ctrl-C; with --format json one object a line.',
  usage: ['', '--once', '--interval 5s --format json'],
  flags: {
    once: switchFlag('Show one interval, and end'),
    interval: textFlag('How long each look lasts; 2s unless given', 'DURATION'),
  },
  args: [],
  stays: true,
  load: async () => (await import('../commands/top.ts')).runTop,
});

export const usageRoutes = { df, top };
