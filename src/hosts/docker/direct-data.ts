import { constants } from 'node:fs';
import { access, type FileHandle, lstat, open, readdir, readFile, realpath, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { mountAt, readMounts } from '../../lib/mountinfo.ts';
import { openTrusted, realPathOf } from '../../lib/open-trusted.ts';
import { requireAnswer } from '../../lib/require-answer.ts';
import { type ByteString, fromBytes, fromText, toPath } from '../../model/byte-string.ts';
import type { DirectoryData, StreamData } from '../host.ts';
import { errnoOf } from '../../model/errors.ts';
import type { DockerEndpoint } from './endpoint.ts';
import type { EngineInfo, EngineVolume } from './engine-types.ts';
import { isPodmanFolderHere } from './podman-facts.ts';

export interface DirectQuestion {
  readonly kind: 'docker' | 'podman';
  readonly endpoint: DockerEndpoint;
  readonly info: EngineInfo;
  readonly volume: EngineVolume;
  readonly write: boolean;
  readonly signal: AbortSignal | undefined;
}

/**
 * The volume's data as a directory of this machine, or undefined when that is not certainly correct; the
 * streamed way always is. A wrong guess would save an empty directory in place of the data, so everything is
 * proven:
 *
 * - The engine is on this machine: a unix socket, and its own id is in its own folder, where we see it.
 * - We may read everything there: volumes hold files of any owner.
 * - The data is there now: a volume with mount options is an empty directory until a container mounts it.
 *
 * Throws `unavailable` when its server does not respond: the engine would wait for that as well, for good, and not
 * get rid of the container that it waits in.
 */
export async function findDirectData(question: DirectQuestion): Promise<DirectoryData | undefined> {
  const late = new AbortController();
  // Ended below, when the proof is faster.
  const timer = sleep(answerMs, undefined, { signal: late.signal }).catch(() => undefined);
  try {
    // The engine's own folder may lie on a server that is gone; the deadlines of calls to it apply then.
    return await Promise.race([proveDirectData(question), timer]);
  } finally {
    late.abort();
  }
}

/**
 * The directory that a bind volume will be mounted from, when nothing has it mounted now. The path in the
 * volume's options belongs to the engine's mount namespace, which may not be ours: the times of the directory
 * and of some of its entries, seen through the engine by `stream`, must equal those that we see.
 */
export async function findUnmountedDevice(
  question: DirectQuestion,
  stream: StreamData,
): Promise<DirectoryData | undefined> {
  const { endpoint, volume, write } = question;
  const device = bindDevice(volume);
  if (endpoint.kind !== 'unix' || device === undefined) return undefined;
  if (!(await canReadAnything(write)) || !(await isSameMachine(question))) return undefined;
  try {
    const root = write ? ownPlaceOf(device) : fromText(await realpath(device));
    const names = (await readdir(toPath(root), { encoding: 'buffer' }))
      .slice(0, comparedNames)
      .map(fromBytes);
    const paths = ['', ...names];
    const seen = await Promise.all(paths.map((path) => mtimeOf(root, path)));
    const told = await stream.readTimes?.(paths);
    if (told === undefined || told.some((time, index) => time === undefined || time !== seen[index]))
      return undefined;
    return { way: 'direct', root, [Symbol.asyncDispose]: async () => undefined };
  } catch (error) {
    if (errnoOf(error) !== undefined) return undefined;
    throw error;
  }
}

/** Its path, for writing: throws `denied` where a link that another user can change leads to it. */
function ownPlaceOf(device: string): ByteString {
  using held = openTrusted(fromText(device));
  return realPathOf(held);
}

const comparedNames = 7;

async function mtimeOf(root: ByteString, path: ByteString): Promise<bigint> {
  return (await lstat(toPath(path === '' ? root : `${root}/${path}`), { bigint: true })).mtimeNs;
}

/** The disks of a server may have to spin up first, for which an engine would wait as well. */
const serverMs = 25_000;
const answerMs = serverMs + 5000;

async function proveDirectData(question: DirectQuestion): Promise<DirectoryData | undefined> {
  const { endpoint, info, volume, write } = question;
  const mountpoint = volume.Mountpoint;
  if (endpoint.kind !== 'unix' || !mountpoint?.startsWith('/') || volume.ClusterVolume) return undefined;
  if (!(await canReadAnything(write)) || !(await isSameMachine(question))) return undefined;
  if (volume.Driver === 'local' && !isMountedLazily(volume))
    return await plainDirectory(info, volume.Name, mountpoint);
  return await mountedDirectory(question, mountpoint);
}

/**
 * The local driver mounts a volume with a device or a type; a size alone is a quota on the plain directory.
 */
function isMountedLazily(volume: EngineVolume): boolean {
  return Object.keys(volume.Options ?? {}).some((key) => key !== 'size');
}

async function plainDirectory(
  info: EngineInfo,
  name: string,
  mountpoint: string,
): Promise<DirectoryData | undefined> {
  if (mountpoint !== join(info.DockerRootDir ?? '', 'volumes', name, '_data')) return undefined;
  if (!(await isRealDirectory(mountpoint))) return undefined;
  return { way: 'direct', root: fromText(mountpoint), [Symbol.asyncDispose]: async () => undefined };
}

async function mountedDirectory(
  { volume, signal }: DirectQuestion,
  mountpoint: string,
): Promise<DirectoryData | undefined> {
  const mounts = await readMounts();
  if (mountAt(mounts, fromText(mountpoint)) === undefined) return undefined;
  await requireAnswer(fromText(mountpoint), { name: volume.Name, signal, mounts, patienceMs: serverMs });
  const device = await boundDevice(volume, mountpoint);
  if (device !== undefined)
    return { way: 'direct', root: fromText(device), [Symbol.asyncDispose]: async () => undefined };
  return await heldDirectory(mountpoint);
}

/** For a bind mount, the bound directory, which stays when the engine unmounts the volume. */
async function boundDevice(volume: EngineVolume, mountpoint: string): Promise<string | undefined> {
  const device = bindDevice(volume);
  if (device === undefined) return undefined;
  try {
    const [bound, mounted] = await Promise.all([
      stat(device, { bigint: true }),
      stat(mountpoint, { bigint: true }),
    ]);
    return bound.dev === mounted.dev && bound.ino === mounted.ino && bound.isDirectory() ? device : undefined;
  } catch {
    return undefined;
  }
}

function bindDevice(volume: EngineVolume): string | undefined {
  const { o = '', device = '' } = volume.Options ?? {};
  const isBind =
    volume.Driver === 'local' && o.split(',').some((option) => option === 'bind' || option === 'rbind');
  return isBind && device.startsWith('/') ? device : undefined;
}

/**
 * A directory under a mount that the engine removes when the last container stops. The open descriptor keeps
 * the mount alive, and a path through it leads to the data even then, where the original path leads to an
 * empty directory.
 */
async function heldDirectory(mountpoint: string): Promise<DirectoryData | undefined> {
  const handle = await openDirectory(mountpoint);
  if (handle === undefined) return undefined;
  // The mount is still there now that we hold it: so we hold the mount and not the directory below it.
  const [held, parent, mounts] = await Promise.all([
    handle.stat(),
    stat(join(mountpoint, '..')),
    readMounts(),
  ]);
  const mount = mountAt(mounts, fromText(mountpoint));
  const isMount = mount !== undefined && (held.dev !== parent.dev || mount.root !== '/');
  const current = await stat(mountpoint).catch(() => undefined);
  if (!isMount || current?.ino !== held.ino || current.dev !== held.dev) {
    await handle.close();
    return undefined;
  }
  return { way: 'direct', root: `/proc/self/fd/${handle.fd}/.`, [Symbol.asyncDispose]: () => handle.close() };
}

async function openDirectory(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  } catch {
    return undefined;
  }
}

async function isRealDirectory(path: string): Promise<boolean> {
  try {
    if (!(await lstat(path)).isDirectory()) return false;
    await access(path, constants.R_OK | constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** The engine's id file proves that its folder is the one that we see at that path. */
async function isSameMachine({ kind, info, volume }: DirectQuestion): Promise<boolean> {
  if (kind === 'podman') {
    return await isPodmanFolderHere(volume);
  }
  if (!info.ID || !info.DockerRootDir?.startsWith('/')) return false;
  try {
    return (await readFile(join(info.DockerRootDir, 'engine-id'), 'utf8')).trim() === info.ID;
  } catch {
    return false;
  }
}

// Bits of the capability sets in /proc/self/status.
const overrideAccess = 1n << 1n;
const searchAndRead = 1n << 2n;
const changeOwner = 1n << 0n;
const actAsOwner = 1n << 3n;

/**
 * Whether this process may read (and write, with any owner) everything in a volume, outside of a user
 * namespace.
 */
async function canReadAnything(write: boolean): Promise<boolean> {
  try {
    const [status, uidMap] = await Promise.all([
      readFile('/proc/self/status', 'utf8'),
      readFile('/proc/self/uid_map', 'utf8'),
    ]);
    if (!/^\s*0\s+0\s+4294967295\s*$/.test(uidMap)) return false;
    const effective = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0'}`);
    const has = (bits: bigint): boolean => (effective & bits) === bits;
    return write ? has(overrideAccess | changeOwner | actAsOwner) : has(overrideAccess) || has(searchAndRead);
  } catch {
    return false;
  }
}
