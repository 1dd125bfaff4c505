import { setImmediate as breathe } from 'node:timers/promises';
import type { Catalog, UsageMemory, UsagePlaceName } from '../../catalog/catalog.ts';
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
import { growthPerDay, growthWindow, hasNewHour } from './history.ts';
import type { Measured, MeasureQuestion } from './measure-worker.ts';
import { Measuring, type MeasuringOptions } from './measuring.ts';
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
  readonly #reader: SizeReader;
  readonly #walks: Walks;
  /** The hosts whose data lies on this machine, and when that was found out. */
  #here: { readonly identity: string; readonly isHere: boolean; readonly untilMs: number } | undefined;

  constructor(options: MeasuringOptions = {}) {
    const silent: SilentDisks = new Map();
    this.#reader = new SizeReader(silent, options);
    this.#walks = new Walks(new SizeReader(silent, options));
  }

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
      ...(await this.#disks(
        placed.map(({ place }) => place),
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

  async #measure(placed: readonly PlacedVolume[], signal: AbortSignal): Promise<Map<string, SizeNow>> {
    const readable = placed.flatMap(({ volume, place }) => ('path' in place ? [{ volume, place }] : []));
    const places = readable.map(({ place }) => place);
    const watched = (await this.#reader.read('watched', places, signal)) as (TreeSize | Unwatched)[];
    this.#walks.begin(
      places.filter((_, index) => !('bytes' in (watched[index] ?? {})) && watched[index] !== silent),
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
        if (size === silent) return [volume.name, silent];
        return [volume.name, this.#walks.take(place.path) ?? size];
      }),
    );
  }

  async #disks(
    places: readonly (Place | NoPlace)[],
    { mounts, signal }: { readonly mounts: readonly MountPoint[]; readonly signal: AbortSignal },
  ): Promise<FoundPlace[]> {
    const paths = disksUnder(places, mounts);
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

/** Why a disk is left alone, and until when: its read still hangs, or has not been given up long ago. */
type SilentDisks = Map<ByteString | undefined, { readonly isOver: () => boolean }>;

const silent: Unwatched = { reason: 'its disk does not answer' };
const askAgainMs = 10 * 60_000;

/** Reads what lies on disks that answer. One that does not is left alone for a while, with all that lies on it. */
class SizeReader implements Disposable {
  readonly #silent: SilentDisks;
  readonly #measuring: Measuring;

  constructor(silentDisks: SilentDisks, options: MeasuringOptions) {
    this.#silent = silentDisks;
    this.#measuring = new Measuring(options);
  }

  async read(
    kind: MeasureQuestion['kind'],
    places: readonly Pick<Place, 'path' | 'disk'>[],
    signal: AbortSignal,
  ): Promise<Measured[]> {
    for (;;) {
      for (const [disk, { isOver }] of this.#silent) if (isOver()) this.#silent.delete(disk);
      const asked = places.filter(({ disk }) => !this.#silent.has(disk));
      const answer = await this.#measuring.ask(
        kind,
        asked.map(({ path }) => path),
        signal,
      );
      if ('found' in answer) {
        const found = new Map(asked.map(({ path }, index) => [path, answer.found[index] ?? null]));
        return places.map(({ path }) => (found.has(path) ? (found.get(path) ?? null) : silent));
      }
      // The others are asked again: there are fewer disks each time.
      const untilMs = performance.now() + askAgainMs;
      this.#silent.set(asked[answer.silentAt]?.disk, {
        isOver: () => answer.hasEnded() && performance.now() > untilMs,
      });
    }
  }

  [Symbol.dispose](): void {
    this.#measuring[Symbol.dispose]();
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
  const reason =
    size === undefined || 'bytes' in size
      ? undefined
      : size === silent
        ? size.reason
        : `not watched: ${size.reason}`;
  return {
    ...{ kind: 'volume', name, lineage, driver, stack, anonymous },
    ...{ capacityBytes: undefined, freeBytes: undefined },
    disk: 'path' in place && place.disk !== undefined ? toPrintable(place.disk) : undefined,
    problem: 'problem' in place ? place.problem : reason,
    size: size !== undefined && 'bytes' in size ? size : undefined,
  };
}

/** The disks that places lie on. Asking one of a server that does not answer would hang. */
export function disksUnder(
  places: readonly (Place | NoPlace)[],
  mounts: readonly MountPoint[],
): ByteString[] {
  const disks = new Set(places.flatMap((place) => ('path' in place ? (place.disk ?? []) : [])));
  return [...disks].filter((path) => !mayHang(mounts, path));
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
  const endpoint = info.kind === 'embedded' ? '' : info.endpoint;
  const host = { identity: info.identity, kind: info.kind, endpoint, lookedAtMs };
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
  readonly #reader: SizeReader;
  /** What has been walked, with the size until it is taken. */
  readonly #walked = new Map<ByteString, (TreeSize & { readonly atMs: number }) | undefined>();
  #running: Promise<void> | undefined;
  #roundMs = 0;

  constructor(reader: SizeReader) {
    this.#reader = reader;
  }

  /** The size of a path, where it was walked since it was last taken. */
  take(path: ByteString): NonNullable<FoundPlace['size']> | undefined {
    const size = this.#walked.get(path);
    if (size === undefined) return undefined;
    this.#walked.set(path, undefined);
    return { ...size, way: 'walked' };
  }

  /** Begins to walk those that are due, unless it is at work. Forgets all others. */
  begin(places: readonly Place[], signal: AbortSignal): void {
    const asked = new Set(places.map(({ path }) => path));
    for (const path of this.#walked.keys()) if (!asked.has(path)) this.#walked.delete(path);
    if (this.#running !== undefined) return;
    const isRound = this.#roundMs <= performance.now();
    const due = isRound ? places : places.filter(({ path }) => !this.#walked.has(path));
    if (due.length === 0) return;
    this.#running = this.#round(due, { isRound, signal }).finally(() => (this.#running = undefined));
  }

  async #round(
    places: readonly Place[],
    { isRound, signal }: { readonly isRound: boolean; readonly signal: AbortSignal },
  ): Promise<void> {
    const startMs = performance.now();
    for (const place of places) {
      if (signal.aborted) return;
      let found: Measured | undefined;
      try {
        [found] = await this.#reader.read('walked', [place], signal);
      } catch {
        // Its process has ended: its last size stays, with the reason why it is not watched.
      }
      const size =
        found !== undefined && found !== null && 'bytes' in found
          ? { ...found, atMs: Date.now() }
          : undefined;
      this.#walked.set(place.path, size);
    }
    // Nothing is walked for a long while now.
    this.#reader[Symbol.dispose]();
    const nowMs = performance.now();
    if (isRound) this.#roundMs = nowMs + Math.max(walkAgainMs, (nowMs - startMs) / walkedPart);
  }

  async ended(): Promise<void> {
    await this.#running;
    this.#reader[Symbol.dispose]();
  }
}
