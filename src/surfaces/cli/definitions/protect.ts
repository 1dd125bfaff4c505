import type { BackupFlags } from '../commands/backup.ts';
import type { CheckFlags } from '../commands/check.ts';
import type { DumpFlags, LsFlags } from '../commands/snapshot-files.ts';
import type { InitFlags } from '../commands/init.ts';
import type { RestoreFlags } from '../restore-words.ts';
import type { SnapshotsFlags } from '../commands/snapshots.ts';
import { chunkerFromFlags } from '../chunker-from.ts';
import { type ArgumentSpec, defineCommand, listFlag, switchFlag, textFlag } from '../define-command.ts';
import { readDataFlag } from '../read-data-flag.ts';

const snapshot: ArgumentSpec = {
  placeholder: 'SNAPSHOT',
  brief: 'Id or its unique start, or VOLUME@latest, VOLUME@yesterday, VOLUME@2026-01-31T12:00',
  completes: 'snapshot',
};

const dryRun = switchFlag('Show what would be done, and stop');

const init = defineCommand<InitFlags>({
  recovers: [],
  brief: 'Make the state folder, a key and a repository',
  description:
    'Makes a repository in the restic format, and a key for it unless a password is given. A place that already is a repository is taken over when the password opens it. The first becomes the default. --repo takes a directory, s3:https://HOST/BUCKET/PREFIX, sftp:USER@HOST:/PATH, rest:https://HOST/PATH/ or rclone:REMOTE:PATH; "holdfast repo add" takes several.',
  flags: {
    option: listFlag('Option of the store: see "holdfast repo add --help"', 'KEY=VALUE'),
    default: switchFlag('Commands that name no repository take this one'),
    ...chunkerFromFlags,
  },
  aliases: { o: 'option' },
  args: [],
  load: async () => (await import('../commands/init.ts')).runInit,
});

const backup = defineCommand<BackupFlags>({
  brief: 'Save volumes or directories as snapshots',
  description:
    'A directory is told from a volume by its "/" or ".". Only what changed since the last backup is stored. Containers that write are paused for a moment; the volumes of a stack are saved at the same moment, as one restore point.',
  usage: [
    'VOLUME...',
    './DIRECTORY...',
    '--all',
    '--stack NAME',
    '--container NAME',
    'VOLUME --consistency stop',
  ],
  flags: {
    all: switchFlag('All volumes, but those labelled holdfast.backup=false'),
    stack: listFlag('All volumes of a Compose project', 'NAME'),
    container: listFlag('All volumes and bind mounts of a container, at one moment', 'NAME'),
    tag: listFlag('Tag of the snapshots', 'TAG'),
    exclude: listFlag('Leave out what matches, as .gitignore patterns do', 'PATTERN'),
    consistency: textFlag(
      'How data in use is kept still: auto, freeze, two-pass, pause, stop or live; auto takes the best',
      'WAY',
    ),
    maxStill: textFlag(
      'How long they may be still for the reading: 5s, unlimited; the rest is read in use',
      'TIME',
    ),
    stillTries: textFlag('How often they are made still at most, when not all was read in time', 'NUMBER'),
    dump: switchFlag('Have databases dump their data too, with their own clients, beside their files'),
    preset: textFlag(
      'What kind of database uses it: postgresql, mariadb, mongodb, redis, sqlite; or auto, none',
      'NAME',
    ),
    takeOver: switchFlag('Go on with what another machine saved: this one takes its place'),
    dryRun,
  },
  aliases: { a: 'all', t: 'tag', e: 'exclude', n: 'dryRun' },
  args: [{ placeholder: 'VOLUME', brief: 'Volumes, or directories', kind: 'any', completes: 'target' }],
  load: async () => (await import('../commands/backup.ts')).runBackup,
});

const snapshots = defineCommand<SnapshotsFlags>({
  onlyReads: true,
  brief: 'List snapshots',
  flags: {
    tag: listFlag('Only snapshots with this tag', 'TAG'),
    stack: textFlag('Only volumes of this Compose project', 'NAME'),
  },
  aliases: { t: 'tag' },
  args: [
    {
      placeholder: 'VOLUME',
      brief: 'Only snapshots of this volume or directory',
      kind: 'optional',
      completes: 'target',
    },
  ],
  load: async () => (await import('../commands/snapshots.ts')).runSnapshots,
});

const ls = defineCommand<LsFlags>({
  onlyReads: true,
  brief: 'List what is in a snapshot',
  flags: {
    recursive: switchFlag('Everything below, not only what is in the folder'),
    dumps: switchFlag('What databases dumped beside their files'),
  },
  aliases: { r: 'recursive' },
  args: [snapshot, { placeholder: 'PATH', brief: 'Folder or file in the snapshot', kind: 'optional' }],
  load: async () => (await import('../commands/snapshot-files.ts')).runLs,
});

const diff = defineCommand({
  onlyReads: true,
  brief: 'Show what differs between two snapshots, or a snapshot and the live volume',
  flags: {},
  args: [
    snapshot,
    { ...snapshot, brief: 'The later snapshot; the live volume unless given', kind: 'optional' },
  ],
  load: async () => (await import('../commands/diff.ts')).runDiff,
});

const dump = defineCommand<DumpFlags>({
  onlyReads: true,
  brief: 'Write a file of a snapshot, or a folder as tar, to standard output',
  usage: [
    'SNAPSHOT PATH',
    'SNAPSHOT --dump postgresql.database.shop.sql',
    'SNAPSHOT --container-file /srv/shop/compose.yaml',
  ],
  flags: {
    dump: textFlag('A dump that a database made beside its files, instead of a path', 'NAME'),
    containerFile: textFlag('A file that its containers need besides, by its path on the machine', 'FILE'),
  },
  args: [
    snapshot,
    { placeholder: 'PATH', brief: 'File or folder in the snapshot; "/" is all of it', kind: 'optional' },
  ],
  load: async () => (await import('../commands/snapshot-files.ts')).runDump,
});

const restore = defineCommand<RestoreFlags>({
  onlyReads: true,
  brief: 'Bring a volume back as a snapshot has it',
  description:
    'The volume becomes exactly what the snapshot holds: nothing is merged. What would change is shown first, with the containers that use it: they are stopped for the moment of the change and started again. When anything fails, a container that does not come up included, everything is as it was. The data that is replaced is saved as a snapshot before, and kept beside for "holdfast undo". A volume that is gone is made again as it was recorded.',
  usage: [
    'VOLUME',
    'VOLUME@SNAPSHOT',
    'VOLUME@TIME --to NEW',
    'VOLUME --to ./DIRECTORY',
    'VOLUME --path FILE',
    '--stack NAME',
    '--stack NAME@TIME',
    'VOLUME --from-dump',
  ],
  flags: {
    stack: textFlag('All volumes of a stack together: NAME, NAME@TIME, NAME@SNAPSHOT', 'STACK'),
    to: textFlag('Another volume, or an absent or empty directory (with "/" or ".")', 'TARGET'),
    path: textFlag('Only this file or folder', 'PATH'),
    fromDump: switchFlag('Feed the dumps of the snapshot to the database that runs, and touch no file'),
    dump: listFlag('Only this dump; see "holdfast ls --dumps"', 'NAME'),
    dryRun,
    noSafetySnapshot: switchFlag('Do not save the data that is replaced'),
    keepFor: textFlag(
      'How long the data that is replaced is kept beside for an undo (default 7d)',
      'DURATION',
    ),
    noKeep: switchFlag('Do not keep it: the disk has its room again at once'),
    mapOwner: listFlag(
      'Other owners: 999:100999, or 0:100000:65536; u: or g: in front for one kind',
      'FROM:TO',
    ),
    takeOver: switchFlag('This machine takes the place of the one that saved it: go on with its snapshots'),
    asRecorded: switchFlag(
      'Make a volume that is gone with the devices, servers, secrets and hooks that its snapshot names',
    ),
    noFiles: switchFlag('With --stack: the volumes only, not the files that its containers need besides'),
    healthTimeout: textFlag('How long containers may take to be healthy again (default 2m)', 'DURATION'),
  },
  aliases: { n: 'dryRun' },
  args: [
    {
      placeholder: 'VOLUME[@SNAPSHOT]',
      brief: 'What to restore: VOLUME, VOLUME@latest, VOLUME@ID, VOLUME@yesterday, or a snapshot id',
      kind: 'optional',
      completes: 'target',
    },
  ],
  load: async () => (await import('../commands/restore.ts')).runRestore,
});

const check = defineCommand<CheckFlags>({
  onlyReads: true,
  brief: 'Prove that the repository is whole',
  description:
    'Checks packs, indexes, trees and snapshots. With --read-data every stored byte is read and verified too.',
  usage: ['', '--read-data', '--read-data=10'],
  flags: {
    readData: readDataFlag('Read and verify all stored data, or that many percent of it'),
  },
  args: [],
  load: async () => (await import('../commands/check.ts')).runCheck,
});

const recover = defineCommand({
  brief: 'Bring back the containers that an interrupted job has left stopped or paused',
  description:
    'What ran before a backup or restore that was killed runs again; what was stopped or paused before stays so. Every command that talks to the engine does this when it starts; this one waits longer, and says what it did.',
  flags: {},
  args: [],
  load: async () => (await import('../commands/recover.ts')).runRecover,
});

/** The commands that keep data safe. */
export const protectRoutes = { init, backup, snapshots, ls, diff, dump, restore, check, recover };
