import { isAppError, AppError } from '../../model/errors.ts';
import { type ClaimHolder, claimOnMachine, type ClaimOptions } from '../../lib/machine-claim.ts';
import { type DataMount, isActive, type Volume, type VolumeSpec } from '../../model/volume.ts';
import { volumeDifferences } from '../../model/volume-difference.ts';
import type { CallOptions, Host, HostInfo, HostProgram, StreamData, VolumeData } from '../host.ts';
import type { Containers } from '../containers.ts';
import { DockerContainers } from './containers.ts';
import { type DockerEndpoint, type Environment, findDockerEndpoint, parseDockerHost } from './endpoint.ts';
import { EngineClient } from './engine-client.ts';
import type { EngineContainer, EngineInfo, EngineVolume, EngineVolumeList } from './engine-types.ts';
import { inUse, joinVolumes, missingVolumes, ofItsConsumers } from './volumes.ts';
import { removeStaleHelpers } from './helper-container.ts';
import { listContainerMounts } from './mounts.ts';
import { findDirectData, findUnmountedDevice } from './direct-data.ts';
import { openStreamData } from './stream-data.ts';
import { podmanIdentity } from './podman-facts.ts';

export interface DockerHostOptions {
  /** Default: found by `env`. */
  readonly endpoint?: DockerEndpoint | undefined;
  /** Default: the process's own. */
  readonly env?: Environment | undefined;
  /** `auto` uses the direct way where it is certainly correct; `stream` never does. */
  readonly dataWay?: 'auto' | 'stream' | undefined;
  /** Called with warnings in the engine's responses, such as a failing volume driver. */
  readonly onWarning?: ((message: string) => void) | undefined;
  readonly connectTimeoutMs?: number | undefined;
  /** Podman speaks Docker's API with a few differences. Default `docker`. */
  readonly kind?: 'docker' | 'podman' | undefined;
  /** A data stream without progress fails after this long. Default five minutes. */
  readonly streamIdleMs?: number | undefined;
  /** Of `putBackProgram`, which gets the kind and the address of an engine at a socket of this machine. */
  readonly putBackModule?: URL | undefined;
}

/** Opens a Docker Engine as a host. Does not connect yet. */
export async function openDockerHost(options: DockerHostOptions = {}): Promise<Host> {
  const endpoint = options.endpoint ?? (await findDockerEndpoint(options.env ?? process.env));
  return dockerHostOf(new EngineClient(endpoint, { connectTimeoutMs: options.connectTimeoutMs }), options);
}

/** Opens the engine at an address of this machine, `unix:///run/docker.sock`. Does not connect yet. */
export async function openEngine(kind: 'docker' | 'podman', address: string): Promise<Host> {
  return await openDockerHost({ kind, endpoint: parseDockerHost(address) });
}

/** The engine behind a client, as a host. The host owns the client from then on, and closes it. */
export function dockerHostOf(client: EngineClient, options: DockerHostOptions): Host {
  return new DockerHost(client, options);
}

// Modules that few calls need are imported by these calls, so that a list of volumes is instant.

/** Plugins may take two minutes to create or remove a volume. */
const slowDeadlineMs = 150_000;

class DockerHost implements Host {
  readonly kind: 'docker' | 'podman';
  readonly containers: Containers;
  readonly putBackProgram: HostProgram | undefined;
  readonly #client: EngineClient;
  readonly #options: DockerHostOptions;
  #info: Promise<EngineInfo> | undefined;
  #hasTidied = false;

  constructor(client: EngineClient, options: DockerHostOptions) {
    this.#client = client;
    this.#options = options;
    this.kind = options.kind ?? 'docker';
    this.containers = new DockerContainers(client);
    const { endpoint } = client;
    const module = endpoint.kind === 'unix' ? options.putBackModule : undefined;
    this.putBackProgram = module && { module, args: [this.kind, endpoint.address] };
  }

  async info(options: CallOptions = {}): Promise<HostInfo> {
    const info = await this.#engineInfo(options.signal);
    return {
      kind: this.kind,
      identity: await this.#identityOf(info),
      name: info.Name ?? '',
      version: info.ServerVersion ?? '',
      endpoint: this.#client.endpoint.address,
      dataRoot: info.DockerRootDir || undefined,
      isRemote: this.#client.endpoint.kind !== 'unix',
      isRootless: info.SecurityOptions?.includes('name=rootless'),
      isRemapped: info.SecurityOptions?.includes('name=userns'),
    };
  }

  async listVolumes(options: CallOptions = {}): Promise<Volume[]> {
    const { signal } = options;
    const action = 'Cannot list volumes';
    const [list, containers] = await Promise.all([
      this.#client.json<EngineVolumeList>({ method: 'GET', path: '/volumes', action, signal }),
      this.#listContainers({ signal }),
    ]);
    const volumes = list.Volumes ?? [];
    const warnings = list.Warnings ?? [];
    for (const warning of warnings) this.#options.onWarning?.(warning);
    // Volumes that a failing driver hides are known from the containers that mount them. Of a driver whose plugin was
    // removed or turned off, the engine says nothing.
    const missing = missingVolumes(volumes, containers).filter(
      ({ Driver: driver }) => warnings.length > 0 || (Boolean(driver) && driver !== 'local'),
    );
    const answering = new Set(warnings.length > 0 ? [] : volumes.map(({ Driver: driver }) => driver));
    return joinVolumes([...volumes, ...missing], containers).flatMap((volume) => {
      if (!missing.some(({ Name }) => Name === volume.name)) return volume;
      // Its driver lists others: it is gone, and a stopped container still names it.
      if (answering.has(volume.driver) && !volume.consumers.some(isActive)) return [];
      return ofItsConsumers(volume);
    });
  }

  async findVolume(name: string, options: CallOptions = {}): Promise<Volume | undefined> {
    const [volume, containers] = await Promise.all([
      this.#findRaw(name, options.signal),
      this.#listContainers({ signal: options.signal, volume: name }),
    ]);
    return volume === undefined ? undefined : joinVolumes([volume], containers)[0];
  }

  async createVolume(spec: VolumeSpec, options: CallOptions = {}): Promise<Volume> {
    const { signal } = options;
    // The engine reports "created" for an existing name, whatever was requested.
    const existing = spec.name === undefined ? undefined : await this.findVolume(spec.name, options);
    if (existing !== undefined) return agreeing(spec, existing);
    const made = await this.#requestVolume(spec, signal).catch(async (error: unknown) => {
      // Another program was faster: Docker's engine responds with its volume, and Podman refuses.
      if (spec.name === undefined || !isAppError(error, 'conflict')) throw error;
      const theirs = await this.findVolume(spec.name, options);
      if (theirs === undefined) throw error;
      return theirs;
    });
    return agreeing(spec, made);
  }

  async removeVolume(name: string, options: CallOptions = {}): Promise<void> {
    checkReachable(name, `Cannot remove volume "${name}": no such volume`);
    const remove = (): Promise<void> =>
      this.#client.json({
        method: 'DELETE',
        path: `/volumes/${encodeURIComponent(name)}`,
        action: `Cannot remove volume "${name}"`,
        signal: options.signal,
        deadlineMs: slowDeadlineMs,
      });
    try {
      await remove();
    } catch (error) {
      const gone = pluginGone(error);
      if (gone !== undefined) throw gone;
      if (isAppError(error, 'not-found'))
        throw notFound(`Cannot remove volume "${name}": no such volume`, error);
      if (!isAppError(error, 'in-use') && !isAppError(error, 'conflict')) throw error;
      const volume = await this.findVolume(name, options);
      if (volume === undefined) return;
      if (volume.consumers.length > 0) throw inUse(volume, error);
      // A helper may hold it: that of a dead process is removed, and a living one is a valid reason.
      await removeStaleHelpers(this.#client, options.signal);
      await remove().catch((second: unknown) => {
        throw isAppError(second, 'in-use') || isAppError(second, 'conflict') ? inUse(volume, second) : second;
      });
    }
  }

  async listMounts(options: CallOptions = {}): Promise<DataMount[]> {
    return await listContainerMounts(this.#client, options.signal);
  }

  async openData(
    name: string,
    options: CallOptions & { readonly write?: boolean } = {},
  ): Promise<VolumeData> {
    const { signal } = options;
    const write = options.write ?? false;
    await this.#tidyOnce(signal);
    const volume = await this.#findRaw(name, signal);
    if (volume === undefined) throw notFound(`Cannot open volume "${name}": no such volume`);
    if (this.#options.dataWay === 'stream') return await this.#openStream(volume, { write, signal });

    const { kind } = this;
    const info = await this.#engineInfo(signal);
    const question = { kind, endpoint: this.#client.endpoint, info, volume, write, signal };
    const direct = await findDirectData(question);
    if (direct !== undefined) return direct;
    await using opened = new AsyncDisposableStack();
    const stream = opened.use(await this.#openStream(volume, { write, signal }));
    const device = await findUnmountedDevice(question, stream);
    if (device !== undefined) return device;
    opened.move();
    return stream;
  }

  async claim(
    what: string,
    { isShared, ...options }: CallOptions & ClaimOptions = {},
  ): Promise<AsyncDisposable | { readonly heldBy: ClaimHolder }> {
    const { identity } = await this.info(options);
    return await claimOnMachine(`${this.kind} ${identity} ${what}`, { isShared });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client[Symbol.asyncDispose]();
  }

  async #requestVolume(spec: VolumeSpec, signal: AbortSignal | undefined): Promise<Volume> {
    const created = await this.#client.json<EngineVolume>({
      method: 'POST',
      path: '/volumes/create',
      action: spec.name === undefined ? 'Cannot create a volume' : `Cannot create volume "${spec.name}"`,
      json: {
        ...(spec.name === undefined ? {} : { Name: spec.name }),
        Driver: spec.driver,
        DriverOpts: spec.options,
        Labels: spec.labels,
      },
      signal,
      deadlineMs: slowDeadlineMs,
    });
    const [volume] = joinVolumes([created], []);
    return volume as Volume;
  }

  async #openStream(
    volume: EngineVolume,
    options: CallOptions & { readonly write: boolean },
  ): Promise<StreamData> {
    await using opened = new AsyncDisposableStack();
    const idleMs = this.#options.streamIdleMs ?? 300_000;
    const data = opened.use(
      await openStreamData(this.#client, { kind: this.kind, volume: volume.Name, idleMs, ...options }),
    );
    // A helper makes the engine create a missing volume: what we hold must be what we found.
    const held = await this.#findRaw(volume.Name, options.signal);
    if (held?.CreatedAt !== volume.CreatedAt || held?.Driver !== volume.Driver) {
      throw notFound(`Cannot open volume "${volume.Name}": it was removed or replaced in the meantime`);
    }
    opened.move();
    return data;
  }

  async #identityOf(info: EngineInfo): Promise<string> {
    if (this.kind === 'docker') return info.ID ?? '';
    return await podmanIdentity(info, this.#client.endpoint);
  }

  async #engineInfo(signal: AbortSignal | undefined): Promise<EngineInfo> {
    // No caller's signal cancels it, as others may wait for the same response; its deadline is short.
    signal?.throwIfAborted();
    this.#info ??= this.#client
      .json<EngineInfo>({ method: 'GET', path: '/info', action: 'Cannot ask the engine about itself' })
      .catch((error: unknown) => {
        this.#info = undefined;
        throw error;
      });
    return await this.#info;
  }

  async #findRaw(name: string, signal: AbortSignal | undefined): Promise<EngineVolume | undefined> {
    if (!isReachable(name)) return undefined;
    try {
      return await this.#client.json<EngineVolume>({
        method: 'GET',
        path: `/volumes/${encodeURIComponent(name)}`,
        action: `Cannot inspect volume "${name}"`,
        signal,
      });
    } catch (caught) {
      const error = pluginGone(caught) ?? caught;
      if (isAppError(error, 'not-found')) return undefined;
      throw error;
    }
  }

  async #listContainers(
    options: CallOptions & { readonly volume?: string },
  ): Promise<readonly EngineContainer[]> {
    const filters =
      options.volume === undefined
        ? ''
        : `&filters=${encodeURIComponent(JSON.stringify({ volume: [options.volume] }))}`;
    return await this.#client.json<readonly EngineContainer[]>({
      method: 'GET',
      path: `/containers/json?all=1${filters}`,
      action: 'Cannot list containers',
      signal: options.signal,
    });
  }

  async #tidyOnce(signal: AbortSignal | undefined): Promise<void> {
    if (this.#hasTidied) return;
    this.#hasTidied = true;
    await removeStaleHelpers(this.#client, signal);
  }
}

function agreeing(spec: VolumeSpec, volume: Volume): Volume {
  const differences = volumeDifferences(spec, volume);
  if (differences.length === 0) return volume;
  throw new AppError('conflict', `Cannot create volume "${volume.name}": it exists and differs`, {
    detail: differences.join('\n'),
    hint: 'Choose another name, or ask for the volume as it is.',
  });
}

/** The engine's router reads `.` and `..` as parts of a path, and no volume can have such a name. */
function isReachable(name: string): boolean {
  return name !== '' && !name.split('/').some((part) => part === '.' || part === '..');
}

/**
 * The engine's 404 for a volume that it knows and whose plugin is gone, as the `conflict` that it says while the plugin
 * is turned off: no other volume can have its name, and its data comes back with the plugin.
 */
function pluginGone(error: unknown): AppError | undefined {
  if (!isAppError(error, 'not-found') || !/looking up volume plugin/i.test(error.detail ?? ''))
    return undefined;
  const { message, detail } = error;
  return new AppError('conflict', message, {
    detail,
    hint: 'Its data comes back with its plugin. "holdfast doctor" says more.',
    cause: error,
  });
}

function checkReachable(name: string, message: string): void {
  if (!isReachable(name)) throw notFound(message);
}

function notFound(message: string, cause?: unknown): AppError {
  return new AppError('not-found', message, { hint: 'List what there is with "holdfast volume ls".', cause });
}
