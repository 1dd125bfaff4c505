import { buildRouteMap } from '@stricli/core';
import type { LogFlags } from '../commands/log.ts';
import type { CliContext } from '../context.ts';
import { defineCommand, listFlag, switchFlag, textFlag } from '../define-command.ts';

const log = defineCommand<LogFlags>({
  brief: 'Show what was done, or prove that nobody changed the record of it',
  description:
    'Backups, restores, and everything that removes or changes something: snapshots, data, volumes, keys, repositories. Each entry is chained to the one before it by a keyed hash, and the catalog knows where the log ends: --verify notices what was changed, removed, forged or cut off.',
  usage: ['', '--volume VOLUME --since yesterday', '--kind forget,prune', '--verify'],
  flags: {
    volume: textFlag('Only of this volume or directory', 'VOLUME'),
    since: textFlag('Only from then on: yesterday, 3h, 2026-01-31', 'TIME'),
    kind: listFlag('Only of this kind: backup, restore, forget, prune, key-remove …', 'KIND'),
    last: textFlag('Only the last so many', 'N'),
    verify: switchFlag('Prove that it is whole'),
  },
  aliases: { l: 'last' },
  args: [],
  load: async () => (await import('../commands/log.ts')).runLog,
});

const notify = buildRouteMap<string, CliContext>({
  routes: {
    test: defineCommand({
      brief: 'Send a test notification over one channel, or over all of them',
      description:
        'The channels are those in holdfast.yaml, under "notify". A test is sent at once, whatever a channel is told of otherwise.',
      flags: {},
      args: [{ placeholder: 'NAME', brief: 'Name of a channel; all of them unless given', kind: 'optional' }],
      load: async () => (await import('../commands/notify-test.ts')).runNotifyTest,
    }),
  },
  docs: { brief: 'Try the notifications that are configured' },
});

/** The commands about what is told of the work. */
export const wordRoutes = { log, notify };
