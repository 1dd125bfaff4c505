import { buildRouteMap } from '@stricli/core';
import type { UnlockFlags } from '../commands/unlock.ts';
import type { CliContext } from '../context.ts';
import { defineCommand, switchFlag, textFlag } from '../define-command.ts';
import type { NewKeyFlags } from '../new-key-flags.ts';

const dryRun = switchFlag('Show what would be done, and stop');

const newKeyFlags = {
  newPasswordFile: textFlag('File that holds the new password', 'FILE'),
  newPasswordCommand: textFlag('Command that prints the new password', 'COMMAND'),
  newKeyFile: textFlag('Make a random key in this file, which must not exist', 'FILE'),
};

const keyList = defineCommand({
  brief: 'List the keys of the repository, and which one is in use',
  flags: {},
  args: [],
  load: async () => (await import('../commands/key-list.ts')).runKeyList,
});

const keyAdd = defineCommand<NewKeyFlags>({
  brief: 'Add a key; those that are there stay',
  description:
    'Makes a random key in the "keys" folder of the state folder, unless a password or another file is given. The new key is stored, read back and opened before the command says that it is there.',
  usage: ['', '--new-password-file FILE', '--new-key-file FILE'],
  flags: newKeyFlags,
  args: [],
  load: async () => (await import('../commands/key-add.ts')).runKeyAdd,
});

const keyChange = defineCommand<NewKeyFlags>({
  brief: 'Put a new key in the place of the one in use',
  description:
    'The new key is durable and proven to open before the old one is removed. Whoever has the old password and a copy of the repository from before can still read that copy.',
  usage: ['', '--new-password-file FILE', '--new-key-file FILE'],
  flags: newKeyFlags,
  args: [],
  load: async () => (await import('../commands/key-change.ts')).runKeyChange,
});

const keyRemove = defineCommand({
  brief: 'Remove a key',
  description:
    'Never the last key, nor the one in use: open the repository with another (--password-file), or replace it with "holdfast key change".',
  flags: {},
  args: [{ placeholder: 'ID', brief: 'Id of the key or its unique start, as "holdfast key list" shows it' }],
  load: async () => (await import('../commands/key-remove.ts')).runKeyRemove,
});

const key = buildRouteMap<string, CliContext>({
  routes: { list: keyList, add: keyAdd, change: keyChange, remove: keyRemove },
  aliases: { ls: 'list', rm: 'remove' },
  docs: { brief: 'List, add, change and remove the keys of a repository' },
});

const unlock = defineCommand<UnlockFlags>({
  brief: 'Remove locks that nobody holds any more',
  description:
    'A lock is stale when its process on this machine has ended, or when it was not renewed for 30 minutes. With --remove-all the others go too: only when you are sure that nobody works in the repository, on any machine.',
  flags: { removeAll: switchFlag('Remove the locks that somebody may hold too'), dryRun },
  aliases: { n: 'dryRun' },
  args: [],
  load: async () => (await import('../commands/unlock.ts')).runUnlock,
});

/** The commands that keep a repository itself in order. */
export const upkeepRoutes = { key, unlock };
