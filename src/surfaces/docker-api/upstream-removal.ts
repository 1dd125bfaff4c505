import { lstat } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { dirname, join } from 'node:path';
import type { ForeignVolume } from '../../app/app.ts';
import { isAppError } from '../../model/errors.ts';
import { matchesFilter } from '../../model/filter.ts';
import { ApiError, prefixed } from './api-error.ts';
import { pruneFilter } from './api-filters.ts';
import { isOlder } from './api-version.ts';
import type { ApiVolume } from './api-volume.ts';
import { askUpstream, jsonOf, type UpstreamAnswer } from './ask-upstream.ts';
import { measureDirectory } from './measure.ts';
import { sendEmpty, sendJson, sendText } from './send.ts';
import type { Upstream } from './send-upstream.ts';
import type { UpstreamRequest } from './upstream-request.ts';

/** Moves a volume of another engine into the trash, around that engine's own removal. */
export type TrashForeign = (volume: ForeignVolume, removeThere: () => Promise<boolean>) => Promise<boolean>;

export interface RemovalParts {
  readonly upstream: Upstream;
  readonly trash: TrashForeign;
  /** The volume must stay. Throws when that is unknown. */
  readonly isProtected: (name: string) => Promise<boolean>;
  readonly pruning: { isRunning: boolean };
}

/**
 * `DELETE /volumes/NAME`: data that can be kept goes to the trash; the engine removes the rest and answers.
 */
export async function removeUpstream(
  parts: RemovalParts,
  { version, name, query }: Extract<UpstreamRequest, { kind: 'remove-volume' }>,
  response: ServerResponse,
): Promise<void> {
  const answer = await removeOne(parts, {
    version,
    name,
    query: query.size === 0 ? '' : `?${query.toString()}`,
  });
  response.setHeaders(parts.upstream.says);
  if (answer.status === 204 || answer.text === '') return sendEmpty(response, answer.status);
  sendText(response, answer.status, { type: answer.contentType, text: answer.text });
}

/** The volume that an answer describes; undefined when it describes none. */
function volumeIn(answer: UpstreamAnswer): ApiVolume | undefined {
  const said = jsonOf<Partial<ApiVolume> | null>(answer);
  const isVolume = typeof said?.Name === 'string' && typeof said.Mountpoint === 'string';
  return isVolume ? (said as ApiVolume) : undefined;
}

/**
 * The content of a good answer; undefined when the engine refuses the request. Throws when it does neither.
 */
function told<T>(
  answer: UpstreamAnswer,
  understood: (answer: UpstreamAnswer) => T | undefined,
  complaint: string,
): T | undefined {
  const said = understood(answer);
  const isRefusal = answer.status >= 400 && answer.status <= 499;
  if (said === undefined && !isRefusal) throw new ApiError(503, complaint);
  return said;
}

interface Removal {
  readonly version: string;
  readonly name: string;
  readonly query: string;
}

async function removeOne(
  { upstream, trash, isProtected }: RemovalParts,
  { version, name: asked, query }: Removal,
): Promise<UpstreamAnswer> {
  // Podman accepts the prefix of a name.
  const there = told(
    await askUpstream(upstream, { method: 'GET', path: `/volumes/${encodeURIComponent(asked)}` }),
    volumeIn,
    `remove ${asked}: the engine does not tell what it is`,
  );
  const name = there?.Name ?? asked;
  if (await isProtected(name))
    return refusal(
      `remove ${name}: the volume is protected: "holdfast volume unprotect ${name}" takes that away`,
    );
  // Exactly the name that was looked up, however the request spelled it.
  const path = `${version}/volumes/${encodeURIComponent(name)}${query}`;
  const removeThere = (): Promise<UpstreamAnswer> => askUpstream(upstream, { method: 'DELETE', path });
  const volume = there && (await keepable(upstream, there));
  if (volume === undefined) return await removeThere();
  let answer: UpstreamAnswer | undefined;
  try {
    await trash(volume, async () => {
      answer = await removeThere();
      return answer.status === 204;
    });
  } catch (error) {
    if (!isAppError(error)) throw error;
    // A prune goes on with the others.
    if (error.code === 'locked') return refusal(`remove ${name}: ${error.message}`);
    throw prefixed(`remove ${name}`, error);
  }
  return answer ?? { status: 204, contentType: '', text: '' };
}

function refusal(message: string): UpstreamAnswer {
  return { status: 409, contentType: 'application/json', text: JSON.stringify({ message }) };
}

/**
 * The volume when its data can go to the trash: a plain directory of the engine's own driver, on this
 * machine, that no container refers to. For all others the engine removes what is its own, and reports
 * errors. Throws when the engine does not say whether containers refer to it.
 */
async function keepable(upstream: Upstream, volume: ApiVolume): Promise<ForeignVolume | undefined> {
  const { Name: name } = volume;
  if (name === '' || name.includes('/')) return undefined;
  if (volume.Driver !== 'local' || Object.keys(volume.Options ?? {}).length > 0) return undefined;
  if (!(await isHere(volume))) return undefined;
  const filters = encodeURIComponent(JSON.stringify({ volume: [name] }));
  const users = jsonOf<unknown>(
    await askUpstream(upstream, { method: 'GET', path: `/containers/json?all=1&filters=${filters}` }),
  );
  // It cannot be left to the engine either, which would remove an unused volume for good.
  if (!Array.isArray(users))
    throw new ApiError(503, `remove ${name}: the engine does not tell which containers use it`);
  if (users.length > 0) return undefined;
  return { name, path: volume.Mountpoint, labels: volume.Labels ?? {} };
}

/**
 * The path is the engine's: here, the directory must exist and have been made at the engine's creation time.
 */
async function isHere({ Name: name, Mountpoint: path, CreatedAt: createdAt }: ApiVolume): Promise<boolean> {
  if (!path.endsWith(join('/', name, '_data'))) return false;
  const [folder, data] = await Promise.all(
    [dirname(path), path].map((target) => lstat(target).catch(() => undefined)),
  );
  if (folder?.isDirectory() !== true || data?.isDirectory() !== true) return false;
  return Math.floor(folder.ctimeMs / 1000) === Math.floor(Date.parse(createdAt) / 1000);
}

interface ContainerMounts {
  readonly Mounts?: readonly { readonly Type?: string; readonly Name?: string }[] | null;
  readonly HostConfig?: {
    readonly Binds?: readonly string[] | null;
    readonly Mounts?: readonly { readonly Source?: string }[] | null;
  } | null;
}

function mountsIn(answer: UpstreamAnswer): ContainerMounts | undefined {
  const said = jsonOf<ContainerMounts | null>(answer);
  return Array.isArray(said?.Mounts) ? said : undefined;
}

/**
 * `DELETE /containers/NAME?v=1` removes the container's anonymous volumes too. `conflict` when one of them
 * must stay.
 */
export async function checkContainerRemoval(
  { upstream, isProtected }: RemovalParts,
  container: string,
): Promise<void> {
  const found = told(
    await askUpstream(upstream, { method: 'GET', path: `/containers/${encodeURIComponent(container)}/json` }),
    mountsIn,
    `remove ${container}: the engine does not tell which volumes it has`,
  );
  const { Binds: binds, Mounts: mounts } = found?.HostConfig ?? {};
  const named = new Set([
    ...(binds ?? []).map((bind) => bind.split(':', 1)[0]),
    ...(mounts ?? []).map((mount) => mount.Source),
  ]);
  for (const { Type: type, Name: name } of found?.Mounts ?? []) {
    if (type !== 'volume' || name === undefined || named.has(name) || !(await isProtected(name))) continue;
    throw new ApiError(
      409,
      `remove ${container}: its volume ${name} is protected: "holdfast volume unprotect ${name}" takes that away`,
    );
  }
}

interface VolumeList {
  readonly Volumes?: readonly ApiVolume[] | null;
}

/** `POST /volumes/prune` by the engine's own rules, one removal after the other. */
export async function pruneUpstream(
  parts: RemovalParts,
  { query, version }: Extract<UpstreamRequest, { kind: 'prune-volumes' }>,
  response: ServerResponse,
): Promise<void> {
  const takesAll = version === '' || !isOlder(version.slice('/v'.length), '1.42');
  const filter = pruneFilter(query.get('filters'), { takesAll });
  const { upstream, pruning } = parts;
  if (pruning.isRunning) throw new ApiError(409, 'a prune operation is already running');
  pruning.isRunning = true;
  try {
    const filters = encodeURIComponent(JSON.stringify({ dangling: ['true'], driver: ['local'] }));
    const list = await askUpstream(upstream, { method: 'GET', path: `/volumes?filters=${filters}` });
    const found = jsonOf<VolumeList | null>(list);
    if (found?.Volumes === undefined)
      throw new ApiError(503, 'prune: the engine does not tell which volumes it has');
    const volumes = found.Volumes ?? [];
    const removed: string[] = [];
    let reclaimed = 0;
    for (const volume of volumes.filter((candidate) => isPruned(candidate, filter))) {
      const bytes = await measureDirectory(volume.Mountpoint);
      const answer = await removeOne(parts, { version: '', name: volume.Name, query: '' });
      // As the engine does: a volume that came into use stays, and the others are removed.
      if (answer.status !== 204) continue;
      removed.push(volume.Name);
      reclaimed += Math.max(bytes, 0);
    }
    response.setHeaders(upstream.says);
    sendJson(response, 200, { VolumesDeleted: removed, SpaceReclaimed: reclaimed });
  } finally {
    pruning.isRunning = false;
  }
}

function isPruned(volume: ApiVolume, filter: ReturnType<typeof pruneFilter>): boolean {
  const labels = volume.Labels ?? {};
  const anonymous = Object.hasOwn(labels, 'com.docker.volume.anonymous');
  if (Object.keys(volume.Options ?? {}).length > 0 || !(filter.all || anonymous)) return false;
  return matchesFilter(
    {
      name: volume.Name,
      driver: 'local',
      mountpoint: volume.Mountpoint,
      createdAt: volume.CreatedAt,
      labels,
      options: {},
      scope: 'local',
      anonymous,
      stack: undefined,
      consumers: [],
    },
    filter,
  );
}
