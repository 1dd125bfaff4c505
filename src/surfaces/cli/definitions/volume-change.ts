import type { VolumeHealthFlags } from '../commands/volume-health.ts';
import type { VolumeMigrateFlags } from '../commands/volume-migrate.ts';
import type { VolumeOwnFlags, VolumeRotateFlags } from '../commands/volume-change.ts';
import { type ArgumentSpec, defineCommand, listFlag, switchFlag, textFlag } from '../define-command.ts';

const volume: ArgumentSpec = { placeholder: 'VOLUME', brief: 'Name of the volume', completes: 'volume' };

const rename = defineCommand({
  recovers: ['own'],
  brief: 'Give a volume another name',
  description:
    'Renames a volume that Holdfast keeps itself, while it is not in use. Its snapshots stay its own; a volume that gets the old name later starts anew.',
  flags: {},
  args: [volume, { placeholder: 'NAME', brief: 'The new name' }],
  load: async () => (await import('../commands/volume-change.ts')).runVolumeRename,
});

const label = defineCommand({
  recovers: ['own'],
  brief: 'Change labels of a volume',
  description: 'Sets labels as KEY=VALUE, and takes those away that are written as KEY-.',
  usage: ['VOLUME KEY=VALUE', 'VOLUME KEY-'],
  flags: {},
  args: [volume, { placeholder: 'LABEL', brief: 'KEY=VALUE, or KEY- to take it away' }],
  load: async () => (await import('../commands/volume-change.ts')).runVolumeLabel,
});

const protect = defineCommand({
  recovers: ['host', 'own'],
  brief: 'Keep volumes from being removed',
  description:
    'A protected volume stays: rm, prune and the sockets that Holdfast serves for its own volumes refuse to remove it. For volumes of Docker, "holdfast volume rm" and "prune" do; Docker itself does not know of it.',
  flags: {},
  args: [{ ...volume, kind: 'many' }],
  load: async () => (await import('../commands/volume-protect.ts')).runVolumeProtect,
});

const unprotect = defineCommand({
  recovers: ['host', 'own'],
  brief: 'Take the protection away',
  flags: {},
  args: [{ ...volume, kind: 'many' }],
  load: async () => (await import('../commands/volume-protect.ts')).runVolumeUnprotect,
});

const resize = defineCommand({
  recovers: ['own'],
  brief: 'Change the size of a volume',
  description:
    'A volume with a size grows while it is in use. ext4 also shrinks, while it is not in use and as far as its data allows.',
  flags: {},
  args: [volume, { placeholder: 'SIZE', brief: 'The new size (20g), or by how much it grows (+5g)' }],
  load: async () => (await import('../commands/volume-change.ts')).runVolumeResize,
});

const own = defineCommand<VolumeOwnFlags>({
  recovers: ['own'],
  brief: 'Change the owner and mode of a volume',
  description: 'Of the root of the data. Numbers, or names of this machine.',
  flags: {
    owner: textFlag('User', 'USER'),
    group: textFlag('Group', 'GROUP'),
    mode: textFlag('Mode in octal', 'MODE'),
  },
  args: [volume],
  load: async () => (await import('../commands/volume-change.ts')).runVolumeOwn,
});

const health = defineCommand<VolumeHealthFlags>({
  recovers: ['own'],
  onlyReads: true,
  brief: 'See whether volumes are well',
  description:
    'Looks at the storage of volumes that Holdfast keeps itself: servers that do not answer, stale mounts, disks that are about to be full. Ends with 3 when one is not well.',
  flags: {},
  args: [{ ...volume, kind: 'any' }],
  load: async () => (await import('../commands/volume-health.ts')).runVolumeHealth,
});

const rotate = defineCommand<VolumeRotateFlags>({
  recovers: ['own'],
  brief: 'Give an encrypted volume new keys',
  description:
    'The old keys open nothing from then on. The data is not written anew. With --key, what that names wraps the keys from now on.',
  flags: {
    key: textFlag('What wraps the keys: file:PATH, env:NAME, exec:COMMAND or master', 'REFERENCE'),
  },
  args: [volume],
  load: async () => (await import('../commands/volume-change.ts')).runVolumeRotate,
});

const migrate = defineCommand<VolumeMigrateFlags>({
  recovers: ['own', 'host'],
  brief: 'Move a volume to another driver',
  description:
    'Moves a volume that Holdfast keeps itself: between directories, images with a size, LUKS, gocryptfs, btrfs and devices, or to other options of its driver. It is copied while it is in use; then what uses it is stopped for a moment, the rest is copied, both sides are compared, and it goes on under its name. What it was before stays in the trash: --undo brings it back, with the data that it had then.',
  usage: ['VOLUME --driver DRIVER [--opt KEY=VALUE]', 'VOLUME --undo'],
  flags: {
    driver: textFlag('Driver to move to', 'DRIVER'),
    opt: listFlag('Option of the driver', 'KEY=VALUE'),
    undo: switchFlag('Go back to where it was before, and to the data of then'),
    dryRun: switchFlag('Show what would be done, and stop'),
  },
  aliases: { d: 'driver', o: 'opt', n: 'dryRun' },
  args: [volume],
  load: async () => (await import('../commands/volume-migrate.ts')).runVolumeMigrate,
});

/** The commands that change an existing volume. */
export const volumeChangeRoutes = {
  rename,
  label,
  protect,
  unprotect,
  resize,
  own,
  health,
  rotate,
  migrate,
};
