import { lstat, mkdir, realpath, stat } from 'node:fs/promises';
import { isAbsolute, resolve } from 'node:path';
import { openTrusted } from '../lib/open-trusted.ts';
import { runProgram } from '../lib/run-program.ts';
import { fromText } from '../model/byte-string.ts';
import { AppError, errnoOf } from '../model/errors.ts';
import { quote } from '../model/quote.ts';
import type { Driver, DriverVolume } from './driver.ts';
import { explainMountFailure } from './mount-failure.ts';
import { checkOptions, flagOption, mountWords, type Options } from './mount-options.ts';
import { mountAtPath, unmountPath } from './mount-point.ts';
import { applyOwnership, checkOwnership, ownershipOptions } from '../lib/ownership.ts';

/** A path of this machine: `type=none,o=bind,device=/srv/data`. */
export const bindDriver: Driver = {
  kind: 'bind',

  check(options) {
    checkOptions(options, {
      kind: 'bind',
      known: ['device', 'o', 'create', ...ownershipOptions],
      required: ['device'],
    });
    checkOwnership(options);
    const isCreating = flagOption(options, 'create');
    if (!isCreating && ownershipOptions.some((key) => key in options)) {
      throw new AppError('usage', 'an owner, a group and a mode are only for a folder that is made', {
        hint: 'Add "-o create=true", or leave them out: a folder that is there keeps its own.',
      });
    }
    return { ...options, device: resolve(options['device'] ?? '') };
  },

  traits: () => ({ isMounted: true, isElsewhere: true, isFleeting: false }),

  async create(volume) {
    const device = deviceOf(volume);
    if (!(await isThere(device, `Cannot create volume ${quote(volume.name)}`))) {
      if (!flagOption(volume.options, 'create')) throw missing('create', volume.name, device);
      await mkdir(device, { recursive: true, mode: 0o755 });
      // Another user may own the parent folder, and put a link in the place of what was created.
      using made = openTrusted(fromText(device));
      await applyOwnership(made.self, { mode: '0755', ...volume.options }, volume.name);
    }
    await refuseOwnFolder(volume, device);
  },

  // The path and its content never belonged to this volume alone.
  remove: async () => undefined,

  async mount(volume, call) {
    const device = deviceOf(volume);
    if (!(await isThere(device, `Cannot mount volume ${quote(volume.name)}`)))
      throw missing('mount', volume.name, device);
    await refuseOwnFolder(volume, device);
    const words = mountWords(volume.options);
    const kind = words.includes('rbind') ? 'rbind' : 'bind';
    const rest = words.filter((word) => word !== 'bind' && word !== 'rbind');
    await mountAtPath({ source: device, target: volume.mountpoint, words: [kind], name: volume.name }, call);
    // A bind mount takes its options only in a second step.
    if (rest.length === 0) return;
    const args = ['-o', ['remount', 'bind', ...rest].join(','), '--', volume.mountpoint];
    const { status, stderr } = await runProgram('mount', args, { signal: call?.signal });
    if (status === 0) return;
    await unmountPath(volume);
    throw explainMountFailure({ name: volume.name, source: device, type: undefined, stderr });
  },

  unmount: (volume, call) => unmountPath(volume, call),

  async health(volume) {
    const device = deviceOf(volume);
    const found = await lstat(device).catch(() => undefined);
    return found === undefined
      ? { status: 'failed', message: `${quote(device)} is not there` }
      : { status: 'good', message: undefined };
  },
};

function deviceOf({ options }: { readonly options: Options }): string {
  const device = options['device'] ?? '';
  return isAbsolute(device) ? device : resolve(device);
}

async function isThere(device: string, action: string): Promise<boolean> {
  try {
    if ((await stat(device)).isDirectory()) return true;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false;
    throw new AppError('failed', `${action}: ${quote(device)} cannot be used`, {
      detail: String(error),
      cause: error,
    });
  }
  throw new AppError('usage', `${action}: ${quote(device)} is not a folder`);
}

function missing(action: string, name: string, device: string): AppError {
  return new AppError(
    'not-found',
    `Cannot ${action} volume ${quote(name)}: the folder ${quote(device)} does not exist`,
    {
      hint: 'Make it, or have it made with "-o create=true".',
    },
  );
}

/** A volume that contains its own folder would be circular. */
async function refuseOwnFolder(volume: DriverVolume, device: string): Promise<void> {
  const [real, own] = await Promise.all([realpath(device), realpath(volume.folder)]);
  const isWithin = `${real}/`.startsWith(`${own}/`);
  const isAround = `${own}/`.startsWith(real === '/' ? '/' : `${real}/`);
  if (!isWithin && !(isAround && mountWords(volume.options).includes('rbind'))) return;
  throw new AppError(
    'usage',
    `Cannot use ${quote(device)} for volume ${quote(volume.name)}: the volume itself lies in it`,
    { hint: 'Choose another folder, or "o=bind" in place of "o=rbind".' },
  );
}
