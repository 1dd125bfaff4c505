import type { Counted, DiskCounted } from './parse.ts';

/** A running container as it was seen at one time. */
export interface SeenContainer {
  readonly id: string;
  readonly name: string;
  /** Bytes and operations by device; undefined where no control group tells them. */
  readonly devices: ReadonlyMap<string, Counted> | undefined;
  /** The sum of its processes; undefined where a group tells enough. */
  readonly processes: Pick<Counted, 'readBytes' | 'writtenBytes'> | undefined;
  /** How long some of its tasks waited for I/O. */
  readonly waitedMicroseconds: number | undefined;
  /** What cannot be told, and why. */
  readonly note: string | undefined;
}

export interface SeenVolume {
  readonly name: string;
  readonly anonymous: boolean;
  /** The ids of the containers that mount it. */
  readonly containers: readonly string[];
  /** `major:minor` of the block device that it lies on; undefined for others. */
  readonly device: string | undefined;
  /** The device is its alone. */
  readonly isOwn: boolean;
  /** What its own network mount has counted. */
  readonly network: DiskCounted | undefined;
  readonly note: string | undefined;
}

/** The counters at one time. */
export interface TopSample {
  /** By a clock that only goes forward. */
  readonly atMs: number;
  readonly containers: readonly SeenContainer[];
  readonly volumes: readonly SeenVolume[];
  readonly disks: ReadonlyMap<string, DiskCounted>;
  readonly waitedMicroseconds: number | undefined;
  /** What this machine cannot tell. */
  readonly notes: readonly string[];
}

/** In a second. */
export interface Rates {
  readonly readBytes: number;
  readonly writtenBytes: number;
  /** Operations; undefined where only bytes are known. */
  readonly reads: number | undefined;
  readonly writes: number | undefined;
}

/** A container between two looks. Its rates are undefined where the kernel does not count them. */
export interface TopContainer {
  readonly name: string;
  readonly rates: Rates | undefined;
  /** The part of the time in which a task waited for I/O, from 0 to 1. */
  readonly pressure: number | undefined;
  readonly note: string | undefined;
}

/** A volume between two looks. Its rates are undefined where they are not known. */
export interface TopVolume {
  readonly name: string;
  readonly anonymous: boolean;
  readonly rates: Rates | undefined;
  /**
   * `device` and `network`: counted for it alone. `shared`: the I/O of its containers on its disk, in equal
   * parts among their volumes there, so that files of the containers themselves are in it.
   */
  readonly how: 'device' | 'network' | 'shared' | undefined;
  /** Of an operation on the device or the server, in milliseconds; undefined when there was none. */
  readonly latencyMs: number | undefined;
  /** The part of the time in which its device was at work, from 0 to 1. */
  readonly busy: number | undefined;
  /** The highest of its containers. */
  readonly pressure: number | undefined;
  readonly note: string | undefined;
}

/** What went on in that many seconds, with one row for each volume and container that was there all the time. */
export interface TopReport {
  readonly seconds: number;
  readonly volumes: readonly TopVolume[];
  readonly containers: readonly TopContainer[];
  /** Of the whole machine. */
  readonly pressure: number | undefined;
  readonly notes: readonly string[];
}

/** What went on between two looks. What has come or gone meanwhile is left out. Pure. */
export function planTop(before: TopSample, after: TopSample): TopReport {
  const seconds = Math.max(0.001, (after.atMs - before.atMs) / 1000);
  const earlier = new Map(before.containers.map((one) => [one.id, one]));
  const containers = after.containers.flatMap((now) => {
    const last = earlier.get(now.id);
    return last === undefined ? [] : [{ now, last }];
  });
  const disks = new Map(
    [...after.disks].flatMap(([device, now]) => {
      const last = before.disks.get(device);
      return last === undefined ? [] : [[device, diskRates(last, now, seconds)] as const];
    }),
  );
  const networks = new Map(before.volumes.map(({ name, network }) => [name, network]));
  const shares = sharesOf(after.volumes, containers, seconds);
  const pressures = new Map(containers.map(({ now, last }) => [now.id, pressureOf(last, now, seconds)]));
  const volumes = after.volumes.map(({ name, anonymous, device, isOwn, network, note, containers: ids }) => {
    const disk = device === undefined ? undefined : disks.get(device);
    const last = networks.get(name);
    const remote = network && last && diskRates(last, network, seconds);
    const own = isOwn ? disk : remote;
    const shared = isOwn || network !== undefined ? undefined : shares.get(name);
    return {
      ...{ name, anonymous, note, rates: own?.rates ?? shared },
      how:
        own === undefined
          ? shared && ('shared' as const)
          : isOwn
            ? ('device' as const)
            : ('network' as const),
      latencyMs: (own ?? disk)?.latencyMs,
      busy: (own ?? disk)?.busy,
      pressure: highest(ids.map((id) => pressures.get(id))),
    };
  });
  return {
    ...{ seconds, volumes: volumes.toSorted(byBytes) },
    containers: containers
      .map(({ now, last }) => ({
        ...{ name: now.name, note: now.note, rates: containerRates(last, now, seconds) },
        pressure: pressures.get(now.id),
      }))
      .toSorted(byBytes),
    pressure: pressureOf(before, after, seconds),
    notes: after.notes,
  };
}

interface Rated {
  readonly name: string;
  readonly rates: Rates | undefined;
}

function byBytes(a: Rated, b: Rated): number {
  const of = ({ rates }: Rated): number => (rates === undefined ? -1 : rates.readBytes + rates.writtenBytes);
  return of(b) - of(a) || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0);
}

function highest(values: readonly (number | undefined)[]): number | undefined {
  const known = values.filter((value) => value !== undefined);
  return known.length === 0 ? undefined : Math.max(...known);
}

/** A counter that goes back belongs to another device, group or process by now. */
function grown(last: number, now: number): number {
  return Math.max(0, now - last);
}

function diskRates(last: DiskCounted, now: DiskCounted, seconds: number) {
  const operations = grown(last.reads, now.reads) + grown(last.writes, now.writes);
  const waitedMs = grown(last.waitedMs, now.waitedMs);
  const busyMs =
    last.busyMs === undefined || now.busyMs === undefined ? undefined : grown(last.busyMs, now.busyMs);
  return {
    rates: ratesOf(last, now, seconds),
    latencyMs: operations === 0 ? undefined : waitedMs / operations,
    busy: busyMs === undefined ? undefined : Math.min(1, busyMs / 1000 / seconds),
  };
}

function ratesOf(last: Counted, now: Counted, seconds: number): Rates {
  return {
    readBytes: grown(last.readBytes, now.readBytes) / seconds,
    writtenBytes: grown(last.writtenBytes, now.writtenBytes) / seconds,
    reads: grown(last.reads, now.reads) / seconds,
    writes: grown(last.writes, now.writes) / seconds,
  };
}

const nothing: Counted = { readBytes: 0, writtenBytes: 0, reads: 0, writes: 0 };

function containerRates(last: SeenContainer, now: SeenContainer, seconds: number): Rates | undefined {
  const devices =
    now.devices &&
    sum([...now.devices].map(([device, io]) => ratesOf(last.devices?.get(device) ?? nothing, io, seconds)));
  if (now.processes === undefined || last.processes === undefined) return devices;
  // Version 1 charges buffered writes to no group, and a process that ends takes its count along unless its
  // parent is in the container too: neither tells too much, so the larger one is nearer.
  const { readBytes, writtenBytes } = ratesOf(
    { ...nothing, ...last.processes },
    { ...nothing, ...now.processes },
    seconds,
  );
  return {
    readBytes: Math.max(readBytes, devices?.readBytes ?? 0),
    writtenBytes: Math.max(writtenBytes, devices?.writtenBytes ?? 0),
    reads: devices?.reads,
    writes: devices?.writes,
  };
}

function sum(rates: readonly Rates[]): Rates {
  return rates.reduce<Rates>(
    (all, one) => ({
      readBytes: all.readBytes + one.readBytes,
      writtenBytes: all.writtenBytes + one.writtenBytes,
      reads: plus(all.reads, one.reads),
      writes: plus(all.writes, one.writes),
    }),
    nothing,
  );
}

function plus(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || b === undefined ? undefined : a + b;
}

function pressureOf(
  last: Pick<SeenContainer, 'waitedMicroseconds'>,
  now: Pick<SeenContainer, 'waitedMicroseconds'>,
  seconds: number,
): number | undefined {
  if (last.waitedMicroseconds === undefined || now.waitedMicroseconds === undefined) return undefined;
  return Math.min(1, grown(last.waitedMicroseconds, now.waitedMicroseconds) / 1e6 / seconds);
}

/** What containers do on a disk that they share, in equal parts among their volumes there. */
function sharesOf(
  volumes: readonly SeenVolume[],
  containers: readonly { readonly now: SeenContainer; readonly last: SeenContainer }[],
  seconds: number,
): Map<string, Rates> {
  const parts = new Map<string, Rates[]>();
  for (const { now, last } of containers) {
    const own = volumes.filter((one) => one.containers.includes(now.id) && one.network === undefined);
    const shared = own.filter(({ isOwn, device }) => !isOwn && device !== undefined);
    for (const device of new Set(shared.map((one) => one.device))) {
      const there = shared.filter((one) => one.device === device);
      const rates = ratesOn(device ?? '', { now, last, seconds });
      if (rates === undefined) continue;
      const part = divided(rates, there.length);
      for (const { name } of there) parts.set(name, [...(parts.get(name) ?? []), part]);
    }
  }
  return new Map([...parts].map(([name, all]) => [name, sum(all)]));
}

function ratesOn(
  device: string,
  {
    now,
    last,
    seconds,
  }: { readonly now: SeenContainer; readonly last: SeenContainer; readonly seconds: number },
): Rates | undefined {
  // The processes do not say on which device they work.
  if (now.processes !== undefined || now.devices === undefined) return containerRates(last, now, seconds);
  return ratesOf(last.devices?.get(device) ?? nothing, now.devices.get(device) ?? nothing, seconds);
}

function divided({ readBytes, writtenBytes, reads, writes }: Rates, by: number): Rates {
  return {
    readBytes: readBytes / by,
    writtenBytes: writtenBytes / by,
    reads: reads === undefined ? undefined : reads / by,
    writes: writes === undefined ? undefined : writes / by,
  };
}
