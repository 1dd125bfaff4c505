import { type MountPoint, mountAt, mountsWithin } from '../../lib/mountinfo.ts';
import { mayHang } from '../../lib/require-answer.ts';
import { type ByteString, fromText } from '../../model/byte-string.ts';
import { isWithin } from '../../model/clean-path.ts';
import { factsOfKind, type StorageKind, storageKind } from '../../model/storage-kind.ts';
import type { HostKind, Volume } from '../../model/volume.ts';

/** Where a volume's data lies on this machine. */
export interface Location {
  readonly path: ByteString;
  /** The mount that has to be there before and after the data is read: below it lies an empty folder. */
  readonly mountId: number | undefined;
  /** Where its disk is mounted. */
  readonly disk: ByteString | undefined;
}

/** Why a volume is not measured without being asked. */
export interface NoLocation {
  readonly problem: string;
  /** It lies on a server: reading it costs others, and may hang. */
  readonly isFar: boolean;
}

/**
 * Where to read a volume's size, without touching it: by the engine's words and the table of mounts. Pure.
 */
export function locationOf(
  volume: Pick<Volume, 'driver' | 'options' | 'mountpoint'>,
  { host, mounts }: { readonly host: HostKind; readonly mounts: readonly MountPoint[] },
): Location | NoLocation {
  const kind = kindOf(volume);
  if (kind !== undefined && factsOfKind(kind).isShared) return far;
  if (volume.mountpoint === undefined || !volume.mountpoint.startsWith('/'))
    return near('the engine does not say where its data is');
  const path = fromText(volume.mountpoint);
  if (mayHang(mounts, path)) return far;
  // A walk would look at what is mounted in it, and the daemon with it would wait for that server.
  if (mountsWithin(mounts, path).some((mount) => mayHang([mount], mount.path)))
    return { problem: 'a server is mounted in it', isFar: true };
  const mounted = mountAt(mounts, path);
  if (mounted === undefined && !isPlain(volume, kind, host)) return near('it is not mounted now');
  return { path, mountId: mounted?.id, disk: diskOf(mounts, path) };
}

const far: NoLocation = { problem: 'it lies on a server', isFar: true };

function near(problem: string): NoLocation {
  return { problem, isFar: false };
}

function kindOf({ driver, options }: Pick<Volume, 'driver' | 'options'>): StorageKind | undefined {
  try {
    return storageKind({ driver, options });
  } catch {
    // Another program's driver, or a type that the kernel alone knows.
    return undefined;
  }
}

/** Its data is in its folder all the time. Docker mounts a local volume with any option but a size. */
function isPlain(
  { driver, options }: Pick<Volume, 'driver' | 'options'>,
  kind: StorageKind | undefined,
  host: HostKind,
): boolean {
  if (host !== 'embedded' && driver === 'local') return Object.keys(options).every((key) => key === 'size');
  return kind === 'local' || kind === 'btrfs';
}

/**
 * The mount that stands for the file system that a path lies on: the widest and shortest of those of one
 * device. Undefined without a mount table. Pure.
 */
export function diskOf(mounts: readonly MountPoint[], path: ByteString): ByteString | undefined {
  let covering: MountPoint | undefined;
  for (const mount of mounts)
    if (isWithin(path, mount.path) && mount.path.length >= (covering?.path.length ?? 0)) covering = mount;
  if (covering === undefined) return undefined;
  const { device } = covering;
  const [widest] = mounts
    .filter((mount) => mount.device === device && mountAt(mounts, mount.path)?.id === mount.id)
    .toSorted((a, b) => a.root.length - b.root.length || a.path.length - b.path.length);
  return (widest ?? covering).path;
}
