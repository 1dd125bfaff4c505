import type { CopyFlags } from '../commands/copy.ts';
import type { RepairIndexFlags } from '../commands/repair-index.ts';
import type { RepairPacksFlags } from '../commands/repair-packs.ts';
import type { RepairSnapshotsFlags } from '../commands/repair-snapshots.ts';
import type { UnlockFlags } from '../commands/unlock.ts';
import { defineCommand, switchFlag, textFlag } from '../define-command.ts';
import { defineGroup } from '../define-group.ts';
import type { NewKeyFlags } from '../new-key-flags.ts';

const dryRun = switchFlag('Show what would be done, and stop');

const newKeyFlags = {
  newPasswordFile: textFlag('File that holds the new password', 'FILE'),
  newPasswordCommand: textFlag('Command that prints the new password', 'COMMAND'),
  newKeyFile: textFlag('Make a random key in this file, which must not exist', 'FILE'),
};

const keyList = defineCommand({
  recovers: [],
  onlyReads: true,
  brief: 'List the keys of the repository, and which one is in use',
  flags: {},
  args: [],
  load: async () => (await import('../commands/key.ts')).runKeyList,
});

const keyAdd = defineCommand<NewKeyFlags>({
  recovers: [],
  brief: 'Add a key; those that are there stay',
  description:
    'Makes a random key in the "keys" folder of the state folder, unless a password or another file is given. The new key is stored, read back and opened before the command says that it is there.',
  usage: ['', '--new-password-file FILE', '--new-key-file FILE'],
  flags: newKeyFlags,
  args: [],
  load: async () => (await import('../commands/key.ts')).runKeyAdd,
});

const keyChange = defineCommand<NewKeyFlags>({
  recovers: [],
  brief: 'Put a new key in the place of the one in use',
  description:
    'The new key is durable and proven to open before the old one is removed. The old password still reads a copy of the repository from before.',
  usage: ['', '--new-password-file FILE', '--new-key-file FILE'],
  flags: newKeyFlags,
  args: [],
  load: async () => (await import('../commands/key.ts')).runKeyChange,
});

const keyRemove = defineCommand({
  recovers: [],
  brief: 'Remove a key',
  description:
    'Never the last key, nor the one in use: open the repository with another (--password-file), or replace it with "holdfast key change".',
  flags: {},
  args: [{ placeholder: 'ID', brief: 'Id of the key or its unique start, as "holdfast key list" shows it' }],
  load: async () => (await import('../commands/key.ts')).runKeyRemove,
});

const key = defineGroup({
  routes: { list: keyList, add: keyAdd, change: keyChange, remove: keyRemove },
  aliases: { ls: 'list', rm: 'remove' },
  docs: { brief: 'List, add, change and remove the keys of a repository' },
});

const unlock = defineCommand<UnlockFlags>({
  recovers: [],
  brief: 'Remove locks that are no longer held',
  description:
    'A lock is stale when its process on this machine has ended, or when it was not renewed for 30 minutes. With --remove-all the others go too: only when you are sure that nothing works in the repository, on any machine.',
  flags: { removeAll: switchFlag('Remove locks that may still be held, too'), dryRun },
  aliases: { n: 'dryRun' },
  args: [],
  load: async () => (await import('../commands/unlock.ts')).runUnlock,
});

const repairIndex = defineCommand<RepairIndexFlags>({
  brief: 'Make the index anew from the packs themselves',
  description:
    'Reads the headers of packs that no index names, or names wrongly; forgets packs that are gone; and keeps what is right. The new index is durable before anything of the old one is removed.',
  flags: {
    readAllPacks: switchFlag('Read the headers of all packs, whatever the index says'),
    dryRun,
  },
  aliases: { n: 'dryRun' },
  args: [],
  load: async () => (await import('../commands/repair-index.ts')).runRepairIndex,
});

const repairPacks = defineCommand<RepairPacksFlags>({
  brief: 'Save what is whole in damaged packs, and take them out',
  description:
    'What can still be read and verified is copied into new packs; what is lost is named. The damaged packs are removed when all that is durable. With --all-damaged every stored byte is read to find them.',
  usage: ['PACK...', '--all-damaged'],
  flags: { allDamaged: switchFlag('Find the damaged packs, and take all of them'), dryRun },
  aliases: { n: 'dryRun' },
  args: [{ placeholder: 'PACK', brief: 'Id of a pack or its unique start', kind: 'any' }],
  load: async () => (await import('../commands/repair-packs.ts')).runRepairPacks,
});

const repairSnapshots = defineCommand<RepairSnapshotsFlags>({
  brief: 'Make new snapshots in the place of damaged ones, without what is lost',
  description:
    'Files whose content is lost are left out and named; a directory that lost the list of what was in it becomes empty. The new snapshots have the tag "repaired". Repair the index and the packs first.',
  flags: {
    forget: switchFlag('Remove the damaged snapshots, and records that cannot be read'),
    dryRun,
  },
  aliases: { n: 'dryRun' },
  args: [
    {
      placeholder: 'SNAPSHOT',
      brief: 'Snapshots, or volumes for all of theirs; all there are unless given',
      kind: 'any',
      completes: 'snapshot',
    },
  ],
  load: async () => (await import('../commands/repair-snapshots.ts')).runRepairSnapshots,
});

const repair = defineGroup({
  routes: { index: repairIndex, packs: repairPacks, snapshots: repairSnapshots },
  docs: { brief: 'Put a damaged repository right: index, packs, snapshots' },
});

const copy = defineCommand<CopyFlags>({
  brief: 'Copy snapshots into another repository',
  description:
    'Every blob is verified on the way. Data and snapshots that the other repository has are not copied again, so it can be repeated, also after it was ended. The other repository may have another key and another kind of store. For one that shares data with what is backed up into it directly, make it with "holdfast init --chunker-from".',
  usage: ['--to-repo URL', '--to-repo URL VOLUME...', '--to-repo URL SNAPSHOT...'],
  flags: {
    toRepo: textFlag('The repository to copy to: a name or a location', 'URL'),
    toPasswordFile: textFlag('File that holds its password, when it is not known by name', 'FILE'),
    toPasswordCommand: textFlag('Command that prints its password', 'COMMAND'),
    dryRun,
  },
  aliases: { n: 'dryRun' },
  args: [
    {
      placeholder: 'SNAPSHOT',
      brief: 'Snapshots, or volumes for all of theirs; all there are unless given',
      kind: 'any',
      completes: 'snapshot',
    },
  ],
  load: async () => (await import('../commands/copy.ts')).runCopy,
});

/** The commands that maintain a repository. */
export const upkeepRoutes = { key, unlock, repair, copy };
