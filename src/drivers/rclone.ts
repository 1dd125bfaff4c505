import { mkdir, readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { requireOwn } from '../lib/own-path.ts';
import { type ProgramResult, runProgram } from '../lib/run-program.ts';
import { AppError, isAppError } from '../model/errors.ts';
import { commandOptions } from '../model/foreign-options.ts';
import { quote } from '../model/quote.ts';
import type { Driver, DriverCall, DriverHealth, DriverVolume } from './driver.ts';
import { answers, unmountOrDetach } from './mount-answers.ts';
import { findMount, unmountPath } from './mount-point.ts';
import { checkRclone, rcloneEnvironment, rcloneMountArguments, rcloneRemote } from './rclone-options.ts';

/** An unreachable server is reported at once, rather than after many retries. */
const impatient = ['--max-depth', '1', '--contimeout', '4s', '--retries', '1', '--low-level-retries', '1'];
const uploadMs = 60_000;
const lateMs = 60_000;

interface RcloneParts {
  readonly stateDir: string;
  readonly secret: (reference: string) => Promise<Uint8Array>;
}

/**
 * Everything that rclone can mount: object storage, SFTP, WebDAV and more. Writes stay in a cache in the
 * volume's folder until they are uploaded; leftovers of a crash are uploaded after the next mount.
 */
export function rcloneDriver({ stateDir, secret }: RcloneParts): Driver {
  const environment = async ({ name, options }: DriverVolume): Promise<Record<string, string>> => {
    // The options are kept in the state folder, and the programs that they name run as this user.
    if (options['config'] !== undefined || commandOptions(options).length > 0)
      await requireOwn(stateDir, `Cannot use volume ${quote(name)}, whose options name a program`);
    return await rcloneEnvironment(options, secret);
  };
  return {
    kind: 'rclone',

    check: checkRclone,

    traits: () => ({ isMounted: true, isElsewhere: true, isFleeting: false, canGoStale: true }),

    async create(volume, call) {
      await mkdir(cacheOf(volume), { recursive: true, mode: 0o700 });
      const action = `Cannot create volume ${quote(volume.name)}`;
      const result = await rclone(volume, ['lsf', ...impatient, rcloneRemote(volume.options)], {
        env: await environment(volume),
        ...call,
      });
      if (result.status !== 0) throw rcloneError(action, result);
    },

    // The stored data never belonged to this volume alone.
    remove: async () => undefined,

    async mount(volume, call) {
      const action = `Cannot mount volume ${quote(volume.name)}`;
      await mkdir(cacheOf(volume), { recursive: true, mode: 0o700 });
      const args = rcloneMountArguments(volume, { cache: cacheOf(volume) });
      const result = await rclone(volume, args, { env: await environment(volume), ...call });
      if (result.status === 0 && (await findMount(volume.mountpoint)) !== undefined) return;
      // The user must see why it was not mounted.
      await unmountPath(volume).catch(() => undefined);
      throw rcloneError(action, result);
    },

    async unmount(volume, call) {
      // A program that has ended uploads nothing more.
      if ((await answers(volume.mountpoint)).status !== 'failed') await waitForUploads(volume, call);
      await unmountOrDetach(volume, call);
    },

    unsaved: (volume) => unsavedFiles(cacheOf(volume)),

    async health(volume, { isMounted }) {
      if (!isMounted) return await remoteHealth(volume, await environment(volume));
      const here = await answers(volume.mountpoint);
      if (here.status !== 'good') return here;
      const waiting = await unsavedFiles(cacheOf(volume), { olderThanMs: lateMs });
      if (waiting === 0) return here;
      return { status: 'degraded', message: `${waiting} files wait to be uploaded for more than a minute` };
    },
  };
}

function cacheOf(volume: DriverVolume): string {
  return join(volume.folder, 'cache');
}

async function rclone(
  volume: DriverVolume,
  args: readonly string[],
  { env, signal }: DriverCall & { readonly env?: Record<string, string> },
): Promise<ProgramResult> {
  try {
    return await runProgram('rclone', args, {
      signal,
      env,
      isUsers: true,
      timeoutMs: 90_000,
      debianPackage: 'rclone',
    });
  } catch (error) {
    if (!isAppError(error, 'unavailable')) throw error;
    throw new AppError(
      'unavailable',
      `Cannot use volume ${quote(volume.name)}: its storage does not answer`,
      {
        cause: error,
      },
    );
  }
}

/**
 * Data that is only in the cache exists nowhere else: another machine with the same mount would not see it.
 */
async function waitForUploads(volume: DriverVolume, { signal }: DriverCall = {}): Promise<void> {
  const until = performance.now() + uploadMs;
  while ((await unsavedFiles(cacheOf(volume))) > 0) {
    // The cache stays, and is uploaded after the next mount.
    if (performance.now() > until) return;
    await sleep(200, undefined, signal === undefined ? {} : { signal });
  }
}

async function remoteHealth(volume: DriverVolume, env: Record<string, string>): Promise<DriverHealth> {
  const args = [
    'lsf',
    '--max-depth',
    '1',
    '--contimeout',
    '3s',
    '--retries',
    '1',
    '--low-level-retries',
    '1',
  ];
  try {
    const result = await runProgram('rclone', [...args, rcloneRemote(volume.options)], {
      env,
      isUsers: true,
      timeoutMs: 6000,
    });
    if (result.status === 0) return { status: 'good', message: undefined };
    return { status: 'unreachable', message: lastWords(result) };
  } catch {
    return { status: 'unreachable', message: 'Its storage does not answer' };
  }
}

function rcloneError(action: string, result: ProgramResult): AppError {
  const words = lastWords(result);
  const isAway = /connection refused|no such host|timeout|i\/o timeout|network is unreachable/i.test(words);
  const isDenied =
    /AccessDenied|Forbidden|SignatureDoesNotMatch|InvalidAccessKeyId|permission denied|401|403/.test(words);
  const isMissing = /directory not found|NoSuchBucket|didn't find section|not found/i.test(words);
  const code = isAway ? 'unavailable' : isDenied ? 'denied' : isMissing ? 'not-found' : 'failed';
  return new AppError(code, `${action}: rclone cannot use its storage`, {
    detail: words || undefined,
    hint: isDenied
      ? 'Check the credentials that "-o secret.…" names.'
      : isMissing
        ? 'Check the name of the remote, the bucket and the folder.'
        : undefined,
  });
}

/** The last line says what failed; dates and levels are left out. */
function lastWords({ stderr, stdout }: ProgramResult): string {
  const line = (stderr || stdout).trim().split('\n').at(-1) ?? '';
  return line.replace(/^\d{4}\/\d\d\/\d\d \d\d:\d\d:\d\d (?:[A-Z]+\s*:)?\s*/, '');
}

/**
 * How many files of rclone's cache are not uploaded yet. rclone records that beside each file; a record being
 * written is read again by the waiting caller.
 */
async function unsavedFiles(
  cache: string,
  { olderThanMs = 0 }: { readonly olderThanMs?: number } = {},
): Promise<number> {
  const notes = join(cache, 'vfsMeta');
  const entries = await readdir(notes, { recursive: true, withFileTypes: true }).catch(() => []);
  let count = 0;
  for (const entry of entries) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    if ((await isUnsaved(path)) && (await isOlder(path, olderThanMs))) count++;
  }
  return count;
}

async function isUnsaved(path: string): Promise<boolean> {
  const text = await readFile(path, 'utf8').catch(() => undefined);
  if (text === undefined) return false;
  try {
    return (JSON.parse(text) as { Dirty?: unknown }).Dirty === true;
  } catch {
    return true;
  }
}

async function isOlder(path: string, ms: number): Promise<boolean> {
  if (ms === 0) return true;
  const found = await stat(path).catch(() => undefined);
  return found !== undefined && Date.now() - found.mtimeMs > ms;
}
