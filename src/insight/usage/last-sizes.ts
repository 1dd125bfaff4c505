import type { DrillRecord, UsageMemory, UsagePlace } from '../../catalog/catalog.ts';
import type { HostKind } from '../../model/volume.ts';
import { fullAt } from './history.ts';

/** What is known of a volume's size, and of its recovery. */
export interface SizedVolume extends Pick<
  UsagePlace,
  | 'name'
  | 'driver'
  | 'stack'
  | 'anonymous'
  | 'bytes'
  | 'files'
  | 'way'
  | 'problem'
  | 'disk'
  | 'growthBytesPerDay'
> {
  /** RFC 3339; undefined when it was never measured. */
  readonly measuredAt: string | undefined;
  /** The daemon has seen no change since. */
  readonly isCurrent: boolean;
  /** Of its disk's capacity, from 0 to 1; more for sparse files. */
  readonly share: number | undefined;
  /** RFC 3339: when its disk is full. Undefined without a basis, and beyond ten years. */
  readonly fullAt: string | undefined;
  /** The newest whole one that this state folder has made. */
  readonly newestSnapshot: { readonly id: string; readonly time: string } | undefined;
  /** The newest drill in which the data came back whole. */
  readonly newestDrill: Omit<DrillRecord, 'volumeIdentity'> | undefined;
}

/** A disk that volumes lie on. Undefined for what was never measured; times in RFC 3339. */
export interface SizedDisk {
  /** Where it is mounted. */
  readonly path: string;
  readonly usedBytes: number | undefined;
  readonly freeBytes: number | undefined;
  readonly capacityBytes: number | undefined;
  readonly measuredAt: string | undefined;
  readonly growthBytesPerDay: number | undefined;
  readonly fullAt: string | undefined;
}

export interface LastSizes {
  readonly host: { readonly identity: string; readonly kind: HostKind };
  /** When a daemon last looked at all its volumes, RFC 3339. */
  readonly lookedAt: string | undefined;
  /** A daemon is at it. */
  readonly isCurrent: boolean;
  readonly volumes: readonly SizedVolume[];
  readonly disks: readonly SizedDisk[];
}

/** A daemon writes every two minutes; a loaded machine is given some more. */
const currentForMs = 5 * 60_000;
const recovered: ReadonlySet<DrillRecord['outcome']> = new Set(['proven', 'started', 'restored']);

/**
 * The last known sizes of a host, from the catalog alone: of one that is known by its identity, or of the one
 * that was looked at last at any of some addresses. Undefined when there are none.
 */
export function lastSizes(
  usage: UsageMemory,
  asked: { readonly identity: string } | { readonly addresses: readonly string[] },
  nowMs: number,
): LastSizes | undefined {
  const host = usage
    .listHosts()
    .find(({ identity, endpoint }) =>
      'identity' in asked
        ? identity === asked.identity
        : endpoint !== undefined && asked.addresses.includes(endpoint),
    );
  if (host === undefined) return undefined;
  const { identity, lookedAtMs } = host;
  const sinceMs = nowMs - lookedAtMs;
  const isCurrent = sinceMs < currentForMs && sinceMs > -currentForMs;
  const places = usage.listPlaces(identity);
  const disks = places
    .filter(({ kind: is }) => is === 'disk')
    .map(({ name, bytes, freeBytes, capacityBytes, measuredAtMs, growthBytesPerDay }): SizedDisk => ({
      ...{ path: name, usedBytes: bytes, freeBytes, capacityBytes, growthBytesPerDay },
      measuredAt: timeOf(measuredAtMs),
      fullAt: fullAt(freeBytes, growthBytesPerDay, nowMs)?.toISOString(),
    }));
  const diskAt = new Map(disks.map((disk) => [disk.path, disk]));
  const snapshots = usage.newestSnapshots();
  const drills = new Map(
    usage
      .listDrills()
      .flatMap((drill) => (recovered.has(drill.outcome) ? [[drill.volumeIdentity, drill]] : [])),
  );
  // Of most of them: to write a time for each of a thousand takes a millisecond.
  const seenAt = timeOf(lookedAtMs);
  const volumes = places
    .filter(({ kind: is }) => is === 'volume')
    .map((place): SizedVolume => {
      const { bytes, way, problem } = place;
      const disk = place.disk === undefined ? undefined : diskAt.get(place.disk);
      const isSeen = isCurrent && way === 'watched' && problem === undefined;
      const drill = drills.get(place.lineage ?? '');
      return {
        name: place.name,
        driver: place.driver,
        stack: place.stack,
        anonymous: place.anonymous,
        bytes,
        files: place.files,
        way,
        problem,
        growthBytesPerDay: place.growthBytesPerDay,
        disk: place.disk,
        measuredAt: isSeen && (place.measuredAtMs ?? 0) <= lookedAtMs ? seenAt : timeOf(place.measuredAtMs),
        isCurrent: isSeen,
        share: shareOf(bytes, disk?.capacityBytes),
        fullAt: disk?.fullAt,
        newestSnapshot: snapshots.get(place.lineage ?? ''),
        newestDrill: drill && withoutIdentity(drill),
      };
    });
  return {
    host: { identity, kind: host.kind },
    lookedAt: lookedAtMs === 0 ? undefined : timeOf(lookedAtMs),
    ...{ isCurrent, volumes, disks },
  };
}

function withoutIdentity(record: DrillRecord): SizedVolume['newestDrill'] {
  const { volumeIdentity: _, ...drill } = record;
  return drill;
}

function timeOf(ms: number | undefined): string | undefined {
  return ms === undefined ? undefined : new Date(ms).toISOString();
}

function shareOf(bytes: number | undefined, capacityBytes: number | undefined): number | undefined {
  if (bytes === undefined || capacityBytes === undefined || capacityBytes === 0) return undefined;
  return bytes / capacityBytes;
}
