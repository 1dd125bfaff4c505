import { statfsSync } from 'node:fs';
import { setImmediate as breathe } from 'node:timers/promises';
import type { Catalog, UsageMemory, UsagePlaceName } from '../../catalog/catalog.ts';
import type { Host, HostInfo } from '../../hosts/host.ts';
import { volumeIdentity } from '../../leases/index.ts';
import { knownError } from '../../lib/known-error.ts';
import { measureTree } from '../../lib/measure-tree.ts';
import { type MountPoint, readMounts } from '../../lib/mountinfo.ts';
import { mayHang } from '../../lib/require-answer.ts';
import { type ByteString, toPath, toPrintable } from '../../model/byte-string.ts';
import { type AppError, errnoOf, isAppError } from '../../model/errors.ts';
import { quote } from '../../model/quote.ts';
import type { Volume } from '../../model/volume.ts';
import { type TreeSize, type Unwatched, WatchedSizes } from '../../volumes/index.ts';
import { growthPerDay, growthWindow, hasNewHour } from './history.ts';
import { type NoPlace, type Place, placeOf } from './places.ts';
import { type FoundPlace, planWrite } from './plan-write.ts';

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
  readonly #sizes = new WatchedSizes();
  readonly #walks = new Walks();
  /** The hosts whose data lies on this machine, and when that was found out. */
  #here: { readonly identity: string; readonly isHere: boolean; readonly untilMs: number } | undefined;

  /** Measures, and writes what has changed. Throws what the host or the catalog throws. */
  async look({ host, catalog, signal }: LookRequest): Promise<void> {
    const info = await host.info({ signal });
    const volumes = await host.listVolumes({ signal });
    const isHere = await this.#isHere(host, info, volumes, signal);
    const mounts = await readMounts();
    const placed = volumes.map((volume) => ({
      volume,
      place: isHere ? placeOf(volume, { host: host.kind, mounts }) : elsewhere,
    }));
    const sizes = await this.#measure(placed, signal);
    const identityOf = (name: string): string =>
      volumeIdentity(catalog, { hostIdentity: info.identity, name });
    const found = [
      ...placed.map((one) =>
        foundVolume({ ...one, lineage: identityOf(one.volume.name), size: sizes.get(one.volume.name) }),
      ),
      ...disksOf(
        placed.map(({ place }) => place),
        mounts,
      ),
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

  async #measure(placed: readonly PlacedVolume[], signal: AbortSignal): Promise<Map<string, SizeNow>> {
    const readable = placed.flatMap(({ volume, place }) => ('path' in place ? [{ volume, place }] : []));
    const paths = readable.map(({ place }) => place.path);
    const watched = await this.#sizes.measureWatched(paths, signal);
    this.#walks.begin(
      paths.filter((_, index) => !('bytes' in (watched[index] ?? {}))),
      signal,
    );
    const after = new Set((await readMounts()).map(({ id }) => id));
    const nowMs = Date.now();
    return new Map(
      readable.map(({ volume, place }, index): [string, SizeNow] => {
        const size = watched[index] ?? { reason: 'it was not measured' };
        // What was read may be the empty folder below a mount that has ended.
        if (place.mountId !== undefined && !after.has(place.mountId))
          return [volume.name, { reason: notMounted }];
        if ('bytes' in size) return [volume.name, { ...size, way: 'watched', atMs: nowMs }];
        return [volume.name, this.#walks.take(place.path) ?? size];
      }),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#walks.ended();
    await this.#sizes[Symbol.asyncDispose]();
  }
}

const provenForMs = 3_600_000;
const triedAtMost = 10;
const notMounted = 'it is not mounted now';
const elsewhere: NoPlace = { problem: 'its data is on another machine', isFar: true };

interface PlacedVolume {
  readonly volume: Volume;
  readonly place: Place | NoPlace;
}

type SizeNow = NonNullable<FoundPlace['size']> | Unwatched;

function foundVolume({
  volume,
  place,
  lineage,
  size,
}: PlacedVolume & { readonly lineage: string; readonly size: SizeNow | undefined }): FoundPlace {
  const { name, driver, stack, anonymous } = volume;
  const reason = size !== undefined && 'reason' in size ? `not watched: ${size.reason}` : undefined;
  return {
    ...{ kind: 'volume', name, lineage, driver, stack, anonymous },
    ...{ capacityBytes: undefined, freeBytes: undefined },
    disk: 'path' in place && place.disk !== undefined ? toPrintable(place.disk) : undefined,
    problem: 'problem' in place ? place.problem : reason,
    size: size !== undefined && 'bytes' in size ? size : undefined,
  };
}

/** The room on the disks, as their file systems tell it. */
export function disksOf(places: readonly (Place | NoPlace)[], mounts: readonly MountPoint[]): FoundPlace[] {
  const paths = new Set(places.flatMap((place) => ('path' in place ? (place.disk ?? []) : [])));
  return [...paths].flatMap((path) => diskAt(path, mounts) ?? []);
}

function diskAt(path: ByteString, mounts: readonly MountPoint[]): FoundPlace | undefined {
  // Asking a server that does not answer would hang.
  if (mayHang(mounts, path)) return undefined;
  try {
    const { blocks, bfree, bavail, bsize } = statfsSync(toPath(path));
    return {
      ...{ kind: 'disk', name: toPrintable(path), anonymous: false, disk: undefined, problem: undefined },
      ...{ lineage: undefined, driver: undefined, stack: undefined },
      ...{ capacityBytes: blocks * bsize, freeBytes: bavail * bsize },
      size: { bytes: (blocks - bfree) * bsize, files: undefined, way: 'told', atMs: Date.now() },
    };
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return undefined;
  }
}

/** Writes what was found, as far as it has changed. Only what is watched counts as looked at. */
export async function writeFound({
  catalog,
  info,
  found,
  isAll,
  isWatched,
}: {
  readonly catalog: Pick<Catalog, 'usage'>;
  readonly info: HostInfo;
  readonly found: readonly FoundPlace[];
  readonly isAll: boolean;
  readonly isWatched: boolean;
}): Promise<void> {
  const { usage } = catalog;
  const known = usage.listPlaces(info.identity);
  const last = usage.listHosts().find(({ identity }) => identity === info.identity);
  const growths = await growthsOf(usage, { info, known, found });
  const nowMs = Date.now();
  const lookedAtMs = isWatched ? nowMs : (last?.lookedAtMs ?? 0);
  const host = { identity: info.identity, kind: info.kind, lookedAtMs };
  const growthOf = ({ kind, name }: UsagePlaceName): number | undefined => growths.get(`${kind} ${name}`);
  const written = planWrite({ host, lookedAtMs: last?.lookedAtMs, known, found, isAll, nowMs, growthOf });
  if (written !== undefined) usage.write(written);
}

/** Of those that begin an hour; a large host has thousands, so other work gets its turn. */
async function growthsOf(
  usage: UsageMemory,
  {
    info,
    known,
    found,
  }: {
    readonly info: HostInfo;
    readonly known: ReturnType<UsageMemory['listPlaces']>;
    readonly found: readonly FoundPlace[];
  },
): Promise<Map<string, number | undefined>> {
  const before = new Map(known.map((place) => [`${place.kind} ${place.name}`, place]));
  const growths = new Map<string, number | undefined>();
  for (const { kind, name, size } of found) {
    const last = before.get(`${kind} ${name}`);
    if (size === undefined || last === undefined || !hasNewHour(size.atMs, last.measuredAtMs)) continue;
    const [days, hours] = [growthWindow.days, growthWindow.hours].map(({ spanSeconds, lastSeconds }) =>
      usage.listSamples(
        info.identity,
        { kind, name },
        { spanSeconds, fromSeconds: size.atMs / 1000 - lastSeconds },
      ),
    );
    growths.set(`${kind} ${name}`, growthPerDay({ days: days ?? [], hours: hours ?? [] }, size.atMs));
    if (growths.size % 20 === 0) await breathe();
  }
  return growths;
}

/** The share of the time that walks may take, and the least time between two rounds of them. */
const walkedPart = 1 / 100;
const walkAgainMs = 15 * 60_000;

/** Walks of what cannot be watched, one after the other beside the looks. New ones do not wait for a round. */
class Walks {
  /** What has been walked, with the size until it is taken. */
  readonly #walked = new Map<ByteString, (TreeSize & { readonly atMs: number }) | undefined>();
  #running: Promise<void> | undefined;
  #roundMs = 0;

  /** The size of a path, where it was walked since it was last taken. */
  take(path: ByteString): NonNullable<FoundPlace['size']> | undefined {
    const size = this.#walked.get(path);
    if (size === undefined) return undefined;
    this.#walked.set(path, undefined);
    return { ...size, way: 'walked' };
  }

  /** Begins to walk those that are due, unless it is at work. Forgets all others. */
  begin(paths: readonly ByteString[], signal: AbortSignal): void {
    const asked = new Set(paths);
    for (const path of this.#walked.keys()) if (!asked.has(path)) this.#walked.delete(path);
    if (this.#running !== undefined) return;
    const isRound = this.#roundMs <= performance.now();
    const due = isRound ? paths : paths.filter((path) => !this.#walked.has(path));
    if (due.length === 0) return;
    this.#running = this.#round(due, { isRound, signal }).finally(() => (this.#running = undefined));
  }

  async #round(
    paths: readonly ByteString[],
    { isRound, signal }: { readonly isRound: boolean; readonly signal: AbortSignal },
  ): Promise<void> {
    const startMs = performance.now();
    for (const path of paths) {
      if (signal.aborted) return;
      try {
        const { bytes, targetBytes, files, others } = await measureTree(path, { signal });
        this.#walked.set(path, { bytes: bytes + targetBytes, files: files + others, atMs: Date.now() });
      } catch {
        // It is gone, or cannot be read: its last size stays, with the reason why it is not watched.
        this.#walked.set(path, undefined);
      }
    }
    const nowMs = performance.now();
    if (isRound) this.#roundMs = nowMs + Math.max(walkAgainMs, (nowMs - startMs) / walkedPart);
  }

  async ended(): Promise<void> {
    await this.#running;
  }
}
