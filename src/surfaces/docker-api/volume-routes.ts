import { randomBytes } from 'node:crypto';
import type { ManagedVolume } from '../../app/app.ts';
import { type AppError, isAppError } from '../../model/errors.ts';
import { quote } from '../../model/quote.ts';
import { storageKind } from '../../model/storage-kind.ts';
import type { VolumeSpec } from '../../model/volume.ts';
import { refuseCommands } from '../refuse-commands.ts';
import { readCreateBody, type CreateBody } from './api-body.ts';
import { ApiError, prefixed } from './api-error.ts';
import { listFilter, passes, pruneFilter, referencesOf } from './api-filters.ts';
import type { ApiCall, ApiParts } from './api-parts.ts';
import { isOlder } from './api-version.ts';
import { toApiVolume, toInspectedVolume } from './api-volume.ts';
import { sendEmpty, sendJson, sendText } from './send.ts';
import { measureDirectory } from './measure.ts';

export async function listVolumes({ volumes, texts }: ApiParts, { query, response }: ApiCall): Promise<void> {
  const filter = listFilter(query.get('filters'));
  const found = (await volumes.list()).filter((volume) => passes(volume, filter));
  const listed = found.map((volume) => texts.of(volume)).join(',');
  sendText(response, 200, { type: 'application/json', text: `{"Volumes":[${listed}],"Warnings":null}\n` });
}

export async function createVolume(
  { volumes }: ApiParts,
  { request, response, signal }: ApiCall,
): Promise<void> {
  const body = await readCreateBody(request);
  if (body.isCluster) {
    throw new ApiError(
      503,
      'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.',
    );
  }
  sendJson(response, 201, toApiVolume(await create(volumes, body, signal)));
}

async function create(
  volumes: ApiParts['volumes'],
  body: CreateBody,
  signal: AbortSignal,
): Promise<ManagedVolume> {
  const spec = specOf(body);
  const name = spec.name ?? randomBytes(32).toString('hex');
  const refusal = isLocal(body) ? refusalOfMount(body.options) : undefined;
  if (refusal !== undefined) throw new ApiError(400, `create ${name}: ${refusal}`);
  try {
    refuseCommands(body.options, `create volume ${quote(name)}`);
    return await volumes.create(spec, { signal });
  } catch (error) {
    if (!isAppError(error)) throw error;
    const isUnknown = error.code === 'unsupported' && !isDriver(spec);
    const existing = isUnknown || error.code === 'conflict' ? await volumes.find(name) : undefined;
    if (existing === undefined && isUnknown) throw noSuchDriver(name, spec.driver);
    if (existing === undefined) throw prefixed(`create ${name}`, inEngineWords(error, body));
    // The engine returns the existing volume, whichever labels and options were requested; another driver is
    // a conflict.
    if (body.driver === '' || existing.driver === spec.driver) return existing;
    throw new ApiError(
      409,
      `create ${name}: driver '${existing.driver}' already has volume '${name}': volume name must be unique`,
    );
  }
}

function isDriver(spec: VolumeSpec): boolean {
  try {
    storageKind(spec);
    return true;
  } catch (error) {
    return !isAppError(error, 'unsupported');
  }
}

/** In the engine's words: to it, any driver but its own is a plugin. */
function noSuchDriver(name: string, driver: string): ApiError {
  return new ApiError(
    404,
    `create ${name}: error looking up volume plugin ${driver}: plugin ${JSON.stringify(driver)} not found`,
  );
}

/** As a driver, the plugin's name `holdfast` means the same as at an engine. */
function specOf({ name, driver, options, labels }: CreateBody): VolumeSpec {
  const isOwn = driver === '' || driver === 'holdfast';
  return { name: name === '' ? undefined : name, driver: isOwn ? 'local' : driver, options, labels };
}

/** A request for the engine's own driver: it gets that driver's messages and options only. */
function isLocal({ driver }: CreateBody): boolean {
  return driver === '' || driver === 'local';
}

function inEngineWords(error: AppError, body: CreateBody): AppError {
  if (!isLocal(body) || error.code !== 'usage') return error;
  return new ApiError(400, refusalOfLocalOptions(body.options) ?? error.message);
}

export async function inspectVolume({ volumes }: ApiParts, { name, response }: ApiCall): Promise<void> {
  const volume = name === '' ? undefined : await volumes.find(name);
  if (volume === undefined) throw noSuchVolume(name);
  sendJson(response, 200, toInspectedVolume(volume, volumes.lastHealth(name)));
}

export async function removeVolume(
  { volumes }: ApiParts,
  { name, query, response, signal }: ApiCall,
): Promise<void> {
  const volume = name === '' ? undefined : await volumes.find(name);
  if (volume === undefined) {
    if (!isTrue(query.get('force'))) throw noSuchVolume(name);
    return sendEmpty(response, 204);
  }
  const references = referencesOf(volume);
  if (references.length > 0) throw inUse(name, references);
  try {
    await volumes.remove(name, { signal });
  } catch (error) {
    if (isAppError(error, 'in-use')) throw inUse(name, referencesOf((await volumes.find(name)) ?? volume));
    // Another client was faster.
    if (!isAppError(error)) throw error;
    if (error.code !== 'not-found') throw prefixed(`remove ${name}`, error);
  }
  sendEmpty(response, 204);
}

const anonymousLabel = 'com.docker.volume.anonymous';

/**
 * As the engine decides: unused volumes of the driver `local` without options, and only anonymous ones unless
 * `all` is set.
 */
export async function pruneVolumes(parts: ApiParts, call: ApiCall): Promise<void> {
  const { volumes, events, pruning } = parts;
  const { query, response, version, signal } = call;
  const filter = pruneFilter(query.get('filters'), { takesAll: !isOlder(version, '1.42') });
  if (pruning.isRunning) throw new ApiError(409, 'a prune operation is already running');
  pruning.isRunning = true;
  try {
    const chosen = (await volumes.list()).filter(
      (volume) =>
        passes(volume, { ...filter, dangling: true }) &&
        volume.driver === 'local' &&
        Object.keys(volume.options).length === 0 &&
        // The label is what the engine goes by, whatever program set it.
        (filter.all || Object.hasOwn(volume.labels, anonymousLabel)),
    );
    const removed: string[] = [];
    let reclaimed = 0;
    for (const { name, mountpoint } of chosen) {
      const bytes = await measureDirectory(mountpoint, signal);
      try {
        await volumes.remove(name, { signal });
      } catch (error) {
        // As the engine does: a volume that came into use, or is protected, stays, and the others are
        // removed.
        if (!isAppError(error) || error.code === 'cancelled') throw error;
        continue;
      }
      removed.push(name);
      reclaimed += Math.max(bytes, 0);
    }
    events.note('prune', '', { reclaimed: String(reclaimed) });
    sendJson(response, 200, { VolumesDeleted: removed, SpaceReclaimed: reclaimed });
  } finally {
    pruning.isRunning = false;
  }
}

export async function updateVolume(): Promise<void> {
  throw new ApiError(503, 'volume update only valid for cluster volumes, but swarm is unavailable');
}

/** The engine takes every text for true but a few words. */
export function isTrue(text: string | null): boolean {
  return !['', '0', 'no', 'false', 'none'].includes((text ?? '').trim().toLowerCase());
}

function noSuchVolume(name: string): ApiError {
  return new ApiError(404, `get${name === '' ? '' : ` ${name}`}: no such volume`);
}

function inUse(name: string, references: readonly string[]): ApiError {
  return new ApiError(409, `remove ${name}: volume is in use - [${references.join(', ')}]`);
}

/** The error of the engine's own driver for options, in its words; undefined when it accepts them. */
function refusalOfLocalOptions(options: Readonly<Record<string, string>>): string | undefined {
  const unknown = Object.keys(options).find((key) => !['type', 'device', 'o', 'size'].includes(key));
  if (unknown !== undefined) return `invalid option: ${JSON.stringify(unknown)}`;
  const mount = refusalOfMount(options);
  if (mount !== undefined) return mount;
  const { size } = options;
  if (size !== undefined && !/^\d+(?:\.\d+)? ?(?:[kmgtp]i?b?|b)?$/i.test(size))
    return `invalid size: '${size}'`;
  return undefined;
}

/** A mount needs its type and its device, even where the driver itself needs less. */
function refusalOfMount(options: Readonly<Record<string, string>>): string | undefined {
  const needs = (key: string, others: readonly string[]): boolean =>
    others.some((other) => other in options) && !(key in options);
  if (needs('device', ['type', 'o'])) return 'missing required option: "device"';
  if (needs('type', ['device', 'o'])) return 'missing required option: "type"';
  return undefined;
}
