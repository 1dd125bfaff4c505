import type { VolumeCloneFlags, VolumeCreateFlags } from '../commands/volume-create.ts';
import type { VolumeCpFlags } from '../commands/volume-cp.ts';
import type { VolumeExportFlags } from '../commands/volume-export.ts';
import type { VolumeImportFlags } from '../commands/volume-import.ts';
import type { VolumeLsFlags } from '../commands/volume-ls.ts';
import type { VolumePruneFlags } from '../commands/volume-prune.ts';
import type { VolumeRmFlags } from '../commands/volume-rm.ts';
import { type ArgumentSpec, defineCommand, listFlag, switchFlag, textFlag } from '../define-command.ts';
import { defineGroup } from '../define-group.ts';
import { volumeChangeRoutes } from './volume-change.ts';

const volume: ArgumentSpec = { placeholder: 'VOLUME', brief: 'Name of the volume', completes: 'volume' };

const filterFlag = listFlag(
  'Only volumes that match, as docker does: dangling=true, driver=, label=, name=, stack=',
  'KEY=VALUE',
);

const create = defineCommand<VolumeCreateFlags>({
  brief: 'Make a volume, and print its name',
  description:
    'Makes a volume, as docker does: without a name it becomes an anonymous one. A name that is taken is fine when driver, options and labels agree; otherwise the message says how they differ.',
  flags: {
    driver: textFlag('Driver of the volume', 'DRIVER'),
    opt: listFlag('Option of the driver', 'KEY=VALUE'),
    label: listFlag('Label of the volume', 'KEY=VALUE'),
  },
  aliases: { d: 'driver', o: 'opt' },
  args: [{ ...volume, kind: 'optional' }],
  load: async () => (await import('../commands/volume-create.ts')).runVolumeCreate,
});

const ls = defineCommand<VolumeLsFlags>({
  onlyReads: true,
  brief: 'List volumes',
  flags: { filter: filterFlag, size: switchFlag('Measure how much each volume holds') },
  aliases: { f: 'filter', s: 'size' },
  args: [],
  load: async () => (await import('../commands/volume-ls.ts')).runVolumeLs,
});

const inspect = defineCommand({
  onlyReads: true,
  brief: 'Show everything about volumes, as JSON',
  flags: {},
  args: [{ ...volume, kind: 'many' }],
  load: async () => (await import('../commands/volume-inspect.ts')).runVolumeInspect,
});

const rm = defineCommand<VolumeRmFlags>({
  brief: 'Remove volumes and their data',
  description:
    'Removes volumes with all their data: those that Holdfast keeps itself go to the trash for a week ("holdfast trash"), those of an engine go for good. A volume that a container mounts, running or stopped, is refused and the container named.',
  flags: {
    force: switchFlag('A volume that does not exist is no error'),
    loseUnsaved: switchFlag('Files that have not reached the storage of a volume are lost'),
    permanent: switchFlag('Delete for good, and not into the trash'),
  },
  aliases: { f: 'force' },
  args: [{ ...volume, kind: 'many' }],
  load: async () => (await import('../commands/volume-rm.ts')).runVolumeRm,
});

const prune = defineCommand<VolumePruneFlags>({
  brief: 'Remove volumes that no container mounts',
  description:
    'Shows which volumes would go and why, then asks. Anonymous volumes only, unless --all is given.',
  flags: {
    all: switchFlag('Named volumes too, not only anonymous ones'),
    filter: listFlag('Only volumes that match: label=, label!=', 'KEY=VALUE'),
    dryRun: switchFlag('Show what would be removed, and stop'),
  },
  aliases: { a: 'all', f: 'filter', n: 'dryRun' },
  args: [],
  load: async () => (await import('../commands/volume-prune.ts')).runVolumePrune,
});

const clone = defineCommand<VolumeCloneFlags>({
  brief: 'Copy a volume into a new one',
  flags: {
    driver: textFlag("Driver of the new volume; the source's own unless given", 'DRIVER'),
    opt: listFlag('Option of the new volume', 'KEY=VALUE'),
    label: listFlag('Label of the new volume', 'KEY=VALUE'),
  },
  aliases: { d: 'driver', o: 'opt' },
  args: [volume, { placeholder: 'NEW', brief: 'Name of the new volume' }],
  load: async () => (await import('../commands/volume-create.ts')).runVolumeClone,
});

const cp = defineCommand<VolumeCpFlags>({
  brief: 'Copy files into or out of a volume',
  description:
    'Copies as "docker cp" does. "-" as the source reads a tar stream from standard input, "-" as the target writes one to standard output.',
  usage: ['VOLUME:PATH PATH|-', 'PATH|- VOLUME:PATH'],
  flags: { followLink: switchFlag('Copy what a symbolic link at the source points to') },
  aliases: { L: 'followLink' },
  args: [
    { placeholder: 'SOURCE', brief: 'VOLUME:PATH, a path here, or -', completes: 'target' },
    { placeholder: 'TARGET', brief: 'VOLUME:PATH, a path here, or -', completes: 'target' },
  ],
  load: async () => (await import('../commands/volume-cp.ts')).runVolumeCp,
});

const du = defineCommand({
  onlyReads: true,
  brief: 'Measure how much volumes hold',
  flags: {},
  args: [{ ...volume, kind: 'any' }],
  load: async () => (await import('../commands/volume-du.ts')).runVolumeDu,
});

const browse = defineCommand({
  onlyReads: true,
  brief: 'List a folder in a volume',
  usage: ['VOLUME [PATH]', 'VOLUME:PATH'],
  flags: {},
  args: [volume, { placeholder: 'PATH', brief: 'Folder or file inside the volume', kind: 'optional' }],
  load: async () => (await import('../commands/volume-files.ts')).runVolumeBrowse,
});

const cat = defineCommand({
  onlyReads: true,
  brief: 'Print a file in a volume',
  flags: {},
  usage: ['VOLUME PATH', 'VOLUME:PATH'],
  args: [volume, { placeholder: 'PATH', brief: 'File inside the volume', kind: 'optional' }],
  load: async () => (await import('../commands/volume-files.ts')).runVolumeCat,
});

const exportVolume = defineCommand<VolumeExportFlags>({
  onlyReads: true,
  brief: 'Write a volume as a tar archive',
  description:
    'Writes all files with their owners, times, extended attributes, hard links and holes. The form follows the name of the file (.tar, .tar.gz, .tar.zst), or --compress.',
  flags: {
    output: textFlag('File to write; standard output unless given', 'FILE'),
    compress: textFlag('none, gzip or zstd', 'KIND'),
    overwrite: switchFlag('Replace a file that is there'),
  },
  aliases: { o: 'output' },
  args: [volume],
  load: async () => (await import('../commands/volume-export.ts')).runVolumeExport,
});

const importVolume = defineCommand<VolumeImportFlags>({
  brief: 'Fill a new volume from a tar archive',
  description:
    'Makes the volume and unpacks the archive (plain, gzip or zstd) into it. A volume that exists must be empty, unless --merge is given.',
  flags: {
    input: textFlag('File to read; standard input unless given', 'FILE'),
    driver: textFlag('Driver of the new volume', 'DRIVER'),
    opt: listFlag('Option of the driver', 'KEY=VALUE'),
    label: listFlag('Label of the new volume', 'KEY=VALUE'),
    merge: switchFlag('Lay the archive over what is in the volume'),
  },
  aliases: { i: 'input', d: 'driver', o: 'opt' },
  args: [{ placeholder: 'VOLUME', brief: 'Name of the new volume' }],
  load: async () => (await import('../commands/volume-import.ts')).runVolumeImport,
});

export const volumeRoutes = defineGroup({
  routes: {
    create,
    ls,
    inspect,
    rm,
    prune,
    clone,
    cp,
    du,
    browse,
    cat,
    export: exportVolume,
    import: importVolume,
    ...volumeChangeRoutes,
  },
  aliases: { list: 'ls', remove: 'rm' },
  docs: { brief: 'Make, look at, copy and remove volumes' },
});
