import type { BenchFlags } from '../commands/bench.ts';
import { defineCommand, listFlag, switchFlag, textFlag } from '../define-command.ts';

const bench = defineCommand<BenchFlags>({
  brief: 'Measure how fast a volume is, for what applications do with it',
  description:
    'Says how often a database can commit, how fast data is written and read in a row and at random, and what many small files cost; beside the volume’s own past, or beside a second volume. Measures with fio, or by a simple test of its own where fio is not installed. It writes a file without a name that is gone when it ends, and wants three times its size as free room.',
  usage: ['VOLUME', '--quick VOLUME', '--profile database VOLUME OTHER'],
  flags: {
    quick: switchFlag('In 15 seconds instead of a minute and a half; less exact'),
    profile: listFlag('Only these: database, stream, random, files', 'NAME'),
    size: textFlag('Size of the file; 1GiB unless given, 256MiB with --quick', 'SIZE'),
  },
  args: [
    { placeholder: 'VOLUME', brief: 'One volume, or two side by side', kind: 'many', completes: 'volume' },
  ],
  load: async () => (await import('../commands/bench.ts')).runBench,
});

export const benchRoutes = { bench };
