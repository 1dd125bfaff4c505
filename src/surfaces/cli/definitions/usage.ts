import type { DfFlags } from '../commands/df.ts';
import { defineCommand, switchFlag, textFlag } from '../define-command.ts';

const df = defineCommand<DfFlags>({
  onlyReads: true,
  brief: 'Show how large volumes are, how they grow, and when the disk is full',
  description:
    'For each volume: its size, files, share of the disk, growth a day, the day when its disk is full, the newest snapshot and the newest drill. While a daemon runs, it keeps the sizes by what changes, and nothing is read for the answer. Without one, the last known size is shown with its age; --refresh measures. Sizes are the lengths of files without folders, hard links once, as "du --apparent-size" adds them up.',
  flags: {
    refresh: switchFlag('Measure now; volumes on servers only when they are named'),
    sort: textFlag('size, name, files, growth or full; size unless given', 'KEY'),
  },
  aliases: { r: 'refresh' },
  args: [{ placeholder: 'VOLUME', brief: 'Name of the volume', kind: 'any', completes: 'volume' }],
  load: async () => (await import('../commands/df.ts')).runDf,
});

export const usageRoutes = { df };
