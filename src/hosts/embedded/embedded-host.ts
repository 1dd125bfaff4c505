import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { resolve } from 'node:path';
import type { Catalog, EmbeddedVolumeRecord } from '../../catalog/catalog.ts';
import { version } from '../../lib/version.ts';
import { fromText } from '../../model/byte-string.ts';
import { AppError } from '../../model/errors.ts';
import type { DataMount, Volume, VolumeSpec } from '../../model/volume.ts';
import { volumeDifferences } from '../../model/volume-difference.ts';
import { checkVolumeName } from '../../model/volume-name.ts';
import type { CallOptions, DirectoryData, Host, HostInfo } from '../host.ts';
import { finishInterrupted } from './finish-interrupted.ts';
import { discard, moveToTrash } from './trash.ts';
import { VolumeFolders } from './volume-folders.ts';

export interface EmbeddedHostOptions {
  /** Volumes lie at `volumes/NAME/_data` below it. Made when missing. */
  readonly stateDir: string;
  /** Not closed with the host. */
  readonly catalog: Catalog;
}

/** Opens the host for machines without a container engine: volumes are plain directories. Finishes what was interrupted. */
export async function openEmbeddedHost(options: EmbeddedHostOptions): Promise<Host> {
  const folders = await VolumeFolders.open(resolve(options.stateDir));
  await finishInterrupted(folders, options.catalog);
  return new EmbeddedHost(folders, options.catalog);
}

const anonymousLabel = 'com.docker.volume.anonymous';

/** The catalog's record is what makes a volume; its directory is made before the record, and goes before it. */
class EmbeddedHost implements Host {
  readonly kind = 'embedded';
  readonly containers = undefined;
  readonly #folders: VolumeFolders;
  readonly #catalog: Catalog;

  constructor(folders: VolumeFolders, catalog: Catalog) {
    this.#folders = folders;
    this.#catalog = catalog;
  }

  async info(): Promise<HostInfo> {
    return {
      kind: 'embedded',
      identity: this.#catalog.stateId(),
      name: hostname(),
      version,
      endpoint: this.#folders.stateDir,
    };
  }

  async listVolumes(): Promise<Volume[]> {
    return this.#catalog
      .listEmbeddedVolumes()
      .map((record) => this.#toVolume(record))
      .toSorted((left, right) => (left.name < right.name ? -1 : 1));
  }

  async findVolume(name: string): Promise<Volume | undefined> {
    const record = this.#catalog.findEmbeddedVolume(name);
    return record === undefined ? undefined : this.#toVolume(record);
  }

  async createVolume(spec: VolumeSpec, options: CallOptions = {}): Promise<Volume> {
    const record = recordFor(spec);
    throwIfAborted(options.signal, `Cannot create volume "${record.name}": cancelled`);
    const existing = this.#catalog.findEmbeddedVolume(record.name);
    if (existing !== undefined) return await this.#agreeing(spec, existing);
    await this.#folders.create(record.name);
    await this.#refuseForeignData(record.name);
    if (this.#catalog.addEmbeddedVolume(record)) return this.#toVolume(record);
    // Somebody else was faster; the directory serves both of us.
    const winner = this.#catalog.findEmbeddedVolume(record.name);
    if (winner !== undefined) return await this.#agreeing(spec, winner);
    throw new AppError('failed', `Cannot create volume "${record.name}": it was removed at the same moment`, {
      hint: 'Try again.',
    });
  }

  async removeVolume(name: string, options: CallOptions = {}): Promise<void> {
    if (this.#catalog.findEmbeddedVolume(name) === undefined)
      throw noSuchVolume(`Cannot remove volume "${name}"`);
    throwIfAborted(options.signal, `Cannot remove volume "${name}": cancelled`);
    const trashed = await moveToTrash(this.#folders, name);
    this.#catalog.removeEmbeddedVolume(name);
    // From here on the volume is gone; what is left of the work is done at the next start when we do not get to it.
    if (trashed !== undefined) await discard(trashed, options.signal);
  }

  async listMounts(): Promise<DataMount[]> {
    return [];
  }

  async openData(name: string, options: CallOptions = {}): Promise<DirectoryData> {
    throwIfAborted(options.signal, `Cannot open volume "${name}": cancelled`);
    if (this.#catalog.findEmbeddedVolume(name) === undefined)
      throw noSuchVolume(`Cannot open volume "${name}"`);
    await this.#folders.check(name);
    return {
      way: 'direct',
      root: fromText(this.#folders.dataPath(name)),
      [Symbol.asyncDispose]: async () => undefined,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // The catalog is the caller's.
  }

  async #agreeing(spec: VolumeSpec, record: EmbeddedVolumeRecord): Promise<Volume> {
    await this.#folders.check(record.name);
    const volume = this.#toVolume(record);
    const differences = volumeDifferences(spec, volume);
    if (differences.length === 0) return volume;
    throw new AppError('conflict', `Cannot create volume "${record.name}": it exists and differs`, {
      detail: differences.join('\n'),
      hint: 'Choose another name, or ask for the volume as it is.',
    });
  }

  /** Data that no record speaks of is somebody's: a new volume must neither show it nor hide it. */
  async #refuseForeignData(name: string): Promise<void> {
    if (await this.#folders.isEmpty(name)) return;
    if (this.#catalog.findEmbeddedVolume(name) !== undefined) return;
    throw new AppError('exists', `Cannot create volume "${name}": there is data in its place already`, {
      hint: `Move "${this.#folders.path(name)}" away, or choose another name.`,
    });
  }

  #toVolume(record: EmbeddedVolumeRecord): Volume {
    return {
      name: record.name,
      driver: record.driver,
      mountpoint: this.#folders.dataPath(record.name),
      createdAt: record.createdAt,
      labels: record.labels,
      options: record.options,
      scope: 'local',
      anonymous: record.anonymous,
      stack: record.labels['com.docker.compose.project'],
      consumers: [],
    };
  }
}

function recordFor(spec: VolumeSpec): EmbeddedVolumeRecord {
  const name = spec.name ?? randomBytes(32).toString('hex');
  checkVolumeName(name);
  if (spec.driver !== 'local' && spec.driver !== '') {
    throw new AppError(
      'unsupported',
      `Cannot create volume "${name}": without a container engine there is no driver "${spec.driver}"`,
      {
        hint: 'Leave the driver out, or choose a host with an engine by --host.',
      },
    );
  }
  const options = Object.keys(spec.options);
  if (options.length > 0) {
    throw new AppError(
      'unsupported',
      `Cannot create volume "${name}": without a container engine there are no options, and "${options[0]}" is one`,
      {
        hint: 'Leave the options out, or choose a host with an engine by --host.',
      },
    );
  }
  const anonymous = spec.name === undefined;
  return {
    name,
    driver: 'local',
    createdAt: new Date().toISOString(),
    labels: anonymous ? { ...spec.labels, [anonymousLabel]: '' } : spec.labels,
    options: {},
    anonymous,
  };
}

function noSuchVolume(action: string): AppError {
  return new AppError('not-found', `${action}: no such volume`, {
    hint: 'List what there is with "holdfast volume ls".',
  });
}

function throwIfAborted(signal: AbortSignal | undefined, message: string): void {
  if (signal?.aborted === true) throw new AppError('cancelled', message, { cause: signal.reason });
}
