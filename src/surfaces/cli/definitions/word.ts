import type { ImportArchivesFlags } from '../commands/import-archives.ts';
import type { LogFlags } from '../commands/log.ts';
import { defineCommand, listFlag, switchFlag, textFlag } from '../define-command.ts';
import { defineGroup } from '../define-group.ts';

const log = defineCommand<LogFlags>({
  recovers: [],
  onlyReads: true,
  brief: 'Show what was done, or prove that the record of it is unchanged',
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

const notify = defineGroup({
  routes: {
    test: defineCommand({
      recovers: [],
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

const importArchives = defineCommand<ImportArchivesFlags>({
  brief: 'Turn archives that scripts made into snapshots with their dates',
  description:
    'Names like postgres_data-20250115-143000.tar.gz say which volume it is and when it was; archives like backup-2026-01-31T12-00-00.tar.gz, with a folder for each volume below /backup, become a snapshot of each. They are imported oldest first, so that each stores only what changed. What was imported before is known by its content, and left alone. tar, tar.gz and tar.zst are read by themselves, tar.xz and tar.bz2 with the programs xz and bzip2.',
  usage: ['/backups/*.tar.gz', '/backups --dry-run', "--name-pattern '{volume}_%Y-%m-%d' /backups"],
  flags: {
    volume: textFlag('All of them are of this volume, whatever their names say', 'NAME'),
    rename: listFlag('What is called FROM in the archives is the volume TO', 'FROM=TO'),
    namePattern: textFlag('How their names are written, with {volume} and the signs of date(1)', 'PATTERN'),
    timeZone: textFlag('Of the times in their names; that of this machine unless given', 'ZONE'),
    tag: listFlag('Tag of the snapshots', 'TAG'),
    dryRun: switchFlag('Show what would be imported, and stop'),
  },
  aliases: { t: 'tag', n: 'dryRun' },
  args: [
    { placeholder: 'PATH', brief: 'Archives, or folders with archives', kind: 'many', completes: 'path' },
  ],
  load: async () => (await import('../commands/import-archives.ts')).runImportArchives,
});

/** The commands for logs and notifications, and for other programs' archives. */
export const wordRoutes = { log, notify, importArchives };
