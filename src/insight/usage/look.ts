import type { Catalog } from '../../catalog/catalog.ts';
import type { Host, HostInfo } from '../../hosts/host.ts';
import { volumeIdentity } from '../../leases/index.ts';
import { knownError } from '../../lib/known-error.ts';
import { type MountPoint, readMounts } from '../../lib/mountinfo.ts';
import { mayHang } from '../../lib/require-answer.ts';
import { type ByteString, toPrintable } from '../../model/byte-string.ts';
import { type AppError, isAppError } from '../../model/errors.ts';
import { quote } from '../../model/quote.ts';
import type { Volume } from '../../model/volume.ts';
import type { TreeSize, Unwatched } from '../../volumes/index.ts';
import { foundDisk } from './disk-room.ts';
import type { MeasuringOptions } from './measuring.ts';
import { type NoLocation, type Location, locationOf } from './location.ts';
import type { FoundPlace } from './plan-write.ts';
import { silent, type SilentDisks, SizeReader } from './size-reader.ts';
import { Walks } from './walks.ts';
import { writeFound } from './write-found.ts';

export interface LookRequest {
  readonly host: Host;
  readonly catalog: Catalog;
  readonly signal: AbortSignal;
}

/**
 * Keeps the sizes of a host's volumes in the catalog. What the kernel reports changes of is watched, and read
 * again only where it has changed; the rest is walked, one volume at a time and rarely. Volumes on servers
 * are left alone.
 */
export class SizeWatch implements AsyncDisposable {
  readonly #reader: SizeReader;
  readonly #walks: Walks;
  /** The hosts whose data lies on this machine, and when that was found out. */
  #here: { readonly identity: string; readonly isHere: boolean; readonly untilMs: number } | undefined;

  constructor(options: MeasuringOptions = {}) {
    const silentDisks: SilentDisks = new Map();
    this.#reader = new SizeReader(silentDisks, options);
    this.#walks = new Walks(new SizeReader(silentDisks, options));
  }

  /** Measures, and writes what has changed. Throws what the host or the catalog throws. */
  async look({ host, catalog, signal }: LookRequest): Promise<void> {
    const info = await host.info({ signal });
    const volumes = await host.listVolumes({ signal });
    const isHere = await this.#isHere(host, info, volumes, signal);
    const mounts = await readMounts();
    const located = volumes.map((volume) => ({
      volume,
      location: isHere ? locationOf(volume, { host: host.kind, mounts }) : elsewhere,
    }));
    const sizes = await this.#measure(located, signal);
    const identityOf = (name: string): string =>
      volumeIdentity(catalog, { hostIdentity: info.identity, name });
    const found = [
      ...located.map((one) =>
        foundVolume({ ...one, lineage: identityOf(one.volume.name), size: sizes.get(one.volume.name) }),
      ),
      ...(await this.#disks(
        located.map(({ location }) => location),
        { mounts, signal },
      )),
    ];
    await writeFound({ catalog, info, found, isAll: true, isWatched: true });
  }

  async #isHere(
    host: Host,
    info: HostInfo,
    volumes: readonly Volume[],
    signal: AbortSignal,
  ): Promise<boolean> {
    if (host.kind === 'embedded') return true;
    if (info.isRemote === true) return false;
    if (this.#here?.identity === info.identity && this.#here.untilMs > performance.now())
      return this.#here.isHere;
    // Opening the data proves it. A local volume without options lies in its folder all the time.
    const plain = volumes.filter(
      ({ driver, options }) => driver === 'local' && Object.keys(options).length === 0,
    );
    let failure: AppError | undefined;
    for (const { name } of plain.slice(0, triedAtMost)) {
      try {
        await using data = await host.openData(name, { signal });
        const isHere = data.way === 'direct';
        this.#here = { identity: info.identity, isHere, untilMs: performance.now() + provenForMs };
        return isHere;
      } catch (error) {
        if (signal.aborted || isAppError(error, 'cancelled')) throw error;
        // One that has lost its folder must not hide the others.
        failure = knownError(error, `Cannot find out where ${quote(name)} lies`);
      }
    }
    if (failure !== undefined) throw failure;
    return false;
  }

  async #measure(located: readonly LocatedVolume[], signal: AbortSignal): Promise<Map<string, SizeNow>> {
    const readable = located.flatMap(({ volume, location }) =>
      'path' in location ? [{ volume, location }] : [],
    );
    const locations = readable.map(({ location }) => location);
    const watched = (await this.#reader.read('watched', locations, signal)) as (TreeSize | Unwatched)[];
    this.#walks.begin(
      locations.filter((_, index) => !('bytes' in (watched[index] ?? {})) && watched[index] !== silent),
      signal,
    );
    const after = new Set((await readMounts()).map(({ id }) => id));
    const nowMs = Date.now();
    return new Map(
      readable.map(({ volume, location }, index): [string, SizeNow] => {
        const size = watched[index] ?? { reason: 'it was not measured' };
        // What was read may be the empty folder below a mount that has ended.
        if (location.mountId !== undefined && !after.has(location.mountId))
          return [volume.name, { reason: notMounted }];
        if ('bytes' in size) return [volume.name, { ...size, way: 'watched', atMs: nowMs }];
        if (size === silent) return [volume.name, silent];
        return [volume.name, this.#walks.take(location.path) ?? size];
      }),
    );
  }

  async #disks(
    locations: readonly (Location | NoLocation)[],
    { mounts, signal }: { readonly mounts: readonly MountPoint[]; readonly signal: AbortSignal },
  ): Promise<FoundPlace[]> {
    const paths = disksUnder(locations, mounts);
    const rooms = await this.#reader.read(
      'disk',
      paths.map((path) => ({ path, disk: path })),
      signal,
    );
    return paths.flatMap((path, index) => {
      const room = rooms[index];
      if (room === silent) return [foundDisk(path, silent)];
      return room !== null && room !== undefined && 'capacityBytes' in room ? [foundDisk(path, room)] : [];
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#walks.ended();
    this.#reader[Symbol.dispose]();
  }
}

const provenForMs = 3_600_000;
const triedAtMost = 10;
const notMounted = 'it is not mounted now';
const elsewhere: NoLocation = { problem: 'its data is on another machine', isFar: true };

interface LocatedVolume {
  readonly volume: Volume;
  readonly location: Location | NoLocation;
}

type SizeNow = NonNullable<FoundPlace['size']> | Unwatched;

function foundVolume({
  volume,
  location,
  lineage,
  size,
}: LocatedVolume & { readonly lineage: string; readonly size: SizeNow | undefined }): FoundPlace {
  const { name, driver, stack, anonymous } = volume;
  const reason =
    size === undefined || 'bytes' in size
      ? undefined
      : size === silent
        ? size.reason
        : `not watched: ${size.reason}`;
  return {
    ...{ kind: 'volume', name, lineage, driver, stack, anonymous },
    ...{ capacityBytes: undefined, freeBytes: undefined },
    disk: 'path' in location && location.disk !== undefined ? toPrintable(location.disk) : undefined,
    problem: 'problem' in location ? location.problem : reason,
    size: size !== undefined && 'bytes' in size ? size : undefined,
  };
}

/** The disks that locations lie on. Asking one of a server that does not answer would hang. */
export function disksUnder(
  locations: readonly (Location | NoLocation)[],
  mounts: readonly MountPoint[],
): ByteString[] {
  const disks = new Set(locations.flatMap((location) => ('path' in location ? (location.disk ?? []) : [])));
  return [...disks].filter((path) => !mayHang(mounts, path));
}
