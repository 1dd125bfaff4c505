import type { VerifyFlags } from '../commands/verify.ts';
import { defineCommand, switchFlag, textFlag } from '../define-command.ts';
import { readDataFlag } from '../read-data-flag.ts';

const verify = defineCommand<VerifyFlags>({
  brief: 'Prove that snapshots are whole, the newest first',
  description:
    'Of each volume the newest snapshot, or the newest --last of them: their trees, and that all data which they need is there. With --read-data every byte of that data is read and verified too; what is found whole then is remembered, and "holdfast forget" never removes the newest such snapshot. "holdfast check" looks at the repository as a whole.',
  usage: ['VOLUME...', 'VOLUME@SNAPSHOT', '--all', '--all --read-data', '--all --last 3 --read-data=10'],
  flags: {
    all: switchFlag('Of every volume and directory that has snapshots'),
    last: textFlag('So many of each volume (default 1)', 'N'),
    readData: readDataFlag('Read and verify the data that they need too, or that many percent of it'),
  },
  aliases: { a: 'all', l: 'last' },
  args: [
    {
      placeholder: 'VOLUME[@SNAPSHOT]',
      brief: 'Volumes, directories or single snapshots',
      kind: 'any',
      completes: 'target',
    },
  ],
  load: async () => (await import('../commands/verify.ts')).runVerify,
});

/** The commands that prove what backups are worth. */
export const proofRoutes = { verify };
