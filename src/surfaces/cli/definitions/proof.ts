import type { DrillFlags } from '../commands/drill.ts';
import type { VerifyFlags } from '../commands/verify.ts';
import { defineCommand, switchFlag, textFlag } from '../define-command.ts';
import { readDataFlag } from '../read-data-flag.ts';

const verify = defineCommand<VerifyFlags>({
  onlyReads: true,
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

const drill = defineCommand<DrillFlags>({
  brief: 'Prove a backup: restore it beside, start its image on it, and ask for the data',
  description:
    "A volume's snapshot, or those of a stack's restore point, are restored to volumes of their own. The recorded image is started on them in a network of its own that nothing leaves and nothing enters, without ports, and the database is asked: it has to recover, and to read every row. The time to recover is measured. Everything that the drill made is removed in the end; what a killed one leaves, by the next command.",
  usage: ['VOLUME', 'STACK', 'VOLUME --snapshot yesterday', 'VOLUME --command "psql -U app -c \'SELECT 1\'"'],
  flags: {
    snapshot: textFlag('Id, its unique start, or a time; the newest unless given', 'SNAPSHOT'),
    command: textFlag(
      'Run this in the container too; it has to end with 0. Split at blanks, no shell',
      'COMMAND',
    ),
    keep: switchFlag('Leave what was restored and started, for a look at it'),
    timeout: textFlag('How long a server may take to answer (default 2m)', 'DURATION'),
  },
  aliases: { c: 'command' },
  args: [{ placeholder: 'VOLUME|STACK', brief: 'What to drill', completes: 'target' }],
  load: async () => (await import('../commands/drill.ts')).runDrill,
});

/** The commands that prove backups. */
export const proofRoutes = { verify, drill };
