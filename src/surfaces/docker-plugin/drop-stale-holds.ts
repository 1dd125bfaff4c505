import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { ManagedVolume, ManagedVolumes } from '../../app/app.ts';
import { type MountPoint, mountAt, parseMountinfo, readMounts } from '../../lib/mountinfo.ts';
import { fromText } from '../../model/byte-string.ts';
import { isIssuerAlive, parseHolder } from './holder.ts';

/**
 * Releases holds of containers that are gone: an engine that crashed never does. An id is dropped only when
 * the engine that gave it has ended and no other mount namespace, that is no container, sees the volume. Asks
 * no engine. Returns the names of the volumes.
 */
export async function dropStaleHolds(
  volumes: Pick<ManagedVolumes, 'list' | 'reconcile'>,
  { processes = '/proc' }: { readonly processes?: string } = {},
): Promise<string[]> {
  const orphaned = (await volumes.list()).filter(({ mountIds }) => mountIds.some(isOrphan));
  if (orphaned.length === 0) return [];
  const [own, foreign] = [await readMounts(), readForeignMounts(processes)];
  const stale = new Set(
    orphaned
      .filter((volume) => !isSeen(volume, own, foreign))
      .flatMap(({ mountIds }) => mountIds.filter(isOrphan)),
  );
  if (stale.size === 0) return [];
  const { dropped } = await volumes.reconcile({ isAlive: (id) => !stale.has(id) });
  return [...new Set(dropped.map(({ name }) => name))];
}

function isOrphan(id: string): boolean {
  const holder = parseHolder(id);
  return holder !== undefined && !isIssuerAlive(holder);
}

/** The same directory of the same file system, or one below it. */
function isSeen(
  { mountpoint }: ManagedVolume,
  own: readonly MountPoint[],
  foreign: readonly MountPoint[],
): boolean {
  const place = placeOf(mountpoint, own);
  return foreign.some(
    ({ device, root }) =>
      device === place.device &&
      (root === place.root || root.startsWith(place.root === '/' ? '/' : `${place.root}/`)),
  );
}

/** A path as its file system, and the path within that. */
function placeOf(path: string, mounts: readonly MountPoint[]): Pick<MountPoint, 'device' | 'root'> {
  const below: string[] = [];
  for (let folder = path; ; folder = dirname(folder)) {
    const mount = mountAt(mounts, fromText(folder));
    if (mount !== undefined || folder === '/') {
      const root = join(mount?.root ?? '/', ...below);
      return { device: mount?.device ?? '', root: root === '' ? '/' : root };
    }
    below.unshift(folder.slice(folder.lastIndexOf('/') + 1));
  }
}

/**
 * The mounts of every mount namespace but this process's, each once. Namespaces with the host's own root are
 * no containers: they are sandboxed systemd services, or the host itself, and see every mount.
 */
function readForeignMounts(processes: string): MountPoint[] {
  const seen = new Set([namespaceOf(join(processes, 'self'))]);
  const host = rootOf(mountsOf(join(processes, '1')));
  return readdirSync(processes)
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      const folder = join(processes, pid);
      const namespace = namespaceOf(folder);
      if (namespace === undefined || seen.has(namespace)) return [];
      const mounts = mountsOf(folder);
      // A process that ends meanwhile is no evidence for the others of its namespace.
      if (mounts.length > 0) seen.add(namespace);
      return host !== undefined && rootOf(mounts) === host ? [] : mounts;
    });
}

function rootOf(mounts: readonly MountPoint[]): string | undefined {
  const root = mountAt(mounts, '/');
  return root && `${root.device} ${root.root}`;
}

function namespaceOf(folder: string): string | undefined {
  try {
    return readlinkSync(join(folder, 'ns/mnt'));
  } catch {
    // It has ended.
    return undefined;
  }
}

function mountsOf(folder: string): MountPoint[] {
  try {
    return parseMountinfo(readFileSync(join(folder, 'mountinfo'), 'latin1'));
  } catch {
    return [];
  }
}
