import { lstatSync } from 'node:fs';
import { hostname } from 'node:os';
import { resolve } from 'node:path';
import type { Catalog } from '../../catalog/catalog.ts';
import type { Drivers } from '../../drivers/driver.ts';
import { DirectoryHandle } from '../../lib/directory-handle.ts';
import { hasLastingInodes } from '../../lib/filesystem-type.ts';
import { knownError } from '../../lib/known-error.ts';
import { isSameFile, openTrusted } from '../../lib/open-trusted.ts';
import { version } from '../../lib/version.ts';
import { fromText } from '../../model/byte-string.ts';
import { AppError } from '../../model/errors.ts';
import { quote } from '../../model/quote.ts';
import type { DataMount, Volume, VolumeSpec } from '../../model/volume.ts';
import type { CallOptions, DirectoryData, Host, HostInfo } from '../../hosts/host.ts';
import type { ManagedVolume, ManagedVolumes } from './managed-volumes.ts';
import { type VolumeState, isPlain, kindOf, requireRecord, type Storage, storageOf } from './volume-state.ts';
import { DriverVolumes } from './driver-volumes.ts';
import { finishInterrupted } from './finish-interrupted.ts';
import { hasMigrationMark } from './marks.ts';
import { processHoldId } from './hold-id.ts';
import { VolumeFolders } from './volume-folders.ts';

export interface ManagedHostOptions {
  /** Volumes lie at `volumes/NAME/_data` below it. Created if missing. */
  readonly stateDir: string;
  /** Not closed with the host. */
  readonly catalog: Catalog;
  readonly drivers: Drivers;
  /** How long removed volumes stay in the trash. Default: a week. */
  readonly trashKeepMs?: number | undefined;
  readonly onWarning?: ((message: string) => void) | undefined;
}

const weekMs = 7 * 24 * 3600 * 1000;

/** The host for machines without a container engine (`--host embedded`): its volumes are the managed ones. */
export interface ManagedHost extends Host {
  readonly managed: ManagedVolumes;
}

/** Also finishes interrupted work. */
export async function openManagedHost(options: ManagedHostOptions): Promise<ManagedHost> {
  const folders = await VolumeFolders.open(resolve(options.stateDir));
  const { catalog, drivers, onWarning, trashKeepMs = weekMs } = options;
  const state = { folders, catalog, drivers };
  await finishInterrupted(state, onWarning);
  const managed = new DriverVolumes(state, { trashKeepMs, onWarning });
  managed.tidyUp();
  return new OwnHost(state, managed);
}

class OwnHost implements ManagedHost {
  readonly kind = 'embedded';
  readonly containers = undefined;
  readonly managed: DriverVolumes;
  readonly #state: VolumeState;

  constructor(state: VolumeState, managed: DriverVolumes) {
    this.#state = state;
    this.managed = managed;
  }

  async info(): Promise<HostInfo> {
    return {
      kind: 'embedded',
      identity: this.#state.catalog.stateId(),
      name: hostname(),
      version,
      endpoint: this.#state.folders.stateDir,
    };
  }

  async listVolumes(): Promise<Volume[]> {
    return (await this.managed.list()).map(asVolume);
  }

  async findVolume(name: string): Promise<Volume | undefined> {
    const found = await this.managed.find(name);
    return found && asVolume(found);
  }

  async createVolume(spec: VolumeSpec, options: CallOptions = {}): Promise<Volume> {
    return asVolume(await this.managed.create(spec, options));
  }

  async removeVolume(name: string, options: CallOptions = {}): Promise<void> {
    if (options.signal?.aborted === true) throw cancelled(`Cannot remove volume "${name}"`, options.signal);
    await this.managed.remove(name, { ...options, permanent: true, isHeld: true });
  }

  async listMounts(): Promise<DataMount[]> {
    return [];
  }

  async openData(
    name: string,
    options: CallOptions & { readonly write?: boolean } = {},
  ): Promise<DirectoryData> {
    if (options.signal?.aborted === true) throw cancelled(`Cannot open volume "${name}"`, options.signal);
    const record = requireRecord(this.#state, { name, action: 'open' });
    await this.#state.folders.check(name);
    // A volume that is written to is held, so that it does not move to other storage meanwhile.
    if (isPlain(record) && options.write !== true && !hasMigrationMark(this.#state.folders.path(name))) {
      const root = fromText(this.#state.folders.dataPath(name));
      const folder = this.#inodeOf(name);
      return { way: 'direct', root, [Symbol.asyncDispose]: async () => this.#requireSame(name, folder) };
    }
    const id = processHoldId();
    const root = fromText(await this.managed.mount(name, id, options));
    await using opened = new AsyncDisposableStack();
    opened.defer(() => this.managed.unmount(name, id));
    if (options.write === true && kindOf(record) === 'bind')
      refuseOtherDevice(await storageOf(this.#state, record));
    const held = opened.move();
    return { way: 'direct', root, [Symbol.asyncDispose]: () => held.disposeAsync() };
  }

  #inodeOf(name: string): bigint | undefined {
    return lstatSync(this.#state.folders.path(name), { bigint: true, throwIfNoEntry: false })?.ino;
  }

  /** A reader without a hold may have seen an empty directory where other storage is mounted now. */
  #requireSame(name: string, folder: bigint | undefined): void {
    const now = this.#inodeOf(name);
    if (now === undefined || now === folder) return;
    throw new AppError('conflict', `Volume ${quote(name)} was moved to other storage while it was read`, {
      hint: 'Do it again: what was read may not be all of it.',
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // The catalog is the caller's.
    await this.managed[Symbol.asyncDispose]();
  }
}

/** Only the fields that every host has. */
function asVolume(volume: ManagedVolume): Volume {
  const { name, driver, mountpoint, createdAt, labels, options, scope, anonymous, stack, consumers } = volume;
  return { name, driver, mountpoint, createdAt, labels, options, scope, anonymous, stack, consumers };
}

function cancelled(action: string, signal: AbortSignal): AppError {
  return new AppError('cancelled', `${action}: cancelled`, { cause: signal.reason });
}

/**
 * For Holdfast's own writes to a mounted volume. mount(8) looks up a bind volume's device by its path, which
 * the user who owns the parent folder can lead to any directory of this machine. Throws `denied` for a
 * symbolic link on the way that another user can change, and `conflict` when something else is mounted than
 * what the path leads to.
 */
function refuseOtherDevice({ driver, volume }: Storage): void {
  const { device } = volume.options;
  if (driver.kind !== 'bind' || device === undefined) return;
  const cannot = `Cannot write to volume ${quote(volume.name)}`;
  try {
    using wanted = openTrusted(fromText(resolve(device)));
    using mounted = DirectoryHandle.open(fromText(volume.mountpoint));
    if (isSameFile(wanted.stat(), mounted.stat()) || !hasLastingInodes(mounted.self)) return;
  } catch (error) {
    throw knownError(error, cannot);
  }
  throw new AppError(
    'conflict',
    `${cannot}: another directory is mounted than ${quote(device)}, which was moved or replaced`,
    { hint: 'Stop what uses the volume, so that it is mounted anew.' },
  );
}
