import type { UndoFlags } from '../commands/undo.ts';
import { defineCommand, switchFlag, textFlag } from '../define-command.ts';

const undo = defineCommand<UndoFlags>({
  brief: 'Bring back what was there before a restore',
  description:
    'A restore keeps the data that it replaces beside, for a week unless told otherwise. An undo swaps it in again, in the same way: containers are stopped and started, and when one does not come up, everything is as it was. What was restored together is undone together. An undo can be undone: the restored data is kept in turn.',
  usage: ['', 'VOLUME', '--list', 'VOLUME --drop'],
  flags: {
    list: switchFlag('Show what is kept'),
    drop: switchFlag('Delete what is kept: the disk has its room again'),
    dryRun: switchFlag('Show what would be done, and stop'),
    healthTimeout: textFlag('How long containers may take to be healthy again (default 2m)', 'DURATION'),
  },
  aliases: { n: 'dryRun' },
  args: [
    {
      placeholder: 'VOLUME',
      brief: 'A volume or directory; what was restored last unless given',
      kind: 'optional',
      completes: 'target',
    },
  ],
  load: async () => (await import('../commands/undo.ts')).runUndo,
});

export const undoRoutes = { undo };
