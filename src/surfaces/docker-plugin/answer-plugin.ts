import type { ManagedVolume, ManagedVolumes } from '../../app/app.ts';
import { AppError, isAppError } from '../../model/errors.ts';
import { quote } from '../../model/quote.ts';
import { refuseCommands } from '../refuse-commands.ts';
import { holdOf } from './holder.ts';
import type { PluginAnswer, PluginRequest, PluginVolume } from './protocol.ts';

export type PluginVolumes = Pick<
  ManagedVolumes,
  | 'create'
  | 'find'
  | 'list'
  | 'remove'
  | 'mount'
  | 'unmount'
  | 'label'
  | 'lastHealth'
  | 'health'
  | 'reconcile'
>;

/** Answers one request. Throws what the engine gets as this request's failure. */
type Method = (volumes: PluginVolumes, request: PluginRequest, caller: Caller) => Promise<PluginAnswer>;

interface Caller {
  readonly signal: AbortSignal;
  /** The engine's process, when it is known. */
  readonly pid: number | undefined;
}

/** The engine gives up on these after two minutes, and on all others after one. */
const slowMs = 110_000;
const quickMs = 50_000;

interface MethodSpec {
  readonly answer: Method;
  readonly timeoutMs: number;
  /**
   * True for a lookup, which must not fail for a temporary reason: the engine would take the volume for gone
   * and forget it.
   */
  readonly isLookup?: boolean;
}

/** Every method of the volume plugin protocol, each of which may be repeated. */
export const pluginMethods: Readonly<Record<string, MethodSpec>> = {
  'VolumeDriver.Create': { answer: create, timeoutMs: slowMs },
  'VolumeDriver.Remove': { answer: remove, timeoutMs: quickMs },
  'VolumeDriver.Mount': { answer: mount, timeoutMs: slowMs },
  'VolumeDriver.Unmount': { answer: unmount, timeoutMs: quickMs },
  'VolumeDriver.Path': { answer: path, timeoutMs: quickMs, isLookup: true },
  'VolumeDriver.Get': { answer: get, timeoutMs: quickMs, isLookup: true },
  'VolumeDriver.List': { answer: list, timeoutMs: quickMs, isLookup: true },
};

async function create(
  volumes: PluginVolumes,
  { name, options }: PluginRequest,
  { signal }: Caller,
): Promise<PluginAnswer> {
  refuseCommands(options, `create volume ${quote(name)}`);
  // The option "type" names the kind of storage.
  await volumes.create({ name: named(name), driver: 'local', options, labels: {} }, { signal });
  return { Err: '' };
}

/** To the trash. Succeeds for one that is gone: the answer to the first attempt may have been lost. */
async function remove(
  volumes: PluginVolumes,
  { name }: PluginRequest,
  { signal }: Caller,
): Promise<PluginAnswer> {
  try {
    await volumes.remove(named(name), { signal });
  } catch (error) {
    if (!isAppError(error, 'not-found')) throw error;
  }
  return { Err: '' };
}

async function mount(
  volumes: PluginVolumes,
  { name, id }: PluginRequest,
  { signal, pid }: Caller,
): Promise<PluginAnswer> {
  const hold = holdOf(await volumes.find(named(name)), { id, pid });
  return { Mountpoint: await volumes.mount(name, hold, { signal }), Err: '' };
}

async function unmount(
  volumes: PluginVolumes,
  { name, id }: PluginRequest,
  { signal, pid }: Caller,
): Promise<PluginAnswer> {
  const hold = holdOf(await volumes.find(named(name)), { id, pid });
  await volumes.unmount(name, hold, { signal });
  return { Err: '' };
}

async function path(volumes: PluginVolumes, { name }: PluginRequest): Promise<PluginAnswer> {
  const volume = await existing(volumes, name);
  return { Mountpoint: seenAt(volume) ?? '', Err: '' };
}

async function get(volumes: PluginVolumes, { name }: PluginRequest): Promise<PluginAnswer> {
  return { Volume: describe(volumes, await existing(volumes, name)), Err: '' };
}

async function list(volumes: PluginVolumes): Promise<PluginAnswer> {
  const all = await volumes.list();
  return { Volumes: all.map((volume) => describe(volumes, volume)), Err: '' };
}

async function existing(volumes: PluginVolumes, name: string): Promise<ManagedVolume> {
  const volume = await volumes.find(named(name));
  if (volume === undefined) throw new AppError('not-found', `no such volume: ${name}`);
  return volume;
}

/** From the catalog: never waits for the volume's storage. */
function describe(volumes: PluginVolumes, volume: ManagedVolume): PluginVolume {
  const { status, message } = volumes.lastHealth(volume.name);
  const seen = seenAt(volume);
  const createdAt = wholeSeconds(volume.createdAt);
  return {
    Name: volume.name,
    ...(seen !== undefined && { Mountpoint: seen }),
    ...(createdAt !== undefined && { CreatedAt: createdAt }),
    Status: {
      kind: volume.kind,
      mounted: volume.isMounted,
      mounts: volume.mountIds.length,
      ...(volume.isProtected && { protected: true }),
      health: status,
      ...(message !== undefined && { message }),
    },
  };
}

/** Without a mount there is nothing to show, and the path would be an empty directory. */
function seenAt(volume: ManagedVolume): string | undefined {
  return volume.isMounted ? volume.mountpoint : undefined;
}

function wholeSeconds(time: string | undefined): string | undefined {
  const ms = Date.parse(time ?? '');
  return Number.isNaN(ms) ? undefined : new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');
}

/** An engine that retries after its connection was cut may have lost the body. */
function named(name: string): string {
  if (name === '') throw new AppError('usage', 'The request names no volume', { hint: 'Try again.' });
  return name;
}
