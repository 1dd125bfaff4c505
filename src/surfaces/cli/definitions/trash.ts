import type { TrashEmptyFlags, TrashRestoreFlags } from '../commands/trash.ts';
import { defineCommand, switchFlag, textFlag } from '../define-command.ts';
import { defineGroup } from '../define-group.ts';

const ls = defineCommand({
  recovers: ['own'],
  onlyReads: true,
  brief: 'List the volumes in the trash',
  flags: {},
  args: [],
  load: async () => (await import('../commands/trash.ts')).runTrashLs,
});

const restore = defineCommand<TrashRestoreFlags>({
  recovers: ['own', 'host'],
  brief: 'Bring volumes back from the trash',
  description: 'Brings volumes back with their data, options and labels.',
  flags: { to: textFlag('Another name for it', 'NAME') },
  args: [{ placeholder: 'VOLUME', brief: 'Its name, or its id in the trash', kind: 'many' }],
  load: async () => (await import('../commands/trash.ts')).runTrashRestore,
});

const empty = defineCommand<TrashEmptyFlags>({
  recovers: ['own'],
  brief: 'Delete what is in the trash for good',
  description: 'Deletes what is named, or all that is in the trash, and asks before it does.',
  flags: { expired: switchFlag('Only what has been there for longer than its time') },
  args: [{ placeholder: 'VOLUME', brief: 'Name or id of what is to go; all unless given', kind: 'any' }],
  load: async () => (await import('../commands/trash.ts')).runTrashEmpty,
});

export const trashRoutes = {
  trash: defineGroup({
    routes: { ls, restore, empty },
    aliases: { list: 'ls' },
    docs: { brief: 'Volumes that were removed, and can come back' },
  }),
};
