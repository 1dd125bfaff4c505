import { mkdtemp, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { removeTree } from '../lib/remove-tree.ts';
import { type ProgramResult, runProgram } from '../lib/run-program.ts';
import { fromText } from '../model/byte-string.ts';
import { runToEnd } from '../lib/run-to-end.ts';
import { AppError } from '../model/errors.ts';
import { quote } from '../model/quote.ts';
import type { DriverCall, DriverVolume } from './driver.ts';

/** The space that LUKS2 reserves at the front. */
export const headerBytes = 16 * 2 ** 20;

/**
 * The name of the opened device, from the folder that a volume keeps through renames: its own name may be too
 * long for the kernel.
 */
export async function mappingOf({ folder }: Pick<DriverVolume, 'folder'>): Promise<string> {
  const { dev, ino } = await stat(folder);
  return `holdfast-${dev.toString(16)}-${ino.toString(16)}`;
}

export interface CryptsetupRun extends DriverCall {
  /** The key, on standard input, where no other user sees it. */
  readonly input?: string;
  readonly action: string;
}

export async function cryptsetup(
  args: readonly string[],
  { input, action, signal }: CryptsetupRun,
): Promise<void> {
  const result = await runProgram('cryptsetup', args, {
    input,
    signal,
    timeoutMs: 90_000,
    debianPackage: 'cryptsetup-bin',
  });
  if (result.status !== 0) throw explainCryptsetup(action, result);
}

/** The same for changes of the header, which must not be interrupted. */
export async function changeContainer(
  args: readonly string[],
  { volume, input, action, signal }: CryptsetupRun & { readonly volume: DriverVolume },
): Promise<void> {
  const debianPackage = 'cryptsetup-bin';
  const { status, said } = await runToEnd('cryptsetup', args, {
    folder: volume.folder,
    input,
    signal,
    debianPackage,
  });
  if (status !== 0) throw explainCryptsetup(action, { status, stderr: said });
}

/** Translates cryptsetup's status and messages. */
export function explainCryptsetup(
  action: string,
  { status, stderr }: Pick<ProgramResult, 'status' | 'stderr'>,
): AppError {
  if (/device-mapper|dm_mod|dm-crypt|Cannot initialize/i.test(stderr) && !/exists/i.test(stderr)) {
    return new AppError('unsupported', `${action}: this kernel has no dm-crypt`, {
      detail: stderr,
      hint: 'Load it (modprobe dm_crypt), or use the driver "gocryptfs", which needs none.',
    });
  }
  if (status === 2) {
    return new AppError('wrong-password', `${action}: its key does not open it`, {
      detail: stderr || undefined,
      hint: 'It was changed by something else than Holdfast, or this is not the image that the key belongs to.',
    });
  }
  if (/not a valid LUKS/i.test(stderr)) {
    return new AppError('integrity', `${action}: there is no LUKS header`, {
      detail: stderr,
      hint: 'The image was overwritten, cut short, or erased. Restore the volume from a backup.',
    });
  }
  return new AppError(status === 5 ? 'in-use' : 'failed', action, { detail: stderr || undefined });
}

/** Does nothing when it is not open. */
export async function closeMapping(volume: DriverVolume, call: DriverCall = {}): Promise<void> {
  const mapping = await mappingOf(volume);
  if ((await stat(`/dev/mapper/${mapping}`).catch(() => undefined)) === undefined) return;
  await cryptsetup(['close', mapping], { action: `Cannot close volume ${quote(volume.name)}`, ...call });
}

/** Whether a key opens a container, without opening it. Needs no dm-crypt. */
export async function opensWith(container: string, key: string, call: DriverCall = {}): Promise<boolean> {
  const args = ['open', '--test-passphrase', '--type', 'luks2', '--key-file', '-', container];
  const options = { input: key, signal: call.signal, timeoutMs: 60_000, debianPackage: 'cryptsetup-bin' };
  const result = await runProgram('cryptsetup', args, options);
  if (result.status === 0) return true;
  if (result.status === 2 || /not a valid LUKS/i.test(result.stderr)) return false;
  // Unknown: taking it for a no would replace the one key that opens it.
  throw explainCryptsetup(`Cannot try a key of ${quote(container)}`, result);
}

export async function addKey(
  volume: DriverVolume,
  container: string,
  { now, next }: { readonly now: string; readonly next: string },
  call?: DriverCall,
): Promise<void> {
  const action = `Cannot rotate the keys of volume ${quote(volume.name)}`;
  const quick = ['--pbkdf', 'pbkdf2', '--pbkdf-force-iterations', '1000'];
  await withSecretFile(next, async (file) => {
    const args = ['luksAddKey', '--batch-mode', ...quick, '--key-file', '-', container, file];
    await changeContainer(args, { volume, input: now, action, ...call });
  });
}

/** Does nothing when the old key no longer opens it. */
export async function removeKey(
  volume: DriverVolume,
  container: string,
  { old }: { readonly old: string },
  call?: DriverCall,
): Promise<void> {
  if (!(await opensWith(container, old, call))) return;
  const action = `Cannot take the old key of volume ${quote(volume.name)} away`;
  const args = ['luksRemoveKey', '--batch-mode', container, '-'];
  await changeContainer(args, { volume, input: old, action, ...call });
}

/** cryptsetup reads one key from its input; the other is in a memory file system for a moment. */
async function withSecretFile(secret: string, work: (path: string) => Promise<void>): Promise<void> {
  const memory = await stat('/dev/shm').catch(() => undefined);
  const folder = await mkdtemp(join(memory?.isDirectory() === true ? '/dev/shm' : tmpdir(), 'holdfast-'));
  try {
    const path = join(folder, 'key');
    await writeFile(path, secret, { mode: 0o600 });
    await work(path);
  } finally {
    await removeTree(fromText(folder));
  }
}
