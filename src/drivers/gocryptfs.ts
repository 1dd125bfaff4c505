import { access, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { applyOwnership, checkOwnership, ownershipOptions } from '../lib/ownership.ts';
import { type ProgramResult, runProgram } from '../lib/run-program.ts';
import { removeTree } from '../lib/remove-tree.ts';
import { fromText } from '../model/byte-string.ts';
import { runToEnd } from '../lib/run-to-end.ts';
import { AppError } from '../model/errors.ts';
import { quote } from '../model/quote.ts';
import type { Driver, DriverCall, DriverVolume } from './driver.ts';
import { answers, unmountOrDetach } from './mount-answers.ts';
import { checkKeyReference } from './keys/key-wraps.ts';
import type { VolumeKeys } from './keys/volume-key.ts';
import { checkOptions } from './mount-options.ts';
import { findMount } from './mount-point.ts';

/** The exit status of gocryptfs for a wrong key. */
const wrongKey = 12;
const debianPackage = 'gocryptfs';

/** Encrypts each file, on any file system: for kernels without dm-crypt. */
export function gocryptfsDriver(keys: VolumeKeys): Driver {
  return {
    kind: 'gocryptfs',

    check(options) {
      checkOptions(options, { kind: 'gocryptfs', known: ['key', ...ownershipOptions] });
      checkOwnership(options);
      checkKeyReference(options['key'] ?? 'master');
      return options;
    },

    traits: () => ({ isMounted: true, isElsewhere: false, isFleeting: false, canGoStale: true }),

    async create(volume, call) {
      const cipher = cipherOf(volume);
      if (await isThere(join(cipher, 'gocryptfs.conf'))) return;
      // The leftover of a killed attempt has no configuration, and so holds nothing.
      await removeTree(fromText(cipher));
      await mkdir(cipher, { mode: 0o700 });
      const key = await keys.create(volume);
      // The key is random: stretching it costs time at each mount, and adds nothing.
      const args = ['-init', '-q', '-scryptn', '10', '--', cipher];
      const action = `Cannot create volume ${quote(volume.name)}`;
      await change(args, { volume, input: `${key}\n${key}\n`, action }, call);
    },

    // Without its keys, any copies are noise.
    remove: (volume) => keys.destroy(volume),

    async mount(volume, call) {
      await settleRotation(keys, volume, call);
      const key = await keys.read(volume);
      const args = ['-q', '-allow_other', '--', cipherOf(volume), volume.mountpoint];
      await command(args, { input: `${key}\n`, action: `Cannot mount volume ${quote(volume.name)}` }, call);
      if ((await findMount(volume.mountpoint)) === undefined)
        throw new AppError('failed', `Cannot mount volume ${quote(volume.name)}: nothing is mounted`);
      if (ownershipOptions.some((name) => name in volume.options))
        await applyOwnership(volume.mountpoint, volume.options, volume.name);
    },

    unmount: (volume, call) => unmountOrDetach(volume, call),

    async health(volume, { isMounted }) {
      const hasSettings = await isThere(join(cipherOf(volume), 'gocryptfs.conf'));
      const lack = hasSettings
        ? await keys.lack(volume)
        : 'Its gocryptfs.conf is missing: put back your copy of it';
      if (!isMounted)
        return lack === undefined
          ? { status: 'good', message: undefined }
          : { status: 'failed', message: lack };
      const found = await answers(volume.mountpoint);
      // What is mounted works on, and must not be mounted anew, which would fail.
      return found.status === 'good' && lack !== undefined ? { status: 'degraded', message: lack } : found;
    },

    async rotate(volume, { key }, call) {
      if (key !== undefined) checkKeyReference(key);
      await settleRotation(keys, volume, call);
      const { now, next } = await keys.prepareNext(volume, key);
      await changePassword(volume, { now, next }, call);
      await keys.accept(volume);
      return key === undefined ? volume.options : { ...volume.options, key };
    },

    erase: (volume) => keys.destroy(volume),
  };
}

function cipherOf(volume: DriverVolume): string {
  return join(volume.folder, 'cipher');
}

/** Finishes a killed rotation: whichever key opens the volume stays. */
async function settleRotation(keys: VolumeKeys, volume: DriverVolume, call?: DriverCall): Promise<void> {
  const next = await keys.readNext(volume);
  if (next === undefined) return;
  // Changing the key to itself tests it, and reads no file.
  const args = ['-passwd', '-q', '-scryptn', '10', '--', cipherOf(volume)];
  const input = `${next}\n${next}\n${next}\n`;
  const { status, said } = await runToEnd('gocryptfs', args, {
    folder: volume.folder,
    input,
    debianPackage,
    ...call,
  });
  if (status === 0) return await keys.accept(volume);
  if (status === wrongKey) return;
  // Unknown: taking it for a no would replace the one key that opens it.
  throw new AppError(
    'failed',
    `Cannot bring the rotation of the keys of volume ${quote(volume.name)} to its end`,
    {
      detail: said || undefined,
    },
  );
}

async function changePassword(
  volume: DriverVolume,
  { now, next }: { readonly now: string; readonly next: string },
  call?: DriverCall,
): Promise<void> {
  const args = ['-passwd', '-q', '-scryptn', '10', '--', cipherOf(volume)];
  const action = `Cannot rotate the keys of volume ${quote(volume.name)}`;
  await change(args, { volume, input: `${now}\n${next}\n${next}\n`, action }, call);
}

async function command(
  args: readonly string[],
  { input, action }: { readonly input: string; readonly action: string },
  call?: DriverCall,
): Promise<void> {
  const { status, stdout, stderr } = await gocryptfs(args, input, call);
  if (status !== 0) throw explain(action, status, (stderr || stdout).trim());
}

/** The same for changes of the configuration, without which no key opens anything. */
async function change(
  args: readonly string[],
  {
    volume,
    input,
    action,
  }: { readonly volume: DriverVolume; readonly input: string; readonly action: string },
  call?: DriverCall,
): Promise<void> {
  const { status, said } = await runToEnd('gocryptfs', args, {
    folder: volume.folder,
    input,
    debianPackage,
    ...call,
  });
  if (status !== 0) throw explain(action, status, said);
}

function explain(action: string, status: number | undefined, said: string): AppError {
  const isWrong = status === wrongKey;
  return new AppError(
    isWrong ? 'wrong-password' : 'failed',
    `${action}${isWrong ? ': its key does not open it' : ''}`,
    {
      detail: said || undefined,
      hint: /allow_other/.test(said)
        ? 'Add the line "user_allow_other" to /etc/fuse.conf, or run as root.'
        : undefined,
    },
  );
}

async function gocryptfs(
  args: readonly string[],
  input: string,
  { signal }: DriverCall = {},
): Promise<ProgramResult> {
  return await runProgram('gocryptfs', args, { signal, input, debianPackage });
}

async function isThere(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  );
}
