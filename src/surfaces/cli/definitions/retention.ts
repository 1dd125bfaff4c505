import type { FindFlags } from '../commands/find.ts';
import type { ForgetFlags } from '../commands/forget.ts';
import type { PruneFlags } from '../commands/prune.ts';
import type { TagFlags } from '../commands/tag.ts';
import { type ArgumentSpec, defineCommand, listFlag, switchFlag, textFlag } from '../define-command.ts';

const snapshots: ArgumentSpec = {
  placeholder: 'SNAPSHOT',
  brief: 'Ids or their unique starts, or VOLUME@latest, VOLUME@yesterday',
  kind: 'many',
  completes: 'snapshot',
};

const dryRun = switchFlag('Show what would be done, and stop');

const pruneFlags = {
  maxUnused: textFlag('How much unused data may stay: 5% (unless given), 200m or unlimited', 'LIMIT'),
  maxRepackSize: textFlag('Read and write again this much at most', 'SIZE'),
};

const forget = defineCommand<ForgetFlags>({
  brief: 'Remove snapshots that no rule keeps',
  description:
    'The rules are those of restic, and apply to the snapshots of each volume by themselves; a snapshot stays when any rule keeps it. What stays and what goes is shown with the reasons before anything is removed. The newest whole snapshot of a volume (one whose backup had no problems) and the newest that "holdfast check --read-data" has verified stay whatever the rules say, and no volume loses all its snapshots without --allow-empty. Single snapshots are removed by naming them, without rules. The data is freed by "holdfast prune", or at once with --prune.',
  usage: ['--keep-daily 7 --keep-weekly 4', 'VOLUME... --keep-last 3 --prune', 'SNAPSHOT...'],
  flags: {
    keepLast: textFlag('Keep the newest so many', 'N'),
    keepHourly: textFlag('Keep the newest of each of so many hours', 'N'),
    keepDaily: textFlag('Keep the newest of each of so many days', 'N'),
    keepWeekly: textFlag('Keep the newest of each of so many weeks', 'N'),
    keepMonthly: textFlag('Keep the newest of each of so many months', 'N'),
    keepYearly: textFlag('Keep the newest of each of so many years', 'N'),
    keepWithin: textFlag('Keep all of this span before the newest: 1y6m2w3d12h; m is a month', 'SPAN'),
    keepWithinHourly: textFlag('Keep the newest of each hour in this span', 'SPAN'),
    keepWithinDaily: textFlag('Keep the newest of each day in this span', 'SPAN'),
    keepWithinWeekly: textFlag('Keep the newest of each week in this span', 'SPAN'),
    keepWithinMonthly: textFlag('Keep the newest of each month in this span', 'SPAN'),
    keepWithinYearly: textFlag('Keep the newest of each year in this span', 'SPAN'),
    keepTag: listFlag('Keep all with these tags (A,B: with both)', 'TAG'),
    keepVerified: textFlag(
      'Keep the newest so many whole and verified ones in any case; 1 unless given',
      'N',
    ),
    tag: listFlag('Only snapshots with these tags (A,B: with both)', 'TAG'),
    allowEmpty: switchFlag('A volume may lose all its snapshots'),
    allHosts: switchFlag('Also what other machines saved, each machine by itself'),
    prune: switchFlag('Then remove the data that no snapshot needs'),
    ...pruneFlags,
    dryRun,
  },
  aliases: {
    l: 'keepLast',
    H: 'keepHourly',
    d: 'keepDaily',
    w: 'keepWeekly',
    m: 'keepMonthly',
    t: 'tag',
    n: 'dryRun',
  },
  args: [
    {
      placeholder: 'VOLUME',
      brief: 'Volumes or directories; all unless given. Or single snapshots',
      kind: 'any',
      completes: 'target',
    },
  ],
  load: async () => (await import('../commands/forget.ts')).runForget,
});

const prune = defineCommand<PruneFlags>({
  brief: 'Remove the data that no snapshot needs',
  description:
    'Packs that nothing uses are removed, and packs of which a part is used are written anew without the rest, until what stays unused is little enough. Nothing else can work in the repository meanwhile. It may be stopped or killed at any moment.',
  usage: ['', '--max-unused unlimited', '--max-repack-size 10g'],
  flags: { ...pruneFlags, dryRun },
  aliases: { n: 'dryRun' },
  args: [],
  load: async () => (await import('../commands/prune.ts')).runPrune,
});

const tag = defineCommand<TagFlags>({
  brief: 'Change the tags of snapshots',
  description: 'A snapshot gets a new id with its new tags. Several tags can be given as A,B.',
  usage: ['--add TAG SNAPSHOT...', '--remove TAG SNAPSHOT...', '--set TAG SNAPSHOT...'],
  flags: {
    add: listFlag('Add this tag', 'TAG'),
    remove: listFlag('Take this tag away', 'TAG'),
    set: listFlag('Replace all tags by this; "" for none', 'TAG'),
  },
  args: [snapshots],
  load: async () => (await import('../commands/tag.ts')).runTag,
});

const stats = defineCommand({
  onlyReads: true,
  brief: 'Show how much is stored, and for which volumes',
  description:
    'For each volume: what its newest and all its snapshots restore, what of the stored data they need, and what no other volume needs and so would be freed without it.',
  flags: {},
  args: [
    { placeholder: 'VOLUME', brief: 'Only this volume or directory', kind: 'optional', completes: 'target' },
  ],
  load: async () => (await import('../commands/stats.ts')).runStats,
});

const find = defineCommand<FindFlags>({
  onlyReads: true,
  brief: 'Find files and folders in snapshots',
  description:
    'Patterns are those of .gitignore: "*.sql" and "config" match at any depth, "/config/app.yml" from the root of the volume, "**" spans folders, "logs/" is a folder only. The newest snapshots come first.',
  usage: ["'*.sql'", '--volume VOLUME /config/app.yml', '--blob ID'],
  flags: {
    volume: textFlag('Only in snapshots of this volume or directory', 'VOLUME'),
    tag: listFlag('Only in snapshots with this tag', 'TAG'),
    ignoreCase: switchFlag('Capital letters are as good as small ones'),
    blob: listFlag('Files that have this blob, or folders that have this tree', 'ID'),
  },
  aliases: { i: 'ignoreCase', t: 'tag' },
  args: [{ placeholder: 'PATTERN', brief: 'Names or paths', kind: 'any' }],
  load: async () => (await import('../commands/find.ts')).runFind,
});

/** The commands for what a repository keeps and holds. */
export const retentionRoutes = { forget, prune, tag, stats, find };
