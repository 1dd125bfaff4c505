import { closeSync, constants, fstatSync, lstatSync, openSync, readdirSync, statSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import type { ManagedVolume, ManagedVolumes } from '../managed/managed-volumes.ts';
import { copyTree } from '../mirror/copy-tree.ts';
import { type LeaseScope, takeLeases } from '../../leases/index.ts';
import { openTrusted } from '../../lib/open-trusted.ts';
import { walkTree } from '../../lib/tree-walk.ts';
import { fromText } from '../../model/byte-string.ts';
import { cleanPath, isLocalPath } from '../../model/clean-path.ts';
import { AppError, errnoOf, isAppError } from '../../model/errors.ts';
import {
  type BindMount,
  checkMount,
  checkMountList,
  type Mount,
  mountDestination,
  mountError,
  type TmpfsMount,
  type VolumeMount,
} from '../../model/mount.ts';
import { quote } from '../../model/quote.ts';
import { fillEmpty, isEmptyVolume, lockVolume } from '../stage.ts';
import { WorkLog } from '../work-log.ts';
import type { PlacedData, PlacedMount } from './plan-sandbox.ts';

export interface RunOptions {
  /** On abort, the command gets SIGTERM. */
  readonly signal?: AbortSignal | undefined;
  /** Registers a handler for signals to pass on; disposing the result ends that. */
  readonly onSignals?: ((pass: (name: NodeJS.Signals) => void) => Disposable) | undefined;
  readonly onNote?: ((message: string) => void) | undefined;
}

export interface RunScope {
  readonly managed: ManagedVolumes;
  /** Its contents are not copied into a volume. */
  readonly stateDir: string;
  /** Makes an id for holds that end with this process. */
  readonly holdId: () => string;
  readonly leases: LeaseScope;
}

/** Creates missing volumes, mounts all, and fills the empty ones, as a container's start does. */
export async function placeMounts(
  scope: RunScope,
  mounts: readonly Mount[],
  {
    options,
    opened,
    starting,
  }: {
    readonly options: RunOptions;
    readonly opened: AsyncDisposableStack;
    /** Protects what the command starts with; disposed once it has started. */
    readonly starting: AsyncDisposableStack;
  },
): Promise<PlacedMount[]> {
  for (const mount of mounts) checkMount(mount);
  checkMountList(mounts);
  const names = mounts.flatMap((mount) => (mount.type === 'volume' ? (mount.source ?? []) : []));
  const places = names.map((name) => ({ kind: 'volume', name }) as const);
  starting.use(await takeLeases(scope.leases, { places, work: 'run a command with' }, options));
  const placed: PlacedMount[] = [];
  for (const mount of mounts) {
    options.signal?.throwIfAborted();
    placed.push(await place(mount, { scope, options, opened }));
  }
  return placed;
}

interface Work {
  readonly scope: RunScope;
  readonly options: RunOptions;
  readonly opened: AsyncDisposableStack;
}

async function place(mount: Mount, work: Work): Promise<PlacedMount> {
  switch (mount.type) {
    case 'bind':
      return await placeBind(mount);
    case 'tmpfs':
      return await placeTmpfs(mount, work);
    case 'volume':
      return await placeVolume(mount, work);
    case 'image':
    case 'npipe':
    case 'cluster':
      throw new AppError(
        'unsupported',
        `Cannot mount at ${quote(mount.target)}: without a container engine there is nothing of the type "${mount.type}"`,
      );
  }
}

async function placeBind(mount: BindMount): Promise<PlacedData> {
  const { source, propagation, recursive } = mount;
  if (propagation !== undefined && !['private', 'rprivate'].includes(propagation))
    throw new AppError(
      'unsupported',
      `Cannot mount ${quote(source)}: the propagation "${propagation}" needs a container engine`,
    );
  if (recursive === 'disabled' || recursive === 'writable')
    throw new AppError(
      'unsupported',
      `Cannot mount ${quote(source)}: what is mounted below it comes along here`,
    );
  if (mount.createSource) await mkdir(source, { recursive: true });
  const found = statSync(source, { throwIfNoEntry: false });
  if (found === undefined) throw mountError('bind', `bind source path does not exist: ${source}`);
  return {
    kind: 'data',
    target: mountDestination(mount),
    readOnly: mount.readOnly,
    source: { path: source },
    isFile: !found.isDirectory(),
  };
}

/** Options that bubblewrap lacks (owner, noexec, inodes) take a tmpfs volume for the command's lifetime. */
async function placeTmpfs(mount: TmpfsMount, work: Work): Promise<PlacedMount> {
  const { sizeBytes, mode = 0o1777, readOnly, options } = mount;
  const target = mountDestination(mount);
  // nosuid and nodev hold for all mounts here, and the others are defaults.
  const wanted = options.filter((option) => !['nosuid', 'nodev', 'defaults', 'rw', 'exec'].includes(option));
  if (wanted.length === 0) return { kind: 'tmpfs', target, readOnly, sizeBytes, mode };
  const words = [
    ...(sizeBytes === undefined ? [] : [`size=${sizeBytes}`]),
    `mode=${mode.toString(8)}`,
    ...wanted,
  ];
  const volume = await createAnonymous(work, { type: 'tmpfs', device: 'tmpfs', o: words.join(',') });
  const path = await hold(volume, work);
  return { kind: 'data', target, readOnly, source: { path }, isFile: false };
}

async function placeVolume(mount: VolumeMount, work: Work): Promise<PlacedData> {
  const target = mountDestination(mount);
  const volume = await volumeOf(mount, work);
  const path = await hold(volume, work);
  if (mount.subpath !== undefined) {
    const { fd, isFile } = openSubpath(path, { volume: volume.name, subpath: mount.subpath });
    work.opened.use(fd);
    return { kind: 'data', target, readOnly: mount.readOnly, source: { fd: fd.fd }, isFile };
  }
  if (!mount.noCopy) await fill({ volume, path, target }, work);
  return { kind: 'data', target, readOnly: mount.readOnly, source: { path }, isFile: false };
}

async function volumeOf(mount: VolumeMount, work: Work): Promise<ManagedVolume> {
  const { managed } = work.scope;
  const { source, driver, options, labels } = mount;
  if (source === undefined) return await createAnonymous(work, options, { driver, labels });
  // As for a container, an existing volume is used as it is, unless another driver is requested.
  const existing = await managed.find(source);
  if (existing === undefined) {
    const { signal } = work.options;
    return await managed.create({ name: source, driver: driver ?? 'local', options, labels }, { signal });
  }
  if (driver !== undefined && ![existing.driver, existing.kind, 'holdfast'].includes(driver))
    throw new AppError(
      'conflict',
      `Cannot use volume ${quote(source)} with the driver "${driver}": it is of "${existing.driver}"`,
    );
  return existing;
}

/** A volume that is removed when the command has exited, as with `docker run --rm`. */
async function createAnonymous(
  { scope: { managed }, options: { signal, onNote }, opened }: Work,
  options: Readonly<Record<string, string>>,
  { driver, labels }: { readonly driver?: string | undefined; readonly labels?: VolumeMount['labels'] } = {},
): Promise<ManagedVolume> {
  const volume = await managed.create(
    { name: undefined, driver: driver ?? 'local', options, labels: labels ?? {} },
    { signal },
  );
  opened.defer(async () => {
    try {
      await managed.remove(volume.name, { permanent: true });
    } catch (error) {
      if (!isAppError(error)) throw error;
      onNote?.(`The volume ${quote(volume.name)} is left: ${error.message}`);
    }
  });
  return volume;
}

async function hold(
  volume: ManagedVolume,
  { scope, options: { signal, onNote }, opened }: Work,
): Promise<string> {
  const id = scope.holdId();
  const path = await scope.managed.mount(volume.name, id, { signal });
  opened.defer(async () => {
    try {
      await scope.managed.unmount(volume.name, id);
    } catch (error) {
      // The command is done and its data is there; the next start unmounts.
      if (!isAppError(error)) throw error;
      onNote?.(`The volume ${quote(volume.name)} is still mounted: ${error.message}`);
    }
  });
  return path;
}

/** An empty volume gets what this machine has at the target, root metadata included. */
async function fill(
  {
    volume,
    path,
    target,
  }: { readonly volume: ManagedVolume; readonly path: string; readonly target: string },
  { scope: { stateDir }, options: { signal, onNote } }: Work,
): Promise<void> {
  const root = fromText(path);
  using held = lockVolume(root, { action: 'fill', name: volume.name });
  if (!(await isEmptyVolume(held.root))) return;
  const there = lstatSync(target, { throwIfNoEntry: false });
  if (there?.isDirectory() !== true || readdirSync(target).length === 0) return;
  if (target === stateDir || stateDir.startsWith(`${target === '/' ? '' : target}/`)) {
    throw new AppError(
      'usage',
      `Cannot fill volume ${quote(volume.name)} with ${quote(target)}: the volumes themselves are there`,
      {
        hint: 'Leave the volume empty by "nocopy".',
      },
    );
  }
  onNote?.(`Volume ${quote(volume.name)} is empty: it is filled with what is at ${quote(target)}.`);
  const log = new WorkLog({ signal });
  using from = openTrusted(fromText(target));
  // A half filled volume would look full the next time.
  await fillEmpty(
    held,
    async (stage) => {
      const onProblem = ({ message }: { readonly message: string }): void => onNote?.(`Warning: ${message}`);
      await copyTree(from.self, stage, { signal, onProblem, isStaged: true, setsRoot: false });
      for await (const { entry } of walkTree(from.self, { signal })) return entry;
      return undefined;
    },
    log,
  );
}

interface OpenedPath extends Disposable {
  readonly fd: number;
}

/** Linux's O_PATH. */
const openPath = 0o10000000;

/**
 * Opens a path within a volume step by step, refusing symbolic links, so that nothing leads out of it even if
 * something is put there meanwhile.
 */
function openSubpath(
  root: string,
  { volume, subpath }: { readonly volume: string; readonly subpath: string },
): { readonly fd: OpenedPath; readonly isFile: boolean } {
  if (!isLocalPath(subpath)) throw new AppError('usage', 'subpath must be a relative path within the volume');
  let fd = openSync(root, openPath | constants.O_DIRECTORY);
  try {
    for (const part of cleanPath(subpath).split('/')) {
      if (part === '.') continue;
      const next = openSync(`/proc/self/fd/${fd}/${part}`, openPath | constants.O_NOFOLLOW);
      closeSync(fd);
      fd = next;
      if (fstatSync(fd).isSymbolicLink()) {
        throw new AppError(
          'usage',
          `cannot access path ${quote(subpath)} of volume ${quote(volume)}: ${quote(part)} is a symbolic link`,
        );
      }
    }
    const isFile = !fstatSync(fd).isDirectory();
    const opened = fd;
    return { fd: { fd: opened, [Symbol.dispose]: () => closeSync(opened) }, isFile };
  } catch (error) {
    closeSync(fd);
    if (errnoOf(error) === undefined) throw error;
    const reason = errnoOf(error) === 'ENOENT' ? 'there is no such thing' : (error as Error).message;
    throw new AppError(
      'not-found',
      `cannot access path ${quote(subpath)} of volume ${quote(volume)}: ${reason}`,
    );
  }
}
