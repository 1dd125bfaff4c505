import { lstat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { ForeignVolume } from '../../app.ts';
import { isAppError } from '../../model/errors.ts';
import { matchesFilter } from '../../model/filter.ts';
import { ApiError, prefixed } from './api-error.ts';
import { pruneFilter } from './api-filters.ts';
import type { ApiCall } from './api-parts.ts';
import { isOlder } from './api-version.ts';
import type { ApiVolume } from './api-volume.ts';
import { askUpstream, jsonOf, type UpstreamAnswer } from './ask-upstream.ts';
import { measureDirectory } from './measure.ts';
import { sendEmpty, sendJson, sendText } from './send.ts';
import type { Upstream } from './upstream.ts';

/** Moves a volume of another engine into our trash, around that engine's own removal. */
export type TrashForeign = (volume: ForeignVolume, removeThere: () => Promise<boolean>) => Promise<boolean>;

export interface RemovalParts {
  readonly upstream: Upstream;
  readonly trash: TrashForeign;
  /** The volume must stay. Throws when nobody can tell. */
  readonly isProtected: (name: string) => Promise<boolean>;
  readonly pruning: { isRunning: boolean };
}

/** `DELETE /volumes/NAME`: what can be kept goes to the trash, and the engine removes the rest and says what it says. */
export async function removeUpstream(
  parts: RemovalParts,
  { request, name, response }: ApiCall,
): Promise<void> {
  const path = request.url ?? '';
  const answer = await removeOne(parts, { name, path });
  if (answer.status === 204 || answer.text === '') return sendEmpty(response, answer.status);
  sendText(response, answer.status, { type: answer.contentType, text: answer.text });
}

async function removeOne(
  { upstream, trash, isProtected }: RemovalParts,
  { name, path }: { readonly name: string; readonly path: string },
): Promise<UpstreamAnswer> {
  if (await isProtected(name))
    return refusal(
      `remove ${name}: the volume is protected: "holdfast volume unprotect ${name}" takes that away`,
    );
  const removeThere = (): Promise<UpstreamAnswer> => askUpstream(upstream, { method: 'DELETE', path });
  const volume = await keepable(upstream, name);
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
 * The volume when its data can go to the trash: a plain directory of the engine's own driver that is here, on this
 * machine, and that no container refers to. Of all others the engine removes what is its own, and says what is wrong.
 */
async function keepable(upstream: Upstream, name: string): Promise<ForeignVolume | undefined> {
  if (name === '' || name.split('/').some((part) => part === '.' || part === '..')) return undefined;
  const encoded = encodeURIComponent(name);
  const volume = jsonOf<ApiVolume>(
    await askUpstream(upstream, { method: 'GET', path: `/volumes/${encoded}` }),
  );
  if (volume?.Driver !== 'local' || Object.keys(volume.Options ?? {}).length > 0) return undefined;
  if (!(await isHere(volume))) return undefined;
  const filters = encodeURIComponent(JSON.stringify({ volume: [name] }));
  const users = jsonOf<unknown[]>(
    await askUpstream(upstream, { method: 'GET', path: `/containers/json?all=1&filters=${filters}` }),
  );
  if (users === undefined || users.length > 0) return undefined;
  return { name, path: volume.Mountpoint, labels: volume.Labels ?? {} };
}

/** The path is the engine's: here, the directory must be there and have been made when the engine says that it was. */
async function isHere({ Name: name, Mountpoint: path, CreatedAt: createdAt }: ApiVolume): Promise<boolean> {
  if (!path.endsWith(join('/', name, '_data'))) return false;
  const [folder, data] = await Promise.all(
    [dirname(path), path].map((target) => lstat(target).catch(() => undefined)),
  );
  if (folder?.isDirectory() !== true || data?.isDirectory() !== true) return false;
  return Math.floor(folder.ctimeMs / 1000) === Math.floor(Date.parse(createdAt) / 1000);
}

interface VolumeList {
  readonly Volumes?: readonly ApiVolume[] | null;
}

/** `POST /volumes/prune` by the engine's own rules, one removal after the other. */
export async function pruneUpstream(
  parts: RemovalParts,
  { query, version, response }: ApiCall,
): Promise<void> {
  const filter = pruneFilter(query.get('filters'), { takesAll: !isOlder(version, '1.42') });
  const { upstream, pruning } = parts;
  if (pruning.isRunning) throw new ApiError(409, 'a prune operation is already running');
  pruning.isRunning = true;
  try {
    const filters = encodeURIComponent(JSON.stringify({ dangling: ['true'], driver: ['local'] }));
    const list = await askUpstream(upstream, { method: 'GET', path: `/volumes?filters=${filters}` });
    const volumes = jsonOf<VolumeList>(list)?.Volumes ?? [];
    const removed: string[] = [];
    let reclaimed = 0;
    for (const volume of volumes.filter((candidate) => isPruned(candidate, filter))) {
      const bytes = await measureDirectory(volume.Mountpoint);
      const path = `/volumes/${encodeURIComponent(volume.Name)}`;
      const answer = await removeOne(parts, { name: volume.Name, path });
      // As the engine does: what came into use stays, and the others go.
      if (answer.status !== 204) continue;
      removed.push(volume.Name);
      reclaimed += Math.max(bytes, 0);
    }
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
