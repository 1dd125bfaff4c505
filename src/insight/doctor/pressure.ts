import { readdirSync, readFileSync, statSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Container } from '../../hosts/containers.ts';
import type { MountPoint } from '../../lib/mountinfo.ts';
import { unpackDevice } from '../../lib/posix.ts';
import { toPath, toText } from '../../model/byte-string.ts';
import { quote } from '../../model/quote.ts';
import { formatSize } from '../../model/size.ts';
import type { Diagnosis, DoctorFinding, Remark } from './diagnosis.ts';

export interface PressureRequest {
  /** The mounts that something lies on. */
  readonly mounts: readonly MountPoint[];
  /** Those of the question. */
  readonly containers: readonly Container[];
  /** All that there are. */
  readonly neighbours: readonly Container[];
  readonly processes: ReadonlyMap<string, readonly number[]>;
  readonly isAsked: boolean;
}

const sampleMs = 1000;

/** Disks that are busy and slow, containers that wait for theirs, and who keeps them busy. Looks for a second. */
export async function diagnosePressure(
  request: PressureRequest,
  signal: AbortSignal | undefined,
): Promise<Diagnosis> {
  const { mounts, containers, isAsked } = request;
  const before = takeSample();
  await sleep(sampleMs, undefined, { signal });
  const after = takeSample();
  const waiting = shareWaiting('/proc/pressure/io');
  const busy = uniqueDevices(mounts).flatMap(({ device, mount }) => {
    const load = loadBetween(before, after, device);
    return load !== undefined && isSlow(load, { waiting: waiting ?? 0, isAsked }) ? [{ mount, load }] : [];
  });
  const eaters = busy.length === 0 ? [] : planEaters(before, after, request);
  const pressed = containers.flatMap((container) => pressureOf(container));
  return {
    findings: [...busy.map(({ mount, load }) => deviceBusy(mount, { load, waiting, eaters })), ...pressed],
    notLookedAt: isAsked && waiting === undefined ? [noPressure] : [],
  };
}

const noPressure: Remark = {
  subject: 'how long programs wait for disks',
  reason: 'this kernel does not count it (/proc/pressure)',
};

/** A disk's counters; times in milliseconds. */
interface Counters {
  readonly requests: number;
  readonly waitedMs: number;
  readonly busyMs: number;
  readonly queuedMs: number;
}

interface Sample {
  readonly atMs: number;
  readonly devices: ReadonlyMap<string, Counters>;
  /** Bytes that processes have read from and written to disks. */
  readonly processes: ReadonlyMap<number, number>;
}

function takeSample(): Sample {
  const processes = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name): [number, number] => [Number(name), bytesOf(readOrNothing(`/proc/${name}/io`))]);
  return {
    atMs: performance.now(),
    devices: parseDiskstats(readOrNothing('/proc/diskstats')),
    processes: new Map(processes),
  };
}

/** The format of Documentation/admin-guide/iostats.rst, by `major:minor`; pure. */
export function parseDiskstats(text: string): ReadonlyMap<string, Counters> {
  const devices = new Map<string, Counters>();
  for (const line of text.split('\n')) {
    const [major, minor, , ...rest] = line.trim().split(/\s+/);
    const [reads = 0, , , readMs = 0, writes = 0, , , writeMs = 0, , busyMs = 0, queuedMs = 0] =
      rest.map(Number);
    if (minor !== undefined)
      devices.set(`${major}:${minor}`, {
        requests: reads + writes,
        waitedMs: readMs + writeMs,
        busyMs,
        queuedMs,
      });
  }
  return devices;
}

function bytesOf(io: string): number {
  const field = (name: string): number => Number(new RegExp(`^${name}: (\\d+)$`, 'm').exec(io)?.[1] ?? 0);
  return field('read_bytes') + field('write_bytes');
}

/** A file system of several disks, or on a subvolume, has a number of its own: its source is a disk. */
function uniqueDevices(
  mounts: readonly MountPoint[],
): { readonly device: string; readonly mount: MountPoint }[] {
  const found = new Map<string, MountPoint>();
  for (const mount of mounts) {
    const device = mount.device.startsWith('0:') ? deviceOfSource(mount) : mount.device;
    if (device !== undefined && !found.has(device)) found.set(device, mount);
  }
  return [...found].map(([device, mount]) => ({ device, mount }));
}

function deviceOfSource({ source }: MountPoint): string | undefined {
  if (!source.startsWith('/dev/')) return undefined;
  try {
    const { major, minor } = unpackDevice(statSync(toPath(source), { bigint: true }).rdev);
    return `${major}:${minor}`;
  } catch {
    // The disk is away.
    return undefined;
  }
}

export interface Load {
  /** 0 to 1. */
  readonly busy: number;
  /** Of one request. */
  readonly latencyMs: number;
  /** Requests that wait, on average. */
  readonly queue: number;
  readonly perSecond: number;
}

function loadBetween(before: Sample, after: Sample, device: string): Load | undefined {
  const [one, two] = [before.devices.get(device), after.devices.get(device)];
  const elapsedMs = after.atMs - before.atMs;
  if (one === undefined || two === undefined || two.requests === one.requests) return undefined;
  const requests = two.requests - one.requests;
  return {
    busy: Math.min(1, (two.busyMs - one.busyMs) / elapsedMs),
    latencyMs: (two.waitedMs - one.waitedMs) / requests,
    queue: (two.queuedMs - one.queuedMs) / elapsedMs,
    perSecond: (requests * 1000) / elapsedMs,
  };
}

const slowMs = 100;
const fewRequests = 10;

/**
 * A busy disk is no fault by itself: it is one where programs wait for it, where its answers take a tenth of a
 * second, or where the question is why something is slow. Pure.
 */
export function isSlow(
  { busy, latencyMs, perSecond }: Load,
  { waiting, isAsked }: { readonly waiting: number; readonly isAsked: boolean },
): boolean {
  if (perSecond >= fewRequests && latencyMs >= slowMs) return true;
  return busy >= 0.8 && (isAsked || waiting >= 40);
}

interface Eater {
  readonly name: string;
  readonly container: string | undefined;
  readonly bytesPerSecond: number;
}

/** Who moved the most between two samples: containers by their processes, and what is in none by itself. */
function planEaters(
  before: Sample,
  after: Sample,
  { neighbours, processes }: Pick<PressureRequest, 'neighbours' | 'processes'>,
): Eater[] {
  const owners = new Map([...processes].flatMap(([id, pids]) => pids.map((pid) => [pid, id] as const)));
  const moved = new Map<string, number>();
  for (const [pid, bytes] of after.processes) {
    const delta = bytes - (before.processes.get(pid) ?? bytes);
    const key = owners.get(pid) ?? String(pid);
    // The kernel's own threads write what others gave them.
    if (delta > 0 && (owners.has(pid) || readOrNothing(`/proc/${pid}/cmdline`) !== ''))
      moved.set(key, (moved.get(key) ?? 0) + delta);
  }
  const seconds = (after.atMs - before.atMs) / 1000;
  return [...moved]
    .toSorted(([, left], [, right]) => right - left)
    .slice(0, 3)
    .map(([key, bytes]) => {
      const container = neighbours.find(({ id }) => id === key);
      const name = container === undefined ? `process ${key} (${quote(nameOf(key))})` : quote(container.name);
      return { name, container: container?.name, bytesPerSecond: bytes / seconds };
    });
}

function nameOf(pid: string): string {
  return readOrNothing(`/proc/${pid}/comm`).trim();
}

function deviceBusy(
  mount: MountPoint,
  {
    load,
    waiting,
    eaters,
  }: { readonly load: Load; readonly waiting: number | undefined; readonly eaters: readonly Eater[] },
): DoctorFinding {
  const at = toText(mount.path);
  const [eater] = eaters;
  return {
    id: 'HF-D061',
    rule: 'disk-busy',
    severity: 'downtime',
    subject: { kind: 'mount', name: at },
    message: `The disk of ${quote(at)} is busy for ${Math.round(load.busy * 100)}% of the time, and a request takes ${load.latencyMs.toFixed(1)} ms`,
    meaning: 'What reads and writes there waits for others before it.',
    evidence: [
      `${quote(toText(mount.source))}: ${Math.round(load.perSecond)} requests a second, ${load.queue.toFixed(1)} of them wait at a time`,
      ...(waiting === undefined
        ? []
        : [`in the last ten seconds some program waited for a disk for ${waiting}% of the time`]),
      ...eaters.map(
        ({ name, bytesPerSecond }) => `${name} reads and writes ${formatSize(bytesPerSecond)} a second`,
      ),
    ],
    remedy:
      eater === undefined
        ? 'Find out what uses it, or give the data a faster disk.'
        : `Let ${eater.name} do less, do it at another time, or give it a disk of its own.`,
    commands: eater?.container === undefined ? [] : [['docker', 'stop', eater.container]],
    position: undefined,
    fix: undefined,
  };
}

const muchWaiting = 40;

/** What the kernel counts for the control group of a container: version 2 alone does. */
function pressureOf({ name, pid }: Container): DoctorFinding[] {
  const [, group] = /^0::(\/.+)$/m.exec(readOrNothing(`/proc/${pid}/cgroup`)) ?? [];
  if (pid === undefined || group === undefined) return [];
  return (['io', 'memory'] as const).flatMap((kind) => {
    const share = shareWaiting(`/sys/fs/cgroup${group}/${kind}.pressure`);
    return share === undefined || share < muchWaiting ? [] : [containerWaits(name, kind, share)];
  });
}

function containerWaits(name: string, kind: 'io' | 'memory', share: number): DoctorFinding {
  const isMemory = kind === 'memory';
  return {
    id: isMemory ? 'HF-D062' : 'HF-D060',
    rule: isMemory ? 'waits-for-memory' : 'waits-for-disk',
    severity: 'downtime',
    subject: { kind: 'container', name },
    message: `${quote(name)} waits for ${isMemory ? 'memory' : 'its disk'} for ${share}% of the time`,
    meaning: isMemory
      ? 'It has less memory than it needs, and reads the same data from its disk again and again.'
      : 'It is as slow as its disk is.',
    evidence: ['counted by the kernel for its control group, over the last ten seconds'],
    remedy: isMemory
      ? 'Give it more memory.'
      : 'See which program keeps the disk busy, or give it a faster one.',
    commands: [['docker', 'stats', '--no-stream', name]],
    position: undefined,
    fix: undefined,
  };
}

/** Percent of the last ten seconds in which some program waited; undefined where it is not counted. */
function shareWaiting(path: string): number | undefined {
  const share = /^some avg10=([\d.]+)/m.exec(readOrNothing(path))?.[1];
  return share === undefined ? undefined : Math.round(Number(share));
}

/** Processes end, other users' are closed to this one, and not every kernel counts everything. */
function readOrNothing(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
